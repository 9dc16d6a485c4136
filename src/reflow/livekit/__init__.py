"""Task groups for LiveKit Agents: a drop-in for its `TaskGroup`, and flows as agent tasks."""

from ._conductor import run_task as run_task
from ._flow_task import FlowTask as FlowTask
from ._group import TaskCompletedEvent as TaskCompletedEvent
from ._group import TaskGroup as TaskGroup
from ._result import GroupStoppedError as GroupStoppedError
from ._result import TaskGroupResult as TaskGroupResult

__all__ = [
    "FlowTask",
    "GroupStoppedError",
    "TaskCompletedEvent",
    "TaskGroup",
    "TaskGroupResult",
    "run_task",
]
