"""Who talks with the user: the floor passes from agent to agent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Generic, TypeVar, final
from weakref import WeakKeyDictionary

import anyio
from livekit.agents import Agent, AgentTask
from typing_extensions import override

from ._awaiting import Awaiting

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from livekit.agents import AgentSession, ConversationItemAddedEvent

T = TypeVar("T")

# The groups under way in a session, each nested in the one before it.
_nested: Final[WeakKeyDictionary[AgentSession[object], list[Floor]]] = WeakKeyDictionary()


@final
class Floor:
    """Follows the handoffs of a session, for one group."""

    def __init__(self, group: AgentTask[object], session: AgentSession[object]) -> None:
        """Begin to follow when entered."""
        self.group: Final = group
        self.session: Final = session
        self._change: asyncio.Future[None] | None = None
        self._nested: Final = _nested.setdefault(session, [])

    def __enter__(self) -> None:
        """Follow from now on."""
        self._nested.append(self)
        self.session.on("conversation_item_added", self._seen)

    def __exit__(self, *_: object) -> None:
        """Follow no more."""
        self.session.off("conversation_item_added", self._seen)
        self._nested.remove(self)
        self._changed()

    def _seen(self, event: ConversationItemAddedEvent) -> None:
        if event.item.type == "agent_handoff":
            self._changed()

    def _changed(self) -> None:
        if self._change is not None:
            self._change.set_result(None)
            self._change = None

    def change(self) -> asyncio.Future[None]:
        """Give a future that is done after the next handoff."""
        if self._change is None:
            self._change = asyncio.get_running_loop().create_future()
        return self._change

    def around(self) -> list[Floor]:
        """Give the groups that this one is nested in, the nearest first."""
        return self._nested[: self._nested.index(self)][::-1]

    def inside(self) -> Floor | None:
        """Give the group that is nested in this one, if there is one."""
        position = self._nested.index(self) + 1
        return self._nested[position] if position < len(self._nested) else None

    def is_at(self, task: AgentTask[T]) -> bool:
        """Say whether nobody nested in a step's task has the floor: it, or the group itself."""
        return self.session.current_agent in {task, self.group}

    def is_lost(self) -> bool:
        """Say whether `update_agent` has given the floor to an agent outside of the group."""
        # Whatever is awaited inside the group is an agent task.
        return not isinstance(self.session.current_agent, AgentTask)

    async def is_closing(self) -> bool:
        """Say whether the session closes, or is closed."""
        # It says so at once; there is no public property.
        try:
            with anyio.move_on_after(0, shield=True):
                await self.session.wait_for_idle()
        except Exception:  # noqa: BLE001 - the name of what it raises is not public
            return True
        return False


@final
class StepAwaiting(Awaiting[T]):
    """Awaits the task of a step, with whatever is nested in it."""

    def __init__(
        self,
        task: AgentTask[T],
        awaitable: Generator[object, None, T],
        floor: Floor,
        forget: Callable[[], object] | None,
    ) -> None:
        """Begin."""
        super().__init__(task, awaitable)
        self._floor: Final = floor

    @override
    def is_to_end(self) -> bool:
        return super().is_to_end() or self._floor.is_lost()

    @override
    def interrupt(self) -> None:
        # From the inside out: whoever is nested hands back first.
        if (inside := self._floor.inside()) is not None:
            inside.group.cancel()
        elif self._floor.is_at(self.task) or self._floor.is_lost():
            self.task.cancel()
        else:
            holder = self._floor.session.current_agent
            if isinstance(holder, AgentTask) and not holder.done():
                holder.cancel()

    @override
    def is_held(self) -> bool:
        # LiveKit would take it that the agent was changed, and close the group's activity.
        return self.task.done() and not (self._floor.is_at(self.task) or self._floor.is_lost())

    @override
    def change(self) -> asyncio.Future[None]:
        return self._floor.change()
