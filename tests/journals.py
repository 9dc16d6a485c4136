"""What the tests of runs with a journal share: journals that fail, and rows as data."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Final, cast, final

import anyio
import attrs
import pytest
from support import add
from typing_extensions import override

from reflow import Flow, JournalRow, JournalUnavailableError, MemoryJournal, RunState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reflow import Run, StoredRun

KEY: Final = "call-42"


def events(rows: Sequence[JournalRow]) -> list[dict[str, object]]:
    """Give what stands in the rows."""
    return [cast("dict[str, object]", json.loads(row.event)) for row in rows]


async def stored(journal: MemoryJournal, key: str = KEY) -> list[dict[str, object]]:
    """Give what a journal holds of a run."""
    return events(await journal.read(key))


async def kinds(journal: MemoryJournal, key: str = KEY) -> list[str]:
    """Give the names of the events that a journal holds of a run."""
    return [str(event["event"]) for event in await stored(journal, key)]


async def journal_of(rows: Sequence[JournalRow], key: str = KEY) -> MemoryJournal:
    """Make a journal that holds these rows, as they are."""
    journal = MemoryJournal()
    if rows:
        await journal.append(key, rows)
    return journal


def edited(row: JournalRow, **changes: object) -> JournalRow:
    """Change what stands in a row, as somebody with an editor might."""
    event = cast("dict[str, object]", json.loads(row.event)) | changes
    return attrs.evolve(row, event=json.dumps({k: v for k, v in event.items() if v is not None}))


class Passing:
    """A journal that passes everything on to one in memory: a base for those that don't."""

    def __init__(self, journal: MemoryJournal, *, patience: float = 0) -> None:
        """Pass on to this journal."""
        self.journal: Final = journal
        self.patience: Final = patience

    async def read(self, key: str, start: int = 0) -> Sequence[JournalRow]:
        """Pass it on."""
        return await self.journal.read(key, start)

    async def append(self, key: str, rows: Sequence[JournalRow]) -> None:
        """Pass it on."""
        await self.journal.append(key, rows)

    async def runs(self) -> Sequence[StoredRun]:
        """Pass it on."""
        return await self.journal.runs()

    async def forget(self, key: str) -> int:
        """Pass it on."""
        return await self.journal.forget(key)


@final
class Unreliable(Passing):
    """A journal in memory that isn't always there."""

    def __init__(self, journal: MemoryJournal, *, patience: float = 10) -> None:
        """Begin with the journal being there."""
        super().__init__(journal, patience=patience)
        # At which append, from 1, and for how many calls it isn't there.
        self.falls_at = 0
        self.down = 0
        # Whether an append that fails leaves its rows behind all the same.
        self.stores = False
        self.calls: list[str] = []
        self._times: list[float] = []

    @property
    def waits(self) -> list[float]:
        """How long nobody called, in seconds, where that was any time at all."""
        return [after - before for before, after in pairwise(self._times) if after > before]

    def _reached(self, name: str) -> bool:
        self.calls.append(name)
        self._times.append(anyio.current_time())
        self.down -= 1
        return self.down < 0

    @override
    async def read(self, key: str, start: int = 0) -> Sequence[JournalRow]:
        """Read, or fail."""
        if not self._reached(f"read {start}"):
            message = "no connection"
            raise JournalUnavailableError(message)
        return await super().read(key, start)

    @override
    async def append(self, key: str, rows: Sequence[JournalRow]) -> None:
        """Append, or fail, and perhaps append all the same."""
        self.falls_at -= 1
        if self.falls_at == 0:
            self.down = 3
        reached = self._reached(f"append {rows[0].sequence}")
        if reached or self.stores:
            await super().append(key, rows)
        if not reached:
            message = "connection lost"
            raise JournalUnavailableError(message)


@final
class Slow(Passing):
    """A journal in memory one of whose appends waits until it is let go."""

    def __init__(self, journal: MemoryJournal, *, at: int) -> None:
        """Hold the append at this call, counted from 0."""
        super().__init__(journal)
        self.appends = 0
        self.at: Final = at
        self.begun = anyio.Event()
        self.go_on = anyio.Event()
        self.failure: Exception | None = None

    @override
    async def append(self, key: str, rows: Sequence[JournalRow]) -> None:
        """Append, late."""
        self.appends += 1
        if self.appends == self.at + 1:
            self.begun.set()
            await self.go_on.wait()
            if self.failure is not None:
                raise self.failure
        await super().append(key, rows)


async def state_of_run(journal: MemoryJournal) -> RunState:
    """Say where the journal's only run stands."""
    (run,) = await journal.runs()
    return run.state


class KilledError(BaseException):
    """Ends a run as if its process had been killed: what comes after it isn't written."""


async def killed(run: Run, journal: MemoryJournal) -> MemoryJournal:
    """Drive a run until its process dies; give what it has left in the journal."""
    with pytest.raises(KilledError):
        await run.drive()
    rows = await journal.read(KEY)
    # Of the end of the run nothing is known.
    left = next(i for i, row in enumerate(rows) if '"RunFailed"' in row.event)
    return await journal_of(rows[:left])


def two_steps() -> Flow[None]:
    """Make a flow of two steps."""
    flow = Flow("f")
    a = add(flow, "a")
    add(flow, "b", depends_on=(a,))
    return flow
