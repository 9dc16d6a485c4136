"""Answers from outside."""

from __future__ import annotations

from typing import TypeVar

import anyio
import pytest
from support import Log, add, answering, interrupted

from reflow import (
    AnswerSuperseded,
    CleanupFailed,
    Flow,
    FlowError,
    GoBackError,
    Pending,
    Step,
    StepInterrupted,
    Visit,
)

pytestmark = pytest.mark.anyio

T = TypeVar("T")


async def test_an_early_answer_is_not_asked_for() -> None:
    """What is known from before the call isn't asked again."""
    flow, log = Flow("f"), Log()
    a, b = add(flow, "a"), add(flow, "b")
    run = flow.prepare(observers=[log])
    run.answer(b, "known")
    assert run.results[b] == "known"
    results = await run.drive()
    assert log.entered == ["a"]
    assert (results[a], results[b]) == ("a1", "known")
    assert [type(event).__name__ for event in log[:2]] == ["RunStarted", "StepAnswered"]


async def test_answering_the_active_step_ends_its_visit() -> None:
    """As if it had returned that."""
    flow, log = Flow("f"), Log()
    waiting = anyio.Event()

    async def act(visit: Visit) -> str:
        waiting.set()
        await interrupted()

    a = add(flow, "a", act)
    add(flow, "b")
    run = flow.prepare(observers=[log])
    async with anyio.create_task_group() as tg:

        async def listen() -> None:
            await waiting.wait()
            run.answer(a, "given")
            assert run.results[a] == "given"

        tg.start_soon(listen)
        results = await run.drive()
    assert log.entered == ["a", "b"]
    assert results[a] == "given"
    assert not log.of(StepInterrupted, AnswerSuperseded)


async def test_the_given_answer_wins_over_one_that_the_step_still_returns() -> None:
    """The other one is reported, it is not silently lost."""
    flow, log = Flow("f"), Log()

    async def act(visit: Visit) -> str:
        visit.run.answer(a, "given")
        return "returned"

    a: Step[str] = add(flow, "a", act)
    results = await flow.run(observers=[log])
    assert results[a] == "given"
    assert log.of(AnswerSuperseded) == [AnswerSuperseded("a", 1, "returned")]


@pytest.mark.parametrize("return_exceptions", [False, True])
async def test_an_answered_step_whose_cleanup_raises(return_exceptions: bool) -> None:
    """The answer stands, the failure is beside it."""
    flow, log = Flow("f"), Log()
    failure = ValueError("cleanup")

    async def act(visit: Visit) -> str:
        visit.run.answer(a, "given")
        raise failure

    a: Step[str] = add(flow, "a", act)
    run = flow.prepare(observers=[log], return_exceptions=return_exceptions)
    if return_exceptions:
        results = await run.drive()
        assert results[a] == "given"
        assert results.exceptions is not None
        assert results.exceptions.exceptions == (failure,)
    else:
        with pytest.raises(ValueError, match="cleanup") as info:
            await run.drive()
        assert info.value is failure
        assert failure.__notes__ == ["while it was being left, step 'a' of flow 'f', visit 1"]
    assert CleanupFailed("a", 1, failure) in log


async def test_an_answer_serves_the_pending_request_for_its_step() -> None:
    """Asked to go back, then told: there is nothing left to ask."""
    flow, log = Flow("f"), Log()
    a, b = add(flow, "a"), add(flow, "b")

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.go_back(a, b)
            visit.run.answer(a, "told")
            assert visit.run.detour == (b,)
            await interrupted()
        return answering(visit)

    add(flow, "c", act)
    results = await flow.run(observers=[log])
    assert log.visits[3:] == ["b 2 requested", "c 2 resumed"]
    assert results[a] == "told"


async def test_a_request_after_the_answer_asks_again() -> None:
    """The order of what is asked counts."""
    flow, log = Flow("f"), Log()

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.answer(a, "told")
            visit.run.go_back(a)
            await interrupted()
        return answering(visit)

    a: Step[str] = add(flow, "a", act)
    results = await flow.run(observers=[log])
    assert log.visits == ["a 1 first", "a 2 requested"]
    assert results[a] == "a2"


async def test_validate_is_applied_to_answers_from_outside() -> None:
    """It returns what to keep, or raises ValueError, and then nothing has changed."""
    flow = Flow("f")

    def check(value: str) -> str:
        if "@" not in value:
            raise ValueError("an e-mail has an @")
        return value.lower()

    async def plain(visit: Visit) -> str:
        return "not validated: the step's own affair"

    a = flow.step("a", id="a", validate=check)(plain)
    b = flow.step("b", id="b", validate=check)(plain)
    run = flow.prepare()
    with pytest.raises(ValueError, match="an e-mail has an @"):
        run.answer(a, "nonsense")
    assert run.results.outcome(a) == Pending()
    run.answer(a, "Ada@Example.org")
    results = await run.drive()
    assert results[a] == "ada@example.org"
    assert results[b].startswith("not validated")


async def test_an_answer_to_a_step_of_another_flow_is_refused() -> None:
    """Types alone can't tell two flows apart."""
    flow, other = Flow("f"), Flow("g")
    a = add(flow, "a")
    foreign = add(other, "a")
    run = flow.prepare()
    with pytest.raises(
        GoBackError, match="can't answer, step 'a' of flow 'f': of another flow, 'g'"
    ):
        run.answer(foreign, "x")
    for read in (run.results.get, run.results.outcome, run.results.__getitem__):
        with pytest.raises(FlowError, match="<Step 'a' of flow 'g'> is not a step of this run"):
            read(foreign)
    assert (await run.drive())[a] == "a1"
