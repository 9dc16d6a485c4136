"""What the journals in databases have in common: keys, rows, and threads to work in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypeVar, TypeVarTuple
from weakref import WeakKeyDictionary

from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import RunVar

from reflow import JournalConflictError, JournalError, JournalRow, RunState, StoredRun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

# The version of the tables that this module's readers know.
SCHEMA: Final = 1
# Seconds for which a run tries again, where nobody says otherwise: longer than a database server
# takes to start, shorter than a person waits for an answer.
PATIENCE: Final = 30.0
# Every state by its text in the database, and the other way round: both are done for every row.
STATES: Final = {state.value: state for state in RunState}
TEXTS: Final = {state: state.value for state in RunState}

# Of each event loop: how many threads each journal may use there. anyio's own limiter is left to
# the steps: forty of them in threads that wait for their runs to be recorded would wait forever.
_limiters: Final[RunVar[WeakKeyDictionary[object, CapacityLimiter]]] = RunVar("reflow.journal")


async def in_thread(journal: object, threads: int, work: Callable[[*Ts], T], *arguments: *Ts) -> T:
    """Do blocking work in a worker thread; cancellation waits until it is done.

    Args:
        journal: whose work it is.
        threads: how many threads the journal may use at once on this event loop.
        work: what to call there.
        arguments: what to call it with.
    """
    limiters = _limiters.get(None)
    if limiters is None:
        limiters = WeakKeyDictionary[object, CapacityLimiter]()
        _limiters.set(limiters)
    limiter = limiters.get(journal)
    if limiter is None:
        limiter = limiters[journal] = CapacityLimiter(threads)
    return await to_thread.run_sync(_holding, [journal], work, arguments, limiter=limiter)


def _holding(journals: list[object], work: Callable[[*Ts], T], arguments: tuple[*Ts]) -> T:
    # The journal is kept alive while the thread works, since its finalizer would wait for that;
    # and no longer, though the thread may keep the list until it has other work.
    _journal = journals.pop()
    return work(*arguments)


def check_key(where: str, key: str) -> None:
    """See that every journal can store a key.

    Raises:
        JournalError: if it is empty, or isn't text. NUL is no character in PostgreSQL's texts
            (https://www.postgresql.org/docs/current/datatype-character.html), and ends SQLite's in
            many of its functions (https://www.sqlite.org/nulinstr.html).
    """
    if not key:
        raise JournalError(f"{where}: the key of a run can't be empty")
    if "\0" in key or not _is_unicode(key):
        raise JournalError(f"{where}: the key {key!r} has a NUL or a lone surrogate in it")


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_rows(where: str, key: str, rows: Sequence[JournalRow]) -> None:
    """See that rows to append can follow each other.

    Raises:
        JournalConflictError: if their numbers aren't consecutive.
        JournalError: if a time has no zone: it would mean another moment on another machine.
    """
    for expected, row in enumerate(rows, rows[0].sequence):
        if row.sequence != expected:
            message = f"{where}: key {key!r}: row {row.sequence} can't stand at {expected}"
            raise JournalConflictError(message)
        if row.time.tzinfo is None:
            raise JournalError(f"{where}: key {key!r}: the time of row {expected} has no zone")


def decoded(
    where: str, key: str, start: int, table: Iterable[tuple[object, ...]]
) -> list[JournalRow]:
    """Make rows of what a database gave; for times see `datetime_of`.

    Raises:
        JournalError: if something can't be a row, or a row is missing: someone has changed the
            table by hand.
    """
    rows: list[JournalRow] = []
    # Once for every row that was ever written, whenever a run is resumed: so it is spelled out.
    for expected, (sequence, writer, time, state, active, event) in enumerate(table, start):
        moment = time.replace(tzinfo=UTC) if isinstance(time, datetime) else datetime_of(time)
        if not (
            isinstance(sequence, int)
            and sequence == expected
            and isinstance(writer, str)
            and moment is not None
            and isinstance(state, str)
            and state in STATES
            and (active is None or isinstance(active, str))
            and isinstance(event, str)
        ):
            if isinstance(sequence, int) and sequence > expected:
                raise JournalError(f"{where}: key {key!r}: row {expected} is missing")
            raise unreadable(where, key, expected)
        rows.append(JournalRow(sequence, writer, moment, STATES[state], active, event))
    return rows


def unreadable(where: str, key: object, sequence: object) -> JournalError:
    """Give the error for a row that isn't one."""
    message = f"{where}: key {key!r}: row {sequence} holds what reflow has not written there"
    return JournalError(message)


def datetime_of(column: object) -> datetime | None:
    """Give a moment in UTC: of an ISO text with that zone, or of a datetime without; else None."""
    if isinstance(column, datetime):
        return column.replace(tzinfo=UTC)
    try:
        moment = datetime.fromisoformat(column) if isinstance(column, str) else None
    except ValueError:
        return None
    return moment if moment is None or moment.tzinfo is UTC else None


def run_of(where: str, columns: tuple[object, ...]) -> StoredRun:
    """Make a run of the last row of its key.

    Raises:
        JournalError: as `decoded`.
    """
    key, sequence, time, state, active = columns
    moment = datetime_of(time)
    if not (
        isinstance(key, str)
        and isinstance(sequence, int)
        and moment is not None
        and isinstance(state, str)
        and state in STATES
        and (active is None or isinstance(active, str))
    ):
        raise unreadable(where, key, sequence)
    return StoredRun(key, STATES[state], active, moment, sequence + 1)
