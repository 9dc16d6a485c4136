"""Interruption, races and cancellation: rules 4.2 of the design."""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from functools import partial
from typing import TYPE_CHECKING, Never

import anyio
import pytest
from anyio.lowlevel import checkpoint
from support import Log, add, answering, interrupted

from reflow import (
    CleanupFailed,
    Event,
    Flow,
    FlowError,
    GoBackRequested,
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunFinishedError,
    RunStopped,
    RunStoppedError,
    Skipped,
    Step,
    StepCompleted,
    StepEntered,
    StepInterrupted,
    Visit,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

pytestmark = pytest.mark.anyio


async def test_a_request_from_another_task_interrupts_at_once() -> None:
    """The waiting step is cancelled through its scope, its cleanup runs, and it resumes."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")
    waiting = anyio.Event()
    cleaned: list[int] = []

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            try:
                waiting.set()
                await interrupted()
            finally:
                cleaned.append(visit.number)
        return answering(visit)

    b = add(flow, "b", act)
    run = flow.prepare(observers=[log])
    async with anyio.create_task_group() as tg:

        async def listen() -> None:
            await waiting.wait()
            run.go_back(a)
            assert run.detour == (a,)

        tg.start_soon(listen)
        results = await run.drive()
    assert log.visits == ["a 1 first", "b 1 first", "a 2 requested", "b 2 resumed"]
    assert (cleaned, results[b]) == ([1], "b2")


async def test_level_cancellation_ends_cleanup_at_its_first_unshielded_await() -> None:
    """As in trio and anyio: a bare await in a `finally` is cancelled again, a shielded one isn't.

    That is not asyncio's own edge cancellation; the rule is the same on every backend here.
    """
    flow = Flow("f")
    reached: list[str] = []
    a = add(flow, "a")

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            try:
                await visit.go_back(a)
            finally:
                with anyio.CancelScope(shield=True):
                    await checkpoint()
                    reached.append("shielded")
                await checkpoint()
                reached.append("never")
        return answering(visit)

    add(flow, "b", act)
    await flow.run()
    assert reached == ["shielded"]


async def test_a_wholly_shielded_step_is_a_critical_section() -> None:
    """The request waits for its end, and the answer counts."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def act(visit: Visit) -> str:
        with anyio.CancelScope(shield=True):
            if visit.number == 1:
                visit.run.go_back(a)
            await checkpoint()
            await checkpoint()
        return answering(visit)

    b = add(flow, "b", act)
    results = await flow.run(observers=[log])
    assert log.entered == ["a", "b", "a"]
    assert results[b] == "b1"


async def test_a_request_in_the_tick_of_the_completion_counts_like_the_answer() -> None:
    """The step is not run again, the requested one is."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def act(visit: Visit) -> str:
        visit.run.go_back(a)
        return answering(visit)

    b = add(flow, "b", act)
    results = await flow.run(observers=[log])
    assert log.visits == ["a 1 first", "b 1 first", "a 2 requested"]
    assert (results[a], results[b]) == ("a2", "b1")
    assert not log.of(StepInterrupted)


async def test_a_request_in_the_tick_in_which_the_awaited_thing_happens() -> None:
    """Another task makes the step's wait end and asks to go back before the step sees either.

    Whatever the backend decides, nothing is lost: the answer counts or the step resumes.
    """
    flow, log = Flow("f"), Log()
    a = add(flow, "a")
    waiting, reply = anyio.Event(), anyio.Event()

    async def act(visit: Visit) -> str:
        waiting.set()
        await reply.wait()
        return answering(visit)

    b = add(flow, "b", act)
    run = flow.prepare(observers=[log])
    async with anyio.create_task_group() as tg:

        async def listen() -> None:
            await waiting.wait()
            reply.set()
            run.go_back(a)

        tg.start_soon(listen)
        results = await run.drive()
    assert log.entered in (["a", "b", "a"], ["a", "b", "a", "b"])
    assert results[a] == "a2"
    assert results[b] == f"b{log.entered.count('b')}"


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


async def test_a_completion_that_was_itself_requested_again_runs_again() -> None:
    """The answer counts, and the request, too."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.go_back(a, visit.step)
        return answering(visit)

    b = add(flow, "b", act)
    results = await flow.run(observers=[log])
    assert log.visits[2:] == ["a 2 requested", "b 2 requested"]
    assert results[b] == "b2"
    assert log.completed == ["a", "b", "a", "b"]


@pytest.mark.parametrize("kind", [StepEntered, StepCompleted, StepInterrupted])
async def test_a_request_from_an_observer_counts(
    kind: type[StepEntered | StepCompleted | StepInterrupted],
) -> None:
    """Between visits, or as one begins: no moment is too early or too late."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")
    begun: list[int] = []

    async def act(visit: Visit) -> str:
        begun.append(visit.number)
        if visit.number == 1:
            visit.run.retake()
            await interrupted()
        return answering(visit)

    b = add(flow, "b", act)
    asked = False

    def ask(event: Event) -> None:
        nonlocal asked
        if isinstance(event, kind) and event.step == "b" and not asked:
            asked = True
            run.go_back(a)

    run = flow.prepare(observers=[log, ask])
    results = await run.drive()
    assert asked
    assert log.entered.count("a") == 2
    assert results[a] == "a2"
    if kind is StepEntered:
        # Interrupted before it began: the function wasn't called.
        assert begun[0] == 2
        assert log.visits[:4] == ["a 1 first", "b 1 first", "a 2 requested", "b 2 resumed"]
    assert results[b] == f"b{begun[-1]}"


async def test_a_request_from_on_completed_counts() -> None:
    """A callback runs between visits: the request is served by the next one."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")
    add(flow, "b")

    async def callback(event: StepCompleted) -> None:
        await checkpoint()
        assert run.active is None
        if (event.step, event.number) == ("b", 1):
            run.go_back(a)

    run = flow.prepare(observers=[log], on_completed=callback)
    await run.drive()
    assert log.visits == ["a 1 first", "b 1 first", "a 2 requested"]


async def test_a_request_from_a_worker_thread() -> None:
    """`anyio.from_thread` brings it into the event loop."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            ask = partial(anyio.from_thread.run_sync, visit.run.go_back, a)
            await anyio.to_thread.run_sync(ask)
            await interrupted()
        return answering(visit)

    b = add(flow, "b", act)
    results = await flow.run(observers=[log])
    assert log.entered == ["a", "b", "a", "b"]
    assert results[b] == "b2"


@pytest.mark.skipif(
    "token" not in inspect.signature(anyio.from_thread.run_sync).parameters,
    reason="this anyio has no token= for foreign threads yet",
)
async def test_a_request_from_a_foreign_thread() -> None:
    """A thread that anyio didn't start needs the event loop's token."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")
    threads: list[threading.Thread] = []

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            token = anyio.lowlevel.current_token()
            ask = partial(anyio.from_thread.run_sync, visit.run.go_back, a, token=token)
            thread = threading.Thread(target=ask)
            threads.append(thread)
            thread.start()
            await interrupted()
        return answering(visit)

    add(flow, "b", act)
    await flow.run(observers=[log])
    assert log.entered == ["a", "b", "a", "b"]
    threads[0].join()


async def test_a_request_straight_from_another_thread_is_refused() -> None:
    """It would corrupt the event loop; the error says what to do instead."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def act(visit: Visit) -> str:
        for request in (
            partial(visit.run.go_back, a),
            visit.run.retake,
            partial(visit.run.answer, a, "x"),
            partial(visit.run.stop, "x"),
        ):
            with pytest.raises(FlowError, match=r"anyio\.from_thread\.run_sync"):
                await anyio.to_thread.run_sync(request)
        return answering(visit)

    add(flow, "b", act)
    await flow.run(observers=[log])
    assert log.entered == ["a", "b"]


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


@pytest.mark.parametrize("return_exceptions", [False, True])
async def test_an_interrupted_visit_that_raises_in_its_cleanup(return_exceptions: bool) -> None:
    """The run ends with that exception; or it is recorded, the request stands, the step resumes."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")
    failure = ValueError("cleanup")

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            try:
                await visit.go_back(a)
            finally:
                raise failure
        if visit.number == 2:
            exceptions = visit.run.results.exceptions
            assert exceptions is not None
            assert exceptions.exceptions == (failure,)
        return answering(visit)

    b = add(flow, "b", act)
    run = flow.prepare(observers=[log], return_exceptions=return_exceptions)
    if return_exceptions:
        results = await run.drive()
        assert log.visits[2:] == ["a 2 requested", "b 2 resumed"]
        assert (results[b], results.exceptions) == ("b2", None)
    else:
        with pytest.raises(ValueError, match="cleanup") as info:
            await run.drive()
        assert info.value is failure
        assert failure.__notes__ == [
            "the request to go to 'a' was dropped: the run ended",
            "while it was interrupted, step 'b' of flow 'f', visit 1",
        ]
        assert log.entered == ["a", "b"]
        assert isinstance(log[-1], RunFailed)
    assert StepInterrupted("b", 1, failure) in log


@pytest.mark.parametrize("return_exceptions", [False, True])
async def test_a_step_whose_own_task_group_fails_while_interrupted(return_exceptions: bool) -> None:
    """Asyncio and trio differ in what the scope says then; the outcome is the same."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def child() -> None:
        try:
            await interrupted()
        finally:
            raise ValueError("child")

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            async with anyio.create_task_group() as tg:
                tg.start_soon(child)
                await checkpoint()
                await visit.go_back(a)
        return answering(visit)

    b = add(flow, "b", act)
    run = flow.prepare(observers=[log], return_exceptions=return_exceptions)
    if return_exceptions:
        assert (await run.drive())[b] == "b2"
        assert log.visits[2:] == ["a 2 requested", "b 2 resumed"]
    else:
        with pytest.raises(ExceptionGroup) as info:
            await run.drive()
        assert info.group_contains(ValueError, match="child")
        assert log.entered == ["a", "b"]


async def test_a_step_with_its_own_task_group_is_interrupted_whole() -> None:
    """Its child tasks end before the next step begins."""
    flow = Flow("f")
    ended: list[str] = []

    async def first(visit: Visit) -> str:
        if visit.number == 2:
            assert ended == ["child"]
        return answering(visit)

    a = add(flow, "a", first)

    async def child() -> None:
        try:
            await interrupted()
        finally:
            ended.append("child")

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            async with anyio.create_task_group() as tg:
                tg.start_soon(child)
                await checkpoint()
                await visit.go_back(a)
        return answering(visit)

    b = add(flow, "b", act)
    assert (await flow.run())[b] == "b2"


async def test_a_request_after_the_run_is_refused() -> None:
    """Whoever listens beside the run can tell a late command from a wrong one."""
    flow = Flow("f")
    a = add(flow, "a")
    run = flow.prepare()
    await run.drive()
    for request in (
        partial(run.go_back, a),
        partial(run.jump_ahead, a),
        run.retake,
        partial(run.answer, a, "x"),
        partial(run.skip, a),
        partial(run.stop, "x"),
    ):
        with pytest.raises(RunFinishedError, match="the run of flow 'f' has ended, it is complete"):
            request()
    assert run.results[a] == "a1"


async def test_a_run_is_driven_once() -> None:
    """A second `drive()` is an error, whether the first one has ended or not."""
    flow = Flow("f")

    async def act(visit: Visit) -> str:
        with pytest.raises(FlowError, match="was driven before: prepare another"):
            await visit.run.drive()
        return answering(visit)

    a = add(flow, "a", act)
    run = flow.prepare()
    assert (await run.drive())[a] == "a1"
    with pytest.raises(FlowError, match="was driven before: prepare another"):
        await run.drive()
    assert run.state.value == "completed"


async def test_go_back_in_a_shielded_section_raises_instead_of_hanging() -> None:
    """Nothing could wake it; nothing was requested."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def act(visit: Visit) -> str:
        with anyio.CancelScope(shield=True), pytest.raises(FlowError, match="shielded section"):
            await visit.go_back(a)
        with (
            anyio.move_on_after(3600, shield=True),
            pytest.raises(FlowError, match="shielded section"),
        ):
            await visit.go_back(a)
        return answering(visit)

    add(flow, "b", act)
    await flow.run(observers=[log])
    assert not log.of(GoBackRequested)


async def test_go_back_under_a_deadline_or_in_a_child_task_works() -> None:
    """Everything that the visit's cancellation reaches is inside the visit."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def child(visit: Visit) -> None:
        await visit.go_back(a)

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            with anyio.fail_after(3600):
                await visit.go_back(a)
        if visit.number == 2:
            async with anyio.create_task_group() as tg:
                tg.start_soon(child, visit)
        return answering(visit)

    b = add(flow, "b", act)
    results = await flow.run(observers=[log])
    assert log.entered == ["a", "b", "a", "b", "a", "b"]
    assert results[b] == "b3"


async def test_go_back_from_a_task_outside_the_visit_raises() -> None:
    """It would wait for a cancellation that never comes; and so after the visit."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")
    send, receive = anyio.create_memory_object_stream[Visit](1)
    checked = anyio.Event()

    async def act(visit: Visit) -> str:
        await send.send(visit)
        await checked.wait()
        return answering(visit)

    add(flow, "b", act)
    async with anyio.create_task_group() as tg, send, receive:

        async def outside() -> None:
            visit = await receive.receive()
            with pytest.raises(FlowError, match="a task outside the visit"):
                await visit.go_back(a)
            checked.set()

        tg.start_soon(outside)
        await flow.run(observers=[log])
    assert not log.of(GoBackRequested)


@pytest.mark.parametrize("leave", ["skip", "stop"])
async def test_leaving_a_visit_from_outside_of_it_raises(leave: str) -> None:
    """The signal that unwinds the step must not hit another task."""
    flow, log = Flow("f"), Log()
    send, receive = anyio.create_memory_object_stream[Visit](1)
    checked = anyio.Event()

    @flow.step("a", optional=True)
    async def a(visit: Visit) -> str:
        await send.send(visit)
        await checked.wait()
        return answering(visit)

    async with anyio.create_task_group() as tg, send, receive:

        async def outside() -> None:
            visit = await receive.receive()
            go = visit.skip if leave == "skip" else partial(visit.stop, "no")
            with pytest.raises(FlowError, match=rf"outside the visit: use visit\.run\.{leave}"):
                go()
            checked.set()

        tg.start_soon(outside)
        assert (await flow.run(observers=[log]))[a] == "a1"


async def test_a_request_that_was_withdrawn_did_interrupt() -> None:
    """The step was not left in peace: what its cleanup raises is no failure to answer."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            try:
                await visit.go_back(a)
            finally:
                visit.run.answer(a, "told")
                raise ValueError("cleanup")
        return answering(visit)

    b = add(flow, "b", act)
    results = await flow.run(observers=[log], return_exceptions=True)
    assert log.visits == ["a 1 first", "b 1 first", "b 2 resumed"]
    assert (results[b], results.exceptions) == ("b2", None)


async def test_a_step_that_leaves_a_scope_open_fails() -> None:
    """It returned, but what it did to the cancel scopes is an error on every backend."""
    flow = Flow("f")

    async def act(visit: Visit) -> str:
        anyio.CancelScope().__enter__()
        return answering(visit)

    add(flow, "a", act)

    async def main() -> None:
        with pytest.raises(RuntimeError):
            await flow.run()
        raise ValueError("the outer scopes are corrupt as well")

    with pytest.raises((RuntimeError, ValueError, ExceptionGroup)):
        async with anyio.create_task_group() as tg:
            tg.start_soon(main)


async def test_a_visit_that_is_over_can_ask_for_nothing() -> None:
    """A visit kept beyond its end is of no use to leave a later one by mistake."""
    flow = Flow("f")
    kept: list[Visit] = []

    @flow.step("a", optional=True)
    async def a(visit: Visit) -> str:
        kept.append(visit)
        return "a"

    async def act(visit: Visit) -> str:
        (old,) = kept
        with pytest.raises(FlowError, match=r"visit\.go_back of <Visit 1 of step 'a' .* is over"):
            await old.go_back(a)
        with pytest.raises(FlowError, match=r"visit\.skip .* the visit is over"):
            old.skip()
        with pytest.raises(FlowError, match=r"visit\.stop .* the visit is over"):
            old.stop("no")
        with pytest.raises(FlowError, match=r"visit\.draft .* the visit is over"):
            old.draft(list)
        return answering(visit)

    b = add(flow, "b", act)
    assert (await flow.run())[b] == "b1"


async def test_go_back_in_a_visit_that_is_being_interrupted_still_counts() -> None:
    """Cleanup code may ask for more: no request is lost."""
    flow, log = Flow("f"), Log()
    a, b = add(flow, "a"), add(flow, "b")

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            try:
                await visit.go_back(b)
            finally:
                await visit.go_back(a)
        return answering(visit)

    add(flow, "c", act)
    await flow.run(observers=[log])
    assert log.entered == ["a", "b", "c", "b", "a", "c"]


@pytest.mark.parametrize("return_exceptions", [False, True])
@pytest.mark.parametrize("how", ["run", "visit", "other task", "observer", "callback", "early"])
async def test_stop_leaves_early_with_the_results_so_far(how: str, return_exceptions: bool) -> None:
    """Handing over to a human is not a failure, but the caller of `drive()` must notice it."""
    flow, log = Flow("f"), Log()
    waiting = anyio.Event()
    a = add(flow, "a")

    async def act(visit: Visit) -> str:
        if how == "run":
            visit.run.stop("to a human")
        if how == "visit":
            try:
                visit.stop("to a human")
            except Exception:  # noqa: BLE001 - what many steps do; it must not get in the way
                raise AssertionError from None
        waiting.set()
        await interrupted()

    b = add(flow, "b", act)

    def observe(event: Event) -> None:
        if how == "observer" and isinstance(event, StepEntered) and event.step == "b":
            run.stop("to a human")

    async def callback(event: StepCompleted) -> None:
        if how == "callback":
            run.stop("to a human")
            run.stop("a second reason doesn't count")
            await interrupted()

    run = flow.prepare(
        observers=[log, observe], on_completed=callback, return_exceptions=return_exceptions
    )
    if how == "early":
        run.stop("to a human")
    async with anyio.create_task_group() as tg:

        async def listen() -> None:
            await waiting.wait()
            run.stop("to a human")

        if how == "other task":
            tg.start_soon(listen)
        with pytest.raises(
            RunStoppedError, match="run of flow 'f' was stopped: to a human"
        ) as info:
            await run.drive()
    assert info.value.reason == "to a human"
    assert info.value.results.get(a) == (None if how == "early" else "a1")
    assert b not in info.value.results
    assert log[-1] == RunStopped("to a human")
    assert run.state.value == "stopped"
    with pytest.raises(RunFinishedError):
        run.go_back(a)


async def test_an_answer_that_coincides_with_a_stop_counts() -> None:
    """A step that returns in spite of it has done its work."""
    flow = Flow("f")

    async def act(visit: Visit) -> str:
        visit.run.stop("enough")
        return "done"

    a = add(flow, "a", act)
    with pytest.raises(RunStoppedError) as info:
        await flow.run()
    assert info.value.results[a] == "done"


@pytest.mark.parametrize("return_exceptions", [False, True])
async def test_a_cleanup_that_raises_while_stopping(return_exceptions: bool) -> None:
    """The failure isn't lost: it ends the run instead, or stands in the results."""
    flow = Flow("f")

    async def act(visit: Visit) -> str:
        try:
            visit.stop("enough")
        finally:
            raise ValueError("cleanup")

    add(flow, "a", act)
    run = flow.prepare(return_exceptions=return_exceptions)
    if return_exceptions:
        with pytest.raises(RunStoppedError) as info:
            await run.drive()
        assert info.value.results.exceptions is not None
    else:
        with pytest.raises(ValueError, match="cleanup"):
            await run.drive()


async def leave_by_skip(visit: Visit) -> Never:
    """Skip the own step."""
    visit.skip()


async def leave_by_stop(visit: Visit) -> Never:
    """Stop the run."""
    visit.stop("from a child task")


@pytest.mark.parametrize("leave", [leave_by_skip, leave_by_stop])
async def test_leaving_a_visit_from_a_child_task(
    leave: Callable[[Visit], Coroutine[object, object, Never]],
) -> None:
    """The signal that ends the visit is taken out of the task group's exception group."""
    flow, log = Flow("f"), Log()

    @flow.step("a", optional=True)
    async def a(visit: Visit) -> str:
        async with anyio.create_task_group() as tg:
            tg.start_soon(leave, visit)
            await interrupted()
        raise AssertionError

    run = flow.prepare(observers=[log])
    if leave is leave_by_skip:
        assert (await run.drive()).outcome(a) == Skipped()
        assert log[-1] == RunCompleted()
    else:
        with pytest.raises(RunStoppedError, match="from a child task"):
            await run.drive()


@pytest.mark.parametrize("return_exceptions", [False, True])
async def test_leaving_a_visit_while_a_sibling_fails(return_exceptions: bool) -> None:
    """What else is in the group is a failure like any other: of a visit that was left."""
    flow, log = Flow("f"), Log()

    async def failing() -> None:
        try:
            await interrupted()
        finally:
            raise ValueError("sibling")

    @flow.step("a", optional=True)
    async def a(visit: Visit) -> str:
        async with anyio.create_task_group() as tg:
            tg.start_soon(failing)
            await checkpoint()
            tg.start_soon(leave_by_skip, visit)
            await interrupted()
        raise AssertionError

    run = flow.prepare(observers=[log], return_exceptions=return_exceptions)
    if return_exceptions:
        results = await run.drive()
        assert results.outcome(a) == Skipped()
        assert results.exceptions is not None
        assert results.exceptions.subgroup(ValueError) is not None
        assert len(log.of(CleanupFailed)) == 1
    else:
        with pytest.raises(ExceptionGroup) as info:
            await run.drive()
        assert info.group_contains(ValueError, match="sibling")
        assert info.value.__notes__ == ["while it was being left, step 'a' of flow 'f', visit 1"]


class Serious(BaseException):
    """Something that is not an Exception."""


async def test_leaving_a_visit_while_something_serious_happens() -> None:
    """A BaseException in the group is never taken for the end of a visit."""
    flow = Flow("f")

    async def serious() -> None:
        try:
            await interrupted()
        finally:
            raise Serious

    @flow.step("a", optional=True)
    async def a(visit: Visit) -> str:
        async with anyio.create_task_group() as tg:
            tg.start_soon(serious)
            await checkpoint()
            tg.start_soon(leave_by_skip, visit)
            await interrupted()
        raise AssertionError

    with pytest.raises(BaseExceptionGroup) as info:
        await flow.run(return_exceptions=True)
    assert info.group_contains(Serious)
    assert a.optional


async def test_leaving_an_outer_visit_from_a_run_inside_it() -> None:
    """A signal of another visit passes through: each run knows its own."""
    outer, inner, log = Flow("outer"), Flow("inner"), Log()
    visits: list[Visit] = []

    async def within(visit: Visit) -> str:
        visits[0].skip()

    add(inner, "i", within)

    @outer.step("o", optional=True)
    async def o(visit: Visit) -> str:
        visits.append(visit)
        await inner.run(observers=[log])
        raise AssertionError

    results = await outer.run()
    assert results.outcome(o) == Skipped()
    assert isinstance(log[-1], RunFailed)


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
