"""Included flows, as they are drawn."""

from __future__ import annotations

import pytest
from addresses import AddressFlow, household
from journals import KEY
from spans import Spans
from support import interrupted

from reflow import Flow, MemoryJournal, Visit
from reflow.diagram import mermaid
from reflow.otel import Tracing
from reflow.timeline import svg


def test_a_frame_around_what_is_inside() -> None:
    """One in the other; what a frame shows has no arrows of its own."""
    lines = [line.strip() for line in mermaid(household()).splitlines()]
    nodes = [line.split("[")[0].strip() for line in lines[2 : lines.index('finish(["end"])')]]
    assert nodes == [
        *("s0", "subgraph s5_in", "s1", "subgraph s4_in", "s2", "s3", "end", "s4", "end", "s5"),
        "s6",
    ]
    assert [line for line in lines if "-." in line] == [
        's1 -. "if changed" .-> s4',
        's0 -. "if changed" .-> s5',
        's1 -. "if changed" .-> s6',
    ]


@pytest.mark.anyio
async def test_a_lane_for_every_step_inside() -> None:
    """A timeline names them by their addresses."""
    journal = MemoryJournal()
    await household().run(journal=journal, key=KEY)
    drawn = svg(await journal.read(KEY))
    assert "home.address.street" in drawn


@pytest.mark.anyio
async def test_a_visit_inside_that_ends_with_the_whole_is_traced() -> None:
    """Its span ends, too, and says how."""

    async def zip_code(visit: Visit) -> str:
        visit.run.skip("address")
        await interrupted()

    spans, inner, flow = Spans(), AddressFlow(zip_code=zip_code), Flow("f")
    flow.include(inner.flow, "address", id="address", build=inner.build, optional=True)
    await flow.run(observers=[Tracing(spans.tracer)])
    assert spans.outcomes == [
        "visit address.street completed",
        "visit address.zip_code skipped",
        "run f completed",
    ]
