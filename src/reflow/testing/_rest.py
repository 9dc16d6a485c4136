"""When nothing more happens by itself."""

from __future__ import annotations

import asyncio
import math
from typing import Final

import anyio
from anyio.lowlevel import checkpoint

from ._clocks import VirtualTimeLoop

# Turns of the event loop in which most programs come to rest; asking anyio at once would cost a
# tenth of a second on asyncio where one hasn't yet.
_TURNS: Final = 25


async def rest() -> None:
    """Wait until every other task of this event loop waits for something.

    For a timer, a message, a thread: whatever can happen before that has happened. With virtual
    time, no time passes. A task that never waits keeps this one waiting.
    """
    if (loop := virtual_loop()) is not None:
        await loop.rest()
        return
    for _ in range(_TURNS):
        await checkpoint()
    await anyio.wait_all_tasks_blocked()


def virtual_loop() -> VirtualTimeLoop | None:
    """Give the running event loop, if it is one with virtual time."""
    if not _is_asyncio():
        return None
    loop = asyncio.get_running_loop()
    return loop if isinstance(loop, VirtualTimeLoop) else None


def is_time_virtual() -> bool:
    """Say whether time is known to pass at once on this event loop."""
    if _is_asyncio():
        return virtual_loop() is not None
    # Loaded already, as it is what runs here; on asyncio nobody needs it.
    from trio.lowlevel import current_clock  # noqa: PLC0415
    from trio.testing import MockClock  # noqa: PLC0415

    clock = current_clock()
    return isinstance(clock, MockClock) and clock.autojump_threshold < math.inf


def _is_asyncio() -> bool:
    return anyio.get_cancelled_exc_class() is asyncio.CancelledError
