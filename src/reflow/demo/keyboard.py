"""Where the lines come from: a terminal, a pipe or a file; waiting for them can be cancelled."""

from __future__ import annotations

import sys
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from io import FileIO
from socket import socketpair
from threading import Thread
from typing import TYPE_CHECKING, Final, final

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from contextlib import AbstractContextManager
    from socket import socket
    from typing import TextIO

LONGEST: Final = 1000
"""No answer has more characters."""
# Of a longer line only so many bytes are kept: enough to see that it is too long.
_KEPT: Final = 4 * LONGEST + 4


@final
class Keyboard:
    """What a console reads from.

    Args:
        typed: gives what was typed, as it comes in.
        encoding: of what was typed.
        echoes: whether a person sees what is typed: it is a terminal.
        hidden: keeps the terminal from showing what is typed meanwhile.
    """

    def __init__(
        self,
        typed: socket,
        encoding: str = "utf-8",
        *,
        echoes: bool = False,
        hidden: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._typed = typed
        self._encoding = encoding
        self._begun = b""
        self.echoes: Final = echoes
        self.hidden: Final = hidden

    async def line(self) -> str:
        """Wait for the next line; whoever is cancelled meanwhile leaves it to the one after.

        Raises:
            EOFError: when there are no more lines.
        """
        while b"\n" not in self._begun:
            # Only this is cancelled: what has been taken out of the socket is kept at once.
            await anyio.wait_readable(self._typed)
            chunk = self._typed.recv(65536)
            # The last line may lack its end.
            if not (chunk or self._begun):
                raise EOFError
            self._begun = self._begun[:_KEPT] + (chunk or b"\n")
        line, _, self._begun = self._begun.partition(b"\n")
        # Whatever can't be decoded is for the console to refuse, with a sentence.
        return line.decode(self._encoding, errors="replace")


@contextmanager
def open_keyboard(stdin: TextIO | None) -> Generator[Keyboard]:
    """Read from standard input for as long as the context lasts.

    Reading blocks, and no way to wait for input knows terminals, pipes and files on every platform.
    So one thread reads for all prompts, and passes everything on through a socket, which can be
    waited for: a prompt that is cancelled leaves no reader behind that would eat a line.

    Args:
        stdin: standard input; None, as `sys.stdin` is when it was closed, has no lines.
    """
    typed, passed_on = socketpair()
    with typed:
        if stdin is None:
            passed_on.close()
            yield Keyboard(typed)
            return
        # A daemon: nothing but input would end its reading when the conversation is over.
        passing = (stdin.fileno(), passed_on)
        Thread(target=_pass_on, args=passing, name="keyboard", daemon=True).start()
        hidden = partial(_hidden, stdin)
        yield Keyboard(typed, stdin.encoding, echoes=stdin.isatty(), hidden=hidden)


def _pass_on(fd: int, to: socket) -> None:
    # Until nobody listens any more, or the terminal went away: that is an end, too. Not through
    # `sys.stdin`, since Python aborts when a thread still holds its lock in the end.
    with to, suppress(OSError), FileIO(fd, closefd=False) as file:
        while chunk := file.read(65536):
            to.sendall(chunk)


@contextmanager
def _hidden(stdin: TextIO) -> Generator[None]:
    if sys.platform == "win32" or not stdin.isatty():
        yield
        return
    import termios  # noqa: PLC0415 - not on every platform

    before = termios.tcgetattr(stdin)
    silent = [*before[:3], before[3] & ~termios.ECHO | termios.ECHONL, *before[4:]]
    # At once, so that nothing that was typed ahead is dropped.
    termios.tcsetattr(stdin, termios.TCSANOW, silent)
    try:
        yield
    finally:
        termios.tcsetattr(stdin, termios.TCSANOW, before)
