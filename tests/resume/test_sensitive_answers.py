"""Sensitive answers are never stored; what that means for a run that goes on."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import anyio
import pytest
from journals import KEY, journal_of
from support import Log, add, answering, never

from reflow import (
    Failed,
    Flow,
    LoggingObserver,
    MemoryJournal,
    Pending,
    RunState,
    Skipped,
    Step,
    StepCompleted,
    StepFailedError,
    StepNotDoneError,
    StepState,
    Visit,
)
from reflow.journal import SQLiteJournal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

pytestmark = pytest.mark.anyio

MARK = "4111-SECRET-1111"


async def secret(visit: Visit) -> str:
    """Answer with what nobody may see."""
    return MARK


def dying_once() -> Callable[[Visit], Awaitable[str]]:
    """Make a step that ends the run on its first visit."""

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            message = "the process died"
            raise OSError(message)
        return answering(visit)

    return act


async def test_it_is_asked_again() -> None:
    """And what depended on it, as nobody knows whether it is the same."""
    flow, journal, log = Flow("f"), MemoryJournal(), Log()
    add(flow, "a")
    card = flow.step("card", id="card", sensitive=True)(secret)
    add(flow, "b", depends_on=(card,))
    add(flow, "c", dying_once())
    with pytest.raises(OSError, match="died"):
        await flow.run(journal=journal, key=KEY)
    results = await flow.run(journal=journal, key=KEY, observers=[log])
    assert log.visits == ["card 2 recovered", "b 2 stale", "c 2 recovered"]
    assert results[card] == MARK


async def test_behind_a_point_of_no_return_it_stays_done() -> None:
    """It can't be read any more, and says why."""
    flow, journal, log = Flow("f"), MemoryJournal(), Log()
    card = flow.step("card", id="card", sensitive=True)(secret)
    flow.step("pay", id="pay", point_of_no_return=True)(answer)
    add(flow, "c", dying_once())
    with pytest.raises(OSError, match="died"):
        await flow.run(journal=journal, key=KEY)
    run = flow.prepare(journal=journal, key=KEY, observers=[log])
    results = await run.drive()
    assert log.visits == ["c 2 recovered"]
    with pytest.raises(StepNotDoneError, match="was done before the run was resumed"):
        results[card]
    assert results.get(card, "none") == "none"
    assert card not in results
    assert results.outcome(card) == Pending(StepState.DONE)


async def answer(visit: Visit) -> str:
    """Answer."""
    return answering(visit)


async def test_of_a_complete_run() -> None:
    """Nothing is asked any more, so it is simply not there."""
    flow, journal = Flow("f"), MemoryJournal()
    card = flow.step("card", id="card", sensitive=True)(secret)
    assert (await flow.run(journal=journal, key=KEY))[card] == MARK
    results = await flow.run(journal=journal, key=KEY)
    with pytest.raises(StepNotDoneError):
        results[card]


async def test_an_early_one() -> None:
    """It was never visited, so its first visit is the first."""
    flow, journal, log = Flow("f"), MemoryJournal(), Log()
    add(flow, "a", dying_once())

    async def card(visit: Visit) -> str:
        assert visit.get(step) is None
        return "x"

    step = flow.step("card", id="card", sensitive=True)(card)
    run = flow.prepare(journal=journal, key=KEY)
    run.answer(step, MARK)
    with pytest.raises(OSError, match="died"):
        await run.drive()
    await flow.run(journal=journal, key=KEY, observers=[log])
    assert log.visits == ["a 2 recovered", "card 1 first"]


async def test_given_again_before_the_run_goes_on() -> None:
    """Whoever still has it needn't be asked; where it can't change any more, it is no news."""
    flow, journal, log = Flow("f"), MemoryJournal(), Log()
    card = flow.step("card", id="card", sensitive=True)(secret)
    flow.step("pay", id="pay", point_of_no_return=True)(answer)
    add(flow, "c", dying_once())
    with pytest.raises(OSError, match="died"):
        await flow.run(journal=journal, key=KEY)
    paid = list(await journal.read(KEY))
    before = next(i for i, row in enumerate(paid) if '"step":"pay"' in row.event)
    for rows, visits in (
        (paid[:before], ["pay 1 first", "c 1 first"]),
        (paid, ["c 2 recovered"]),
    ):
        log.clear()
        run = flow.prepare(journal=await journal_of(rows), key=KEY, observers=[log])
        run.answer(card, MARK)
        if rows is paid:
            await run.drive()
        else:
            with pytest.raises(OSError, match="died"):
                await run.drive()
        assert log.visits == visits


async def test_a_skipped_one_that_is_wanted_again() -> None:
    """Its earlier answer isn't offered: it isn't there any more."""
    flow, journal, seen = Flow("f"), MemoryJournal(), []
    plan = add(flow, "plan")

    async def ask(visit: Visit) -> str:
        seen.append(visit.get(card))
        return MARK

    card = flow.step("card", id="card", sensitive=True, when=lambda r: r[plan] != "b")(ask)

    async def change(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.answer(plan, "b")
            return "x"
        return answering(visit)

    add(flow, "c", change)
    add(flow, "d", dying_once())
    with pytest.raises(OSError, match="died"):
        await flow.run(journal=journal, key=KEY)
    run = flow.prepare(journal=journal, key=KEY)
    run.answer(plan, "c")
    await run.drive()
    assert seen == [None, None]


def everywhere() -> tuple[Flow[None], list[str]]:
    """Make a flow that puts secrets wherever a step can put something."""
    flow = Flow("f")

    def raising(error: type[BaseException]) -> Callable[[Visit], Awaitable[str]]:
        async def act(visit: Visit) -> str:
            if visit.number == 1:
                raise error(MARK)
            return MARK

        return act

    returns = flow.step("d", id="returns", sensitive=True)(secret)
    flow.step("d", id="raises", sensitive=True)(raising(ValueError))
    flow.step("d", id="given", sensitive=True)(never)

    def condition(results: object) -> bool:
        raise ValueError(MARK)

    flow.step("d", id="condition", sensitive=True, when=condition)(never)
    flow.step("d", id="optional", sensitive=True, optional=True)(never)

    async def cleanup(visit: Visit) -> str:
        if visit.number == 1:
            try:
                await visit.go_back(returns)
            finally:
                raise ValueError(MARK)
        return MARK

    flow.step("d", id="cleanup", sensitive=True)(cleanup)

    async def superseded(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.answer(own, f"{MARK}2")
        return MARK

    own = flow.step("d", id="superseded", sensitive=True)(superseded)

    async def reads_a_failure(visit: Visit) -> str:
        try:
            return str(visit[flow.steps[1]])
        except StepFailedError as exc:
            message = "no card"
            raise LookupError(message) from exc

    flow.step("d", id="reader")(reads_a_failure)

    async def groups(visit: Visit) -> str:
        visit.run.results.raise_exceptions()
        raise AssertionError

    flow.step("d", id="groups")(groups)
    return flow, [step.id for step in flow.steps]


async def failing_with_a_mark(visit: Visit) -> str:
    """Fail, saying what nobody may see."""
    raise ValueError(MARK)


def contents(folder: Path) -> bytes:
    """Give what is in the files of a folder."""
    return b"".join(path.read_bytes() for path in folder.iterdir())


async def test_nowhere(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """Not in files, logs, event reprs or error texts, whatever the step does with it."""
    caplog.set_level(logging.DEBUG)
    flow, _ = everywhere()
    log = Log()
    journal = SQLiteJournal(tmp_path / "runs.db")

    async def told(event: StepCompleted) -> None:
        if event.sensitive:
            raise ValueError(MARK)

    run = flow.prepare(
        journal=journal,
        key=KEY,
        observers=[log, LoggingObserver()],
        return_exceptions=True,
        on_completed=told,
    )
    run.answer(flow.steps[2], MARK)  # type: ignore[arg-type]  # it is a Step[str]
    run.skip("optional")
    results = await run.drive()
    texts = [row.event for row in await journal.read(KEY)]
    # With what SQLite has written beside the file itself.
    files = contents(tmp_path)
    journal.close()
    assert b"StepCompleted" in files
    assert MARK.encode() not in files
    kept = "".join(texts)
    assert all(kind in kept for kind in ("CallbackFailed", "LookupError", "ExceptionGroup"))
    told_of = "".join(map(repr, log))
    for text in (kept, told_of, caplog.text, repr(results), repr(run)):
        assert MARK not in text


class LeftError(BaseException):
    """Ends a run."""


async def raising_left(visit: Visit) -> str:
    """End the run, saying what nobody may see."""
    raise LeftError(MARK)


async def answered_then_raising(visit: Visit) -> str:
    """End the run although there is an answer already."""
    step = visit.step
    assert isinstance(step, Step)
    visit.run.answer(step, MARK)
    raise LeftError(MARK)


async def raising_in_a_group(visit: Visit) -> str:
    """Fail as everything does in a task group."""

    async def fail() -> None:
        raise ValueError(MARK)

    async with anyio.create_task_group() as tg:
        tg.start_soon(fail)
    raise AssertionError


def raising_condition(results: object) -> bool:
    """Refuse to decide."""
    raise LeftError(MARK)


async def raising_callback(event: object) -> None:
    """Fail after the answer."""
    raise LeftError(MARK)


ENDS: dict[str, dict[str, object]] = {
    "visit": {"act": raising_left},
    "answered": {"act": answered_then_raising},
    "group": {"act": raising_in_a_group},
    "condition": {"act": secret, "when": raising_condition},
    "callback": {"act": secret, "on_completed": raising_callback},
}


@pytest.mark.parametrize("end", ENDS)
async def test_not_in_the_end_of_a_run(end: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever ends the run may quote what a sensitive step was given."""
    caplog.set_level(logging.DEBUG)
    flow, journal, log = Flow("f"), MemoryJournal(), Log()
    options = ENDS[end]
    flow.step("d", id="card", sensitive=True, when=options.get("when"))(options["act"])  # type: ignore[call-overload]  # they fit
    with pytest.raises((LeftError, ExceptionGroup)):
        await flow.run(  # type: ignore[call-overload]  # it fits
            journal=journal,
            key=KEY,
            observers=[log, LoggingObserver()],
            on_completed=options.get("on_completed"),
        )
    assert (await journal.runs())[0].state is RunState.FAILED
    assert MARK not in "".join(map(repr, log))
    assert MARK not in "".join(row.event for row in await journal.read(KEY))
    assert MARK not in caplog.text


@pytest.mark.parametrize("act", [raising_in_a_group, failing_with_a_mark])
async def test_not_when_it_is_raised_again_later(
    act: Callable[[Visit], Awaitable[str]],
) -> None:
    """Also when the step has long had an answer."""
    flow, journal, log = Flow("f"), MemoryJournal(), Log()
    card = flow.step("d", id="card", sensitive=True)(act)

    async def later(visit: Visit) -> str:
        outcome = visit.run.results.outcome(card)
        assert isinstance(outcome, Failed)
        visit.run.answer(card, MARK)
        message = "no card"
        raise LookupError(message) from outcome.exception

    add(flow, "later", later)

    async def grouped(visit: Visit) -> str:
        outcome = visit.run.results.outcome(flow.steps[1])
        assert isinstance(outcome, Failed)
        assert outcome.exception.__cause__ is not None
        message = "all of them"
        raise BaseExceptionGroup(message, [outcome.exception.__cause__])

    add(flow, "grouped", grouped)
    results = await flow.run(journal=journal, key=KEY, observers=[log], return_exceptions=True)
    rows = "".join(row.event for row in await journal.read(KEY))
    assert "LookupError" in rows
    texts = [rows, *map(repr, log), *(repr(results.outcome(step)) for step in flow.steps[1:])]
    assert MARK not in "".join(texts)


async def test_its_condition_still_decides() -> None:
    """An answer that is given again counts only if the step is wanted."""
    flow, journal = Flow("f"), MemoryJournal()
    plan = add(flow, "plan")
    card = flow.step("card", id="card", sensitive=True, when=lambda r: r[plan] != "free")(secret)

    async def change(visit: Visit) -> str:
        visit.run.answer(plan, "free")
        message = "the process died"
        raise OSError(message)

    add(flow, "c", change)
    with pytest.raises(OSError, match="died"):
        await flow.run(journal=journal, key=KEY)
    run = flow.prepare(journal=journal, key=KEY, return_exceptions=True)
    run.answer(card, MARK)
    results = await run.drive()
    assert isinstance(results.outcome(card), Skipped)


async def test_given_back() -> None:
    """Where it isn't asked any more it can be read again, in this process."""
    flow, journal = Flow("f"), MemoryJournal()
    card = flow.step("card", id="card", sensitive=True)(secret)
    flow.step("pay", id="pay", point_of_no_return=True)(answer)
    add(flow, "c", dying_once())
    with pytest.raises(OSError, match="died"):
        await flow.run(journal=journal, key=KEY)
    for _ in range(2):
        run = flow.prepare(journal=journal, key=KEY)
        run.answer(card, MARK)
        assert (await run.drive())[card] == MARK
    assert MARK not in "".join(row.event for row in await journal.read(KEY))
