"""What was done in a run, and what happened, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reflow import (
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunStopped,
    StepAnswered,
    StepCompleted,
    StepEntered,
    StepFailed,
    StepInterrupted,
    StepSkipped,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reflow import AnyStep, Event

    from ._moves import Move


def told_event(event: Event) -> str | None:
    """Say what happened, if it helps to understand what happens next."""
    match event:
        case StepEntered(step=step, number=number, reason=reason):
            return f"visit {number} of {step} ({reason.value})"
        case StepCompleted():
            return f"  returned {_shown(event.value, sensitive=event.sensitive)}"
        case StepAnswered(step=step):
            return f"  {step} is answered {_shown(event.value, sensitive=event.sensitive)}"
        case StepFailed(exception=exception, step=step):
            where = "the condition of " if event.in_condition else ""
            return f"  {where}{step} raised {type(exception).__name__}"
        case StepSkipped(step=step, by_condition=by_condition):
            return f"  {step} is skipped{', by its condition' if by_condition else ''}"
        case StepInterrupted():
            return "  interrupted"
        case RunCompleted() | RunStopped() | RunCancelled() | RunFailed():
            return repr(event)
        case _:
            return None


def told_move(move: Move, targets: Sequence[AnyStep]) -> str:
    """Say what is asked of a run."""
    arguments = [step.id for step in targets]
    if move.request == "answer":
        arguments += [_shown(move.value, sensitive=step.sensitive) for step in targets]
    if move.request == "cancel":
        return "cancellation from outside"
    return f"run.{move.request}({', '.join(arguments)})"


def _shown(value: object, *, sensitive: bool) -> str:
    return "<sensitive>" if sensitive else repr(value)
