"""The conversation of a group is copied as LiveKit copies it, only faster."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from livekit.agents import NOT_GIVEN, ChatContext, ChatMessage
from livekit.agents.llm import FunctionCall, FunctionCallOutput

from reflow.livekit import TaskGroup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from livekit.agents import ChatItem, NotGivenOr
    from livekit.agents.llm import Tool, Toolset

pytestmark = pytest.mark.anyio


def everything() -> list[ChatItem]:
    """Give items of all sorts, and outputs with and without the name of their function."""
    items: list[ChatItem] = [
        ChatMessage(role="system", content=["do it"]),
        ChatMessage(role="user", content=["hello"]),
    ]
    for name in ("known", "unknown"):
        items.append(FunctionCall(call_id=name, name=name, arguments="{}"))
        items.append(FunctionCallOutput(call_id=name, name=name, output="", is_error=False))
        items.append(FunctionCallOutput(call_id=name, output="", is_error=False))
    return items


@pytest.mark.parametrize("tools", [NOT_GIVEN, [], ["known"], ["known", "unknown"]])
@pytest.mark.parametrize("exclude_instructions", [False, True])
async def test_a_copy_is_that_of_livekit(
    tools: NotGivenOr[Sequence[Tool | Toolset | str]], *, exclude_instructions: bool
) -> None:
    """Whatever is to be left out: what a step's task or a summary is given depends on it."""
    items = everything()
    group = TaskGroup()
    await group.update_chat_ctx(ChatContext(items), exclude_invalid_function_calls=False)
    own = group.chat_ctx
    copies = [
        context.copy(tools=tools, exclude_instructions=exclude_instructions).items
        for context in (own, ChatContext(items))
    ]
    assert copies[0] == copies[1]
    if not exclude_instructions:
        assert own.copy(tools=tools).items == copies[1]


async def test_a_copy_may_be_changed_but_not_the_conversation() -> None:
    """A change of what `chat_ctx` gives would be lost, so that it is refused, as by LiveKit."""
    group = TaskGroup(chat_ctx=ChatContext(everything()))
    copy = group.chat_ctx.copy()
    copy.add_message(role="user", content="well")
    assert len(group.chat_ctx.items) == len(copy.items) - 1
    with pytest.raises(RuntimeError):
        group.chat_ctx.add_message(role="user", content="well")
