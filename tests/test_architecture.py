"""The way for data is one way: a module imports only from those above it in this list."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import reflow

SOURCE = Path(reflow.__file__).parent
# From the declaration over the machine and the driver to the facade.
ORDER = (
    *("_compat", "_errors", "_tool_gemini", "_tool", "_step", "_plan", "_events", "_secrecy"),
    *("_states", "_results", "_order", "_consequences", "_machine", "_replay", "_journal"),
    *("_codec_types", "_codec_hooks", "_codec_times", "_codec_values", "_codec_classes"),
    *("_codec_pydantic", "_codec_choices", "_codec_containers", "_codec", "_fingerprint"),
    *("_model_json", "_schemas", "_schema_values", "_schema_choices", "_schema_foreign"),
    *("_schema_containers", "_schema_classes", "_schema", "_tooling", "_tools"),
    *("_continuing", "_rows", "_resuming", "_conditions"),
    *("_cancellation", "_recording", "_observing", "_requests", "_endings", "_run", "_including"),
    *("_declaring", "_flow", "_logging"),
)
THIRD_PARTY = {
    # Of typing_extensions only type checkers see anything.
    "_compat": {"typing_extensions"},
    "_journal": {"anyio"},
    "_codec_pydantic": {"pydantic"},
    "_codec": {"cattrs"},
    "_schema_foreign": {"pydantic"},
    "_recording": {"anyio"},
    "_endings": {"anyio"},
    "_cancellation": {"anyio"},
    "_requests": {"anyio"},
    "_run": {"anyio"},
}


def imports(path: Path) -> set[tuple[int, str]]:
    """Give what a module imports, also for types and inside functions: level and name."""
    found: set[tuple[int, str]] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {(0, alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module is None:
            found |= {(node.level, alias.name) for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.level, str(node.module)))
    return found


def test_every_module_is_in_the_list() -> None:
    """A new private module gets its place in the order."""
    assert {path.stem for path in SOURCE.glob("_[a-z]*.py")} == set(ORDER)


@pytest.mark.parametrize("name", ORDER)
def test_imports_go_one_way(name: str) -> None:
    """No cycle, not even for types, and nothing that a module has no business with."""
    above = set(ORDER[: ORDER.index(name)])
    for level, module in imports(SOURCE / f"{name}.py"):
        if level:
            assert module in above
        else:
            top = module.partition(".")[0]
            allowed = {"attrs", "annotationlib"} | THIRD_PARTY.get(name, set())
            assert top in allowed or top in sys.stdlib_module_names


@pytest.mark.parametrize(
    "name",
    [
        *(
            "_step",
            "_plan",
            "_events",
            "_states",
            "_results",
            "_order",
            "_consequences",
            "_machine",
        ),
    ],
)
def test_the_machine_does_no_io(name: str) -> None:
    """It is synchronous and pure: no await, no event loop, no clock, no threads."""
    tree = ast.parse((SOURCE / f"{name}.py").read_text())
    assert not [
        node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef | ast.Await)
    ]
    modules = {module for _, module in imports(SOURCE / f"{name}.py")}
    assert modules.isdisjoint({"anyio", "asyncio", "trio", "time", "threading", "random"})


def test_modules_stay_small() -> None:
    """A newcomer can read one in a sitting."""
    lines = {path: len(path.read_text().splitlines()) for path in SOURCE.rglob("*.py")}
    assert not {path: count for path, count in lines.items() if count > 400}


def test_front_ends_use_the_public_api_only() -> None:
    """What stands beside the core imports `reflow`, not its private modules."""
    beside = [path for path in SOURCE.rglob("*.py") if not path.stem.startswith("_")]
    beside += [SOURCE / "__main__.py", *SOURCE.glob("*/*.py")]
    for path in beside:
        for level, module in imports(path):
            # A folder may have a `_compat` of its own.
            assert level == 1 or not any(part in ORDER for part in module.split("."))


def test_the_testing_kit_needs_what_is_used_of_it_only() -> None:
    """Whoever tests on asyncio, and checks no flow, needs neither trio nor hypothesis."""
    program = "import reflow.testing, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout
    assert {"trio", "hypothesis", "pytest", "cattrs"}.isdisjoint(loaded.decode().split())
