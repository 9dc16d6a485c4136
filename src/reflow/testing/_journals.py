"""What helps to test code that extends reflow: the rules that every journal keeps, as a test."""

from __future__ import annotations

import json
import uuid
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, final

import anyio
from anyio.lowlevel import checkpoint

from reflow import JournalConflictError, JournalRow, RunState, StoredRun

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from reflow import Journal

# Of several moments, so that it matters which one a journal keeps.
BEGIN: Final = datetime(2024, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC)
# What a careless journal would shorten, change, mix up or choke on.
KEYS: Final = (
    "plain",
    "PLAIN",
    "plain ",
    "%",
    "_",
    "'\"; --",
    "é",
    "e\u0301",
    "日本語\n",
    "k" * 900,
)
# More than a page of a database, a packet of a network, or a buffer.
LONG: Final = 200_000
RACERS: Final = 20
HANDLES: Final = 4


async def check_journal(make_journal: Callable[[], Journal]) -> None:
    """Test whether a journal keeps what the `Journal` protocol promises.

    For the test of a journal of your own; run it on every event loop that you support::

        @pytest.mark.anyio
        async def test_my_journal() -> None:
            await check_journal(lambda: MyJournal("test-database"))

    It uses keys that nobody else has, and forgets them in the end, so the storage may hold other
    runs, and even be in use. It takes a second or so, and has no timeouts.

    Args:
        make_journal: gives a handle to the same storage each time, as another process would have
            one: for a database, another connection to it. It is called four times, and what it
            gives isn't closed: keep what has to be.

    Raises:
        AssertionError: if a rule is violated, with the rule and what was found. Whatever else the
            journal raises where it shouldn't passes through.
    """
    check = _Check([make_journal() for _ in range(HANDLES)])
    try:
        for rule in (
            check.patience,
            check.unknown_key,
            check.round_trip,
            check.start,
            check.conflicts,
            check.batches,
            check.handles,
            check.keys,
            check.forgetting,
            check.runs,
            check.cancellation,
            check.races,
            check.races_of_batches,
        ):
            await rule()
    finally:
        with anyio.CancelScope(shield=True):
            await check.clean()


def _holds(rule: str, *, found: object, expected: object) -> None:
    """See that a rule holds."""
    if found != expected:
        raise AssertionError(f"{rule}: expected {_short(expected)}, found {_short(found)}")


def _short(thing: object) -> str:
    text = repr(thing)
    return text if len(text) <= 1000 else f"{text[:500]} ... {text[-500:]}"


def _rows(start: int, end: int, writer: str = "writer") -> list[JournalRow]:
    """Give rows with these numbers, no two of them alike."""
    states = list(RunState)
    return [
        JournalRow(
            sequence=number,
            writer=f"{writer}-{number}",
            time=BEGIN + timedelta(microseconds=number),
            state=states[number % len(states)],
            active=None if number % 2 else f"step {number}",
            event=json.dumps({"event": "StepEntered", "number": number}),
        )
        for number in range(start, end)
    ]


@final
class _Check:
    """The rules, each with keys of its own."""

    def __init__(self, handles: Sequence[Journal]) -> None:
        self._handles = handles
        self._journal = handles[0]
        self._prefix = f"check_journal {uuid.uuid4()} "
        self._keys: list[str] = []

    def _key(self, name: str) -> str:
        self._keys.append(self._prefix + name)
        return self._keys[-1]

    async def clean(self) -> None:
        for key in self._keys:
            # What was to be said of the journal is said already, or on its way.
            with suppress(Exception):
                await self._journal.forget(key)

    async def _stored(self, key: str, rule: str, expected: Sequence[JournalRow]) -> None:
        """See that exactly these rows are there, whichever handle looks."""
        for journal in self._handles:
            found = [*await journal.read(key)]
            _holds(rule, found=found, expected=[*expected])

    async def _append(self, key: str, start: int, end: int) -> type[Exception] | None:
        """Append rows; give the class of what that raises."""
        return await _raised(self._journal.append(key, _rows(start, end)))

    async def _conflict(self, journal: Journal, key: str, rule: str, row: int, end: int) -> None:
        """See that rows are refused, and that nothing of them is stored."""
        before = [*await journal.read(key)]
        raised = await _raised(journal.append(key, _rows(row, end, "late")))
        _holds(rule, found=raised, expected=JournalConflictError)
        await self._stored(key, f"{rule}, and stores nothing", before)

    async def patience(self) -> None:
        rule = "patience is a number of seconds, not a negative one"
        _holds(rule, found=self._journal.patience >= 0, expected=True)

    async def unknown_key(self) -> None:
        key = self._key("unknown")
        await self._stored(key, "a key that nobody has written to has no rows", [])
        forgotten = await self._journal.forget(key)
        _holds("forgetting an unknown key deletes no rows", found=forgotten, expected=0)

    async def round_trip(self) -> None:
        key = self._key("round trip")
        strange = 'Zoë 日本 🎈 \u202e "quoted" \\ %s ? :x $1'
        rows = [
            *_rows(0, 12),
            JournalRow(12, strange, BEGIN, RunState.RUNNING, strange, '{"a": "\\u0000\\ud83d"}'),
            JournalRow(13, "", BEGIN.replace(microsecond=0), RunState.RUNNING, "", "{}"),
            JournalRow(14, "w", BEGIN, RunState.STOPPED, None, json.dumps({"a": "x" * LONG})),
        ]
        for row in rows:
            await self._journal.append(key, [row])
        found = await self._journal.read(key)
        for row, other in zip(rows, found, strict=False):
            _holds("a row is read as it was written", found=other, expected=row)
            zone = other.time.utcoffset()
            _holds("a time is read in UTC", found=zone, expected=timedelta(0))
        await self._stored(key, "rows are read as they were written, in order", rows)

    async def start(self) -> None:
        key, rows = self._key("start"), _rows(0, 5)
        await self._journal.append(key, rows)
        for start in range(7):
            found = [*await self._journal.read(key, start)]
            _holds("read gives the rows from start on", found=found, expected=rows[start:])

    async def conflicts(self) -> None:
        key = self._key("conflicts")
        late = "a run begins with row 0: another one, on an unknown key, is a conflict"
        await self._conflict(self._journal, key, late, 1, 2)
        works = "after a conflict the journal works on"
        _holds(works, found=await self._append(key, 0, 3), expected=None)
        existing = "appending a number that is there already is a conflict"
        for row in range(3):
            await self._conflict(self._journal, key, existing, row, row + 1)
        gap = "appending behind a gap is a conflict"
        await self._conflict(self._journal, key, gap, 4, 5)
        _holds(works, found=await self._append(key, 3, 4), expected=None)
        await self._stored(key, works, _rows(0, 4))

    async def batches(self) -> None:
        key = self._key("batches")
        await self._journal.append(key, _rows(0, 100))
        await self._stored(key, "all rows of a batch are stored", _rows(0, 100))
        rule = "a batch of which some numbers are there already is a conflict"
        await self._conflict(self._journal, key, rule, 98, 103)
        gap = "a batch behind a gap is a conflict"
        await self._conflict(self._journal, key, gap, 101, 103)

    async def handles(self) -> None:
        key = self._key("handles")
        for number in range(3 * HANDLES):
            journal = self._handles[number % HANDLES]
            await journal.append(key, _rows(number, number + 1))
        await self._stored(key, "every handle sees what the others wrote", _rows(0, 3 * HANDLES))
        rule = "appending a number that another handle has written is a conflict"
        for journal in self._handles:
            await self._conflict(journal, key, rule, 3 * HANDLES - 1, 3 * HANDLES)

    async def keys(self) -> None:
        written = {self._key(name): _rows(0, 1, name[:9]) for name in KEYS}
        for key, rows in written.items():
            # Refused, if the journal takes it for one of those before.
            raised = await _raised(self._journal.append(key, rows))
            _holds(f"key {key!r} is a key of its own", found=raised, expected=None)
        for key, rows in written.items():
            await self._stored(key, "each key has its own rows", rows)
        gone, *others = written
        await self._journal.forget(gone)
        for key in others:
            await self._stored(key, "forgetting a key leaves the others", written[key])

    async def forgetting(self) -> None:
        key = self._key("forgetting")
        await self._journal.append(key, _rows(0, 3))
        forgotten = await self._handles[1].forget(key)
        _holds("forget says how many rows it deleted", found=forgotten, expected=3)
        await self._stored(key, "a forgotten run has no rows", [])
        rule = "appending to a run that was forgotten meanwhile is a conflict"
        await self._conflict(self._journal, key, rule, 3, 4)
        rule = "a forgotten key can be used for a new run"
        _holds(rule, found=await self._append(key, 0, 1), expected=None)
        await self._stored(key, rule, _rows(0, 1))

    async def runs(self) -> None:
        expected: list[StoredRun] = []
        # Not in the order of their keys, and with as many rows as there are states.
        for number, name in enumerate(["b", "c", "a", "d", "f", "e"], 1):
            key, rows = self._key(f"runs {name}"), _rows(0, number)
            last = rows[-1]
            await self._journal.append(key, rows)
            expected.insert(0, StoredRun(key, last.state, last.active, last.time, number))
        # The one with the fewest rows is written to once more.
        (oldest,) = expected[-1:]
        moved = JournalRow(1, "w", BEGIN + timedelta(hours=1), RunState.CANCELLED, "x", "{}")
        await self._journal.append(oldest.key, [moved])
        expected = [StoredRun(oldest.key, moved.state, "x", moved.time, 2), *expected[:-1]]
        gone = expected.pop()
        await self._journal.forget(gone.key)
        for journal in self._handles:
            found = [run for run in await journal.runs() if run.key.startswith(self._prefix)]
            mine = [run for run in found if run.key[len(self._prefix) :].startswith("runs ")]
            _holds(
                "runs() gives every key once, without those that are forgotten",
                found=sorted(run.key for run in mine),
                expected=sorted(run.key for run in expected),
            )
            by_key = {run.key: run for run in mine}
            for run in expected:
                _holds("runs() says what the last row says", found=by_key[run.key], expected=run)
            rule = "runs() gives the run that was written to last first"
            _holds(rule, found=mine, expected=expected)

    async def cancellation(self) -> None:
        key, end, moments = self._key("cancellation"), 0, 12
        late = "an append that is cancelled stores nothing after it has ended"

        async def append(start: int, raised: list[type[Exception] | None]) -> None:
            raised.append(await self._append(key, start, start + 3))

        for moment in range(moments):
            raised: list[type[Exception] | None] = []
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(append, end, raised)
                for _ in range(moment):
                    await checkpoint()
                tasks.cancel_scope.cancel()
            # Nothing if it was cancelled.
            _holds(late, found=raised or [None], expected=[None])
            found = [*await self._journal.read(key)]
            rule = "an append that is cancelled stores all of its rows, or none"
            _holds(rule, found=found, expected=_rows(0, end + 3 * (len(found) > end)))
            end = len(found)
        _holds(late, found=await self._append(key, end, end + 1), expected=None)
        await self._stored(key, late, _rows(0, end + 1))

    async def races(self) -> None:
        key = self._key("races")
        await self._journal.append(key, _rows(0, 1))
        winner = await self._race(key, 1, 2)
        rule = "what the winner of a race wrote is stored"
        await self._stored(key, rule, [*_rows(0, 1), *_rows(1, 2, winner)])

    async def races_of_batches(self) -> None:
        key = self._key("races of batches")
        winner = await self._race(key, 0, 3)
        rule = "of several batches for the same numbers exactly one is stored, as a whole"
        await self._stored(key, rule, _rows(0, 3, winner))

    async def _race(self, key: str, start: int, end: int) -> str:
        """Append the same numbers through all handles at once; give the writer that won."""
        raised: dict[str, type[Exception] | None] = {}

        async def append(number: int) -> None:
            writer, journal = f"racer {number}", self._handles[number % HANDLES]
            raised[writer] = await _raised(journal.append(key, _rows(start, end, writer)))

        async with anyio.create_task_group() as tasks:
            for number in range(RACERS):
                tasks.start_soon(append, number)
        winners = [writer for writer, error in raised.items() if error is None]
        rule = "of several who append the same numbers at once exactly one succeeds"
        _holds(rule, found=len(winners), expected=1)
        losers = {error for error in raised.values() if error is not None}
        rule = "whoever loses a race gets a conflict"
        _holds(rule, found=losers, expected={JournalConflictError})
        return winners[0]


async def _raised(call: Awaitable[None]) -> type[Exception] | None:
    """Give the class of what a call raises, None if it returns."""
    try:
        await call
    except JournalConflictError:
        return JournalConflictError
    except Exception as error:  # noqa: BLE001 - whatever it is, the rule says which it should be
        return type(error)
    return None
