"""Runs whose journal is away for a while: how long they wait, in virtual time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
import pytest
from journals import KEY, Passing, Unreliable, kinds, stored, two_steps
from support import Log
from typing_extensions import override

from reflow import (
    JournalConflictError,
    JournalError,
    JournalUnavailableError,
    MemoryJournal,
    RunState,
)
from reflow.testing import VIRTUAL_TIME, Backend

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reflow import Event, JournalRow

pytestmark = pytest.mark.anyio


@pytest.fixture(params=VIRTUAL_TIME)
def anyio_backend(request: pytest.FixtureRequest) -> Backend:
    """Let time pass at once; uvloop can't."""
    backend: Backend = request.param()
    return backend


@pytest.mark.parametrize("stores", [False, True])
@pytest.mark.parametrize("call", [1, 2, 3])
async def test_a_short_outage_is_ridden_out(call: int, *, stores: bool) -> None:
    """No row is lost or written twice, whatever became of the write that failed."""
    journal = MemoryJournal()
    unreliable = Unreliable(journal)
    unreliable.stores = stores
    unreliable.falls_at = call
    await two_steps().run(journal=unreliable, key=KEY)
    assert unreliable.waits == pytest.approx([0.05, 0.1, 0.2])
    assert await kinds(journal) == [
        *("Opened", "RunStarted", "StepEntered"),
        *("StepCompleted", "StepEntered"),
        *("StepCompleted", "RunCompleted"),
    ]


@pytest.mark.parametrize("ours", [True, False])
async def test_a_write_that_is_late(*, ours: bool) -> None:
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


async def test_a_read_is_tried_again_too() -> None:
    """The journal need not be there at once when a run begins."""
    unreliable = Unreliable(MemoryJournal())
    unreliable.down = 3
    await two_steps().run(journal=unreliable, key=KEY)
    assert unreliable.calls[:4] == ["read 0"] * 4


async def test_a_long_outage_ends_the_run() -> None:
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
    assert unreliable.waits == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8, 1, 1, 1, 0.45])
    assert run.state is RunState.FAILED
    assert run.results[a] == "a1"
    assert await kinds(journal) == ["Opened", "RunStarted", "StepEntered"]
    results = await flow.run(journal=journal, key=KEY)
    assert (results[a], results[b]) == ("a2", "b1")
