"""Writing to a journal that isn't always there, or that somebody else writes to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import attrs
import pytest
from anyio.lowlevel import checkpoint
from journals import (
    KEY,
    Passing,
    Unreliable,
    kinds,
    state_of_run,
    stored,
    two_steps,
)
from support import Log, add, answering
from typing_extensions import override

from reflow import (
    Flow,
    FlowError,
    JournalConflictError,
    JournalError,
    JournalUnavailableError,
    MemoryJournal,
    RunState,
    Visit,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reflow import Event, JournalRow

pytestmark = pytest.mark.anyio


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let time pass only where a run waits, on every event loop; give how long it waited."""
    waits: list[float] = []

    async def sleep(delay: float) -> None:
        waits.append(delay)
        await checkpoint()

    monkeypatch.setattr(anyio, "sleep", sleep)
    monkeypatch.setattr(anyio, "current_time", lambda: sum(waits))
    return waits


@pytest.mark.parametrize("stores", [False, True])
@pytest.mark.parametrize("call", [1, 2, 3])
async def test_a_short_outage_is_ridden_out(call: int, *, stores: bool, slept: list[float]) -> None:
    """No row is lost or written twice, whatever became of the write that failed."""
    journal = MemoryJournal()
    unreliable = Unreliable(journal)
    unreliable.stores = stores
    unreliable.falls_at = call
    await two_steps().run(journal=unreliable, key=KEY)
    assert slept == [0.05, 0.1, 0.2]
    assert await kinds(journal) == [
        *("Opened", "RunStarted", "StepEntered"),
        *("StepCompleted", "StepEntered"),
        *("StepCompleted", "RunCompleted"),
    ]


@pytest.mark.parametrize("ours", [True, False])
async def test_a_write_that_is_late(*, ours: bool, slept: list[float]) -> None:
    """The database may store what was cut off after it was asked whether it had."""
    journal = MemoryJournal()

    class Late(Passing):
        """Loses its connection once, and gets to storing the rows when it is asked again."""

        late: Sequence[JournalRow] = ()
        appends = 0

        @override
        async def append(self, key: str, rows: Sequence[JournalRow]) -> None:
            self.appends += 1
            if self.appends == 2:
                self.late = rows if ours else [attrs.evolve(row, writer="other") for row in rows]
                message = "connection lost"
                raise JournalUnavailableError(message)
            if self.late:
                late, self.late = self.late, ()
                await super().append(key, late)
            await super().append(key, rows)

    run = two_steps().prepare(journal=Late(journal, patience=5), key=KEY)
    if ours:
        await run.drive()
        assert (await kinds(journal)).count("StepCompleted") == 2
    else:
        with pytest.raises(JournalConflictError):
            await run.drive()
        assert len(await stored(journal)) == 5


async def test_a_read_is_tried_again_too(slept: list[float]) -> None:
    """The journal need not be there at once when a run begins."""
    unreliable = Unreliable(MemoryJournal())
    unreliable.down = 3
    await two_steps().run(journal=unreliable, key=KEY)
    assert unreliable.calls[:4] == ["read 0"] * 4


async def test_a_long_outage_ends_the_run(slept: list[float]) -> None:
    """Within the journal's patience; what was done is still there, and what was stored."""
    journal, log = MemoryJournal(), Log()
    unreliable = Unreliable(journal, patience=5)

    def lose(event: Event) -> None:
        if "b" in log.entered:
            unreliable.down = 10**6

    flow = two_steps()
    a, b = flow.steps
    run = flow.prepare(journal=unreliable, key=KEY, observers=[log, lose])
    match = "run of flow 'f' with key 'call-42', rows 3 to 4 can't be written: .*run.results"
    with pytest.raises(JournalError, match=match):
        await run.drive()
    # Twice as long each time, up to a second, and not longer than the journal's patience.
    assert slept == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8, 1, 1, 1, 0.45])
    assert run.state is RunState.FAILED
    assert run.results[a] == "a1"
    assert await kinds(journal) == ["Opened", "RunStarted", "StepEntered"]
    results = await flow.run(journal=journal, key=KEY)
    assert (results[a], results[b]) == ("a2", "b1")


async def test_a_journal_without_patience_isnt_tried_again() -> None:
    """The bound is the journal's."""
    unreliable = Unreliable(MemoryJournal(), patience=0)
    unreliable.down = 1
    with pytest.raises(JournalError, match="can't be read: no connection"):
        await two_steps().run(journal=unreliable, key=KEY)


async def test_what_a_journal_raises_is_a_journal_error() -> None:
    """Also if it raises something of its own."""

    class Broken(Passing):
        @override
        async def append(self, key: str, rows: Sequence[JournalRow]) -> None:
            message = "disk full"
            raise OSError(message)

    run = two_steps().prepare(journal=Broken(MemoryJournal()), key=KEY)
    with pytest.raises(JournalError, match="rows 0 to 2 can't be written: disk full") as raised:
        await run.drive()
    assert isinstance(raised.value.__cause__, OSError)


async def test_the_older_process_loses() -> None:
    """Whoever opened the run last goes on; the other one writes nothing any more."""
    flow, journal, log = Flow("f"), MemoryJournal(), Log()
    add(flow, "a")
    began, go_on = anyio.Event(), anyio.Event()

    async def slow(visit: Visit) -> str:
        if visit.number == 1:
            began.set()
            await go_on.wait()
        return answering(visit)

    b = add(flow, "b", slow)
    add(flow, "c")
    older = flow.prepare(journal=journal, key=KEY)

    async def drive_older() -> None:
        match = "rows 5 to 6 can't be written: .*another process goes on with this run"
        with pytest.raises(JournalConflictError, match=match):
            await older.drive()

    async with anyio.create_task_group() as tg:
        tg.start_soon(drive_older)
        await began.wait()
        results = await flow.run(journal=journal, key=KEY, observers=[log])
        go_on.set()
    assert log.visits == ["b 2 recovered", "c 1 first"]
    assert results[b] == "b2"
    assert older.state is RunState.FAILED
    assert await state_of_run(journal) is RunState.COMPLETED


async def test_both_open_at_once() -> None:
    """Exactly one of them runs anything."""
    flow, journal, visits = Flow("f"), MemoryJournal(), []

    async def act(visit: Visit) -> str:
        visits.append(visit.number)
        await checkpoint()
        return answering(visit)

    add(flow, "a", act)
    lost = []

    async def drive() -> None:
        try:
            await flow.run(journal=journal, key=KEY)
        except JournalConflictError as exc:
            lost.append(exc)

    async with anyio.create_task_group() as tg:
        for _ in range(5):
            tg.start_soon(drive)
    assert (len(lost), visits) == (4, [1])


async def test_a_forgotten_run_ends() -> None:
    """What its rows were deleted for must not come back in part."""
    flow, journal = Flow("f"), MemoryJournal()

    async def act(visit: Visit) -> str:
        await journal.forget(KEY)
        return "x"

    add(flow, "a", act)
    with pytest.raises(JournalConflictError):
        await flow.run(journal=journal, key=KEY)
    assert await journal.read(KEY) == ()


async def test_a_journal_that_gives_no_rows() -> None:
    """It is named, before anything is done."""

    class Strange(Passing):
        @override
        async def read(self, key: str, start: int = 0) -> Sequence[JournalRow]:
            return ["row"]  # type: ignore[list-item]  # what is tested

    with pytest.raises(JournalError, match=r"key 'call-42' can't be read: .*no rows"):
        await two_steps().run(journal=Strange(MemoryJournal()), key=KEY)


async def test_an_event_that_has_no_row() -> None:
    """Whoever made it happen is told; and the run doesn't go on as if it were stored."""
    journal, flow = MemoryJournal(), Flow("f")

    class ShyError(Exception):
        """Nobody may look at where it came from."""

        @override
        def __getattribute__(self, name: str) -> object:
            if name in {"__cause__", "__reflow_sensitive__"}:
                raise RuntimeError(name)
            return super().__getattribute__(name)

    async def act(visit: Visit) -> str:
        raise ShyError

    add(flow, "a", act)
    add(flow, "b")
    with pytest.raises(RuntimeError):
        await flow.run(journal=journal, key=KEY, return_exceptions=True)


@attrs.define(eq=False)
class Corrupting:
    """Damages what it is compared with."""

    number: int

    @override
    def __eq__(self, other: object) -> bool:
        assert isinstance(other, Corrupting)
        other.number = "two"  # type: ignore[assignment]  # what is tested
        return False

    __hash__ = None  # type: ignore[assignment]  # as of everything that can change


async def test_an_answer_that_is_damaged_while_it_is_given() -> None:
    """Whoever gives it is told; if they go on all the same, the run doesn't."""
    journal, flow = MemoryJournal(), Flow("f")

    @flow.step("something")
    async def something(visit: Visit) -> Corrupting:
        return Corrupting(1)

    async def act(visit: Visit) -> str:
        with pytest.raises(FlowError, match=r"step 'something'.*expected int"):
            visit.run.answer(something, Corrupting(2))
        return "x"

    add(flow, "b", act)
    add(flow, "c")
    with pytest.raises(JournalError, match="can't be stored any more"):
        await flow.run(journal=journal, key=KEY)
    assert (await kinds(journal))[-1] == "StepEntered"


async def test_a_journal_whose_errors_say_nothing() -> None:
    """Their names have to do."""

    class SilentError(Exception):
        @override
        def __str__(self) -> str:
            raise ValueError

    class Strange(Passing):
        @override
        async def append(self, key: str, rows: Sequence[JournalRow]) -> None:
            raise SilentError

    with pytest.raises(JournalError, match="rows 0 to 2 can't be written: SilentError"):
        await two_steps().run(journal=Strange(MemoryJournal()), key=KEY)
