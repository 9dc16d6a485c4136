"""The intake in a terminal, killed or interrupted, and gone on with by another process."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import pexpect
import pytest
from demo_process import terminal
from person import ANSWERED, CARD

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.parametrize("backend", ["asyncio", "trio"]),
    pytest.mark.skipif(sys.platform == "win32", reason="other signals and terminals there"),
]


def kept(backend: str, folder: Path) -> pexpect.spawn:
    """Run the program, always with the same arguments."""
    url = f"sqlite:///{folder}/intake.db"
    return terminal(backend, "--journal", url, "--key", "call-42", NO_COLOR="1")


def at_the_card(backend: str, folder: Path) -> pexpect.spawn:
    """Answer until the card is asked for."""
    child = kept(backend, folder)
    child.expect(r"\(1/9\) Your full name\? ")
    child.send("".join(f"{line}\n" for line in ANSWERED[:-1]))
    child.expect(r"\(8/9\) ")
    child.waitnoecho()
    return child


def signs(child: pexpect.spawn) -> None:
    """Be welcomed at the card, and sign."""
    child.expect("Welcome back, Ada Lovelace! This is what is kept:\r\n")
    child.expect(r"8  card +to come")
    child.expect("never kept, so it is asked for again")
    child.expect(r"\(8/9\) ")
    assert "/9)" not in child.before
    child.waitnoecho()
    child.sendline(CARD)
    child.expect(r"\(9/9\) ")
    child.sendline("yes")
    child.expect("Signed. The typed results:")
    child.expect(pexpect.EOF)
    assert child.wait() == 0


def test_killed(backend: str, tmp_path: Path) -> None:
    """After kill -9 at the card, the same command goes on there."""
    child = at_the_card(backend, tmp_path)
    child.kill(signal.SIGKILL)
    child.expect(pexpect.EOF)
    child.wait()
    assert child.signalstatus == signal.SIGKILL
    signs(kept(backend, tmp_path))


def test_interrupted(backend: str, tmp_path: Path) -> None:
    """After Ctrl+C, too; and that is promised."""
    child = at_the_card(backend, tmp_path)
    child.sendintr()
    child.expect("Interrupted, nothing was signed. Your answers are kept: ")
    child.expect(pexpect.EOF)
    assert child.wait() == 130
    signs(kept(backend, tmp_path))


def test_taken_over(backend: str, tmp_path: Path) -> None:
    """Of two processes with the same key the later one goes on, the other one ends and says so."""
    child = at_the_card(backend, tmp_path)
    other = kept(backend, tmp_path)
    other.expect("Welcome back, Ada Lovelace!")
    other.expect(r"\(8/9\) ")
    child.sendline(CARD)
    child.expect("python -m reflow: the run of flow 'intake' with key 'call-42'")
    child.expect("another process goes on with this run")
    child.expect(pexpect.EOF)
    assert "Traceback" not in child.before
    assert child.wait() == 1
    other.waitnoecho()
    other.sendline(CARD)
    other.expect(r"\(9/9\) ")
    other.sendline("yes")
    other.expect(pexpect.EOF)
    assert other.wait() == 0
