"""What a group does: it drives a run, and lends each step the floor."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, TypeVar, cast, final

import anyio
from livekit.agents import AgentTask, ChatContext

from reflow import FlowError, RunStoppedError

from ._context import History, calls_since, with_note
from ._floor import Floor
from ._result import GroupStoppedError, TaskGroupResult, make_result
from ._steering import tools_of
from ._step_awaiting import StepAwaiting
from ._summary import summarize

if TYPE_CHECKING:
    from collections.abc import Callable

    from livekit.agents import ChatItem, ChatMessage

    from reflow import Run, Visit

T = TypeVar("T")

_log: Final = logging.getLogger("reflow.livekit")
_conductor: Final[ContextVar[Conductor | None]] = ContextVar("reflow.livekit", default=None)


@final
class Conductor:
    """Drives the run of a group, in the `on_enter` of its agent task."""

    def __init__(self, group: AgentTask[TaskGroupResult], name: str, *, summarizes: bool) -> None:
        """Begin; `prepare` is set before the group is entered."""
        self.group: Final = group
        self.prepare: Callable[[], Run]
        self.history: Final = History()
        self.floor: Floor | None = None
        self.ending: TaskGroupResult | Exception | None = None
        self._name: Final = name
        self._summarizes: Final = summarizes
        self._run: Run | None = None
        self._scope: Final = anyio.CancelScope()
        self._stopped: str | None = None
        # The task of the step under way, and the last item of its context when it began.
        self._task: tuple[AgentTask[object], str] | None = None
        self._heard: Final[list[ChatMessage]] = []

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

    async def conduct(self) -> None:
        """Drive the run, and complete the group's task with its result."""
        if self.group.done():
            # It was stopped before it had the floor.
            return
        _conductor.set(self)
        self.floor = Floor(self, self.group, self.group.session)
        ending: TaskGroupResult | Exception | None = None
        try:
            with self.floor, self._scope:
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
            self._end(ending or self._stopped_error())

    def _end(self, ending: TaskGroupResult | Exception) -> None:
        self.ending = ending
        if not self.group.done():
            self.group.complete(ending)

    def _stopped_error(self) -> GroupStoppedError:
        why = self._stopped or "its task was cancelled"
        message = f"the task group {self._name!r} was stopped: {why}"
        return GroupStoppedError(message, why, make_result(self.run))

    async def _summarized(self, result: TaskGroupResult) -> None:
        if not self._summarizes:
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
        if await floor.is_closing():
            await self._leave("the session is closing")
        runs = [self.run, *(outer.run for outer in floor.around())]
        await task.update_tools([*task.tools, *tools_of(runs)])
        await task.update_chat_ctx(self._context_of(visit))
        items = task.chat_ctx.items
        awaiting = StepAwaiting(
            task,
            task.__await__(),
            floor,
            heard=self._heard.copy(),
            kept=task.chat_ctx.copy() if visit.step.sensitive else None,
        )
        self._heard.clear()
        self._task = cast("AgentTask[object]", task), items[-1].id if items else ""
        try:
            return await awaiting.result()
        except Exception:
            if floor.is_lost():
                await self._leave("another agent has taken over")
            if await floor.is_closing():
                await self._leave("the session is closing")
            raise
        finally:
            self._task = None

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
        await anyio.sleep_forever()

    def hear(self, items: list[ChatItem]) -> None:
        """Keep what the user says while no step has the floor."""
        last = next((item for item in reversed(items) if item.type == "message"), None)
        if last is not None and last.role == "user" and last not in self._heard:
            self._heard.append(last)

    def with_calls(self, context: ChatContext) -> ChatContext:
        """Give the group's context with the function calls of the step that hands back.

        LiveKit takes over what was said in a step, but no calls.
        """
        if self._task is None or not self._task[0].done():
            return context
        task, last = self._task
        if calls := calls_since(task.chat_ctx.items, last):
            context = ChatContext([*context.items])
            context.insert(calls)
        return context


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
