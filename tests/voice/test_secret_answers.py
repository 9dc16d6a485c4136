"""Answers of sensitive steps that are given elsewhere: by a tool, a function, or too soon."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from livekit.agents import AgentTask, function_tool
from sessions import Ask, Call, Reply, Turn, conversation, obedient
from voice_groups import (
    Slow,
    answer,
    ask_card,
    asking,
    go_back,
    group_of,
    said_by_user,
    say_meanwhile,
    texts,
    with_card,
)

from reflow.livekit import GroupStoppedError, TaskCompletedEvent, TaskGroup, run_task

if TYPE_CHECKING:
    from reflow import Visit

pytestmark = pytest.mark.anyio

NUMBER = "sesame"
GIVEN: dict[str, object] = {"step": "card", "value": NUMBER}


async def test_a_step_has_a_tool_of_that_name() -> None:
    """The group's tool has another name then, and its call is left out; the step's own stays."""

    class Phone(Ask):
        @function_tool
        async def answer(self, step: list[str]) -> str:
            """Answer the phone."""
            return f"answered {len(step)}"

    def script(turn: Turn) -> Reply:
        return Call("answer_in_group", GIVEN) if turn.said == "my card" else obedient(turn)

    group = with_card(first=lambda: Phone("a"), model_may_answer=True)
    async with conversation(lambda: group, script) as talk:
        await talk.at("a")
        await talk.say("my card")
        await talk.say('answer {"step": ["x"]}')
        await answer(talk, ("a", "1"))
        await talk.at("b")
        assert NUMBER not in texts(talk.session.current_agent, group)
        assert "answered 1" in texts(group)
        await answer(talk, ("b", "2"))
        result = await talk.outcome()
        assert NUMBER not in texts(group, talk.parent)
    assert result.task_results["card"] == NUMBER


@pytest.mark.parametrize(
    ("arguments", "counts"),
    [
        (json.dumps(GIVEN).removesuffix("}"), True),
        (json.dumps(json.dumps(GIVEN)), True),
        (json.dumps({**GIVEN, "step": "the card"}), False),
        (json.dumps({**GIVEN, "step": ["card"]}), False),
    ],
    ids=["broken", "twice", "misspelt", "list"],
)
async def test_arguments_that_are_malformed(arguments: str, *, counts: bool) -> None:
    """LiveKit repairs some; the secret is left out, whether it counts as the answer or not."""

    def script(turn: Turn) -> Reply:
        return Call("answer", arguments) if turn.said == "my card" else obedient(turn)

    group = with_card(model_may_answer=True)
    async with conversation(lambda: group, script) as talk:
        await talk.at("a")
        await talk.say("my card")
        await answer(talk, ("a", "1"))
        if not counts:
            await answer(talk, ("card", NUMBER))
        await answer(talk, ("b", "2"))
        result = await talk.outcome()
        assert result.task_results["card"] == NUMBER
        assert NUMBER not in texts(group, talk.parent)


async def test_a_task_that_hands_its_calls_back_itself() -> None:
    """By that option of LiveKit's its calls are in the group's conversation; the secret one not."""

    class Keeps(Ask):
        def __init__(self) -> None:
            AgentTask.__init__(
                self, instructions="ask for the a", preserve_function_call_history=True
            )
            self.what, self.speaks = "a", True
            self.entered = asyncio.Event()

    def script(turn: Turn) -> Reply:
        return Call("answer", GIVEN) if turn.said == "my card" else obedient(turn)

    group = with_card(first=Keeps, model_may_answer=True)
    async with conversation(lambda: group, script) as talk:
        await talk.at("a")
        await talk.say("my card")
        await talk.say("look_up")
        await answer(talk, ("a", "1"))
        await talk.at("b")
        assert NUMBER not in texts(talk.session.current_agent, group)
        calls = [item.name for item in group.chat_ctx.items if item.type == "function_call"]
        assert calls == ["look_up", "record"]


@pytest.mark.parametrize("ending", ["done", "fails", "interrupted", "answered", "stopped"])
async def test_what_a_function_says_itself(ending: str) -> None:
    """It isn't in the group's conversation, however its visit ends."""

    async def card(visit: Visit[None]) -> str:
        number = await run_task(ask_card())
        await talk.session.generate_reply(instructions="Confirm the card.")
        match ending:
            case "fails":
                raise ValueError
            case "interrupted" if visit.number == 1:
                await visit.go_back("a")
            case "answered":
                visit.run.answer(key, number)
            case "stopped":
                visit.run.stop("enough")
            case _:
                pass
        return number

    def script(turn: Turn) -> Reply:
        return f"it is {NUMBER}" if "Confirm the card." in turn.texts else obedient(turn)

    group = group_of("a", return_exceptions=True)
    key = group.step(card, id="card", description="card", sensitive=True)
    group.add(asking("b"), id="b", description="b")
    async with conversation(lambda: group, script) as talk:
        await answer(talk, ("a", "1"), ("card", NUMBER))
        if ending == "interrupted":
            await answer(talk, ("a", "2"), ("card", NUMBER))
        if ending != "stopped":
            await talk.at("b")
            assert NUMBER not in texts(talk.session.current_agent, group)
            await answer(talk, ("b", "3"))
        with suppress(GroupStoppedError):
            await talk.outcome()
        await talk.session.wait_for_idle()
        assert any("Confirm the card." in turn.texts for turn in talk.model.turns)
        assert NUMBER not in texts(group, talk.parent)


async def test_said_before_its_step_began() -> None:
    """What the step answers is its own, whenever it was said."""
    slow = Slow("a")
    group = with_card(on_task_completed=slow)
    async with conversation(lambda: group) as talk:
        await talk.at("a")
        await say_meanwhile(talk, slow, "record 1", f"record {NUMBER}")
        await talk.at("b")
        assert NUMBER not in texts(talk.session.current_agent, group)
        await answer(talk, ("b", "2"))
        result = await talk.outcome()
        assert NUMBER not in texts(group, talk.parent)
    assert result.task_results["card"] == NUMBER


async def test_said_after_its_step() -> None:
    """That is the next step's, and stays."""
    slow = Slow("card")
    group = with_card(on_task_completed=slow)
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"))
        await talk.at("card")
        await say_meanwhile(talk, slow, f"record {NUMBER}", "record 2")
        result = await talk.outcome()
        assert said_by_user(group) == ["record 1", "record 2"]
        assert NUMBER not in texts(group, talk.parent)
    assert result.task_results["b"] == "2"


async def test_the_event_of_its_completion() -> None:
    """Whoever logs it logs no secret."""
    told = list[TaskCompletedEvent]()

    async def tell(event: TaskCompletedEvent) -> None:
        told.append(event)

    async with conversation(lambda: with_card(on_task_completed=tell)) as talk:
        await answer(talk, ("a", "1"), ("card", NUMBER), ("b", "2"))
        await talk.outcome()
    assert [event.result for event in told] == ["1", NUMBER, "2"]
    assert NUMBER not in repr(told)


async def test_a_nested_group_whose_answer_a_tool_gives() -> None:
    """The secret of a group is none of what the group around it holds."""

    def script(turn: Turn) -> Reply:
        return Call("answer", GIVEN) if turn.said == "my card" else obedient(turn)

    inner = with_card(model_may_answer=True)
    group = TaskGroup(summarize_chat_ctx=False)
    group.add(asking("z"), id="z", description="z").add(lambda: inner, id="in", description="in")
    async with conversation(lambda: group, script) as talk:
        await answer(talk, ("z", "1"))
        await talk.at("a")
        await talk.say("my card")
        await go_back(talk, "a", "z")
        assert NUMBER not in texts(talk.session.current_agent, group)
