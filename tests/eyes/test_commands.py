"""`python -m reflow show` and `python -m reflow timeline`: what they print, and exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import anyio
import attrs
import pytest
from stories import intake as story

from reflow.__main__ import main
from reflow.demo.intake import intake
from reflow.diagram import mermaid
from reflow.journal import SQLiteJournal
from reflow.timeline import commands, svg

MODULE = """
from reflow import Flow, Visit

first = Flow("first")
second = Flow("second")
third = 3


class Wizard:
    flow = Flow("wizard")

    @flow.step("a\\x1b[2Jname\\nof two lines", model_may_answer=True, revisitable=False)
    @staticmethod
    async def name(visit: Visit) -> str:
        raise NotImplementedError

    flow.step("pay", id="pay", depends_on=[name], revisitable=False)(name)
"""


def test_show(capsys: pytest.CaptureFixture[str]) -> None:
    """A table of the steps, with what each was declared with, and then the diagram."""
    assert main(["show", "reflow.demo.intake:intake"]) == 0
    table, diagram = capsys.readouterr().out.split("\n\n")
    assert diagram == mermaid(intake)
    lines = table.splitlines()
    assert lines[0] == "   id         description                     depends on  options"
    assert lines[3].startswith(
        "3  phone      your phone number               -           optional, "
    )
    assert lines[6] == "6  members    the family members to insure    -           when"
    assert lines[7] == "7  doctor     the doctor                      plan        -"
    assert lines[9].endswith("-           always_ask, point_of_no_return")


def test_show_the_diagram_only(capsys: pytest.CaptureFixture[str]) -> None:
    """To be written into a document."""
    assert main(["show", "--mermaid", "reflow.demo.intake:intake"]) == 0
    assert capsys.readouterr().out == mermaid(intake)


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder that modules are imported from."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return tmp_path


def test_show_a_flow_of_a_class(modules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The name of the flow may have dots; what isn't printable is spelled out."""
    (modules / "shown_wizard.py").write_text(MODULE.replace('flow.step("pay"', "#"))
    assert main(["show", "shown_wizard:Wizard.flow"]) == 0
    row = "1  name  a\\x1b[2Jname\\nof two lines  -           model_may_answer, revisitable=False"
    assert row in capsys.readouterr().out


@pytest.mark.parametrize(
    ("source", "path", "said"),
    [
        (None, "reflow", "'reflow' doesn't say where the flow is: write package.module:flow"),
        (None, ":flow", "':flow' doesn't say where"),
        (None, "reflow:", "'reflow:' doesn't say where"),
        (None, ".reflow:x", "'.reflow:x' doesn't say where"),
        (None, "no_such.module:x", "there is no module 'no_such'"),
        (None, "reflow.nothing:x", "there is no module 'reflow.nothing'"),
        (None, "json:x", "there is no 'x' in module 'json'"),
        (None, "json:dumps", "'dumps' in module 'json' is not a flow, but of type function"),
        (
            MODULE.partition("class")[0],
            "{}:x",
            "no 'x' in module '{}'; it has the flows first, second",
        ),
        (
            MODULE.partition("class")[0],
            "{}:third",
            "'third' in module '{}' is not a flow, but of type int",
        ),
        ("import no_such", "{}:x", "module '{}' can't be imported: ModuleNotFoundError: No module"),
        ("\n1 / 0", "{}:x", "can't be imported: ZeroDivisionError: division by zero ("),
        ("raise SystemExit(3)", "{}:x", "can't be imported: SystemExit: 3 ("),
        (
            "\n1 +",
            "{}:x",
            "can't be imported: SyntaxError: invalid syntax ({folder}/{}.py, line 2)",
        ),
        ("raise SyntaxError('no', ('x', None, None, None))", "{}:x", "SyntaxError: no (x)"),
        ("1\0", "{}:x", "imported: SyntaxError: source code string cannot contain null bytes"),
        ("raise ValueError('one\\ntwo')", "{}:x", "ValueError: one two ({folder}/{}.py, line 1)"),
        (MODULE, "{}:Wizard", "can't be imported: reflow.FlowError: step 'pay'"),
    ],
)
def test_no_flow(
    modules: Path, capsys: pytest.CaptureFixture[str], source: str | None, path: str, said: str
) -> None:
    """What was named isn't there: a line that says what is, and the exit code 2."""
    name = f"shown_{abs(hash((source, path)))}"
    if source is not None:
        (modules / f"{name}.py").write_text(source)
    with pytest.raises(SystemExit) as ended:
        main(["show", path.format(name)])
    assert ended.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    line = captured.err.splitlines()[-1]
    assert said.format(name, folder=modules) in line
    assert "frozen" not in line


def test_what_a_module_prints(modules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It goes to the standard error: the diagram stays one."""
    source = 'print("LOADING")\nfrom reflow import Flow\nflow = Flow("loud")\n'
    (modules / "shown_loud.py").write_text(source)
    assert main(["show", "--mermaid", "shown_loud:flow"]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("flowchart TD\n")
    assert "LOADING" not in captured.out
    assert captured.err == "LOADING\n"


def test_show_from_the_working_directory(tmp_path: Path) -> None:
    """As with every `python -m`; the lines of the error of the module are not printed."""
    (tmp_path / "here.py").write_text('from reflow import Flow\nflow = Flow("here")\n')
    command = [sys.executable, "-W", "error", "-m", "reflow", "show", "here:flow"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert 'start(["<div>here</div>"])' in done.stdout
    assert done.stderr == ""


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Give the URL of a journal with a run in it."""

    async def fill() -> None:
        with SQLiteJournal(tmp_path / "runs.db") as journal:
            await journal.append("call-42", story().rows)
            newer = '{"event": "Opened", "key": "k", "format": 2}'
            await journal.append("newer", [attrs.evolve(story().rows[0], event=newer)])

    anyio.run(fill)
    return f"sqlite:///{tmp_path / 'runs.db'}"


def test_timeline(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The picture goes to standard output."""
    assert main(["timeline", url, "call-42"]) == 0
    assert capsys.readouterr().out == svg(story().rows)


def test_timeline_into_a_file(url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Or into a file, in which every byte is the same everywhere."""
    target = tmp_path / "run.svg"
    assert main(["timeline", url, "call-42", "--output", str(target)]) == 0
    assert capsys.readouterr().out == ""
    assert target.read_bytes() == svg(story().rows).encode("ascii")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["{url}", "unknown"], "there is no run with the key 'unknown'"),
        (["{url}", "newer"], "row 0 can't be drawn: it was written in another format than 1"),
        (["{url}", "call-42", "-o", "{folder}/no/file.svg"], "No such file or directory"),
        (["sqlite:///{folder}/typo.db", "key"], "there is no file"),
        (["memory:", "key"], "there is no run with the key 'key'"),
        (["runs.db", "key"], "a journal's URL is sqlite:///relative.db"),
    ],
)
def test_timeline_errors(
    url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    """What can't be done is a line on the standard error, and the exit code 1."""
    filled = [argument.format(url=url, folder=tmp_path) for argument in arguments]
    assert main(["timeline", *filled]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("python -m reflow timeline: ")
    assert said in captured.err
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize("command", ["show", "timeline"])
def test_usage(capsys: pytest.CaptureFixture[str], command: str) -> None:
    """Wrong usage has the exit code 2, and shows the right one."""
    with pytest.raises(SystemExit) as ended:
        main([command])
    assert ended.value.code == 2
    assert f"usage: python -m reflow {command}" in capsys.readouterr().err


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever asks for help learns of the commands."""
    with pytest.raises(SystemExit):
        main(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "python -m reflow show --help" in said
    assert "python -m reflow timeline --help" in said


def test_ctrl_c(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl+C ends with the exit code that shells give it."""

    async def interrupted(*_: object) -> list[str]:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "stored", interrupted)
    assert main(["timeline", url, "call-42"]) == 130


def test_nobody_reads_the_picture(url: str) -> None:
    """A pipe that ends early, as with `head`, is no traceback."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-W", "error", "-m", "reflow", "timeline", url, "call-42"]
    with os.fdopen(writing, "wb") as output:
        done = subprocess.run(command, check=False, stdout=output, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("command", ["show", "timeline", "journal"])
def test_nothing_can_be_written(url: str, command: str) -> None:
    """A full disk is a line on the standard error, and the exit code 1."""
    arguments = {
        "show": ["reflow.demo.intake:intake"],
        "timeline": [url, "call-42"],
        "journal": ["list", url],
    }
    program = [sys.executable, "-W", "error", "-m", "reflow", command, *arguments[command]]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(program, check=False, stdout=full, stderr=subprocess.PIPE, text=True)
    said = f"python -m reflow {command}: standard output: [Errno 28] No space left on device\n"
    assert (done.returncode, done.stderr) == (1, said)
