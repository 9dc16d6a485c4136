"""What the tests of runs that are resumed in memory share: runs that end, and go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
from support import answering, interrupted

from reflow import RunStoppedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from support import Log

    from reflow import Flow, Run, Visit


async def ended(run: Run) -> Run:
    """Drive a run to its end, or until nothing happens any more; give it back."""
    try:
        with anyio.move_on_after(1):
            await run.drive()
    except (ValueError, RunStoppedError):
        pass
    return run


def resumed(earlier: Run, flow: Flow[None], log: Log, *, return_exceptions: bool = False) -> Run:
    """Make a run that goes on where another was left."""
    run = flow.prepare(observers=[log], return_exceptions=return_exceptions)
    run.resume(earlier)
    return run


def leaving() -> Callable[[Visit], Awaitable[str]]:
    """Make a step's function that waits to be cancelled, and answers when it is visited again."""

    async def leave(visit: Visit) -> str:
        if visit.number == 1:
            await interrupted()
        return answering(visit)

    return leave
