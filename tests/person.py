"""The person at the console: what the tests of the demo type, and what is printed for it."""

from __future__ import annotations

import re
import sys
from io import StringIO
from socket import socketpair
from typing import TYPE_CHECKING, Self, final

import pytest
from anyio.lowlevel import checkpoint
from rich.console import Console as Screen

from reflow.demo.commands import Commands
from reflow.demo.console import Console
from reflow.demo.intake import ANSWERS, intake
from reflow.demo.keyboard import Keyboard
from reflow.demo.words import Words

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from pathlib import Path
    from types import TracebackType

    from reflow import Flow
    from reflow.demo.intake import Interviewer

CARD = "4111 1111 1111 1111"
ANSWERED = ["Ada Lovelace", "ada@example.org", "skip", "1990-12-10", "comfort", "Drew", CARD]
"""What leads to the confirmation."""


@final
class Person:
    """Has a console to itself, for as long as the context lasts.

    Args:
        lines: what is typed already.
        flow: what the console is for.
        echoes: whether it is at a terminal, which shows what is typed.
        words: whether free text is read.
    """

    def __init__(
        self,
        *lines: str,
        flow: Flow[Console] | Flow[Interviewer] = intake,
        echoes: bool = False,
        words: bool = False,
    ) -> None:
        self._hands, self._typed = socketpair()
        self._paper = StringIO()
        commands = Commands(flow.steps, ANSWERS)
        keyboard = Keyboard(self._typed, echoes=echoes)
        screen = Screen(file=self._paper, width=80)
        self.console = Console(keyboard, screen, commands, Words() if words else None)
        self.types(*lines)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.leaves()
        self._typed.close()

    def types(self, *lines: str) -> None:
        """Type some lines."""
        self._hands.sendall("".join(f"{line}\n" for line in lines).encode())

    def leaves(self) -> None:
        """Type nothing any more."""
        self._hands.close()

    async def waits_for(self, text: str) -> None:
        """Wait until a text is printed: within these turns of the event loop, or never."""
        for _ in range(1000):
            if text in self.sees:
                return
            await checkpoint()
        pytest.fail(f"{text!r} was never printed")

    @property
    def sees(self) -> str:
        """Everything that was printed."""
        return self._paper.getvalue()

    @property
    def asked(self) -> list[str]:
        """The ids of the steps in the order in which they put their questions."""
        numbers: list[str] = re.findall(r"^\((\d)/9\)", self.sees, re.MULTILINE)
        return [intake.steps[int(number) - 1].id for number in numbers]


def typist(
    monkeypatch: pytest.MonkeyPatch, path: Path
) -> Generator[Callable[[Sequence[str]], None]]:
    """Give what types lines, instead of those before: a file of them is the standard input."""
    with path.open("w+", encoding="utf-8") as file:
        monkeypatch.setattr(sys, "stdin", file)

        def types(lines: Sequence[str]) -> None:
            file.seek(0)
            file.truncate()
            file.write("\n".join(lines))
            file.seek(0)

        yield types
