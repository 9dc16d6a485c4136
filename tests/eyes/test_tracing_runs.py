"""Traces of runs: how they end, what is current meanwhile, and several of them."""

from __future__ import annotations

import logging

import anyio
import pytest
from hypothesis import given, settings
from journals import KEY
from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.trace import StatusCode
from spans import Spans, happened, id_of, ids_of, parent_of, told
from support import Log, add, failing_on, interrupted
from wandering import Case, cases, wander

from reflow import Event, Flow, FlowError, MemoryJournal, Opened, RunStoppedError, Visit
from reflow.otel import Tracing


@pytest.fixture
def spans() -> Spans:
    """Give what keeps the spans of a test."""
    return Spans()


@pytest.fixture(autouse=True)
def silence(caplog: pytest.LogCaptureFixture) -> None:
    """Let nothing be lost in a log: OpenTelemetry reports wrong use there."""
    caplog.set_level(logging.WARNING)


@pytest.mark.anyio
async def test_ends_of_runs(spans: Spans) -> None:
    """Stopped and cancelled runs have no error; their visits are over, too."""
    flow = Flow("f")
    reached = anyio.Event()

    async def act(visit: Visit[None]) -> str:
        if not reached.is_set():
            visit.stop("a person takes over")
        scope.cancel()
        await interrupted()

    add(flow, "a", act)
    tracing = Tracing(spans.tracer)
    with pytest.raises(RunStoppedError):
        await flow.run(observers=[tracing])
    reached.set()
    with anyio.CancelScope() as scope:
        await flow.run(observers=[tracing])
    assert spans.outcomes == [
        *("visit a interrupted", "run f stopped"),
        *("visit a cancelled", "run f cancelled"),
    ]
    assert told(spans.all[1])["reflow.stopped.reason"] == "a person takes over"
    assert {span.status.status_code for span in spans.all} == {StatusCode.UNSET}


@pytest.mark.anyio
async def test_what_is_no_exception(spans: Spans) -> None:
    """Ctrl+C in a visit ends both spans with an error; told once, on the visit."""
    flow = Flow("f")

    async def act(visit: Visit) -> str:
        raise KeyboardInterrupt

    add(flow, "a", act)
    with pytest.raises(KeyboardInterrupt):
        await flow.run(observers=[Tracing(spans.tracer)])
    assert spans.outcomes == ["visit a failed", "run f failed"]
    assert [len(happened(span)) for span in spans.all] == [1, 0]
    assert {told(span)["error.type"] for span in spans.all} == {"KeyboardInterrupt"}


@pytest.mark.anyio
async def test_what_a_step_puts_into_the_context_stays(spans: Spans) -> None:
    """As with every context variable; but the span of a visit that is over is not current."""
    flow = Flow("f")
    seen: list[object] = []

    async def leave(visit: Visit) -> str:
        contexts.attach(contexts.set_value("key", "value"))
        return "a"

    async def look(visit: Visit) -> str:
        seen.extend([contexts.get_value("key"), trace.get_current_span()])
        span = spans.tracer.start_span("leaked")
        contexts.attach(trace.set_span_in_context(span))
        return "b"

    add(flow, "a", leave)
    add(flow, "b", look)
    with spans.tracer.start_as_current_span("around"):
        await flow.run(observers=[Tracing(spans.tracer)])
        assert contexts.get_value("key") == "value"
        current = trace.get_current_span()
        assert isinstance(current, ReadableSpan)
        assert current.name == "leaked"
    assert seen[0] == "value"
    assert seen[1] is not None
    assert isinstance(seen[1], ReadableSpan)
    assert seen[1].name == "visit b"


@pytest.mark.anyio
async def test_one_run_at_a_time(spans: Spans, caplog: pytest.LogCaptureFixture) -> None:
    """A second run isn't traced and hears why; the first is, and so is the next one."""
    flow, inner, tracing = Flow("f"), Flow("inner"), Tracing(spans.tracer)
    add(inner, "x")
    journal, log = MemoryJournal(), Log()
    await inner.run(journal=journal, key="stored", observers=[Breaking()])

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            await inner.run(observers=[tracing, log])
            await inner.run(journal=MemoryJournal(), key=KEY, observers=[tracing])
            await inner.run(journal=MemoryJournal(), key=KEY, observers=[Origin("o"), tracing])
        return "a"

    add(flow, "a", act)
    for _ in range(2):
        await flow.run(observers=[tracing])
    assert spans.outcomes == ["visit a completed", "run f completed"] * 2
    switched_off = [record for record in caplog.records if "switched off" in record.message]
    assert len(switched_off) == 6
    assert "make one for each run: observers=[Tracing()]" in caplog.text
    assert log.entered == ["x", "x"]


class Origin:
    """An observer that gives an origin."""

    def __init__(self, text: object) -> None:
        """Give this one."""
        self.text = text

    def origin(self, flow: str) -> object:
        """Give it."""
        return self.text

    def __call__(self, event: Event) -> None:
        """Observe nothing."""


class Breaking(Origin):
    """An observer that gives none that counts."""

    def __init__(self) -> None:
        """Give what is no text."""
        super().__init__(7)


@pytest.mark.anyio
@pytest.mark.parametrize("origin", ["", "no traceparent"])
async def test_resumed_after_a_run_that_was_not_traced(spans: Spans, origin: str) -> None:
    """There is nothing to link to."""
    flow, journal = Flow("f"), MemoryJournal()
    add(flow, "a", failing_on(1))
    with pytest.raises(ValueError, match="1"):
        await flow.run(journal=journal, key=KEY, observers=[Origin(origin)])
    await flow.run(journal=journal, key=KEY, observers=[Tracing(spans.tracer)])
    (run,) = spans.named("run f")
    assert told(run)["reflow.resumed"] is True
    assert told(run)["reflow.key"] == KEY
    assert not run.links


@settings(max_examples=150, deadline=None)
@given(cases())
def test_any_run(case: Case) -> None:
    """Whatever happens, every span ends, once, and there is one for each visit and each drive."""
    spans, log, made = Spans(), Log(), 0

    def observers() -> list[Log | Tracing]:
        nonlocal made
        made += 1
        return [log, Tracing(spans.tracer)]

    anyio.run(wander, case, observers)
    names = [span.name for span in spans.all]
    assert names.count("run random") == made
    visits = [name.removeprefix("visit ") for name in names if name != "run random"]
    assert sorted(visits) == sorted(log.entered)
    ids = {id_of(span) for span in spans.all}
    assert len(ids) == len(names)
    assert all(parent_of(span) in ids for span in spans.all if span.name != "run random")
    first = ids_of(spans.named("run random")[0])
    for resumed in spans.named("run random")[1:]:
        (link,) = resumed.links
        assert (link.context.trace_id, link.context.span_id) == first


@pytest.mark.anyio
async def test_a_run_that_resumes_another_in_memory(spans: Spans) -> None:
    """It has no key; a Tracing that is busy says what it can't trace."""
    flow = Flow("f")

    async def act(visit: Visit[None]) -> str:
        if visit.number == 1:
            await interrupted()
        with pytest.raises(FlowError, match="a run that resumes another: it is tracing another"):
            tracing(Opened("", "run", resumed=True))
        return "a"

    add(flow, "a", act)
    earlier, log = flow.prepare(), Log()
    with anyio.move_on_after(1):
        await earlier.drive()
    tracing = Tracing(spans.tracer)
    run = flow.prepare(observers=[log, tracing])
    run.resume(earlier)
    await run.drive()
    (opened,) = log.of(Opened)
    assert isinstance(opened, Opened)
    attributes = told(spans.all[-1])
    assert (attributes["reflow.run.id"], attributes["reflow.resumed"]) == (opened.run, True)
    assert "reflow.key" not in attributes
