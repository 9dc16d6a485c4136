"""Events, observers, logging, and what they must not tell."""

from __future__ import annotations

import contextvars
import logging

import anyio
import pytest
from support import Log, add, answering, failing_on, interrupted

from reflow import (
    Event,
    Flow,
    FlowError,
    GoBackRequested,
    LoggingObserver,
    MemoryJournal,
    Opened,
    RunCompleted,
    RunFailed,
    RunFinishedError,
    RunStarted,
    Step,
    StepCompleted,
    StepEntered,
    StepFailed,
    Visit,
)

pytestmark = pytest.mark.anyio


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


async def test_event_texts_of_failures_name_the_exception() -> None:
    """The repr of an event is what a person reads in a debugger."""
    flow, log = Flow("f"), Log()
    add(flow, "a", failing_on(1))
    await flow.run(observers=[log], return_exceptions=True)
    (failed,) = log.of(StepFailed)
    assert repr(failed) == (
        "StepFailed(step='a', number=1, exception=ValueError(1), changed=False, in_condition=False)"
    )


class Originator(Log):
    """An observer that gives an origin, or fails to."""

    def __init__(self, origin: object) -> None:
        """Give this, or raise it."""
        super().__init__()
        self.gives = origin
        self.asked: list[str] = []

    def origin(self, flow: str) -> object:
        """Give it."""
        self.asked.append(flow)
        if isinstance(self.gives, Exception):
            raise self.gives
        return self.gives


async def test_the_first_origin_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    """Everyone who goes on with the run is told it; those who fail to give one are switched off."""
    flow, journal = Flow("f"), MemoryJournal()
    add(flow, "a", failing_on(1, 2))
    others = [Originator(thing) for thing in (RuntimeError("broken"), "", 7, "first", "second")]
    broken, empty, number, first, second = others
    with pytest.raises(ValueError, match="1"):
        await flow.run(observers=[print, *others], journal=journal, key="k")
    assert [len(other.asked) for other in others] == [1, 1, 1, 1, 0]
    assert empty.asked == ["f"]
    assert broken == []
    assert "of flow 'f' raised, it is switched off for this run" in caplog.text
    with pytest.raises(ValueError, match="2"):
        await flow.run(observers=[number, second], journal=journal, key="k")
    add(flow, "b")
    await flow.run(observers=[number], journal=journal, key="k", on_change="keep")
    assert [event.origin for event in number if isinstance(event, Opened)] == ["first"] * 3
    assert second.asked == []
    assert isinstance(first[0], Opened)


async def test_no_origin_without_a_journal() -> None:
    """There is nobody to give it to."""
    flow, observer = Flow("f"), Originator("first")
    add(flow, "a")
    await flow.run(observers=[observer])
    assert observer.asked == []
