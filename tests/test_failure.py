"""Failures."""

from __future__ import annotations

from functools import partial
from typing import assert_never

import anyio
import attrs
import pytest
from support import Log, add, answering, failing_on, interrupted

from reflow import (
    Done,
    Failed,
    Flow,
    Outcome,
    Pending,
    RunFailed,
    RunFinishedError,
    Skipped,
    Step,
    StepFailed,
    StepFailedError,
    StepNotDoneError,
    Visit,
)

pytestmark = pytest.mark.anyio


async def test_an_exception_ends_the_run_as_itself() -> None:
    """The same object, not wrapped, with a note that names flow, step and visit."""
    flow, log = Flow("intake"), Log()
    failure = ValueError("no")

    async def act(visit: Visit) -> str:
        raise failure

    a = add(flow, "a", act)
    add(flow, "b")
    run = flow.prepare(observers=[log])
    with pytest.raises(ValueError, match="no") as info:
        await run.drive()
    assert info.value is failure
    assert failure.__notes__ == ["in step 'a' of flow 'intake', visit 1"]
    assert log.entered == ["a"]
    assert run.state.value == "failed"
    assert run.results.outcome(a) == Failed(failure)
    assert isinstance(log[-1], RunFailed)
    with pytest.raises(RunFinishedError, match="it is failed"):
        run.go_back(a)


@attrs.frozen
class FrozenError(Exception):
    """An exception that takes no notes."""

    code: int


async def test_an_exception_that_takes_no_note_propagates_all_the_same() -> None:
    """A note is a courtesy, it must not replace the failure."""
    flow = Flow("f")

    async def act(visit: Visit) -> str:
        raise FrozenError(7)

    add(flow, "a", act)
    with pytest.raises(FrozenError) as info:
        await flow.run()
    assert info.value.code == 7


async def test_failures_are_collected_and_the_run_goes_on() -> None:
    """They come out as one group in flow order, and each step's outcome tells of its own."""
    flow = Flow("f")
    a, b, c = add(flow, "a", failing_on(1)), add(flow, "b"), add(flow, "c", failing_on(1))
    results = await flow.run(return_exceptions=True)
    exceptions = results.exceptions
    assert exceptions is not None
    assert exceptions.message == "failures in flow 'f'"
    assert [type(exc) for exc in exceptions.exceptions] == [ValueError, ValueError]
    with pytest.raises(ExceptionGroup) as info:
        results.raise_exceptions()
    assert info.value.exceptions == exceptions.exceptions
    assert results[b] == "b1"
    with pytest.raises(
        StepFailedError, match="step 'a' of flow 'f' has no answer: it failed"
    ) as one:
        results[a]
    assert one.value.__cause__ is exceptions.exceptions[0]
    assert isinstance(one.value, StepNotDoneError | LookupError)
    assert results.get(c, "none") == "none"


async def test_without_failures_there_is_nothing_to_raise() -> None:
    """None, not an empty group, which Python doesn't know."""
    flow = Flow("f")
    add(flow, "a")
    results = await flow.run(return_exceptions=True)
    assert results.exceptions is None
    results.raise_exceptions()


async def test_an_answer_since_makes_a_failure_good() -> None:
    """A step that was gone back to and answers has not failed."""
    flow = Flow("f")
    a = add(flow, "a", failing_on(1))

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(a)
        return answering(visit)

    add(flow, "b", act)
    results = await flow.run(return_exceptions=True)
    assert (results[a], results.exceptions) == ("a2", None)


async def test_being_skipped_does_not_make_a_failure_good() -> None:
    """Failed, then skipped: an outcome changed, and the failure is still told."""
    flow, log = Flow("f"), Log()

    async def first(visit: Visit) -> int:
        return visit.number

    a = flow.step("a", id="a")(first)
    b = flow.step("b", id="b", when=lambda r: r[a] == 1)(failing_on(1))
    add(flow, "c", depends_on=(b,))

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(a)
        return answering(visit)

    add(flow, "d", act)
    results = await flow.run(return_exceptions=True, observers=[log])
    assert log.visits[4:] == ["a 2 requested", "c 2 stale", "d 2 resumed"]
    assert results.outcome(b) == Skipped()
    assert results.exceptions is not None


async def test_a_good_answer_is_never_destroyed() -> None:
    """A requested revisit that fails leaves it standing, with the failure beside it."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a", failing_on(2))
    add(flow, "b", depends_on=(a,))

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(a)
        return answering(visit)

    add(flow, "c", act)
    results = await flow.run(return_exceptions=True, observers=[log])
    assert log.visits[3:] == ["a 2 requested", "c 2 resumed"]
    assert results[a] == "a1"
    assert results.outcome(a) == Done("a1")
    assert [event.changed for event in log if isinstance(event, StepFailed)] == [False]
    assert results.exceptions is not None
    assert [str(exc) for exc in results.exceptions.exceptions] == ["2"]


async def test_a_revisit_that_fails_while_stale_fails_the_step() -> None:
    """The old answer was no longer true: a failure is a change like any other."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")
    b = add(flow, "b", failing_on(2), depends_on=(a,))
    add(flow, "c", depends_on=(b,))

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(a)
        if visit.number == 2:
            assert isinstance(visit.run.results.outcome(b), Failed)
            await visit.go_back(b)
        return answering(visit)

    add(flow, "d", act)
    results = await flow.run(return_exceptions=True, observers=[log])
    assert log.visits[4:] == [
        *("a 2 requested", "b 2 stale", "c 2 stale", "d 2 resumed"),
        *("b 3 requested", "c 3 stale", "d 3 resumed"),
    ]
    assert (results[b], results.exceptions) == ("b3", None)


async def test_failed_after_failed_is_no_change() -> None:
    """What depends on the step has nothing new to go by."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a", failing_on(1, 2))
    add(flow, "b", depends_on=(a,))

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(a)
        return answering(visit)

    add(flow, "c", act)
    results = await flow.run(return_exceptions=True, observers=[log])
    assert log.visits[3:] == ["a 2 requested", "c 2 resumed"]
    assert results.exceptions is not None
    assert [str(exc) for exc in results.exceptions.exceptions] == ["2"]


async def test_a_failed_step_is_stale_when_its_input_changed() -> None:
    """It may work with the new answer."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")
    b = add(flow, "b", failing_on(1), depends_on=(a,))

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(a)
        return answering(visit)

    add(flow, "c", act)
    results = await flow.run(return_exceptions=True, observers=[log])
    assert log.visits[3:] == ["a 2 requested", "b 2 stale", "c 2 resumed"]
    assert results[b] == "b2"


async def test_a_requested_revisit_of_a_failed_step_that_is_interrupted() -> None:
    """It stays failed meanwhile, and resumes from the detour."""
    flow, log = Flow("f"), Log()
    x = add(flow, "x")

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            raise ValueError
        if visit.number == 2:
            visit.run.go_back(x)
            assert isinstance(visit.run.results.outcome(a), Failed)
            await interrupted()
        return answering(visit)

    a: Step[str] = add(flow, "a", act)

    async def ask(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(a)
        return answering(visit)

    add(flow, "b", ask)
    results = await flow.run(return_exceptions=True, observers=[log])
    assert log.visits[3:] == ["a 2 requested", "x 2 requested", "a 3 requested", "b 2 resumed"]
    assert results[a] == "a3"


def told(outcome: Outcome[str]) -> str:
    """Tell of an outcome, whatever it is; a type checker proves that none is missing."""
    match outcome:
        case Done(value):
            return value
        case Failed(exception):
            return type(exception).__name__
        case Skipped():
            return "skipped"
        case Pending(state):
            return state.value
        case _:
            assert_never(outcome)


async def test_outcomes_are_made_for_match() -> None:
    """Four final frozen classes, nothing else."""
    flow = Flow("f")
    a, b = add(flow, "a"), add(flow, "b", failing_on(1))
    c = flow.step("c", id="c", when=lambda _: False)(failing_on())

    async def act(visit: Visit) -> str:
        return ",".join(told(visit.run.results.outcome(step)) for step in (a, b, c, d, e))

    d: Step[str] = add(flow, "d", act)
    e = add(flow, "e")
    results = await flow.run(return_exceptions=True)
    assert results[d] == "a1,ValueError,skipped,active,pending"
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        results.outcome(a).value = "x"  # type: ignore[misc,union-attr]  # the point


@pytest.mark.parametrize("return_exceptions", [False, True])
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
async def test_base_exceptions_always_propagate(
    error: type[BaseException], return_exceptions: bool
) -> None:
    """They are not failures of a step; the run is over, the answers so far can be read."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def act(visit: Visit) -> str:
        raise error

    add(flow, "b", act)
    run = flow.prepare(observers=[log], return_exceptions=return_exceptions)
    with pytest.raises(error):
        await run.drive()
    assert isinstance(log[-1], RunFailed)
    assert run.results[a] == "a1"
    assert run.state.value == "failed"


async def test_several_runs_of_a_flow_do_not_touch_each_other() -> None:
    """A flow keeps no state: going back in one run is nothing to the others."""
    flow = Flow[int]("f")
    seen: list[tuple[int, int]] = []

    @flow.step("a")
    async def a(visit: Visit[int]) -> int:
        seen.append((visit.deps, visit.number))
        return visit.deps

    @flow.step("b")
    async def b(visit: Visit[int]) -> int:
        await anyio.lowlevel.checkpoint()
        if visit.number <= visit.deps:
            await visit.go_back(a)
        return visit[a]

    async with anyio.create_task_group() as tg:
        for deps in range(3):
            tg.start_soon(partial(flow.run, deps))
    assert sorted(seen) == [(0, 1), (1, 1), (1, 2), (2, 1), (2, 2), (2, 3)]
    assert (await flow.run(0))[b] == 0
