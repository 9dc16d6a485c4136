"""The documents: their examples run, their links lead somewhere, nothing is missing in them."""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import anyio
import diagram
import pytest

import reflow
from reflow import Event, ReflowError, StepState

if TYPE_CHECKING:
    from collections.abc import Generator

ROOT = Path(__file__).parents[1]
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/*.md"))]

# A fenced block: its language and its text; and what it prints, if that directly follows: a `text`
# block, or a diagram.
BLOCK = re.compile(
    r"^```(\w*)\n(?P<text>.*?)^```$(?=(\n\n```(?:text|mermaid)\n(?P<printed>.*?)^```$)?)",
    re.MULTILINE | re.DOTALL,
)

every_document = pytest.mark.parametrize(
    "document", [pytest.param(path, id=str(path.relative_to(ROOT))) for path in DOCUMENTS]
)


@contextmanager
def plain_logging() -> Generator[None]:
    """Let an example set up logging as in a program of its own, without the handlers of pytest."""
    root = logging.getLogger()
    handlers, level = root.handlers.copy(), root.level
    root.handlers.clear()
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


@every_document
def test_examples(
    document: Path,
    anyio_backend: tuple[str, dict[str, object]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every Python example runs on every backend, and prints what the block behind it says.

    The examples of a document are one program, from top to bottom, and begin their async code with
    `anyio.run`. A library for this would have to be told of backends and output in as many lines.
    """
    backend, options = anyio_backend
    if document.name == "livekit.md":
        pytest.importorskip("livekit.agents")
    monkeypatch.setattr(anyio, "run", partial(anyio.run, backend=backend, backend_options=options))
    program: dict[str, object] = {"__name__": "__main__"}
    content = document.read_text("utf-8")
    with plain_logging():
        for block in BLOCK.finditer(content):
            if block[1] != "python":
                continue
            # As many lines before it as in the document, so that tracebacks point there.
            source = "\n" * content.count("\n", 0, block.start("text")) + block["text"]
            exec(compile(source, document, "exec", dont_inherit=True), program)
            printed = capsys.readouterr().out
            if block["printed"] is not None:
                # Spaces at the end of a line can't be seen in a document.
                assert re.sub(" +$", "", printed, flags=re.MULTILINE) == block["printed"]


def headings(document: Path) -> set[str]:
    """Give what a link may have behind its `#`, as code hosts make it of the headings."""
    prose = BLOCK.sub("", document.read_text("utf-8"))
    found: list[str] = re.findall("^#+ (.*)", prose, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in found}


@every_document
def test_links(document: Path) -> None:
    """Every relative link leads to a file that exists, and to a heading in it."""
    prose = BLOCK.sub("", document.read_text("utf-8"))
    links: list[tuple[str, str]] = re.findall(r"\]\(([^):#]*)(?:#([^)]*))?\)", prose)
    for path, heading in links:
        target = document.parent / path if path else document
        assert target.exists(), path
        assert not heading or heading in headings(target), heading


def test_the_diagrams_are_those_of_the_machine() -> None:
    """They show what the machine does, not what someone remembers of it."""
    content = diagram.DOCUMENT.read_text("utf-8")
    assert content == diagram.redrawn(content), "redraw them with: python tests/diagram.py"


def named(document: str, row: str) -> list[str]:
    """Give what the rows of a table in a document begin with."""
    found: list[str] = re.findall(row, (ROOT / "docs" / document).read_text("utf-8"), re.MULTILINE)
    return found


def test_every_state_event_and_error_is_explained() -> None:
    """Whoever adds one has to say what it means."""
    assert named("step-states.md", r"^\| \*\*(.+?)\*\* \|") == [state.value for state in StepState]
    events: set[str] = {kind.__name__ for kind in get_args(Event)}
    assert set(named("events.md", r"^\| `(\w+)` \|")) == events
    public = [getattr(reflow, name) for name in reflow.__all__]
    errors = {kind.__name__ for kind in public if is_error(kind)}
    assert set(named("going-back.md", r"^\| `(\w+Error)` \|")) == errors


def is_error(thing: object) -> bool:
    """Say whether it is one of the errors of reflow, other than their base."""
    return isinstance(thing, type) and issubclass(thing, ReflowError) and thing is not ReflowError
