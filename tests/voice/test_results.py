"""What a group gives, and what it refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

import pytest
from livekit.agents import AgentTask
from sessions import Ask, Reply, Turn, conversation, obedient

from reflow import Done, Failed, Flow, FlowError, MemoryJournal, Skipped, StepFailedError, Visit
from reflow.livekit import FlowTask, TaskGroup, TaskGroupResult, run_task

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio

T = TypeVar("T")


async def test_results_are_read_like_those_of_a_flow() -> None:
    """By step with their types, by id, as outcomes; all failures are in one group."""
    group = TaskGroup(summarize_chat_ctx=True, return_exceptions=True)
    a = group.step(lambda: Ask("a"), id="a", description="a")
    b = group.step(lambda: Ask("b"), id="b", description="b", when=lambda results: results[a] == "")

    async def fail(_: Visit) -> int:
        raise ValueError("no")

    c = group.step(fail, id="c", description="c")

    def script(turn: Turn) -> Reply:
        if "Summarize" in turn.instructions:
            raise ZeroDivisionError
        return obedient(turn)

    async with conversation(lambda: group, script) as talk:
        await talk.say("record 1")
        result = await talk.outcome()
    assert (result[a], result.get(b), result.get(c, 7)) == ("1", None, 7)
    assert result.outcome(a) == Done("1")
    assert isinstance(result.outcome(b), Skipped)
    assert isinstance(result.outcome(c), Failed)
    with pytest.raises(StepFailedError):
        result[c]
    assert result.task_results.keys() == {"a", "c"}
    assert isinstance(result.task_results["c"], ValueError)
    assert result.exceptions is not None
    assert [type(exc) for exc in result.exceptions.exceptions] == [ValueError, ZeroDivisionError]
    with pytest.raises(ExceptionGroup):
        result.raise_exceptions()
    assert repr(result).startswith("<TaskGroupResult: <Results of 'task_group': a: done, b: ski")


async def test_a_result_without_failures() -> None:
    """Nothing is raised then; nor can one be made by hand."""
    async with conversation(lambda: TaskGroup(summarize_chat_ctx=False)) as talk:
        result = await talk.outcome()
    assert result.exceptions is None
    assert result.task_results == {}
    result.raise_exceptions()
    with pytest.raises(TypeError, match="await it"):
        TaskGroupResult()


class AskAny(AgentTask[T], Generic[T]):
    """Is completed with something of any type."""


class AskNumber(AskAny[int]):
    """Is completed with a number."""


class Untyped(AgentTask):  # type: ignore[type-arg]  # that is the point
    """Doesn't say what it is completed with."""


def annotated() -> AskAny[list[int]]:
    """Be a factory that says what it makes."""
    raise AssertionError


def misleading() -> int:
    """Be a factory that makes something else."""
    raise AssertionError


def broken() -> Nowhere:  # type: ignore[name-defined]  # noqa: F821 - that is the point
    """Be a factory whose annotation can't be read."""
    raise AssertionError


@pytest.mark.parametrize(
    ("factory", "readable"),
    [
        (AskNumber, True),
        (annotated, True),
        (AskAny, False),
        (Untyped, False),
        (misleading, False),
        (broken, False),
        (lambda: Ask("a"), False),
    ],
)
async def test_the_types_of_results(
    factory: Callable[[], AgentTask[object]], *, readable: bool
) -> None:
    """A journal needs them: they are read of the task's class, or of the factory's annotation."""
    group = TaskGroup(journal=MemoryJournal(), key="k")
    group.step(factory, id="a", description="a")
    if readable:
        group.prepared()
    else:
        with pytest.raises(FlowError, match="'a'"):
            group.prepared()


async def test_a_group_goes_on_in_another_process() -> None:
    """What was answered is in the journal, and isn't asked again."""
    journal = MemoryJournal()

    def make() -> TaskGroup:
        group = TaskGroup(summarize_chat_ctx=False, journal=journal, key="call-42")
        group.step(ask, id="a", description="a")
        group.step(ask, id="b", description="b")
        return group

    def ask() -> Ask:
        return Ask("something")

    async with conversation(make) as talk:
        await talk.say("record 1")
    async with conversation(make) as talk:
        await talk.say("record 2")
        result = await talk.outcome()
    assert result.task_results == {"a": "1", "b": "2"}


async def test_a_task_is_run_in_steps_only() -> None:
    """Elsewhere it couldn't be interrupted."""
    with pytest.raises(FlowError, match="must be called by a step"):
        await run_task(Ask("a"))


async def test_what_is_no_task() -> None:
    """It is named, and so is the step."""
    flow = Flow("f")

    async def ask(_: Visit) -> str:
        return await run_task(7)  # type: ignore[arg-type]  # that is the point

    flow.step("a", id="a")(ask)
    async with conversation(lambda: FlowTask(flow, summarize_chat_ctx=False)) as talk:
        with pytest.raises(FlowError, match="step 'a' of task group 'f': 7 is not an AgentTask"):
            await talk.outcome()


async def test_a_summary_of_nothing() -> None:
    """No model is asked; and what the model leaves empty replaces nothing."""

    def script(turn: Turn) -> Reply:
        return "" if "Summarize" in turn.instructions else obedient(turn)

    async with conversation(TaskGroup, script) as talk:
        await talk.outcome()
        assert talk.model.turns == []
    group = TaskGroup()
    group.add(lambda: Ask("a"), id="a", description="a")
    async with conversation(lambda: group, script) as talk:
        await talk.say("record 1")
        result = await talk.outcome()
        assert any(m.text_content == "record 1" for m in group.chat_ctx.messages())
    assert result.exceptions is None
