"""A journal that is correct, and some of which only `append` is broken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio
import attrs
from anyio.lowlevel import checkpoint

from reflow import JournalConflictError, JournalRow, StoredRun
from reflow._compat import override

if TYPE_CHECKING:
    from collections.abc import Sequence

Shared = dict[str, list[JournalRow]]


class Correct:
    """A journal in what all its handles share: the base of those that break a rule."""

    def __init__(self, shared: Shared) -> None:
        """Take what all handles share."""
        self.shared = shared

    @property
    def patience(self) -> float:
        """None is needed."""
        return 0.0

    async def read(self, key: str, start: int = 0) -> Sequence[JournalRow]:
        """Give rows."""
        await checkpoint()
        return self.shared.get(key, [])[start:]

    async def append(self, key: str, rows: Sequence[JournalRow]) -> None:
        """Store rows, if they follow."""
        await checkpoint()
        if rows[0].sequence != len(self.shared.get(key, [])):
            raise JournalConflictError(key)
        self.shared.setdefault(key, []).extend(rows)

    async def runs(self) -> Sequence[StoredRun]:
        """Give the runs."""
        await checkpoint()
        stored = [
            StoredRun(key, rows[-1].state, rows[-1].active, rows[-1].time, len(rows))
            for key, rows in self.shared.items()
        ]
        return sorted(stored, key=lambda run: run.time, reverse=True)

    async def forget(self, key: str) -> int:
        """Delete rows."""
        await checkpoint()
        return len(self.shared.pop(key, []))


class Overwriting(Correct):
    """Replaces rows that are there."""

    @override
    async def append(self, key: str, rows: Sequence[JournalRow]) -> None:
        """Cut off, then append."""
        if key in self.shared:
            del self.shared[key][rows[0].sequence :]
        await super().append(key, rows)


class Skipping(Correct):
    """Ignores rows that are there, and stores the others."""

    @override
    async def append(self, key: str, rows: Sequence[JournalRow]) -> None:
        """Append those that are new."""
        stored = len(self.shared.get(key, []))
        new = [row for row in rows if row.sequence >= stored]
        if not new:
            raise JournalConflictError("nothing new")
        await super().append(key, new)


class StoringInPart(Correct):
    """Stores the rows that are new, and then says that others were not."""

    @override
    async def append(self, key: str, rows: Sequence[JournalRow]) -> None:
        """Append one after the other, whatever becomes of each."""
        refused = False
        for row in rows:
            try:
                await super().append(key, [row])
            except JournalConflictError:
                refused = True
        if refused:
            raise JournalConflictError("in part")


class Renumbering(Correct):
    """Stores what comes behind a gap."""

    @override
    async def append(self, key: str, rows: Sequence[JournalRow]) -> None:
        """Append without a look at the gap."""
        stored = len(self.shared.get(key, []))
        if rows[0].sequence > stored:
            first = attrs.evolve(rows[0], sequence=stored)
            await super().append(key, [first])
        else:
            await super().append(key, rows)


class WrongError(Correct):
    """Says that there is a conflict in its own words."""

    @override
    async def append(self, key: str, rows: Sequence[JournalRow]) -> None:
        """Append, or complain."""
        try:
            await super().append(key, rows)
        except JournalConflictError:
            raise KeyError(key) from None


class Sulking(Correct):
    """Never works again after a conflict."""

    sulking = False

    @override
    async def append(self, key: str, rows: Sequence[JournalRow]) -> None:
        """Append, until something goes wrong."""
        if self.sulking:
            raise JournalConflictError("sulking")
        try:
            await super().append(key, rows)
        except JournalConflictError:
            self.sulking = True
            raise


class Alone(Correct):
    """Has storage of its own behind every handle."""

    def __init__(self, shared: Shared) -> None:
        """Share nothing."""
        super().__init__({})


class Caching(Correct):
    """Counts the rows by itself: what others write goes unnoticed."""

    def __init__(self, shared: Shared) -> None:
        """Begin with an empty cache."""
        super().__init__(shared)
        self.counts: Final[dict[str, int]] = {}

    @override
    async def append(self, key: str, rows: Sequence[JournalRow]) -> None:
        """Refuse what doesn't follow the last row of this handle."""
        stored = self.shared.setdefault(key, [])
        if not self.counts.get(key, rows[0].sequence) <= rows[0].sequence <= len(stored):
            raise JournalConflictError("by the cache")
        stored[rows[0].sequence :] = rows
        self.counts[key] = rows[-1].sequence + 1

    @override
    async def forget(self, key: str) -> int:
        """Forget, the count too."""
        self.counts.pop(key, None)
        return await super().forget(key)


class LookingFirst(Correct):
    """Looks whether a number is free, and takes it later."""

    @override
    async def append(self, key: str, rows: Sequence[JournalRow]) -> None:
        """Look, wait, write."""
        if rows[0].sequence != len(self.shared.get(key, [])):
            raise JournalConflictError("taken")
        await checkpoint()
        self.shared.setdefault(key, [])[rows[0].sequence :] = rows


class LosingBadly(Correct):
    """Tells only those who come later of a conflict, not those who come at once."""

    busy = False

    @override
    async def append(self, key: str, rows: Sequence[JournalRow]) -> None:
        """Refuse to do two things at once."""
        if LosingBadly.busy:
            raise RuntimeError("busy")
        LosingBadly.busy = True
        try:
            await super().append(key, rows)
        finally:
            LosingBadly.busy = False


class RowByRow(Correct):
    """Stores a batch in pieces, which can be cancelled in between."""

    @override
    async def append(self, key: str, rows: Sequence[JournalRow]) -> None:
        """Append each row by itself, if they may be appended."""
        if rows[0].sequence != len(self.shared.get(key, [])):
            raise JournalConflictError("taken")
        for row in rows:
            await super().append(key, [row])


class MixingBatches(Correct):
    """Leaves something of a batch that came at the same time as another, and was refused."""

    busy = 0

    @override
    async def append(self, key: str, rows: Sequence[JournalRow]) -> None:
        """Append; what is in the way is replaced in part."""
        crowded = MixingBatches.busy
        MixingBatches.busy += 1
        try:
            await super().append(key, rows)
        except JournalConflictError:
            if crowded and len(rows) > 1:
                self.shared[key][-1] = rows[-1]
            raise
        finally:
            MixingBatches.busy -= 1


class Delaying(Correct):
    """Stores what was cancelled all the same, when nobody expects it anymore."""

    late: tuple[str, Sequence[JournalRow]] | None = None

    @override
    async def append(self, key: str, rows: Sequence[JournalRow]) -> None:
        """Append what is late, then this."""
        if (late := self.late) is not None:
            self.late = None
            with anyio.CancelScope(shield=True):
                await super().append(*late)
        try:
            await super().append(key, rows)
        except anyio.get_cancelled_exc_class():
            self.late = (key, rows)
            raise
