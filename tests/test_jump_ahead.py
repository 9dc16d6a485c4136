"""Jumping ahead."""

from __future__ import annotations

import pytest
from support import Log, add, answering, interrupted

from reflow import (
    Flow,
    GoBackError,
    Results,
    Run,
    Visit,
)

pytestmark = pytest.mark.anyio


async def test_jump_ahead_takes_steps_not_visited_yet() -> None:
    """What was jumped over runs afterwards, the step jumped to isn't run twice."""
    flow, log = Flow("f"), Log()

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.jump_ahead("d", "b")
            await interrupted()
        return answering(visit)

    add(flow, "a", act)
    for name in "bcd":
        add(flow, name)
    await flow.run(observers=[log])
    assert log.visits == [
        *("a 1 first", "d 1 requested", "b 1 requested", "a 2 resumed", "c 1 first"),
    ]


async def test_jump_ahead_runs_what_the_step_needs_first() -> None:
    """A step is never visited before its inputs, and theirs, are settled."""
    flow, log = Flow("f"), Log()

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.jump_ahead("e")
            await interrupted()
        return answering(visit)

    add(flow, "a", act)
    b = add(flow, "b")
    add(flow, "c")
    d = add(flow, "d", depends_on=(b,))
    add(flow, "e", depends_on=(d,))
    await flow.run(observers=[log])
    assert log.entered == ["a", "b", "d", "e", "a", "c"]


async def test_jump_ahead_to_a_conditional_step_settles_what_the_condition_reads() -> None:
    """A condition that read an open step says nothing yet: that step runs, then it is asked again.

    Whether the condition raised on the missing answer or took a default is all the same.
    """
    flow, log = Flow("f"), Log()

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.jump_ahead("d", "e")
            await interrupted()
        return answering(visit)

    add(flow, "a", act)
    b, c = add(flow, "b"), add(flow, "c")

    def reads_with_default(results: Results) -> bool:
        return results.get(c) is not None

    async def plain(visit: Visit) -> str:
        return answering(visit)

    flow.step("d", id="d", when=lambda r: r[b] == "b1")(plain)
    e = flow.step("e", id="e", when=reads_with_default)(plain)
    results = await flow.run(observers=[log])
    assert log.entered == ["a", "b", "d", "c", "e", "a"]
    assert results[e] == "e1"


async def test_jump_ahead_to_a_step_that_may_not_be_revisited_is_a_first_visit() -> None:
    """`revisitable=False` forbids coming back, not coming."""
    flow, log = Flow("f"), Log()

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.jump_ahead("b")
            await interrupted()
        with pytest.raises(GoBackError, match="not revisitable"):
            visit.run.jump_ahead("b")
        return answering(visit)

    add(flow, "a", act)

    @flow.step("once", id="b", revisitable=False)
    async def once(visit: Visit) -> int:
        return visit.number

    assert (await flow.run(observers=[log]))[once] == 1
    assert log.entered == ["a", "b", "a"]


async def test_before_the_run_only_steps_ahead_can_be_asked_for() -> None:
    """Nothing was visited yet; `jump_ahead` says where to begin."""
    flow, log = Flow("f"), Log()
    a, b = add(flow, "a"), add(flow, "b")
    run: Run = flow.prepare(observers=[log])
    with pytest.raises(GoBackError, match="not visited yet"):
        run.go_back(a)
    run.jump_ahead(b)
    assert (run.detour, run.active) == ((b,), None)
    await run.drive()
    assert log.visits == ["b 1 requested", "a 1 first"]
