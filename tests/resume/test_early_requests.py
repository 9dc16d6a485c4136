"""What is asked of a run before it is known what the journal holds of it."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from contextvars import Context

import pytest
from journals import KEY
from support import Log, add, answering, failing_on, last

from reflow import (
    Flow,
    GoBackError,
    MemoryJournal,
    RunFinishedError,
    RunState,
    RunStoppedError,
    Step,
    Visit,
)

pytestmark = pytest.mark.anyio


def closing() -> Flow[None]:
    """Make a flow that fails once behind its point of no return."""
    flow = Flow("f")
    add(flow, "a")

    async def pay(visit: Visit) -> str:
        return "paid"

    flow.step("pay", id="pay", point_of_no_return=True, optional=True)(pay)
    flow.step("c", id="c", optional=True)(failing_on(1))
    add(flow, "d")
    return flow


async def half_done(flow: Flow[None]) -> MemoryJournal:
    """Leave a run at its failing step."""
    journal = MemoryJournal()
    with pytest.raises(ValueError, match="1"):
        await flow.run(journal=journal, key=KEY)
    return journal


def step_of(flow: Flow[None], i: int) -> Step[str]:
    """Give a step, as what they all are here."""
    step = flow.steps[i]
    assert isinstance(step, Step)
    return step


async def test_of_a_new_run() -> None:
    """They count as without a journal, and are stored."""
    flow, log, journal = Flow("f"), Log(), MemoryJournal()
    a, b, c = (add(flow, name) for name in "abc")
    run = flow.prepare(journal=journal, key=KEY, observers=[log])
    run.answer(a, "early")
    run.jump_ahead(c, b)
    results = await run.drive()
    assert log.entered == ["c", "b"]
    assert results[a] == "early"
    again = await flow.run(journal=journal, key=KEY)
    assert again[a] == "early"


async def test_all_kinds() -> None:
    """An answer, a skip and a request to go ahead, in the order in which they came."""
    flow, log = closing(), Log()
    journal = await half_done(flow)
    run = flow.prepare(journal=journal, key=KEY, observers=[log])
    run.skip("c")
    run.answer(step_of(flow, 3), "early")
    run.jump_ahead("d")
    results = await run.drive()
    assert log.entered == ["d"]
    assert results[step_of(flow, 3)] == "d1"


async def test_the_same_answer_is_no_news() -> None:
    """Who fills in what is known from the call's data does so every time."""
    flow, log = closing(), Log()
    journal = await half_done(flow)
    for visits in (["c 2 recovered", "d 1 first"], []):
        log.clear()
        run = flow.prepare(journal=journal, key=KEY, observers=[log])
        run.answer(step_of(flow, 0), "a1")
        results = await run.drive()
        assert log.visits == visits
        assert results[step_of(flow, 0)] == "a1"


async def test_what_is_refused() -> None:
    """All of it at once, from drive(); nothing was written."""
    flow = closing()
    journal = await half_done(flow)
    before = await journal.read(KEY)
    run = flow.prepare(journal=journal, key=KEY)
    run.answer(step_of(flow, 0), "other")
    run.jump_ahead("pay", "d")
    run.skip("pay")
    match = "(?s)before it was resumed is refused.*'a': behind the point.*'pay': behind the point"
    with pytest.raises(GoBackError, match=match) as raised:
        await run.drive()
    assert sorted(raised.value.refused) == ["a", "pay"]
    assert await journal.read(KEY) == before
    assert run.state is RunState.FAILED


@pytest.mark.parametrize("then", ["answer", "skip", "jump ahead"])
async def test_what_closes_a_step_to_the_next_request(then: str) -> None:
    """A first answer settles a step before a point of no return that is done: that counts."""
    flow, log, journal = Flow("f"), Log(), MemoryJournal()
    step = add(flow, "a")

    async def ask(visit: Visit) -> str:
        return answering(visit)

    flow.step("b", id="b", optional=True)(ask)
    pay = flow.step("pay", id="pay", point_of_no_return=True)(ask)
    run = flow.prepare(journal=journal, key=KEY)
    run.answer(pay, "paid")
    run.stop("for now")
    with pytest.raises(RunStoppedError):
        await run.drive()
    before = await journal.read(KEY)
    run = flow.prepare(journal=journal, key=KEY)
    run.answer(step, "first")
    if then == "answer":
        run.answer(step, "second")
    elif then == "skip":
        run.skip("b")
        run.skip("b")
    else:
        run.jump_ahead(step)
    with pytest.raises(GoBackError, match="behind the point of no return 'pay'"):
        await run.drive()
    assert await journal.read(KEY) == before
    await flow.run(journal=journal, key=KEY, observers=[log])
    assert log.entered == ["a", "b"]


async def test_of_a_complete_run() -> None:
    """It is too late for news."""
    flow, journal = Flow("f"), MemoryJournal()
    a = add(flow, "a")
    await flow.run(journal=journal, key=KEY)
    run = flow.prepare(journal=journal, key=KEY)
    run.answer(a, "other")
    with pytest.raises(RunFinishedError, match="complete in the journal"):
        await run.drive()


async def test_an_answer_makes_others_stale() -> None:
    """As at any other time."""
    flow, log, journal = Flow("f"), Log(), MemoryJournal()
    a = add(flow, "a")
    add(flow, "b", depends_on=(a,))
    add(flow, "c", failing_on(1))
    with pytest.raises(ValueError, match="1"):
        await flow.run(journal=journal, key=KEY)
    run = flow.prepare(journal=journal, key=KEY, observers=[log])
    run.answer(a, "new")
    await run.drive()
    assert log.visits == ["b 2 stale", "c 2 recovered"]


async def test_answers_that_are_based_on_each_other() -> None:
    """What one of them made stale of the others is found anew."""
    flow, log, journal = Flow("f"), Log(), MemoryJournal()
    a = add(flow, "a")
    b = add(flow, "b", depends_on=(a,))
    add(flow, "c", failing_on(1))
    with pytest.raises(ValueError, match="1"):
        await flow.run(journal=journal, key=KEY)
    run = flow.prepare(journal=journal, key=KEY, observers=[log])
    run.answer(a, "one")
    run.answer(b, "given")
    run.answer(a, "two")
    results = await run.drive()
    assert log.visits == ["b 2 stale", "c 2 recovered"]
    assert results[a] == "two"


async def test_a_step_can_be_answered_twice() -> None:
    """The last one counts, and is what is stored."""
    flow, journal = Flow("f"), MemoryJournal()

    async def act(visit: Visit) -> str:
        return answering(visit)

    a = add(flow, "a", act)
    run = flow.prepare(journal=journal, key=KEY)
    run.answer(a, "one")
    run.answer(a, "two")
    assert (await run.drive())[a] == "two"
    assert (await flow.run(journal=journal, key=KEY))[a] == "two"


@pytest.mark.parametrize("before", ["answer", "skip", "jump_ahead"])
async def test_the_last_word_counts(before: str) -> None:
    """The stored answer is news again after something else was asked of its step."""
    flow, log = Flow("f"), Log()
    journal = MemoryJournal()
    a = flow.step("a", id="a", optional=True)(failing_on())
    add(flow, "b", failing_on(1))
    with pytest.raises(ValueError, match="1"):
        await flow.run(journal=journal, key=KEY)
    run = flow.prepare(journal=journal, key=KEY, observers=[log])
    if before == "answer":
        run.answer(a, "other")
    elif before == "skip":
        run.skip(a)
    else:
        run.jump_ahead(a)
    run.answer(a, "a1")
    results = await run.drive()
    assert results[a] == "a1"
    assert log.visits == ["b 2 recovered"]


async def test_the_stored_answer_of_a_step_that_was_visited_again() -> None:
    """It ends the visit that was under way, as it would have done then."""
    flow, log, journal = Flow("f"), Log(), MemoryJournal()

    async def leave(visit: Visit) -> str:
        if visit.number == 2:
            raise KeyboardInterrupt
        return answering(visit)

    a = add(flow, "a", leave)
    last(flow, a)
    with pytest.raises(KeyboardInterrupt):
        await flow.run(journal=journal, key=KEY)
    run = flow.prepare(journal=journal, key=KEY, observers=[log])
    run.answer(a, "a1")
    await run.drive()
    assert log.visits == ["last 2 resumed"]


async def test_going_back_before_the_journal_was_read() -> None:
    """The refusal says what to do instead: until then nothing seems to have been visited."""
    flow = closing()
    run = flow.prepare(journal=await half_done(flow), key=KEY)
    with pytest.raises(GoBackError, match=r"as far as is known before drive.*use jump_ahead"):
        run.go_back("a")


def test_without_the_extra() -> None:
    """The error says what to install; nothing else needs it, not even the import."""
    program = """
import sys
sys.modules["cattrs"] = None
import reflow
flow = reflow.Flow("f")
try:
    flow.prepare(journal=reflow.MemoryJournal(), key="k")
except ImportError as exc:
    print(exc)
"""
    command = [sys.executable, "-c", program]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert printed == "journal= needs cattrs: python -m pip install 'reflow[journal]'\n"


def test_what_the_import_leaves_alone() -> None:
    """Whoever needs no journal pays for none."""
    program = """
import sys
before = {*sys.modules}
import reflow
print(*sys.modules.keys() - before)
"""
    command = [sys.executable, "-c", program]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert not {"cattrs", "sqlite3", "psycopg", "json", "reflow.journal", "reflow._rows"} & {
        *loaded
    }


async def test_going_back_once_the_journal_was_read(backend_name: str) -> None:
    """Then it is known what was visited, also where no context variable is set."""
    if backend_name != "asyncio":
        pytest.skip("only asyncio's tasks can be given an empty context")
    flow, journal = Flow("f"), MemoryJournal()

    async def ahead(visit: Visit) -> str:
        with pytest.raises(GoBackError) as raised:
            visit.run.go_back("b")
        assert raised.value.refused == {"b": "not visited yet"}
        return "x"

    add(flow, "a", ahead)
    add(flow, "b")
    driving = flow.run(journal=journal, key=KEY)
    await asyncio.get_running_loop().create_task(driving, context=Context())
