"""Awaiting an agent task in such a way that LiveKit never sees a cancellation."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from typing import TYPE_CHECKING, Final, Generic, TypeAlias, TypeVar, cast

import anyio

if TYPE_CHECKING:
    from collections.abc import Generator

    from livekit.agents import AgentTask

T = TypeVar("T")
U = TypeVar("U")

# What a coroutine gives to asyncio's tasks: a future, or None for a mere turn of the loop.
_Wait: TypeAlias = "asyncio.Future[object] | None"

# While a task that is done must wait for the floor, it is looked at again after so many seconds.
GLANCE: Final = 0.05


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
        self._is_handing_back = False

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
            try:
                return await self._undisturbed(self._awaitable)
            except Exception as exc:
                if self._cancelled is not None:
                    raise self._cancelled from exc
                raise

    async def _undisturbed(self, awaitable: Generator[object, None, U]) -> U:
        """Await something that sees no cancellation."""
        while True:
            is_own = awaitable is self._awaitable
            if is_own and self.task.done() and not self._is_handing_back:
                self._is_handing_back = True
                await self._undisturbed(self.before_hand_back().__await__())
            try:
                waits_for = cast("_Wait", awaitable.send(None))
            except StopIteration as stop:
                return cast("U", stop.value)
            await self._wait_for(waits_for)

    async def _wait_for(self, future: _Wait) -> None:
        while future is None or not future.done() or self.is_held():
            try:
                if future is None:
                    await asyncio.sleep(0)
                else:
                    await self._woken(future)
            except asyncio.CancelledError as exc:
                if self._cancelled is None:
                    self._cancelled = exc
                    # Level cancellation would be delivered again and again.
                    self._shield.enter_context(anyio.CancelScope(shield=True))
            await self._undisturbed(self.go_on().__await__())
            if future is None:
                break

    async def _woken(self, future: asyncio.Future[object]) -> None:
        """Wait for a future, and for a change; cancels none of them."""
        change = self.change()
        if change is not None and future.done():
            # Nobody says when a nested task can't begin any more, as the session closes.
            await asyncio.wait({change}, timeout=GLANCE)
            return
        # What `asyncio.wait` does, without its checks: it stands in the way of each handoff.
        waiter = asyncio.get_running_loop().create_future()

        def wake(_: object) -> None:
            if not waiter.done():
                waiter.set_result(None)

        future.add_done_callback(wake)
        if change is not None:
            change.add_done_callback(wake)
        try:
            await waiter
        finally:
            future.remove_done_callback(wake)
            if change is not None:
                change.remove_done_callback(wake)

    @property
    def is_cancelled(self) -> bool:
        """Whether the caller was cancelled."""
        return self._cancelled is not None

    async def go_on(self) -> None:
        """Do what is to be done after each change, and after each cancellation."""
        if self.is_cancelled:
            self.task.cancel()

    def is_held(self) -> bool:
        """Say whether the agent task must wait before it goes on."""
        return False

    def change(self) -> asyncio.Future[None] | None:
        """Give what is done when one of the above may have changed."""
        return None

    async def before_hand_back(self) -> None:
        """Do what must be done when the task is done, before it hands back."""
