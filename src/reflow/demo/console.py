"""What the steps talk to: a person, a line at a time."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, TypeVar, final

from anyio.lowlevel import checkpoint
from rich.text import Text

from .keyboard import LONGEST
from .progress import display, progress

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console as Screen

    from reflow import Run, Visit

    from .commands import Commands
    from .keyboard import Keyboard
    from .words import Words

T = TypeVar("T")


@final
class Console:
    """Asks a person and tells them something.

    Args:
        keyboard: where the answers come from.
        screen: where everything is printed.
        commands: what may be typed instead of an answer.
        words: what free text may ask for, if it can be read.
    """

    def __init__(
        self, keyboard: Keyboard, screen: Screen, commands: Commands, words: Words | None = None
    ) -> None:
        self.screen = screen
        self._keyboard = keyboard
        self._commands = commands
        self._words = words

    async def ask(
        self,
        visit: Visit[object],
        question: str,
        parse: Callable[[str], T],
        *,
        keep: T | None = None,
    ) -> T:
        """Ask until the answer is a good one; obey the commands that are typed instead of it.

        Waiting for the person can be interrupted at any time, and no line is lost by that. What is
        typed for a sensitive step doesn't show.

        Args:
            visit: the visit that asks.
            question: the question.
            parse: makes the answer of what was typed, or raises `ValueError` with a sentence for
                the person.
            keep: an earlier answer: offered, and kept when nothing is typed.

        Returns:
            The answer.
        """
        prompt = self.prompt(visit, question, keep)
        while True:
            # A command may have ended this visit; then nothing is asked any more.
            await checkpoint()
            try:
                line = await self.line(prompt, hidden=visit.step.sensitive)
            except EOFError:
                visit.stop("the input has ended")
            try:
                if not await self._obeyed(visit, readable(line)):
                    return keep if keep is not None and not line else parse(line)
            except ValueError as sentence:
                self.say(str(sentence), style="red")

    def say(self, text: str, *, style: str = "") -> None:
        """Print a text; its lines are only broken to fit a terminal."""
        self.screen.print(Text(text, style), soft_wrap=not self.screen.is_terminal)

    def where(self, run: Run) -> None:
        """Print where every step of a run stands."""
        ascii_only = self.screen.options.ascii_only
        self.screen.print(progress(run, self._commands.steps, ascii_only=ascii_only))

    def prompt(self, visit: Visit[object], question: str, keep: object) -> Text:
        """Give a question with its place in the flow, and with the answer that may be kept."""
        steps = self._commands.steps
        place = f"({steps.index(visit.step) + 1}/{len(steps)})"
        unseen = " (not shown)" if visit.step.sensitive and self._keyboard.echoes else ""
        offer = "" if keep is None else f" [{display(keep, sensitive=visit.step.sensitive)}]"
        return Text.assemble((place, "cyan"), f" {question}{unseen}", (offer, "green"))

    async def line(self, prompt: Text, *, hidden: bool) -> str:
        """Wait for a line.

        Args:
            prompt: what to print before it.
            hidden: whether what is typed doesn't show.

        Raises:
            EOFError: when there are no more lines.
        """
        with self._keyboard.hidden() if hidden else nullcontext():
            self.screen.print(prompt, end=" ", soft_wrap=not self.screen.is_terminal)
            try:
                line = await self._keyboard.line()
            except BaseException:
                # What comes next shall not stand behind the question.
                self.screen.print()
                raise
        if not self._keyboard.echoes:
            self.screen.print()
        return " ".join(line.split())

    async def _obeyed(self, visit: Visit[object], line: str) -> bool:
        if self._commands.obey(visit, self, line):
            return True
        return self._words is not None and await self._words.obey(visit, self, line)


def readable(line: str) -> str:
    """Give the line, if it is one that a person can have meant.

    Raises:
        ValueError: if it isn't.
    """
    if len(line) > LONGEST:
        message = f"That is too long: an answer has up to {LONGEST} characters."
        raise ValueError(message)
    # Arrow keys and the like come in as control characters; what couldn't be decoded as this one.
    if not line.isprintable() or "\N{REPLACEMENT CHARACTER}" in line:
        message = "There are characters in that line that can't be read. Please type it again."
        raise ValueError(message)
    return line
