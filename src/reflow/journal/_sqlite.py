"""The journal in an SQLite file, as threads see it: one connection, one thread at a time."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing, contextmanager, suppress
from datetime import UTC
from threading import Lock
from typing import TYPE_CHECKING, Final, Literal, final

from reflow import JournalConflictError, JournalError, JournalUnavailableError

from ._shared import SCHEMA, TEXTS, check_key, check_rows, decoded, run_of, unreadable

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence
    from pathlib import Path

    from reflow import JournalRow, StoredRun

# Seconds to wait for a lock, at most: a thread that waits can't be cancelled. The run tries again.
LONGEST_WAIT: Final = 5.0
# Seconds between two tries where SQLite doesn't wait by itself.
PAUSE: Final = 0.01

# The table is one tree, in the order in which it is read: no second one for the key. Times are
# texts, to be read by people, that sort like what they mean. No column has a CHECK: `decoded`
# looks at what was changed by hand, and inserting is quicker without.
CREATE: Final = """
CREATE TABLE IF NOT EXISTS reflow_journal (
    key TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    writer TEXT NOT NULL,
    time TEXT NOT NULL,
    state TEXT NOT NULL,
    active TEXT,
    event TEXT NOT NULL,
    PRIMARY KEY (key, sequence)
) WITHOUT ROWID
"""
FIND: Final = """
SELECT user_version,
    (SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'reflow_journal'),
    (SELECT count(*) FROM sqlite_master)
FROM pragma_user_version
"""
FIRST: Final = """
INSERT INTO reflow_journal (key, sequence, writer, time, state, active, event)
SELECT ?, ?, ?, ?, ?, ?, ?
WHERE ? = -1 OR EXISTS (SELECT 1 FROM reflow_journal WHERE key = ? AND sequence = ?)
"""
NEXT: Final = """
INSERT INTO reflow_journal (key, sequence, writer, time, state, active, event)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""
READ: Final = """
SELECT sequence, writer, time, state, active, event FROM reflow_journal
WHERE key = ? AND sequence >= ? ORDER BY sequence
"""
# From one key to the next, and there to the last row: what lies between isn't read.
RUNS: Final = """
WITH RECURSIVE keys (key) AS (
    SELECT min(key) FROM reflow_journal
    UNION ALL
    SELECT (SELECT min(key) FROM reflow_journal WHERE key > keys.key) FROM keys
    WHERE keys.key IS NOT NULL
)
SELECT row.key, row.sequence, row.time, row.state, row.active
FROM keys JOIN reflow_journal AS row ON row.key = keys.key
    AND row.sequence = (SELECT max(sequence) FROM reflow_journal WHERE key = keys.key)
ORDER BY row.time DESC
"""

# What passes when others are done (https://www.sqlite.org/rescode.html).
PASSING: Final = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
SENTENCES: Final = {
    sqlite3.SQLITE_FULL: "the disk is full: make room on it",
    sqlite3.SQLITE_READONLY: "the file, or its folder, is read-only: allow writing there",
    sqlite3.SQLITE_NOTADB: "it is not an SQLite database: choose another file",
    sqlite3.SQLITE_CORRUPT: "the file is damaged: move it away, and restore a backup",
    sqlite3.SQLITE_IOERR: "the disk didn't do what it was told: see whether it is full or broken",
}


@final
class File:
    """An SQLite file with a journal in it; see `SQLiteJournal` for what the methods promise."""

    def __init__(
        self, path: Path, *, synchronous: Literal["full", "normal"], patience: float
    ) -> None:
        """Take the file, which is opened when it is used."""
        self._path: Final = path
        self._synchronous: Final = synchronous
        self._wait: Final = min(patience, LONGEST_WAIT)
        self._where: Final = f"journal {path}"
        self._lock: Final = Lock()
        self._connection: sqlite3.Connection | None = None
        self._process = 0
        self._inode = (0, 0)
        self._closed = False

    def read(self, key: str, start: int) -> list[JournalRow]:
        """Give rows."""
        check_key(self._where, key)
        start = max(start, 0)
        with self._using(create=False) as connection:
            if connection is None:
                return []
            with closing(connection.execute(READ, (key, start))) as cursor:
                try:
                    return decoded(self._where, key, start, cursor)
                except sqlite3.OperationalError as error:
                    coded = hasattr(error, "sqlite_errorcode")
                    problem = self._problem(error) if coded else self._undecodable(connection, key)
                    raise problem from error

    def _undecodable(self, connection: sqlite3.Connection, key: str) -> JournalError:
        """Give the error for a text that isn't UTF-8: Python finds it, without a code of SQLite."""
        connection.text_factory = bytes
        table: list[tuple[object, ...]] = connection.execute(READ, (key, 0)).fetchall()
        connection.text_factory = str
        numbers = [row[0] for row in table if not all(map(_is_utf8, row))]
        return unreadable(self._where, key, numbers[0])

    def append(self, key: str, rows: Sequence[JournalRow]) -> None:
        """Store rows."""
        if not rows:
            return
        check_key(self._where, key)
        check_rows(self._where, key, rows)
        first, *others = [
            (
                *(key, row.sequence, row.writer),
                row.time.astimezone(UTC).isoformat(timespec="microseconds"),
                *(TEXTS[row.state], row.active, row.event),
            )
            for row in rows
        ]
        before = rows[0].sequence - 1
        with self._using(create=True) as connection:
            assert connection is not None
            try:
                with connection:
                    connection.execute("BEGIN IMMEDIATE")
                    if connection.execute(FIRST, (*first, before, key, before)).rowcount == 0:
                        message = f"{self._where}: key {key!r} has no row before {rows[0].sequence}"
                        raise JournalConflictError(message)
                    connection.executemany(NEXT, others)
            except sqlite3.IntegrityError as error:
                last = rows[-1].sequence
                message = f"{self._where}: key {key!r} has a row up to {last} already"
                raise JournalConflictError(message) from error

    def runs(self) -> list[StoredRun]:
        """Give the last row of every key."""
        with self._using(create=False) as connection:
            if connection is None:
                return []
            table: list[tuple[object, ...]] = connection.execute(RUNS).fetchall()
            return [run_of(self._where, columns) for columns in table]

    def forget(self, key: str) -> int:
        """Delete rows, and every trace of them in the files."""
        check_key(self._where, key)
        with self._using(create=False) as connection:
            if connection is None:
                return 0
            deleted = connection.execute(
                "DELETE FROM reflow_journal WHERE key = ?", (key,)
            ).rowcount
            try:
                self._erase(connection)
            except sqlite3.Error as error:
                problem = self._problem(error)
                message = (
                    f"{problem}; {deleted} rows of key {key!r} are deleted, but their text may "
                    "still be in the files: forget it once more"
                )
                raise type(problem)(message) from error
            return deleted

    def _erase(self, connection: sqlite3.Connection) -> None:
        # `secure_delete` overwrites what is deleted, but not the copies that were left in a page
        # when its rows moved to another: only VACUUM writes all pages anew. They are in the
        # write-ahead log then, together with older ones, until that is emptied.
        connection.execute("VACUUM")
        busy: tuple[int, int, int] = connection.execute(
            "PRAGMA wal_checkpoint(TRUNCATE)"
        ).fetchone()
        if busy[0]:
            raise _Busy("somebody reads older rows")

    def close(self) -> None:
        """Close the connection, for good; not one that belongs to the process this one came from.

        A connection must not be closed on the other side of a fork
        (https://www.sqlite.org/howtocorrupt.html, section 2.6).
        """
        if self._is_inherited():
            return
        with self._lock:
            self._closed = True
            if self._connection is not None:
                self._discard(self._connection)

    def _is_inherited(self) -> bool:
        """Say whether the connection is another process's; the lock may then be locked forever."""
        return self._connection is not None and self._process != os.getpid()

    @contextmanager
    def _using(self, *, create: bool) -> Generator[sqlite3.Connection | None]:
        """Give the connection to one thread at a time.

        Args:
            create: whether to make a journal where there is none; None is given otherwise.
        """
        if self._is_inherited():
            raise JournalError(f"{self._where} was opened before a fork: make another one after it")
        with self._lock:
            if self._closed:
                raise JournalError(f"{self._where} was closed")
            try:
                yield self._opened(create=create)
            except sqlite3.Error as error:
                raise self._problem(error) from error
            except (UnicodeEncodeError, OverflowError) as error:
                raise JournalError(f"{self._where} can't store a value: {error}") from error

    def _problem(self, error: sqlite3.Error) -> JournalError:
        """Give the error that says what to do; a connection in doubt is made anew."""
        if isinstance(error, _Busy):
            return JournalUnavailableError(f"{self._where} is in use: {error}")
        code: int = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in PASSING:
            return JournalUnavailableError(f"{self._where} is in use: {error}")
        if self._connection is not None:
            self._discard(self._connection)
        if code == sqlite3.SQLITE_CANTOPEN:
            return JournalError(f"{self._where} can't be opened: {self._obstacle()}")
        return JournalError(f"{self._where}: {SENTENCES.get(code, 'SQLite refuses')} ({error})")

    def _obstacle(self) -> str:
        with suppress(PermissionError):
            if self._path.is_dir():
                return "it is a folder, not a file"
            if not self._path.parent.is_dir():
                return "its folder doesn't exist; make it first"
        return "see whether this account may write there"

    def _discard(self, connection: sqlite3.Connection) -> None:
        self._connection = None
        connection.close()

    def _opened(self, *, create: bool) -> sqlite3.Connection | None:
        if self._connection is not None:
            # SQLite itself goes on writing to a file that isn't there anymore.
            if self._found() == self._inode:
                return self._connection
            self._discard(self._connection)
            raise JournalError(f"{self._where} was deleted or replaced while it was in use")
        if not create and self._is_missing():
            return None
        # SQLite waits by itself for most locks, but not for those it takes to change the mode
        # of the file or to recover it.
        deadline = time.monotonic() + self._wait
        while True:
            try:
                self._connection = self._connect(create=create)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF not in PASSING or time.monotonic() >= deadline:
                    raise
            else:
                return self._connection
            time.sleep(PAUSE)

    def _found(self) -> tuple[int, int]:
        """Tell the file from every other that may come to have its path."""
        try:
            found = os.stat(self._path)  # noqa: PTH116 - half the price, and on every write
        except OSError:
            return (0, 0)
        return (found.st_dev, found.st_ino)

    def _is_missing(self) -> bool:
        """Say whether nobody has made the file yet, in a folder that is there."""
        try:
            self._path.stat()
        except FileNotFoundError:
            return self._path.parent.is_dir()
        except OSError:
            # It can't be seen whether it is there; SQLite says the same in its own way.
            return False
        return False

    def _connect(self, *, create: bool) -> sqlite3.Connection | None:
        connection = sqlite3.connect(
            f"{self._path.as_uri()}?mode={'rwc' if create else 'rw'}",
            uri=True,
            timeout=self._wait,
            isolation_level=None,
            check_same_thread=False,
        )
        try:
            if self._prepare(connection, create=create):
                self._inode = self._found()
                self._process = os.getpid()
                return connection
        except BaseException:
            connection.close()
            raise
        connection.close()
        return None

    def _prepare(self, connection: sqlite3.Connection, *, create: bool) -> bool:
        """Set up the connection, and see that there is a journal; nothing else is touched."""
        connection.execute(f"PRAGMA synchronous = {self._synchronous}")
        # For macOS, where syncing alone leaves the data in the disk's cache.
        connection.execute(f"PRAGMA fullfsync = {self._synchronous == 'full'}")
        connection.execute("PRAGMA secure_delete = ON")
        if self._is_there(connection):
            return True
        if create:
            connection.execute("PRAGMA journal_mode = WAL")
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                # Another process may have been quicker, and may know a newer schema.
                self._is_there(connection)
                connection.execute(CREATE)
                connection.execute(f"PRAGMA user_version = {SCHEMA}")
        return create

    def _is_there(self, connection: sqlite3.Connection) -> bool:
        """Say whether there is a journal.

        Raises:
            JournalError: if it is of another version, or if it is another program's database.
        """
        found: tuple[int, int, int] = connection.execute(FIND).fetchone()
        version, journals, tables = found
        if journals and version == SCHEMA:
            return True
        if journals:
            message = (
                f"{self._where} has schema {version}, and this version of reflow knows {SCHEMA}: "
                "use a newer reflow"
            )
            raise JournalError(message)
        if tables or version:
            message = f"{self._where} is another program's database: choose another file"
            raise JournalError(message)
        return False


def _is_utf8(column: object) -> bool:
    return not isinstance(column, bytes) or column.decode(errors="replace").encode() == column


@final
class _Busy(sqlite3.OperationalError):
    """What SQLite says in a result, not by an error."""
