"""What stays in a group's conversation of what was said and called in its steps."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Final, cast, final

from livekit.agents import ChatContext

from reflow import (
    AnswerSuperseded,
    CleanupFailed,
    RunCancelled,
    RunFailed,
    StepCompleted,
    StepEntered,
    StepFailed,
    StepInterrupted,
)

from ._context import Conversation, said_since

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Container

    from livekit.agents import AgentTask, ChatItem, FunctionCall

    from reflow import AnyStep, Event


@final
class Record:
    """Completes a group's conversation; an observer of its run.

    When a step's task hands back, LiveKit takes over what was said in it, but no calls; what it is
    still saying or noting then, it never takes over. And what it takes over may be nobody's to see.
    """

    def __init__(self, own: Callable[[], ChatContext]) -> None:
        """Begin with nothing.

        Args:
            own: gives the group's conversation as LiveKit keeps it.
        """
        self._own: Final = own
        # What isn't in the group's own conversation yet.
        self._late: list[ChatItem] = []
        # The task of the step under way, and the last item of its context when it began.
        self._task: tuple[AgentTask[object], str] | None = None
        # What may not be seen, by its id; shared with the groups around.
        self.hidden: set[str] = set()
        # What was said between steps, and answered in one since, by its id; likewise shared. It is
        # later there than in the conversation that has it already.
        self.answered: set[str] = set()
        # The ids of the steps: all, the sensitive ones, and of these those the model may answer.
        self._known: Container[object] = ()
        self._sensitive: Collection[str] = ()
        self._answerable: Collection[str] = ()
        # The names of the tools of the task under way that aren't ours.
        self._others: Container[str] = ()
        # The group's last item when the sensitive visit under way began.
        self._since: str | None = None

    def __call__(self, event: Event) -> None:
        """Hide what a step that is a function says and calls itself, if it is sensitive."""
        match event:
            case StepEntered(step=step) if step in self._sensitive:
                items = self._own().items
                self._since = items[-1].id if items else ""
            case StepCompleted() | StepFailed() | StepInterrupted() | StepEntered():
                self._hide()
            case AnswerSuperseded() | CleanupFailed() | RunCancelled() | RunFailed():
                self._hide()
            case _:
                pass

    def _hide(self) -> None:
        if self._since is not None:
            self.hidden.update(item.id for item in said_since(self._own().items, self._since))
            self._since = None

    def know(self, steps: Collection[AnyStep]) -> None:
        """Learn what the steps are."""
        self._known = {step.id for step in steps}
        self._sensitive = {step.id for step in steps if step.sensitive}
        self._answerable = {step.id for step in steps if step.sensitive and step.model_may_answer}

    def begin(self, task: AgentTask[object], others: Container[str]) -> None:
        """Take note of what is said and called from now on.

        Args:
            task: of the step under way.
            others: the names of its tools that are not the run's.
        """
        items = task.chat_ctx.items
        self._task = task, items[-1].id if items else ""
        self._others = others

    def end(self) -> None:
        """Take no more note; the task has handed back."""
        self._late = self._missing(self._own().items)
        self._task = None

    def forget(self) -> None:
        """The group's own conversation was replaced: nothing is to be added to it."""
        self._late = []

    def completed(self, context: ChatContext) -> ChatContext:
        """Give the group's own conversation with what it lacks, and without what it may not hold.

        LiveKit reads it from here.
        """
        if missing := self._missing(context.items):
            context = ChatContext([*context.items])
            context.insert(missing)
        if self.hidden:
            context = ChatContext([item for item in context.items if item.id not in self.hidden])
        return Conversation(context.items)

    def _missing(self, own: list[ChatItem]) -> list[ChatItem]:
        found = self._late
        if self._task is not None and self._task[0].done():
            task, last = self._task
            said = said_since(task.chat_ctx.items, last)
            if self._answerable:
                self._hide_answers(said)
            found = [*found, *said]
        if not found:
            return []
        # From the end: it doesn't matter how long the conversation was before.
        began = min(item.created_at for item in found)
        recent = itertools.takewhile(lambda item: item.created_at >= began, reversed(own))
        known = {item.id for item in recent} | self.answered
        return [item for item in found if item.id not in known]

    def _hide_answers(self, items: list[ChatItem]) -> None:
        calls: set[str] = set()
        for item in items:
            if item.type == "function_call" and self._may_answer(item):
                calls.add(item.call_id)
        for item in items:
            if item.type == "function_call" or item.type == "function_call_output":
                self.hidden |= {item.id} if item.call_id in calls else set()

    def _may_answer(self, call: FunctionCall) -> bool:
        """Say whether a call may hold the answer of a sensitive step, well-formed or not."""
        if call.name in self._others or not call.name.startswith("answer"):
            return False
        try:
            arguments: object = json.loads(call.arguments)
        except ValueError:
            return True
        if not isinstance(arguments, dict):
            return True
        step = cast("dict[str, object]", arguments).get("step")
        is_other = isinstance(step, str) and step in self._known and step not in self._answerable
        return not is_other
