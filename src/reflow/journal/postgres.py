"""A journal in a PostgreSQL database, for processes on many machines."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING, Final, Self, final

from reflow import JournalError

from ._shared import PATIENCE, in_thread

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from reflow import JournalRow, StoredRun


@final
class PostgresJournal:
    """A journal in a PostgreSQL database, for all processes that can reach it.

    Its tables, `reflow_journal` and `reflow_journal_version`, are made when a run first writes, in
    the first schema of the user's search path. Needs the extra `postgres`. Connects when it is
    first used, with up to four connections of psycopg's pool, in threads: so it works on every
    event loop, and on several of them, and in several threads, at once. After a fork, the child
    needs a journal of its own; one that wasn't used before the fork is fine.

    What is stored has reached the server's disk, unless the server or the user is set up otherwise
    (https://www.postgresql.org/docs/current/runtime-config-wal.html#GUC-SYNCHRONOUS-COMMIT): the
    journal leaves it as it is.

    Usable as a context manager, which closes it.
    """

    def __init__(self, url: str, *, patience: float = PATIENCE) -> None:
        """Name the database; nothing is connected yet.

        Args:
            url: like `postgresql://user:password@host:5432/database`, or whatever else libpq takes
                (https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING); the
                password is in no error and no log. Attempts to connect end after 5 seconds, unless
                it sets `connect_timeout`.
            patience: for how long, in seconds, a run tries again to write while the server can't
                be reached: longer than its restart or failover takes.

        Raises:
            JournalError: if psycopg isn't installed, or the URL isn't one.
        """
        try:
            # Only here, as not everyone has it, and it takes its time.
            from ._postgres import CONNECTIONS, Database  # noqa: PLC0415
        except ImportError as error:
            message = "a journal in PostgreSQL needs psycopg: pip install 'reflow[postgres]'"
            raise JournalError(message) from error
        self._patience: Final = patience
        self._threads: Final = CONNECTIONS
        self._database: Final = Database(url)
        # Nobody has to close it: connections that were forgotten are warnings.
        self._finalizer: Final = weakref.finalize(self, self._database.close)

    @property
    def patience(self) -> float:
        """How long, in seconds, a run tries again to write; see `Journal.patience`."""
        return self._patience

    async def read(self, key: str, start: int = 0) -> Sequence[JournalRow]:
        """Give the rows of a run in order, from this number on; see `Journal.read`.

        Raises:
            JournalUnavailableError: if the server can't be reached, or ends the connection.
            JournalError: if it refuses: the password is wrong, there is no such database, the user
                may not read the table; if the tables were made by a newer version; if a row of the
                run was changed by hand or is missing; if the key is empty or has a NUL in it; if
                the journal was closed.
        """
        return await in_thread(self, self._threads, self._database.read, key, start)

    async def append(self, key: str, rows: Sequence[JournalRow]) -> None:
        """Store rows behind those of the key: all of them, or none; see `Journal.append`.

        Raises:
            JournalConflictError: if there is a row with one of these numbers already, or none with
                the number before the first.
            JournalUnavailableError: as `read`; whether the rows were stored may be unknown.
            JournalError: as `read`; if the disk is full; if the key is longer than an index of
                PostgreSQL takes, which is about 2,700 bytes
                (https://www.postgresql.org/docs/current/btree.html).
        """
        await in_thread(self, self._threads, self._database.append, key, tuple(rows))

    async def runs(self) -> Sequence[StoredRun]:
        """Give every key with where its run stands; see `Journal.runs`.

        Raises:
            JournalUnavailableError: as `read`.
            JournalError: as `read`.
        """
        return await in_thread(self, self._threads, self._database.runs)

    async def forget(self, key: str) -> int:
        """Delete the rows of a run; see `Journal.forget`.

        PostgreSQL overwrites what was deleted some time after it has vacuumed the table
        (https://www.postgresql.org/docs/current/routine-vacuuming.html); its archived write-ahead
        log and backups keep it for as long as they are kept.

        Raises:
            JournalUnavailableError: as `read`.
            JournalError: as `read`.
        """
        return await in_thread(self, self._threads, self._database.forget, key)

    def close(self) -> None:
        """Close the connections, those in use when they are done; the journal can't be used then.

        Several times do no harm. Blocks for as long as another thread connects.
        """
        self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
