"""What the type checkers must say of task groups. Checked by mypy and pyright, never run."""

from __future__ import annotations

from typing import assert_type

from livekit.agents import AgentTask

from reflow import Done, Failed, Flow, Outcome, Pending, Run, Skipped, Step, Visit
from reflow.livekit import (
    FlowTask,
    GroupStoppedError,
    TaskCompletedEvent,
    TaskGroup,
    TaskGroupResult,
    run_task,
)


class NameTask(AgentTask[str]):
    """A task with a result of its own type."""

    def __init__(self) -> None:
        super().__init__(instructions="")


class AgeTask(AgentTask[int]):
    """Another one, that has to be given something."""

    def __init__(self, least: int) -> None:
        super().__init__(instructions=f"at least {least}")


async def double(visit: Visit) -> float:
    """Be a step that is a plain function."""
    return 2.0


def positive(age: int) -> int:
    """Take what is positive."""
    return age


async def told(event: TaskCompletedEvent) -> None:
    """Be told."""
    _task = assert_type(event.agent_task, AgentTask[object])
    assert_type(event.task_id, str)
    assert_type(event.result, object)


async def groups() -> None:
    """The result of each step has the type of its task's."""
    group = TaskGroup(on_task_completed=told, return_exceptions=True)
    name = group.step(NameTask, id="name", description="the name")
    age = group.step(
        lambda: AgeTask(18),
        id="age",
        description="the age",
        depends_on=[name],
        when=lambda results: results[name] != "",
        validate=positive,
    )
    size = group.step(double, id="size", description="the size")
    assert_type(name, Step[str])
    assert_type(age, Step[int])
    assert_type(size, Step[float])
    older = group.step(lambda visit: AgeTask(visit[age]), id="older", description="an age")
    assert_type(older, Step[int])
    group = assert_type(group.add(NameTask, id="b", description="b"), TaskGroup)
    group.go_back(name, "age")
    result = await group
    assert_type(result, TaskGroupResult)
    assert_type(result[name], str)
    assert_type(result.get(age), int | None)
    assert_type(result.get(age, "none"), int | str)
    assert_type(result.outcome(size), Outcome[float])
    assert_type(result.exceptions, ExceptionGroup[Exception] | None)
    assert_type(result.task_results, dict[str, object])
    match result.outcome(age):
        case Done(value):
            assert_type(value, int)
        case Failed() | Skipped() | Pending():
            pass


async def flows(flow: Flow[None], other: Flow[int]) -> None:
    """Deps are needed where the flow's aren't None."""
    _free = assert_type(FlowTask(flow), FlowTask[None])
    task = assert_type(FlowTask(other, 1), FlowTask[int])
    assert_type(task.prepared(), Run)
    try:
        assert_type(await task, TaskGroupResult)
    except GroupStoppedError as error:
        assert_type(error.results, TaskGroupResult)
        assert_type(error.reason, str)
    assert_type(await run_task(NameTask()), str)
