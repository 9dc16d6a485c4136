"""Runs whose database goes away: a real server is stopped, a real file is locked, or full."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio import to_thread
from journals import KEY
from support import Log, add, answering

from reflow import Flow, JournalError, RunState, StepEntered, Visit
from reflow.journal import PostgresJournal, SQLiteJournal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from postgres_server import Server

    from reflow import Event

# With their own clocks: a virtual one jumps while a thread works.
EVENT_LOOPS = pytest.mark.parametrize("backend", ["asyncio", "trio"])


def flow_that(happens: Callable[[], Awaitable[object]]) -> Flow[None]:
    """Make a flow in whose second step something happens, the first time."""
    flow = Flow("f")
    add(flow, "a")

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            await happens()
        return answering(visit)

    add(flow, "b", act)
    add(flow, "c")
    return flow


@EVENT_LOOPS
def test_a_server_that_restarts(backend: str, postgres: Server, postgres_url: str) -> None:
    """A short outage is ridden out: the person notices nothing but a pause."""
    log = Log()

    async def main() -> None:
        with PostgresJournal(postgres_url) as journal:
            flow = flow_that(lambda: to_thread.run_sync(postgres.restart))
            await flow.run(journal=journal, key=KEY, observers=[log])
            rows = await journal.read(KEY)
            assert [row.sequence for row in rows] == [*range(len(log))]
            assert (await journal.runs())[0].state is RunState.COMPLETED

    anyio.run(main, backend=backend)
    assert log.entered == ["a", "b", "c"]


@EVENT_LOOPS
def test_a_server_that_stays_away(backend: str, postgres: Server, postgres_url: str) -> None:
    """The run ends within the journal's patience, and goes on when the server is back."""
    log = Log()

    async def main() -> None:
        with PostgresJournal(postgres_url, patience=0.3) as journal:
            flow = flow_that(lambda: to_thread.run_sync(postgres.stop))
            run = flow.prepare(journal=journal, key=KEY)
            try:
                with pytest.raises(JournalError, match=r"rows 5 to 6 can't be written: .*reached"):
                    await run.drive()
            finally:
                await to_thread.run_sync(postgres.start)
            assert [run.results[step] for step in run.results] == ["a1", "b1"]
            results = await flow.run(journal=journal, key=KEY, observers=[log])
            assert [results[step] for step in results] == ["a1", "b2", "c1"]

    anyio.run(main, backend=backend)
    assert log.visits == ["b 2 recovered", "c 1 first"]


@EVENT_LOOPS
@pytest.mark.parametrize("stays", [False, True])
def test_a_file_that_is_locked(backend: str, tmp_path: Path, *, stays: bool) -> None:
    """Somebody else may be writing for a moment; who never lets go is named."""
    path = tmp_path / "runs.db"

    async def main() -> None:
        journal = SQLiteJournal(path, patience=0.2 if stays else 30)
        other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)

        async def lock() -> None:
            other.execute("BEGIN IMMEDIATE")

        async def unlock() -> None:
            other.execute("ROLLBACK")

        def observe(event: Event) -> None:
            # From here on the run waits for the lock.
            if isinstance(event, StepEntered) and event.step == "c" and not stays:
                tg.start_soon(unlock)

        flow = flow_that(lock)
        run = flow.prepare(journal=journal, key=KEY, observers=[observe])
        async with anyio.create_task_group() as tg:
            if stays:
                with pytest.raises(JournalError, match="is in use"):
                    await run.drive()
            else:
                await run.drive()
        other.close()
        results = await flow.run(journal=journal, key=KEY)
        assert len(results) == 3
        journal.close()

    anyio.run(main, backend=backend)


@EVENT_LOOPS
def test_a_file_that_can_grow_no_more(backend: str, tmp_path: Path) -> None:
    """A full disk: what was stored stays, and the run can go on from it."""
    path = tmp_path / "runs.db"
    long = "x" * 100_000
    log = Log()

    async def main() -> None:
        flow = Flow("f")
        add(flow, "a")

        async def act(visit: Visit) -> str:
            return long if visit.number == 1 else "short"

        b = add(flow, "b", act)
        journal = SQLiteJournal(path)

        def fill(event: Event) -> None:
            log(event)
            if log.entered[-1:] == ["b"] and len(log.entered) == 2:
                journal._file._connection.execute("PRAGMA max_page_count = 1")  # type: ignore[union-attr]  # noqa: SLF001 - the disk is full

        with pytest.raises(JournalError, match="the disk is full: make room on it"):
            await flow.run(journal=journal, key=KEY, observers=[fill])
        journal.close()
        with SQLiteJournal(path) as again:
            results = await flow.run(journal=again, key=KEY)
            assert results[b] == "short"

    anyio.run(main, backend=backend)
