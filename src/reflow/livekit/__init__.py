from ._flow_task import FlowTask as FlowTask, run_task as run_task
from ._group import TaskGroup as TaskGroup, TaskCompletedEvent as TaskCompletedEvent
from ._result import GroupStoppedError as GroupStoppedError, TaskGroupResult as TaskGroupResult
