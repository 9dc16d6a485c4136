"""Traces: which spans there are, what they tell, and what they must not."""

from __future__ import annotations

import logging

import anyio
import pytest
from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.trace import StatusCode
from spans import Spans, happened, id_of, parent_of, told
from support import add, answering, failing_on, interrupted

from reflow import Flow, Results, StepCompleted, Visit
from reflow.otel import Tracing

MARK = "4111-SECRET-1111"


@pytest.fixture
def spans() -> Spans:
    """Give what keeps the spans of a test."""
    return Spans()


@pytest.fixture(autouse=True)
def silence(caplog: pytest.LogCaptureFixture) -> None:
    """Let nothing be lost in a log: OpenTelemetry reports wrong use there."""
    caplog.set_level(logging.WARNING)


@pytest.mark.anyio
async def test_a_run_and_its_visits(spans: Spans, caplog: pytest.LogCaptureFixture) -> None:
    """A span for the run below the one around it, and one for each visit, with all that is told."""
    flow = Flow("f")
    a = add(flow, "a")

    async def going_back(visit: Visit) -> str:
        with spans.tracer.start_as_current_span("inside"):
            if visit.number == 1:
                await visit.go_back(a)
        return answering(visit)

    add(flow, "b", going_back, depends_on=(a,))
    with spans.tracer.start_as_current_span("around") as around:
        before = contexts.get_current()
        await flow.run(observers=[Tracing(spans.tracer)])
        assert contexts.get_current() is before
        assert trace.get_current_span() is around
    names = ["visit a", "inside", "visit b", "visit a", "inside", "visit b", "run f", "around"]
    assert [span.name for span in spans.all] == names
    first_a, inside, first_b, second_a, again, second_b, run, outside = spans.all
    assert parent_of(run) == id_of(outside)
    assert {parent_of(visit) for visit in (first_a, first_b, second_a, second_b)} == {id_of(run)}
    assert [parent_of(inside), parent_of(again)] == [id_of(first_b), id_of(second_b)]
    assert told(run) == {"reflow.flow": "f", "reflow.outcome": "completed"}
    assert told(first_b) == {
        "reflow.flow": "f",
        "reflow.step": "b",
        "reflow.visit.number": 1,
        "reflow.visit.reason": "first",
        "reflow.outcome": "interrupted",
    }
    assert told(second_a) == {
        "reflow.flow": "f",
        "reflow.step": "a",
        "reflow.visit.number": 2,
        "reflow.visit.reason": "requested",
        "reflow.changed": True,
        "reflow.outcome": "completed",
    }
    requested = {"reflow.steps": ("a",), "reflow.ahead": False}
    assert happened(first_b) == [("reflow.go_back_requested", requested)]
    assert {span.status.status_code for span in spans.all} == {StatusCode.UNSET}
    assert not caplog.records


@pytest.mark.anyio
async def test_failures(spans: Spans) -> None:
    """The type and where it was raised, but never the text; the run has failed, too."""
    flow = Flow("f")
    add(flow, "a", failing_on(1))
    with pytest.raises(ValueError, match="1"):
        await flow.run(observers=[Tracing(spans.tracer)])
    visit, run = spans.all
    for span in (visit, run):
        assert span.status.status_code is StatusCode.ERROR
        assert span.status.description is None
        assert told(span)["error.type"] == "ValueError"
        assert told(span)["reflow.outcome"] == "failed"
    ((name, attributes),) = happened(visit)
    assert name == "exception"
    assert attributes.keys() == {"exception.type", "exception.stacktrace"}
    assert "support.py" in str(attributes["exception.stacktrace"])
    assert happened(run) == []


@pytest.mark.anyio
async def test_no_values(spans: Spans) -> None:
    """Whatever a step does with its answer: it isn't in the trace, and of a sensitive step less."""
    flow = Flow("f")
    card = flow.step("card", id="card", sensitive=True)(secret)

    async def failing(visit: Visit) -> str:
        if visit.number == 1:
            raise ConnectionError(MARK)
        return MARK

    flow.step("pay", id="pay", sensitive=True)(failing)
    open_step = flow.step("open", id="open")(failing)
    run = flow.prepare(return_exceptions=True, observers=[Tracing(spans.tracer)])
    run.answer(card, MARK)
    await run.drive()
    assert open_step not in run.results
    text = "".join(span.to_json() for span in spans.all)
    assert "ConnectionError" in text
    assert MARK not in text
    pay, open_, _ = spans.all
    assert happened(pay) == [("exception", {"exception.type": "ConnectionError"})]
    assert "test_tracing.py" in str(happened(open_))


async def secret(visit: Visit) -> str:
    """Stand in for a step whose answer is given from outside."""
    raise AssertionError


@pytest.mark.anyio
async def test_answered_and_skipped_from_another_task(
    spans: Spans, caplog: pytest.LogCaptureFixture
) -> None:
    """The visit ends when it was left; what its cleanup traces is still below it."""
    flow, waiting = Flow("f"), anyio.Event()

    async def wait(visit: Visit) -> str:
        waiting.set()
        try:
            await interrupted()
        finally:
            with spans.tracer.start_as_current_span("cleanup"):
                pass

    a = flow.step("a", id="a")(wait)
    b = flow.step("b", id="b", optional=True)(wait)
    add(flow, "c")
    run = flow.prepare(observers=[Tracing(spans.tracer)])

    async def ask() -> None:
        nonlocal waiting
        await waiting.wait()
        waiting = anyio.Event()
        run.answer(a, "x")
        await waiting.wait()
        run.skip(b)

    async with anyio.create_task_group() as tg:
        tg.start_soon(ask)
        await run.drive()
    assert spans.outcomes == [
        *("cleanup", "visit a answered", "cleanup", "visit b skipped"),
        *("visit c completed", "run f completed"),
    ]
    assert parent_of(spans.all[0]) == id_of(spans.all[1])
    assert parent_of(spans.all[2]) == id_of(spans.all[3])
    answered = {"reflow.step": "a", "reflow.changed": False}
    assert happened(spans.all[1]) == [("reflow.step_answered", answered)]
    skipped = {"reflow.step": "b", "reflow.by_condition": False}
    assert happened(spans.all[3]) == [("reflow.step_skipped", skipped)]
    assert trace.get_current_span() is trace.INVALID_SPAN
    assert not caplog.records


@pytest.mark.anyio
async def test_left_behind_by_an_answer(spans: Spans) -> None:
    """An answer that comes too late, and a cleanup that fails, belong to the visit."""
    flow = Flow("f")

    async def late(visit: Visit) -> str:
        visit.run.answer(a, "given")
        return "late"

    async def clumsy(visit: Visit) -> str:
        visit.run.answer(b, "given")
        raise ValueError

    a = flow.step("a", id="a")(late)
    b = flow.step("b", id="b")(clumsy)
    await flow.run(observers=[Tracing(spans.tracer)], return_exceptions=True)
    first, second, _ = spans.all
    assert [name for name, _ in happened(first)][1:] == ["reflow.answer_superseded"]
    assert [name for name, _ in happened(second)][1:] == ["exception"]
    assert second.status.status_code is StatusCode.ERROR
    assert spans.outcomes == ["visit a answered", "visit b answered", "run f completed"]


@pytest.mark.anyio
async def test_a_cleanup_that_fails(spans: Spans) -> None:
    """The visit was interrupted, and it has an error."""
    flow = Flow("f")
    a = add(flow, "a")

    async def clumsy(visit: Visit) -> str:
        if visit.number == 1:
            try:
                await visit.go_back(a)
            finally:
                raise ValueError
        return "b"

    add(flow, "b", clumsy)
    await flow.run(observers=[Tracing(spans.tracer)], return_exceptions=True)
    first = spans.named("visit b")[0]
    assert told(first)["reflow.outcome"] == "interrupted"
    assert told(first)["error.type"] == "ValueError"


@pytest.mark.anyio
async def test_conditions(spans: Spans) -> None:
    """What they read and returned are events of the run; so is a failure, with its exception."""
    flow = Flow("f")
    a = add(flow, "a")

    def unreadable(results: Results) -> bool:
        raise LookupError(MARK)

    async def stay(visit: Visit) -> str:
        return "x"

    flow.step("b", id="b", when=lambda r: r[a] == "x")(stay)
    flow.step("c", id="c", when=unreadable)(stay)
    await flow.run(observers=[Tracing(spans.tracer)], return_exceptions=True)
    (run,) = spans.named("run f")
    events = dict(happened(run))
    assert [name for name, _ in happened(run)] == [
        *("reflow.condition_evaluated", "reflow.step_skipped"),
        *("reflow.condition_evaluated", "reflow.condition_failed", "exception"),
    ]
    assert events["reflow.condition_evaluated"] == {"reflow.step": "c", "reflow.read": ()}
    assert happened(run)[0][1]["reflow.holds"] is False
    assert run.status.status_code is StatusCode.UNSET
    # Without return_exceptions it ends the run, and is told once.
    with pytest.raises(LookupError):
        await flow.run(observers=[Tracing(spans.tracer)])
    last = spans.all[-1]
    assert [name for name, _ in happened(last)].count("exception") == 1
    assert told(last)["error.type"] == "LookupError"


@pytest.mark.anyio
async def test_what_else_happens(spans: Spans) -> None:
    """Stale steps, dropped requests and a callback that fails."""
    flow = Flow("f")
    a = add(flow, "a")
    b = add(flow, "b", depends_on=(a,))

    async def pay(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.answer(a, "other")
            visit.run.go_back(b)
        with anyio.CancelScope(shield=True):
            await anyio.lowlevel.checkpoint()
        return "paid"

    flow.step("pay", id="pay", point_of_no_return=True)(pay)

    async def completed(event: StepCompleted) -> None:
        if event.step == "pay":
            raise ValueError(MARK)

    observers = [Tracing(spans.tracer)]
    await flow.run(observers=observers, on_completed=completed, return_exceptions=True)
    events = [event for span in spans.all for event in happened(span)]
    assert dict(events)["reflow.steps_made_stale"] == {
        "reflow.by": "a",
        "reflow.steps": ("b",),
        "reflow.in_doubt": (),
    }
    assert dict(events)["reflow.requests_dropped"] == {"reflow.by": "pay", "reflow.steps": ("b",)}
    assert dict(events)["reflow.callback_failed"] == {"reflow.step": "pay"}
    assert MARK not in "".join(span.to_json() for span in spans.all)
