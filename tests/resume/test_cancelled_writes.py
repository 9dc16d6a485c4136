"""Cancellation, and requests, while a journal is read or written."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio.lowlevel import checkpoint
from journals import (
    KEY,
    Passing,
    Slow,
    kinds,
    state_of_run,
    stored,
    two_steps,
)
from support import Log, add, interrupted
from typing_extensions import override

from reflow import (
    Flow,
    JournalError,
    MemoryJournal,
    RunFinishedError,
    RunState,
    Visit,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reflow import JournalRow

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("at", [0, 1, 2])
async def test_cancellation_waits_for_a_write(at: int) -> None:
    """The rows are stored, then the run is cancelled; no step begins any more."""
    journal, log = MemoryJournal(), Log()
    slow = Slow(journal, at=at)
    flow = two_steps()
    run = flow.prepare(journal=slow, key=KEY, observers=[log])
    async with anyio.create_task_group() as tg:
        tg.start_soon(run.drive)
        await slow.begun.wait()
        tg.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            for _ in range(5):
                await checkpoint()
            assert len(await stored(journal)) == (0, 3, 5)[at]
            slow.go_on.set()
    last = "RunCompleted" if at == 2 else "RunCancelled"
    assert (await kinds(journal))[-1] == last
    assert log.completed == ["a", "b"][:at]


async def test_cancellation_doesnt_hide_a_failed_write() -> None:
    """Whoever cancels a run is told that an answer isn't stored."""
    slow = Slow(MemoryJournal(), at=1)
    slow.failure = JournalError("disk full")
    run = two_steps().prepare(journal=slow, key=KEY)

    async def drive() -> None:
        with pytest.raises(JournalError, match="rows 3 to 4 can't be written: disk full"):
            await run.drive()

    async with anyio.create_task_group() as tg:
        tg.start_soon(drive)
        await slow.begun.wait()
        tg.cancel_scope.cancel()
        slow.go_on.set()
    assert run.state is RunState.FAILED


async def test_native_cancellation_waits_for_a_write(backend_name: str) -> None:
    """It gets through any shield; the write is in a task of its own."""
    if backend_name != "asyncio":
        pytest.skip("task.cancel() is asyncio's")
    journal = MemoryJournal()
    slow = Slow(journal, at=1)
    run = two_steps().prepare(journal=slow, key=KEY)
    task = asyncio.ensure_future(run.drive())
    await slow.begun.wait()
    task.cancel()
    for _ in range(5):
        await checkpoint()
    assert not task.done()
    slow.go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await kinds(journal) == [
        *("Opened", "RunStarted", "StepEntered"),
        *("StepCompleted", "StepEntered"),
        "RunCancelled",
    ]
    assert run.state is RunState.CANCELLED


async def test_a_loop_that_is_closed(backend_name: str) -> None:
    """Every task is cancelled then, also the one that writes: another one finishes its work."""
    if backend_name != "asyncio":
        pytest.skip("task.cancel() is asyncio's")
    slow = Slow(MemoryJournal(), at=1)
    slow.go_on.set()
    run = two_steps().prepare(journal=slow, key=KEY)
    before = asyncio.all_tasks()
    task = asyncio.ensure_future(run.drive())
    await slow.begun.wait()
    for other in asyncio.all_tasks() - before:
        other.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await kinds(slow.journal))[3:] == ["StepCompleted", "StepEntered", "RunCancelled"]


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("moment", range(12))
async def test_a_loop_that_is_closed_at_any_moment(moment: int, backend_name: str) -> None:
    """Nothing is lost, and the key can be used afterwards. A task may not even have begun."""
    if backend_name != "asyncio":
        pytest.skip("task.cancel() is asyncio's")
    journal, flow, log = MemoryJournal(), two_steps(), Log()
    before = asyncio.all_tasks()
    task = asyncio.ensure_future(flow.run(journal=journal, key=KEY, observers=[log]))
    for _ in range(moment):
        await asyncio.sleep(0)
    for other in asyncio.all_tasks() - before:
        other.cancel()
    await asyncio.wait([task])
    assert (await kinds(journal)).count("StepCompleted") == len(log.completed)
    await flow.run(journal=journal, key=KEY)
    assert await state_of_run(journal) is RunState.COMPLETED
    # Here, where that task's warning is expected.
    gc.collect()


@pytest.mark.parametrize("times", [1, 9])
async def test_a_journal_that_is_cancelled_itself(times: int, backend_name: str) -> None:
    """A driver may cancel what it waits for; no run goes on as if its rows were stored."""
    if backend_name != "asyncio":
        pytest.skip("a future can be cancelled by anybody on asyncio only")
    journal = MemoryJournal()

    class Cancelling(Passing):
        left = times

        @override
        async def append(self, key: str, rows: Sequence[JournalRow]) -> None:
            if rows[0].sequence and self.left:
                self.left -= 1
                raise asyncio.CancelledError
            await super().append(key, rows)

    run = two_steps().prepare(journal=Cancelling(journal), key=KEY)
    if times == 1:
        await run.drive()
        assert await state_of_run(journal) is RunState.COMPLETED
    else:
        with pytest.raises(JournalError, match="cancelled again and again"):
            await run.drive()
        assert await kinds(journal) == ["Opened", "RunStarted", "StepEntered"]


async def test_an_answer_that_coincides_with_cancellation() -> None:
    """A step that returns in spite of it has given its answer: that is stored."""
    flow, journal = Flow("f"), MemoryJournal()

    async def act(visit: Visit) -> str:
        scope.cancel()
        return "x"

    add(flow, "a", act)
    add(flow, "b")
    with anyio.CancelScope() as scope:
        await flow.run(journal=journal, key=KEY)
    assert scope.cancelled_caught
    assert (await kinds(journal))[-2:] == ["StepCompleted", "RunCancelled"]


async def test_a_request_while_a_row_is_written() -> None:
    """It counts: the step that was about to begin doesn't, and comes later."""
    journal, log = MemoryJournal(), Log()
    slow = Slow(journal, at=1)
    flow = two_steps()
    run = flow.prepare(journal=slow, key=KEY, observers=[log])
    async with anyio.create_task_group() as tg:
        tg.start_soon(run.drive)
        await slow.begun.wait()
        run.go_back("a")
        slow.go_on.set()
    assert log.visits == ["a 1 first", "b 1 first", "a 2 requested", "b 2 resumed"]
    assert log.completed == ["a", "a", "b"]
    assert [event["event"] for event in await stored(journal)][5:8] == [
        *("GoBackRequested", "StepInterrupted", "StepEntered"),
    ]


async def test_a_request_while_the_journal_is_read() -> None:
    """It counts, too, although the run looks like a new one until then."""
    journal, log = MemoryJournal(), Log()
    flow = two_steps()
    a, b = flow.steps
    await flow.run(journal=journal, key=KEY)
    rows = [row for row in await journal.read(KEY) if "RunCompleted" not in row.event]
    again = MemoryJournal()
    await again.append(KEY, rows)

    class Waiting(Passing):
        @override
        async def read(self, key: str, start: int = 0) -> Sequence[JournalRow]:
            rows = await super().read(key, start)
            run.jump_ahead(a)
            return rows

    run = flow.prepare(journal=Waiting(again), key=KEY, observers=[log])
    await run.drive()
    assert log.visits == ["a 2 requested", "b 2 stale"]
    del b


async def test_cancelled_while_the_journal_is_read() -> None:
    """The run is over then, and was never opened."""

    class Waiting(Passing):
        @override
        async def read(self, key: str, start: int = 0) -> Sequence[JournalRow]:
            scope.cancel()
            await interrupted()

    journal = Waiting(MemoryJournal())
    run = two_steps().prepare(journal=journal, key=KEY)
    with anyio.CancelScope() as scope:
        await run.drive()
    assert run.state is RunState.CANCELLED
    assert await journal.journal.read(KEY) == ()
    with pytest.raises(RunFinishedError):
        run.stop("too late")


async def test_a_closed_coroutine_writes_nothing(backend_name: str) -> None:
    """Nothing can be awaited then; the next process recovers the step."""
    if backend_name != "asyncio":
        pytest.skip("driven by hand, as an asyncio task does it")
    flow, journal = Flow("f"), MemoryJournal()

    async def act(visit: Visit) -> str:
        await interrupted()

    add(flow, "a", act)
    run = flow.prepare(journal=journal, key=KEY)
    driving = run.drive()
    while run.active is None or not await journal.read(KEY):
        awaited: object = driving.send(None)
        if isinstance(awaited, asyncio.Future):
            # What a task does to say that it waits.
            awaited._asyncio_future_blocking = False  # noqa: SLF001 - as the comment says
            await asyncio.wait([awaited])
        await checkpoint()
    driving.close()
    assert run.state is RunState.CANCELLED
    assert await kinds(journal) == ["Opened", "RunStarted", "StepEntered"]
