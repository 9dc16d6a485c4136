"""What a group does: it drives a run, and lends each step the floor."""

from __future__ import annotations

import itertools
import logging
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar, cast, final
from weakref import WeakKeyDictionary, ref

import anyio
from anyio.lowlevel import checkpoint
from livekit.agents import AgentTask, ChatContext

from reflow import FlowChangedError, FlowError, RunStoppedError

from ._context import Conversation, History, said_since, with_note
from ._floor import Floor
from ._memory import Memory
from ._result import GroupStoppedError, TaskGroupResult, make_result
from ._steering import tools_of
from ._step_awaiting import StepAwaiting
from ._summary import summarize

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from livekit.agents import ChatItem, ChatMessage

    from reflow import Run, Visit

T = TypeVar("T")

_log: Final = logging.getLogger("reflow.livekit")
# By their agent task, which holds its own.
_conductors: Final[WeakKeyDictionary[object, ref[Conductor]]] = WeakKeyDictionary()
_conductor: Final[ContextVar[Conductor | None]] = ContextVar("reflow.livekit", default=None)


@final
class Conductor:
    """Drives the run of a group, in the `on_enter` of its agent task."""

    def __init__(self, group: AgentTask[TaskGroupResult], name: str, *, summarizes: bool) -> None:
        """Begin; what is asked of it is set by the group."""
        self.group: Final = group
        self.prepare: Callable[[], Run]
        self.own_context: Callable[[], ChatContext]
        self.finish: Callable[[TaskGroupResult | Exception], None]
        self.is_stored: bool
        self.history: Final = History()
        self.memory: Final = Memory()
        self.floor: Floor | None = None
        self.ending: TaskGroupResult | Exception | None = None
        self._name: Final = name
        self._summarizes = summarizes
        self._run: Run | None = None
        self._scope: Final = anyio.CancelScope()
        self._stopped: str | None = None
        # What someone has completed it with.
        self._given: TaskGroupResult | Exception | None = None
        # The task of the step under way, and the last item of its context when it began.
        self._task: tuple[AgentTask[object], str] | None = None
        # What was said or called in steps, and isn't in the group's own context yet.
        self._late: list[ChatItem] = []
        # Whether it is nested in a sensitive step.
        self._is_secret = False
        # What the user said while no step had the floor, and nobody has answered.
        self._heard: list[ChatMessage] = []
        # The messages that were to be answered then, but may be drafts still.
        self._drafts: set[str] = set()
        # The last message that is no longer to be answered.
        self._dealt_with = ""
        # The steps that the model may answer, and nobody may see how.
        self._secret: Collection[str] = ()
        # The group that was in the place of this one when the step around was interrupted.
        self._earlier: Conductor | None = None
        _conductors[group] = ref(self)

    @property
    def run(self) -> Run:
        """The run; prepared when first needed."""
        if self._run is None:
            self._run = self.prepare()
        return self._run

    @property
    def has_begun(self) -> bool:
        """Whether the run is prepared: no step can be added any more."""
        return self._run is not None

    def stop(self, why: str) -> None:
        """End the group at once; whoever awaits it gets a GroupStoppedError."""
        if self.group.done():
            return
        if self._stopped is None:
            self._stopped = why
        self._scope.cancel()
        if self.floor is None:
            self._end(self._stopped_error())

    def complete(self, ending: TaskGroupResult | Exception) -> None:
        """End the group at once, with this.

        Raises:
            RuntimeError: if it has ended.
        """
        if self._given is not None or self.group.done():
            raise RuntimeError(f"{type(self.group).__name__} is already done")
        self._given = ending
        self._scope.cancel()
        if self.floor is None:
            self._end(ending)

    async def conduct(self) -> None:
        """Drive the run, and complete the group's task with its result."""
        if self.group.done():
            # It was stopped before it had the floor.
            return
        try:
            self._go_on()
        except Exception as error:  # noqa: BLE001 - raised to whoever awaits the group
            self._end(error)
            return
        _conductor.set(self)
        self.floor = Floor(self, self.group, self.group.session)
        ending: TaskGroupResult | Exception | None = None
        try:
            with self.floor, self._scope:
                self._deal_with_all()
                self._join(self.floor.around())
                await self.run.drive()
                result = make_result(self.run)
                await self._summarized(result)
                ending = result
        except RunStoppedError as error:
            self._stopped = error.reason
            ending = self._stopped_error()
            ending.__cause__ = error
        except Exception as error:  # noqa: BLE001 - raised to whoever awaits the group
            ending = error
        finally:
            self._end(self._given or ending or self._stopped_error())

    def _go_on(self) -> None:
        """Prepare the run; where there was one in its place before, it goes on."""
        run, earlier = self.run, self._earlier
        self._secret = {step.id for step in run.steps if step.sensitive and step.model_may_answer}
        while earlier is not None and earlier.floor is None:
            # That one never had the floor.
            earlier = earlier._earlier
        self._earlier = None
        if earlier is None or self.is_stored:
            return
        try:
            run.resume(earlier.run)
        except FlowChangedError:
            # Another group takes its place.
            return
        self.history.take_over(earlier.history)
        self.memory.take_over(earlier.memory)
        # What was summarized isn't summarized again.
        self._summarizes = self._summarizes and not isinstance(earlier.ending, TaskGroupResult)

    def _join(self, around: list[Conductor]) -> None:
        """Begin as a part of the groups around it."""
        for outer in around[:1]:
            # Who has the next step answers; what is left then comes back.
            self._heard = outer._heard
            visit = outer.run.visit
            self._is_secret = outer._is_secret or (visit is not None and visit.step.sensitive)

    def _end(self, ending: TaskGroupResult | Exception) -> None:
        self.ending = ending
        self.finish(ending)

    def _stopped_error(self) -> Exception:
        why = self._stopped or "its task was cancelled"
        message = f"the task group {self._name!r} was stopped: {why}"
        try:
            run = self.run
        except FlowError as error:
            # It could never have begun.
            return error
        return GroupStoppedError(message, why, make_result(run))

    async def _summarized(self, result: TaskGroupResult) -> None:
        if not self._summarizes or self._is_secret:
            return
        try:
            await summarize(self.group)
        except Exception as error:  # noqa: BLE001 - it destroys no result
            _log.exception("task group %r: its conversation can't be summarized", self._name)
            result._summary_failure = error

    async def run_task(self, task: AgentTask[T]) -> T:
        """Give a step's task the floor until it is done."""
        floor, visit = self.floor, self.run.visit
        if floor is None or visit is None:
            raise FlowError("run_task: no step of the group is under way")
        self._check(task, visit)
        if floor.is_closing():
            await self._leave("the session is closing")
        runs = [self.run, *(outer.run for outer in floor.around())]
        tools = partial(tools_of, runs, [tool.id for tool in floor.session.tools])
        own = task.tools
        await task.update_tools([*own, *tools({tool.id for tool in own})])
        await task.update_chat_ctx(self._context_of(visit))
        items = task.chat_ctx.items
        nested = _conductors.get(task, _no_conductor)()
        if nested is not None:
            nested._earlier = self.memory.place(visit.step, nested)
        awaiting = StepAwaiting(
            task,
            task.__await__(),
            floor,
            # The steps of a nested group share it.
            heard=self._heard if nested is None else None,
            kept=task.chat_ctx.copy() if visit.step.sensitive else None,
            tools=tools,
        )
        if not visit.step.sensitive:
            self._task = cast("AgentTask[object]", task), items[-1].id if items else ""
        try:
            return await awaiting.result()
        except Exception:
            if floor.is_lost():
                await self._leave("another agent has taken over")
            if floor.is_closing():
                await self._leave("the session is closing")
            raise
        finally:
            self._late = self._missing(self.own_context().items)
            self._task = None
            self._deal_with_all()

    def _check(self, task: AgentTask[T], visit: Visit[object]) -> None:
        place = f"step {visit.step.id!r} of task group {self._name!r}"
        if not isinstance(cast("object", task), AgentTask):
            raise FlowError(f"{place}: {task!r} is not an AgentTask")
        if task.done():
            raise FlowError(f"{place}: {task!r} was run before: make a new one for each visit")

    def _context_of(self, visit: Visit[object]) -> ChatContext:
        heard = {message.id for message in self._heard}
        items: list[ChatItem] = self.group.chat_ctx.items
        if heard:
            items = [item for item in items if item.id not in heard]
        return with_note(items, self.history.note(visit))

    async def _leave(self, why: str) -> None:
        """End the group from inside a step; never returns."""
        self.stop(why)
        await checkpoint()
        # In a shielded section.
        raise self._stopped_error()

    def hears(self, items: list[ChatItem]) -> bool:
        """Say whether the user speaks while no step has the floor: the next one is to answer.

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
            self._heard.append(message)
            self._dealt_with = message.id

    def _deal_with_all(self) -> None:
        self._drafts.clear()
        last = _last_message(self.own_context().items)
        self._dealt_with = "" if last is None else last.id

    def completed(self, context: ChatContext) -> ChatContext:
        """Give the group's own context with what it lacks of what was said and called in its steps.

        When a step's task hands back, LiveKit takes over what was said in it, but no calls; what it
        is still saying or noting then, it never takes over. It reads the group's context from here.
        """
        if missing := self._missing(context.items):
            context = ChatContext([*context.items])
            context.insert(missing)
        return Conversation(context.items)

    def forget(self) -> None:
        """The group's own context was replaced: nothing is to be added to it."""
        self._late = []

    def _missing(self, own: list[ChatItem]) -> list[ChatItem]:
        found = self._late
        if self._task is not None and self._task[0].done():
            task, last = self._task
            found = [*found, *said_since(task.chat_ctx.items, last, self._secret)]
        if not found:
            return []
        # From the end: it doesn't matter how long the conversation was before.
        began = min(item.created_at for item in found)
        recent = itertools.takewhile(lambda item: item.created_at >= began, reversed(own))
        known = {item.id for item in recent}
        return [item for item in found if item.id not in known]


def _no_conductor() -> None:
    """Stand for that of a task that is no group."""


def _last_message(items: list[ChatItem]) -> ChatMessage | None:
    return next((item for item in reversed(items) if item.type == "message"), None)


async def run_task(task: AgentTask[T]) -> T:
    """Run an agent task as (part of) a step of a flow that a `FlowTask` or `TaskGroup` runs.

    The task gets the conversation so far and the tools to go back, and can be interrupted at any
    moment; awaited directly, it could not. Call it where the step runs, not in a tool.

    Args:
        task: a new one.

    Returns:
        Its result.

    Raises:
        FlowError: if no step of a `FlowTask` is under way here; if it isn't an agent task, or one
            that was run before.
        Exception: what the task was completed with.
    """
    conductor = _conductor.get()
    if conductor is None:
        raise FlowError("run_task must be called by a step of a FlowTask or TaskGroup")
    return await conductor.run_task(task)
