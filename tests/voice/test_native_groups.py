"""LiveKit's own groups in ours, and ours in them."""

from __future__ import annotations

import pytest
from livekit.agents.beta.workflows import TaskGroup as NativeGroup
from sessions import conversation
from voice_groups import answer, asking, group_of, results

pytestmark = pytest.mark.anyio


def native() -> NativeGroup:
    """Make a group of LiveKit's."""
    made = NativeGroup(summarize_chat_ctx=False)
    for name in "bc":
        made.add(asking(name), id=name, description=name)
    return made


async def test_one_in_ours() -> None:
    """Its steps have its tool to go back and ours, which leaves it."""
    group = group_of("a").add(native, id="native", description="native")
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"), ("b", "2"))
        await talk.at("c")
        await talk.say("hello")
        assert {"out_of_scope", "out_of_scope_in_group"} <= {*talk.model.turns[-1].tools}
        await talk.say('out_of_scope_in_group {"task_ids": ["a"]}')
        await answer(talk, ("a", "3"), ("b", "4"), ("c", "5"))
        result = await talk.outcome()
    assert result.task_results["a"] == "3"
    assert getattr(result.task_results["native"], "task_results", None) == {"b": "4", "c": "5"}


async def test_ours_in_one() -> None:
    """Going back inside works as in any agent."""

    def make() -> NativeGroup:
        made = NativeGroup(summarize_chat_ctx=False)
        made.add(asking("a"), id="a", description="a")
        made.add(lambda: group_of("b", "c"), id="inner", description="inner")
        return made

    async with conversation(make) as talk:
        for order in ("record 1", "record 2"):
            await talk.at("a" if order == "record 1" else "b")
            await talk.say(order)
        await talk.at("c")
        await talk.say("back b")
        await talk.at("b")
        await talk.say("record 3")
        await talk.at("c")
        await talk.say("record 4")
        result = await talk.outcome()
    assert results(result.task_results["inner"]) == {"b": "3", "c": "4"}
