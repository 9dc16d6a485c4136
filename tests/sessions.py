"""A real `AgentSession` in text mode, with a scripted language model: deterministic, and quick."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import attrs
from livekit.agents import Agent, AgentSession, llm
from livekit.agents.types import (
    DEFAULT_API_CONNECT_OPTIONS,
    NOT_GIVEN,
    APIConnectOptions,
    NotGivenOr,
)
from typing_extensions import override

if TYPE_CHECKING:
    from livekit.agents.llm import ChatContext, ToolChoice


@attrs.frozen
class Call:
    """A tool call of the model."""

    name: str
    arguments: dict[str, object] = attrs.field(factory=dict)


Reply: TypeAlias = "str | Call | Sequence[Call]"


@attrs.frozen
class Turn:
    """What the model is asked."""

    chat_ctx: ChatContext
    tools: dict[str, dict[str, object]]

    @property
    def instructions(self) -> str:
        """What the agent tells the model to be."""
        for item in self.chat_ctx.items:
            if item.type == "message" and item.role == "system":
                return item.text_content or ""
        return ""

    @property
    def texts(self) -> list[str]:
        """Every message."""
        return [i.text_content or "" for i in self.chat_ctx.items if i.type == "message"]

    @property
    def said(self) -> str:
        """What the user has just said, if that is what the model is to answer."""
        for item in reversed(self.chat_ctx.items):
            if item.type in {"message", "function_call", "function_call_output"}:
                said = item.type == "message" and item.role == "user"
                return (item.text_content or "") if said else ""
        return ""

    @property
    def after_tools(self) -> bool:
        """Whether the model is asked to comment what its tools did."""
        last = [i for i in self.chat_ctx.items if i.type != "agent_handoff"][-1:]
        return bool(last) and last[0].type == "function_call_output"


Script: TypeAlias = "Callable[[Turn], Reply]"


class ScriptedModel(llm.LLM):
    """A language model that does what a function says."""

    def __init__(self, script: Script) -> None:
        super().__init__()
        self.script = script
        self.turns: list[Turn] = []
        self.ids = itertools.count()

    @override
    def chat(
        self,
        *,
        chat_ctx: ChatContext,
        tools: list[llm.Tool] | None = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        parallel_tool_calls: NotGivenOr[bool] = NOT_GIVEN,
        tool_choice: NotGivenOr[ToolChoice] = NOT_GIVEN,
        extra_kwargs: NotGivenOr[dict[str, object]] = NOT_GIVEN,
    ) -> llm.LLMStream:
        return _Stream(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class _Stream(llm.LLMStream):
    @override
    async def _run(self) -> None:
        model = self._llm
        assert isinstance(model, ScriptedModel)
        described = {
            tool["function"]["name"]: tool["function"]
            for tool in llm.ToolContext(self._tools).parse_function_tools("openai", strict=False)
        }
        turn = Turn(self._chat_ctx.copy(), described)
        model.turns.append(turn)
        reply = model.script(turn)
        calls = [reply] if isinstance(reply, Call) else [] if isinstance(reply, str) else reply
        delta = llm.ChoiceDelta(
            role="assistant",
            content=reply if isinstance(reply, str) else None,
            tool_calls=[
                llm.FunctionToolCall(
                    name=call.name,
                    arguments=json.dumps(call.arguments),
                    call_id=f"call_{next(model.ids)}",
                )
                for call in calls
            ],
        )
        self._event_ch.send_nowait(llm.ChatChunk(id=f"chunk_{next(model.ids)}", delta=delta))


def by_instructions(script: dict[str, Callable[[Turn], Reply] | Reply]) -> Script:
    """Make a script."""

    def run(turn: Turn) -> Reply:
        if turn.after_tools:
            return "ok"
        for begin, reply in script.items():
            if turn.instructions.startswith(begin):
                return reply(turn) if callable(reply) else reply
        return f"no script for {turn.instructions!r}"

    return run


def new_session(model: llm.LLM) -> AgentSession[None]:
    return AgentSession(llm=model, vad=None, turn_handling={"turn_detection": None})
