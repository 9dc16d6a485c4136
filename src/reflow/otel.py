"""Traces of runs for OpenTelemetry: a span for each `drive()`, and one for each visit in it.

Needs the extra `otel`. Answers are never in a trace, nor the texts of exceptions, which may quote
them.
"""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Final, assert_never, cast, final

import attrs
from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from reflow import (
    AnswerSuperseded,
    CallbackFailed,
    CleanupFailed,
    ConditionEvaluated,
    FlowError,
    GoBackRequested,
    Opened,
    RequestsDropped,
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunStarted,
    RunStopped,
    StepAnswered,
    StepCompleted,
    StepEntered,
    StepFailed,
    StepInterrupted,
    StepSkipped,
    StepsMadeStale,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.context.context import Context
    from opentelemetry.trace import Link, Span, Tracer
    from opentelemetry.util.types import AttributeValue

    from reflow import Event

__all__ = ["Tracing"]

# How a text names a span: https://www.w3.org/TR/trace-context/#traceparent-header
_W3C: Final = TraceContextTextMapPropagator()
_HEADER: Final = "traceparent"


@final
class Tracing:
    """An observer that traces a run: `flow.run(observers=[Tracing()])`.

    Each `drive()` is a span `run FLOW`, a child of the span that is current where it is called,
    and each visit a child of that, `visit STEP`. While a step's function runs, its visit is the
    current span, so that what the step traces is found below it. With a journal, the span of a
    run that is resumed has a link to that of its first `drive()`, if that was traced, also by
    another process.

    Spans have the attributes

    - `reflow.flow`; with a journal `reflow.key`, `reflow.run.id` (the same whoever drives the
      run) and `reflow.resumed`; `reflow.outcome`: completed, failed, cancelled or stopped;
    - of a visit `reflow.flow`, `reflow.step`, `reflow.visit.number`, `reflow.visit.reason` and
      `reflow.outcome`: completed, interrupted, failed, answered, skipped, cancelled or stopped;
    - `error.type` and the status ERROR where something failed. Being interrupted is no failure.

    What happens meanwhile are events of the visit under way, or else of the run, each with the
    ids of the steps concerned: `reflow.go_back_requested`, `reflow.steps_made_stale`,
    `reflow.step_answered`, and so on; `exception` has the type, and unless the step is sensitive
    the stack, but not the text.

    One object traces one run at a time. A run that is given one that is tracing another isn't
    traced, and the logger `reflow` gets an error that says so.
    """

    def __init__(self, tracer: Tracer | None = None) -> None:
        """Trace what comes.

        Args:
            tracer: what makes the spans; by default `opentelemetry.trace.get_tracer("reflow")`,
                which is of the tracer provider that the program has set, or will set.
        """
        self._tracer: Final = tracer or trace.get_tracer("reflow")
        self._flow = ""
        self._run: _Current | None = None
        self._visit: _Current | None = None
        # Whether the run was announced by `origin`, and whether it has begun.
        self._asked = self._started = False
        # Of a run that was opened, but has no span yet: what that is to have.
        self._attributes: dict[str, AttributeValue] = {}
        self._links: list[Link] = []
        self._recorded: BaseException | None = None

    def origin(self, flow: str) -> str:
        """Begin the span of a new run with a journal; give what resumed runs link to.

        Called by the run.

        Raises:
            FlowError: if another run is being traced.
        """
        carrier: dict[str, str] = {}
        _W3C.inject(carrier, self._begin(flow).context)
        self._asked = True
        return carrier.get(_HEADER, "")

    def __call__(self, event: Event) -> None:
        """Trace what happened.

        Raises:
            FlowError: if this is the beginning of a run while another is being traced; the
                other one goes on being traced.
        """
        match event:
            case Opened():
                self._open(event)
            case RunStarted(flow=flow):
                run = self._begin(flow) if self._started or self._run is None else self._run
                self._started = True
                run.attach()
            case StepEntered():
                self._enter(event)
            case StepCompleted(changed=changed):
                self._leave("completed", changed=changed)
            case StepFailed():
                self._fail(event)
            case StepInterrupted(exception=exception, sensitive=sensitive):
                if exception is not None:
                    self._blame(self._now, exception, sensitive=sensitive)
                self._leave("interrupted")
            case StepAnswered(step=step, changed=changed):
                self._tell("step_answered", step=step, changed=changed)
                self._settle(step, "answered")
            case StepSkipped(step=step, by_condition=by_condition):
                self._tell("step_skipped", step=step, by_condition=by_condition)
                self._settle(step, "skipped")
            case AnswerSuperseded(step=step):
                self._tell("answer_superseded", step=step)
            case CleanupFailed(exception=exception, sensitive=sensitive):
                self._blame(self._now, exception, sensitive=sensitive)
            case CallbackFailed(step=step, exception=exception, sensitive=sensitive):
                self._tell("callback_failed", step=step)
                _record(self._now, exception, sensitive=sensitive)
            case GoBackRequested(steps=steps, ahead=ahead):
                self._tell("go_back_requested", steps=steps, ahead=ahead)
            case ConditionEvaluated():
                self._evaluate(event)
            case StepsMadeStale(by=by, steps=steps, in_doubt=doubtful):
                self._tell("steps_made_stale", by=by, steps=steps, in_doubt=doubtful)
            case RequestsDropped(by=by, steps=steps):
                self._tell("requests_dropped", by=by, steps=steps)
            case RunCompleted() | RunCancelled() | RunStopped() | RunFailed():
                self._end(event)
            case _:
                assert_never(event)

    @property
    def _now(self) -> Span:
        """The span of what is under way."""
        return cast("_Current", self._visit or self._run).span

    def _begin(self, flow: str) -> _Current:
        """Begin the span of a run."""
        self._check(f"of flow {flow!r}")
        attributes = {"reflow.flow": flow} | self._attributes
        self._run = _Current.begun(self._tracer, f"run {flow}", attributes, self._links)
        self._flow, self._attributes, self._links = flow, {}, []
        return self._run

    def _check(self, which: str) -> None:
        if self._run is not None:
            message = (
                f"this Tracing can't trace a run {which}: it is tracing another one, which is "
                "still under way; make one for each run: observers=[Tracing()]"
            )
            raise FlowError(message)

    def _open(self, event: Opened) -> None:
        attributes: dict[str, AttributeValue] = {
            "reflow.run.id": event.run,
            "reflow.resumed": event.resumed,
        }
        if event.key:
            # Else it goes on in memory.
            attributes["reflow.key"] = event.key
        if self._asked:
            self._asked = False
            cast("_Current", self._run).span.set_attributes(attributes)
        else:
            self._check(f"with key {event.key!r}" if event.key else "that resumes another")
            first = trace.get_current_span(_W3C.extract({_HEADER: event.origin}))
            if event.resumed and first.get_span_context().is_valid:
                self._links = [trace.Link(first.get_span_context())]
            self._attributes = attributes

    def _enter(self, event: StepEntered) -> None:
        self._close()
        run = cast("_Current", self._run)
        attributes: dict[str, AttributeValue] = {
            "reflow.flow": self._flow,
            "reflow.step": event.step,
            "reflow.visit.number": event.number,
            "reflow.visit.reason": event.reason.value,
        }
        name = f"visit {event.step}"
        self._visit = _Current.begun(self._tracer, name, attributes, context=run.context)
        self._visit.step = event.step
        self._visit.attach()

    def _settle(self, step: str, outcome: str) -> None:
        """Note that a step was answered or skipped: its visit ends, but is still being left.

        So does one inside a step that is an included flow.
        """
        if self._visit is not None and f"{self._visit.step}.".startswith(f"{step}."):
            self._visit.span.set_attribute("reflow.outcome", outcome)
            self._visit.over = True

    def _leave(self, outcome: str, **attributes: AttributeValue) -> None:
        """End the visit."""
        if (visit := self._visit) is not None:
            self._visit = None
            visit.span.set_attributes(_named({**attributes, "outcome": outcome}))
            visit.end()

    def _close(self) -> None:
        """End the visit that was being left, if there is one."""
        if self._visit is not None and self._visit.over:
            self._visit.end()
            self._visit = None

    def _fail(self, event: StepFailed) -> None:
        if event.in_condition:
            self._close()
            self._tell("condition_failed", step=event.step)
            _record(self._now, event.exception, sensitive=event.sensitive)
            self._recorded = event.exception
            return
        self._blame(self._now, event.exception, sensitive=event.sensitive)
        self._leave("failed")

    def _evaluate(self, event: ConditionEvaluated) -> None:
        self._close()
        # None as the value of an attribute isn't allowed.
        result = {} if event.holds is None else {"holds": event.holds}
        self._tell("condition_evaluated", step=event.step, read=event.read, **result)

    def _end(self, event: RunCompleted | RunCancelled | RunStopped | RunFailed) -> None:
        """End the run, and the visit that it ended in."""
        outcome = type(event).__name__.removeprefix("Run").lower()
        self._close()
        if isinstance(event, RunFailed):
            self._blame(self._now, event.exception, sensitive=event.sensitive)
        self._leave(outcome)
        run = cast("_Current", self._run)
        self._run, self._started, self._recorded = None, False, None
        if isinstance(event, RunFailed):
            run.span.set_attribute("error.type", _type_of(event.exception))
            run.span.set_status(trace.StatusCode.ERROR)
        elif isinstance(event, RunStopped):
            run.span.set_attribute("reflow.stopped.reason", event.reason)
        run.span.set_attribute("reflow.outcome", outcome)
        run.end()

    def _tell(self, name: str, **attributes: AttributeValue) -> None:
        self._now.add_event(f"reflow.{name}", _named(attributes))

    def _blame(self, span: Span, failure: BaseException, *, sensitive: bool) -> None:
        """Say that something failed, and tell of the exception once."""
        span.set_attribute("error.type", _type_of(failure))
        span.set_status(trace.StatusCode.ERROR)
        if failure is not self._recorded:
            _record(span, failure, sensitive=sensitive)
        self._recorded = failure


@final
@attrs.define(eq=False)
class _Current:
    """A span that is under way, and is, or was, the current one."""

    span: Span
    context: Context
    """In which the span is the current one."""
    before: Context
    """What it was begun in."""
    step: str | None = None
    over: bool = False
    """Whether its step has its outcome already."""

    @classmethod
    def begun(
        cls,
        tracer: Tracer,
        name: str,
        attributes: Mapping[str, AttributeValue],
        links: list[Link] | None = None,
        context: Context | None = None,
    ) -> _Current:
        """Begin a span."""
        span = tracer.start_span(name, context, attributes=attributes, links=links)
        before = contexts.get_current()
        return cls(span, trace.set_span_in_context(span, before), before)

    def attach(self) -> None:
        """Make it the current span of this task."""
        contexts.attach(self.context)

    def end(self) -> None:
        """End it; the one before is current again, where it was.

        Not by `detach`: events are also told in copies of the context, where a token counts for
        nothing; and what a step has put into the context stays there for the next.
        """
        self.span.end()
        current = contexts.get_current()
        if current is self.context:
            contexts.attach(self.before)
        elif trace.get_current_span(current) is self.span:
            span = trace.get_current_span(self.before)
            contexts.attach(trace.set_span_in_context(span, current))


def _named(attributes: Mapping[str, AttributeValue]) -> dict[str, AttributeValue]:
    """Put attributes into a namespace of their own.

    Source: https://opentelemetry.io/docs/specs/semconv/general/naming
    """
    return {f"reflow.{name}": value for name, value in attributes.items()}


def _record(span: Span, failure: BaseException, *, sensitive: bool) -> None:
    """Tell of an exception, but not what it says; of a sensitive step only what it was.

    Source: https://opentelemetry.io/docs/specs/semconv/exceptions/exceptions-spans
    """
    attributes = {"exception.type": _type_of(failure)}
    if not sensitive:
        # Without the lines of code: there may be answers in them, in tests for example.
        frames = traceback.StackSummary.extract(
            traceback.walk_tb(failure.__traceback__), lookup_lines=False
        )
        places = (f'File "{at.filename}", line {at.lineno}, in {at.name}' for at in frames)
        attributes["exception.stacktrace"] = "\n".join(places)
    span.add_event("exception", attributes)


def _type_of(failure: BaseException) -> str:
    kind = type(failure)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"{module}{kind.__qualname__}"
