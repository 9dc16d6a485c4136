"""What a group can be declared of, and what it refuses."""

from __future__ import annotations

from functools import partial

import attrs
import pytest
from livekit.agents import AgentTask
from sessions import Ask, Call, Reply, Turn, conversation, obedient
from voice_groups import answer, asking, group_of, results

from reflow import FlowError, GoBackError, MemoryJournal, Visit
from reflow.livekit import TaskGroup

pytestmark = pytest.mark.anyio


@attrs.frozen
class Plan:
    """A result that isn't JSON by itself."""

    name: str


class AskPlan(AgentTask[Plan]):
    """Is never answered by its own tools."""

    def __init__(self) -> None:
        super().__init__(instructions="ask for the plan")


@pytest.mark.parametrize("id", ["get email", "email-task", "a.b", "ümlaut", "1", "email?"])
async def test_ids(id: str) -> None:
    """Whatever LiveKit's group takes as an id is one; and it can be gone back to."""

    def script(turn: Turn) -> Reply:
        if turn.said == "once more":
            return Call("out_of_scope", {"task_ids": [id]})
        return obedient(turn)

    group = group_of(id, "end")
    async with conversation(lambda: group, script) as talk:
        await answer(talk, (id, "1"))
        await talk.at("end")
        await talk.say("once more")
        await answer(talk, (id, "2"), ("end", "3"))
        assert results(await talk.outcome()) == {id: "2", "end": "3"}


async def test_a_description_may_be_empty() -> None:
    """As in LiveKit's group: the id stands for it."""
    group = TaskGroup(summarize_chat_ctx=False).add(asking("a"), id="a", description="")
    assert [step.description for step in group.prepared().steps] == ["a"]


async def test_going_back_before_the_start() -> None:
    """A request that is refused doesn't begin the group; one that isn't, counts."""
    group = group_of("a")
    with pytest.raises(GoBackError, match="a"):
        group.go_back("a")
    group.add(asking("b"), id="b", description="b")
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"), ("b", "2"))
        assert results(await talk.outcome()) == {"a": "1", "b": "2"}


@pytest.mark.parametrize("nested", [False, True])
async def test_a_journal_that_cannot_store_a_type(*, nested: bool) -> None:
    """The group ends with that error when it begins; it doesn't wait for ever."""
    made = TaskGroup(summarize_chat_ctx=False, journal=MemoryJournal(), key="k")
    made.add(asking("b"), id="b", description="b")
    group = group_of("a").add(lambda: made, id="inner", description="inner") if nested else made
    async with conversation(lambda: group) as talk:
        if nested:
            await answer(talk, ("a", "1"))
        with pytest.raises(FlowError, match="'b'"):
            await talk.outcome()


async def test_a_journal_without_a_key() -> None:
    """So does one that lacks an option."""
    group = TaskGroup(summarize_chat_ctx=False, journal=MemoryJournal())
    group.step(AskPlan, id="plan", description="the plan")
    async with conversation(lambda: group) as talk:
        with pytest.raises(FlowError, match="key"):
            await talk.outcome()


async def test_cancelled_although_it_could_never_begin() -> None:
    """Whoever awaits it learns what is wrong with it, which matters more."""
    group = TaskGroup(summarize_chat_ctx=False, journal=MemoryJournal())
    group.step(AskPlan, id="plan", description="the plan")
    group.cancel()
    async with conversation(lambda: group) as talk:
        with pytest.raises(FlowError, match="key"):
            await talk.outcome()


async def test_the_model_may_not_answer_what_has_no_type() -> None:
    """The author is told, and how to cure it."""
    group = TaskGroup(summarize_chat_ctx=False)
    with pytest.raises(FlowError, match="annotate what the factory returns, or give the class"):
        group.step(lambda: Ask("a"), id="a", description="a", model_may_answer=True)
    assert group.prepared().steps == ()


async def test_an_answer_of_the_model_has_the_type_of_the_step() -> None:
    """It is no dictionary of JSON."""

    def script(turn: Turn) -> Reply:
        if turn.said == "basic":
            return Call("answer", {"step": "plan", "value": {"name": "basic"}})
        return obedient(turn)

    group = TaskGroup(summarize_chat_ctx=False)
    plan = group.step(AskPlan, id="plan", description="the plan", model_may_answer=True)
    async with conversation(lambda: group, script) as talk:
        await talk.say("basic")
        result = await talk.outcome()
    assert result[plan] == Plan("basic")


async def test_a_factory_that_takes_the_visit() -> None:
    """It may look at it before it makes the task."""

    def ask(visit: Visit[None]) -> Ask:
        return Ask(f"{visit.step.id} {visit.number}")

    group = group_of("a")
    group.step(ask, id="b", description="b")
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"), ("b 1", "2"))
        assert results(await talk.outcome()) == {"a": "1", "b": "2"}


async def test_an_object_that_is_called() -> None:
    """It is an async function like any other, if calling it is."""

    class Price:
        async def __call__(self, visit: Visit[None]) -> int:
            return visit.number

    group = group_of("a")
    price = group.step(Price(), id="price", description="the price")
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"))
        result = await talk.outcome()
    assert result[price] == 1


async def test_a_factory_of_unknown_parameters() -> None:
    """What isn't written in Python may not say what it takes: it is given nothing."""
    group = TaskGroup(summarize_chat_ctx=False)
    group.add(partial(next, iter([Ask("a")])), id="a", description="a")
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"))
        assert results(await talk.outcome()) == {"a": "1"}


@pytest.mark.parametrize("first", [False, True])
async def test_a_task_that_is_done_when_made(*, first: bool) -> None:
    """Whoever makes it knows the answer: that counts."""

    def known() -> Ask:
        task = Ask("b", speaks=False)
        task.complete("known")
        return task

    group = group_of(*("a" * (not first)))
    group.add(known, id="b", description="b").add(asking("c"), id="c", description="c")
    async with conversation(lambda: group) as talk:
        if not first:
            await answer(talk, ("a", "1"))
        await answer(talk, ("c", "3"))
        found = results(await talk.outcome())
    assert (found["b"], found["c"]) == ("known", "3")


async def test_a_function_that_speaks() -> None:
    """It may talk with the user itself, and is interrupted as other steps are."""

    async def greet(visit: Visit) -> str:
        await talk.session.generate_reply(instructions="Greet.")
        if visit.number == 1:
            await visit.go_back("a")
        return "greeted"

    group = group_of("a")
    group.step(greet, id="greeting", description="the greeting")
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"), ("a", "2"))
        result = await talk.outcome()
    assert results(result) == {"a": "2", "greeting": "greeted"}
