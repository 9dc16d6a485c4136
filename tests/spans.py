"""What the tests of traces share: spans that are kept, and what they tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.trace import Tracer


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
