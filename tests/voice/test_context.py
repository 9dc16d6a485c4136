"""What a step's task knows of the conversation, and what stays of it in the group."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from livekit.agents import ChatContext
from sessions import Ask, Reply, Turn, conversation, obedient
from typing_extensions import override
from voice_groups import answer, go_back, group_of, texts

from reflow import MemoryJournal, Visit
from reflow.livekit import TaskGroup

if TYPE_CHECKING:
    from reflow import Visit

pytestmark = pytest.mark.anyio


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


async def test_what_is_said_during_the_summary() -> None:
    """It is in no summary, so it stays."""

    def script(turn: Turn) -> Reply:
        if "Summarize" in turn.instructions:
            _speech = talk.session.generate_reply(user_input="one more thing")
            return "so it was"
        return obedient(turn)

    async with conversation(lambda: group_of("a", summarize_chat_ctx=True), script) as talk:
        await answer(talk, ("a", "1"))
        await talk.outcome()
        await talk.session.wait_for_idle()
        assert "one more thing" in texts(talk.parent)
        assert "so it was" in texts(talk.parent)


async def test_a_session_without_a_model() -> None:
    """Nobody can summarize: that is said beside the results, which stay."""
    history = ChatContext.empty()
    history.add_message(role="user", content="long ago")
    group = TaskGroup(chat_ctx=history)

    async def compute(_: Visit) -> int:
        return 7

    seven = group.step(compute, id="seven", description="the seven")
    async with conversation(lambda: group, with_model=False) as talk:
        result = await talk.outcome()
        assert "long ago" in texts(group)
    assert result[seven] == 7
    assert result.exceptions is not None
    (failure,) = result.exceptions.exceptions
    assert "no language model" in str(failure)


async def test_a_context_that_is_replaced() -> None:
    """Nothing that was missing is added to what the program has set."""
    group = group_of("a", "b")
    async with conversation(lambda: group) as talk:
        await talk.say("look_up")
        await answer(talk, ("a", "1"))
        await talk.at("b")
        context = ChatContext.empty()
        context.add_message(role="user", content="a new beginning")
        await group.update_chat_ctx(context)
        said = [message.text_content for message in group.chat_ctx.messages()][1:]
        assert said == ["a new beginning"]
        await go_back(talk, "b", "a")
        await answer(talk, ("a", "2"), ("b", "3"))
        await talk.outcome()
        assert "a new beginning" in texts(group)


async def test_a_stale_step_of_another_process() -> None:
    """Nobody remembers what has changed; that something has is said all the same."""
    journal = MemoryJournal()

    def ask() -> Ask:
        return next(tasks)

    tasks = iter([Ask(name) for name in ("plan", "doctor", "hour", "end", "plan", "doctor")])

    def make() -> TaskGroup:
        group = TaskGroup(summarize_chat_ctx=False, journal=journal, key="call-42")
        plan = group.step(ask, id="plan", description="the plan")
        group.step(ask, id="doctor", description="the doctor", depends_on=[plan])
        group.step(ask, id="hour", description="the hour", depends_on=[plan])
        group.step(ask, id="end", description="the end")
        return group

    async with conversation(make) as talk:
        await answer(talk, ("plan", "basic"), ("doctor", "Ada"), ("hour", "noon"))
        await go_back(talk, "end", "plan")
        await answer(talk, ("plan", "family"))
        await talk.at("doctor")
    tasks = iter([Ask("doctor"), Ask("hour")])
    async with conversation(make) as talk:
        await answer(talk, ("doctor", "Bob"))
        await talk.at("hour")
        messages = talk.session.current_agent.chat_ctx.messages()
        note = "This is asked again because what it depends on has changed."
        assert f"{note} The answer before was: 'noon'" in [m.text_content for m in messages]


async def test_a_step_that_forgets_what_was_said() -> None:
    """What its task does with its own context changes nothing for the group."""

    class Forgets(Ask):
        @override
        async def answered(self, value: str) -> None:
            context = ChatContext.empty()
            context.add_message(role="user", content="nothing else")
            await self.update_chat_ctx(context)
            self.complete(value)

    group = group_of("a").add(lambda: Forgets("b"), id="b", description="b")
    async with conversation(lambda: group) as talk:
        await talk.say("look_up")
        await answer(talk, ("a", "1"), ("b", "2"))
        await talk.outcome()
        assert texts(group).count("nothing else") == 1
        names = [item.name for item in group.chat_ctx.items if item.type == "function_call"]
        assert names[:2] == ["look_up", "record"]
