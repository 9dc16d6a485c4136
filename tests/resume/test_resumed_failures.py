"""What failed in a run that goes on in another process."""

from __future__ import annotations

import pytest
from journals import (
    KEY,
    KilledError,
    killed,
    state_of_run,
)
from support import Log, add, answering, failing_on, last

from reflow import (
    Failed,
    Flow,
    MemoryJournal,
    RecoveredFailure,
    RunState,
    Step,
    StepFailedError,
    Visit,
)

pytestmark = pytest.mark.anyio


async def answering_later(visit: Visit) -> str:
    """Answer."""
    return answering(visit)


async def killed_behind_a_failure() -> tuple[Flow[None], Step[str], MemoryJournal]:
    """Record a failure and die at the next step; give the failed step, too, and what is left."""
    journal, dead = MemoryJournal(), [True]
    flow = Flow("f")
    bad = add(flow, "bad", failing_on(1))

    async def act(visit: Visit) -> str:
        if dead:
            raise KilledError
        return "b"

    add(flow, "b", act)
    left = await killed(flow.prepare(journal=journal, key=KEY, return_exceptions=True), journal)
    dead.clear()
    return flow, bad, left


async def test_failures_survive() -> None:
    """Type, message and traceback come back; under return_exceptions nothing runs again."""
    flow, bad, left = await killed_behind_a_failure()
    log = Log()
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
    flow, bad, left = await killed_behind_a_failure()
    log = Log()
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
