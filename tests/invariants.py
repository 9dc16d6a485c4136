"""What the rules promise of any run, checked on the events it told."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from states import machine_of

from reflow import (
    ConditionEvaluated,
    Flow,
    GoBackRequested,
    RequestsDropped,
    Run,
    StepAnswered,
    StepCompleted,
    StepEntered,
    StepFailed,
    StepInterrupted,
    StepSkipped,
)

if TYPE_CHECKING:
    from random_flows import Declaration
    from support import Log


def check_order(log: Log) -> None:
    """Every requested step runs, in order, once per request.

    The queue is followed by the rules alone: what is served, dropped, or settled without a visit
    leaves it; what is asked for moves to its front at the next visit.
    """
    asked: list[str] = []
    detour: list[str] = []
    on_detour = False
    active = ""
    for event in log:
        match event:
            case GoBackRequested(steps=steps):
                asked += [step for step in steps if step not in asked]
                detour = [step for step in detour if step not in asked]
            case StepEntered(step=step, reason=reason):
                queue = asked + detour
                on_detour = step in queue
                assert (reason.name == "REQUESTED") == on_detour
                if not on_detour:
                    # It comes first because the head needs it, or because nothing is asked for.
                    assert not queue or int(step[1:]) < int(queue[0][1:])
                elif step != queue[0]:
                    assert int(step[1:]) < int(queue[0][1:])
                detour = [other for other in queue if other != step]
                asked = []
                active = step
            case StepInterrupted(step=step):
                if on_detour and step not in asked:
                    detour.insert(0, step)
                active = ""
            case RequestsDropped(steps=steps):
                asked = [step for step in asked if step not in steps]
                detour = [step for step in detour if step not in steps]
            case (
                StepAnswered(step=step)
                | StepSkipped(step=step)
                | StepFailed(step=step, in_condition=True)
            ):
                asked = [other for other in asked if other != step]
                detour = [other for other in detour if other != step]
                active = "" if step == active else active
            case _:
                pass
    assert not asked + detour


def check_settled(log: Log, run: Run) -> None:
    """At the end every step is settled, the interrupted ones too, and nothing is left over."""
    machine = machine_of(run)
    assert all(machine.settled(i) for i in range(len(machine.status)))
    assert (run.state.value, run.active, run.detour) == ("completed", None, ())
    interrupted = {event.step for event in log if isinstance(event, StepInterrupted)}
    settling = {
        event.step
        for event in log
        if isinstance(event, StepCompleted | StepFailed | StepSkipped | StepAnswered)
    }
    assert interrupted <= settling


def check_reasons(declarations: list[Declaration], log: Log) -> None:
    """Nothing is visited again unless it was asked for, interrupted, or an input changed."""
    visits: Counter[str] = Counter()
    entered: dict[str, int] = {}
    # When each step's outcome last changed, and since when what it is based on is known.
    changed_at: dict[str, int] = {}
    based_at: dict[str, int] = {}
    closed = -1
    for now, event in enumerate(log):
        match event:
            case StepEntered(step=step, number=number, reason=reason):
                visits[step] += 1
                entered[step] = now
                assert number == visits[step]
                i = int(step[1:])
                if step not in based_at:
                    assert (reason.name == "FIRST") == (number == 1) or reason.name == "REQUESTED"
                    continue
                assert i > closed or reason.name == "STALE"
                assert reason.name != "FIRST" or number == 1
                if reason.name == "STALE":
                    own = declarations[i]
                    based = (
                        own.depends_on
                        | own.reads
                        | (frozenset(range(i)) if own.always_ask else frozenset())
                    )
                    assert any(changed_at.get(f"s{j}", -1) > based_at[step] for j in based)
            case (
                StepCompleted(step=step, changed=changed)
                | StepFailed(step=step, changed=changed)
                | StepSkipped(step=step, changed=changed)
                | StepAnswered(step=step, changed=changed)
                | ConditionEvaluated(step=step, changed=changed)
            ):
                if changed:
                    changed_at[step] = now
                if isinstance(event, StepCompleted | StepFailed):
                    based_at[step] = entered.get(step, now)
                elif isinstance(event, StepSkipped | StepAnswered):
                    based_at[step] = now
                i = int(step[1:])
                own = declarations[i]
                if isinstance(event, StepCompleted | StepAnswered) and own.point_of_no_return:
                    closed = max(closed, -1 if own.reads else i)
            case _:
                pass


def check_answers(log: Log, flow: Flow[None], run: Run) -> None:
    """No answer is lost: what a step has in the end is the last it was given."""
    latest: dict[str, object] = {}
    for event in log:
        if isinstance(event, StepCompleted | StepAnswered):
            latest[event.step] = event.value
    for step in flow.steps:
        if step in run.results:
            assert run.results[step] == latest[step.id]
