"""`complete()` ends a group from outside, as it ends any agent task of LiveKit's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from livekit.agents import Agent, function_tool
from sessions import Ask, conversation
from typing_extensions import override
from voice_groups import Slow, answer, asked, go_back, group_of, results

from reflow.livekit import GroupStoppedError, TaskGroup, TaskGroupResult, run_task

if TYPE_CHECKING:
    from livekit.agents import RunResult

    from reflow import Visit
    from reflow.livekit import TaskCompletedEvent

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


@pytest.mark.parametrize("where", ["tool", "callback", "function", "nested", "entry"])
async def test_from_inside(where: str) -> None:
    """Wherever it is called in the group, the floor is back with the parent then."""

    class Own(Ask):
        @function_tool
        async def finish(self) -> str:
            """Finish."""
            end("tool", "nested")
            return "finished"

        @override
        async def on_enter(self) -> None:
            end("entry")
            await super().on_enter()

    async def tell(_: TaskCompletedEvent) -> None:
        end("callback")

    async def function(_: Visit[None]) -> None:
        end("function")

    def end(*here: str) -> None:
        if where in here:
            group.complete(ValueError("mine"))

    def own() -> Ask:
        return Own("b")

    group = group_of("a", on_task_completed=tell)
    group.step(function, id="f", description="f")
    if where == "nested":
        group.add(lambda: group_of().add(own, id="b", description="b"), id="i", description="i")
    else:
        group.add(own, id="b", description="b")
    async with conversation(lambda: group) as talk:
        await talk.at("a")
        await talk.tries_to_say("record 1")
        if where in {"tool", "nested"}:
            await talk.at("b")
            await talk.tries_to_say("finish")
        with pytest.raises(ValueError, match="mine"):
            await talk.outcome()
        await talk.session.wait_for_idle()
        assert talk.session.current_agent is talk.parent


async def test_a_nested_group_whose_step_resumes() -> None:
    """It is complete: nothing of it is asked again."""
    given = await some_result()
    inner = list[TaskGroup]()

    async def two(_: Visit[None]) -> str:
        inner.append(group_of("b"))
        found = await run_task(inner[-1])
        assert found is given
        return await run_task(Ask("c"))

    group = group_of("a")
    group.step(two, id="two", description="two")
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"))
        await talk.at("b")
        inner[0].complete(given)
        await go_back(talk, "c", "a")
        await answer(talk, ("a", "2"), ("c", "3"))
        assert results(await talk.outcome()) == {"a": "2", "two": "3"}
        assert asked(talk) == [*"abcac"]
