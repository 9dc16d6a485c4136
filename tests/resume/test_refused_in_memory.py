"""Resuming in memory: runs with a journal, and what is no run to go on with."""

from __future__ import annotations

import pytest
from in_memory import cancelled, waiting
from journals import KEY
from support import Log, add, answering

from reflow import Flow, FlowError, MemoryJournal, Opened, Visit

pytestmark = pytest.mark.anyio


async def test_of_a_run_with_a_journal() -> None:
    """What it has in memory counts; the run that goes on from that has no journal."""
    flow, a, b = waiting()
    journal, log = MemoryJournal(), Log()
    earlier = await cancelled(flow.prepare(journal=journal, key=KEY, observers=[Origin()]))
    rows = await journal.read(KEY)
    run = flow.prepare(observers=[log])
    run.resume(earlier)
    results = await run.drive()
    assert (results[a], results[b]) == ("a1", "b2")
    assert await journal.read(KEY) == rows
    (opened,) = log.of(Opened)
    assert isinstance(opened, Opened)
    assert (opened.key, opened.origin) == ("", "from here")
    assert opened.run in rows[0].event


class Origin:
    """An observer that has something to say to those of later runs."""

    def __call__(self, event: object) -> None:
        """Ignore it."""

    def origin(self, flow: str) -> str:
        """Say it."""
        return "from here"


async def test_what_is_no_run_to_resume() -> None:
    """Each refusal says why, and changes nothing."""
    flow, _, _ = waiting()
    earlier = await cancelled(flow.prepare())
    run = flow.prepare()
    with pytest.raises(FlowError, match=r"can't resume .*: that one is prepared, it must have"):
        run.resume(run)
    with pytest.raises(FlowError, match=r"can't resume .*: that one is prepared, it must have"):
        run.resume(flow.prepare())
    with pytest.raises(FlowError, match=r"<Run of flow 'f': cancelled.*it was driven before"):
        earlier.resume(earlier)
    with pytest.raises(FlowError, match="it goes on from its journal"):
        flow.prepare(journal=MemoryJournal(), key=KEY).resume(earlier)
    assert not len(run.results)
    run.resume(earlier)
    with pytest.raises(FlowError, match="it has resumed another already"):
        run.resume(earlier)
    assert len(run.results) == 1


async def test_a_run_under_way_is_none_either() -> None:
    """Seen from one of its steps."""
    flow, other = Flow("f"), Flow("f")

    async def act(visit: Visit) -> str:
        with pytest.raises(FlowError, match=r"'f': running, at step 'a'>: that one is running"):
            other.prepare().resume(visit.run)
        with pytest.raises(FlowError, match="it was driven before: prepare another"):
            visit.run.resume(earlier)
        return answering(visit)

    for made in (flow, other):
        add(made, "a", act)
    earlier = other.prepare()
    await flow.run()
