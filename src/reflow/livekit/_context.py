"""What a step's task knows of the conversation, and what stays of it in the group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, assert_never, cast, final

from livekit.agents import ChatContext, ChatMessage
from typing_extensions import override

from reflow import Reason, StepCompleted, StepsMadeStale

from ._result import TaskGroupResult

if TYPE_CHECKING:
    from livekit.agents import ChatItem

    from reflow import Event, Visit


class _Copy(Protocol):
    """LiveKit's way to copy a conversation, whatever its options are by now."""

    def __call__(self, **options: object) -> ChatContext: ...


@final
class Conversation(ChatContext):
    """A conversation that LiveKit copies at each handoff, in less time."""

    @override
    def copy(self, **options: object) -> ChatContext:
        """Give a copy; see `ChatContext.copy`."""
        if not options:
            return ChatContext([*self.items])
        if options.keys() != {"tools"}:
            return cast("_Copy", super().copy)(**options)
        # Only calls can be left out. LiveKit asks several things of each item, whatever it is.
        calls = ChatContext([item for item in self.items if item.type in _CALLS])
        kept = {item.id for item in cast("_Copy", calls.copy)(**options).items}
        left_out = {item.id for item in calls.items} - kept
        if not left_out:
            return ChatContext([*self.items])
        return ChatContext([item for item in self.items if item.id not in left_out])


@final
class History:
    """Remembers why steps run again; an observer of the run."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._because: Final[dict[str, dict[str, None]]] = {}

    def __call__(self, event: Event) -> None:
        """Take note of an event."""
        match event:
            case StepsMadeStale(by=by, steps=steps, in_doubt=in_doubt):
                for step in (*steps, *in_doubt):
                    self._because.setdefault(step, {})[by] = None
            case StepCompleted(step=step):
                self._because.pop(step, None)
            case _:
                pass

    def take_over(self, earlier: History) -> None:
        """Go on with what is known of an earlier run."""
        self._because.update(earlier._because)

    def note(self, visit: Visit[object]) -> str | None:
        """Tell the model why a step runs again, and what its answer was before."""
        step = visit.step
        match visit.reason:
            case Reason.FIRST:
                return None
            case Reason.REQUESTED:
                why = "The user wants to change this answer, or to be asked once more."
            case Reason.STALE:
                why = "This is asked again because what it depends on has changed"
                # Nobody knows what it was if that was in another process.
                if because := self._because.get(step.id):
                    why += f": {', '.join(because)}"
                why += "."
            case Reason.RESUMED | Reason.RECOVERED:
                why = "The conversation comes back to this, where it was interrupted."
            case _:
                assert_never(visit.reason)
        before = visit.get(step, _NONE)
        if before is _NONE:
            return why
        if step.sensitive or isinstance(before, TaskGroupResult):
            return f"{why} The user has answered it before."
        return f"{why} The answer before was: {before!r}"


_NONE: Final = object()
_CALLS: Final = {"function_call", "function_call_output"}


def with_note(items: list[ChatItem], note: str | None) -> ChatContext:
    """Give the context of a step's task, with a note for the model at its end."""
    # It isn't handed back: instructions stay with the agent whose they are.
    notes = [] if note is None else [ChatMessage(role="system", content=[note])]
    return Conversation([*items, *notes])


def said_since(items: list[ChatItem], last: str) -> list[ChatItem]:
    """Give what was said and called behind an item, oldest first; no instructions.

    Args:
        items: of an agent, oldest first.
        last: the id of the last item before; an empty text: there was none.
    """
    found: list[ChatItem] = []
    # From the end: it doesn't matter how long the conversation was before.
    for item in reversed(items):
        if item.id == last:
            break
        is_said = item.type == "message" and item.role in {"user", "assistant"}
        if is_said or item.type in _CALLS:
            found.append(item)
    return found[::-1]
