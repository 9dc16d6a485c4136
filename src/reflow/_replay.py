"""Recorded events, applied to a machine: `apply`, and the table of what may follow what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

from . import _events as e
from ._errors import MachineError
from ._states import IN_DOUBT, STALE, RunState, StepState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._machine import Machine

_P, _A, _D, _F, _K, _S, _I = (
    StepState.PENDING,
    StepState.ACTIVE,
    StepState.DONE,
    StepState.FAILED,
    StepState.SKIPPED,
    StepState.STALE,
    StepState.IN_DOUBT,
)

TRANSITIONS: Final[Mapping[type[object], Mapping[StepState, frozenset[StepState]]]] = {
    kind: {state: frozenset(targets) for state, targets in rows.items()}
    for kind, rows in {
        e.StepEntered: {_P: [_A], _D: [_A], _F: [_A], _S: [_A]},
        e.StepCompleted: {_A: [_D, _S, _I]},
        e.StepFailed: {_A: [_F, _D, _S, _I], _P: [_F], _D: [_D], _F: [_F], _S: [_F], _I: [_F]},
        e.StepSkipped: {state: [_K] for state in StepState},
        e.StepInterrupted: {_A: [_P, _D, _F, _S, _I]},
        e.StepAnswered: {_P: [_D, _I], _A: [_D, _I], _K: [_D, _I], _S: [_D, _I]}
        | {_D: [_D], _F: [_D], _I: [_I]},
        e.ConditionEvaluated: {_P: [_P], _D: [_D], _F: [_F, _P], _S: [_S, _P]}
        | {_I: [_P, _D, _F, _K, _I]},
        e.StepsMadeStale: {_D: [_S, _I], _F: [_S, _I], _K: [_I, _P], _I: [_S, _P]},
        e.GoBackRequested: {_K: [_P, _I], _I: [_P]},
        e.Opened: {_A: [_P, _D, _F, _S, _I], _D: [_P], _F: [_P], _K: [_P, _I], _S: [_P], _I: [_P]},
    }.items()
}
"""What an event may make of the step it names (StepsMadeStale: of those its cause affects; Opened:
of the one that was active, and of those that it names; GoBackRequested: of those that someone had
skipped inside the included steps that it names).

`apply` refuses an event in a state that has no row here; the diagram in the docs is drawn from it.
"""


_REQUESTS: Final = (e.GoBackRequested, e.StepAnswered, e.StepSkipped)
_ENDS: Final = {
    e.RunCompleted: RunState.COMPLETED,
    e.RunFailed: RunState.FAILED,
    e.RunCancelled: RunState.CANCELLED,
    e.RunStopped: RunState.STOPPED,
}


def apply(machine: Machine, event: e.Event) -> None:
    """Apply a recorded event.

    Raises:
        MachineError: if the event is impossible in this state; then nothing has changed.
    """
    if isinstance(event, e.Opened):
        _open(machine, event)
        return
    if isinstance(event, e.RunStarted):
        if event.flow != machine.plan.flow or machine.phase is not RunState.PREPARED:
            raise _impossible(machine, event, "the run can't start")
        machine.start()
        if machine.log is not None:
            machine.log.append(event)
        return
    early = machine.phase is RunState.PREPARED and isinstance(event, _REQUESTS)
    if machine.phase is not RunState.RUNNING and not early:
        raise _impossible(machine, event, "the run is not under way")
    if isinstance(event, e.RunCompleted | e.RunFailed | e.RunCancelled | e.RunStopped):
        if isinstance(event, e.RunCompleted) and (machine.active >= 0 or machine.next() >= 0):
            raise _impossible(machine, event, "not every step is settled")
        machine.end(_ENDS[type(event)], event)
        return
    if isinstance(event, e.GoBackRequested):
        targets = [_position(machine, event, name) for name in event.steps]
        if any(machine.refusal(i, ahead=event.ahead) is not None for i in targets):
            raise _impossible(machine, event, "the request is to be refused")
        machine.request(targets, ahead=event.ahead)
        return
    if isinstance(event, e.StepsMadeStale | e.RequestsDropped):
        _check_consequence(machine, event)
        return
    _apply_to_step(machine, event)


def _open(machine: Machine, event: e.Opened) -> None:
    if machine.phase is RunState.COMPLETED and event.key:
        raise _impossible(machine, event, "the run is complete in its journal")
    for name, _, _ in event.visits:
        _position(machine, event, name)
    for name in (*event.again, *event.lost):
        if machine.closed_by(_position(machine, event, name)) is not None:
            raise _impossible(machine, event, f"step {name!r} is closed")
    machine.open(event)
    if machine.log is not None:
        machine.log.append(event)


def _apply_to_step(machine: Machine, event: e.StepEvent) -> None:
    i = _position(machine, event, event.step)
    if (rows := TRANSITIONS.get(type(event))) is not None and machine.state_of(i) not in rows:
        raise _impossible(machine, event, f"the step is {machine.state_of(i).value}")
    active = machine.active == i
    match event:
        case e.StepEntered(number=number, reason=reason):
            asked = machine.is_queued(i)
            ready = machine.active < 0 and machine.next() == i and not machine.must_evaluate(i)
            expected = (machine.visits[i] + 1, machine.reason(i, asked=asked))
            if not ready or (number, reason) != expected:
                raise _impossible(machine, event, "it is not this visit's turn")
            machine.enter(i)
        case e.StepCompleted(value=value, changed=changed):
            machine.complete(i, value, changed=changed)
        case e.StepFailed(exception=exception, in_condition=in_condition, changed=changed):
            if active == in_condition:
                raise _impossible(machine, event, "only a visit or a condition can fail")
            machine.fail(i, exception, in_condition=in_condition, changed=changed)
        case e.StepInterrupted(exception=exception):
            machine.interrupt(i, exception)
        case e.StepSkipped(by_condition=by_condition, changed=changed):
            if machine.closed_by(i) is not None:
                raise _impossible(machine, event, "the step is closed")
            machine.skip(i, by_condition=by_condition, changed=changed)
        case e.StepAnswered(value=value, changed=changed):
            if machine.closed_by(i) is not None:
                raise _impossible(machine, event, "the step is closed")
            machine.answer(i, value, changed=changed)
        case e.ConditionEvaluated(holds=holds, read=read, changed=changed):
            positions = [_position(machine, event, name) for name in read]
            if machine.active >= 0 or machine.next() != i or any(j >= i for j in positions):
                raise _impossible(machine, event, "it is not this condition's turn")
            machine.condition(i, holds, positions, changed=changed)
        case e.CallbackFailed(exception=exception):
            machine.fail_callback(i, exception)
        case e.CleanupFailed(exception=exception):
            machine.fail_cleanup(i, exception)
        case e.AnswerSuperseded(value=value):
            machine.supersede(i, value)
        case _:
            assert_never(event)


def _check_consequence(machine: Machine, event: e.StepsMadeStale | e.RequestsDropped) -> None:
    """Check what follows from the event before: the machine did it with that one."""
    expected: list[tuple[str, bool]] = []
    for name in event.steps:
        i = _position(machine, event, name)
        if isinstance(event, e.RequestsDropped):
            expected.append((name, not machine.is_queued(i)))
        else:
            stale = machine.marks[i] & STALE or machine.is_reopened(i) or i == machine.active
            expected.append((name, bool(stale)))
    if isinstance(event, e.StepsMadeStale):
        for name in event.in_doubt:
            i = _position(machine, event, name)
            expected.append((name, bool(machine.marks[i] & IN_DOUBT)))
    for name, follows in expected:
        if not follows:
            raise _impossible(machine, event, f"it doesn't follow for step {name!r}")


def _position(machine: Machine, event: e.Event, name: str) -> int:
    try:
        return machine.plan.ids[name]
    except KeyError:
        raise _impossible(machine, event, f"there is no step {name!r}") from None


def _impossible(machine: Machine, event: e.Event, why: str) -> MachineError:
    active = machine.plan.names[machine.active] if machine.active >= 0 else None
    return MachineError(
        f"{event!r} is impossible in flow {machine.plan.flow!r}: {why}; "
        f"the run is {machine.phase.value}, its active step is {active!r}"
    )
