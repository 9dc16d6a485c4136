"""What is said while no step has the floor: each turn of the user is answered, and once."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from anyio.lowlevel import checkpoint
from livekit.agents import ModelSettings, RunResult
from sessions import Ask, Call, Reply, Turn, conversation, obedient
from typing_extensions import override
from voice_groups import (
    Slow,
    answer,
    asked,
    asking,
    group_of,
    results,
    said_by_user,
    say_meanwhile,
    texts,
)

if TYPE_CHECKING:
    from reflow import Visit
    from reflow.livekit import TaskCompletedEvent, TaskGroup

pytestmark = pytest.mark.anyio


async def test_before_a_nested_group() -> None:
    """The first step of the nested group answers it."""
    slow = Slow("a")
    group = group_of("a", on_task_completed=slow)
    group.add(lambda: group_of("b", "c"), id="inner", description="the inner ones")
    async with conversation(lambda: group) as talk:
        await say_meanwhile(talk, slow, "record 1", "record 2")
        await answer(talk, ("c", "3"))
        assert results(await talk.outcome()) == {"a": "1", "inner": {"b": "2", "c": "3"}}
        assert said_by_user(group) == ["record 1", "record 2", "record 3"]


async def test_before_a_step_that_ends_at_once() -> None:
    """The step behind it answers."""

    class Cached(Ask):
        @override
        async def on_enter(self) -> None:
            self.complete("cached")

    slow = Slow("a")
    group = group_of("a", on_task_completed=slow)
    group.add(lambda: Cached("b"), id="b", description="b")
    group.add(asking("c"), id="c", description="c")
    async with conversation(lambda: group) as talk:
        await say_meanwhile(talk, slow, "record 1", "record 2")
        assert results(await talk.outcome()) == {"a": "1", "b": "cached", "c": "2"}


async def test_at_the_end_of_a_nested_group() -> None:
    """The next step of the group around it answers."""
    slow = Slow("b")
    group = group_of("a")
    group.add(lambda: group_of("b", on_task_completed=slow), id="inner", description="inner")
    group.add(asking("d"), id="d", description="d")
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"))
        await talk.at("b")
        await say_meanwhile(talk, slow, "record 2", "record 3")
        assert results(await talk.outcome()) == {"a": "1", "inner": {"b": "2"}, "d": "3"}


async def test_before_a_task_that_the_next_step_nests_on_entry() -> None:
    """Whoever has the floor answers, be it a task that the step awaits before it speaks."""

    class Outer(Ask):
        @override
        async def on_enter(self) -> None:
            self.complete(f"with {await Ask('nested', speaks=False)}")

    slow = Slow("a")
    group = group_of("a", on_task_completed=slow)
    group.add(lambda: Outer("b"), id="b", description="b")
    async with conversation(lambda: group) as talk:
        await say_meanwhile(talk, slow, "record 1", "record 2")
        assert results(await talk.outcome()) == {"a": "1", "b": "with 2"}


async def test_two_turns() -> None:
    """The first is the next step's; if it ends that, the second is the step's behind it."""
    slow = Slow("a")
    async with conversation(lambda: group_of("a", "b", "c", on_task_completed=slow)) as talk:
        await say_meanwhile(talk, slow, "record 1", "record 2", "record 3")
        assert results(await talk.outcome()) == {"a": "1", "b": "2", "c": "3"}


async def test_a_turn_that_is_drafted_is_answered_once() -> None:
    """A reply that LiveKit prepares before the user has ended the turn is none of its own."""
    slow = Slow("a")
    group = group_of("a", "b", on_task_completed=slow)
    async with conversation(lambda: group) as talk:
        first: RunResult[None] = talk.session.run(user_input="record 1")
        await slow.began.wait()
        draft = group.chat_ctx.copy()
        draft.add_message(role="user", content="record no")
        said = group.llm_node(draft, [], ModelSettings())
        assert asyncio.iscoroutine(said)
        assert await said is None
        await talk.session.generate_reply(user_input="record no, wait, 2")
        slow.release.set()
        await first
        assert results(await talk.outcome()) == {"a": "1", "b": "no, wait, 2"}


@pytest.mark.parametrize("instructions", ["Thank the user.", ""])
async def test_a_callback_may_speak(instructions: str) -> None:
    """What it wants said is said; what the user said before isn't said to the next step again."""

    async def thank(event: TaskCompletedEvent) -> None:
        if instructions:
            await talk.session.generate_reply(instructions=instructions)
        else:
            await talk.session.generate_reply()

    def is_of_group(turn: Turn) -> bool:
        return turn.instructions.startswith("You lead")

    def script(turn: Turn) -> Reply:
        return "thanks" if is_of_group(turn) else obedient(turn)

    def make() -> TaskGroup:
        return group_of("a", "b", "c", on_task_completed=thank)

    async with conversation(make, script) as talk:
        await answer(talk, ("a", "1"), ("b", "2"))
        await talk.at("c")
        by_group = [turn for turn in talk.model.turns if is_of_group(turn)]
        assert len(by_group) == 2
        assert all(not instructions or instructions in turn.texts for turn in by_group)
        to_steps = [turn.said for turn in talk.model.turns if turn.said and not is_of_group(turn)]
        assert to_steps == ["record 1", "record 2"]
        await answer(talk, ("c", "3"))
        assert results(await talk.outcome()) == {"a": "1", "b": "2", "c": "3"}
        assert asked(talk) == ["a", "b", "c"]


async def test_while_the_session_closes() -> None:
    """A turn that nobody can answer any more does no harm."""
    slow = Slow("a")
    async with conversation(lambda: group_of("a", "b", on_task_completed=slow)) as talk:
        first: RunResult[None] = talk.session.run(user_input="record 1")
        await slow.began.wait()
        await talk.session.generate_reply(user_input="record 2")
        slow.release.set()
        await talk.session.aclose()
        await talk.ended()
        with suppress(Exception):
            await first


async def test_the_history_has_it_once() -> None:
    """In the group and in the session, in the order in which it was said."""
    heard = asyncio.Event()

    def script(turn: Turn) -> Reply:
        if turn.said == "you there":
            heard.set()
        return obedient(turn)

    slow = Slow("a")
    group = group_of("a", "b", "c", on_task_completed=slow)
    async with conversation(lambda: group, script) as talk:
        await say_meanwhile(talk, slow, "record 1", "hello", "you there")
        await heard.wait()
        await talk.session.wait_for_idle()
        assert said_by_user(talk.session.current_agent) == ["record 1", "hello", "you there"]
        said = [turn.said for turn in talk.model.turns if turn.instructions == "ask for the b"]
        assert said == ["", "hello", "you there"]
        await answer(talk, ("b", "2"))
        await talk.at("c")
        everything = ["record 1", "hello", "you there", "record 2"]
        assert said_by_user(group) == everything
        ids = [item.id for item in group.chat_ctx.items]
        assert len(ids) == len({*ids})
        messages = talk.session.history.messages()
        assert [m.text_content for m in messages if m.role == "user"] == everything


async def test_before_a_step_that_the_model_ends_on_entry() -> None:
    """The first reply of the step may record what is known: the step behind it answers then."""

    def script(turn: Turn) -> Reply:
        if not turn.said and "Ask for the b." in turn.texts:
            return Call("record", {"value": "known"})
        return obedient(turn)

    slow = Slow("a")
    async with conversation(
        lambda: group_of("a", "b", "c", on_task_completed=slow), script
    ) as talk:
        await say_meanwhile(talk, slow, "record 1", "record 2")
        assert results(await talk.outcome()) == {"a": "1", "b": "known", "c": "2"}


async def test_a_turn_that_goes_back() -> None:
    """The turn behind it is answered where it went."""
    heard = asyncio.Event()

    def script(turn: Turn) -> Reply:
        if turn.said == "record 3":
            heard.set()
        return obedient(turn)

    slow = Slow("b")
    async with conversation(
        lambda: group_of("a", "b", "c", on_task_completed=slow), script
    ) as talk:
        await answer(talk, ("a", "1"))
        await talk.at("b")
        await say_meanwhile(talk, slow, "record 2", "back a", "record 3")
        await heard.wait()
        await answer(talk, ("c", "4"))
        assert results(await talk.outcome()) == {"a": "3", "b": "2", "c": "4"}


async def test_during_a_function() -> None:
    """A step that asks nothing answers nothing; the next one that does, does."""
    began, release = asyncio.Event(), asyncio.Event()

    async def compute(_: Visit[None]) -> int:
        began.set()
        await release.wait()
        return 7

    group = group_of("a")
    group.step(compute, id="price", description="the price")
    group.add(asking("c"), id="c", description="c")
    async with conversation(lambda: group) as talk:
        first: RunResult[None] = talk.session.run(user_input="record 1")
        await began.wait()
        await talk.session.generate_reply(user_input="record 3")
        release.set()
        await first
        assert results(await talk.outcome()) == {"a": "1", "price": 7, "c": "3"}


async def test_an_answer_that_is_interrupted_at_once() -> None:
    """Nothing hangs, and the turn behind it is answered."""

    def script(turn: Turn) -> Reply:
        if turn.said == "hello":
            talk.session.interrupt()
            return "hi"
        return obedient(turn)

    slow = Slow("a")
    async with conversation(
        lambda: group_of("a", "b", "c", on_task_completed=slow), script
    ) as talk:
        await say_meanwhile(talk, slow, "record 1", "hello", "record 2")
        await answer(talk, ("c", "3"))
        assert results(await talk.outcome()) == {"a": "1", "b": "2", "c": "3"}


@pytest.mark.parametrize("turns", [0, 2, 6, 12, 20, 38])
async def test_a_user_who_speaks_on(turns: int) -> None:
    """What was said before is known, whenever its answer is interrupted."""
    slow = Slow("a")
    async with conversation(lambda: group_of("a", "b", "c", on_task_completed=slow)) as talk:
        await talk.at("a")
        talk.session.generate_reply(user_input="record 1")
        await slow.began.wait()
        await talk.session.generate_reply(user_input="my mail is x")
        slow.release.set()
        while talk.floor != "b":
            await checkpoint()
        for _ in range(turns):
            await checkpoint()
        await talk.session.interrupt(force=True)
        for _ in range(1000):
            await checkpoint()
        await talk.say("hello")
        (turn,) = [turn for turn in talk.model.turns if turn.said == "hello"]
        assert "my mail is x" in turn.texts


async def test_before_the_summary() -> None:
    """What nobody has answered when the group ends stays, in the user's own words."""

    def script(turn: Turn) -> Reply:
        return "a summary" if "Summarize" in turn.instructions else obedient(turn)

    slow = Slow("a")
    group = group_of("a", summarize_chat_ctx=True, on_task_completed=slow)
    async with conversation(lambda: group, script) as talk:
        await talk.at("a")
        await say_meanwhile(talk, slow, "record 1", "I wish for tea")
        await talk.outcome()
        assert "a summary" in texts(talk.parent)
        assert said_by_user(talk.parent) == ["I wish for tea"]
