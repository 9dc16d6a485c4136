"""The journal in an SQLite file: what it stores, what it leaves behind, and who may use it."""

from __future__ import annotations

import gc
import os
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Literal

import anyio
import attrs
import pytest
from anyio import to_thread
from journal_worker import MOMENT, row

from reflow import JournalConflictError, JournalError, JournalUnavailableError
from reflow.journal import SQLiteJournal, StoredRun

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give the path of a file that isn't there yet."""
    return tmp_path / "runs.db"


@pytest.fixture
def journal(path: Path) -> Generator[SQLiteJournal]:
    """Give a journal in a new file."""
    with SQLiteJournal(path) as opened:
        yield opened


def connect(path: Path) -> sqlite3.Connection:
    """Open the file as somebody else would."""
    return sqlite3.connect(path, isolation_level=None)


def contents(path: Path) -> bytes:
    """Give what is in the file and in those beside it."""
    return b"".join(file.read_bytes() for file in path.parent.iterdir())


def is_empty(path: Path) -> bool:
    """Say whether there is nothing in a file, or no file at all."""
    return not path.exists() or path.stat().st_size == 0


async def test_columns(journal: SQLiteJournal, path: Path) -> None:
    """Whoever looks with SQLite's own tools reads one row per event, in plain columns."""
    await journal.append("call-42", [row(0), attrs.evolve(row(1), active=None)])
    with closing(connect(path)) as other:
        table = other.execute("SELECT * FROM reflow_journal ORDER BY sequence").fetchall()
        mode = other.execute("PRAGMA journal_mode").fetchone()
    time, event = "2024-05-17T12:30:15.123456+00:00", '{"event": "RunCompleted"}'
    assert table == [
        ("call-42", 0, "writer", time, "running", "email", event),
        ("call-42", 1, "writer", time, "running", None, event),
    ]
    assert mode == ("wal",)


async def test_times_in_other_zones(journal: SQLiteJournal) -> None:
    """A time in another zone is the same moment in UTC; one without is refused."""
    there = MOMENT.astimezone(timezone(timedelta(hours=5, minutes=30)))
    await journal.append("key", [attrs.evolve(row(0), time=there)])
    (stored,) = await journal.read("key")
    assert stored.time == MOMENT
    assert stored.time.tzinfo is UTC
    naive = attrs.evolve(row(1), time=datetime(2024, 1, 1))  # noqa: DTZ001 - what is refused
    with pytest.raises(JournalError, match="the time of row 1 has no zone"):
        await journal.append("key", [naive])


@pytest.mark.parametrize(
    ("synchronous", "level"), [("full", 2), ("normal", 1)], ids=["full", "normal"]
)
async def test_synchronous(
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
    synchronous: Literal["full", "normal"],
    level: int,
) -> None:
    """By default SQLite waits for the disk at every write (2 is FULL, 1 NORMAL)."""
    opened: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def connected(file: str, **options: object) -> sqlite3.Connection:
        opened.append(connect(file, uri=True, isolation_level=None, check_same_thread=False))
        return opened[-1]

    monkeypatch.setattr(sqlite3, "connect", connected)
    with SQLiteJournal(path, synchronous=synchronous) as journal:
        await journal.append("key", [row(0)])
        (connection,) = opened
        assert connection.execute("PRAGMA synchronous").fetchone() == (level,)
        assert connection.execute("PRAGMA secure_delete").fetchone() == (1,)


async def test_rows_that_do_not_follow_each_other(journal: SQLiteJournal) -> None:
    """Rows with a gap, or twice the same, among themselves are refused before anything is done."""
    with pytest.raises(JournalConflictError, match="key 'key': row 2 can't stand at 1"):
        await journal.append("key", [row(0), row(2)])
    await journal.append("key", [])
    assert await journal.read("key") == []


@pytest.mark.parametrize(
    ("key", "reason"), [("", "empty"), ("a\0b", "NUL"), ("\ud800", "surrogate")], ids=str
)
async def test_impossible_keys(journal: SQLiteJournal, key: str, reason: str) -> None:
    """What can't be a key in every journal is refused by all methods, in the same way."""
    for call in (journal.read(key), journal.append(key, [row(0)]), journal.forget(key)):
        with pytest.raises(JournalError, match=reason):
            await call


async def test_impossible_values(journal: SQLiteJournal) -> None:
    """What can't be stored is an error of the journal, and the journal works on."""
    with pytest.raises(JournalError, match="can't store a value"):
        await journal.append("key", [attrs.evolve(row(0), active="\ud800")])
    await journal.append("key", [row(0)])
    assert len(await journal.read("key", -1)) == 1


async def test_looking_makes_nothing(journal: SQLiteJournal, path: Path) -> None:
    """Only writing makes a file, or a table in an empty one."""
    for _ in range(2):
        assert await journal.read("key") == []
        assert await journal.runs() == []
        assert await journal.forget("key") == 0
        assert is_empty(path)
        await anyio.Path(path).touch()
    await journal.append("key", [row(0)])
    assert await journal.runs() == [StoredRun("key", row(0).state, "email", MOMENT, 1)]


async def test_forgotten_is_gone(path: Path) -> None:
    """No byte of a forgotten run is left in the files, wherever its rows have been moved."""
    with SQLiteJournal(path, synchronous="normal") as journal:
        for start in range(0, 30, 6):
            for key in range(20):
                # Between those of the others, so that pages are split and rows move.
                rows = [
                    row(number, f"SECRET{key}-{number};" + "x" * (number * 37 % 900))
                    for number in range(start, start + 6)
                ]
                await journal.append(f"caller{key};", rows)
        for key in range(0, 20, 2):
            assert await journal.forget(f"caller{key};") == 30
        content = contents(path)
    for key in range(20):
        assert (f"SECRET{key}-".encode() in content) == bool(key % 2)
        assert (f"caller{key};".encode() in content) == bool(key % 2)


async def test_forgetting_while_somebody_reads(path: Path) -> None:
    """Rows that another process still sees can't be erased: the error says so, once more does."""
    with SQLiteJournal(path, patience=0) as journal:
        await journal.append("key", [row(0, "SECRET")])
        with closing(connect(path)) as other:
            other.execute("BEGIN")
            other.execute("SELECT * FROM reflow_journal").fetchall()
            with pytest.raises(JournalUnavailableError, match=r"1 rows .* forget it once more"):
                await journal.forget("key")
        assert await journal.forget("key") == 0
        assert b"SECRET" not in contents(path)


async def test_locked(path: Path) -> None:
    """A file that another process keeps locked is out of reach for now, and then isn't."""
    with SQLiteJournal(path, patience=0.05) as journal, closing(connect(path)) as other:
        for number in range(2):
            # The first time there is no table yet: making it waits, too.
            other.execute("BEGIN EXCLUSIVE")
            with pytest.raises(JournalUnavailableError, match="is in use: database is locked"):
                await journal.append("key", [row(number)])
            other.execute("ROLLBACK")
            await journal.append("key", [row(number)])
        assert journal.patience == 0.05


async def test_locked_while_it_is_opened(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What SQLite doesn't wait for by itself is tried again."""
    connect, errors = sqlite3.connect, [sqlite3.OperationalError("locked")]
    errors[0].sqlite_errorcode = sqlite3.SQLITE_BUSY_RECOVERY

    def connected(file: str, **options: object) -> sqlite3.Connection:
        if errors:
            raise errors.pop()
        return connect(file, uri=True, isolation_level=None, check_same_thread=False)

    monkeypatch.setattr(sqlite3, "connect", connected)
    with SQLiteJournal(path) as journal:
        await journal.append("key", [row(0)])


async def test_several_event_loops(journal: SQLiteJournal) -> None:
    """Event loops in several threads share a journal; what one has written the others see."""

    def other_loop(number: int) -> None:
        anyio.run(journal.append, f"loop {number}", [row(0)])

    async with anyio.create_task_group() as tasks:
        for number in range(8):
            tasks.start_soon(to_thread.run_sync, other_loop, number)
    assert len(await journal.runs()) == 8


async def test_threads_are_its_own(path: Path) -> None:
    """The journal gets on while every thread that anyio gives to steps waits for something."""
    busy = to_thread.current_default_thread_limiter().total_tokens
    going, go = threading.Semaphore(0), threading.Event()

    def wait() -> None:
        going.release()
        go.wait()

    def all_wait() -> None:
        for _ in range(int(busy)):
            going.acquire()

    with SQLiteJournal(path) as journal:
        async with anyio.create_task_group() as tasks:
            for _ in range(int(busy)):
                tasks.start_soon(to_thread.run_sync, wait)
            await to_thread.run_sync(all_wait, limiter=anyio.CapacityLimiter(1))
            await journal.append("key", [row(0)])
            go.set()
        assert len(await journal.read("key")) == 1


async def test_forgotten_journal(path: Path) -> None:
    """Nobody has to close a journal: it is closed when it is gone, without a warning."""
    journal = SQLiteJournal(path)
    await journal.append("key", [row(0)])
    assert path.with_name("runs.db-wal").exists()
    del journal
    gc.collect()
    assert [file.name for file in path.parent.iterdir()] == ["runs.db"]


async def test_closed(path: Path) -> None:
    """A closed journal says so; closing it again does nothing."""
    journal = SQLiteJournal(path)
    journal.close()
    journal.close()
    with pytest.raises(JournalError, match=r"runs\.db was closed"):
        await journal.read("key")


async def test_after_a_fork(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a child, the parent's connection is neither used nor closed; one of its own works."""
    journal, unused = SQLiteJournal(path), SQLiteJournal(path)
    await journal.append("key", [row(0)])
    parent = os.getpid()
    with monkeypatch.context() as child:
        child.setattr(os, "getpid", lambda: parent + 1)
        with pytest.raises(JournalError, match="opened before a fork: make another one after it"):
            await journal.read("key")
        assert len(await unused.read("key")) == 1
        unused.close()
        # Through the finalizer's function, as the finalizer itself runs only once.
        journal._file.close()  # noqa: SLF001 - as it says
    await journal.append("key", [row(1)])
    journal.close()
