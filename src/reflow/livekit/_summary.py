"""One message instead of all that was said in a group."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from livekit.agents import AgentTask


async def summarized(group: AgentTask[object]) -> None:
    """Sketch."""
