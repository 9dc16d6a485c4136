"""Where the lines come from: terminals, pipes, files, and nothing at all."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import contextmanager
from socket import socketpair
from typing import TYPE_CHECKING

import anyio
import pytest

from reflow.demo.keyboard import LONGEST, Keyboard, open_keyboard

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

pytestmark = pytest.mark.anyio


async def all_of(keyboard: Keyboard) -> list[str]:
    """Read to the end."""
    lines: list[str] = []
    while True:
        try:
            lines.append(await keyboard.line())
        except EOFError:
            return lines


@contextmanager
def typed(text: bytes) -> Generator[Keyboard]:
    """Give a keyboard on which this has been typed."""
    hands, socket = socketpair()
    with hands, socket:
        hands.sendall(text)
        hands.close()
        yield Keyboard(socket)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"a\nb\n", ["a", "b"]),
        (b"a\r\nwithout an end", ["a\r", "without an end"]),
        ("Zoë\n".encode(), ["Zoë"]),
        (b"\xff\xc3\nb\n", ["\N{REPLACEMENT CHARACTER}" * 2, "b"]),
    ],
)
async def test_lines(text: bytes, lines: list[str]) -> None:
    """Lines come as they were typed, whatever the bytes, and the end is an end each time."""
    with typed(text) as keyboard:
        assert await all_of(keyboard) == lines
        with pytest.raises(EOFError):
            await keyboard.line()


async def test_endless_line(tmp_path: Path) -> None:
    """Of a line that is too long only enough is kept to see that, and the next one is whole."""
    path = tmp_path / "input"
    path.write_text("é" * 1_000_000 + "\nb\n", encoding="utf-8")
    with path.open(encoding="utf-8") as file, open_keyboard(file) as keyboard:
        long, after = await all_of(keyboard)
    assert LONGEST < len(long) < 200_000
    assert after == "b"


async def test_file(tmp_path: Path) -> None:
    """A regular file is read, which selectors can't wait for."""
    path = tmp_path / "input"
    path.write_bytes(b"a\nb\n")
    with path.open(encoding="utf-8") as file, open_keyboard(file) as keyboard:
        assert not keyboard.echoes
        assert await all_of(keyboard) == ["a", "b"]
        with keyboard.hidden():
            """There is no terminal to keep from showing anything."""


async def test_pipe_that_nobody_reads_any_more() -> None:
    """More input than anybody asked for is no error, neither here nor in the thread."""
    reading, writing = os.pipe()
    with os.fdopen(reading) as file, os.fdopen(writing, "wb", buffering=0) as hands:
        with open_keyboard(file) as keyboard:
            hands.write(b"a\n")
            assert await keyboard.line() == "a"
        hands.write(b"b\n")
        for thread in threading.enumerate():
            if thread.name == "keyboard":
                thread.join()


async def test_no_standard_input() -> None:
    """A standard input that was closed has no lines."""
    with open_keyboard(None) as keyboard:
        assert await all_of(keyboard) == []


async def test_unreadable_input() -> None:
    """What can't be read has no lines."""
    reading, writing = os.pipe()
    with os.fdopen(reading), os.fdopen(writing, "w") as file, open_keyboard(file) as keyboard:
        assert await all_of(keyboard) == []


async def test_cancelled_while_waiting() -> None:
    """Who is cancelled while waiting leaves the line to whoever comes next."""
    hands, socket = socketpair()
    with hands, socket:
        keyboard = Keyboard(socket)
        hands.sendall(b"a")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(keyboard.line)
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        hands.sendall(b"b\nc\n")
        assert [await keyboard.line(), await keyboard.line()] == ["ab", "c"]


if sys.platform != "win32":
    import termios

    async def test_terminal() -> None:
        """A terminal shows what is typed, except while it shall not; line ends are always shown."""
        hands, terminal = os.openpty()
        with os.fdopen(terminal) as file, open_keyboard(file) as keyboard:
            assert keyboard.echoes
            before = termios.tcgetattr(file)
            with keyboard.hidden():
                shown = termios.tcgetattr(file)[3]
            assert not shown & termios.ECHO
            assert shown & termios.ECHONL
            assert termios.tcgetattr(file) == before
            os.write(hands, b"a\n")
            assert await keyboard.line() == "a"
            # The terminal goes away, as when its window is closed.
            os.close(hands)
            assert await all_of(keyboard) == []
