"""Journals that break one rule each, for the test of the conformance test."""

from __future__ import annotations

import json
import unicodedata
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

import attrs
from broken_appends import (
    Alone,
    Caching,
    Correct,
    Delaying,
    LookingFirst,
    LosingBadly,
    MixingBatches,
    Overwriting,
    Renumbering,
    RowByRow,
    Skipping,
    StoringInPart,
    Sulking,
    WrongError,
)

from reflow import JournalConflictError, JournalRow, RunState, StoredRun
from reflow._compat import override

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from broken_appends import Shared

# Keys that were forgotten, for the journals that remember them: no two tests share one.
_forgotten: Final[set[str]] = set()


class Impatient(Correct):
    """Has less than no patience."""

    @property
    @override
    def patience(self) -> float:
        """A number that is none of seconds."""
        return -1.0


class Inventive(Correct):
    """Gives a row of an unknown key."""

    @override
    async def read(self, key: str, start: int = 0) -> Sequence[JournalRow]:
        """Read, or invent."""
        rows = await super().read(key, start)
        row = JournalRow(0, "w", datetime.now(UTC), RunState.PREPARED, None, "{}")
        return rows or ([] if start else [row])


class Lossy(Correct):
    """Changes rows when it stores them."""

    def __init__(self, shared: Shared, change: Callable[[JournalRow], JournalRow]) -> None:
        """Take what is stored instead of a row."""
        super().__init__(shared)
        self.change: Final = change

    @override
    async def append(self, key: str, rows: Sequence[JournalRow]) -> None:
        """Append others."""
        await super().append(key, [self.change(row) for row in rows])


class FromTheStart(Correct):
    """Gives all rows, whichever were asked for."""

    @override
    async def read(self, key: str, start: int = 0) -> Sequence[JournalRow]:
        """Read everything."""
        return await super().read(key)


class Backwards(Correct):
    """Gives the newest row first."""

    @override
    async def read(self, key: str, start: int = 0) -> Sequence[JournalRow]:
        """Read in the wrong order."""
        return [*reversed(await super().read(key, start))]


class Listing(Correct):
    """Says of runs what isn't so."""

    def __init__(self, shared: Shared, change: Callable[[StoredRun], StoredRun]) -> None:
        """Take what is said instead."""
        super().__init__(shared)
        self.change: Final = change

    @override
    async def runs(self) -> Sequence[StoredRun]:
        """Give the runs, changed."""
        return [self.change(run) for run in await super().runs()]


class Unsorted(Correct):
    """Gives runs by their keys."""

    @override
    async def runs(self) -> Sequence[StoredRun]:
        """Sort them in another way."""
        return sorted(await super().runs(), key=lambda run: run.key)


class Incomplete(Correct):
    """Gives only the first page of the runs."""

    @override
    async def runs(self) -> Sequence[StoredRun]:
        """Cut them off."""
        return (await super().runs())[:3]


class Uncounted(Correct):
    """Doesn't count what it deletes."""

    @override
    async def forget(self, key: str) -> int:
        """Delete, say nothing."""
        await super().forget(key)
        return 0


class Imaginative(Correct):
    """Claims to have deleted something."""

    @override
    async def forget(self, key: str) -> int:
        """Delete, say more."""
        return max(await super().forget(key), 1)


class Remembering(Correct):
    """Forgets nothing."""

    @override
    async def forget(self, key: str) -> int:
        """Only count."""
        return len(self.shared.get(key, []))


class Forgiving(Correct):
    """Lets a run that was forgotten go on."""

    @override
    async def append(self, key: str, rows: Sequence[JournalRow]) -> None:
        """Append what begins in the middle, if it had been there."""
        if key in _forgotten and rows[0].sequence:
            await super().append(key, [attrs.evolve(rows[0], sequence=0)])
        else:
            await super().append(key, rows)

    @override
    async def forget(self, key: str) -> int:
        """Forget, but not that there was something."""
        _forgotten.add(key)
        return await super().forget(key)


class Once(Correct):
    """Never takes a key again that was forgotten."""

    @override
    async def append(self, key: str, rows: Sequence[JournalRow]) -> None:
        """Append, except there."""
        if key in _forgotten:
            raise JournalConflictError("it was forgotten")
        await super().append(key, rows)

    @override
    async def forget(self, key: str) -> int:
        """Forget, and keep the key."""
        if deleted := await super().forget(key):
            _forgotten.add(key)
        return deleted


class Folding(Correct):
    """Takes two keys for one."""

    def __init__(self, shared: Shared, folded: Callable[[str], str]) -> None:
        """Take which key is used instead."""
        super().__init__(shared)
        self.folded: Final = folded

    @override
    async def read(self, key: str, start: int = 0) -> Sequence[JournalRow]:
        """Read that one."""
        return await super().read(self.folded(key), start)

    @override
    async def append(self, key: str, rows: Sequence[JournalRow]) -> None:
        """Append to that one."""
        await super().append(self.folded(key), rows)


class Wildcards(Correct):
    """Forgets whatever is LIKE the key."""

    @override
    async def forget(self, key: str) -> int:
        """Take % for anything."""
        if not key.endswith("plain"):
            return await super().forget(key)
        similar = key.removesuffix("plain")
        for run in await self.runs():
            if run.key.startswith(similar) and run.key != key:
                await super().forget(run.key)
        return await super().forget(key)


def lossy(change: Callable[[JournalRow], JournalRow]) -> Callable[[Shared], Correct]:
    """Make a journal that stores something else instead of a row."""
    return partial(Lossy, change=change)


def listing(change: Callable[[StoredRun], StoredRun]) -> Callable[[Shared], Correct]:
    """Make a journal that says something else of a run."""
    return partial(Listing, change=change)


def folding(folded: Callable[[str], str]) -> Callable[[Shared], Correct]:
    """Make a journal that uses another key."""
    return partial(Folding, folded=folded)


# What each breaks, by how the conformance test says it: a regular expression.
BROKEN: Final[dict[str, tuple[Callable[[Shared], Correct], str]]] = {
    "Impatient": (
        Impatient,
        "patience is a number of seconds",
    ),
    "Inventive": (
        Inventive,
        "a key that nobody has written to has no rows",
    ),
    "Imaginative": (
        Imaginative,
        "forgetting an unknown key deletes no rows",
    ),
    "times are rounded": (
        lossy(lambda row: attrs.evolve(row, time=row.time.replace(microsecond=0))),
        "a row is read as it was written",
    ),
    "events are cut": (
        lossy(lambda row: attrs.evolve(row, event=row.event[:65_535])),
        "a row is read as it was written",
    ),
    "states are forgotten": (
        lossy(lambda row: attrs.evolve(row, state=RunState.RUNNING)),
        "a row is read as it was written",
    ),
    "no step is an empty name": (
        lossy(lambda row: attrs.evolve(row, active=row.active or "")),
        "a row is read as it was written",
    ),
    "writers are ASCII": (
        lossy(lambda row: attrs.evolve(row, writer=row.writer.encode("ascii", "replace").decode())),
        "a row is read as it was written",
    ),
    "events are written anew": (
        lossy(lambda row: attrs.evolve(row, event=json.dumps(json.loads(row.event), indent=1))),
        "a row is read as it was written",
    ),
    "times are in another zone": (
        lossy(lambda row: attrs.evolve(row, time=row.time.astimezone(ZoneInfo("Asia/Kolkata")))),
        "a time is read in UTC",
    ),
    "Backwards": (
        Backwards,
        "a row is read as it was written",
    ),
    "Alone": (
        Alone,
        "rows are read as they were written, in order",
    ),
    "FromTheStart": (
        FromTheStart,
        "read gives the rows from start on",
    ),
    "Renumbering": (
        Renumbering,
        "a run begins with row 0",
    ),
    "Overwriting": (
        Overwriting,
        "appending a number that is there already is a conflict",
    ),
    "WrongError": (
        WrongError,
        "a run begins with row 0",
    ),
    "Sulking": (
        Sulking,
        "after a conflict the journal works on",
    ),
    "StoringInPart": (
        StoringInPart,
        "a batch of which some numbers are there already is a conflict, and stores",
    ),
    "Skipping": (
        Skipping,
        "a batch of which some numbers are there already is a conflict",
    ),
    "Caching": (
        Caching,
        "appending a number that another handle has written is a conflict",
    ),
    "keys ignore case": (
        folding(str.casefold),
        "'.* PLAIN' is a key of its own",
    ),
    "keys ignore spaces": (
        folding(str.rstrip),
        "'.*plain ' is a key of its own",
    ),
    "keys are normalized": (
        folding(partial(unicodedata.normalize, "NFC")),
        "is a key of its own",
    ),
    "Wildcards": (
        Wildcards,
        "forgetting a key leaves the others",
    ),
    "Uncounted": (
        Uncounted,
        "forget says how many rows it deleted",
    ),
    "Remembering": (
        Remembering,
        "a forgotten run has no rows",
    ),
    "Forgiving": (
        Forgiving,
        "appending to a run that was forgotten meanwhile is a conflict",
    ),
    "Final_": (
        Once,
        "a forgotten key can be used for a new run",
    ),
    "Incomplete": (
        Incomplete,
        "gives every key once",
    ),
    "runs count from 0": (
        listing(lambda run: attrs.evolve(run, rows=run.rows - 1)),
        "says what the last row says",
    ),
    "every run runs": (
        listing(lambda run: attrs.evolve(run, state=RunState.RUNNING)),
        "says what the last row says",
    ),
    "a run's time is another": (
        listing(lambda run: attrs.evolve(run, time=run.time - timedelta(microseconds=1))),
        "says what the last row says",
    ),
    "no run has an active step": (
        listing(lambda run: attrs.evolve(run, active=None)),
        "says what the last row says",
    ),
    "Unsorted": (
        Unsorted,
        "gives the run that was written to last first",
    ),
    "RowByRow": (
        RowByRow,
        "an append that is cancelled stores all of its rows, or none",
    ),
    "Delaying": (
        Delaying,
        "an append that is cancelled stores nothing after it has ended",
    ),
    "LookingFirst": (
        LookingFirst,
        "of several who append the same numbers at once exactly one succeeds",
    ),
    "LosingBadly": (
        LosingBadly,
        "whoever loses a race gets a conflict",
    ),
    "MixingBatches": (
        MixingBatches,
        "of several batches for the same numbers exactly one is stored, as a whole",
    ),
}
