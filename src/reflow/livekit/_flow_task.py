"""A flow as an agent task."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, Generic, TypeVar

import anyio
from livekit.agents import NOT_GIVEN, AgentTask
from typing_extensions import override

from reflow import Flow, FlowError, ReflowError, RunStoppedError, StepsMadeStale

from ._awaiting import Awaiting
from ._floor import Floor
from ._result import GroupStoppedError, TaskGroupResult, make_result
from ._tooling import tools_of

if TYPE_CHECKING:
    from collections.abc import Generator
    from livekit.agents import Agent, ChatContext
    from reflow import AnyStep, Event, Run, StepCompleted

T = TypeVar("T")
D = TypeVar("D")

_group: ContextVar[FlowTask[object]] = ContextVar("reflow.livekit.group")
# Innermost last.
_groups: list[FlowTask[object]] = []


class FlowTask(AgentTask[TaskGroupResult], Generic[D]):
    def __init__(self, flow: Flow[D], deps: D = None, *, summarize_chat_ctx=True, return_exceptions=False,
                 chat_ctx=NOT_GIVEN, on_completed=None, observers=(), journal=None, key=None, on_change="refuse"):
        super().__init__(instructions="*empty*", chat_ctx=chat_ctx)
        self._flow = flow
        self._deps = deps
        self._summarize = summarize_chat_ctx
        self._options = dict(return_exceptions=return_exceptions, on_completed=on_completed, observers=[*observers, self._observe],
                             journal=journal, key=key, on_change=on_change)
        self.run: Run | None = None
        self._scope = anyio.CancelScope()
        self._why: str | None = None
        self._inner: FlowTask[object] | None = None
        self._floor: Floor | None = None
        self._awaiting = None

    def _observe(self, event: Event) -> None:
        pass

    def go_back(self, *steps: AnyStep | str) -> None:
        self.run.go_back(*steps)

    @override
    def cancel(self) -> None:
        self._end("it was cancelled")

    def _end(self, why: str) -> None:
        if self._why is None:
            self._why = why
        if self.run is None:
            if not self.done():
                self.complete(self._stopped())
        else:
            self._scope.cancel()

    def _stopped(self) -> GroupStoppedError:
        results = None if self.run is None else make_result(self.run.results, self.run.steps)
        return GroupStoppedError(f"the task group was stopped: {self._why}", self._why or "", results)

    @override
    def __await__(self) -> Generator[None, None, TaskGroupResult]:
        return GroupAwaiting(self, super().__await__()).result().__await__()

    @override
    async def on_enter(self) -> None:
        self.run = run = self._flow.prepare(self._deps, **self._options)
        outer = _group.get(None)
        _group.set(self)
        ending = None
        try:
            with Floor(self.session) as self._floor, self._scope:
                results = await run.drive()
                ending = make_result(results, run.steps)
            if ending is None:
                ending = self._stopped()
        except RunStoppedError as error:
            self._why = error.reason
            ending = self._stopped()
            ending.__cause__ = error
        except Exception as error:
            ending = error
        except BaseException:
            ending = self._stopped()
            raise
        finally:
            if not self.done():
                self._ending = ending
                self.complete(ending)

    async def on_exit(self) -> None:
        if not self.done() and not await self._floor.is_closing():
            self._end("another agent took over")

    async def llm_node(self, chat_ctx, tools, model_settings):
        return None

    async def _run_step(self, task: AgentTask[T]) -> T:
        await task.update_tools([*task.tools, *tools_of(self.run)])
        await task.update_chat_ctx(self.chat_ctx)
        awaiting = StepAwaiting(task, task.__await__(), self, self._floor)
        self._awaiting = awaiting
        try:
            return await awaiting.result()
        except Exception as exc:
            if awaiting.lost:
                self._end("another agent took over")
                await anyio.sleep_forever()
            if await self._floor.is_closing():
                self._end("the session is closing")
                await anyio.sleep_forever()
            raise
        finally:
            self._awaiting = None


class GroupAwaiting(Awaiting[T]):
    def is_lost(self):
        floor = self.task._floor
        return floor is not None and floor.holder is not self.task
    def ending(self):
        if isinstance(self.task._ending, Exception):
            raise self._cancelled or self.task._ending
        return self.task._ending


class StepAwaiting(Awaiting[T]):
    def __init__(self, task, awaitable, group, floor):
        super().__init__(task, awaitable)
        self.group = group
        self.floor = floor
        self.lost = False

    def is_interrupted(self):
        holder = self.floor.holder
        if not self.lost and holder is not self.task and holder is not self.group and not isinstance(holder, AgentTask):
            self.lost = True
        return self.lost or super().is_interrupted()

    def interrupt(self):
        holder = self.floor.holder
        if holder is self.task or holder is self.group or not isinstance(holder, AgentTask):
            self.task.cancel()
        elif not holder.done():
            holder.cancel()

    def is_held(self):
        holder = self.floor.holder
        return holder is not self.task and holder is not self.group and isinstance(holder, AgentTask)

    def change(self):
        return self.floor.change()


async def run_task(task: AgentTask[T]) -> T:
    return await _group.get()._run_step(task)
