"""Traces: which spans there are, what they tell, and what they must not."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import anyio
import pytest
from hypothesis import given, settings
from journals import KEY
from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, Tracer
from support import Log, add, answering, failing_on, interrupted
from wandering import Case, cases, wander

from reflow import Event, Flow, MemoryJournal, Results, RunStoppedError, StepCompleted, Visit
from reflow.otel import Tracing

if TYPE_CHECKING:
    from collections.abc import Mapping

MARK = "4111-SECRET-1111"


class Spans:
    """What was traced."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.tracer: Tracer = provider.get_tracer("test")

    @property
    def all(self) -> tuple[ReadableSpan, ...]:
        """The spans that have ended, in that order."""
        return self.exporter.get_finished_spans()

    @property
    def outcomes(self) -> list[str]:
        """The spans as `name outcome`."""
        return [f"{span.name} {told(span).get('reflow.outcome', '')}".rstrip() for span in self.all]

    def named(self, name: str) -> list[ReadableSpan]:
        """Give the spans of that name."""
        return [span for span in self.all if span.name == name]


@pytest.fixture
def spans() -> Spans:
    """Give what keeps the spans of a test."""
    return Spans()


@pytest.fixture(autouse=True)
def silence(caplog: pytest.LogCaptureFixture) -> None:
    """Let nothing be lost in a log: OpenTelemetry reports wrong use there."""
    caplog.set_level(logging.WARNING)


def told(span: ReadableSpan) -> Mapping[str, object]:
    """Give the attributes of a span."""
    return dict(span.attributes or {})


def happened(span: ReadableSpan) -> list[tuple[str, dict[str, object]]]:
    """Give the events of a span."""
    return [(event.name, dict(event.attributes or {})) for event in span.events]


def parent_of(span: ReadableSpan) -> int | None:
    """Give the id of the span above."""
    return span.parent.span_id if span.parent is not None else None


def ids_of(span: ReadableSpan) -> tuple[int, int]:
    """Give the ids of the span's trace, and of the span."""
    context = span.get_span_context()
    assert context is not None
    return context.trace_id, context.span_id


def id_of(span: ReadableSpan) -> int:
    """Give the id of the span."""
    return ids_of(span)[1]


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
