"""What the user says while no step has the floor: the next one answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from livekit.agents import ChatItem, ChatMessage


@final
class Turns:
    """Keeps what the user says between two steps of a group."""

    def __init__(self) -> None:
        """Begin with none."""
        # What nobody has answered, oldest first.
        self.waiting: list[ChatMessage] = []
        # The messages that were to be answered then, but may be drafts still.
        self._drafts: set[str] = set()
        # The last message that is no longer to be answered.
        self._dealt_with = ""

    def are_for_a_step(self, items: list[ChatItem]) -> bool:
        """Say whether the user is speaking now, so that the next step is to answer.

        Args:
            items: what the group's own agent is to answer. It may be a draft that LiveKit lets the
                model answer before the user has ended the turn.
        """
        last = _last_message(items)
        if last is None or last.role != "user" or last.id == self._dealt_with:
            return False
        self._drafts.add(last.id)
        return True

    def keep(self, message: ChatMessage) -> None:
        """Keep what the user said, if the next step is to answer it."""
        if message.id in self._drafts:
            self._drafts.clear()
            self.waiting.append(message)
            self._dealt_with = message.id

    def pass_over(self, items: list[ChatItem]) -> None:
        """Leave alone what was said until now.

        Args:
            items: of the group's own agent.
        """
        self._drafts.clear()
        last = _last_message(items)
        self._dealt_with = "" if last is None else last.id


def _last_message(items: list[ChatItem]) -> ChatMessage | None:
    return next((item for item in reversed(items) if item.type == "message"), None)
