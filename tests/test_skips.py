"""Optional steps."""

from __future__ import annotations

from typing import TypeVar

import pytest
from support import Log, add, answering, never, scripted

from reflow import (
    AnswerSuperseded,
    Flow,
    FlowError,
    GoBackError,
    Skipped,
    StepAnswered,
    StepSkipped,
    Visit,
)

pytestmark = pytest.mark.anyio

T = TypeVar("T")


async def test_a_step_whose_inputs_were_skipped_still_runs() -> None:
    """A dependency says what to run again, not what to run at all."""
    flow, log = Flow("f"), Log()
    a = flow.step("a", id="a", when=lambda _: False)(never)
    flow.step("b", id="b", depends_on=[a])(scripted("b"))
    await flow.run(observers=[log])
    assert log.entered == ["b"]


async def test_a_skip_is_a_change_for_always_ask() -> None:
    """Outcomes count, not only answers."""
    flow, log = Flow("f"), Log()
    flow.step("a", id="a", optional=True)(scripted("a"))
    flow.step("sure", id="sure", always_ask=True)(scripted(True, True))

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.skip("a")
            await visit.go_back("sure")
        return answering(visit)

    add(flow, "b", act)
    await flow.run(observers=[log])
    assert log.visits == [
        "a 1 first",
        "sure 1 first",
        "b 1 first",
        "sure 2 requested",
        "b 2 resumed",
    ]


async def test_a_given_answer_wins_over_a_visit_that_skips() -> None:
    """The visit is being left already: what it still wants for itself doesn't count."""
    flow, log = Flow("f"), Log()

    @flow.step("a", optional=True)
    async def a(visit: Visit) -> str:
        visit.run.answer(a, "given")
        visit.skip()

    results = await flow.run(observers=[log])
    assert results[a] == "given"
    assert not log.of(StepSkipped)


async def test_an_optional_step_may_be_skipped() -> None:
    """From inside, from outside, early or afterwards; it then has no answer."""
    flow, log = Flow("f"), Log()

    async def skips(visit: Visit) -> str:
        visit.skip()

    async def skipped_by_run(visit: Visit) -> str:
        visit.run.skip(visit.step)
        return "superseded"

    a = flow.step("a", id="a", optional=True)(skips)
    b = flow.step("b", id="b", optional=True)(skipped_by_run)
    c = flow.step("c", id="c", optional=True)(never)
    d = flow.step("d", id="d", optional=True)(scripted("d"))
    e = flow.step("e", id="e", optional=True, when=lambda r: a not in r)(never)
    dependent = flow.step("f", id="f", depends_on=[d])(scripted("f", "f"))

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.skip("d")
            with pytest.raises(GoBackError, match="step 'a' of flow 'f': skipped"):
                visit.run.go_back(a)
        return answering(visit)

    add(flow, "g", act)
    run = flow.prepare(observers=[log])
    run.skip(c)
    run.skip(e)
    results = await run.drive()
    assert log.visits == [
        *("a 1 first", "b 1 first", "d 1 first", "f 1 first", "g 1 first", "f 2 stale"),
    ]
    assert [results.outcome(step) for step in (a, b, c, d, e)] == [Skipped()] * 5
    assert results[dependent] == "f"
    assert log.of(AnswerSuperseded) == [AnswerSuperseded("b", 1, "superseded")]
    assert StepSkipped("d", changed=True, by_condition=False) in log


async def test_only_optional_steps_may_be_skipped() -> None:
    """The request is refused; in a step's own code it is the author's fault."""
    flow, log = Flow("f"), Log()

    async def act(visit: Visit) -> str:
        with pytest.raises(FlowError, match="declare the step with optional=True"):
            visit.skip()
        with pytest.raises(GoBackError, match="can't skip, step 'a' of flow 'f': not optional"):
            visit.run.skip("a")
        with pytest.raises(GoBackError, match="step 'nope' of flow 'f': unknown"):
            visit.run.skip("nope")
        return answering(visit)

    a = add(flow, "a", act)
    assert (await flow.run(observers=[log]))[a] == "a1"
    assert not log.of(StepSkipped)


async def test_skipping_twice_changes_nothing_the_second_time() -> None:
    """Skipped after skipped is no change, and an answer over an open condition is none yet."""
    flow, log = Flow("f"), Log()
    a = flow.step("a", id="a", optional=True)(never)
    b = flow.step("b", id="b", when=lambda _: True)(never)
    add(flow, "c", depends_on=(a,))
    run = flow.prepare(observers=[log])
    run.skip(a)
    run.skip(a)
    run.answer(b, "early")
    await run.drive()
    assert log.of(StepSkipped) == [StepSkipped("a", changed=False, by_condition=False)] * 2
    assert log.of(StepAnswered) == [StepAnswered("b", "early", changed=False)]
