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
    two_steps,
)
from support import Log, add, answering
from typing_extensions import override

from reflow import (
    Flow,
    FlowError,
    JournalConflictError,
    JournalError,
    MemoryJournal,
    RunState,
    Visit,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reflow import JournalRow

pytestmark = pytest.mark.anyio


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
