"""Who talks with the user: the floor passes from agent to agent."""

from __future__ import annotations

import asyncio
import inspect
from typing import TYPE_CHECKING, Final, TypeVar, final
from weakref import WeakKeyDictionary

from livekit.agents import AgentHandoff, AgentTask, ChatMessage

if TYPE_CHECKING:
    from collections.abc import Callable

    from livekit.agents import Agent, AgentSession, ConversationItemAddedEvent, SpeechCreatedEvent
    from livekit.agents.voice import SpeechHandle

    from ._conductor import Conductor

T = TypeVar("T")

# The groups under way in a session, each nested in the one before it.
_nested: Final[WeakKeyDictionary[AgentSession[object], list[Floor]]] = WeakKeyDictionary()


def _takes_one(event: object) -> None:
    """Take one argument."""


_SIGNATURE: Final = inspect.signature(_takes_one)


@final
class Floor:
    """Follows the handoffs of a session, for one group."""

    def __init__(self, conductor: Conductor, group: Agent, session: AgentSession[object]) -> None:
        """Begin to follow when entered."""
        self.conductor: Final = conductor
        self.session: Final = session
        self._group: Final = group
        self._change: asyncio.Future[None] | None = None
        self._seen = self._watching()
        # Who had the floor when the latest handoff was told.
        self._told: Agent = group
        self._nested: Final = _nested.setdefault(session, [])
        # What an agent was asked to say last.
        self.speech: SpeechHandle | None = None
        self._spoke = self._listening()

    def __enter__(self) -> None:
        """Follow from now on."""
        self._nested.append(self)
        self.session.on("conversation_item_added", self._seen)
        self.session.on("speech_created", self._spoke)
        self.session.on("close", self._seen_closed)

    def __exit__(self, *_: object) -> None:
        """Follow no more."""
        self.session.off("conversation_item_added", self._seen)
        self.session.off("speech_created", self._spoke)
        self.session.off("close", self._seen_closed)
        self._nested.remove(self)

    def _watching(self) -> Callable[[ConversationItemAddedEvent], None]:
        def seen(event: ConversationItemAddedEvent) -> None:
            match event.item:
                case AgentHandoff():
                    self._told = self.holder
                case ChatMessage(role="user"):
                    self.conductor.turns.keep(event.item)
                case _:
                    return
            self.changed()

        # LiveKit looks at it before each call, which otherwise costs more than all else here.
        vars(seen)["__signature__"] = _SIGNATURE
        return seen

    def _listening(self) -> Callable[[SpeechCreatedEvent], None]:
        def spoke(event: SpeechCreatedEvent) -> None:
            self.speech = event.speech_handle

        vars(spoke)["__signature__"] = _SIGNATURE
        return spoke

    def _seen_closed(self, _: object) -> None:
        self.changed()

    def changed(self) -> None:
        """Wake whoever waits for a change."""
        if self._change is not None:
            self._change.set_result(None)
            self._change = None

    def change(self) -> asyncio.Future[None]:
        """Give a future that is done after the next change."""
        if self._change is None:
            self._change = asyncio.get_running_loop().create_future()
        return self._change

    def around(self) -> list[Conductor]:
        """Give the groups that this one is nested in, the nearest first."""
        outer = self._nested[: self._nested.index(self)]
        return [floor.conductor for floor in reversed(outer)]

    def inside(self) -> Conductor | None:
        """Give the group that is nested in this one, if there is one."""
        inner = self._nested[self._nested.index(self) + 1 :]
        return inner[0].conductor if inner else None

    @property
    def holder(self) -> Agent:
        """The agent that has the floor, or is about to get it."""
        return self.session.current_agent

    def is_at(self, task: Agent) -> bool:
        """Say whether nobody nested in a step's task has the floor: it has, or the group."""
        return self.holder is task or self.holder is self._group

    def is_passing(self) -> bool:
        """Say whether the floor is passing on, which is told when it nearly has."""
        return self._told is not self.holder

    def is_lost(self) -> bool:
        """Say whether `update_agent` has given the floor to an agent outside of the group."""
        # Whatever is awaited inside the group is an agent task.
        return not isinstance(self.holder, AgentTask)

    def is_held_by_nobody(self) -> bool:
        """Say whether the agent with the floor can't begin any more, as the session closes."""
        holder = self.holder
        if _is_running(holder) or not isinstance(holder, AgentTask):
            return False
        return holder.done() and self.is_closing()

    def is_forgotten(self, task: AgentTask[T]) -> bool:
        """Say whether a closed session has left out a task that waits for one nested in it."""
        return not task.done() and not _is_running(task) and self.is_closing()

    def is_closing(self) -> bool:
        """Say whether the session closes, or is closed."""
        # There is no public property, but who waits until it is idle learns it at once.
        waiting = self.session.wait_for_idle()
        try:
            waiting.send(None)
        except StopIteration:
            return False
        except Exception:  # noqa: BLE001 - the name of what it raises is not public
            return True
        waiting.close()
        return False


def _is_running(agent: Agent) -> bool:
    try:
        _session = agent.session
    except RuntimeError:
        return False
    return True
