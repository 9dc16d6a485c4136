"""The tools of a group beside those of a step, and of a session."""

from __future__ import annotations

import asyncio

import pytest
from livekit.agents import RunContext, RunResult, ToolError, function_tool, llm
from sessions import Ask, Call, Reply, Turn, conversation, obedient
from voice_groups import Slow, answer, asked, asking, group_of, results, texts

from reflow.livekit import TaskGroup

pytestmark = pytest.mark.anyio

OURS = ("out_of_scope", "answer", "skip")


@function_tool(name="out_of_scope")
async def call_an_agent() -> str:
    """Call a person."""
    return "somebody else's out_of_scope"


@function_tool(name="answer")
async def answer_the_phone() -> str:
    """Answer the phone."""
    return "somebody else's answer"


@function_tool(name="skip")
async def skip_a_song() -> str:
    """Skip a song."""
    return "somebody else's skip"


THEIRS = (call_an_agent, answer_the_phone, skip_a_song)


class WithTools(Ask):
    """Has tools that are named like those of the group."""

    @function_tool(name="out_of_scope")
    async def call_an_agent(self) -> str:
        """Call a person."""
        return "somebody else's out_of_scope"

    @function_tool(name="answer")
    async def answer_the_phone(self) -> str:
        """Answer the phone."""
        return "somebody else's answer"

    @function_tool(name="skip")
    async def skip_a_song(self) -> str:
        """Skip a song."""
        return "somebody else's skip"


def ask_c() -> Ask:
    """Make the task of the step behind."""
    return Ask("c")


@pytest.mark.parametrize("of", ["step", "session"])
async def test_tools_with_our_names(of: str) -> None:
    """None hides another: the group's get another name, and work under that."""

    def ask_b() -> Ask:
        return WithTools("b") if of == "step" else Ask("b")

    group = group_of("a")
    group.step(ask_b, id="b", description="the b", optional=True)
    c = group.step(ask_c, id="c", description="the c", model_may_answer=True)
    calls = {
        "back": Call("out_of_scope_in_group", {"task_ids": ["a"]}),
        "c": Call("answer_in_group", {"step": "c", "value": "early"}),
        "no b": Call("skip_in_group", {"step": "b"}),
    }

    def script(turn: Turn) -> Reply:
        return calls.get(turn.said) or obedient(turn)

    tools: list[llm.Tool | llm.Toolset] = [*THEIRS] if of == "session" else []
    async with conversation(lambda: group, script, tools=tools) as talk:
        await answer(talk, ("a", "1"))
        await talk.at("b")
        await talk.say("hello")
        names = [*talk.model.turns[-1].tools]
        assert len(names) == len(set(names))
        assert {*OURS, *(f"{name}_in_group" for name in OURS)} <= {*names}
        for name in OURS:
            await talk.say(name)
            assert f"somebody else's {name}" in texts(talk.session.current_agent)
        await talk.say("back")
        await answer(talk, ("a", "2"))
        await talk.at("b")
        await talk.say("c")
        assert group.prepared().results[c] == "early"
        await talk.say("no b")
        assert results(await talk.outcome()) == {"a": "2", "c": "early"}


async def test_a_tool_with_the_other_name_too() -> None:
    """A name is found that nobody has."""

    class Own(Ask):
        @function_tool
        async def skip(self) -> str:
            """Skip a song."""
            return ""

        @function_tool
        async def skip_in_group(self) -> str:
            """Skip a song of a group."""
            return ""

    group = TaskGroup(summarize_chat_ctx=False)
    group.step(lambda: Own("a"), id="a", description="a", optional=True)
    async with conversation(lambda: group) as talk:
        await talk.at("a")
        await talk.say('skip_in_group_in_group {"step": "a"}')
        assert results(await talk.outcome()) == {}


async def test_what_a_tool_refuses() -> None:
    """The model is told what was wrong, and nothing is done."""

    def script(turn: Turn) -> Reply:
        return Call("skip", {"step": turn.said}) if turn.said == "a" else obedient(turn)

    group = TaskGroup(summarize_chat_ctx=False)
    group.add(asking("a"), id="a", description="a")
    group.step(asking("b"), id="b", description="b", optional=True)
    async with conversation(lambda: group, script) as talk:
        await talk.at("a")
        await talk.say("a")
        (output,) = [
            item
            for item in talk.session.current_agent.chat_ctx.items
            if item.type == "function_call_output"
        ]
        assert output.is_error
        assert "a" in output.output
        await answer(talk, ("a", "1"), ("b", "2"))
        assert results(await talk.outcome()) == {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({}, "no task was named"),
        ({"task_ids": []}, "no task was named"),
        ({"task_ids": 7}, "no task was named"),
        ({"task_ids": ["a", "x"]}, "an id is unknown"),
        ({"task_ids": [["a"]]}, "an id is unknown"),
    ],
)
async def test_arguments_that_make_no_sense(arguments: dict[str, object], told: str) -> None:
    """Nothing is done, and the model is told what it may give."""
    async with conversation(lambda: group_of("a", "b")) as talk:
        await answer(talk, ("a", "1"))
        await talk.at("b")
        (tool,) = [t for t in talk.session.current_agent.tools if t.id == "out_of_scope"]
        assert isinstance(tool, llm.RawFunctionTool)
        with pytest.raises(ToolError, match=f"Nothing was done: {told}. Give .* some of: a."):
            await tool(raw_arguments=arguments)
        await answer(talk, ("b", "2"))
        await talk.outcome()
        assert asked(talk) == [*"ab"]


async def test_one_id_that_isnt_in_a_list() -> None:
    """What some models send is understood."""

    def script(turn: Turn) -> Reply:
        if turn.said == "once more":
            return Call("out_of_scope", {"task_ids": "a"})
        return obedient(turn)

    async with conversation(lambda: group_of("a", "b"), script) as talk:
        await answer(talk, ("a", "1"))
        await talk.at("b")
        await talk.say("once more")
        await answer(talk, ("a", "2"), ("b", "3"))
        assert results(await talk.outcome()) == {"a": "2", "b": "3"}


async def test_a_tool_that_is_called_late() -> None:
    """A slow turn of the model may still go back when its step is done."""
    slow = Slow("b")
    group = group_of("a", "b", "c", on_task_completed=slow)
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"))
        await talk.at("b")
        (tool,) = [t for t in talk.session.current_agent.tools if t.id == "out_of_scope"]
        assert isinstance(tool, llm.RawFunctionTool)
        first: RunResult[None] = talk.session.run(user_input="record 2")
        await slow.began.wait()
        await tool(raw_arguments={"task_ids": ["a"]})
        slow.release.set()
        await first
        await answer(talk, ("a", "3"), ("c", "4"))
        assert results(await talk.outcome()) == {"a": "3", "b": "2", "c": "4"}


async def test_a_toolset_with_our_names() -> None:
    """Its tools have names as well."""
    tools: list[llm.Tool | llm.Toolset] = [llm.Toolset(id="theirs", tools=[*THEIRS])]
    async with conversation(lambda: group_of("a", "b"), tools=tools) as talk:
        await answer(talk, ("a", "1"))
        await talk.at("b")
        await talk.say("hello")
        assert {*OURS, "out_of_scope_in_group"} <= {*talk.model.turns[-1].tools}
        await answer(talk, ("b", "2"))
        assert results(await talk.outcome()) == {"a": "1", "b": "2"}


async def test_a_tool_that_must_not_be_interrupted() -> None:
    """It ends, and stays in the history, when the model goes back in the same turn."""
    begun, release = asyncio.Event(), asyncio.Event()

    class Pays(Ask):
        @function_tool
        async def pay(self, context: RunContext[None]) -> str:
            """Pay."""
            context.disallow_interruptions()
            begun.set()
            await release.wait()
            return "paid"

    group = group_of("a").add(lambda: Pays("b"), id="b", description="b")
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"))
        await talk.at("b")
        said: RunResult[None] = talk.session.run(user_input="pay and back a")
        await begun.wait()
        release.set()
        await said
        await answer(talk, ("a", "2"))
        await talk.at("b")
        assert "paid" in texts(group)
        await answer(talk, ("b", "3"))
        assert results(await talk.outcome()) == {"a": "2", "b": "3"}
