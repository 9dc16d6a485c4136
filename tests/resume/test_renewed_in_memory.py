"""Resuming in memory: what had failed, what is inside, and what was asked for before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest
from addresses import Address, AddressFlow, Outer
from support import Log, add, answering, failing_on, interrupted, last

from reflow import (
    CallbackFailed,
    Flow,
    FlowChangedError,
    GoBackError,
    Opened,
    Reason,
    RunState,
    RunStoppedError,
    Step,
    StepCompleted,
    Visit,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from reflow import Run

pytestmark = pytest.mark.anyio


async def ended(run: Run) -> Run:
    """Drive a run to its end, or until nothing happens any more; give it back."""
    try:
        with anyio.move_on_after(1):
            await run.drive()
    except (ValueError, RunStoppedError):
        pass
    return run


def resumed(earlier: Run, flow: Flow[None], log: Log, *, return_exceptions: bool = False) -> Run:
    """Make a run that goes on where another was left."""
    run = flow.prepare(observers=[log], return_exceptions=return_exceptions)
    run.resume(earlier)
    return run


def leaving(act: Callable[[Visit], Awaitable[str]] | None = None) -> Callable[[Visit], Awaitable[str]]:
    """Make a step's function that does something, then waits to be cancelled; and later answers."""

    async def leave(visit: Visit) -> str:
        if visit.reason is not Reason.RECOVERED:
            if act is not None:
                await act(visit)
            await interrupted()
        return answering(visit)

    return leave


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
        return await leaving()(visit)

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
    results = await resumed(earlier, flow, log).drive()
    assert log.entered == ["b"] * (2 - collects)
    assert results[a] == "given"


@pytest.mark.parametrize("collects", [False, True])
async def test_a_callback_that_failed(*, collects: bool) -> None:
    """Its step is done; the failure is kept."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")
    add(flow, "b", leaving())

    async def tell(event: StepCompleted) -> None:
        raise ValueError(event.step)

    earlier = await ended(flow.prepare(on_completed=tell, return_exceptions=collects))
    results = await resumed(earlier, flow, log, return_exceptions=collects).drive()
    assert not log.of(CallbackFailed)
    assert "a" not in log.entered
    assert results[a] == "a1"
    assert results.exceptions is not None
    assert str(results.exceptions.exceptions[0]) == "a"


# Included flows


async def test_interrupted_inside() -> None:
    """It goes on at the step where it stood."""
    outer = Outer(AddressFlow(zip_code=leaving()))
    earlier = await ended(outer.flow.prepare())
    results = await resumed(earlier, outer.flow, outer.log).drive()
    assert outer.log.visits == ["address.zip_code 2 recovered", "address 1 first", "after 1 first"]
    assert results[outer.address] == Address("street1", "zip_code2")


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
    assert results[outer.address] == Address("street1", "zip_code1")
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
    assert results[outer.street] == "street1"
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


# What was asked for before


def closing() -> Flow[None]:
    """Make a flow that is left behind its point of no return."""
    flow = Flow("f")
    add(flow, "a")
    flow.step("d", id="pay", point_of_no_return=True)(failing_on())
    flow.step("d", id="c", optional=True)(leaving())
    add(flow, "d")
    return flow


def step_of(flow: Flow[None], i: int) -> Step[str]:
    """Give a step, as what they all are here."""
    step = flow.steps[i]
    assert isinstance(step, Step)
    return step


@pytest.mark.parametrize("observed", [False, True])
async def test_all_kinds(*, observed: bool) -> None:
    """An answer, a skip and a request count in the order in which they came."""
    flow, log, entered = closing(), Log(), Log()
    earlier = await ended(flow.prepare())
    run = flow.prepare(observers=[log] if observed else [])
    run.skip("c")
    run.answer(step_of(flow, 3), "early")
    run.jump_ahead("d")
    run.resume(earlier)
    assert run.detour == (flow.steps[3],)
    results = await run.drive()
    assert results[step_of(flow, 3)] == "d1"
    assert [step.id for step in results] == ["a", "pay", "d"]
    assert log.entered == ["d"] * observed
    assert not entered


async def test_the_same_answer_is_no_news() -> None:
    """Who fills in what is known does so every time, also behind a point of no return."""
    flow, log = closing(), Log()
    run = await ended(flow.prepare())
    for visits in (["c 2 recovered", "d 1 first"], []):
        log.clear()
        earlier, run = run, flow.prepare(observers=[log])
        run.answer(step_of(flow, 0), "a1")
        run.resume(earlier)
        await run.drive()
        assert log.visits == visits


async def test_another_answer_is_news() -> None:
    """What depends on it runs again."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")
    add(flow, "b", depends_on=(a,))
    add(flow, "c", leaving())
    earlier = await ended(flow.prepare())
    run = flow.prepare(observers=[log])
    run.answer(a, "new")
    run.resume(earlier)
    await run.drive()
    assert log.visits == ["c 2 recovered", "b 2 stale"]


async def test_the_last_word_counts() -> None:
    """Answered, then skipped: the answer is what the step may offer when it is asked."""
    flow, log, offered = Flow("f"), Log(), list[object]()

    async def act(visit: Visit) -> str:
        offered.append(visit.get(a))
        return answering(visit)

    a = flow.step("d", id="a", optional=True)(act)
    b = add(flow, "b", leaving())
    earlier = await ended(flow.prepare())
    run = flow.prepare(observers=[log])
    run.answer(a, "early")
    run.skip(a)
    run.resume(earlier)
    assert a not in run.results
    run.answer(b, "given")
    run.answer(a, "late")
    run.go_back(a)
    await run.drive()
    assert offered == [None, "late"]


async def test_what_is_refused() -> None:
    """All of it at once, and nothing has changed: neither of the two runs, nor what was asked."""
    flow, log = closing(), Log()
    earlier = await ended(flow.prepare())
    run = flow.prepare(observers=[log])
    run.answer(step_of(flow, 0), "other")
    run.jump_ahead("pay", "d")
    match = "(?s)before it was resumed is refused.*'a': behind the point.*'pay': behind the point"
    with pytest.raises(GoBackError, match=match) as raised:
        run.resume(earlier)
    assert sorted(raised.value.refused) == ["a", "pay"]
    assert run.results[step_of(flow, 0)] == "other"
    assert [step.id for step in run.detour] == ["pay", "d"]
    assert earlier.results[step_of(flow, 0)] == "a1"
    # It can still begin anew, or another one go on.
    await run.drive()
    assert log.visits[:2] == ["pay 1 requested", "d 1 requested"]
    await resumed(earlier, flow, log).drive()
    assert log.visits[-2:] == ["c 2 recovered", "d 1 first"]


# Declarations


def declared(name: str = "f", *, order: str = "ab", **options: object) -> Flow[None]:
    """Make a flow; the options are those of its last step."""
    flow = Flow(name)
    for letter in order[:-1]:
        add(flow, letter)
    flow.step("d", id=order[-1], **options)(leaving())  # type: ignore[call-overload]  # they fit
    return flow


async def test_a_flow_declared_alike() -> None:
    """As by two calls of one function, whatever the objects are."""
    earlier = await ended(declared().prepare())
    flow, log = declared(), Log()
    results = await resumed(earlier, flow, log).drive()
    assert log.visits == ["b 2 recovered"]
    assert results[step_of(flow, 0)] == "a1"
