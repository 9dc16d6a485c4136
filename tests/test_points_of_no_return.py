"""Points of no return."""

from __future__ import annotations

from typing import TypeVar

import pytest
from support import Log, add, answering, interrupted, last, never, scripted

from reflow import (
    Event,
    Flow,
    GoBackError,
    RequestsDropped,
    Skipped,
    Step,
    StepCompleted,
    StepsMadeStale,
    Visit,
)

pytestmark = pytest.mark.anyio

T = TypeVar("T")


async def test_a_point_of_no_return_closes_itself_and_all_before_it() -> None:
    """Not revisited, not answered, never stale; what comes after stays open."""
    flow, log = Flow("f"), Log()
    a = flow.step("a", id="a", optional=True)(scripted("a"))
    b = flow.step("b", id="b")(scripted("b"))
    charge = flow.step("charge", id="charge", point_of_no_return=True)(scripted("charged"))
    d = flow.step("d", id="d")(scripted("d", "dd"))

    async def act(visit: Visit) -> str:
        run = visit.run
        if visit.number == 2:
            return answering(visit)
        with pytest.raises(GoBackError) as info:
            run.go_back(a, d, charge)
        closed = "behind the point of no return 'charge'"
        assert info.value.refused == {"a": closed, "charge": closed}
        assert str(info.value).count(closed) == 2
        with pytest.raises(GoBackError, match=closed):
            run.jump_ahead(a)
        with pytest.raises(GoBackError, match=closed):
            run.answer(b, "other")
        with pytest.raises(GoBackError, match=closed):
            run.skip(a)
        await visit.go_back(d)

    add(flow, "e", act)
    results = await flow.run(observers=[log])
    assert log.visits[5:] == ["d 2 requested", "e 2 resumed"]
    assert (results[a], results[b], results[charge]) == ("a", "b", "charged")


async def test_a_point_of_no_return_that_is_not_done_yet_closes_nothing() -> None:
    """As long as it may still be interrupted, everything may be corrected."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(a)
        return answering(visit)

    flow.step("charge", id="charge", point_of_no_return=True)(act)
    await flow.run(observers=[log])
    assert log.entered == ["a", "charge", "a", "charge"]


async def test_requests_that_fall_behind_a_point_of_no_return_are_dropped_visibly() -> None:
    """The charge went through in the same moment: it is done for the answers there were."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def act(visit: Visit) -> str:
        visit.run.go_back(a)
        return answering(visit)

    flow.step("charge", id="charge", point_of_no_return=True)(act)
    add(flow, "b")
    run = flow.prepare(observers=[log])
    await run.drive()
    assert log.entered == ["a", "charge", "b"]
    assert log.of(RequestsDropped) == [RequestsDropped("charge", ("a",))]
    assert run.detour == ()


async def test_closing_settles_what_was_stale_and_leaves_open_what_never_ran() -> None:
    """Jumping to the charge: stale steps before it stay as they are, unvisited ones still run."""
    flow, log = Flow("f"), Log()
    a = flow.step("a", id="a")(scripted("a", "aa"))
    b = flow.step("b", id="b", depends_on=[a])(scripted("b"))
    c = flow.step("c", id="c", when=lambda r: r[a] == "a")(scripted("c"))

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.jump_ahead(a, charge)
            await interrupted()
        return answering(visit)

    d = add(flow, "d", act)
    early = flow.step("early", id="early", when=lambda r: r[d] == "no")(never)
    charge = flow.step("charge", id="charge", point_of_no_return=True)(scripted("charged"))
    run = flow.prepare(observers=[log])
    run.answer(early, "early")
    results = await run.drive()
    assert log.visits[4:] == ["a 2 requested", "charge 1 requested", "d 2 resumed"]
    assert (results[b], results[c], results[d]) == ("b", "c", "d2")
    assert results.outcome(early) == Skipped()


async def test_nothing_behind_a_point_of_no_return_goes_stale() -> None:
    """Not even by a step before it that was still open when it was closed."""
    flow, log = Flow("f"), Log()
    a = flow.step("a", id="a")(scripted("no", "yes"))

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.jump_ahead(charge)
            await interrupted()
        return answering(visit)

    b: Step[str] = flow.step("b", id="b", when=lambda r: r[a] == "yes")(act)
    c = flow.step("c", id="c", depends_on=[b])(scripted("c"))
    d = flow.step("d", id="d", when=lambda r: r.get(b) is None)(scripted("d"))
    charge = flow.step("charge", id="charge", point_of_no_return=True)(scripted("charged"))

    def ask(event: Event) -> None:
        if isinstance(event, StepCompleted) and event.step == "d":
            run.go_back(a)

    run = flow.prepare(observers=[log, ask])
    results = await run.drive()
    assert log.visits == [
        *("a 1 first", "c 1 first", "d 1 first", "a 2 requested", "b 1 first"),
        *("charge 1 requested", "b 2 resumed"),
    ]
    assert (results[b], results[c], results[d]) == ("b2", "c", "d")
    assert log.of(StepsMadeStale) == [StepsMadeStale("a", (), ("b",))]


async def test_a_request_for_a_step_that_is_closed_by_its_own_answer_is_dropped() -> None:
    """It was open, behind a point of no return, and asked to run once more."""
    flow, log = Flow("f"), Log()

    async def act(visit: Visit) -> str:
        visit.run.go_back(a)
        return answering(visit)

    a: Step[str] = add(flow, "a", act)
    charge = flow.step("charge", id="charge", point_of_no_return=True)(never)
    run = flow.prepare(observers=[log])
    run.answer(charge, "cash")
    await run.drive()
    assert log.visits == ["a 1 first"]
    assert log.of(RequestsDropped) == [RequestsDropped("charge", ("a",))]


async def test_every_point_of_no_return_settles_what_is_stale_before_it() -> None:
    """From the one before it up to itself, although its own input changed while it was done."""
    flow, log = Flow("f"), Log()
    first = flow.step("first", id="first", point_of_no_return=True)(scripted("done"))
    a = flow.step("a", id="a")(scripted("a"))
    b = flow.step("b", id="b", depends_on=[a])(scripted("b"))

    async def charges(visit: Visit) -> str:
        visit.run.answer(a, "corrected")
        return answering(visit)

    charge = flow.step("charge", id="charge", depends_on=[a], point_of_no_return=True)(charges)
    last(flow)
    results = await flow.run(observers=[log])
    assert log.visits == [
        *("first 1 first", "a 1 first", "b 1 first", "charge 1 first", "last 1 first"),
    ]
    assert [results[step] for step in (first, a, b, charge)] == [
        *("done", "corrected", "b", "charge1"),
    ]


async def test_a_point_of_no_return_answered_from_outside_closes_too() -> None:
    """Done is done, whoever said so."""
    flow = Flow("f")
    a = add(flow, "a")
    charge = flow.step("charge", id="charge", point_of_no_return=True)(never)

    async def act(visit: Visit) -> str:
        with pytest.raises(GoBackError, match="point of no return"):
            visit.run.go_back(a)
        return answering(visit)

    add(flow, "b", act)
    run = flow.prepare()
    run.answer(charge, "cash")
    assert (await run.drive())[charge] == "cash"


@pytest.mark.parametrize("reads", [False, True])
async def test_closing_does_not_make_an_answer_count_that_its_condition_refutes(
    reads: bool,
) -> None:
    """Given over a condition that didn't hold, it still waits for the condition."""
    flow = Flow("f")
    a = add(flow, "a")
    b = flow.step("b", id="b", when=lambda r: reads and r[a] == "no")(never)

    async def act(visit: Visit) -> str:
        visit.run.answer(b, "told")
        return answering(visit)

    flow.step("charge", id="charge", point_of_no_return=True)(act)
    assert (await flow.run()).outcome(b) == Skipped()


async def test_a_point_of_no_return_that_its_condition_refutes_closes_nothing() -> None:
    """It was answered early, but the answer doesn't count."""
    flow, log = Flow("f"), Log()
    a = flow.step("a", id="a")(scripted("no", "no"))
    charge = flow.step(
        "charge", id="charge", when=lambda r: r[a] == "yes", point_of_no_return=True
    )(never)
    last(flow, a)
    run = flow.prepare(observers=[log])
    run.answer(charge, "cash")
    results = await run.drive()
    assert log.visits[2:] == ["a 2 requested", "last 2 resumed"]
    assert results.outcome(charge) == Skipped()


async def test_a_visit_that_was_closed_meanwhile_does_not_resume() -> None:
    """It had an answer before, and was being asked again when the point of no return was passed."""
    flow, log = Flow("f"), Log()

    async def act(visit: Visit) -> str:
        if visit.number == 2:
            visit.run.answer(charge, "cash")
            await visit.go_back(b)
        return answering(visit)

    a = add(flow, "a", act)

    async def back(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(a)
        return answering(visit)

    b = add(flow, "b", back)
    charge = flow.step("charge", id="charge", point_of_no_return=True)(never)
    results = await flow.run(observers=[log])
    assert log.visits == ["a 1 first", "b 1 first", "a 2 requested", "b 2 requested"]
    assert results[a] == "a1"
