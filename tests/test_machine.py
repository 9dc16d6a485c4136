"""The machine alone: illegal events, and the table that the diagram in the docs is drawn from."""

from __future__ import annotations

import pytest
from states import naive_next, state_of
from support import add, never

from reflow import (
    CallbackFailed,
    CleanupFailed,
    ConditionEvaluated,
    Event,
    Flow,
    GoBackRequested,
    MachineError,
    Reason,
    RequestsDropped,
    RunCompleted,
    RunFailed,
    RunStarted,
    StepAnswered,
    StepCompleted,
    StepEntered,
    StepFailed,
    StepInterrupted,
    StepSkipped,
    StepsMadeStale,
    Visit,
)
from reflow._machine import Machine
from reflow._plan import Plan
from reflow._replay import apply

FIRST, REQUESTED = Reason.FIRST, Reason.REQUESTED
ERROR = ValueError()


def a_machine(*events: Event) -> Machine:
    """Make a machine of four steps and apply these events to it."""
    flow = Flow("f")
    a = add(flow, "a")
    add(flow, "b", depends_on=(a,))

    async def plain(visit: Visit) -> str:
        raise AssertionError

    flow.step("c", id="c", when=lambda r: r[a] == "x", optional=True)(plain)
    flow.step("d", id="d", point_of_no_return=True)(plain)
    machine = Machine(Plan("f", flow.steps))
    for event in events:
        apply(machine, event)
    return machine


A_DONE = (RunStarted("f"), StepEntered("a", 1, FIRST), StepCompleted("a", 1, "x", changed=False))
B_DONE = (*A_DONE, StepEntered("b", 1, FIRST), StepCompleted("b", 1, "x", changed=False))
C_HELD = (*B_DONE, ConditionEvaluated("c", holds=True, read=("a",)))
C_DONE = (*C_HELD, StepEntered("c", 1, FIRST), StepCompleted("c", 1, "x", changed=False))
D_DONE = (*C_DONE, StepEntered("d", 1, FIRST), StepCompleted("d", 1, "x", changed=False))


@pytest.mark.parametrize(
    ("before", "event", "why"),
    [
        ((), StepEntered("a", 1, FIRST), "the run is not under way"),
        ((), RunCompleted(), "the run is not under way"),
        ((), RunStarted("g"), "the run can't start"),
        (A_DONE, RunStarted("f"), "the run can't start"),
        (A_DONE, RunCompleted(), "not every step is settled"),
        ((*A_DONE, RunFailed(ERROR)), StepEntered("b", 1, FIRST), "the run is not under way"),
        (A_DONE[:2], RunCompleted(), "not every step is settled"),
        (A_DONE, StepEntered("nope", 1, FIRST), "there is no step 'nope'"),
        (A_DONE, StepEntered("a", 2, FIRST), "it is not this visit's turn"),
        (A_DONE, StepEntered("b", 2, FIRST), "it is not this visit's turn"),
        (A_DONE, StepEntered("b", 1, REQUESTED), "it is not this visit's turn"),
        (A_DONE[:2], StepEntered("b", 1, FIRST), "it is not this visit's turn"),
        (A_DONE[:2], StepEntered("a", 2, FIRST), "the step is active"),
        (B_DONE, StepEntered("c", 1, FIRST), "it is not this visit's turn"),
        (A_DONE, StepCompleted("a", 1, "x", changed=False), "the step is done"),
        (A_DONE, StepCompleted("b", 1, "x", changed=False), "the step is pending"),
        (A_DONE, StepInterrupted("a", 1), "the step is done"),
        (A_DONE, StepFailed("b", 1, ERROR, changed=False), "only a visit or a condition can fail"),
        (
            A_DONE[:2],
            StepFailed("a", 1, ERROR, changed=False, in_condition=True),
            "only a visit or a condition can fail",
        ),
        (A_DONE, GoBackRequested(("b",)), "the request is to be refused"),
        (A_DONE, GoBackRequested(("a", "nope"), ahead=True), "there is no step 'nope'"),
        (D_DONE, GoBackRequested(("a",), ahead=True), "the request is to be refused"),
        (D_DONE, StepAnswered("a", "y", changed=True), "the step is closed"),
        (D_DONE, StepSkipped("c", changed=True, by_condition=False), "the step is closed"),
        (A_DONE, ConditionEvaluated("c", holds=True, read=()), "it is not this condition's turn"),
        (B_DONE, ConditionEvaluated("c", holds=True, read=("d",)), "not this condition's turn"),
        (
            A_DONE[:2],
            ConditionEvaluated("c", holds=True, read=("a",)),
            "it is not this condition's turn",
        ),
        (A_DONE, StepsMadeStale("a", ("b",)), "it doesn't follow for step 'b'"),
        (B_DONE, StepsMadeStale("a", (), ("b",)), "it doesn't follow for step 'b'"),
        (
            (*A_DONE, GoBackRequested(("a",))),
            RequestsDropped("d", ("a",)),
            "it doesn't follow for step 'a'",
        ),
    ],
)
def test_an_illegal_event_changes_nothing(
    before: tuple[Event, ...], event: Event, why: str
) -> None:
    """One clear error that names event, step and state; the state is as it was."""
    machine, untouched = a_machine(*before), a_machine(*before)
    with pytest.raises(MachineError, match=why) as info:
        apply(machine, event)
    assert str(info.value).startswith(f"{event!r} is impossible in flow 'f': ")
    assert f"the run is {machine.phase.value}, its active step is " in str(info.value)
    assert state_of(machine) == state_of(untouched)


def test_what_follows_from_an_event_is_accepted_behind_it() -> None:
    """StepsMadeStale and RequestsDropped are news of what the machine did already."""
    machine = a_machine(
        *D_DONE[:-2],
        GoBackRequested(("a",)),
        StepEntered("a", 2, REQUESTED),
        StepCompleted("a", 2, "y", changed=True),
        StepsMadeStale("a", ("b",), ("c",)),
        RequestsDropped("d", ("a",)),
    )
    assert machine.next() == 1
    assert state_of(machine) == state_of(a_machine(*D_DONE[:-2], *machine_events()))


def machine_events() -> tuple[Event, ...]:
    """Give the same without what follows by itself."""
    return (
        GoBackRequested(("a",)),
        StepEntered("a", 2, REQUESTED),
        StepCompleted("a", 2, "y", changed=True),
    )


@pytest.mark.parametrize(
    ("transition", "event"),
    [
        (lambda m: m.enter(1), "StepEntered"),
        (lambda m: m.complete(1, "x"), "StepCompleted"),
        (lambda m: m.fail(1, ERROR), "StepFailed"),
        (lambda m: m.interrupt(1), "StepInterrupted"),
    ],
)
def test_the_driver_is_checked_too(transition: object, event: str) -> None:
    """What the driver calls directly is refused in the same way."""
    machine, untouched = a_machine(*A_DONE[:2]), a_machine(*A_DONE[:2])
    assert callable(transition)
    with pytest.raises(MachineError) as info:
        transition(machine)
    assert str(info.value) == (
        f"{event} is impossible: step 'b' of flow 'f' is pending, the active step is 'a', "
        "the run is running"
    )
    assert state_of(machine) == state_of(untouched)
    with pytest.raises(MachineError, match="the active step is None"):
        a_machine(*A_DONE).complete(0, "x")


def test_news_of_a_visit_that_was_left_are_applied() -> None:
    """A failure in cleanup, or in a callback, is recorded beside what stands."""
    machine = a_machine(
        *A_DONE,
        CallbackFailed("a", ERROR),
        CleanupFailed("a", 1, ERROR),
    )
    assert (machine.failures, machine.callback_failures) == ({0: ERROR}, {0: ERROR})


@pytest.mark.parametrize("changed", [False, True])
def test_a_replay_goes_by_what_was_recorded(changed: bool) -> None:
    """Decoded answers may compare otherwise than the ones they were; nothing is compared again."""
    visit = (GoBackRequested(("a",)), StepEntered("a", 2, REQUESTED))
    for event in (
        StepCompleted("a", 2, "y" if not changed else "x", changed=changed),
        StepAnswered("a", "y" if not changed else "x", changed=changed),
        StepSkipped("a", changed=changed, by_condition=False),
    ):
        machine = a_machine(*C_DONE, *visit, event)
        assert (machine.state_of(1).value, machine.state_of(2).value) == (
            ("stale", "in doubt") if changed else ("done", "done")
        )
    failed = (RunStarted("f"), StepEntered("a", 1, FIRST), StepFailed("a", 1, ERROR, changed=False))
    again = (*B_DONE[3:], *visit, StepFailed("a", 2, ERROR, changed=changed))
    assert a_machine(*failed, *again).state_of(1).value == ("stale" if changed else "done")


def test_what_was_settled_once_is_looked_at_again() -> None:
    """A head that comes back waits for what went stale since, however far behind its inputs."""
    flow = Flow("f")
    s0 = add(flow, "s0")
    s1 = add(flow, "s1", depends_on=(s0,))
    s2 = add(flow, "s2", depends_on=(s0,))
    s3 = add(flow, "s3", depends_on=(s2,))
    s4 = flow.step("s4", id="s4", when=lambda results: results[s3] == "")(never)
    add(flow, "s5", depends_on=(s1, s4))
    machine = Machine(Plan("f", flow.steps))

    def visit(i: int, answer: str) -> None:
        assert machine.next() == i
        machine.enter(i)
        machine.complete(i, answer)

    visit(0, "a")
    visit(1, "a")
    machine.request([3, 5], ahead=True)
    assert machine.next() == 2
    machine.enter(2)
    machine.answer(0, "b")
    machine.request([4, 5], ahead=True)
    machine.complete(2, "a")
    assert machine.next() == 4
    machine.condition(4, None, [3])
    visit(2, "b")
    machine.skip(3)
    assert machine.next() == 4
    machine.condition(4, False, [3])
    machine.skip(4, by_condition=True)
    visit(1, "b")
    visit(5, "b")
    machine.answer(0, "c")
    machine.request([5])
    visit(1, "c")
    assert machine.next() == naive_next(machine) == 2
