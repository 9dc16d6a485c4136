"""Awaiting the task of a step, with whatever is nested in it."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, TypeVar, final
from weakref import WeakKeyDictionary

from livekit.agents import AgentTask
from typing_extensions import override

from ._awaiting import GLANCE, Awaiting

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from livekit.agents import Agent, ChatContext, ChatMessage, llm

    from ._floor import Floor

T = TypeVar("T")

# Turns of the event loop, in which whoever waits for the floor gets it.
_TURNS: Final = 20
# How often to look whether the floor has passed on, at most.
_GLANCES: Final = 10


@final
class StepAwaiting(Awaiting[T]):
    """Awaits the task of a step, with whatever is nested in it."""

    def __init__(
        self,
        task: AgentTask[T],
        awaitable: Generator[object, None, T],
        floor: Floor,
        *,
        heard: list[ChatMessage] | None,
        kept: ChatContext | None,
        hidden: set[str],
        tools: Callable[[Sequence[llm.Tool | llm.Toolset]], list[llm.Tool]],
    ) -> None:
        """Begin.

        Args:
            task: the step's.
            awaitable: what `task.__await__()` gave.
            floor: the group's.
            heard: what the user said before the task had the floor; what it answers is taken out.
                None: somebody nested in it does that.
            kept: all that may stay of the conversation; None: what is said stays, too.
            hidden: takes the ids of what it answers.
            tools: makes the tools to go back, for an agent that has such names already.
        """
        super().__init__(task, awaitable)
        self._floor: Final = floor
        self._heard: Final = heard
        self._kept: Final = kept
        self._hidden: Final = hidden
        self._tools: Final = tools
        self._lent: Final[WeakKeyDictionary[Agent, bool]] = WeakKeyDictionary()
        self._has_entered = False
        self._has_nested = False
        if heard is not None:
            # Not only if there is something: the user may be speaking right now.
            self._watch_entry()

    def _watch_entry(self) -> None:
        on_enter = self.task.on_enter

        async def entered() -> None:
            try:
                await on_enter()
            finally:
                self._has_entered = True
                self._floor.changed()

        # LiveKit calls it when the task has the floor and can speak. There is no event for that.
        self.task.on_enter = entered  # type: ignore[method-assign]  # of this one task

    @override
    async def go_on(self) -> None:
        self._has_nested = self._has_nested or not self._floor.is_at(self.task)
        is_forgotten = self._has_nested and self._floor.is_forgotten(self.task)
        if self.is_cancelled or self._floor.is_lost() or is_forgotten:
            self._interrupt(is_forgotten=is_forgotten)
        elif not self._floor.is_at(self.task) and self._floor.inside() is None:
            has_tools = await self._lend_tools(self._floor.holder)
            # LiveKit's own group has none: it only passes the floor on.
            if has_tools and not self._floor.is_passing():
                await self._answer()
        elif self._has_entered and self._floor.holder is self.task and not self.task.done():
            await self._answer()

    async def _answer(self) -> None:
        """Let whoever has the floor answer what the user said before, one turn after the other."""
        floor = self._floor
        if not self._heard or floor.is_closing():
            return
        if floor.speech is not None and not floor.speech.done():
            # It may end the task: then it isn't the one to answer.
            floor.speech.add_done_callback(self._has_spoken)
            return
        said = self._heard.pop(0)
        self._hidden.add(said.id)
        # Behind all that is known. It was told to whoever listens when the user said it.
        context = floor.holder.chat_ctx.copy()
        context.insert(said.model_copy(update={"created_at": time.time()}))
        await floor.holder.update_chat_ctx(context)
        # Its own turn, so that all tools are offered: on entry, some aren't.
        floor.session.generate_reply().add_done_callback(self._has_spoken)

    def _has_spoken(self, _: object) -> None:
        self._floor.changed()

    async def _lend_tools(self, nested: Agent) -> bool:
        """Let whoever is nested in the step go back, too; say whether it has tools of its own."""
        if nested not in self._lent:
            own = nested.tools
            self._lent[nested] = bool(own)
            await nested.update_tools([*own, *self._tools(own)])
        return self._lent[nested]

    def _interrupt(self, *, is_forgotten: bool) -> None:
        # From the inside out: whoever is nested hands back first.
        inside = self._floor.inside()
        if inside is not None and not is_forgotten:
            inside.stop("the step that it is part of was interrupted")
        elif is_forgotten or self._floor.is_at(self.task) or self._floor.is_lost():
            self.task.cancel()
        else:
            holder = self._floor.holder
            if isinstance(holder, AgentTask) and not holder.done():
                holder.cancel()

    @override
    def is_held(self) -> bool:
        # LiveKit would take it that the agent was changed, and close the group's activity.
        floor = self._floor
        return self.task.done() and not (
            floor.is_at(self.task) or floor.is_lost() or floor.is_held_by_nobody()
        )

    @override
    def change(self) -> asyncio.Future[None]:
        return self._floor.change()

    @override
    async def before_hand_back(self) -> None:
        if self._has_nested:
            # Another tool of the same turn may be about to get the floor for a task of its own.
            # LiveKit lets the two wait for each other, if this one hands back first.
            turns = glances = 0
            while turns < _TURNS and not self._floor.is_held_by_nobody():
                # The latter is only known by what is told, which `update_agent` may confuse.
                if self.is_held() or (self._floor.is_passing() and glances < _GLANCES):
                    await asyncio.wait([self.change()], timeout=GLANCE)
                    turns, glances = 0, glances + 1
                await asyncio.sleep(0)
                turns += 1
        if self._kept is not None:
            await self.task.update_chat_ctx(self._kept)
