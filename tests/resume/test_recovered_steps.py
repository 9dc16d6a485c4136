"""The step that was being visited when the process died: when it comes again."""

from __future__ import annotations

import pytest
from journals import (
    KEY,
    KilledError,
    killed,
)
from support import Log, add, answering, interrupted, scripted

from reflow import (
    Event,
    Flow,
    MemoryJournal,
    Reason,
    Step,
    StepEntered,
    Visit,
)

pytestmark = pytest.mark.anyio


async def left_in_the_middle(kind: str = "") -> tuple[Flow[None], MemoryJournal]:
    """Leave a run in the middle of its detour to `c`, with `b` and `d` still to come."""
    journal, flow, dead = MemoryJournal(), Flow("f"), [True]
    a, b = add(flow, "a"), add(flow, "b")

    async def ask(visit: Visit) -> str:
        if visit.reason is Reason.REQUESTED and dead:
            dead.clear()
            raise KilledError
        return answering(visit)

    c = flow.step(
        "c",
        id="c",
        depends_on=[a] if kind == "depends_on" else [],
        when=(lambda r: r[a] != "") if kind == "when" else None,
        always_ask=kind == "always_ask",
    )(ask)

    async def back(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.go_back(c, b)
            await interrupted()
        return answering(visit)

    add(flow, "d", back)
    return flow, await killed(flow.prepare(journal=journal, key=KEY), journal)


async def test_in_the_middle_of_a_detour() -> None:
    """What the person was asked comes first, then what is left."""
    flow, left = await left_in_the_middle()
    log = Log()
    await flow.run(journal=left, key=KEY, observers=[log])
    assert log.visits == ["c 3 recovered", "b 2 requested", "d 2 resumed"]


async def test_a_request_comes_before_the_recovered_step() -> None:
    """As it would have if it had come during the visit; the step keeps its place behind it."""
    flow, left = await left_in_the_middle()
    log = Log()
    run = flow.prepare(journal=left, key=KEY, observers=[log])
    run.jump_ahead("a")
    await run.drive()
    assert log.visits == ["a 2 requested", "c 3 recovered", "b 2 requested", "d 2 resumed"]


async def test_the_recovered_step_is_answered() -> None:
    """Then nobody is asked."""
    flow, left = await left_in_the_middle()
    log = Log()
    run = flow.prepare(journal=left, key=KEY, observers=[log])
    c = flow.steps[2]
    assert isinstance(c, Step)
    run.answer(c, "given")
    results = await run.drive()
    assert log.visits == ["b 2 requested", "d 2 resumed"]
    assert results[c] == "given"


@pytest.mark.parametrize("kind", ["depends_on", "when", "always_ask"])
async def test_an_input_of_the_recovered_step_changes(kind: str) -> None:
    """It is still asked, once, by what is so now."""
    flow, left = await left_in_the_middle(kind)
    log = Log()
    run = flow.prepare(journal=left, key=KEY, observers=[log])
    a = flow.steps[0]
    assert isinstance(a, Step)
    run.answer(a, "new")
    await run.drive()
    assert log.visits[0] == "c 3 recovered"
    assert log.entered.count("d") == 1
    assert run.results[a] == "new"


async def test_a_step_that_was_closed_meanwhile() -> None:
    """It had an answer, which a point of no return has closed: it isn't visited any more."""
    flow, journal, log = Flow("f"), MemoryJournal(), Log()

    async def act(visit: Visit) -> str:
        if visit.number == 2:
            visit.run.answer(charge, "cash")
            raise KilledError
        return answering(visit)

    a = add(flow, "a", act)

    async def back(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(a)
        return answering(visit)

    add(flow, "b", back)
    charge = flow.step("charge", id="charge", point_of_no_return=True)(act)
    left = await killed(flow.prepare(journal=journal, key=KEY), journal)
    results = await flow.run(journal=left, key=KEY, observers=[log])
    assert (log.visits, results[a]) == (["b 2 resumed"], "a1")


async def test_a_lost_answer_that_was_given_early() -> None:
    """Its step is asked for the first time; when that visit is interrupted, it is resumed."""
    flow, journal, log = Flow("f"), MemoryJournal(), Log()
    a = add(flow, "a")
    secret = flow.step("secret", id="secret", sensitive=True)(scripted("late", "late"))

    async def dies(visit: Visit) -> str:
        if visit.number == 1:
            raise KilledError
        return answering(visit)

    add(flow, "b", dies)
    run = flow.prepare(journal=journal, key=KEY)
    run.answer(secret, "early")
    left = await killed(run, journal)

    def interrupt(event: Event) -> None:
        if isinstance(event, StepEntered) and (event.step, event.number) == ("secret", 1):
            again.go_back(a)

    again = flow.prepare(journal=left, key=KEY, observers=[log, interrupt])
    await again.drive()
    assert log.visits == ["secret 1 first", "a 2 requested", "secret 2 resumed", "b 2 recovered"]
