"""The intake on standard input and output."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from functools import partial
from io import TextIOWrapper
from typing import TYPE_CHECKING

import anyio
import attrs
import trio
from rich.console import Console as Screen

from reflow import (
    FlowChangedError,
    JournalError,
    Opened,
    Reason,
    RunStoppedError,
    StepAnswered,
    StepEntered,
    StepsMadeStale,
)
from reflow.journal import MemoryJournal, open_journal

from .commands import Commands
from .console import Console
from .intake import ANSWERS, Contract, card, contract, intake, name
from .keyboard import open_keyboard
from .progress import display
from .words import OFF, ON, Words, understood

if TYPE_CHECKING:
    from typing import TextIO

    from reflow import Event, Journal, Results, Run

UNKEPT = "Your card is sensitive: it is never kept, so it is asked for again."


def main(backend: str, url: str | None = None, key: str | None = None) -> int:
    """Run the intake; say how it ended.

    Args:
        backend: asyncio or trio.
        url: of the journal that the answers are kept in, if they are.
        key: what they are kept under.

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
            lead = partial(converse, sys.stdin, screen, journal, key)
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


async def converse(
    stdin: TextIO | None, screen: Screen, journal: Journal | None = None, key: str | None = None
) -> int:
    """Lead the conversation; give the exit code."""
    with open_keyboard(stdin) as keyboard:
        words = Words() if understood() else None
        console = Console(keyboard, screen, Commands(intake.steps, ANSWERS), words)
        console.say("Insurance intake. Type help at any question to see what else you can do.")
        console.say(f"{OFF if words is None else ON}\n")
        goes_on = False

        def tell(event: Event) -> None:
            nonlocal goes_on
            goes_on = True
            match event:
                case Opened(resumed=True):
                    welcome(console, run)
                case StepEntered(step=card.id, reason=Reason.RECOVERED):
                    console.say(UNKEPT)
                case StepAnswered(step, value, sensitive=sensitive):
                    console.say(f"Noted: {step} is {display(value, sensitive=sensitive)}.")
                case StepsMadeStale(by, steps) if steps:
                    console.say(f"{by} has changed, so this is asked again: {', '.join(steps)}.")
                case _:
                    pass

        run = intake.prepare(console, observers=[tell], journal=journal, key=key)
        try:
            results = await run.drive()
        except RunStoppedError as stopped:
            reason = f"Left early, nothing was signed: {stopped.reason}."
            console.say(f"{reason}{promise(key)}")
            return 1
        # Of a run that is complete in the journal nothing is told.
        console.say("\nSigned. The typed results:" if goes_on else "This is signed already:")
        show(console, results)
    return 0


def welcome(console: Console, run: Run) -> None:
    """Greet somebody who was here before, and show what is kept."""
    known = run.results.get(name)
    console.say(f"Welcome back{'' if known is None else f', {known}'}! This is what is kept:")
    console.where(run)
    console.say("")


def show(console: Console, results: Results) -> None:
    """Show the contract."""
    signed = contract(results)
    for field in attrs.fields(Contract):
        value: object = getattr(signed, field.name)
        hidden = field.name == card.id and value is None
        console.say(f"  {field.name}: {field.type} = {'not kept' if hidden else repr(value)}")


def promise(key: str | None) -> str:
    """Say how to go on, if that is possible."""
    return "" if key is None else " Your answers are kept: the same command goes on with them."


def explained(error: Exception) -> str:
    """Give a sentence for the person; what else there is to know is for programmers."""
    if isinstance(error, FlowChangedError):
        changes = "; ".join(error.differences)
        return f"this key was used when the questions were others ({changes}): choose another key"
    return str(error)
