"""The intake on standard input and output."""

from __future__ import annotations

import sys
from functools import partial
from io import TextIOWrapper
from typing import TYPE_CHECKING

import anyio
import attrs
import trio
from rich.console import Console as Screen

from reflow import RunStoppedError, StepAnswered, StepsMadeStale

from .commands import Commands
from .console import Console
from .intake import ANSWERS, Contract, contract, intake
from .keyboard import open_keyboard
from .progress import display

if TYPE_CHECKING:
    from typing import TextIO

    from reflow import Event


def main(backend: str) -> int:
    """Run the intake; say how it ended.

    Args:
        backend: asyncio or trio.

    Returns:
        The exit code: 0 when the contract is confirmed, 1 when it was left before, 130 when that
        was done with Ctrl+C.
    """
    stdout: object = sys.stdout
    if isinstance(stdout, TextIOWrapper):
        # An answer may hold what the terminal can't show.
        stdout.reconfigure(errors="replace")
    screen = Screen()
    code = 1
    try:
        lead = partial(converse, sys.stdin, screen)
        if backend == "trio":
            # Ctrl+C ends what waits, as on asyncio; never what is half printed. Not every version
            # of anyio passes that on.
            code = trio.run(lead, restrict_keyboard_interrupt_to_checkpoints=True)
        else:
            code = anyio.run(lead, backend=backend)
    except* KeyboardInterrupt:
        code = 130
    except* SystemExit:
        # That is how rich says that nobody reads the output any more.
        pass
    if code == 130:
        screen.print("Interrupted, nothing was signed.")
    return code


async def converse(stdin: TextIO | None, screen: Screen) -> int:
    """Lead the conversation; give the exit code."""
    with open_keyboard(stdin) as keyboard:
        console = Console(keyboard, screen, Commands(intake.steps, ANSWERS))
        console.say("Insurance intake. Type help at any question to see what else you can do.\n")

        def tell(event: Event) -> None:
            match event:
                case StepAnswered(step, value, sensitive=sensitive):
                    console.say(f"Noted: {step} is {display(value, sensitive=sensitive)}.")
                case StepsMadeStale(by, steps) if steps:
                    console.say(f"{by} has changed, so this is asked again: {', '.join(steps)}.")
                case _:
                    pass

        run = intake.prepare(console, observers=[tell])
        try:
            results = await run.drive()
        except RunStoppedError as stopped:
            console.say(f"Left early, nothing was signed: {stopped.reason}.")
            return 1
        console.say("\nSigned. The typed results:")
        signed = contract(results)
        for field in attrs.fields(Contract):
            console.say(f"  {field.name}: {field.type} = {getattr(signed, field.name)!r}")
    return 0
