"""What a group does: it drives a run, and lends each step the floor."""

from __future__ import annotations

import logging
from contextvars import ContextVar
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar, cast, final
from weakref import WeakKeyDictionary, WeakSet, ref

import anyio
from anyio.lowlevel import checkpoint
from livekit.agents import AgentTask, ChatContext

from reflow import FlowChangedError, FlowError, GoBackError, RunStoppedError

from ._context import History, with_note
from ._floor import Floor
from ._memory import Memory
from ._record import Record
from ._result import GroupStoppedError, TaskGroupResult, make_result
from ._steering import names_of, tools_of
from ._step_awaiting import StepAwaiting
from ._summary import summarize
from ._turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable

    from livekit.agents import ChatItem

    from reflow import Run, Visit

T = TypeVar("T")

_log: Final = logging.getLogger("reflow.livekit")
# By their agent task, which holds its own.
_conductors: Final[WeakKeyDictionary[object, ref[Conductor]]] = WeakKeyDictionary()
# The tasks that steps have run.
_run: Final[WeakSet[object]] = WeakSet()
_conductor: Final[ContextVar[Conductor | None]] = ContextVar("reflow.livekit", default=None)


@final
class Conductor:
    """Drives the run of a group, in the `on_enter` of its agent task."""

    def __init__(
        self,
        group: AgentTask[TaskGroupResult],
        name: str,
        own_context: Callable[[], ChatContext],
        *,
        summarizes: bool,
    ) -> None:
        """Begin; what is asked of it is set by the group.

        Args:
            group: its agent task.
            name: the group's, for messages.
            own_context: gives its conversation as LiveKit keeps it.
            summarizes: whether to put a summary in its place when the group is done.
        """
        self._own_context: Final = own_context
        self.group: Final = group
        self.prepare: Callable[[], Run]
        self.finish: Callable[[TaskGroupResult | Exception], None]
        self.is_stored: bool
        self.history: Final = History()
        self.memory: Final = Memory()
        self.turns: Final = Turns()
        self.record: Final = Record(own_context)
        self.floor: Floor | None = None
        self.ending: TaskGroupResult | Exception | None = None
        self._name: Final = name
        self._summarizes = summarizes
        self._run: Run | None = None
        self._scope: Final = anyio.CancelScope()
        self._stopped: str | None = None
        # What someone has completed it with.
        self._given: TaskGroupResult | Exception | None = None
        # Whether it is nested in a sensitive step.
        self._is_secret = False
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
        if self._given is not None:
            # The one in its place before was completed from outside.
            self._end(self._given)
            return
        _conductor.set(self)
        self.floor = Floor(self, self.group, self.group.session)
        ending: TaskGroupResult | Exception | None = None
        try:
            with self.floor, self._scope:
                self.turns.pass_over(self._own_context().items)
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
            self._conclude(ending)

    def _conclude(self, ending: TaskGroupResult | Exception | None) -> None:
        # What someone completed it with counts, whatever came of its steps.
        self._end(self._given or ending or self._stopped_error())

    def _go_on(self) -> None:
        """Prepare the run; where there was one in its place before, it goes on."""
        run, earlier = self.run, self._earlier
        self.record.know(run.steps)
        while earlier is not None and earlier.floor is None and earlier._given is None:
            # That one never had the floor.
            earlier = earlier._earlier
        self._earlier = None
        if earlier is None or self.is_stored:
            return
        if earlier._given is not None:
            self._given = earlier._given
            return
        try:
            run.resume(earlier.run)
        except FlowChangedError:
            # Another group takes its place.
            return
        except GoBackError:
            # What was asked of this one comes too late: it is closed.
            self._run = self.prepare()
            self._run.resume(earlier.run)
        self.history.take_over(earlier.history)
        self.memory.take_over(earlier.memory)
        # What was summarized isn't summarized again.
        self._summarizes = self._summarizes and not isinstance(earlier.ending, TaskGroupResult)

    def _join(self, around: list[Conductor]) -> None:
        """Begin as a part of the groups around it."""
        for outer in around[:1]:
            # Who has the next step answers; what is left then comes back.
            self.turns.waiting = outer.turns.waiting
            self.record.hidden = outer.record.hidden
            self.record.answered = outer.record.answered
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
            await summarize(self.group, {message.id for message in self.turns.waiting})
        except Exception as error:  # noqa: BLE001 - it destroys no result
            _log.exception("task group %r: its conversation can't be summarized", self._name)
            result._summary_failure = error

    async def run_task(self, task: AgentTask[T]) -> T:
        """Give a step's task the floor until it is done."""
        floor, visit = self.floor, self.run.visit
        if floor is None or visit is None:
            raise FlowError("run_task: no step of the group is under way")
        self._check(task, visit)
        if floor.is_lost():
            await self._leave("another agent has taken over")
        if floor.is_closing():
            await self._leave("the session is closing")
        if floor.holder is not self.group:
            raise FlowError(
                f"run_task in step {visit.step.id!r} of task group {self._name!r}: "
                f"{floor.holder!r} has the floor. Call it where the step runs, one after the "
                "other, not in a tool or `on_enter` of a task: a task is awaited there"
            )
        runs = [self.run, *(outer.run for outer in floor.around())]
        tools = partial(tools_of, runs, floor.session.tools)
        own = task.tools
        await task.update_tools([*own, *tools(own)])
        await task.update_chat_ctx(self._context_of(visit))
        nested = _conductors.get(task, _no_conductor)()
        if nested is not None:
            nested._earlier = self.memory.place(visit, nested)
        is_secret = visit.step.sensitive or self._is_secret
        awaiting = StepAwaiting(
            task,
            task.__await__(),
            floor,
            # The steps of a nested group share it.
            heard=self.turns.waiting if nested is None else None,
            kept=task.chat_ctx.copy() if visit.step.sensitive else None,
            hidden=self.record.hidden if is_secret else self.record.answered,
            tools=tools,
        )
        if not visit.step.sensitive:
            self.record.begin(cast("AgentTask[object]", task), names_of(own))
        try:
            return await awaiting.result()
        except Exception:
            if floor.is_lost():
                await self._leave("another agent has taken over")
            if floor.is_closing():
                await self._leave("the session is closing")
            raise
        finally:
            self.record.end()
            self.turns.pass_over(self._own_context().items)

    def _check(self, task: AgentTask[T], visit: Visit[object]) -> None:
        place = f"step {visit.step.id!r} of task group {self._name!r}"
        if not isinstance(cast("object", task), AgentTask):
            raise FlowError(f"{place}: {task!r} is not an AgentTask")
        if task in _run:
            raise FlowError(f"{place}: {task!r} was run before: make a new one for each visit")
        _run.add(task)

    def _context_of(self, visit: Visit[object]) -> ChatContext:
        heard = {message.id for message in self.turns.waiting}
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


def _no_conductor() -> None:
    """Stand for that of a task that is no group."""


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
