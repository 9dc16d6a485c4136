"""`python -m reflow` as a process of its own: on pipes, files and terminals."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

import pexpect
import pytest
from demo_process import command, terminal
from person import ANSWERED, CARD

if TYPE_CHECKING:
    from collections.abc import Generator

pytestmark = [
    pytest.mark.parametrize("backend", ["asyncio", "trio"]),
    pytest.mark.skipif(sys.platform == "win32", reason="other signals and terminals there"),
]


def talk(backend: str, typed: bytes, **env: str) -> tuple[int, str]:
    """Run the program on pipes; give its exit code and what it printed."""
    done = subprocess.run(
        command(backend),
        input=typed,
        check=False,
        capture_output=True,
        env={**os.environ, **env},
        timeout=60,
    )
    assert done.stderr == b""
    return done.returncode, done.stdout.decode()


def test_pipe(backend: str) -> None:
    """On a pipe the conversation reads well: no colours, no card number, and an end."""
    lines = [*ANSWERED[:3], "where", *ANSWERED[3:], "where", "yes", "never", "read"]
    code, printed = talk(backend, "\n".join(lines).encode())
    assert code == 0
    assert printed.endswith("card: Card | None = Card(number=<set>)\n")
    assert "\x1b" not in printed
    assert "1111" not in printed


def test_end_of_garbage(backend: str) -> None:
    """Bytes that are no text are refused like any bad answer, and the end of input is an end."""
    code, printed = talk(backend, b"\xff\xfe\n\x00\nAda\n" + b"x" * 300_000)
    assert code == 1
    assert printed.count("(1/9)") == 3
    assert printed.count("can't be read") == 2
    assert "That is too long" in printed
    assert printed.endswith("\nLeft early, nothing was signed: the input has ended.\n")


def test_output_that_knows_only_ascii(backend: str) -> None:
    """What the output can't show is replaced, and the list has marks that it can."""
    typed = b"Ada\nada@xn--exmple-cua.org\nwhere\n"
    code, printed = talk(backend, typed, PYTHONIOENCODING="ascii")
    assert code == 1
    assert "+  2  email      done       ada@ex?mple.org" in printed


def test_closed_input(backend: str) -> None:
    """Without a standard input there is nothing to read, and that is said."""
    shell = ["sh", "-c", 'exec "$@" <&-', "sh", *command(backend)]
    done = subprocess.run(shell, check=False, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (1, b"")
    assert b"the input has ended" in done.stdout


@contextmanager
def at_the_prompt(backend: str) -> Generator[tuple[subprocess.Popen[bytes], IO[bytes], IO[bytes]]]:
    """Run the program on pipes until it waits; give its input and its output."""
    with subprocess.Popen(
        command(backend), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        printed = b""
        while not printed.endswith(b"Your full name? "):
            byte = process.stdout.read(1)
            assert byte, "it ended before it asked"
            printed += byte
        yield process, process.stdin, process.stdout
        assert process.stderr.read() == b""


def test_interrupted_on_a_pipe(backend: str) -> None:
    """Ctrl+C is heard while nothing comes in, although a thread is blocked by reading."""
    with at_the_prompt(backend) as (process, _, printed):
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
        assert printed.read() == b"\nInterrupted, nothing was signed.\n"


def test_nobody_reads_the_output(backend: str) -> None:
    """A broken pipe ends the program without a word, as for example `| head` expects."""
    with at_the_prompt(backend) as (process, typed, printed):
        printed.close()
        typed.write(b"Ada\n")
        typed.flush()
        assert process.wait(60) == 1


def test_terminal(backend: str) -> None:
    """On a terminal there are colours, commands at every prompt, and the card doesn't show."""
    child = terminal(backend)
    child.expect(r"\x1b\[36m\(1/9\)\x1b\[0m Your full name\? ")
    # Typed ahead: nothing of it is lost.
    child.send("Ada\nada@example.org\nskip\n")
    child.expect(r"\(4/9\)")
    child.sendline("back email name")
    child.expect(r"\(2/9\).*\[ada@example.org\]")
    child.sendline("")
    child.expect(r"\(1/9\).*\[Ada\]")
    child.sendline("Eve")
    child.expect(r"\(4/9\)")
    child.sendline("answer birthday 1990-12-10")
    child.expect(r"\(5/9\)")
    child.sendline("1")
    child.expect(r"\(7/9\)")
    child.sendline("2")
    child.expect(r"\(8/9\).*\(not shown\) ")
    child.waitnoecho()
    child.sendline(CARD)
    child.expect("These are your answers:")
    unseen = child.before
    child.expect(r"\(9/9\)")
    child.sendline("where")
    child.expect("asked now")
    child.expect(r"\(9/9\)")
    unseen += child.before
    child.sendline("yes")
    child.expect(pexpect.EOF)
    unseen += child.before
    assert child.wait() == 0
    assert "1111" not in unseen
    assert "name: str = 'Eve'" in unseen


def test_interrupted_on_a_terminal(backend: str) -> None:
    """Ctrl+C ends the program at once, even at the prompt that hides what is typed."""
    child = terminal(backend, NO_COLOR="1")
    child.expect(r"\(1/9\) Your full name\? ")
    child.send("".join(f"{line}\n" for line in ANSWERED[:-1]))
    child.expect(r"\(8/9\) ")
    child.waitnoecho()
    child.sendintr()
    child.expect("Interrupted, nothing was signed.\r\n")
    child.expect(pexpect.EOF)
    assert child.getecho()
    assert child.wait() == 130


def test_end_of_input_on_a_terminal(backend: str) -> None:
    """Ctrl+D ends the program with a sentence on a line of its own."""
    child = terminal(backend, NO_COLOR="1")
    child.expect(r"\(1/9\) Your full name\? ")
    child.sendeof()
    child.expect("\r\nLeft early, nothing was signed: the input has ended.\r\n")
    child.expect(pexpect.EOF)
    assert child.wait() == 1
