"""Comparing what a run says of itself with a model of the rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reflow import Done, Failed, Pending, Skipped, StepState

from ._model import Gone, Kind, same
from ._rules import broken

if TYPE_CHECKING:
    from reflow import Results, Run

    from ._model import Model


def compare(model: Model, run: Run, *, resumed: bool, values: bool) -> None:
    """Compare a run with the model of it, when nothing more has happened than was told.

    Args:
        model: what it is compared with.
        run: the run.
        resumed: whether it goes on from a journal: then some things are only as good as equal.
        values: whether equal answers are equal to each other.

    Raises:
        BrokenRuleError: if it says something else.
    """
    active = None if run.active is None else run.active.id
    expected = None if model.active is None else model.names[model.active]
    if active != expected:
        broken("reasons", f"run.active is {active!r}, but it is {expected!r} that is visited")
    detour = [step.id for step in run.detour]
    asked = [model.names[i] for i in model.queue()]
    if detour != asked:
        broken("requests", f"run.detour is {detour}, but asked for was {asked}")
    for i in range(len(model.steps)):
        _check_outcome(model, i, run.results, resumed=resumed, values=values)
    failures = [
        kind[i]
        for i in range(len(model.steps))
        for kind in (model.failures, model.callback_failures)
        if i in kind
    ]
    told = () if (group := run.results.exceptions) is None else group.exceptions
    as_told = len(told) == len(failures) if resumed else [*told] == failures
    if not as_told:
        texts = ([type(failure).__name__ for failure in some] for some in (told, failures))
        broken("failures", "results.exceptions are {}, but there were {}".format(*texts))


def _check_outcome(model: Model, i: int, results: Results, *, resumed: bool, values: bool) -> None:
    """Compare what became of a step."""
    step = model.steps[i]
    outcome = results.outcome(step)
    kind, state, agrees = model.kinds[i], model.state_of(i), False
    if kind is Kind.NONE or not model.settled(i):
        agrees = outcome == Pending(state)
    elif kind is Kind.DONE and model.values[i] is Gone.LOST:
        agrees = outcome == Pending(StepState.DONE)
    elif kind is Kind.DONE and isinstance(outcome, Done):
        value = model.values[i]
        agrees = outcome.value is value
        if resumed and not agrees:
            agrees = not values or same(outcome.value, value)
    elif kind is Kind.FAILED:
        agrees = isinstance(outcome, Failed)
    else:
        agrees = kind is Kind.SKIPPED and isinstance(outcome, Skipped)
    if not agrees:
        known = Done(model.values[i], sensitive=step.sensitive) if kind is Kind.DONE else kind
        rule = "resumption" if resumed else "answers"
        trouble = f"results.outcome({step.id!r}) is {outcome!r}, but it is {known!r}"
        broken(rule, f"{trouble}, {state.value}")
