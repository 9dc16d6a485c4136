"""What is asked of nested groups before they begin, as they begin, and across levels."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from anyio.lowlevel import checkpoint
from sessions import Reply, Turn, conversation, obedient
from typing_extensions import override
from voice_groups import answer, asked, asking, go_back, group_of, results, texts

from reflow.livekit import TaskGroup

pytestmark = pytest.mark.anyio


async def test_a_default_that_was_corrected() -> None:
    """The factory gives it anew for each visit; what it was corrected to since counts."""
    corrections = list[Callable[[], None]]()

    def inner() -> TaskGroup:
        made = TaskGroup(summarize_chat_ctx=False)
        code = made.step(asking("zip"), id="zip", description="the postal code")
        made.add(asking("street"), id="street", description="the street")
        made.prepared().answer(code, "default")
        corrections.append(lambda: made.prepared().answer(code, "mine"))
        return made

    group = group_of("a").add(inner, id="inner", description="inner")
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"))
        await talk.at("street")
        corrections[0]()
        await go_back(talk, "street", "a")
        await answer(talk, ("a", "2"), ("street", "3"))
        found = results(await talk.outcome())
        assert asked(talk) == ["a", "street", "a", "street"]
    assert found == {"a": "2", "inner": {"zip": "mine", "street": "3"}}


@pytest.mark.parametrize("what", ["answer", "another answer", "skip", "jump ahead"])
async def test_what_a_factory_asks_of_each_group(what: str) -> None:
    """Behind a point of no return it comes too late: the group goes on all the same."""
    numbers = itertools.count()

    def inner() -> TaskGroup:
        made = TaskGroup(summarize_chat_ctx=False)
        hour = made.step(asking("hour"), id="hour", description="the hour", optional=True)
        pay = made.step(asking("pay"), id="pay", description="pay", point_of_no_return=True)
        made.add(asking("street"), id="street", description="the street")
        run, number = made.prepared(), next(numbers)
        match what:
            case "skip":
                run.skip(hour)
            case "jump ahead":
                run.skip(hour)
                run.jump_ahead(pay)
            case "answer":
                run.answer(hour, "noon")
            case _:
                run.answer(hour, f"noon {number}")
        return made

    group = group_of("a").add(inner, id="inner", description="inner")
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"), ("pay", "paid"))
        await go_back(talk, "street", "a")
        await answer(talk, ("a", "2"), ("street", "3"))
        found = results(await talk.outcome())
        assert asked(talk) == ["a", "pay", "street", "a", "street"]
    of_inner = found["inner"]
    assert isinstance(of_inner, dict)
    assert (of_inner["pay"], of_inner["street"]) == ("paid", "3")


@pytest.mark.parametrize("when", ["told", "entered"])
async def test_back_as_it_begins(when: str) -> None:
    """A request for an outer step in the very moment in which the inner run begins counts."""
    begun = list[object]()
    group = group_of("a")

    class Inner(TaskGroup):
        @override
        async def on_enter(self) -> None:
            if when == "entered" and not begun:
                begun.append(self)
                group.go_back("a")
                for _ in range(3):
                    await checkpoint()
            await super().on_enter()

    def observe(event: object) -> None:
        if when == "told" and not begun:
            begun.append(event)
            group.go_back("a")

    def inner() -> TaskGroup:
        made = Inner(summarize_chat_ctx=False, observers=[observe])
        made.add(asking("b"), id="b", description="b")
        return made.add(asking("c"), id="c", description="c")

    group.add(inner, id="inner", description="inner")
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"), ("a", "2"), ("b", "3"), ("c", "4"))
        assert results(await talk.outcome()) == {"a": "2", "inner": {"b": "3", "c": "4"}}


async def test_a_later_step_takes_nothing_from_a_confirmation() -> None:
    """A step that is always asked depends on those before it: it goes on where it was."""
    group = group_of("a")
    group.step(lambda: group_of("b", "c"), id="inner", description="inner", always_ask=True)
    group.add(asking("y"), id="y", description="y").add(asking("z"), id="z", description="z")
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"), ("b", "2"), ("c", "3"), ("y", "4"))
        await talk.at("z")
        group.go_back("inner")
        await answer(talk, ("b", "5"))
        await go_back(talk, "c", "y")
        await answer(talk, ("y", "6"), ("c", "7"), ("z", "8"))
        assert asked(talk) == [*"abcyzbcycz"]
        found = results(await talk.outcome())
    assert found == {"a": "1", "inner": {"b": "5", "c": "7"}, "y": "6", "z": "8"}


async def test_interrupted_on_the_way_back_on_three_levels() -> None:
    """Each level goes on with its own, when the outer one is asked for on an inner detour."""
    group = group_of("a")
    group.add(
        lambda: group_of("b").add(lambda: group_of("c", "d"), id="deep", description="deep"),
        id="inner",
        description="inner",
    )
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"), ("b", "2"), ("c", "3"))
        await go_back(talk, "d", "b")
        await go_back(talk, "b", "a")
        await answer(talk, ("a", "4"), ("b", "5"))
        await talk.at("d")
        await talk.say("back c b a")
        await answer(talk, ("a", "6"), ("b", "7"), ("c", "8"), ("d", "9"))
        found = results(await talk.outcome())
        assert asked(talk) == [*"abcdbabdabcd"]
    assert found == {"a": "6", "inner": {"b": "7", "deep": {"c": "8", "d": "9"}}}


async def test_summaries_on_two_levels() -> None:
    """What was said is in the outer one once: the inner one stands for what it replaced."""
    prompts = list[str]()

    def script(turn: Turn) -> Reply:
        if "Summarize" in turn.instructions:
            prompts.append(turn.texts[-1])
            return f"summary {len(prompts)}"
        return obedient(turn)

    group = group_of("a", summarize_chat_ctx=True)
    group.add(lambda: group_of("b", "c", summarize_chat_ctx=True), id="inner", description="inner")
    group.add(asking("d"), id="d", description="d")
    async with conversation(lambda: group, script) as talk:
        await answer(talk, ("a", "1"), ("b", "2"))
        await talk.at("c")
        await talk.say("look_up")
        await answer(talk, ("c", "3"), ("d", "4"))
        await talk.outcome()
        left = texts(talk.parent)
    assert len(prompts) == 2
    assert "looked up" in prompts[0]
    assert "record 1" in prompts[1]
    assert "summary 2" in left
    assert "looked up" not in left
