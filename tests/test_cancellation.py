"""Cancellation from outside, and checkpoints."""

from __future__ import annotations

import asyncio
import contextvars

import anyio
import pytest
from anyio.lowlevel import checkpoint
from support import Log, add, answering, interrupted

from reflow import (
    Flow,
    RunCancelled,
    Step,
    StepCompleted,
    Visit,
)

pytestmark = pytest.mark.anyio


async def test_a_swallowed_interruption_is_a_completion() -> None:
    """A step that returns in spite of the cancellation is not run again."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def act(visit: Visit) -> str:
        visit.run.go_back(a)
        try:
            await interrupted()
        except anyio.get_cancelled_exc_class():
            return "swallowed"

    b = add(flow, "b", act)
    results = await flow.run(observers=[log])
    assert log.entered == ["a", "b", "a"]
    assert results[b] == "swallowed"


async def test_outside_cancellation_wins_over_a_request_of_the_same_tick() -> None:
    """The run is cancelled, the request dies with it, and nothing is left running."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def act(visit: Visit) -> str:
        visit.run.go_back(a)
        outer.cancel()
        await interrupted()

    add(flow, "b", act)
    run = flow.prepare(observers=[log])
    with anyio.CancelScope() as outer:
        await run.drive()
    assert outer.cancelled_caught
    assert run.state.value == "cancelled"
    assert log.entered == ["a", "b"]
    assert log[-1] == RunCancelled()


async def test_outside_cancellation_before_a_request() -> None:
    """In the other order it is the same."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def act(visit: Visit) -> str:
        outer.cancel()
        await visit.go_back(a)

    add(flow, "b", act)
    with anyio.CancelScope() as outer:
        await flow.run(observers=[log])
    assert outer.cancelled_caught
    assert log.entered == ["a", "b"]


@pytest.mark.parametrize("request_too", [False, True])
async def test_outside_cancellation_that_a_step_swallows_still_wins(request_too: bool) -> None:
    """The answer counts, but no further step begins."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def act(visit: Visit) -> str:
        if request_too:
            visit.run.go_back(a)
        outer.cancel()
        try:
            await interrupted()
        except anyio.get_cancelled_exc_class():
            return "swallowed"

    b = add(flow, "b", act)
    add(flow, "c")
    run = flow.prepare(observers=[log])
    with anyio.CancelScope() as outer:
        await run.drive()
    assert outer.cancelled_caught
    assert log.entered == ["a", "b"]
    assert run.results[b] == "swallowed"
    assert run.state.value == "cancelled"


@pytest.mark.parametrize("where", ["step", "callback", "superseded"])
async def test_outside_cancellation_of_a_shielded_section_ends_the_run(where: str) -> None:
    """It is seen when the section is over, on every backend: no further step begins."""
    flow, log = Flow("f"), Log()

    async def critical() -> None:
        with anyio.CancelScope(shield=True):
            outer.cancel()
            await checkpoint()

    async def act(visit: Visit) -> str:
        if where != "callback":
            await critical()
        if where == "superseded":
            visit.run.answer(a, "given")
        return answering(visit)

    async def callback(event: StepCompleted) -> None:
        if where == "callback":
            await critical()

    a: Step[str] = add(flow, "a", act)
    add(flow, "b")
    run = flow.prepare(observers=[log], on_completed=callback)
    with anyio.CancelScope() as outer:
        await run.drive()
    assert outer.cancelled_caught
    assert log.entered == ["a"]
    assert log[-1] == RunCancelled()
    assert a in run.results


async def test_outside_cancellation_without_an_await() -> None:
    """A step that returns at once after it cancelled the scope around the run."""
    flow, log = Flow("f"), Log()

    async def act(visit: Visit) -> str:
        outer.cancel()
        return answering(visit)

    add(flow, "a", act)
    add(flow, "b")
    with anyio.CancelScope() as outer:
        await flow.run(observers=[log])
    assert log.entered == ["a"]


async def test_native_cancellation_by_the_step_itself_is_delivered_once(backend_name: str) -> None:
    """Whoever catches it and calls `uncancel()` can await again."""
    if backend_name != "asyncio":
        pytest.skip("task.cancel() is asyncio's")
    flow = Flow("f")

    def this_task() -> asyncio.Task[object]:
        task = asyncio.current_task()
        assert task is not None
        return task

    async def act(visit: Visit) -> str:
        this_task().cancel()
        return answering(visit)

    add(flow, "a", act)

    async def main() -> str:
        with pytest.raises(asyncio.CancelledError):
            await flow.run()
        this_task().uncancel()
        await asyncio.sleep(0)
        return "went on"

    assert await asyncio.create_task(main()) == "went on"


@pytest.mark.parametrize("swallows", [False, True])
@pytest.mark.parametrize("request_too", [False, True])
async def test_native_task_cancel(backend_name: str, request_too: bool, swallows: bool) -> None:
    """Asyncio's own edge cancellation propagates, also when a step swallowed it."""
    if backend_name != "asyncio":
        pytest.skip("task.cancel() is asyncio's")
    flow, log = Flow("f"), Log()
    a = add(flow, "a")
    waiting = asyncio.Event()

    async def act(visit: Visit) -> str:
        waiting.set()
        try:
            await interrupted()
        except asyncio.CancelledError:
            if swallows:
                return "swallowed"
            raise

    b = add(flow, "b", act)
    add(flow, "c")
    run = flow.prepare(observers=[log])
    before = asyncio.all_tasks()
    task = asyncio.create_task(run.drive())
    await waiting.wait()
    if request_too:
        run.go_back(a)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert task.cancelled()
    assert log.entered == ["a", "b"]
    assert run.state.value == "cancelled"
    assert (b in run.results) == swallows
    assert asyncio.all_tasks() == before


async def test_native_cancellation_from_before_the_run_is_not_ours(backend_name: str) -> None:
    """A task that was cancelled once and went on may drive a run (`cancelling()` is compared)."""
    if backend_name != "asyncio":
        pytest.skip("task.cancel() is asyncio's")
    flow = Flow("f")
    a = add(flow, "a")

    async def main() -> str:
        try:
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            return (await flow.run())[a]
        raise AssertionError

    task = asyncio.create_task(main())
    await checkpoint()
    task.cancel()
    assert await task == "a1"


async def test_a_foreign_cancelled_error_is_not_an_interruption(backend_name: str) -> None:
    """A step that awaits something cancelled raises CancelledError: a BaseException like others."""
    if backend_name != "asyncio":
        pytest.skip("only asyncio lets one task's cancellation reach another")
    flow, log = Flow("f"), Log()

    async def act(visit: Visit) -> str:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future
        raise AssertionError

    add(flow, "a", act)
    with pytest.raises(asyncio.CancelledError):
        await flow.run(observers=[log], return_exceptions=True)
    assert log[-1] == RunCancelled()


async def test_cancellation_before_the_first_step() -> None:
    """`drive()` checkpoints once, at its beginning: a cancelled caller runs nothing."""
    flow, log = Flow("f"), Log()
    add(flow, "a")
    with anyio.CancelScope() as outer:
        outer.cancel()
        await flow.run(observers=[log])
    assert outer.cancelled_caught
    assert log.entered == []


async def test_drive_checkpoints_once_and_not_between_the_steps() -> None:
    """Other tasks get one turn, and then none until a step awaits something."""
    flow = Flow("f")
    for name in "abc":
        add(flow, name)
    turns: list[str] = []

    async def other() -> None:
        for _ in range(5):
            turns.append("other")
            await checkpoint()

    async with anyio.create_task_group() as tg:
        tg.start_soon(other)
        await flow.run()
        turns.append("done")
    assert turns.index("done") <= 2


async def test_steps_share_the_context_of_the_caller() -> None:
    """A context variable that a step sets stays set for the next, and for the caller."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    flow = Flow("f")

    async def sets(visit: Visit) -> str:
        variable.set(visit.step.id)
        return answering(visit)

    async def reads(visit: Visit) -> str:
        return variable.get()

    add(flow, "a", sets)
    b = add(flow, "b", reads)
    assert (await flow.run())[b] == "a"
    assert variable.get() == "a"


async def test_a_run_that_is_thrown_away_is_cancelled() -> None:
    """Closing the coroutine, as an event loop does in the end, is cancellation from outside."""
    flow, log = Flow("f"), Log()

    async def act(visit: Visit) -> str:
        raise GeneratorExit

    add(flow, "a", act)
    with pytest.raises(GeneratorExit):
        await flow.run(observers=[log])
    assert log[-1] == RunCancelled()
