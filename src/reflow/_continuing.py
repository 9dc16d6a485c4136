"""How a run goes on: with another run's state, and with what was asked before that was known."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias, assert_never

from . import _events as e
from ._compat import annotations_of
from ._errors import FlowChangedError, GoBackError, RunFinishedError, listed
from ._fingerprint import fingerprint_of
from ._machine import Machine
from ._states import DONE, FAILED, LOST, RunState, equal
from ._step import options_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ._fingerprint import Fingerprint
    from ._plan import Plan

    _Request: TypeAlias = e.GoBackRequested | e.StepAnswered | e.StepSkipped


def go_on(
    plan: Plan,
    earlier: Machine,
    news: Iterable[e.Event],
    run: str,
    origin: str,
    *,
    return_exceptions: bool,
) -> tuple[Machine, e.Opened]:
    """Make the machine that goes on where another one was left, and the event that says so.

    Args:
        plan: the tables of the new run's flow.
        earlier: of a run that has ended.
        news: what was asked of the new run, and not of the earlier one.
        run: identifies the two.
        origin: what an observer of the first one gave for those of all others.
        return_exceptions: leave failed steps alone, except the one that ended the run.

    Raises:
        FlowChangedError: if the two are not of the same declaration.
        GoBackError: naming all that is refused of the news.
    """
    if differences := _differences(earlier.plan, plan):
        faults = listed(differences)
        message = f"flow {plan.flow!r} is not declared as in the run to go on with: {faults}"
        raise FlowChangedError(message, differences)
    found = Machine(plan, [])
    found.take_over(earlier)
    again: list[int] = []
    if found.phase is not RunState.COMPLETED:
        again = failed(found, return_exceptions=return_exceptions)
    opened = e.Opened("", run, resumed=True, again=found.names_of(again), origin=origin)
    found.open(opened)
    renew(found, news)
    return found, opened


def news_of(asked: Iterable[e.Event], before: Iterable[e.Event]) -> list[e.Event]:
    """Give what was asked of a run, and not of the one that it goes on with."""
    before = list(before)
    return [event for event in asked if not any(_is_same(event, old) for old in before)]


def _is_same(new: e.Event, old: e.Event) -> bool:
    match new, old:
        case e.StepAnswered(step=step, value=value), e.StepAnswered(step=name, value=before):
            return step == name and equal(before, value)
        case e.StepSkipped(step=step), e.StepSkipped(step=name):
            return step == name
        case e.GoBackRequested(steps=steps), e.GoBackRequested(steps=names):
            return steps == names
        case _:
            return False


def failed(machine: Machine, *, return_exceptions: bool) -> list[int]:
    """Give the steps that run once more because they failed.

    Args:
        machine: of a run that has ended, or whose process has died.
        return_exceptions: leave them alone, except the one that ended the run.
    """
    failing = machine.failing if machine.phase is RunState.FAILED else -1
    return [
        i
        for i, status in enumerate(machine.status)
        if ((status == FAILED and not return_exceptions) or i == failing)
        and machine.closed_by(i) is None
    ]


def _differences(before: Plan, now: Plan) -> list[str]:
    return [] if before is now else _print_of(before).differences(_print_of(now))


def _print_of(plan: Plan) -> Fingerprint:
    functions = (options_of(step).typed_by for step in plan.steps)
    # What is the same but for its place in memory was declared alike, by two calls of one function.
    types = (
        re.sub(r" at 0x[0-9A-Fa-f]+", "", repr(annotations_of(function).get("return")))
        for function in functions
    )
    return fingerprint_of(plan, dict(zip(plan.names, types, strict=True)))


def renew(machine: Machine, early: Iterable[e.Event]) -> None:
    """Apply what was asked of a run before it was known what the journal holds.

    An answer that is the same as the stored one is no news.

    Raises:
        RunFinishedError: if the stored run is complete.
        GoBackError: naming all that is refused; none of it was applied.
    """
    plan = machine.plan
    # An answer is no news only if nothing was asked of its step before.
    touched: set[str] = set()
    news: list[_Request] = []
    for event in early:
        if isinstance(event, e.StepAnswered):
            if event.step in touched or not _takes(machine, event):
                news.append(event)
                touched.add(event.step)
        elif isinstance(event, e.GoBackRequested | e.StepSkipped):
            news.append(event)
            touched.update(event.steps if isinstance(event, e.GoBackRequested) else (event.step,))
    if news and machine.phase is RunState.COMPLETED:
        message = (
            f"the run of flow {plan.flow!r} is complete in the journal: too late for a request"
        )
        raise RunFinishedError(message)
    if not news:
        return
    refused: dict[str, str] = {}
    # One after the other: what settles by the first of them may be closed to the next.
    probe = Machine(plan)
    probe.take_over(machine)
    for event in news:
        if reasons := _refused(probe, event):
            refused |= reasons
        else:
            _ask(probe, event)
    if refused:
        faults = (f"step {name!r}: {why}" for name, why in refused.items())
        message = (
            f"what was asked of the run of flow {plan.flow!r} before it was resumed is refused"
        )
        raise GoBackError(f"{message}: {listed(faults)}", refused)
    for event in news:
        _ask(machine, event)


def _refused(machine: Machine, event: _Request) -> dict[str, str]:
    """Say by step why something can't be asked for now."""
    ids = machine.plan.ids
    if isinstance(event, e.GoBackRequested):
        reasons = ((name, machine.refusal(ids[name], ahead=event.ahead)) for name in event.steps)
        return {name: why for name, why in reasons if why is not None}
    closed = machine.closed_by(ids[event.step])
    return {} if closed is None else {event.step: f"behind the point of no return {closed!r}"}


def _ask(machine: Machine, event: _Request) -> None:
    ids = machine.plan.ids
    match event:
        case e.GoBackRequested(steps=steps, ahead=ahead):
            machine.request((ids[name] for name in steps), ahead=ahead)
        case e.StepAnswered(step=step, value=value):
            machine.answer(ids[step], value)
        case e.StepSkipped(step=step):
            machine.skip(ids[step])
        case _:
            assert_never(event)


def _takes(machine: Machine, event: e.StepAnswered) -> bool:
    """Say whether an answer is no news; a sensitive one that wasn't kept is given back thereby."""
    i = machine.plan.ids[event.step]
    if machine.status[i] != DONE or not machine.settled(i):
        return False
    if machine.values[i] is LOST:
        machine.values[i] = event.value
        return True
    asked = machine.is_queued(i) or machine.first == i
    return not asked and equal(machine.values[i], event.value)
