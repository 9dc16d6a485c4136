"""The intake on standard input and output."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from functools import partial
from io import TextIOWrapper
from typing import TYPE_CHECKING

import anyio
import trio
from rich.console import Console as Screen

from reflow import FlowChangedError, JournalError, RunStoppedError
from reflow.journal import MemoryJournal, open_journal

from .commands import Commands
from .console import Console
from .intake import ANSWERS, intake
from .keyboard import open_keyboard
from .news import News, left, promise, signed
from .words import OFF, ON, Words, understood

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TextIO

    from reflow import Journal


def main(
    backend: str, url: str | None = None, key: str | None = None, *, livekit: bool = False
) -> int:
    """Run the intake; say how it ended.

    Args:
        backend: asyncio or trio.
        url: of the journal that the answers are kept in, if they are.
        key: what they are kept under.
        livekit: whether an agent of LiveKit asks; on asyncio only.

    Returns:
        The exit code: 0 when the contract is confirmed, 1 when it was left before, or when the
        journal can't be used, 130 when it was left with Ctrl+C.
    """
    stdout: object = sys.stdout
    if isinstance(stdout, TextIOWrapper):
        # An answer may hold what the terminal can't show.
        stdout.reconfigure(errors="replace")
    screen = Screen()
    code = 1
    with ExitStack() as stack:
        try:
            journal = None if url is None else open_journal(url)
            if not (journal is None or isinstance(journal, MemoryJournal)):
                stack.enter_context(journal)
            leads = _agent() if livekit else converse
            lead = partial(leads, sys.stdin, screen, journal, key)
            if backend == "trio":
                # Ctrl+C ends what waits, as on asyncio; never what is half printed. Not every
                # version of anyio passes that on.
                code = trio.run(lead, restrict_keyboard_interrupt_to_checkpoints=True)
            else:
                code = anyio.run(lead, backend=backend)
        except* KeyboardInterrupt:
            code = 130
        except* SystemExit:
            # That is how rich says that nobody reads the output any more.
            pass
        except* (FlowChangedError, JournalError) as failed:
            for error in failed.exceptions:
                print(f"python -m reflow: {explained(error)}", file=sys.stderr)  # noqa: T201 - as programs do
    if code == 130:
        screen.print(f"Interrupted, nothing was signed.{promise(key)}", soft_wrap=True)
    return code


def _agent() -> Callable[[TextIO | None, Screen, Journal | None, str | None], Awaitable[int]]:
    # Not always installed, and it takes its time.
    from .agent.conversation import converse as lead  # noqa: PLC0415

    return lead


async def converse(
    stdin: TextIO | None, screen: Screen, journal: Journal | None = None, key: str | None = None
) -> int:
    """Lead the conversation; give the exit code."""
    with open_keyboard(stdin) as keyboard:
        words = Words() if understood() else None
        console = Console(keyboard, screen, Commands(intake.steps, ANSWERS), words)
        console.say("Insurance intake. Type help at any question to see what else you can do.")
        console.say(f"{OFF if words is None else ON}\n")
        news = News(console)
        run = news.run = intake.prepare(console, observers=[news], journal=journal, key=key)
        try:
            results = await run.drive()
        except RunStoppedError as stopped:
            left(console, stopped.reason, key)
            return 1
        signed(console, results, news)
    return 0


def explained(error: Exception) -> str:
    """Give a sentence for the person; what else there is to know is for programmers."""
    if isinstance(error, FlowChangedError):
        changes = "; ".join(error.differences)
        return f"this key was used when the questions were others ({changes}): choose another key"
    return str(error)
