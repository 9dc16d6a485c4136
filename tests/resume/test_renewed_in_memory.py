"""Resuming in memory: what had failed, and what is inside included flows."""

from __future__ import annotations

import pytest
from addresses import Address, AddressFlow, Outer
from in_memory import ended, leaving, resumed
from support import Log, add, answering, failing_on, interrupted, last

from reflow import CallbackFailed, Flow, Opened, RunState, StepCompleted, Visit

pytestmark = pytest.mark.anyio


# What had failed


@pytest.mark.parametrize("collects", [False, True])
async def test_the_step_that_ended_the_run_runs_again(*, collects: bool) -> None:
    """Whoever resumes it wants another try, with the rest as it was."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")
    bad = add(flow, "bad", failing_on(1), depends_on=(a,))
    add(flow, "c")
    earlier = await ended(flow.prepare())
    assert earlier.state is RunState.FAILED
    results = await resumed(earlier, flow, log, return_exceptions=collects).drive()
    assert log.visits == ["bad 2 recovered", "c 1 first"]
    assert log.of(Opened)[0].again == ("bad",)  # type: ignore[union-attr]  # it is an Opened
    assert (results[bad], results.exceptions) == ("bad2", None)


@pytest.mark.parametrize("collects", [False, True])
async def test_failures_that_were_collected(*, collects: bool) -> None:
    """They are the exceptions that were raised; only a run that raises failures tries again."""
    flow, log = Flow("f"), Log()
    bad = add(flow, "bad", failing_on(1))
    add(flow, "b", leaving())
    earlier = await ended(flow.prepare(return_exceptions=True))
    results = await resumed(earlier, flow, log, return_exceptions=collects).drive()
    assert log.visits == ["bad 2 recovered"] * (not collects) + ["b 2 recovered"]
    if collects:
        assert results.exceptions is not None
        assert earlier.results.exceptions is not None
        assert results.exceptions.exceptions[0] is earlier.results.exceptions.exceptions[0]
    else:
        assert results[bad] == "bad2"


@pytest.mark.parametrize("collects", [False, True])
async def test_a_failed_revisit(*, collects: bool) -> None:
    """The good answer stands; what ended the run by failing comes first, for another try."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a", failing_on(2))
    last(flow, a)
    earlier = await ended(flow.prepare())
    results = await resumed(earlier, flow, log, return_exceptions=collects).drive()
    assert log.visits == ["a 3 recovered", "last 2 resumed"]
    assert (results[a], results.exceptions) == ("a3", None)


async def test_a_failed_revisit_that_was_collected() -> None:
    """It is over: the good answer is what the step has."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a", failing_on(2))

    async def back(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(a)
        if visit.number == 2:
            await interrupted()
        return answering(visit)

    add(flow, "b", back)
    earlier = await ended(flow.prepare(return_exceptions=True))
    results = await resumed(earlier, flow, log).drive()
    assert log.visits == ["b 3 recovered"]
    assert results[a] == "a1"


async def test_a_failed_condition_is_evaluated_again() -> None:
    """It is what failed of its step."""
    flow, log, broken = Flow("f"), Log(), [True]

    def when(results: object) -> bool:
        if broken:
            message = "broken"
            raise ValueError(message)
        return True

    b = flow.step("b", id="b", when=when)(failing_on())
    earlier = await ended(flow.prepare())
    broken.clear()
    results = await resumed(earlier, flow, log).drive()
    assert log.visits == ["b 1 first"]
    assert results[b] == "b1"


async def test_an_interrupted_visit_whose_cleanup_failed() -> None:
    """What it was interrupted for comes first, then the step resumes."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            try:
                await visit.go_back(a)
            finally:
                message = "cleanup"
                raise ValueError(message)
        return answering(visit)

    add(flow, "b", act)
    earlier = await ended(flow.prepare())
    assert earlier.state is RunState.FAILED
    results = await resumed(earlier, flow, log).drive()
    assert log.visits == ["a 2 requested", "b 2 resumed"]
    assert results.exceptions is None


@pytest.mark.parametrize("collects", [False, True])
async def test_a_visit_that_failed_after_the_step_was_answered(*, collects: bool) -> None:
    """Nobody asks what was answered: whatever the visit did, that stands."""
    flow, log = Flow("f"), Log()

    async def act(visit: Visit) -> str:
        visit.run.answer(a, "given")
        raise ValueError

    a = add(flow, "a", act)
    add(flow, "b", leaving())
    earlier = await ended(flow.prepare(return_exceptions=collects))
    run = await ended(resumed(earlier, flow, log))
    assert log.visits == ["b 2 recovered" if collects else "b 1 first"]
    assert run.results[a] == "given"


@pytest.mark.parametrize("collects", [False, True])
async def test_a_callback_that_failed(*, collects: bool) -> None:
    """Its step is done; the failure is kept."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")
    add(flow, "b", leaving())

    async def tell(event: StepCompleted) -> None:
        raise ValueError(event.step)

    earlier = await ended(flow.prepare(on_completed=tell, return_exceptions=collects))
    run = await ended(resumed(earlier, flow, log, return_exceptions=collects))
    assert not log.of(CallbackFailed)
    assert log.visits == ["b 2 recovered" if collects else "b 1 first"]
    assert run.results[a] == "a1"
    assert run.results.exceptions is not None
    assert str(run.results.exceptions.exceptions[0]) == "a"


# Included flows


async def test_interrupted_inside() -> None:
    """It goes on at the step where it stood."""
    outer = Outer(AddressFlow(zip_code=leaving()))
    earlier = await ended(outer.flow.prepare())
    results = await resumed(earlier, outer.flow, outer.log).drive()
    assert outer.log.visits == ["address.zip_code 2 recovered", "address 1 first", "after 1 first"]
    assert results[outer.address] == Address("address.street1", "address.zip_code2")


async def test_answered_as_a_whole_before() -> None:
    """What is inside is asked neither here nor there, until its flow runs again."""
    outer = Outer(after=leaving())
    given = Address("s", "z")
    run = outer.flow.prepare()
    run.answer(outer.address, given)
    earlier = await ended(run)
    run = resumed(earlier, outer.flow, outer.log)
    run.go_back(outer.address)
    results = await run.drive()
    assert results[outer.address] == Address("address.street1", "address.zip_code1")
    assert outer.log.entered == ["address.street", "address.zip_code", "address", "after"]


async def test_answered_as_a_whole_before_resuming() -> None:
    """Of the visit that was under way inside nothing is left but its number."""
    outer = Outer(AddressFlow(zip_code=leaving()))
    earlier = await ended(outer.flow.prepare())
    run = outer.flow.prepare(observers=[outer.log])
    run.answer(outer.address, Address("s", "z"))
    run.resume(earlier)
    results = await run.drive()
    assert results[outer.address] == Address("s", "z")
    assert results[outer.street] == "address.street1"
    assert outer.log.visits == ["after 1 first"]


async def test_asking_for_a_whole_with_skipped_parts() -> None:
    """What is skipped inside doesn't refuse the request for the whole."""
    inner, flow, log = Flow("inner"), Flow("f"), Log()
    add(inner, "a")
    inner.step("d", id="never", when=lambda results: False)(failing_on())
    inner.step("d", id="maybe", optional=True)(failing_on())
    whole = flow.include(inner, "the whole", id="whole", build=len)
    add(flow, "b", leaving())
    first = flow.prepare()
    first.skip("whole.maybe")
    earlier = await ended(first)
    run = flow.prepare(observers=[log])
    run.jump_ahead(whole)
    run.resume(earlier)
    await run.drive()
    assert log.entered == ["whole.a", "whole.maybe", "whole", "b"]
