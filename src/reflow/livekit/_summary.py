"""One message instead of all that was said in a group."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from livekit.agents.llm import LLM, ChatContext

from reflow import ReflowError

if TYPE_CHECKING:
    from collections.abc import Container

    from livekit.agents import Agent, ChatItem

_PROMPT: Final = """\
Summarize the conversation below, for an assistant that goes on with it and sees nothing of it but
your summary. Keep what the user wants, decided and told, and what the functions found out; leave
out greetings, small talk, and how things were found out. Be brief, and add nothing.

Each line is one entry, in JSON: what somebody said, the call of a function, or what it returned."""


async def summarize(group: Agent, keep: Container[str]) -> None:
    """Replace what was said in a group by a summary of it.

    Args:
        group: its agent.
        keep: the ids of what stays as it is.

    Raises:
        Exception: what the model raised; nothing has changed.
    """
    context = group.chat_ctx
    told = {
        item.id: line
        for item in context.items
        if item.id not in keep and (line := _line(item)) is not None
    }
    if not told:
        return
    model = group.session.llm
    if not isinstance(model, LLM):
        raise ReflowError(
            "the session has no language model that could summarize: its llm= is not an LLM"
        )
    asked = ChatContext.empty()
    asked.add_message(role="system", content=_PROMPT)
    asked.add_message(role="user", content="\n".join(told.values()))
    async with model.chat(chat_ctx=asked) as stream:
        summary = (await stream.collect()).text.strip()
    if not summary:
        return
    # What was said while the model was at it is in no summary.
    kept = ChatContext([item for item in group.chat_ctx.items if item.id not in told])
    kept.add_message(
        role="assistant",
        content=f"<chat_history_summary>{summary}</chat_history_summary>",
        # Before whatever came since.
        created_at=context.items[-1].created_at,
        extra={"is_summary": True},
    )
    await group.update_chat_ctx(kept)


def _line(item: ChatItem) -> str | None:
    """Give what a summary is made of as text; None for what stays as it is."""
    if item.type == "message":
        if item.role not in {"user", "assistant"} or item.extra.get("is_summary"):
            return None
        return json.dumps({item.role: item.text_content or ""}, ensure_ascii=False)
    if item.type == "function_call":
        return json.dumps({"call": item.name, "arguments": item.arguments}, ensure_ascii=False)
    if item.type == "function_call_output":
        return json.dumps({"result of": item.name, "output": item.output}, ensure_ascii=False)
    return None
