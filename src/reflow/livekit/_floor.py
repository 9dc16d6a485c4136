"""Who talks with the user: the floor passes from agent to agent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, final
import anyio

if TYPE_CHECKING:
    from types import TracebackType

    from livekit.agents import Agent, AgentSession, ConversationItemAddedEvent
    from typing_extensions import Self


@final
class Floor:
    """Follows the handoffs of a session, for one group."""

    def __init__(self, session: AgentSession[object]) -> None:
        """Begin to follow when entered."""
        self.session: Final = session
        self._change: asyncio.Future[None] | None = None

    def __enter__(self) -> Self:
        """Begin to follow."""
        self.session.on("conversation_item_added", self._seen)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Follow no more."""
        self.session.off("conversation_item_added", self._seen)

    def _seen(self, event: ConversationItemAddedEvent) -> None:
        if event.item.type == "agent_handoff" and self._change is not None:
            self._change.set_result(None)
            self._change = None

    def change(self) -> asyncio.Future[None]:
        """Give a future that is done after the next handoff."""
        if self._change is None:
            self._change = asyncio.get_running_loop().create_future()
        return self._change

    @property
    def holder(self) -> Agent:
        """Who has it."""
        return self.session.current_agent

    async def is_closing(self) -> bool:
        """Say whether the session closes, or is closed."""
        # It raises at once then; there is no public property.
        try:
            with anyio.move_on_after(0, shield=True):
                await self.session.wait_for_idle()
        except Exception:  # noqa: BLE001 - its name is not public
            return True
        return False
