"""A task group as LiveKit's, on reflow."""
from __future__ import annotations
from typing import TYPE_CHECKING, TypeVar
from reflow import Flow, Visit
from livekit.agents import NOT_GIVEN
from ._flow_task import FlowTask, run_task
import attrs

T = TypeVar("T")

@attrs.frozen
class TaskCompletedEvent:
    agent_task: object
    task_id: str
    result: object

class TaskGroup(FlowTask[None]):
    def __init__(self, *, summarize_chat_ctx=True, return_exceptions=False, chat_ctx=NOT_GIVEN, on_task_completed=None):
        self._on_task_completed = on_task_completed
        super().__init__(Flow("task_group"), None, summarize_chat_ctx=summarize_chat_ctx, return_exceptions=return_exceptions, chat_ctx=chat_ctx,
            on_completed=self._call_back if on_task_completed else None)
        self._tasks = {}

    async def _call_back(self, event):
        await self._on_task_completed(TaskCompletedEvent(self._tasks.get(event.step), event.step, event.value))

    def add(self, task_factory, *, id, description):
        self.step(task_factory, id=id, description=description)
        return self

    def step(self, task_factory, *, id, description, **options):
        async def act(visit: Visit[None]) -> object:
            task = self._tasks[id] = task_factory()
            return await run_task(task)
        return self._flow.step(description, id=id, **options)(act)
