"""Answers from outside that correct earlier ones."""

from __future__ import annotations

from typing import TypeVar

import anyio
import pytest
from support import Log, add, answering, interrupted

from reflow import (
    Flow,
    Step,
    StepAnswered,
    StepsMadeStale,
    Visit,
)

pytestmark = pytest.mark.anyio

T = TypeVar("T")


async def test_a_correction_runs_only_what_went_stale() -> None:
    """`answer` for a step that is done: no visit to it, its dependents run again."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")
    add(flow, "b")
    add(flow, "c", depends_on=(a,))

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.answer(a, "corrected")
        return answering(visit)

    add(flow, "d", act)
    results = await flow.run(observers=[log])
    assert log.visits[4:] == ["c 2 stale"]
    assert results[a] == "corrected"
    assert StepAnswered("a", "corrected", changed=True) in log


async def test_a_correction_interrupts_the_active_step_that_is_based_on_it() -> None:
    """The caller isn't made to choose from a list that is no longer the right one."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.answer(a, "corrected")
            await interrupted()
        return visit[a]

    b = add(flow, "b", act, depends_on=(a,))
    results = await flow.run(observers=[log])
    assert log.visits == ["a 1 first", "b 1 first", "b 2 resumed"]
    assert results[b] == "corrected"
    assert StepsMadeStale("a", ("b",)) in log


async def test_an_answer_based_on_a_correction_that_came_meanwhile_is_stale() -> None:
    """Returned in spite of the interruption, it counts for what it is: computed from the old."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def act(visit: Visit) -> str:
        seen = visit[a]
        if visit.number == 1:
            visit.run.answer(a, "corrected")
        return seen

    b = add(flow, "b", act, depends_on=(a,))
    results = await flow.run(observers=[log])
    assert log.visits == ["a 1 first", "b 1 first", "b 2 stale"]
    assert results[b] == "corrected"


async def test_a_failure_based_on_a_correction_that_came_meanwhile_is_stale() -> None:
    """As with an answer: it is tried again with what is true now."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def act(visit: Visit) -> str:
        if visit[a] != "corrected":
            visit.run.answer(a, "corrected")
            raise ValueError("old")
        return visit[a]

    b = add(flow, "b", act, depends_on=(a,))
    results = await flow.run(observers=[log], return_exceptions=True)
    assert results[b] == "corrected"
    assert results.exceptions is None


async def test_a_correction_interrupts_an_active_confirmation() -> None:
    """`always_ask`: it was about to confirm what is no longer so."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.answer(a, "corrected")
            await interrupted()
        return visit[a]

    b = flow.step("b", id="b", always_ask=True)(act)
    results = await flow.run(observers=[log])
    assert log.visits == ["a 1 first", "b 1 first", "b 2 resumed"]
    assert results[b] == "corrected"


async def test_a_correction_that_the_active_step_does_not_care_for_leaves_it_alone() -> None:
    """The visit goes on; what went stale runs before the flow completes."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")
    add(flow, "b", depends_on=(a,))

    async def act(visit: Visit) -> str:
        visit.run.answer(a, "corrected")
        await anyio.lowlevel.checkpoint()
        return answering(visit)

    add(flow, "c", act)
    await flow.run(observers=[log])
    assert log.visits == ["a 1 first", "b 1 first", "c 1 first", "b 2 stale"]


async def test_a_correction_interrupts_a_step_that_was_jumped_ahead_to() -> None:
    """It stands behind everything that has an outcome, and is based on the corrected answer."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def jumps(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.jump_ahead(d)
            await interrupted()
        return answering(visit)

    add(flow, "b", jumps)
    add(flow, "c")

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.answer(a, "corrected")
            await interrupted()
        return visit[a]

    d: Step[str] = add(flow, "d", act, depends_on=(a,))
    results = await flow.run(observers=[log])
    assert log.entered == ["a", "b", "d", "d", "b", "c"]
    assert results[d] == "corrected"
