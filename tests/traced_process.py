"""A process that traces a run and prints its spans; the first one dies in the middle of the run.

Not a test: `eyes/test_tracing_processes.py` starts it, with a path and "die" or "live".
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import anyio
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from reflow import Flow, Visit
from reflow.journal import SQLiteJournal
from reflow.otel import Tracing

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.trace import SpanContext

flow = Flow[bool]("intake")
exporter = InMemorySpanExporter()


def ids_of(context: SpanContext | None) -> list[str]:
    """Give the ids of a trace and a span."""
    assert context is not None
    return [f"{context.trace_id:032x}", f"{context.span_id:016x}"]


def told(span: ReadableSpan) -> dict[str, object]:
    """Give what others need to know of a span."""
    return {
        "name": span.name,
        "ids": ids_of(span.get_span_context()),
        "parent": ids_of(span.parent) if span.parent is not None else None,
        "links": [ids_of(link.context) for link in span.links],
    }


def tell() -> None:
    """Print the spans that have ended."""
    spans = [told(span) for span in exporter.get_finished_spans()]
    print(json.dumps(spans), flush=True)  # noqa: T201 - a pipe is what the test waits at


@flow.step("the name")
async def name(visit: Visit[bool]) -> str:
    """Answer."""
    return "Ada"


@flow.step("the e-mail address")
async def email(visit: Visit[bool]) -> str:
    """Answer, unless the process is to die."""
    if visit.deps:
        tell()
        os._exit(1)
    return "ada@example.org"


async def main(path: str, *, dies: bool) -> None:
    """Go on with the run."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing = Tracing(provider.get_tracer("test"))
    with SQLiteJournal(path) as journal:
        await flow.run(dies, journal=journal, key="call-42", observers=[tracing])
    tell()


if __name__ == "__main__":
    anyio.run(lambda: main(sys.argv[1], dies=sys.argv[2] == "die"))
