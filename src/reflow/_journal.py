"""Where a run's events are kept: the protocol of a journal, and one in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, Self, final

import attrs

from ._errors import JournalConflictError
from ._events import Frozen

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from types import TracebackType

    from ._states import RunState


@final
@attrs.frozen(eq=False, repr=False, slots=False)
class JournalRow(Frozen):
    """One row of a run: an event, as text, and what may be known of it without reading that."""

    sequence: int
    """The number of the row among those of its key, from 0, without gaps."""
    writer: str
    """Tells the rows of one `drive()` from those of every other, in this process or another."""
    time: datetime
    """When the event was recorded, with its zone (UTC)."""
    state: RunState
    """Where the run stood when the row was written."""
    active: str | None
    """The step that was being visited then."""
    event: str
    """The event: a JSON object in ASCII. Answers of sensitive steps are not in it."""


@final
@attrs.frozen(eq=False, repr=False, slots=False)
class StoredRun(Frozen):
    """What a journal's `runs()` says of a key."""

    key: str
    state: RunState
    """Where the run stood when its last row was written: a process that died leaves RUNNING."""
    active: str | None
    """The step that was being visited then, if any."""
    time: datetime
    """When the last row was recorded, with its zone (UTC)."""
    rows: int
    """How many rows there are."""


class Journal(Protocol):
    """Keeps the events of runs, append-only, by the run's key and a sequence number.

    Implement it to keep them elsewhere; `reflow.testing.check_journal` tests an implementation.
    All methods work on every event loop that anyio knows, and may be called at once from several
    tasks, event loops and processes.
    """

    @property
    def patience(self) -> float:
        """How long, in seconds, a run tries again to write while the journal can't be reached."""
        ...

    async def read(self, key: str, start: int = 0) -> Sequence[JournalRow]:
        """Give the rows of a run in order, from this sequence number on; none if there are none.

        Raises:
            JournalUnavailableError: if the journal can't be reached for now.
            JournalError: if it can't be read, or holds what isn't a journal's row.
        """
        ...

    async def append(self, key: str, rows: Sequence[JournalRow]) -> None:
        """Store rows behind those of the key: all of them, durably, or none.

        Args:
            key: the run's key.
            rows: one or more, with consecutive sequence numbers.

        Raises:
            JournalConflictError: if there is a row with one of these numbers already, or none
                with the number before the first; nothing was stored.
            JournalUnavailableError: if the journal can't be reached for now; whether the rows
                were stored may be unknown.
            JournalError: if they can't be stored; nothing was.
        """
        ...

    async def runs(self) -> Sequence[StoredRun]:
        """Give every key with where its run stands, the one written to last first.

        Raises:
            JournalError: as `read`.
        """
        ...

    async def forget(self, key: str) -> int:
        """Delete the rows of a run, for example because the person it was with asks for it.

        A process that still drives the run gets a JournalConflictError at its next write.

        Returns:
            How many rows were deleted; 0 if there were none.

        Raises:
            JournalError: as `append`.
        """
        ...


@final
class MemoryJournal:
    """A journal in this process's memory, for tests: it dies with the process."""

    def __init__(self) -> None:
        """Begin without runs."""
        # Nothing can be in the way. Not of the class: pyright would say it isn't the protocol's.
        self.patience: Final = 0.0
        self._runs: Final[dict[str, list[JournalRow]]] = {}

    async def read(self, key: str, start: int = 0) -> Sequence[JournalRow]:
        """Give the rows of a run in order; see `Journal.read`."""
        await _checkpoint()
        return tuple(self._runs.get(key, ())[start:])

    async def append(self, key: str, rows: Sequence[JournalRow]) -> None:
        """Store rows behind those of the key; see `Journal.append`.

        Raises:
            JournalConflictError: if they don't follow the rows that are there.
        """
        await _checkpoint()
        stored = len(self._runs.get(key, ()))
        if [row.sequence for row in rows] != [*range(stored, stored + len(rows))]:
            message = f"key {key!r} has {stored} rows: row {rows[0].sequence} can't follow"
            raise JournalConflictError(message)
        self._runs.setdefault(key, []).extend(rows)

    async def runs(self) -> Sequence[StoredRun]:
        """Give every key with where its run stands; see `Journal.runs`."""
        await _checkpoint()
        stored = [
            StoredRun(key, rows[-1].state, rows[-1].active, rows[-1].time, len(rows))
            for key, rows in self._runs.items()
        ]
        return sorted(stored, key=lambda run: run.time, reverse=True)

    async def forget(self, key: str) -> int:
        """Delete the rows of a run; see `Journal.forget`."""
        await _checkpoint()
        return len(self._runs.pop(key, ()))

    def close(self) -> None:
        """Do nothing: what is in memory needn't be closed, and stays readable."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


async def _checkpoint() -> None:
    # As everywhere: not loaded with `import reflow`.
    import anyio.lowlevel as lowlevel  # noqa: PLC0415

    await lowlevel.checkpoint()
