"""A run's part of a journal: what it holds is read, and what happens is written, as it happens."""

from __future__ import annotations

import math
import sys
import uuid
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar, cast, final

import anyio

from . import _events as e
from ._codec import CodecError, UnsupportedTypeError
from ._continuing import renew
from ._errors import (
    FlowError,
    JournalConflictError,
    JournalError,
    JournalUnavailableError,
)
from ._journal import JournalRow
from ._resuming import Resumer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ._journal import Journal
    from ._machine import Machine
    from ._rows import Rows

T = TypeVar("T")

_ADVICE: Final = (
    ". What the run did since its last row is only in memory (run.results); prepare it again with "
    "its key to go on from what is stored"
)
# Between two tries to reach a journal, in seconds: at first, and at most.
_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 1.0
# How many tasks may be cancelled while they write the same rows.
_CHILDREN: Final = 5

_Pending: TypeAlias = "tuple[datetime, str]"


@final
class Recording:
    """What is kept of one run, by one `drive()`."""

    __slots__ = (
        *("_fault", "_flow", "_fresh", "_journal", "_keep", "_key", "_over", "_pending", "_rows"),
        *("_sequence", "_writer", "_written", "opened", "place", "run"),
    )

    def __init__(self, journal: Journal, key: str, flow: str, rows: Rows, *, keep: bool) -> None:
        """Record under this key; nothing is read or written yet.

        Args:
            journal: where.
            key: the run's key.
            flow: the flow's name, for errors.
            rows: writes and reads the flow's rows.
            keep: keep what still fits when the flow has changed since.
        """
        self._journal: Final = journal
        self._key: Final = key
        self._keep: Final = keep
        # What identifies the run, whoever drives it; known when it was opened.
        self.run = ""
        # What opened it; None if it is complete.
        self.opened: e.Opened | None = None
        self._flow: Final = flow
        self.place: Final = f"the run of flow {flow!r} with key {key!r}"
        self._rows: Final = rows
        # Tells this drive()'s rows from those of every other.
        self._writer: Final = uuid.uuid4().hex
        self._sequence = 0
        self._pending: Final[list[_Pending]] = []
        # Whether the next Opened row holds all that is known of the flow.
        self._fresh = True
        # A write has failed: nothing is written any more, so that no row is missing in between.
        self._over = False
        # Why an event has no row.
        self._fault: BaseException | None = None
        # Whether the write under way has done all.
        self._written = True

    def check(self, step: str, value: object, *, given: bool) -> None:
        """See whether an answer, perhaps one that was given from outside, can be kept.

        Raises:
            FlowError: if it isn't what its step was declared to give.
        """
        try:
            self._rows.check(step, value, given=given)
        except CodecError as exc:
            raise self._refused(step, exc) from exc
        except UnsupportedTypeError as exc:
            place = f"step {step!r} of flow {self._flow!r}"
            message = f"{place} can't be answered as a whole, with a journal: {exc.reasons[0]}"
            raise FlowError(message) from exc

    def note(self, machine: Machine, event: e.Event) -> None:
        """Something happened: its row is written before the next step begins."""
        if self._over:
            return
        fresh = self._fresh and isinstance(event, e.Opened)
        try:
            text = self._rows.write(event, machine.is_sensitive, fresh=fresh)
        except BaseException as exc:
            # Without its row those behind it mean nothing.
            self._over, self._fault = True, exc
            if isinstance(exc, CodecError):
                # The answer was changed after it was checked.
                self._fault = self._refused(str(getattr(event, "step", "")), exc)
                raise self._fault from exc
            raise
        self._fresh = self._fresh and not fresh
        self._pending.append((datetime.now(UTC), text))

    def _refused(self, step: str, fault: CodecError) -> FlowError:
        return FlowError(
            f"the answer given for step {step!r} of flow {self._flow!r} can't be kept in the "
            f"journal, it is not of the step's type: {fault}"
        )

    async def open(
        self, machine: Machine, origin: Callable[[], str], *, return_exceptions: bool
    ) -> Machine:
        """Read what the journal holds of the run; give the machine to go on with.

        Args:
            machine: the new run's, with what was asked of it so far.
            origin: gives what a new run is to keep for those that go on with it.
            return_exceptions: whether failed steps are left alone.

        Raises:
            JournalError: if it can't be read, within the journal's patience, or is damaged.
            FlowChangedError: if the flow has changed.
            GoBackError, RunFinishedError: if what was asked so far is refused.
        """
        place = f"{self.place} can't be read"
        stored = await self._patiently(lambda: self._read(0), place)
        if not all(isinstance(cast("object", row), JournalRow) for row in stored):
            raise JournalError(f"{place}: the journal gave what are no rows")
        # Nothing is awaited from here on, so that no request falls in between.
        if not stored:
            self.run = str(uuid.uuid4())
            self.opened = e.Opened(self._key, self.run, origin=origin())
            machine.open(self.opened)
            return machine
        resumer = Resumer(machine.plan, self._rows, self._key, self.place)
        found = resumer.resume(stored, keep=self._keep, return_exceptions=return_exceptions)
        renew(found.machine, machine.log or ())
        self.run = found.run
        self.opened = found.opened
        self._sequence = len(stored)
        self._fresh = bool(found.before)
        for event in found.before:
            self.note(found.machine, event)
        return found.machine

    async def write(self, machine: Machine) -> None:
        """Write the rows that are pending.

        Cancellation waits until it is known what became of them: outside cancellation because of
        the shield; asyncio's own, which no shield keeps out, because it only reaches this task,
        and a task group waits for its child. If it reaches the child, too (a loop that is closed
        cancels every task), the rows are looked for, and written by another one.

        Raises:
            JournalConflictError: if someone else has written to the key.
            JournalError: if they can't be written, within the journal's patience.
        """
        if self._fault is not None and sys.exception() is not self._fault:
            # It was raised where the event came from, which need not be this task.
            message = f"{self.place} can't be stored any more{_ADVICE}"
            raise JournalError(message) from self._fault
        if self._over or not self._pending:
            return
        state = machine.phase
        active = machine.plan.names[machine.active] if machine.active >= 0 else None
        rows = [
            JournalRow(sequence, self._writer, time, state, active, text)
            for sequence, (time, text) in enumerate(self._pending, self._sequence)
        ]
        self._pending.clear()
        self._written = False
        cancellation: BaseException | None = None
        for tries in range(_CHILDREN):
            try:
                await _undisturbed(partial(self._write, rows, again=tries > 0))
            except anyio.get_cancelled_exc_class() as exc:
                cancellation = exc
            if self._written:
                break
        else:
            self._over = True
            message = f"{self._place_of(rows)}: it was cancelled again and again{_ADVICE}"
            raise JournalError(message) from cancellation
        if cancellation is not None:
            raise cancellation

    def _place_of(self, rows: list[JournalRow]) -> str:
        numbers = sorted({rows[0].sequence, rows[-1].sequence})
        return f"{self.place}, rows {' to '.join(map(str, numbers))} can't be written"

    async def _write(self, rows: list[JournalRow], *, again: bool) -> None:
        async def is_stored() -> bool:
            stored = await self._read(rows[0].sequence)
            return bool(stored) and stored[0].writer == self._writer

        async def attempt() -> None:
            nonlocal again
            # An earlier try may have been stored after all: see, and never write blindly. It may
            # even be stored while this looks the other way.
            before, again = again, True
            if before and await is_stored():
                return
            try:
                await self._journal.append(self._key, rows)
            except JournalConflictError:
                if not (before and await is_stored()):
                    raise

        try:
            await self._patiently(attempt, self._place_of(rows), _ADVICE)
        except Exception:
            # Nothing behind these rows may be written.
            self._over = True
            raise
        self._sequence += len(rows)
        self._written = True

    async def _read(self, start: int) -> tuple[JournalRow, ...]:
        return tuple(await self._journal.read(self._key, start))

    async def _patiently(
        self, attempt: Callable[[], Awaitable[T]], place: str, advice: str = ""
    ) -> T:
        """Try until it works, for as long as the journal says; say where it didn't."""
        pause, deadline = _FIRST_PAUSE, math.inf
        while True:
            try:
                return await attempt()
            except JournalConflictError as exc:
                message = f"{place}: {exc}; another process goes on with this run, or forgot it"
                raise JournalConflictError(message) from exc
            except JournalUnavailableError as exc:
                now = anyio.current_time()
                deadline = min(deadline, now + self._journal.patience)
                if now >= deadline:
                    raise JournalError(f"{place}: {_told(exc)}{advice}") from exc
                wait = min(pause, deadline - now)
            except Exception as exc:
                raise JournalError(f"{place}: {_told(exc)}{advice}") from exc
            await anyio.sleep(wait)
            pause = min(2 * pause, _LONGEST_PAUSE)


def _told(exc: Exception) -> str:
    """Give what an exception says, whatever kind of exception a journal raises."""
    try:
        return str(exc) or type(exc).__name__
    except Exception:  # noqa: BLE001 - then its name has to do
        return type(exc).__name__


async def _undisturbed(operation: Callable[[], Awaitable[None]]) -> None:
    """Let it end before any cancellation gets through; what it raises wins over that."""
    failures: list[BaseException] = []
    cancelled = anyio.get_cancelled_exc_class()

    async def operate() -> None:
        with anyio.CancelScope(shield=True):
            try:
                await operation()
            except cancelled:
                # Natively, as everything is shielded here: the caller sees that it isn't done.
                raise
            except BaseException as exc:  # noqa: BLE001 - raised below, outside of the group
                failures.append(exc)

    try:
        with anyio.CancelScope(shield=True):
            async with anyio.create_task_group() as tg:
                tg.start_soon(operate)
    finally:
        if failures:
            raise failures[0]
