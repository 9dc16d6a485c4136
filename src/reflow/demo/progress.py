"""The list that shows where every step stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from rich.table import Table
from rich.text import Text

from reflow import Done, StepState
from reflow.diagram import state_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reflow import AnyStep, Run

# A mark, one for screens that only know ASCII, its colour, and what it means.
_MARKS: Final = {
    StepState.PENDING: ("·", ".", "", "to come"),
    StepState.ACTIVE: (">", ">", "cyan", "asked now"),
    StepState.DONE: ("✓", "+", "green", "done"),
    StepState.FAILED: ("✗", "!", "red", "failed"),
    StepState.SKIPPED: ("-", "-", "", "skipped"),
    StepState.STALE: ("↻", "~", "yellow", "stale, asked again"),
    StepState.IN_DOUBT: ("?", "?", "yellow", "answered, may not apply"),
}
_AGAIN: Final = ("↩", "<", "yellow", "asked again soon")


def progress(run: Run, steps: Iterable[AnyStep], *, ascii_only: bool = False) -> Table:
    """List the steps: what is done, active, stale, skipped and to come.

    Args:
        run: the run.
        steps: the steps of its flow.
        ascii_only: whether the screen knows no other characters.
    """
    table = Table(box=None, show_header=False, pad_edge=False)
    for column in ("mark", "number", "step", "words"):
        table.add_column(column, no_wrap=True)
    # The only one that is made narrower where the screen is.
    table.add_column("answer")
    for number, step in enumerate(steps, 1):
        outcome = run.results.outcome(step)
        marks = _AGAIN if step in run.detour else _MARKS[state_of(run, step)]
        mark, plain, colour, words = marks
        answer = (
            display(outcome.value, sensitive=step.sensitive) if isinstance(outcome, Done) else ""
        )
        table.add_row(
            Text(plain if ascii_only else mark, colour),
            Text(str(number)),
            Text(step.id),
            Text(words, colour),
            Text(answer, no_wrap=True, overflow="ellipsis"),
        )
    return table


def display(answer: object, *, sensitive: bool) -> str:
    """Give an answer as a person may read it; a sensitive one is not for reading."""
    if sensitive:
        return "set"
    if isinstance(answer, list):
        return ", ".join(map(str, cast("list[object]", answer)))
    return str(answer)
