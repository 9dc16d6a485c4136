"""`complete()` ends a group from outside, as it ends any agent task of LiveKit's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from livekit.agents import Agent
from sessions import Ask, conversation
from typing_extensions import override
from voice_groups import Slow, answer, group_of, results

from reflow.livekit import GroupStoppedError, TaskGroup, TaskGroupResult

if TYPE_CHECKING:
    from livekit.agents import RunResult

pytestmark = pytest.mark.anyio


async def some_result() -> TaskGroupResult:
    """Make a result of another group, which was cancelled."""
    group = group_of("other")
    group.cancel()
    async with conversation(lambda: group) as talk:
        with pytest.raises(GroupStoppedError) as raised:
            await talk.outcome()
    return raised.value.results


@pytest.mark.parametrize("in_tool", [False, True])
async def test_with_a_result(*, in_tool: bool) -> None:
    """Whoever awaits the group gets it, at once; its step is interrupted."""
    given = await some_result()
    group = group_of("a", "b")
    async with conversation(lambda: group, in_tool=in_tool) as talk:
        if in_tool:
            await talk.say("begin")
        await answer(talk, ("a", "1"))
        await talk.at("b")
        group.complete(given)
        assert await talk.outcome() is given
        await talk.session.wait_for_idle()
        assert talk.session.current_agent is talk.parent


async def test_with_an_error() -> None:
    """Whoever awaits the group gets it raised."""
    group = group_of("a", "b")
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"))
        await talk.at("b")
        group.complete(ValueError("hand over"))
        with pytest.raises(ValueError, match="hand over"):
            await talk.outcome()


async def test_twice() -> None:
    """The first one counts; the second is an error, as LiveKit's is."""
    given = await some_result()
    group = group_of("a", "b")
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"))
        await talk.at("b")
        group.complete(given)
        with pytest.raises(RuntimeError, match="already done"):
            group.complete(ValueError("too late"))
        assert await talk.outcome() is given


async def test_after_its_end() -> None:
    """It is an error, as LiveKit's is; the result stays."""
    group = group_of("a")
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"))
        assert results(await talk.outcome()) == {"a": "1"}
        with pytest.raises(RuntimeError, match="already done"):
            group.complete(ValueError("too late"))


async def test_before_it_is_awaited() -> None:
    """It never begins: whoever awaits it has the result."""
    given = await some_result()
    group = group_of("a")
    group.complete(given)
    async with conversation(lambda: group) as talk:
        assert await talk.outcome() is given
        assert talk.model.turns == []


async def test_before_it_is_awaited_as_a_step() -> None:
    """What it was given is the step's result, as with any other task that is done when made."""
    given = await some_result()

    def inner() -> TaskGroup:
        made = group_of("b")
        made.complete(given)
        return made

    group = group_of("a").add(inner, id="inner", description="inner")
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"))
        assert (await talk.outcome()).task_results["inner"] is given


async def test_a_nested_group() -> None:
    """Its result is the step's, and the group around it goes on."""
    given = await some_result()
    inner = list[TaskGroup]()

    def make() -> TaskGroup:
        inner.append(group_of("b", "c"))
        return inner[-1]

    group = group_of("a").add(make, id="inner", description="inner")
    group.add(lambda: Ask("d"), id="d", description="d")
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"), ("b", "2"))
        await talk.at("c")
        inner[0].complete(given)
        await answer(talk, ("d", "3"))
        assert (await talk.outcome()).task_results == {"a": "1", "inner": given, "d": "3"}


async def test_during_a_callback() -> None:
    """The callback is cancelled; what the user said meanwhile is left to the parent's history."""
    given = await some_result()
    slow = Slow("a")
    group = group_of("a", "b", on_task_completed=slow)
    async with conversation(lambda: group) as talk:
        first: RunResult[None] = talk.session.run(user_input="record 1")
        await slow.began.wait()
        group.complete(given)
        await first
        assert await talk.outcome() is given


async def test_by_a_step_of_its_own() -> None:
    """A task of the group may hand over: what it says is the group's end, not its own result."""
    given = await some_result()

    class HandsOver(Ask):
        @override
        async def answered(self, value: str) -> None:
            group.complete(given)
            self.complete(value)

    group = group_of().add(lambda: HandsOver("a"), id="a", description="a")
    group.add(lambda: Ask("b"), id="b", description="b")
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"))
        assert await talk.outcome() is given
        run = group.prepared()
        assert [run.results[step] for step in run.results] == ["1"]


@pytest.mark.parametrize("in_tool", [False, True])
async def test_after_another_agent_has_taken_over(*, in_tool: bool) -> None:
    """Whoever awaits the group still gets what it was completed with."""
    given = await some_result()
    group = group_of("a", "b")
    other = Agent(instructions="the other")
    async with conversation(lambda: group, in_tool=in_tool) as talk:
        if in_tool:
            await talk.say("begin")
        await answer(talk, ("a", "1"))
        await talk.at("b")
        talk.session.update_agent(other)
        group.complete(given)
        assert await talk.outcome() is given
        assert talk.session.current_agent is other
