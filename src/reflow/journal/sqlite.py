"""A journal in an SQLite file: nothing to install, and nothing to run."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, Self, final

from ._shared import PATIENCE, in_thread
from ._sqlite import File

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike
    from types import TracebackType

    from reflow import JournalRow, StoredRun


@final
class SQLiteJournal:
    """A journal in an SQLite file, for the processes of one machine.

    The file is opened when it is first used, made when a run first writes to it, and then kept
    open. The journal may be used by several event loops and threads at once, and the file by
    several processes. After a fork, the child needs a journal of its own (SQLite forbids to carry
    connections over, https://www.sqlite.org/howtocorrupt.html); one that wasn't used before the
    fork is fine.

    The file holds the journal alone, in SQLite's write-ahead mode: beside it lie two more, with
    `-wal` and `-shm` behind their names, that belong to it. It must be on a disk of this machine,
    since that mode doesn't work on network file systems (https://www.sqlite.org/wal.html).

    Usable as a context manager, which closes it.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        synchronous: Literal["full", "normal"] = "full",
        patience: float = PATIENCE,
    ) -> None:
        """Name the file; nothing is opened yet.

        Args:
            path: the file; its folder has to exist.
            synchronous: with "full", what was written has reached the disk when `append` returns.
                "normal" is several times faster, since it doesn't wait for the disk: after a power
                loss or a crash of the operating system, the last rows of any run may be missing
                (so a step may run again that had been completed), but the file is never damaged;
                the end of the process alone loses nothing. See
                https://www.sqlite.org/pragma.html#pragma_synchronous.
            patience: for how long, in seconds, a run tries again to write while the file is locked
                by another process. A single attempt waits for the lock up to 5 seconds of them.
        """
        self._path: Final = Path(path).absolute()
        self._patience: Final = patience
        self._file: Final = File(self._path, synchronous=synchronous, patience=patience)
        # Nobody has to close it: on Python 3.13 a connection that was forgotten is a warning.
        self._finalizer: Final = weakref.finalize(self, self._file.close)

    @property
    def path(self) -> Path:
        """The file, as an absolute path."""
        return self._path

    @property
    def patience(self) -> float:
        """How long, in seconds, a run tries again to write; see `Journal.patience`."""
        return self._patience

    async def read(self, key: str, start: int = 0) -> Sequence[JournalRow]:
        """Give the rows of a run in order, from this number on; see `Journal.read`.

        Raises:
            JournalUnavailableError: if the file is locked.
            JournalError: if the file can't be opened or read, isn't a journal, was made by a newer
                version, or if a row of the run was changed by hand or is missing; if the key is
                empty or has a NUL in it; if the journal was closed.
        """
        return await in_thread(self, 1, self._file.read, key, start)

    async def append(self, key: str, rows: Sequence[JournalRow]) -> None:
        """Store rows behind those of the key: all of them, or none; see `Journal.append`.

        Raises:
            JournalConflictError: if there is a row with one of these numbers already, or none with
                the number before the first.
            JournalUnavailableError: if another process keeps the file locked.
            JournalError: as `read`; if the disk is full, or the file read-only.
        """
        await in_thread(self, 1, self._file.append, key, tuple(rows))

    async def runs(self) -> Sequence[StoredRun]:
        """Give every key with where its run stands; see `Journal.runs`.

        Raises:
            JournalUnavailableError: if the file is locked.
            JournalError: as `read`.
        """
        return await in_thread(self, 1, self._file.runs)

    async def forget(self, key: str) -> int:
        """Delete the rows of a run, and their text from the files; see `Journal.forget`.

        For that the whole file is written anew (https://www.sqlite.org/lang_vacuum.html), which
        takes a second or so for every few hundred megabytes. Copies that the disk or the file
        system makes, and backups, are out of reach.

        Raises:
            JournalUnavailableError: if the file is locked, or another process reads it. The rows
                may be deleted then, while their text is still in the files: forget them again.
            JournalError: as `append`.
        """
        return await in_thread(self, 1, self._file.forget, key)

    def close(self) -> None:
        """Close the file, once what is under way is done; the journal can't be used after it.

        Several times do no harm. Blocks for as long as another thread works with the file.
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
