"""Awaiting an agent task in such a way that LiveKit never sees a cancellation."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, Generic, TypeVar, cast

import anyio

if TYPE_CHECKING:
    from collections.abc import Generator

    from livekit.agents import AgentTask

T = TypeVar("T")

_rests: set[object] = set()


class Awaiting(Generic[T]):
    """Awaits an agent task, and turns a cancellation of the caller into an interruption of it.

    LiveKit's `AgentTask.__await__` ends with the hand-back to the agent before it, which nothing
    may disturb: the floor would stay where it is, and the session never close. So what it waits for
    is waited for here. Whatever cancels the caller, a cancel scope or `task.cancel()`: the agent
    task is told to end, awaited to its end, and only then the cancellation goes on.
    """

    def __init__(self, task: AgentTask[T], awaitable: Generator[object, None, T]) -> None:
        """Begin with what `task.__await__()` gave."""
        self.task: Final = task
        self._awaitable: Final = awaitable
        self._cancelled: asyncio.CancelledError | None = None
        self._shield: Final = ExitStack()

    async def result(self) -> T:
        """Wait for the result.

        In the asyncio task of the caller: LiveKit knows the tasks that may await an agent task.

        Returns:
            The result. Also in spite of a cancellation: it came in the same moment.

        Raises:
            CancelledError: if the caller was cancelled and there is no result.
            Exception: what the agent task ended with.
        """
        with self._shield:
            lost: bool | None = None
            while True:
                if lost is None and self.task.done():
                    lost = self.is_lost()
                try:
                    # What asyncio's tasks get: a future, or None for a mere turn of the loop.
                    waits_for = cast("asyncio.Future[object] | None", self._awaitable.send(None))
                except StopIteration as stop:
                    return cast("T", stop.value)
                except Exception as exc:
                    if self._cancelled is not None:
                        raise self._cancelled from exc
                    raise
                if lost:
                    return self._abandon(waits_for)
                if waits_for is None:
                    try:
                        await asyncio.sleep(0)
                    except asyncio.CancelledError as exc:
                        self._note(exc)
                else:
                    await self._wait_for(waits_for)

    async def _wait_for(self, future: asyncio.Future[object]) -> None:
        while True:
            is_over = self.task.done() and future.done()
            if future.done() and not (is_over and self.is_held()):
                break
            pending = [f for f in (future, self.change()) if f is not None and not f.done()]
            try:
                # It cancels none of them.
                await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            except asyncio.CancelledError as exc:
                self._note(exc)
            if self.is_interrupted():
                self.interrupt()

    def _note(self, exc: asyncio.CancelledError) -> None:
        if self._cancelled is None:
            self._cancelled = exc
            # Level cancellation would be delivered again and again.
            self._shield.enter_context(anyio.CancelScope(shield=True))

    def is_lost(self) -> bool:
        """Say whether the floor will not come back, so that nothing is left to wait for."""
        return False

    def _abandon(self, waits_for: asyncio.Future[object] | None) -> T:
        task = asyncio.get_running_loop().create_task(self._rest(waits_for))
        _rests.add(task)
        task.add_done_callback(_rests.discard)
        return self.ending()

    async def _rest(self, waits_for):
        while True:
            if waits_for is None:
                await asyncio.sleep(0)
            else:
                await asyncio.wait([waits_for])
            try:
                waits_for = self._awaitable.send(None)
            except (StopIteration, Exception):
                return

    def is_interrupted(self) -> bool:
        """Say whether the agent task is to end."""
        return self._cancelled is not None

    def interrupt(self) -> None:
        """Tell the agent task to end; called again after each change."""
        self.task.cancel()

    def is_held(self) -> bool:
        """Say whether the agent task, which is done, must wait before it hands back."""
        return False

    def change(self) -> asyncio.Future[None] | None:
        """Give what is done when `is_held`, or what is to be interrupted, may have changed."""
        return None
