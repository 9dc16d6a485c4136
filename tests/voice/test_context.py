"""What a step's task knows of the conversation, and what stays of it in the group."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from livekit.agents import ChatContext
from sessions import Ask, Reply, Turn, conversation, obedient

from reflow.livekit import TaskGroup

if TYPE_CHECKING:
    from livekit.agents import Agent

    from reflow import Visit

pytestmark = pytest.mark.anyio


def texts(agent: Agent) -> str:
    """Give all that an agent's context holds, as one text."""
    return str([item.model_dump() for item in agent.chat_ctx.items])


async def test_a_step_gets_the_conversation() -> None:
    """What was said to the parent and in the steps before, but not their instructions."""
    history = ChatContext.empty()
    history.add_message(role="user", content="long ago")
    group = TaskGroup(summarize_chat_ctx=False, chat_ctx=history)
    group.add(lambda: Ask("a"), id="a", description="a")
    group.add(lambda: Ask("b"), id="b", description="b")
    async with conversation(lambda: group) as talk:
        await talk.say("hello")
        await talk.say("record 1")
        seen = talk.session.current_agent.chat_ctx
        assert [m.text_content for m in seen.messages() if m.role == "user"] == [
            "long ago",
            "hello",
            "record 1",
        ]
        instructions = [m.text_content for m in seen.messages() if m.role == "system"]
        assert instructions == ["ask for the b"]
        await talk.say("record 2")
        await talk.outcome()


async def test_a_step_that_runs_again_is_told_why() -> None:
    """What the answer was, that the user wants to change it, or what has changed."""
    group = TaskGroup(summarize_chat_ctx=False)
    plan = group.step(lambda: Ask("plan"), id="plan", description="the plan")
    group.step(lambda: Ask("doctor"), id="doctor", description="the doctor", depends_on=[plan])
    pin = group.step(lambda: Ask("pin"), id="pin", description="the pin", sensitive=True)
    async with conversation(lambda: group) as talk:

        def note() -> str:
            messages = talk.session.current_agent.chat_ctx.messages()
            instructions, *notes = [m.text_content or "" for m in messages if m.role == "system"]
            assert instructions.startswith("ask for the ")
            assert len(notes) < 2
            return "".join(notes)

        assert note() == ""
        await talk.say("record basic")
        assert note() == ""
        await talk.say("record Ada")
        await talk.say("back plan")
        assert note().endswith("The answer before was: 'basic'")
        assert "wants to change" in note()
        await talk.say("record family")
        assert "has changed: plan. The answer before was: 'Ada'" in note()
        await talk.say("record Bob")
        assert "comes back to this" in note()
        await talk.say("record 1234")
        result = await talk.outcome()
    assert result[pin] == "1234"


async def test_what_is_said_in_a_sensitive_step_stays_there(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither the group nor the parent, the summary nor the logs get it."""
    caplog.set_level(logging.DEBUG, logger="reflow")
    groups = list[TaskGroup]()

    def make() -> TaskGroup:
        group = TaskGroup(return_exceptions=True)
        group.step(lambda: Ask("card"), id="card", description="the card", sensitive=True)
        group.add(lambda: Ask("b"), id="b", description="b")
        groups.append(group)
        return group

    prompts = list[str]()

    def script(turn: Turn) -> Reply:
        if "Summarize" in turn.instructions:
            prompts.append(str(turn.texts))
            return "a summary"
        return obedient(turn)

    async with conversation(make, script) as talk:
        await talk.say("my card is 4242")
        await talk.say("record 4242")
        assert "4242" not in texts(talk.session.current_agent)
        await talk.say("back card")
        assert "4242" not in texts(talk.session.current_agent)
        await talk.say("record 4243")
        await talk.say("record 2")
        result = await talk.outcome()
        assert "424" not in texts(groups[0]) + texts(talk.parent) + repr(result)
    assert len(prompts) == 1
    assert "record 2" in prompts[0]
    assert "424" not in prompts[0] + "".join(
        r.getMessage() for r in caplog.records if r.name.startswith("reflow")
    )


async def test_the_summary() -> None:
    """One message instead of all that was said; instructions of the parent stay."""

    def script(turn: Turn) -> Reply:
        return "they said x" if "Summarize" in turn.instructions else obedient(turn)

    group = TaskGroup()
    group.add(lambda: Ask("a"), id="a", description="a")
    async with conversation(lambda: group, script) as talk:
        await talk.say("hello")
        await talk.say("record 1")
        await talk.outcome()
        _, *said = [(m.role, m.text_content) for m in group.chat_ctx.messages()]
    assert said == [("assistant", "<chat_history_summary>they said x</chat_history_summary>")]


async def test_a_plain_function_beside_tasks() -> None:
    """It runs as a step like any other."""
    group = TaskGroup(summarize_chat_ctx=False)
    a = group.step(lambda: Ask("a"), id="a", description="a")

    async def double(visit: Visit[None]) -> str:
        return visit[a] * 2

    b = group.step(double, id="b", description="b")
    async with conversation(lambda: group) as talk:
        await talk.say("record 1")
        result = await talk.outcome()
    assert result[b] == "11"


async def test_a_sensitive_group_in_a_group() -> None:
    """Nothing of what was said in it is left."""
    inner = TaskGroup(summarize_chat_ctx=False)
    inner.add(lambda: Ask("number"), id="number", description="the number")
    inner.add(lambda: Ask("code"), id="code", description="the code")
    group = TaskGroup(summarize_chat_ctx=False)
    group.step(lambda: inner, id="card", description="the card", sensitive=True)
    group.add(lambda: Ask("b"), id="b", description="b")
    async with conversation(lambda: group) as talk:
        await talk.at("number")
        await talk.say("record 4242")
        await talk.at("code")
        await talk.say("record 4243")
        await talk.at("b")
        assert "424" not in texts(talk.session.current_agent) + texts(group) + texts(inner)
        await talk.say("record 2")
        await talk.outcome()
        assert "record 2" in texts(group)


async def test_the_summary_has_all_that_was_called() -> None:
    """Also what LiveKit notes only after a step has handed back; it isn't there twice."""
    prompts = list[str]()

    def script(turn: Turn) -> Reply:
        if "Summarize" in turn.instructions:
            prompts.append(turn.texts[-1])
            return "so it was"
        return obedient(turn)

    group = TaskGroup()
    group.add(lambda: Ask("a"), id="a", description="a")
    group.add(lambda: Ask("b"), id="b", description="b")
    async with conversation(lambda: group, script) as talk:
        await talk.say("look_up {}")
        await talk.say("record 1")
        await talk.say("record 2")
        await talk.outcome()
        assert "record 1" not in texts(group)
    (prompt,) = prompts
    assert prompt.count('"call": "record"') == 2
    assert prompt.count('"call": "look_up"') == 1
    assert "looked up" in prompt
