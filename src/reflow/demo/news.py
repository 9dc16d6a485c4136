"""What the person is told of the run, and how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

import attrs

from reflow import Opened, Reason, StepAnswered, StepEntered, StepsMadeStale

from .intake import Contract, card, contract, name
from .progress import display

if TYPE_CHECKING:
    from reflow import Event, Results, Run

    from .console import Console

UNKEPT: Final = "Your card is sensitive: it is never kept, so it is asked for again."


@final
class News:
    """Tells what the person should know; an observer of a run.

    Attributes:
        run: the run, to be set before it is driven.
        goes_on: whether anything happened: it doesn't in a run that is complete in its journal.
    """

    run: Run

    def __init__(self, console: Console) -> None:
        """Tell it there."""
        self._console = console
        self.goes_on: bool = False

    def __call__(self, event: Event) -> None:
        """Tell of an event."""
        console = self._console
        self.goes_on = True
        match event:
            case Opened(resumed=True):
                welcome(console, self.run)
            case StepEntered(step=card.id, reason=Reason.RECOVERED):
                console.say(UNKEPT)
            case StepAnswered(step, value, sensitive=sensitive):
                console.say(f"Noted: {step} is {display(value, sensitive=sensitive)}.")
            case StepsMadeStale(by, steps) if steps:
                console.say(f"{by} has changed, so this is asked again: {', '.join(steps)}.")
            case _:
                pass


def welcome(console: Console, run: Run) -> None:
    """Greet somebody who was here before, and show what is kept."""
    known = run.results.get(name)
    console.say(f"Welcome back{'' if known is None else f', {known}'}! This is what is kept:")
    console.where(run)
    console.say("")


def left(console: Console, reason: str, key: str | None) -> None:
    """Say that and why the run ended early."""
    console.say(f"Left early, nothing was signed: {reason}.{promise(key)}")


def signed(console: Console, results: Results, news: News) -> None:
    """Show the contract."""
    console.say("\nSigned. The typed results:" if news.goes_on else "This is signed already:")
    made = contract(results)
    for field in attrs.fields(Contract):
        value: object = getattr(made, field.name)
        hidden = field.name == card.id and value is None
        console.say(f"  {field.name}: {field.type} = {'not kept' if hidden else repr(value)}")


def promise(key: str | None) -> str:
    """Say how to go on, if that is possible."""
    return "" if key is None else " Your answers are kept: the same command goes on with them."
