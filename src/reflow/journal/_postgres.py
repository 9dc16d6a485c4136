"""The journal in PostgreSQL, as threads see it. Imported only where psycopg is needed."""

from __future__ import annotations

import functools
import os
import re
from contextlib import contextmanager
from itertools import chain
from operator import itemgetter
from threading import Lock
from typing import TYPE_CHECKING, Final, LiteralString, final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import PGconn, Ping
from psycopg_pool import ConnectionPool

from reflow import JournalConflictError, JournalError, JournalUnavailableError

from ._shared import SCHEMA, TEXTS, check_key, check_rows, decoded, run_of, unreadable

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from psycopg.rows import TupleRow

    from reflow import JournalRow, StoredRun

    Connection = psycopg.Connection[TupleRow]
    Pool = ConnectionPool[Connection]

# How many connections a journal has at most. Each may wait for the server's disk at the same time.
CONNECTIONS: Final = 4
# Seconds to wait for a connection: a thread that waits can't be cancelled. The run tries again.
LONGEST_WAIT: Final = 5
# What the URL may override: without them a server that vanished from the network would be waited
# for up to hours (https://www.postgresql.org/docs/current/libpq-connect.html).
DEFAULTS: Final[dict[str, str | int]] = {
    "fallback_application_name": "reflow",
    "connect_timeout": LONGEST_WAIT,
    "tcp_user_timeout": 10_000,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}

# The key's collation is the quickest, and no upgrade of the operating system changes its order.
CREATE: Final = """
CREATE TABLE IF NOT EXISTS reflow_journal (
    key text COLLATE "C" NOT NULL,
    sequence bigint NOT NULL,
    writer text NOT NULL,
    time timestamptz NOT NULL,
    state text NOT NULL,
    active text,
    event text NOT NULL,
    PRIMARY KEY (key, sequence)
)
"""
CREATE_VERSION: Final = """
CREATE TABLE IF NOT EXISTS reflow_journal_version AS SELECT %s::integer AS version
"""
# Only one process at a time: IF NOT EXISTS alone fails when two come at once. Any number that no
# other program uses; this one spells the name.
LOCK: Final = "SELECT pg_advisory_xact_lock(125779768604535)"
FIND: Final = """
SELECT to_regclass('reflow_journal') IS NOT NULL
    AND to_regclass('reflow_journal_version') IS NOT NULL
"""
VERSION: Final = "SELECT max(version) FROM reflow_journal_version"
# All in one statement, hence in one round trip and one transaction. The lock of the row before
# keeps it from being deleted until the new ones are there, and waits for who is deleting it.
APPEND: Final = """
WITH before AS (
    SELECT FROM reflow_journal WHERE key = %s AND sequence = %s FOR KEY SHARE
)
INSERT INTO reflow_journal (key, sequence, writer, time, state, active, event)
SELECT %s, row.*
FROM (VALUES {}) AS row
WHERE %s = -1 OR EXISTS (SELECT FROM before)
"""
ROW: Final = "(%s::bigint, %s, %s::timestamptz, %s, %s, %s)"
# A step has two or three rows; more come at once when much is requested between two steps.
FEW: Final = 8
# The same for any number of rows; for a few it takes a third more time than the other one.
APPEND_ALL: Final = """
WITH before AS (
    SELECT FROM reflow_journal WHERE key = %(key)s AND sequence = %(before)s FOR KEY SHARE
)
INSERT INTO reflow_journal (key, sequence, writer, time, state, active, event)
SELECT %(key)s, row.*
FROM unnest(
    %(sequence)s::bigint[], %(writer)s::text[], %(time)s::timestamptz[],
    %(state)s::text[], %(active)s::text[], %(event)s::text[]
) AS row
WHERE %(before)s = -1 OR EXISTS (SELECT FROM before)
"""
# A time without the zone of the session, which would take Python longer than all the rest. Sorted
# by Python, as they come in order, mostly, and the server would sort them in any case.
READ: Final = """
SELECT sequence, writer, time AT TIME ZONE 'UTC', state, active, event
FROM reflow_journal WHERE key = %s AND sequence >= %s
"""
# The row with a time that Python has no datetime for, like infinity.
NO_DATETIME: Final = """
SELECT min(sequence) FROM reflow_journal WHERE key = %s AND sequence >= %s
    AND NOT (time >= '0001-01-02' AND time < '9999-12-31')
"""
# From one key to the next, and there to the last row: what lies between isn't read.
RUNS: Final = """
WITH RECURSIVE keys (key) AS (
    SELECT min(key) FROM reflow_journal
    UNION ALL
    SELECT (SELECT min(key) FROM reflow_journal WHERE key > keys.key) FROM keys
    WHERE keys.key IS NOT NULL
)
SELECT row.key, row.sequence,
    CASE WHEN row.time >= '0001-01-02' AND row.time < '9999-12-31'
        THEN row.time AT TIME ZONE 'UTC' END,
    row.state, row.active
FROM keys CROSS JOIN LATERAL (
    SELECT * FROM reflow_journal WHERE key = keys.key ORDER BY sequence DESC LIMIT 1
) AS row
ORDER BY row.time DESC
"""
COLUMNS: Final = ("sequence", "writer", "time", "state", "active", "event")
FORGET: Final = "DELETE FROM reflow_journal WHERE key = %s"

_SEQUENCE: Final = itemgetter(0)

# What passes by itself (https://www.postgresql.org/docs/current/errcodes-appendix.html): broken
# connections, rollbacks for the sake of others, what the operator stops, and too many clients.
PASSING: Final = re.compile("08...|40...|57(?!P04)...|53300|55P03")
# A refused connection has no code, only a text.
TOO_MANY: Final = re.compile("too many (clients|connections)|connection slots are reserved")


def check_url(url: str) -> tuple[str, str]:
    """Give a URL with the timeouts in it, and how to name its database to people.

    Raises:
        JournalError: if it isn't one. It isn't in the text, and neither is psycopg's error, which
            would show the password.
    """
    try:
        given = conninfo_to_dict(url)
    except psycopg.Error:
        given = {"host": "@@"}
    host, port = str(given.get("host", "")), str(given.get("port", ""))
    database = str(given.get("dbname", ""))
    # A password with an @ or a slash in it has ended too early: its rest is in one of these.
    if "@" in host[1:] or "@" in database or not re.fullmatch("[0-9,]*", port):
        message = (
            "this isn't a URL of a PostgreSQL database: postgresql://user:password@host/database, "
            "with %40 for an @ in the password and %2F for a slash"
        )
        raise JournalError(message)
    place = f" at {host}{port and ':'}{port}" if host or port else ""
    where = f"journal in PostgreSQL database {database or 'of the user'}{place}"
    missing = {name: value for name, value in DEFAULTS.items() if name not in given}
    return make_conninfo(url, **missing), where


@final
class Database:
    """A PostgreSQL database with a journal in it; see `PostgresJournal` for the promises."""

    def __init__(self, url: str) -> None:
        """Take the URL; nothing is connected yet."""
        self._conninfo, self._where = check_url(url)
        self._lock: Final = Lock()
        self._pool: Pool | None = None
        self._process = 0
        self._closed = False

    def read(self, key: str, start: int) -> list[JournalRow]:
        """Give rows."""
        check_key(self._where, key)
        start = max(start, 0)
        with self._using(create=False) as connection:
            if connection is None:
                return []
            try:
                # In the binary format a time is a number, which is quicker to read than a text.
                with connection.cursor(binary=True) as cursor:
                    table = cursor.execute(READ, (key, start)).fetchall()
            except psycopg.DataError as error:
                number = _one(connection, NO_DATETIME, (key, start))
                raise unreadable(self._where, key, number) from error
        table.sort(key=_SEQUENCE)
        return decoded(self._where, key, start, table)

    def append(self, key: str, rows: Sequence[JournalRow]) -> None:
        """Store rows."""
        if not rows:
            return
        check_key(self._where, key)
        check_rows(self._where, key, rows)
        before = rows[0].sequence - 1
        columns = [_columns(row) for row in rows]
        given: Sequence[object] | dict[str, object]
        if len(rows) <= FEW:
            query = _append_few(len(rows))
            given = (key, before, key, *chain.from_iterable(columns), before)
        else:
            query = APPEND_ALL
            given = {"key": key, "before": before}
            given |= {
                name: [*column]
                for name, column in zip(COLUMNS, zip(*columns, strict=True), strict=True)
            }
        with self._using(create=True) as connection:
            assert connection is not None
            try:
                stored = connection.execute(query, given).rowcount
            except psycopg.IntegrityError as error:
                last = rows[-1].sequence
                message = f"{self._where}: key {key!r} has a row up to {last} already"
                raise JournalConflictError(message) from error
        if stored == 0:
            message = f"{self._where}: key {key!r} has no row before {rows[0].sequence}"
            raise JournalConflictError(message)

    def runs(self) -> list[StoredRun]:
        """Give the last row of every key."""
        with self._using(create=False) as connection:
            if connection is None:
                return []
            with connection.cursor(binary=True) as cursor:
                table = cursor.execute(RUNS).fetchall()
        return [run_of(self._where, columns) for columns in table]

    def forget(self, key: str) -> int:
        """Delete rows."""
        check_key(self._where, key)
        with self._using(create=False) as connection:
            if connection is None:
                return 0
            deleted = 0
            with connection.transaction():
                # A row may be appended while the one before waits to be deleted; this statement
                # doesn't see it yet, the next one does.
                while count := connection.execute(FORGET, (key,)).rowcount:
                    deleted += count
            return deleted

    def close(self) -> None:
        """Close all connections, for good; not those of the process this one came from."""
        if self._is_inherited():
            return
        with self._lock:
            self._closed = True
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.close()

    def _is_inherited(self) -> bool:
        """Say whether the pool is another process's; the lock may then be locked forever."""
        return self._pool is not None and self._process != os.getpid()

    @contextmanager
    def _using(self, *, create: bool) -> Generator[Connection | None]:
        """Give a connection, which is in no transaction.

        Args:
            create: whether to make a journal where there is none; None is given otherwise.
        """
        if self._is_inherited():
            raise JournalError(f"{self._where} was opened before a fork: make another one after it")
        pool = None
        try:
            pool = self._opened(create=create)
            if pool is None:
                yield None
            else:
                with pool.connection(LONGEST_WAIT) as connection:
                    yield connection
        except psycopg.Error as error:
            problem = self._problem(error)
            if pool is not None and isinstance(problem, JournalUnavailableError):
                self._discard(pool)
            raise problem from error
        except UnicodeEncodeError as error:
            raise JournalError(f"{self._where} can't store a value: {error}") from error

    def _problem(self, error: psycopg.Error) -> JournalError:
        """Give the error that says whether it may pass."""
        said = error.diag.message_primary or " ".join(str(error).split())
        if error.sqlstate is None:
            passing = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        else:
            passing = PASSING.fullmatch(error.sqlstate) is not None
        if passing:
            return JournalUnavailableError(f"{self._where} can't be reached: {said}")
        return JournalError(f"{self._where}: {said}")

    def _discard(self, pool: Pool) -> None:
        """Forget all connections: the server that is back doesn't know the others either."""
        with self._lock:
            # Unless another thread was quicker, and a third one has connected again.
            self._pool = None if self._pool is pool else self._pool
        pool.close()

    def _opened(self, *, create: bool) -> Pool | None:
        with self._lock:
            if self._closed:
                raise JournalError(f"{self._where} was closed")
            if self._pool is None:
                # Not by the pool, which doesn't say why it can't connect.
                with self._connect() as connection:
                    if not self._prepare(connection, create=create):
                        return None
                self._process = os.getpid()
                self._pool = ConnectionPool(
                    self._conninfo,
                    kwargs={"autocommit": True},
                    min_size=0,
                    max_size=CONNECTIONS,
                    name="reflow",
                    num_workers=1,
                    open=True,
                )
            return self._pool

    def _connect(self) -> Connection:
        """Connect; an error that comes twice from a server that takes connections won't pass.

        Raises:
            JournalError: if the password is wrong, the database isn't there, or the like.
            psycopg.OperationalError: if the server isn't there, or doesn't take connections yet.
        """
        try:
            return psycopg.connect(self._conninfo, autocommit=True)
        except psycopg.OperationalError:
            # Asks for no more than whether it takes connections, whoever wants what.
            if PGconn.ping(self._conninfo.encode()) != Ping.OK:
                raise
        try:
            return psycopg.connect(self._conninfo, autocommit=True)
        except psycopg.OperationalError as error:
            said = " ".join(str(error).split())
            if TOO_MANY.search(said):
                raise
            raise JournalError(f"{self._where}: {said}") from error

    def _prepare(self, connection: Connection, *, create: bool) -> bool:
        """See that there is a journal that can be used; nothing else is touched."""
        if self._is_there(connection):
            return True
        if create:
            with connection.transaction():
                connection.execute(LOCK)
                # Another process may have been quicker, and may know a newer schema.
                self._is_there(connection)
                connection.execute(CREATE)
                connection.execute(CREATE_VERSION, (SCHEMA,))
        return create

    def _is_there(self, connection: Connection) -> bool:
        """Say whether there is a journal.

        Raises:
            JournalError: if it is of another version.
        """
        if not _one(connection, FIND):
            return False
        version = _one(connection, VERSION)
        if version != SCHEMA:
            message = (
                f"{self._where} has schema {version}, and this version of reflow knows {SCHEMA}: "
                "use a newer reflow"
            )
            raise JournalError(message)
        return True


@functools.cache
def _append_few(count: int) -> LiteralString:
    rows: list[LiteralString] = [ROW] * count
    return APPEND.format(", ".join(rows))


def _columns(row: JournalRow) -> tuple[object, ...]:
    return (row.sequence, row.writer, row.time, TEXTS[row.state], row.active, row.event)


def _one(connection: Connection, query: LiteralString, given: Sequence[object] = ()) -> object:
    """Give the single value that a query gives."""
    row: tuple[object, ...] | None = connection.execute(query, given).fetchone()
    return row and row[0]
