"""`python -m reflow --livekit` as a process of its own: pipes and terminals."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pexpect
import pytest
from demo_process import command, terminal
from person import ANSWERED, CARD, typist

from reflow.__main__ import main

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path

posix = pytest.mark.skipif(sys.platform == "win32", reason="other signals and terminals there")
AGENT = command("asyncio", "--livekit")


@pytest.fixture
def types(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Generator[Callable[[Sequence[str]], None]]:
    """Give what types lines."""
    yield from typist(monkeypatch, tmp_path / "input")


def test_from_the_inside(
    types: Callable[[Sequence[str]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """The option gives the conversation to the agent; what is read and printed stays the same."""
    types([*ANSWERED, "yes"])
    assert main(["--livekit"]) == 0
    printed = capsys.readouterr()
    assert "by an agent of LiveKit" in printed.out
    assert printed.out.endswith("card: Card | None = Card(number=<set>)\n")
    assert printed.err == ""


@posix
def test_pipe() -> None:
    """On a pipe the conversation reads well, nothing else is printed, and it ends."""
    wrong = CARD.replace("4", "5")
    lines = [*ANSWERED[:3], "where", "back name", "Eve", *ANSWERED[3:-1], wrong, CARD]
    typed = "\n".join([*lines, "where", "yes", "never", "read"]).encode()
    done = subprocess.run(AGENT, input=typed, check=False, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    printed = done.stdout.decode()
    assert "(1/9) Your full name? [Ada Lovelace]\n> \n(4/9) Your date of birth" in printed
    assert "name: str = 'Eve'" in printed
    assert printed.endswith("card: Card | None = Card(number=<set>)\n")
    assert "\x1b" not in printed
    assert "1111" not in printed


@posix
def test_interrupted_on_a_pipe() -> None:
    """Ctrl+C ends the session while nothing comes in; nothing is logged."""
    with subprocess.Popen(
        AGENT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        printed = b""
        while not printed.endswith(b"Your full name?\n> "):
            byte = process.stdout.read(1)
            assert byte, "it ended before it asked"
            printed += byte
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert process.stdout.read() == b"\nInterrupted, nothing was signed.\n"
        assert process.stderr.read() == b""


@posix
def test_terminal() -> None:
    """On a terminal the card doesn't show while it is typed, and Ctrl+D is an end."""
    child = terminal("asyncio", "--livekit", NO_COLOR="1")
    child.expect(r"\(1/9\) Your full name\?\r\n> ")
    child.send("".join(f"{line}\n" for line in ANSWERED[:-1]))
    child.expect(r"\(8/9\) .* \(not shown\)\r\n> ")
    child.waitnoecho()
    child.sendline(CARD)
    child.expect(r"\(9/9\) .*\r\n> ")
    assert "1111" not in child.before
    assert child.getecho()
    child.sendeof()
    child.expect("\r\nLeft early, nothing was signed: the input has ended.\r\n")
    child.expect(pexpect.EOF)
    assert child.wait() == 1
