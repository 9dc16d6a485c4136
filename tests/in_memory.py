"""What the tests of runs that are resumed in memory share: runs that end, and go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
from support import add, answering, interrupted

from reflow import Flow, RunState, RunStoppedError, Step

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from support import Log

    from reflow import Run, Visit


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


async def cancelled(run: Run) -> Run:
    """Drive a run until nothing happens any more, then cancel it; give it back."""
    with anyio.move_on_after(1):
        await run.drive()
    assert run.state is RunState.CANCELLED
    return run


def waiting_on(*numbers: int) -> Callable[[Visit], Awaitable[str]]:
    """Make a step's function that waits on these visits, and answers on the others."""

    async def act(visit: Visit) -> str:
        if visit.number in numbers:
            await interrupted()
        return answering(visit)

    return act


def waiting() -> tuple[Flow[None], Step[str], Step[str]]:
    """Make a flow whose second step waits when it is first visited."""
    flow = Flow("f")
    return flow, add(flow, "a"), add(flow, "b", waiting_on(1))
