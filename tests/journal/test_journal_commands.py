"""`python -m reflow journal`: what it prints, what it deletes, and its exit codes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
import attrs
import pytest
from journal_worker import MOMENT, row

from reflow import JournalRow, RunState
from reflow.__main__ import main
from reflow.journal import SQLiteJournal, commands

if TYPE_CHECKING:
    from pathlib import Path


def filled(path: Path) -> str:
    """Make a journal with two runs; give its URL."""

    async def fill() -> None:
        with SQLiteJournal(path) as journal:
            entered = {"event": "StepEntered", "step": "email", "number": 1, "again": False}
            rows = [
                JournalRow(
                    0, "0123456789", MOMENT, RunState.RUNNING, None, '{"event": "RunStarted"}'
                ),
                JournalRow(1, "0123456789", MOMENT, RunState.RUNNING, "email", json.dumps(entered)),
            ]
            await journal.append("call-42", rows)
            later = MOMENT + timedelta(days=1)
            await journal.append("Zoë\n", [attrs.evolve(row(0), time=later)])

    anyio.run(fill)
    return f"sqlite:///{path}"


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Give the URL of a journal with two runs."""
    return filled(tmp_path / "runs.db")


def test_list(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A table of the runs, the last one first; what isn't printable is spelled out."""
    assert main(["journal", "list", url]) == 0
    assert capsys.readouterr().out == (
        "key      state    active  last event            rows\n"
        "Zoë\\n    running  email   2024-05-18 12:30:15Z     1\n"
        "call-42  running  email   2024-05-17 12:30:15Z     2\n"
    )


def test_list_of_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """A journal without runs is a table without rows."""
    assert main(["journal", "list", "memory:"]) == 0
    assert capsys.readouterr().out == "key  state  active  last event  rows\n"


def test_show(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """An event to a line, with everything that it tells."""
    assert main(["journal", "show", url, "call-42"]) == 0
    assert capsys.readouterr().out == (
        "0  2024-05-17 12:30:15.123Z  01234567  RunStarted\n"
        "1  2024-05-17 12:30:15.123Z  01234567  StepEntered step=email number=1 again=false\n"
    )


@pytest.mark.parametrize(
    ("event", "line"),
    [
        ("no JSON\x1b", "no JSON\\x1b"),
        ("[1, 2]", "[1, 2]"),
        ('{"number": 1}', "? number=1"),
        ('{"event": ["x"], "value": {"a": [null]}}', "['x'] value={\"a\": [null]}"),
        ('{"event": "A", "value": "two\\nlines"}', "A value=two\\nlines"),
        ("[" * 200_000, "[" * 200_000),
    ],
    ids=["text", "list", "no kind", "odd kind", "two lines", "deep"],
)
def test_unknown_events(event: str, line: str) -> None:
    """What another version wrote, or nobody knows, is shown as well as it goes."""
    assert commands.event_of(event) == line


def test_forget(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It says how many rows were deleted; the second time there is nothing to delete."""
    assert main(["journal", "forget", url, "call-42"]) == 0
    assert capsys.readouterr().out == "2 rows deleted\n"
    assert main(["journal", "forget", url, "call-42"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "python -m reflow journal: there is no run with the key 'call-42'\n"
    assert main(["journal", "list", url]) == 0
    assert "call-42" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["show", "{url}", "unknown"], "there is no run with the key 'unknown'"),
        (["list", "sqlite:///{folder}/typo.db"], "there is no file"),
        (["list", "runs.db"], "a journal's URL is sqlite:///relative.db"),
        (["show", "memory:", "key"], "there is no run with the key 'key'"),
        (
            ["list", "postgresql:///runs?host={folder}"],
            "database runs at {folder} can't be reached",
        ),
    ],
    ids=["key", "file", "url", "memory", "server"],
)
def test_errors(
    url: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    said: str,
) -> None:
    """What can't be done is a line on the standard error, and the exit code 1."""
    filled_in = [argument.format(url=url, folder=tmp_path) for argument in arguments]
    assert main(["journal", *filled_in]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said.format(folder=tmp_path) in captured.err
    assert captured.err.count("\n") == 1
    assert not (tmp_path / "typo.db").exists()


@pytest.mark.parametrize("arguments", [[], ["list"], ["show", "memory:"], ["delete", "memory:"]])
def test_usage(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    """Wrong usage has the exit code 2, and shows the right one."""
    with pytest.raises(SystemExit) as ended:
        main(["journal", *arguments])
    assert ended.value.code == 2
    assert "usage: python -m reflow journal" in capsys.readouterr().err


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever asks for help learns of the journals."""
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "python -m reflow journal --help" in " ".join(capsys.readouterr().out.split())


def test_narrow_output(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the output has no such character, its number is printed."""
    with io.TextIOWrapper(io.BytesIO(), "ascii") as output:
        monkeypatch.setattr(sys, "stdout", output)
        assert main(["journal", "list", url]) == 0
        output.seek(0)
        assert "Zo\\xeb\\n  " in output.read()


def test_nobody_reads_the_output(url: str) -> None:
    """A pipe that ends early, as with `head`, is no traceback."""
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-W", "error", "-m", "reflow", "journal", "list", url]
    with os.fdopen(writing, "wb") as output:
        done = subprocess.run(command, check=False, stdout=output, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (1, b"")


def test_ctrl_c(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl+C ends with the exit code that shells give it."""

    async def interrupted(*_: object) -> list[str]:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "list_runs", interrupted)
    assert main(["journal", "list", url]) == 130
