"""The callback on_completed."""

from __future__ import annotations

import anyio
import pytest
from support import Log, add, answering, failing_on, interrupted

from reflow import (
    CallbackFailed,
    Failed,
    Flow,
    StepCompleted,
    Visit,
)

pytestmark = pytest.mark.anyio


async def test_on_completed_is_called_between_visits_with_the_event() -> None:
    """Once for every completed visit, before the next one begins."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")
    calls: list[tuple[StepCompleted, list[str]]] = []

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(a)
        return answering(visit)

    add(flow, "b", act)

    async def callback(event: StepCompleted) -> None:
        await anyio.lowlevel.checkpoint()
        calls.append((event, log.entered.copy()))

    run = flow.prepare(observers=[log], on_completed=callback)
    await run.drive()
    assert calls == [
        (StepCompleted("a", 1, "a1", changed=False), ["a"]),
        (StepCompleted("a", 2, "a2", changed=True), ["a", "b", "a"]),
        (StepCompleted("b", 2, "b2", changed=False), ["a", "b", "a", "b"]),
    ]


@pytest.mark.parametrize("return_exceptions", [False, True])
async def test_a_callback_that_raises_cannot_change_a_result(return_exceptions: bool) -> None:
    """It ends the run, or joins the group; the answer stays."""
    flow, log = Flow("f"), Log()
    a, b = add(flow, "a"), add(flow, "b", failing_on(1))
    failure = RuntimeError("callback")

    async def callback(event: StepCompleted) -> None:
        raise failure

    run = flow.prepare(observers=[log], on_completed=callback, return_exceptions=return_exceptions)
    if return_exceptions:
        results = await run.drive()
        assert results.exceptions is not None
        assert [type(exc) for exc in results.exceptions.exceptions] == [RuntimeError, ValueError]
        assert isinstance(results.outcome(b), Failed)
    else:
        with pytest.raises(RuntimeError, match="callback") as info:
            await run.drive()
        assert info.value is failure
        assert failure.__notes__ == ["in on_completed for step 'a' of flow 'f', visit 1"]
    assert run.results[a] == "a1"
    assert CallbackFailed("a", failure) in log


async def test_a_callback_that_fails_is_made_good_by_the_next_answer() -> None:
    """The next answer of the step was reported without failure."""
    flow = Flow("f")
    a = add(flow, "a")

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            assert visit.run.results.exceptions is not None
            await visit.go_back(a)
        return answering(visit)

    add(flow, "b", act)

    async def callback(event: StepCompleted) -> None:
        if (event.step, event.number) == ("a", 1):
            raise RuntimeError

    results = await flow.run(on_completed=callback, return_exceptions=True)
    assert results.exceptions is None


async def test_a_callback_is_cancelled_from_outside() -> None:
    """A callback that never returns doesn't hold up whoever cancels the run."""
    flow = Flow("f")
    add(flow, "a")
    add(flow, "b")

    async def callback(event: StepCompleted) -> None:
        scope.cancel()
        await interrupted()

    run = flow.prepare(on_completed=callback, return_exceptions=True)
    with anyio.CancelScope() as scope:
        await run.drive()
    assert scope.cancelled_caught
    assert run.state.value == "cancelled"
    assert len(run.results) == 1


async def test_a_callback_is_not_cancelled_by_an_answer() -> None:
    """Between visits there is nothing to interrupt, whatever the last visit went by."""
    flow = Flow("f")
    ended: list[str] = []
    a = add(flow, "a")

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.answer(a, "corrected")
        return answering(visit)

    add(flow, "b", act, depends_on=(a,))
    c = add(flow, "c")

    async def callback(event: StepCompleted) -> None:
        if (event.step, event.number) == ("b", 1):
            run.answer(c, "early")
            await anyio.lowlevel.checkpoint()
            ended.append(event.step)

    run = flow.prepare(on_completed=callback)
    await run.drive()
    assert ended == ["b"]
