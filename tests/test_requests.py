"""Where requests may come from."""

from __future__ import annotations

import inspect
import threading
from functools import partial

import anyio
import pytest
from anyio.lowlevel import checkpoint
from support import Log, add, answering, interrupted

from reflow import (
    Event,
    Flow,
    FlowError,
    RunFinishedError,
    StepCompleted,
    StepEntered,
    StepInterrupted,
    Visit,
)

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
