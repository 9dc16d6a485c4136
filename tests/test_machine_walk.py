"""Long random walks of the machine alone: its indexes, its replay and its table."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest
from states import naive_next, state_of, transitions

from reflow import Flow, Opened, RunStarted, Visit
from reflow._machine import Machine
from reflow._plan import Plan
from reflow._replay import TRANSITIONS, apply
from reflow._states import DONE, FAILED

if TYPE_CHECKING:
    from reflow import Event, StepState

STEPS = 7


async def never(visit: Visit) -> int:
    """Stand in for a step: the machine calls nothing."""
    raise AssertionError


def random_machine(random: Random) -> Machine:
    """Make a machine for a flow of random declarations."""
    flow = random_flow(random, STEPS, points=random.random() < 0.3, nested=random.random() < 0.5)
    return Machine(Plan("walk", flow.steps), [])


def random_flow(random: Random, size: int, *, points: bool, nested: bool) -> Flow[None]:
    """Make a flow of this many steps; the steps of included flows count."""
    flow = Flow("walk")
    while (left := size - len(flow.steps)) > 0:
        depends_on = random.sample(flow.steps, min(len(flow.steps), random.choice((0, 1, 2))))
        when = (lambda _: True) if random.random() < 0.5 else None
        always_ask = random.random() < 0.2
        point_of_no_return = points and random.random() < 0.3
        revisitable = random.random() < 0.9
        sensitive = random.random() < 0.2
        if nested and left > 1 and random.random() < 0.5:
            inside = random_flow(random, random.randrange(1, left), points=points, nested=True)
            flow.include(
                inside,
                "an included flow",
                id=f"s{len(flow.steps)}",
                build=len,
                depends_on=depends_on,
                when=when,
                always_ask=always_ask,
                point_of_no_return=point_of_no_return,
                revisitable=revisitable,
                sensitive=sensitive,
            )
        else:
            flow.step(
                "a step",
                id=f"s{len(flow.steps)}",
                depends_on=depends_on,
                when=when,
                always_ask=always_ask,
                point_of_no_return=point_of_no_return,
                revisitable=revisitable,
                sensitive=sensitive,
            )(never)
    return flow


def move(machine: Machine, random: Random) -> None:
    """Do one random thing that a driver, or someone who asks, may do now."""
    i = random.randrange(STEPS)
    if (outdated := machine.is_outdated()) and random.random() < 0.3:
        i = machine.active
    kind = random.random()
    if kind < (0.06 if outdated else 0.03):
        resume(machine, random)
        return
    if kind < 0.15:
        targets = {i, random.randrange(STEPS)}
        if all(machine.refusal(j, ahead=True) is None for j in targets):
            machine.request(targets, ahead=True)
        return
    if kind < 0.3:
        if machine.closed_by(i) is None:
            random.choice((machine.skip, lambda j: machine.answer(j, random.randrange(2))))(i)
        return
    if (active := machine.active) >= 0:
        ending = random.random()
        if ending < 0.2:
            machine.fail(active, ValueError())
        elif ending < 0.4 and machine.wants_interruption():
            machine.interrupt(active, random.choice((None, ValueError())))
        elif ending < 0.9:
            machine.complete(active, random.randrange(2))
        return
    if (turn := machine.next()) >= 0:
        if machine.must_evaluate(turn):
            evaluate(machine, turn, random)
        else:
            machine.enter(turn)


def resume(machine: Machine, random: Random) -> None:
    """Do what the driver does with a machine that another process has left."""
    again = tuple(
        name
        for i, name in enumerate(machine.plan.names)
        if machine.closed_by(i) is None
        and machine.status[i] in {DONE, FAILED}
        and random.random() < 0.3
    )
    lost = tuple(name for name in again if random.random() < 0.3)
    again = tuple(name for name in again if name not in lost)
    opened = Opened("key", "run", resumed=True, again=again, lost=lost)
    machine.open(opened)
    machine.start()
    assert machine.log is not None
    machine.log += [opened, RunStarted("walk")]


def evaluate(machine: Machine, i: int, random: Random) -> None:
    """Do what the driver does with a condition."""
    read = sorted(random.sample(range(i), min(i, random.choice((0, 1, 1, 2)))))
    holds = random.choice((True, True, False, None))
    if machine.condition(i, holds, read):
        if holds is None:
            machine.fail(i, ValueError(), in_condition=True)
        elif not holds:
            machine.skip(i, by_condition=True)


def walk(seed: int, length: int) -> set[tuple[type[Event], StepState, StepState]]:
    """Walk, comparing with the naive rules and with a replay, and what it tells, at every step."""
    random = Random(seed)
    machine = random_machine(random)
    replayed = Machine(machine.plan, [])
    machine.start()
    replayed.start()
    seen: set[tuple[type[Event], StepState, StepState]] = set()
    for _ in range(length):
        before = state_of(machine)
        move(machine, random)
        assert machine.log is not None
        assert replayed.log is not None
        assert machine.log or state_of(machine) == before
        for event in machine.log:
            states = [replayed.state_of(i) for i in range(STEPS)]
            apply(replayed, event)
            seen |= transitions(event, states, replayed)
        assert replayed.log == machine.log
        machine.log.clear()
        replayed.log.clear()
        assert state_of(replayed) == state_of(machine)
        if machine.active < 0:
            assert machine.next() == naive_next(machine)
            assert replayed.next() == machine.next()
    return seen


@pytest.mark.parametrize("batch", range(4))
def test_walks(batch: int) -> None:
    """Whatever happens, the next step is what the rules say, and the replay says so, too."""
    for seed in range(batch * 100, batch * 100 + 100):
        walk(seed, 60)


def test_the_table_is_exactly_what_happens() -> None:
    """The diagram in the docs shows every arrow there is, and none that can't happen."""
    # Some arrows are rare: these are walks among which each is taken.
    seen = set().union(*(walk(seed, 80) for seed in range(600)))
    expected = {
        (kind, old, new)
        for kind, rows in TRANSITIONS.items()
        for old, news in rows.items()
        for new in news
    }
    assert not sorted(f"{k.__name__}: {o.value} -> {n.value}" for k, o, n in expected - seen)
