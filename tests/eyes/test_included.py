"""Included flows, as they are drawn."""

from __future__ import annotations

import pytest
from addresses import household
from journals import KEY

from reflow import MemoryJournal
from reflow.diagram import mermaid
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
