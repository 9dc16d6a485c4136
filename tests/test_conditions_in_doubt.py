"""Conditions that are to be evaluated again."""

from __future__ import annotations

from typing import TypeVar

import pytest
from support import Log, add, answering, last, scripted

from reflow import (
    ConditionEvaluated,
    Flow,
    Pending,
    StepNotDoneError,
    StepsMadeStale,
    StepState,
    Visit,
)

pytestmark = pytest.mark.anyio

T = TypeVar("T")


async def test_a_condition_in_doubt_that_still_holds_runs_nothing() -> None:
    """True for a step that is done and not stale: its answer counts again."""
    flow, log = Flow("f"), Log()
    a = flow.step("a", id="a")(scripted(1, 2))
    b = flow.step("b", id="b", when=lambda r: r[a] > 0)(scripted("b"))

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(a)
        return answering(visit)

    add(flow, "c", act)
    results = await flow.run(observers=[log])
    assert log.entered == ["a", "b", "c", "a", "c"]
    assert log.of(ConditionEvaluated) == [ConditionEvaluated("b", True, ("a",))] * 2
    assert results[b] == "b"


async def test_a_condition_in_doubt_makes_the_answer_pending() -> None:
    """Until it is evaluated again, nobody can rely on the answer."""
    flow = Flow("f")
    a = flow.step("a", id="a")(scripted(1, 2))
    seen: list[object] = []

    async def between(visit: Visit) -> str:
        if visit.number == 2:
            seen.append(visit.run.results.outcome(c))
            with pytest.raises(StepNotDoneError, match="its condition is still to be evaluated"):
                visit[c]
        return answering(visit)

    b = flow.step("b", id="b", depends_on=[a])(between)
    c = flow.step("c", id="c", when=lambda r: r[a] > 0)(scripted("c"))
    last(flow, a)
    results = await flow.run()
    assert seen == [Pending(StepState.IN_DOUBT)]
    assert (results[b], results[c]) == ("b2", "c")


async def test_an_early_answer_whose_input_changed_is_asked_although_its_condition_holds() -> None:
    """Given before its turn, it went stale before its turn."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def corrects(visit: Visit) -> str:
        visit.run.answer(a, "corrected")
        return answering(visit)

    add(flow, "b", corrects)
    c = flow.step("c", id="c", depends_on=[a], when=lambda _: True)(scripted("asked"))
    run = flow.prepare(observers=[log])
    run.answer(c, "early")
    results = await run.drive()
    assert log.visits == ["a 1 first", "b 1 first", "c 1 stale"]
    assert results[c] == "asked"


async def test_a_confirmation_given_early_goes_stale_like_any_other() -> None:
    """Its condition is still open, and an earlier answer changes meanwhile."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.answer(sure, "yes")
            await visit.go_back(a)
        return answering(visit)

    add(flow, "b", act)
    sure = flow.step("sure", id="sure", when=lambda _: True, always_ask=True)(scripted("asked"))
    results = await flow.run(observers=[log])
    assert log.visits[-1] == "sure 1 stale"
    assert results[sure] == "asked"


async def test_an_answer_in_doubt_changes_nothing_before_its_condition_is_known() -> None:
    """Its dependents are asked again when it counts, not when it was given."""
    flow, log = Flow("f"), Log()
    a = flow.step("a", id="a")(scripted(1))
    b = flow.step("b", id="b", when=lambda r: r[a] > 0)(scripted("b"))
    c = flow.step("c", id="c", depends_on=[b])(scripted("c", "c2"))

    async def act(visit: Visit) -> str:
        visit.run.answer(a, 2)
        visit.run.answer(b, "told")
        assert visit[c] == "c"
        return answering(visit)

    add(flow, "d", act)
    results = await flow.run(observers=[log])
    assert log.visits[3:] == ["d 1 first", "c 2 stale"]
    assert (results[b], results[c]) == ("told", "c2")


async def test_a_condition_is_in_doubt_only_by_what_it_read_last() -> None:
    """What it read at an earlier time, but not since, is nothing to it."""
    flow, log = Flow("f"), Log()
    a = flow.step("a", id="a")(scripted("look", "don't"))
    b = flow.step("b", id="b")(scripted("1", "2"))
    c = flow.step("c", id="c", when=lambda r: r[a] == "don't" or r[b] == "1")(scripted("c"))
    last(flow, a, b)
    results = await flow.run(observers=[log])
    assert log.of(StepsMadeStale) == [StepsMadeStale("a", (), ("c",))]
    assert log.of(ConditionEvaluated) == [
        ConditionEvaluated("c", holds=True, read=("a", "b")),
        ConditionEvaluated("c", holds=True, read=("a",)),
    ]
    assert results[c] == "c"


async def test_an_answer_both_stale_and_in_doubt_is_asked_again() -> None:
    """Its condition still holds, but what it was computed from is no longer so."""
    flow, log = Flow("f"), Log()
    a = flow.step("a", id="a")(scripted(1))

    async def act(visit: Visit) -> int:
        seen = visit[a]
        if visit.number == 1:
            visit.run.answer(a, 2)
        return seen

    b = flow.step("b", id="b", depends_on=[a], when=lambda r: r[a] > 0)(act)
    results = await flow.run(observers=[log])
    assert log.visits == ["a 1 first", "b 1 first", "b 2 stale"]
    assert results[b] == 2


async def test_an_equal_answer_over_an_open_condition_is_no_change() -> None:
    """When its condition turns out to hold, what depends on it is not asked again."""
    flow, log = Flow("f"), Log()
    a = flow.step("a", id="a")(scripted(1))
    b = flow.step("b", id="b", when=lambda r: r[a] > 0)(scripted("b"))
    flow.step("c", id="c", depends_on=[b])(scripted("c"))

    async def act(visit: Visit) -> str:
        visit.run.answer(a, 2)
        visit.run.answer(b, "b")
        return answering(visit)

    add(flow, "d", act)
    await flow.run(observers=[log])
    assert log.entered == ["a", "b", "c", "d"]
