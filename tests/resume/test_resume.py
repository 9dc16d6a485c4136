"""A run goes on in another process where it was left: here, in another `Run`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest
from journals import (
    KEY,
    KilledError,
    Unreliable,
    journal_of,
    killed,
    kinds,
    state_of_run,
    stored,
)
from support import Log, add, answering, interrupted, last, never

from reflow import (
    Flow,
    FlowError,
    MemoryJournal,
    Opened,
    Pending,
    Reason,
    RunFinishedError,
    RunStarted,
    RunState,
    RunStoppedError,
    Skipped,
    Step,
    StepNotDoneError,
    Visit,
)

if TYPE_CHECKING:
    from collections.abc import Callable


pytestmark = pytest.mark.anyio


async def test_answers_are_not_asked_again() -> None:
    """What is done stays done, with its type, and the step under way is recovered."""
    log, journal = Log(), MemoryJournal()

    def flow(act: Callable[[Visit], object] | None) -> Flow[None]:
        flow = Flow("f")

        @flow.step("a list of numbers")
        async def numbers(visit: Visit) -> list[int]:
            assert act is not None
            return [1, 2]

        @flow.step("a name")
        async def name(visit: Visit) -> str:
            if act is not None:
                raise KilledError
            assert visit[numbers] == [1, 2]
            return f"Ada {visit.number} {visit.reason.value}"

        return flow

    left = await killed(flow(print).prepare(journal=journal, key=KEY), journal)
    assert await state_of_run(left) is RunState.RUNNING
    run = flow(None).prepare(journal=left, key=KEY, observers=[log])
    results = await run.drive()
    assert [results[step] for step in results] == [[1, 2], "Ada 2 recovered"]
    assert log.visits == ["name 2 recovered"]
    assert isinstance(log[0], Opened)
    assert (log[0].key, log[0].resumed) == (KEY, True)
    assert isinstance(log[1], RunStarted)
    assert await state_of_run(left) is RunState.COMPLETED


async def test_a_complete_run_gives_its_results() -> None:
    """Nothing runs, nothing is written, and nobody may open it again."""
    flow, journal, log = Flow("f"), MemoryJournal(), Log()
    name = add(flow, "name")
    await flow.run(journal=journal, key=KEY)
    before = await journal.read(KEY)
    run = flow.prepare(journal=journal, key=KEY, observers=[log])
    before_it = run.state
    results = await run.drive()
    assert results[name] == "name1"
    assert run.results[name] == "name1"
    assert (before_it, run.state) == (RunState.PREPARED, RunState.COMPLETED)
    assert (log, await journal.read(KEY)) == ([], before)
    with pytest.raises(RunFinishedError):
        run.go_back(name)


async def test_a_given_answer_stays_the_one() -> None:
    """What the step returned in spite of it is known, too, and still doesn't count."""
    journal, log = MemoryJournal(), Log()
    flow = Flow("f")

    async def act(visit: Visit) -> str:
        visit.run.answer(a, "given")
        return "returned"

    async def dying(visit: Visit) -> str:
        if visit.number == 1:
            raise KilledError
        return visit[a]

    a: Step[str] = add(flow, "a", act)
    b = add(flow, "b", dying)
    left = await killed(flow.prepare(journal=journal, key=KEY), journal)
    assert "AnswerSuperseded" in await kinds(left)
    results = await flow.run(journal=left, key=KEY, observers=[log])
    assert (results[a], results[b]) == ("given", "given")
    assert log.visits == ["b 2 recovered"]


async def test_a_detour_survives() -> None:
    """Requested steps run in their order, then the one that was under way on the detour."""
    journal, log, dead = MemoryJournal(), Log(), [True]
    flow = Flow("f")
    add(flow, "a")

    async def dying(visit: Visit) -> str:
        if visit.reason is Reason.REQUESTED and dead:
            visit.run.go_back("a")
            raise KilledError
        return answering(visit)

    b, c = add(flow, "b", dying), add(flow, "c")

    async def back(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.go_back(b, c)
            await interrupted()
        return answering(visit)

    add(flow, "d", back)
    left = await killed(flow.prepare(journal=journal, key=KEY), journal)
    dead.clear()
    await flow.run(journal=left, key=KEY, observers=[log])
    assert log.visits == ["a 2 requested", "b 3 recovered", "c 2 requested", "d 2 resumed"]


@pytest.mark.parametrize("needed", [False, True])
async def test_stale_marks_survive(*, needed: bool) -> None:
    """What went stale is asked again; before the step under way only if that one needs it."""
    journal, log = MemoryJournal(), Log()
    flow = Flow("f")
    a = add(flow, "a")
    b = add(flow, "b", depends_on=(a,))

    async def correct(visit: Visit) -> str:
        visit.run.answer(a, "new")
        return answering(visit)

    add(flow, "c", correct, depends_on=(b,) if needed else ())
    await flow.run(journal=journal, key=KEY)
    rows = await journal.read(KEY)
    made_stale = next(i for i, row in enumerate(rows) if "StepsMadeStale" in row.event)
    left = await journal_of(rows[: made_stale + 1])
    results = await flow.run(journal=left, key=KEY, observers=[log])
    visits = ["c 2 recovered", "b 2 stale"]
    assert log.visits == (visits[::-1] if needed else visits)
    assert results[a] == "new"


async def test_skips_and_early_answers_survive() -> None:
    """A skipped step stays skipped, an answer given early isn't asked, a condition holds."""
    journal, log = MemoryJournal(), Log()
    flow, dead = Flow("f"), [True]
    a = add(flow, "a")
    phone = flow.step("phone", id="phone", optional=True)(never)
    members = flow.step("members", id="members", when=lambda r: r[a] == "family")(never)

    async def act(visit: Visit) -> str:
        if dead:
            visit.run.answer(late, "early")
            raise KilledError
        return "b"

    add(flow, "b", act)
    late = flow.step("late", id="late")(never)
    run = flow.prepare(journal=journal, key=KEY)
    run.skip(phone)
    left = await killed(run, journal)
    dead.clear()
    results = await flow.run(journal=left, key=KEY, observers=[log])
    assert log.visits == ["b 2 recovered"]
    assert isinstance(results.outcome(phone), Skipped)
    assert isinstance(results.outcome(members), Skipped)
    assert results[late] == "early"


async def answering_later(visit: Visit) -> str:
    """Answer."""
    return answering(visit)


async def test_a_stopped_run_goes_on() -> None:
    """The caller who was handed over to a person calls again."""
    journal, log = MemoryJournal(), Log()
    flow = Flow("f")
    add(flow, "a")

    async def leave(visit: Visit) -> str:
        if visit.number == 1:
            visit.stop("a person takes over")
        return answering(visit)

    add(flow, "b", leave)
    with pytest.raises(RunStoppedError):
        await flow.run(journal=journal, key=KEY)
    assert await state_of_run(journal) is RunState.STOPPED
    await flow.run(journal=journal, key=KEY, observers=[log])
    assert log.visits == ["b 2 resumed"]


async def test_a_cancelled_run_goes_on() -> None:
    """Its active step is recovered, as if its process had died."""
    journal, log = MemoryJournal(), Log()
    flow = Flow("f")
    add(flow, "a")

    async def wait(visit: Visit) -> str:
        if visit.number == 1:
            scope.cancel()
            await interrupted()
        return answering(visit)

    add(flow, "b", wait)
    with anyio.CancelScope() as scope:
        await flow.run(journal=journal, key=KEY)
    assert scope.cancelled_caught
    assert await state_of_run(journal) is RunState.CANCELLED
    await flow.run(journal=journal, key=KEY, observers=[log])
    assert log.visits == ["b 2 recovered"]


async def test_an_idempotency_key_is_kept() -> None:
    """The charge that may or may not have happened is not made twice; the next one has its own."""
    journal, dead, keys = MemoryJournal(), [True], []
    flow = Flow("f")

    async def act(visit: Visit) -> str:
        keys.append(visit.idempotency_key)
        if dead:
            raise KilledError
        return "charged"

    charge = add(flow, "charge", act)
    last(flow, charge)
    left = await killed(flow.prepare(journal=journal, key=KEY), journal)
    dead.clear()
    await flow.run(journal=left, key=KEY)
    assert len(keys) == 3
    assert keys[0] == keys[1] != keys[2]
    await journal.forget(KEY)
    await flow.run(journal=journal, key=KEY)
    assert len(set(keys)) == 4


async def test_points_of_no_return_stay_closed() -> None:
    """Behind one nothing is asked again, not even what is asked for."""
    journal, dead, log = MemoryJournal(), [True], Log()
    flow = Flow("f")
    a = add(flow, "a")
    flow.step("charge", id="charge", point_of_no_return=True)(answering_later)

    async def act(visit: Visit) -> str:
        if dead:
            raise KilledError
        return "c"

    add(flow, "c", act)
    left = await killed(flow.prepare(journal=journal, key=KEY), journal)
    dead.clear()
    run = flow.prepare(journal=left, key=KEY, observers=[log])
    await run.drive()
    assert log.visits == ["c 2 recovered"]
    with pytest.raises(RunFinishedError):
        run.answer(a, "x")


async def test_the_rows_of_a_run() -> None:
    """One batch before each step, the end of the run in the last; the first says what it is."""
    flow, journal = Flow("f"), MemoryJournal()
    counting = Unreliable(journal)
    a = add(flow, "a")
    add(flow, "b", depends_on=(a,))
    await flow.run(journal=counting, key=KEY)
    assert counting.calls == ["read 0", "append 0", "append 3", "append 5"]
    assert await kinds(journal) == [
        *("Opened", "RunStarted", "StepEntered"),
        *("StepCompleted", "StepEntered"),
        *("StepCompleted", "RunCompleted"),
    ]
    first, *_ = await stored(journal)
    assert (first["format"], first["flow"], first["key"]) == (1, "f", KEY)
    assert first["steps"] == [
        {"id": "a", "type": "str"},
        {"id": "b", "type": "str", "depends_on": ["a"]},
    ]
    rows = await journal.read(KEY)
    assert [row.sequence for row in rows] == [*range(7)]
    assert len({row.writer for row in rows}) == 1
    assert [row.active for row in rows] == ["a", "a", "a", "b", "b", None, None]
    assert sorted(rows, key=lambda row: row.time) == list(rows)


async def test_an_answer_is_stored_before_on_completed() -> None:
    """Whoever is told that a step is done may rely on it."""
    flow, journal = Flow("f"), MemoryJournal()
    add(flow, "a")

    async def told(event: object) -> None:
        assert (await kinds(journal))[-1] == "StepCompleted"

    await flow.run(journal=journal, key=KEY, on_completed=told)


async def test_a_value_of_another_type_is_a_failure_of_its_step() -> None:
    """What can't be read back is not an answer; in memory it would be one, and lost later."""
    flow, journal = Flow("f"), MemoryJournal()

    @flow.step("a number")
    async def number(visit: Visit) -> int:
        return [1, "2"][visit.number - 1]  # type: ignore[return-value]  # what is tested

    last(flow, number)
    match = "step 'number' of flow 'f' can't be kept in the journal.*expected int"
    with pytest.raises(FlowError, match=match) as raised:
        await flow.run(journal=journal, key=KEY)
    assert raised.value.__notes__ == ["in step 'number' of flow 'f', visit 2"]
    run = flow.prepare(journal=journal, key="other", return_exceptions=True)
    results = await run.drive()
    assert results[number] == 1
    assert isinstance(results.exceptions, ExceptionGroup)


async def test_a_given_answer_of_another_type_is_refused() -> None:
    """Nothing has happened then."""
    flow, journal = Flow("f"), MemoryJournal()
    a = add(flow, "a")
    run = flow.prepare(journal=journal, key=KEY)
    with pytest.raises(FlowError, match="expected str"):
        run.answer(a, 7)  # type: ignore[misc]  # what is tested
    assert isinstance(run.results.outcome(a), Pending)
    run.answer(a, "x")
    assert (await run.drive())[a] == "x"


async def test_an_answer_that_was_changed_after_it_was_given() -> None:
    """What is stored is what it is when it is stored; it must still be of its type."""
    flow, journal = Flow("f"), MemoryJournal()

    @flow.step("numbers")
    async def numbers(visit: Visit) -> list[int]:
        raise AssertionError

    answer = [1]
    run = flow.prepare(journal=journal, key=KEY)
    run.answer(numbers, answer)
    answer.append("2")  # type: ignore[arg-type]  # what is tested
    with pytest.raises(FlowError, match=r"step 'numbers'.*expected int"):
        await run.drive()


async def test_reading_before_the_run() -> None:
    """What the journal holds is known when the run is driven, not before."""
    flow, journal = Flow("f"), MemoryJournal()
    a = add(flow, "a")
    await flow.run(journal=journal, key=KEY)
    run = flow.prepare(journal=journal, key=KEY)
    with pytest.raises(StepNotDoneError):
        run.results[a]
    assert (await run.drive())[a] == "a1"
