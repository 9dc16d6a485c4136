"""A run goes on in another process where it was left: here, in another `Run`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest
from journals import KEY, Unreliable, journal_of, kinds, state_of_run, stored
from support import Log, add, answering, failing_on, interrupted, last, never

from reflow import (
    Failed,
    Flow,
    FlowError,
    MemoryJournal,
    Opened,
    Pending,
    Reason,
    RecoveredFailure,
    RunFinishedError,
    RunStarted,
    RunState,
    RunStoppedError,
    Skipped,
    Step,
    StepFailedError,
    StepNotDoneError,
    Visit,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from reflow import Run

pytestmark = pytest.mark.anyio


class KilledError(BaseException):
    """Ends a run as if its process had been killed: what comes after it isn't written."""


async def killed(run: Run, journal: MemoryJournal) -> MemoryJournal:
    """Drive a run until its process dies; give what it has left in the journal."""
    with pytest.raises(KilledError):
        await run.drive()
    rows = await journal.read(KEY)
    # Of the end of the run nothing is known.
    left = next(i for i, row in enumerate(rows) if '"RunFailed"' in row.event)
    return await journal_of(rows[:left])


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


async def test_failures_survive() -> None:
    """Type, message and traceback come back; under return_exceptions nothing runs again."""
    journal, log, dead = MemoryJournal(), Log(), [True]
    flow = Flow("f")
    bad = add(flow, "bad", failing_on(1))

    async def act(visit: Visit) -> str:
        if dead:
            raise KilledError
        return "b"

    add(flow, "b", act)
    left = await killed(flow.prepare(journal=journal, key=KEY, return_exceptions=True), journal)
    dead.clear()
    results = await flow.run(journal=left, key=KEY, return_exceptions=True, observers=[log])
    assert log.visits == ["b 2 recovered"]
    with pytest.raises(StepFailedError) as raised:
        results[bad]
    failure = raised.value.__cause__
    assert isinstance(failure, RecoveredFailure)
    assert (failure.type, failure.message, str(failure)) == ("ValueError", "1", "ValueError: 1")
    assert "raise ValueError(visit.number)" in failure.traceback
    assert results.exceptions is not None
    assert results.exceptions.exceptions == (failure,)


async def test_without_return_exceptions_what_failed_runs_again() -> None:
    """A run that raises failures doesn't go on over one that another run only recorded."""
    journal, log, dead = MemoryJournal(), Log(), [True]
    flow = Flow("f")
    bad = add(flow, "bad", failing_on(1))

    async def act(visit: Visit) -> str:
        if dead:
            raise KilledError
        return "b"

    add(flow, "b", act)
    left = await killed(flow.prepare(journal=journal, key=KEY, return_exceptions=True), journal)
    dead.clear()
    results = await flow.run(journal=left, key=KEY, observers=[log])
    assert log.visits == ["bad 2 recovered", "b 2 recovered"]
    assert results[bad] == "bad2"
    assert results.exceptions is None


@pytest.mark.parametrize("return_exceptions", [False, True])
async def test_a_failed_run_runs_the_failing_step_again(*, return_exceptions: bool) -> None:
    """Whoever resumes it wants another try, with the rest as it was."""
    journal, log = MemoryJournal(), Log()
    flow = Flow("f")
    a = add(flow, "a")
    bad = add(flow, "bad", failing_on(1), depends_on=(a,))
    add(flow, "c")
    with pytest.raises(ValueError, match="1"):
        await flow.run(journal=journal, key=KEY)
    assert await state_of_run(journal) is RunState.FAILED
    results = await flow.run(
        journal=journal, key=KEY, observers=[log], return_exceptions=return_exceptions
    )
    assert log.visits == ["bad 2 recovered", "c 1 first"]
    assert results[bad] == "bad2"


async def test_a_failed_revisit_is_tried_again() -> None:
    """The good answer stands, but what was asked for comes first."""
    journal, log = MemoryJournal(), Log()
    flow = Flow("f")
    a = add(flow, "a", failing_on(2))
    last(flow, a)
    with pytest.raises(ValueError, match="2"):
        await flow.run(journal=journal, key=KEY)
    run = flow.prepare(journal=journal, key=KEY, observers=[log])
    results = await run.drive()
    assert log.visits == ["a 3 recovered", "last 2 resumed"]
    assert results[a] == "a3"


async def test_a_failed_condition_is_evaluated_again() -> None:
    """It is what failed of its step."""
    journal, log, broken = MemoryJournal(), Log(), [True]
    flow = Flow("f")
    add(flow, "a")

    def when(results: object) -> bool:
        if broken:
            message = "broken"
            raise ValueError(message)
        return True

    b = flow.step("b", id="b", when=when)(answering_later)
    with pytest.raises(ValueError, match="broken"):
        await flow.run(journal=journal, key=KEY)
    broken.clear()
    results = await flow.run(journal=journal, key=KEY, observers=[log])
    assert log.visits == ["b 1 first"]
    assert results[b] == "b1"


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


async def left_in_the_middle(kind: str = "") -> tuple[Flow[None], MemoryJournal]:
    """Leave a run in the middle of its detour to `c`, with `b` and `d` still to come."""
    journal, flow, dead = MemoryJournal(), Flow("f"), [True]
    a, b = add(flow, "a"), add(flow, "b")

    async def ask(visit: Visit) -> str:
        if visit.reason is Reason.REQUESTED and dead:
            dead.clear()
            raise KilledError
        return answering(visit)

    c = flow.step(
        "c",
        id="c",
        depends_on=[a] if kind == "depends_on" else [],
        when=(lambda r: r[a] != "") if kind == "when" else None,
        always_ask=kind == "always_ask",
    )(ask)

    async def back(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.go_back(c, b)
            await interrupted()
        return answering(visit)

    add(flow, "d", back)
    return flow, await killed(flow.prepare(journal=journal, key=KEY), journal)


async def test_in_the_middle_of_a_detour() -> None:
    """What the person was asked comes first, then what is left."""
    flow, left = await left_in_the_middle()
    log = Log()
    await flow.run(journal=left, key=KEY, observers=[log])
    assert log.visits == ["c 3 recovered", "b 2 requested", "d 2 resumed"]


async def test_a_request_comes_before_the_recovered_step() -> None:
    """As it would have if it had come during the visit; the step keeps its place behind it."""
    flow, left = await left_in_the_middle()
    log = Log()
    run = flow.prepare(journal=left, key=KEY, observers=[log])
    run.jump_ahead("a")
    await run.drive()
    assert log.visits == ["a 2 requested", "c 3 recovered", "b 2 requested", "d 2 resumed"]


async def test_the_recovered_step_is_answered() -> None:
    """Then nobody is asked."""
    flow, left = await left_in_the_middle()
    log = Log()
    run = flow.prepare(journal=left, key=KEY, observers=[log])
    c = flow.steps[2]
    assert isinstance(c, Step)
    run.answer(c, "given")
    results = await run.drive()
    assert log.visits == ["b 2 requested", "d 2 resumed"]
    assert results[c] == "given"


@pytest.mark.parametrize("kind", ["depends_on", "when", "always_ask"])
async def test_an_input_of_the_recovered_step_changes(kind: str) -> None:
    """It is still asked, once, by what is so now."""
    flow, left = await left_in_the_middle(kind)
    log = Log()
    run = flow.prepare(journal=left, key=KEY, observers=[log])
    a = flow.steps[0]
    assert isinstance(a, Step)
    run.answer(a, "new")
    await run.drive()
    assert log.visits[0] == "c 3 recovered"
    assert log.entered.count("d") == 1
    assert run.results[a] == "new"


async def test_a_recovered_failure_is_stored_as_what_it_was() -> None:
    """However often it is raised again, in whatever process; a group with all its members."""
    journal, dead = MemoryJournal(), [True]
    flow = Flow("f")
    bad = add(flow, "bad", failing_on(1))

    async def grouped(visit: Visit) -> str:
        visit.run.results.raise_exceptions()
        raise AssertionError

    add(flow, "group", grouped)

    async def act(visit: Visit) -> str:
        if dead:
            raise KilledError
        outcome = visit.run.results.outcome(bad)
        assert isinstance(outcome, Failed)
        raise outcome.exception

    add(flow, "again", act)
    left = await killed(flow.prepare(journal=journal, key=KEY, return_exceptions=True), journal)
    dead.clear()
    await flow.run(journal=left, key=KEY, return_exceptions=True)
    results = await flow.run(journal=left, key=KEY, return_exceptions=True)
    assert results.exceptions is not None
    texts = [str(exc) for exc in results.exceptions.exceptions]
    assert texts == [
        "ValueError: 1",
        "ExceptionGroup: failures in flow 'f' (1 sub-exception)",
        "ValueError: 1",
    ]
    failure = results.exceptions.exceptions[1]
    assert isinstance(failure, RecoveredFailure)
    assert "raise ValueError(visit.number)" in failure.traceback


class UnshowableError(SyntaxError):
    """What `traceback` can't format."""

    def __init__(self) -> None:
        super().__init__("x")
        self.text = 5  # type: ignore[assignment]  # what is tested
        self.lineno = 1
        self.offset = "b"  # type: ignore[assignment]  # what is tested


async def test_a_failure_that_cant_be_shown() -> None:
    """What is known of it is stored; the run doesn't suffer from it, nor the rows behind."""
    journal, flow = MemoryJournal(), Flow("f")
    a = add(flow, "a")

    async def act(visit: Visit) -> str:
        if visit.number == 2:
            raise UnshowableError
        return answering(visit)

    b = add(flow, "b", act, depends_on=(a,))
    add(flow, "c", depends_on=(b,))
    last(flow, a)
    await flow.run(journal=journal, key=KEY, return_exceptions=True)
    results = await flow.run(journal=journal, key=KEY, return_exceptions=True)
    outcome = results.outcome(b)
    assert isinstance(outcome, Failed)
    assert "UnshowableError" in str(outcome.exception)
