"""Failures, callbacks and observers: rules 4.4 of the design."""

from __future__ import annotations

import contextvars
import logging
from functools import partial
from typing import TYPE_CHECKING, assert_never

import anyio
import attrs
import pytest
from support import Log, add, answering, interrupted

from reflow import (
    CallbackFailed,
    Done,
    Event,
    Failed,
    Flow,
    FlowError,
    GoBackRequested,
    LoggingObserver,
    Outcome,
    Pending,
    RunCompleted,
    RunFailed,
    RunFinishedError,
    RunStarted,
    Skipped,
    Step,
    StepCompleted,
    StepEntered,
    StepFailed,
    StepFailedError,
    StepNotDoneError,
    Visit,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

pytestmark = pytest.mark.anyio


def failing_on(*numbers: int) -> Callable[[Visit], Awaitable[str]]:
    """Make a step's function that raises on these visits and answers on the others."""

    async def act(visit: Visit) -> str:
        if visit.number in numbers:
            raise ValueError(visit.number)
        return answering(visit)

    return act


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
        results.outcome(a).value = "x"  # type: ignore[misc,union-attr]


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


async def test_on_completed_is_called_between_visits_with_the_event() -> None:
    """Once for every completed visit, before the next one begins."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")
    calls: list[tuple[StepCompleted, list[str]]] = []

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(a)
        return answering(visit)

    add(flow, "b", act)

    async def callback(event: StepCompleted) -> None:
        await anyio.lowlevel.checkpoint()
        calls.append((event, log.entered.copy()))

    run = flow.prepare(observers=[log], on_completed=callback)
    await run.drive()
    assert calls == [
        (StepCompleted("a", 1, "a1", changed=False), ["a"]),
        (StepCompleted("a", 2, "a2", changed=True), ["a", "b", "a"]),
        (StepCompleted("b", 2, "b2", changed=False), ["a", "b", "a", "b"]),
    ]


@pytest.mark.parametrize("return_exceptions", [False, True])
async def test_a_callback_that_raises_cannot_change_a_result(return_exceptions: bool) -> None:
    """It ends the run, or joins the group; the answer stays."""
    flow, log = Flow("f"), Log()
    a, b = add(flow, "a"), add(flow, "b", failing_on(1))
    failure = RuntimeError("callback")

    async def callback(event: StepCompleted) -> None:
        raise failure

    run = flow.prepare(observers=[log], on_completed=callback, return_exceptions=return_exceptions)
    if return_exceptions:
        results = await run.drive()
        assert results.exceptions is not None
        assert [type(exc) for exc in results.exceptions.exceptions] == [RuntimeError, ValueError]
        assert isinstance(results.outcome(b), Failed)
    else:
        with pytest.raises(RuntimeError, match="callback") as info:
            await run.drive()
        assert info.value is failure
        assert failure.__notes__ == ["in on_completed for step 'a' of flow 'f', visit 1"]
    assert run.results[a] == "a1"
    assert CallbackFailed("a", failure) in log


async def test_a_callback_that_fails_is_made_good_by_the_next_answer() -> None:
    """The next answer of the step was reported without failure."""
    flow = Flow("f")
    a = add(flow, "a")

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            assert visit.run.results.exceptions is not None
            await visit.go_back(a)
        return answering(visit)

    add(flow, "b", act)

    async def callback(event: StepCompleted) -> None:
        if (event.step, event.number) == ("a", 1):
            raise RuntimeError

    results = await flow.run(on_completed=callback, return_exceptions=True)
    assert results.exceptions is None


async def test_a_callback_is_cancelled_from_outside() -> None:
    """A callback that never returns doesn't hold up whoever cancels the run."""
    flow = Flow("f")
    add(flow, "a")
    add(flow, "b")

    async def callback(event: StepCompleted) -> None:
        scope.cancel()
        await interrupted()

    run = flow.prepare(on_completed=callback, return_exceptions=True)
    with anyio.CancelScope() as scope:
        await run.drive()
    assert scope.cancelled_caught
    assert run.state.value == "cancelled"
    assert len(run.results) == 1


async def test_a_callback_is_not_cancelled_by_an_answer() -> None:
    """Between visits there is nothing to interrupt, whatever the last visit went by."""
    flow = Flow("f")
    ended: list[str] = []
    a = add(flow, "a")

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.answer(a, "corrected")
        return answering(visit)

    add(flow, "b", act, depends_on=(a,))
    c = add(flow, "c")

    async def callback(event: StepCompleted) -> None:
        if (event.step, event.number) == ("b", 1):
            run.answer(c, "early")
            await anyio.lowlevel.checkpoint()
            ended.append(event.step)

    run = flow.prepare(on_completed=callback)
    await run.drive()
    assert ended == ["b"]


async def test_an_observer_that_raises_is_logged_and_switched_off(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With its traceback, once, for this run only; the others hear everything."""
    flow, log = Flow("f"), Log()
    add(flow, "a")
    calls: list[Event] = []

    def broken(event: Event) -> None:
        calls.append(event)
        raise RuntimeError("broken")

    for _ in range(2):
        await flow.run(observers=[broken, log])
    assert calls == [RunStarted("f"), RunStarted("f")]
    assert log[-1] == RunCompleted()
    assert [record.name for record in caplog.records] == ["reflow", "reflow"]
    assert "broken" in caplog.text
    assert "observer" in caplog.text
    assert "of flow 'f' raised, it is switched off for this run" in caplog.text
    assert "Traceback" in caplog.text


async def test_a_base_exception_in_an_observer_propagates() -> None:
    """Ctrl+C is not the observer's fault."""
    flow, log = Flow("f"), Log()
    add(flow, "a")

    def observe(event: Event) -> None:
        if isinstance(event, StepEntered):
            raise KeyboardInterrupt

    run = flow.prepare(observers=[log, observe])
    with pytest.raises(KeyboardInterrupt):
        await run.drive()
    assert isinstance(log[-1], RunFailed)


async def test_events_reach_everyone_in_order() -> None:
    """A request made inside an observer takes effect at once, its event comes after this one."""
    flow, first, second = Flow("f"), Log(), Log()
    a = add(flow, "a")
    add(flow, "b")

    def ask(event: Event) -> None:
        if event == StepCompleted("a", 1, "a1", changed=False):
            run.go_back(a)
            assert run.detour == (a,)
            assert isinstance(first[-1], StepCompleted)

    run = flow.prepare(observers=[first, ask, second])
    await run.drive()
    assert first == second
    assert [type(event) for event in first[2:5]] == [StepCompleted, GoBackRequested, StepEntered]


async def test_observers_are_told_in_the_context_of_drive() -> None:
    """Also of requests made by other tasks: what is set around `drive()` identifies the run."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="nobody's")
    flow = Flow("f")
    waiting = anyio.Event()
    seen: list[str] = []

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            waiting.set()
            await interrupted()
        return answering(visit)

    async def sets(visit: Visit) -> str:
        variable.set("the step's")
        return answering(visit)

    add(flow, "a", sets)
    add(flow, "b", act)
    run = flow.prepare(observers=[lambda _: seen.append(variable.get())])

    async def listen() -> None:
        await waiting.wait()
        before = len(seen)
        run.go_back("a")
        assert len(seen) > before

    async def drive() -> None:
        variable.set("the run's")
        await run.drive()

    async with anyio.create_task_group() as tg:
        tg.start_soon(listen)
        tg.start_soon(drive)
    assert set(seen) == {"the run's", "the step's"}
    assert seen.index("the step's") == 2


async def test_a_request_on_the_last_event_comes_too_late() -> None:
    """The run has ended when its end is told."""
    flow = Flow("f")
    a = add(flow, "a")
    caught: list[Exception] = []

    def ask(event: Event) -> None:
        if isinstance(event, RunCompleted):
            with pytest.raises(RunFinishedError) as info:
                run.go_back(a)
            caught.append(info.value)

    run = flow.prepare(observers=[ask])
    await run.drive()
    assert len(caught) == 1


def test_an_async_observer_is_refused() -> None:
    """Its coroutine would never be awaited."""
    flow = Flow("f")

    async def observe(event: Event) -> None:
        raise AssertionError

    with pytest.raises(
        FlowError, match=r"observer <function .*observe.*> must be a plain function"
    ):
        flow.prepare(observers=[observe])


async def a_flow_with_secrets(caplog: pytest.LogCaptureFixture, level: int) -> str:
    """Run a flow with a sensitive step that fails, and one that doesn't; give all text there is."""
    flow, log = Flow("f"), Log()

    async def card(visit: Visit) -> str:
        if visit.number == 1:
            raise ValueError("not a card: SECRET")
        return "SECRET"

    async def plain(visit: Visit) -> str:
        if visit.number == 1:
            raise ValueError("OPEN error")
        return "OPEN"

    async def act(visit: Visit) -> str:
        match visit.number:
            case 1:
                try:
                    await visit.go_back(a, b)
                finally:
                    raise ValueError("SECRET")
            case 2:
                visit.run.answer(c, "SECRET")
                await visit.go_back(c)
            case 3:
                visit.run.answer(c, "SECRET SECRET")
                visit.run.go_back(c)
                return "SECRET"
            case 4:
                visit.run.answer(c, "SECRET")
                raise ValueError("SECRET")
            case _:
                raise AssertionError

    a = flow.step("a", id="a", sensitive=True)(card)
    b = flow.step("b", id="b")(plain)
    c: Step[str] = flow.step("c", id="c", sensitive=True)(act)
    logger = logging.getLogger("reflow.test")
    caplog.set_level(level, logger="reflow")

    async def callback(event: StepCompleted) -> None:
        if event.sensitive:
            raise ValueError("SECRET")

    run = flow.prepare(
        return_exceptions=True,
        on_completed=callback,
        observers=[log, LoggingObserver(), LoggingObserver(logger, prefix="call-42")],
    )
    results = await run.drive()
    assert results[a] == "SECRET"
    kinds = {type(event).__name__ for event in log}
    assert kinds > {"AnswerSuperseded", "CallbackFailed", "CleanupFailed", "StepFailed"}
    texts = [*map(repr, log), *map(str, log), repr(run), repr(results), repr(flow)]
    texts += [repr(results.outcome(step)) for step in (a, b, c)]
    return "\n".join(texts)


@pytest.mark.parametrize("level", [logging.INFO, logging.DEBUG])
async def test_a_sensitive_answer_reaches_no_text(
    caplog: pytest.LogCaptureFixture, level: int
) -> None:
    """Not a repr, not an event's text, not a log at any level; nor does what may quote it."""
    text = await a_flow_with_secrets(caplog, level)
    assert "SECRET" not in text
    assert "SECRET" not in caplog.text
    assert "<sensitive>" in text
    assert "<ValueError, sensitive>" in text
    assert "OPEN" in text


async def test_the_logging_observer_keeps_answers_to_debug(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """At INFO and above there are ids, visits and reasons, but no answer and no error text."""
    await a_flow_with_secrets(caplog, logging.DEBUG)
    above = [record for record in caplog.records if record.levelno >= logging.INFO]
    below = [record for record in caplog.records if record.levelno < logging.INFO]
    assert not any("OPEN" in record.getMessage() for record in above)
    assert any("OPEN" in record.getMessage() for record in below)
    lines = [record.getMessage() for record in above if record.name == "reflow"]
    assert "RunStarted flow=f" in lines
    assert "RunCompleted" in lines
    assert "StepEntered step=a number=1 reason=first" in lines
    assert "GoBackRequested steps=a,b ahead=False" in lines
    failed = "StepFailed step=a number=1 changed=False in_condition=False exception=ValueError"
    assert failed in lines
    levels = {record.getMessage(): record.levelno for record in above if record.name == "reflow"}
    assert levels[failed] == logging.WARNING
    assert levels["RunStarted flow=f"] == logging.INFO
    prefixed = [record for record in above if record.name == "reflow.test"]
    assert prefixed[0].getMessage() == "call-42: RunStarted flow=f"


async def test_a_failed_run_does_not_tell_a_secret() -> None:
    """The exception that ends the run may quote the answer, too."""
    flow, log = Flow("f"), Log()

    async def act(visit: Visit) -> str:
        raise ValueError("SECRET")

    flow.step("a", id="a", sensitive=True)(act)
    with pytest.raises(ValueError, match="SECRET"):
        await flow.run(observers=[log])
    assert repr(log[-1]) == "RunFailed(exception=<ValueError, sensitive>)"


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


async def test_event_texts_of_failures_name_the_exception() -> None:
    """The repr of an event is what a person reads in a debugger."""
    flow, log = Flow("f"), Log()
    add(flow, "a", failing_on(1))
    await flow.run(observers=[log], return_exceptions=True)
    (failed,) = log.of(StepFailed)
    assert repr(failed) == (
        "StepFailed(step='a', number=1, exception=ValueError(1), changed=False, in_condition=False)"
    )
