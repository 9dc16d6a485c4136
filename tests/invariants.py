"""What the rules promise of any run, checked on the events it told."""

from __future__ import annotations

from collections import Counter, defaultdict
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
    StepsMadeStale,
)
from reflow._machine import Machine
from reflow._plan import Plan
from reflow._replay import apply
from reflow._states import DONE

if TYPE_CHECKING:
    from support import Log


def check_order(log: Log, flow: Flow[None]) -> None:
    """Every requested step runs, in order, once per request.

    The queue is followed by the rules alone: what is served, dropped, or settled without a visit
    leaves it; what is asked for moves to its front at the next visit.
    """
    # Only asked what is closed.
    shadow = Machine(Plan("random", flow.steps))
    asked: list[str] = []
    detour: list[str] = []
    on_detour = False
    active = ""
    for event in log:
        apply(shadow, event)
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
                closed = shadow.closed_by(shadow.plan.ids[step]) is not None
                if on_detour and step not in asked and not closed:
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
    settling: set[str] = set()
    for event in log:
        if isinstance(event, StepCompleted | StepFailed | StepSkipped | StepAnswered):
            settling.add(event.step)
        if isinstance(event, StepSkipped | StepAnswered):
            inside = machine.inside(machine.plan.ids[event.step])
            settling.update(machine.plan.names[i] for i in inside)
    assert interrupted <= settling


def check_reasons(log: Log, run: Run) -> None:
    """Nothing is visited again unless it was asked for, interrupted, or an input changed."""
    plan = machine_of(run).plan
    visits: Counter[int] = Counter()
    entered: dict[int, int] = {}
    # When each step's outcome last changed, and since when what it is based on is known.
    changed_at: dict[int, int] = {}
    based_at: dict[int, int] = {}
    reads: defaultdict[int, set[int]] = defaultdict(set)
    # What was skipped, or given, on request, and what of that may begin anew since.
    by_request: set[int] = set()
    anew: set[int] = set()
    closed = -1
    for now, event in enumerate(log):
        i = plan.ids.get(getattr(event, "step", ""), -1)
        match event:
            case StepEntered(number=number, reason=reason):
                visits[i] += 1
                entered[i] = now
                assert number == visits[i]
                if i in anew:
                    anew.discard(i)
                    continue
                if i not in based_at:
                    assert (reason.name == "FIRST") == (number == 1) or reason.name == "REQUESTED"
                    continue
                assert i > closed or reason.name == "STALE"
                assert reason.name != "FIRST" or number == 1
                if reason.name == "STALE":
                    # What it depends on and reads, and what an always-ask step looks at.
                    based = {*plan.inputs[i], *reads[i], *range(plan.always_ask[i])}
                    assert any(changed_at.get(j, -1) > based_at[i] for j in based)
            case (
                StepCompleted(changed=changed)
                | StepFailed(changed=changed)
                | StepSkipped(changed=changed)
                | StepAnswered(changed=changed)
                | ConditionEvaluated(changed=changed)
            ):
                if changed:
                    changed_at[i] = now
                if isinstance(event, ConditionEvaluated):
                    reads[i].update(plan.ids[name] for name in event.read)
                elif isinstance(event, StepCompleted | StepFailed):
                    based_at[i] = entered.get(i, now)
                else:
                    based_at[i] = now
                    if i in plan.parents:
                        by_request.add(i)
                    for j in range(plan.starts.get(i, i), i):
                        # Skipped with it, if it wasn't settled.
                        changed_at[j] = based_at[j] = now
                        by_request.add(j)
                point = plan.point_of_no_return[i] and plan.when[i] is None
                if isinstance(event, StepCompleted | StepAnswered) and point:
                    closed = max(closed, i)
            case GoBackRequested(steps=steps):
                named = {plan.ids[name] for name in steps}
                reopened = {j for end in named for j in range(plan.starts.get(end, end), end + 1)}
                anew |= reopened & by_request
            case StepsMadeStale(steps=steps):
                # What was skipped inside an included flow begins anew when that runs again.
                anew |= {plan.ids[name] for name in steps} & by_request
            case _:
                pass


def check_built(log: Log, run: Run) -> None:
    """The answer of an included flow is built of what is inside, or was given as a whole."""
    machine = machine_of(run)
    given: set[str] = set()
    for event in log:
        if isinstance(event, StepAnswered):
            given.add(event.step)
        elif isinstance(event, StepEntered):
            i = machine.plan.ids[event.step]
            if i in machine.plan.starts:
                given.discard(event.step)
    for end in machine.plan.starts:
        if machine.status[end] != DONE or machine.plan.names[end] in given:
            continue
        scope = machine.plan.inner[end]
        values = [
            machine.values[i] if machine.status[i] == DONE else 1 for i in scope.positions.values()
        ]
        assert sum(value for value in values if isinstance(value, int)) % 4 == machine.values[end]


def check_answers(log: Log, flow: Flow[None], run: Run) -> None:
    """No answer is lost: what a step has in the end is the last it was given."""
    latest: dict[str, object] = {}
    for event in log:
        if isinstance(event, StepCompleted | StepAnswered):
            latest[event.step] = event.value
    for step in flow.steps:
        if step in run.results:
            assert run.results[step] == latest[step.id]
