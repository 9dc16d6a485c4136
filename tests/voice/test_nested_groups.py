"""Groups nested in the steps of others: going in, out, and around."""

from __future__ import annotations

import asyncio

import anyio
import pytest
from anyio.lowlevel import checkpoint
from livekit.agents import ToolError, function_tool, llm
from sessions import Ask, Call, Reply, Turn, Wait, conversation, obedient
from typing_extensions import override
from voice_groups import answer, asked, asking, go_back, group_of, results, texts

from reflow import FlowError, Visit
from reflow.livekit import GroupStoppedError, TaskGroup, run_task

pytestmark = pytest.mark.anyio


class Aside(Ask):
    """Can ask something else in a tool."""

    @function_tool
    async def aside(self) -> str:
        """Ask something else."""
        return await Ask("aside")

    @function_tool
    async def one(self) -> str:
        """Ask two things."""
        return str(results(await group_of("x", "y")))

    @function_tool
    async def two(self) -> str:
        """Likewise."""
        return str(results(await group_of("x", "y")))


async def test_three_levels() -> None:
    """From the innermost one can go back to any level; all below goes on where it was."""
    group = group_of("a")
    group.add(
        lambda: group_of("b").add(lambda: group_of("c", "d"), id="deep", description="deep"),
        id="inner",
        description="inner",
    )
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"), ("b", "2"), ("c", "3"))
        await go_back(talk, "d", "a")
        await answer(talk, ("a", "4"))
        await go_back(talk, "d", "b")
        await answer(talk, ("b", "5"))
        await go_back(talk, "d", "c")
        await answer(talk, ("c", "6"), ("d", "7"))
        found = results(await talk.outcome())
        assert asked(talk) == [*"abcdadbdcd"]
    assert found == {"a": "4", "inner": {"b": "5", "deep": {"c": "6", "d": "7"}}}


async def test_back_over_two_levels_at_once() -> None:
    """An inner and an outer step named together are both asked again, the inner one later."""
    group = group_of("a").add(lambda: group_of("b", "c"), id="inner", description="inner")
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"), ("b", "2"))
        await talk.at("c")
        await talk.say("back b a")
        await answer(talk, ("a", "3"), ("b", "4"), ("c", "5"))
        assert results(await talk.outcome()) == {"a": "3", "inner": {"b": "4", "c": "5"}}
        assert asked(talk) == [*"abcabc"]


async def test_back_over_two_levels_is_all_or_nothing() -> None:
    """What was offered and isn't possible any more: the rest isn't done, either."""
    group = group_of("a")

    def inner() -> TaskGroup:
        made = TaskGroup(summarize_chat_ctx=False)
        made.add(asking("b"), id="b", description="b")
        made.step(asking("c"), id="c", description="c", point_of_no_return=True)
        return made.add(asking("d"), id="d", description="d")

    group.add(inner, id="inner", description="inner")
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"), ("b", "2"))
        await talk.at("c")
        (tool,) = [t for t in talk.session.current_agent.tools if t.id == "out_of_scope"]
        assert isinstance(tool, llm.RawFunctionTool)
        await answer(talk, ("c", "3"))
        await talk.at("d")
        # The tool of before, as a slow turn of the model may still call it.
        with pytest.raises(ToolError, match=r"b.* can't be gone back to"):
            await tool(raw_arguments={"task_ids": ["b", "a"]})
        await answer(talk, ("d", "4"))
        assert results(await talk.outcome()) == {
            "a": "1",
            "inner": {"b": "2", "c": "3", "d": "4"},
        }
        assert asked(talk) == [*"abcd"]


async def test_an_inner_step_named_like_one_around() -> None:
    """Both can be gone back to, even if the inner one's id looks like the other's name."""

    def inner() -> TaskGroup:
        made = TaskGroup(summarize_chat_ctx=False)
        for name in ("a", "outer.a", "end"):
            made.add(asking(f"inner {name}"), id=name, description=name)
        return made

    group = group_of("a").add(inner, id="inner", description="inner")

    def script(turn: Turn) -> Reply:
        if turn.said.startswith("again "):
            return Call("out_of_scope", {"task_ids": [turn.said.removeprefix("again ")]})
        return obedient(turn)

    async with conversation(lambda: group, script) as talk:
        await answer(talk, ("a", "1"), ("inner a", "2"), ("inner outer.a", "3"))
        await talk.at("inner end")
        await talk.say("hello")
        names = talk.model.turns[-1].enum_of("out_of_scope", "task_ids")
        assert names == ["a", "outer.a", "outer.outer.a"]
        await talk.say("again a")
        await answer(talk, ("inner a", "4"))
        await talk.at("inner end")
        await talk.say("again outer.a")
        await answer(talk, ("inner outer.a", "5"))
        await talk.at("inner end")
        await talk.say("again outer.outer.a")
        await answer(talk, ("a", "6"), ("inner end", "7"))
        found = results(await talk.outcome())
    assert found == {"a": "6", "inner": {"a": "4", "outer.a": "5", "end": "7"}}


async def test_a_task_that_is_nested_in_a_step_can_go_back() -> None:
    """It gets the tools of the step that it is nested in."""
    group = group_of("a").add(lambda: Aside("b"), id="b", description="b")
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"))
        await talk.at("b")
        await talk.say("aside")
        await go_back(talk, "aside", "a")
        await answer(talk, ("a", "2"), ("b", "3"))
        assert results(await talk.outcome()) == {"a": "2", "b": "3"}


async def test_groups_in_parallel_tools() -> None:
    """A request that is made in the first ends both."""
    group = group_of("a").add(lambda: Aside("b"), id="b", description="b")
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"))
        await talk.at("b")
        await talk.say("one and two")
        await go_back(talk, "x", "a")
        await answer(talk, ("a", "2"), ("b", "5"))
        assert results(await talk.outcome()) == {"a": "2", "b": "5"}


async def test_groups_in_parallel_tools_outside_of_any_group() -> None:
    """One after the other, and each goes back to steps of its own only."""
    ended, all_ended = list[dict[str, object]](), asyncio.Event()

    @function_tool
    async def one() -> None:
        """Ask two things."""
        ended.append(results(await group_of("a", "b")))

    @function_tool
    async def two() -> None:
        """Ask two others."""
        ended.append(results(await group_of("c", "d")))
        all_ended.set()

    async with conversation(checkpoint, tools=[one, two]) as talk:
        talk.session.generate_reply(user_input="one and two")
        for first, second in (("a", "b"), ("c", "d")):
            for asks, order in (
                (first, "record 1"),
                (second, f"back {first}"),
                (first, "record 2"),
                (second, "record 3"),
            ):
                await talk.at(asks)
                talk.session.generate_reply(user_input=order)
        with anyio.fail_after(60):
            await all_ended.wait()
    assert ended == [{"a": "2", "b": "3"}, {"c": "2", "d": "3"}]
    back = [turn for turn in talk.model.turns if turn.said.startswith("back")]
    assert [turn.enum_of("out_of_scope", "task_ids") for turn in back] == [["a"], ["c"]]


async def test_run_task_in_a_tool_of_a_step() -> None:
    """It says that it is of no use there: the tool fails, the step goes on."""

    class Tool(Ask):
        @function_tool
        async def aside(self) -> str:
            """Ask something else."""
            with pytest.raises(FlowError, match="must be called by a step"):
                await run_task(Ask("aside"))
            return "refused"

    group = group_of("a").add(lambda: Tool("b"), id="b", description="b")
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"))
        await talk.at("b")
        await talk.say("aside")
        await answer(talk, ("b", "2"))
        assert results(await talk.outcome()) == {"a": "1", "b": "2"}
        assert "refused" in texts(group)


async def test_run_task_as_a_task_gets_the_floor() -> None:
    """The step's task has the floor then: it says which step, and what to do; the step goes on."""

    class Outer(Ask):
        @override
        async def on_enter(self) -> None:
            with pytest.raises(FlowError, match=r"run_task in step 'b' of .* has the floor"):
                await run_task(Ask("inner"))
            await super().on_enter()

    group = group_of("a").add(lambda: Outer("b"), id="b", description="b")
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"), ("b", "2"))
        assert results(await talk.outcome()) == {"a": "1", "b": "2"}


async def test_run_task_in_a_child_task_of_a_step() -> None:
    """LiveKit knows no such asyncio task: its error ends the group, nothing hangs."""

    async def apart(_: Visit[None]) -> str:
        async def ask() -> None:
            await run_task(Ask("b"))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
        return ""

    group = group_of("a")
    group.step(apart, id="b", description="b")
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"))
        with pytest.raises(ExceptionGroup) as raised:
            await talk.outcome()
    assert raised.group_contains(RuntimeError)


@pytest.mark.parametrize("names", [("b",), ("b", "b3")])
async def test_a_timeout_around_run_task(names: tuple[str, ...]) -> None:
    """It ends what is awaited, be it a group; the step goes on, and so does the group."""
    scopes = list[anyio.CancelScope]()

    async def quick(_: Visit[None]) -> str:
        with anyio.move_on_after(1000) as scope:
            scopes.append(scope)
            if len(names) == 1:
                await run_task(Ask("b"))
            else:
                await run_task(group_of(*names))
        return await run_task(Ask("b2"))

    group = group_of("a")
    group.step(quick, id="b", description="b")
    group.add(asking("c"), id="c", description="c")
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"))
        await talk.at("b")
        scopes[0].cancel()
        await answer(talk, ("b2", "2"), ("c", "3"))
        assert results(await talk.outcome()) == {"a": "1", "b": "2", "c": "3"}


async def test_a_callback_that_goes_back() -> None:
    """A request from a callback counts."""

    async def tell(event: object) -> None:
        if len(asked(talk)) == 2:
            group.go_back("a")

    group = group_of("a", "b", "c", on_task_completed=tell)
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"), ("b", "2"), ("a", "3"), ("c", "4"))
        assert results(await talk.outcome()) == {"a": "3", "b": "2", "c": "4"}
        assert asked(talk) == [*"abac"]


async def test_leaving_while_a_nested_group_begins() -> None:
    """The session closes before the nested group has the floor: its place is empty then."""
    begun = asyncio.Event()

    async def both(_: Visit[None]) -> str:
        begun.set()
        inner = await run_task(group_of("b"))
        return str(inner)

    group = group_of("a")
    group.step(both, id="inner", description="inner")
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"))
        await begun.wait()
        await talk.session.aclose()
        with pytest.raises(GroupStoppedError) as raised:
            await talk.outcome()
    assert raised.value.results.task_results == {"a": "1"}


async def test_run_task_between_steps() -> None:
    """A callback has no step to run it in: it is told so."""

    async def ask(_: object) -> None:
        await run_task(Ask("more"))

    async with conversation(lambda: group_of("a", on_task_completed=ask)) as talk:
        await answer(talk, ("a", "1"))
        with pytest.raises(FlowError, match="no step of the group is under way"):
            await talk.outcome()


async def test_run_task_while_the_agent_speaks() -> None:
    """The task has the floor when that is said."""
    spoken = asyncio.Event()

    async def announce(_: Visit[None]) -> str:
        _speech = talk.session.generate_reply(instructions="Announce it.")
        while not any("Announce it." in turn.texts for turn in talk.model.turns):
            await checkpoint()
        tasks.start_soon(release)
        return await run_task(Ask("b"))

    async def release() -> None:
        await anyio.wait_all_tasks_blocked()
        spoken.set()

    def script(turn: Turn) -> Reply:
        return Wait(spoken) if "Announce it." in turn.texts else obedient(turn)

    group = group_of("a")
    group.step(announce, id="b", description="b")
    async with anyio.create_task_group() as tasks, conversation(lambda: group, script) as talk:
        await answer(talk, ("a", "1"), ("b", "2"))
        assert results(await talk.outcome()) == {"a": "1", "b": "2"}
