"""What keeping runs in a journal costs, beside the bare database and beside no journal.

"append": storing two rows, which is what most steps come to, against one connection that inserts
the same two rows into the same table and commits, with the same settings, in a worker thread, too.
What the journal does besides: it sees that nobody else has written to the run, makes columns of the
rows, and keeps threads of its own. Both wait for the disk, so this is the time on the clock.

"resume": driving a run that is complete already: its rows are read, and the state is made of them.
They are those of a run that went back again and again. CPU time, that of all threads.

"steps": whole runs, as in the benchmark without journals, on the clock. One transaction a step.

The SQLite files are in the folder for temporary files (TMPDIR): "full" says something about a disk
only if that is on one.
"""

from __future__ import annotations

import sqlite3
import statistics
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter_ns
from typing import TYPE_CHECKING, Final, TypeAlias

import anyio
from anyio import to_thread
from measuring import in_turn, judged, on, options, print_table, ratio, timed

from reflow import Flow, JournalError, JournalRow, MemoryJournal, RunState, Visit
from reflow.journal import PostgresJournal, SQLiteJournal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from measuring import Options, Sample

    from reflow import Journal

    Insert: TypeAlias = Callable[[str, Sequence[JournalRow]], Awaitable[None]]
    """Stores rows under a key."""

APPEND, PER_ROW, GROWTH = 1.5, 20.0, 1.5
# So many appends, and so many steps, make a sample.
APPENDS: Final = 50
STEPS: Final = 100

COLUMNS: Final = "key, sequence, writer, time, state, active, event"
MOMENT: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)
EVENTS: Final = (
    '{"event":"StepCompleted","step":"email","number":1,"value":"ada@example.org","changed":false}',
    '{"event":"StepEntered","step":"confirmed","number":1,"reason":"first"}',
)


def pair(first: int) -> list[JournalRow]:
    """Give the two rows of a step, from this number on."""
    return [
        JournalRow(number, "0" * 32, MOMENT, RunState.RUNNING, "confirmed", event)
        for number, event in enumerate(EVENTS, first)
    ]


def bare_sqlite(path: Path, synchronous: str, stack: ExitStack) -> Insert:
    """Insert by a connection that is set up like the journal's."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    stack.callback(connection.close)
    for pragma in (f"synchronous = {synchronous}", "fullfsync = ON", "secure_delete = ON"):
        connection.execute(f"PRAGMA {pragma}")
    query = f"INSERT INTO reflow_journal ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"

    def insert(key: str, rows: Sequence[JournalRow]) -> None:
        table = [
            (key, row.sequence, row.writer, row.time.isoformat(), "running", row.active, row.event)
            for row in rows
        ]
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(query, table)
        connection.execute("COMMIT")

    return lambda key, rows: to_thread.run_sync(insert, key, rows)


def bare_postgres(url: str, stack: ExitStack) -> Insert:
    """Insert by a connection, in one statement, which is a transaction of its own."""
    import psycopg  # noqa: PLC0415 - not everyone has it

    connection = stack.enter_context(psycopg.connect(url, autocommit=True))
    row_of = "(%s, %s, %s, %s, %s, %s, %s)"
    query = f"INSERT INTO reflow_journal ({COLUMNS}) VALUES {row_of}, {row_of}".encode()

    def insert(key: str, rows: Sequence[JournalRow]) -> None:
        connection.execute(
            query,
            [
                column
                for row in rows
                for column in (
                    *(key, row.sequence, row.writer, row.time),
                    *("running", row.active, row.event),
                )
            ],
        )

    return lambda key, rows: to_thread.run_sync(insert, key, rows)


def appending(insert: Insert, keys: count[int]) -> Sample:
    """Make a sample of so many appends to one run."""

    async def sample() -> int:
        key = f"append-{next(keys)}"
        first, *batches = [pair(2 * i) for i in range(APPENDS + 1)]
        # Starts the thread, and whatever else is there only once.
        await insert(key, first)
        begun = perf_counter_ns()
        for batch in batches:
            await insert(key, batch)
        return perf_counter_ns() - begun

    return sample


def find_postgres(stack: ExitStack) -> tuple[str, str]:
    """Start the server that the tests use; give its URL, or why there is none."""
    sys.path.append(str(Path(__file__).parents[1] / "tests"))
    try:
        import postgres_server  # noqa: PLC0415 - of the tests, and not on every platform

        PostgresJournal("postgresql:///none").close()
    except (ImportError, JournalError) as error:
        return "", str(error)
    try:
        return stack.enter_context(postgres_server.running()).url, ""
    except postgres_server.NoServerError as error:
        return "", str(error)


async def make(journal: Journal) -> None:
    """Let a journal make its table."""
    await journal.append("first", pair(0))


def measure_appends(folder: Path, turns: int) -> None:
    """Print the table of what an append costs."""
    keys = count()
    with ExitStack() as stack:
        samples: dict[tuple[str, str], Sample] = {}
        for synchronous in ("full", "normal"):
            path, name = folder / f"{synchronous}.db", f"SQLite, {synchronous}"
            journal = stack.enter_context(SQLiteJournal(path, synchronous=synchronous))
            anyio.run(make, journal)
            samples[name, "bare"] = appending(bare_sqlite(path, synchronous, stack), keys)
            samples[name, "journal"] = appending(journal.append, keys)
        url, missing = find_postgres(stack)
        if url:
            kept = stack.enter_context(PostgresJournal(url))
            anyio.run(make, kept)
            samples["PostgreSQL", "bare"] = appending(bare_postgres(url, stack), keys)
            samples["PostgreSQL", "journal"] = appending(kept.append, keys)
        taken = in_turn(on("asyncio", samples), turns)
    rows = []
    for name in dict.fromkeys(name for name, _ in samples):
        bare, ours = taken[name, "bare"], taken[name, "journal"]
        shown = (f"{statistics.median(times) / APPENDS / 1e3:,.0f}" for times in (bare, ours))
        rows.append([name, *shown, judged(ratio(ours, bare), APPEND)])
    print_table("µs per append of two rows, asyncio", ["", "bare", "journal", "ratio"], rows)
    if not url:
        print(f"PostgreSQL wasn't measured: {missing}")


async def long_run(number: int) -> tuple[Flow[None], Sequence[JournalRow]]:
    """Give the rows of a run, about so many, and its flow."""
    flow, journal = Flow("going back"), MemoryJournal()

    @flow.step("a number")
    async def first(visit: Visit) -> int:
        return visit.number

    @flow.step("the last number")
    async def last(visit: Visit) -> str:
        # That makes five rows.
        if visit.number <= number // 5:
            await visit.go_back(first)
        return "done"

    await flow.run(journal=journal, key="run")
    return flow, await journal.read("run")


def resuming(flow: Flow[None], journal: Journal, key: str, times: int) -> Sample:
    """Make a sample of resuming a complete run so many times."""
    return timed(lambda: flow.run(journal=journal, key=key), times)


def measure_resumes(folder: Path, lengths: list[int], turns: int) -> None:
    """Print the table of what resuming costs."""
    samples: dict[tuple[int, str], Sample] = {}
    sizes: dict[int, int] = {}
    with SQLiteJournal(folder / "resume.db", synchronous="normal") as file:
        journals: dict[str, Journal] = {"memory": MemoryJournal(), "SQLite": file}
        for length in lengths:
            flow, rows = anyio.run(long_run, length)
            sizes[length] = len(rows)
            for name, journal in journals.items():
                anyio.run(journal.append, f"{length}", rows)
                times = max(1, 1_000 // length)
                samples[length, name] = resuming(flow, journal, f"{length}", times)
        taken = in_turn(on("asyncio", samples), turns)
    table = []
    per_row: dict[tuple[int, str], list[float]] = {
        (length, name): [time / max(1, 1_000 // length) / sizes[length] / 1e3 for time in times]
        for (length, name), times in taken.items()
    }
    for length in lengths:
        each = [per_row[length, name] for name in journals]
        # What a run costs by itself isn't the rows'.
        judge = judged if length >= 1_000 else lambda found, _: f"{found:.2f}"
        table.append(
            [
                f"{sizes[length]:,}",
                *(f"{statistics.median(times) * sizes[length] / 1e3:,.2f}" for times in each),
                *(judge(statistics.median(times), PER_ROW) for times in each),
            ]
        )
    head = ["rows", "ms, memory", "ms, SQLite", "µs a row, memory", "µs a row, SQLite"]
    print_table("resuming a run, asyncio", head, table)
    if {1_000, 100_000} <= set(lengths):
        for name in journals:
            growth = ratio(per_row[100_000, name], per_row[1_000, name])
            print(f"a row of 100,000 : one of 1,000, {name}: {judged(growth, GROWTH)}")


async def step(_: object) -> int:
    """Answer at once."""
    return 1


def walled(function: Callable[[], Awaitable[object]]) -> Sample:
    """Make a sample of a call to an async function, by the clock."""

    async def sample() -> int:
        begun = perf_counter_ns()
        await function()
        return perf_counter_ns() - begun

    return sample


def measure_steps(folder: Path, backends: list[str], turns: int) -> None:
    """Print the table of what a step costs, by where its run is kept."""
    flow = Flow("steps")
    for i in range(STEPS):
        flow.step("a number", id=f"s{i}")(step)
    keys = count()

    def kept_in(journal: Journal) -> Callable[[], Awaitable[object]]:
        return lambda: flow.run(journal=journal, key=f"steps-{next(keys)}")

    with (
        SQLiteJournal(folder / "full.db") as full,
        SQLiteJournal(folder / "normal.db", synchronous="normal") as normal,
    ):
        variants = {
            "no journal": walled(flow.run),
            "memory": walled(kept_in(MemoryJournal())),
            "SQLite, normal": walled(kept_in(normal)),
            "SQLite, full": walled(kept_in(full)),
        }
        rows = []
        for backend in backends:
            taken = in_turn(on(backend, variants), turns)
            medians = [statistics.median(times) / STEPS / 1e3 for times in taken.values()]
            rows.append(
                [
                    backend,
                    *(f"{median:,.1f}" for median in medians),
                    f"{ratio(taken['memory'], taken['no journal']):.1f}",
                ]
            )
    head = ["", *variants, "memory : no journal"]
    print_table(f"µs per step of {STEPS}, by journal", head, rows)


def main(chosen: Options) -> None:
    """Measure everything."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        measure_appends(folder, chosen.turns)
        measure_resumes(folder, chosen.rows, chosen.turns)
        measure_steps(folder, chosen.backends, chosen.turns)


if __name__ == "__main__":
    main(options(__doc__))
