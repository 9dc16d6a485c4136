"""Sensitive steps: what is said, called and answered there is in no other place."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest
from livekit.agents import AgentTask, FunctionCall, FunctionCallOutput
from sessions import Ask, Call, Reply, Turn, conversation, obedient
from voice_groups import (
    TalkingModel,
    answer,
    ask_card,
    asking,
    go_back,
    group_of,
    texts,
    with_card,
)

from reflow.livekit import TaskGroup, run_task

if TYPE_CHECKING:
    from reflow import Visit

pytestmark = pytest.mark.anyio

NUMBER = "sesame"


async def test_what_is_said_stays_there(caplog: pytest.LogCaptureFixture) -> None:
    """Neither the group nor the parent, the summary nor the logs get it."""
    caplog.set_level(logging.DEBUG, logger="reflow")
    groups = list[TaskGroup]()

    def make() -> TaskGroup:
        group = TaskGroup(return_exceptions=True)
        group.step(ask_card, id="card", description="the card", sensitive=True)
        groups.append(group.add(asking("b"), id="b", description="b"))
        return group

    prompts = list[str]()

    def script(turn: Turn) -> Reply:
        if "Summarize" in turn.instructions:
            prompts.append(str(turn.texts))
            return "a summary"
        return obedient(turn)

    async with conversation(make, script) as talk:
        await talk.say("my card is sesame")
        await talk.say("record sesame")
        assert NUMBER not in texts(talk.session.current_agent)
        await talk.say("back card")
        assert NUMBER not in texts(talk.session.current_agent)
        await talk.say("record sesamo")
        await talk.say("record 2")
        result = await talk.outcome()
        assert "sesam" not in texts(groups[0], talk.parent) + repr(result)
    assert len(prompts) == 1
    assert "record 2" in prompts[0]
    assert "sesam" not in prompts[0] + "".join(
        r.getMessage() for r in caplog.records if r.name.startswith("reflow")
    )


async def test_a_group_in_it() -> None:
    """Nothing of what was said in a nested group is left, in that group, either."""
    inner = group_of("number", "code")
    group = TaskGroup(summarize_chat_ctx=False)
    group.step(lambda: inner, id="card", description="the card", sensitive=True)
    group.add(asking("b"), id="b", description="b")
    async with conversation(lambda: group) as talk:
        await answer(talk, ("number", "sesame"), ("code", "sesamo"))
        await talk.at("b")
        assert "sesam" not in texts(talk.session.current_agent, group, inner)
        await answer(talk, ("b", "2"))
        await talk.outcome()
        assert "record 2" in texts(group)


@pytest.mark.parametrize("levels", [1, 2])
async def test_the_summary_of_a_group_in_it(levels: int) -> None:
    """No model is asked for one, however deep the group is nested."""
    prompts = list[str]()

    def script(turn: Turn) -> Reply:
        if "Summarize" in turn.instructions:
            prompts.append(str(turn.texts))
            return "a summary"
        return obedient(turn)

    def inner() -> TaskGroup:
        made = group_of("number", summarize_chat_ctx=True)
        if levels == 2:
            return group_of().add(lambda: made, id="deep", description="deep")
        return made

    group = TaskGroup(summarize_chat_ctx=False)
    group.step(inner, id="card", description="the card", sensitive=True)
    async with conversation(lambda: group, script) as talk:
        await answer(talk, ("number", "sesame"))
        await talk.outcome()
    assert prompts == []


async def test_what_is_said_with_the_call_that_ends_it() -> None:
    """The words of the model in the turn of its call are the step's, too."""

    class Card(Ask):
        def __init__(self) -> None:
            AgentTask.__init__(self, instructions="ask for the card", llm=TalkingModel(NUMBER))
            self.what, self.speaks = "card", False
            self.entered = asyncio.Event()

    group = TaskGroup(summarize_chat_ctx=False)
    group.step(Card, id="card", description="the card", sensitive=True)
    group.add(asking("b"), id="b", description="b")
    async with conversation(lambda: group) as talk:
        await talk.at("card")
        await talk.say("my card is sesame")
        await talk.at("b")
        assert NUMBER not in texts(talk.session.current_agent, group)
        await answer(talk, ("b", "2"))
        await talk.outcome()
        assert NUMBER not in texts(group, talk.parent)


async def test_an_interrupted_one() -> None:
    """Neither do the words of the turn that interrupts it stay."""

    def script(turn: Turn) -> Reply:
        if turn.said.startswith(NUMBER):
            return Call("out_of_scope", {"task_ids": ["a"]})
        return obedient(turn)

    group = with_card()
    async with conversation(lambda: group, script) as talk:
        await answer(talk, ("a", "1"))
        await talk.at("card")
        await talk.say("sesame is it, but change a")
        await talk.at("a")
        assert NUMBER not in texts(talk.session.current_agent, group)
        await answer(talk, ("a", "2"), ("card", "sesame"), ("b", "3"))
        await talk.outcome()
        assert NUMBER not in texts(talk.parent, group)


async def test_an_answer_by_tool() -> None:
    """The call that holds the value isn't in the history, nor what it returned; others are."""

    def script(turn: Turn) -> Reply:
        if turn.said == "all of it":
            return [
                Call("answer", {"step": "card", "value": NUMBER}),
                Call("look_up"),
            ]
        return obedient(turn)

    group = with_card(model_may_answer=True)
    async with conversation(lambda: group, script) as talk:
        await talk.at("a")
        assert "answer" in [tool.id for tool in talk.session.current_agent.tools]
        await talk.say("all of it")
        await answer(talk, ("a", "1"), ("b", "2"))
        result = await talk.outcome()
        assert NUMBER not in texts(group)
        kept = [item.name for item in group.chat_ctx.items if item.type == "function_call"]
        assert kept == ["look_up", "record", "record"]
    assert result.task_results == {"a": "1", "card": NUMBER, "b": "2"}


@pytest.mark.parametrize(
    ("arguments", "stays"),
    [
        ('{"step": "b", "value": "1"}', True),
        ('{"step": "the card", "value": "1"}', False),
        ('{"step": ["card"], "value": "1"}', False),
        ("[]", False),
        ("no JSON", False),
    ],
)
async def test_calls_of_the_tool_to_answer(arguments: str, *, stays: bool) -> None:
    """A call that certainly answers another step stays; what is odd may hold the secret."""
    group = with_card(model_may_answer=True)
    async with conversation(lambda: group) as talk:
        await talk.at("a")
        step = talk.session.current_agent
        context = step.chat_ctx.copy()
        context.insert(
            [
                FunctionCall(call_id="odd", name="answer", arguments=arguments),
                FunctionCallOutput(call_id="odd", name="answer", output="x", is_error=True),
            ]
        )
        await step.update_chat_ctx(context)
        await answer(talk, ("a", "1"))
        await talk.at("card")
        kept = [item.arguments for item in group.chat_ctx.items if item.type == "function_call"]
        assert (arguments in kept) is stays


async def test_an_error_in_it() -> None:
    """What went wrong is told without the value."""

    async def refuse(visit: Visit[None]) -> str:
        number = await run_task(Ask("card"))
        raise ValueError(number)

    group = TaskGroup(summarize_chat_ctx=False, return_exceptions=True)
    group.step(refuse, id="card", description="the card", sensitive=True)
    async with conversation(lambda: group) as talk:
        await answer(talk, ("card", NUMBER))
        result = await talk.outcome()
        assert NUMBER not in repr(result) + texts(group, talk.parent)
    assert isinstance(result.task_results["card"], ValueError)


async def test_a_note_about_it() -> None:
    """Asked once more, the model is told that there was an answer, not which."""
    group = with_card()
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"), ("card", NUMBER))
        await go_back(talk, "b", "card")
        note = texts(talk.session.current_agent)
        assert "has answered it before" in note
        assert NUMBER not in note
        await answer(talk, ("card", "4343"), ("b", "2"))
        await talk.outcome()
