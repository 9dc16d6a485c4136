"""A language model for LiveKit that needs no network: it follows rules."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Final, TypedDict, cast, final

from livekit.agents import llm
from livekit.agents.types import (
    DEFAULT_API_CONNECT_OPTIONS,
    NOT_GIVEN,
    APIConnectOptions,
    NotGivenOr,
)
from typing_extensions import override

from .rules import Call, Heard, react, read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .wishes import Reader


# After these, the next question comes from another task.
_ENDINGS: Final = {"record", "keep", "out_of_scope"}


class _Ids(TypedDict, total=False):
    """The part of a schema that lists ids: these, or those of a list's items."""

    enum: list[str]
    items: _Ids


@final
class RuleModel(llm.LLM[str]):
    """A language model that calls the tools of the intake by rules.

    Args:
        reader: reads free text.
    """

    def __init__(self, reader: Reader) -> None:
        super().__init__()
        self.reader: Final = reader
        self.ids: Final = itertools.count(1)

    @override
    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool] | None = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        parallel_tool_calls: NotGivenOr[bool] = NOT_GIVEN,
        tool_choice: NotGivenOr[llm.ToolChoice] = NOT_GIVEN,
        extra_kwargs: NotGivenOr[dict[str, object]] = NOT_GIVEN,
    ) -> llm.LLMStream:
        """Answer what stands in a conversation."""
        return _Stream(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


@final
class _Stream(llm.LLMStream):
    def __init__(
        self,
        model: RuleModel,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool],
        conn_options: APIConnectOptions,
    ) -> None:
        super().__init__(model, chat_ctx=chat_ctx, tools=tools, conn_options=conn_options)
        self._model = model

    # This name and `_event_ch` are what every model for LiveKit overrides and uses.
    @override
    async def _run(self) -> None:
        model = self._model
        reply = await reply_to(self._chat_ctx, self._tools, model.reader)
        delta = llm.ChoiceDelta(role="assistant")
        if isinstance(reply, str):
            delta.content = reply
        else:
            delta.tool_calls = [
                llm.FunctionToolCall(
                    name=call.tool,
                    arguments=json.dumps(dict(call.arguments)),
                    call_id=f"call_{next(model.ids)}",
                )
                for call in reply
            ]
        self._event_ch.send_nowait(llm.ChatChunk(id=f"reply_{next(model.ids)}", delta=delta))


async def reply_to(
    context: llm.ChatContext, tools: Sequence[llm.Tool], reader: Reader
) -> str | list[Call]:
    """Decide what to say, or which tools to call.

    Args:
        context: the conversation so far.
        tools: what may be called.
        reader: reads free text.
    """
    messages = [item for item in context.items if item.type == "message"]
    step, words = read(messages[0].text_content or "")
    # Whatever else is to be said, it ends with the question.
    question = words.rpartition("\n")[2]
    outputs = _outputs(context.items)
    if outputs:
        refused = [output.output for output in outputs if output.is_error]
        goes_on = _ENDINGS.isdisjoint(o.name for o in outputs if not o.is_error)
        return "\n".join([*refused, question] if goes_on else refused)
    last = messages[-1]
    if last.role != "user":
        return words
    choices = {tool.id: _choices(tool) for tool in tools}
    try:
        return await react(Heard(last.text_content or "", step, choices), reader)
    except ValueError as sentence:
        return f"{sentence}\n{question}"


def _outputs(items: Sequence[llm.ChatItem]) -> list[llm.FunctionCallOutput]:
    """Give what the tools said that were called last, if nothing was said since."""
    kinds = [item.type for item in reversed(items)]
    count = next(i for i, kind in enumerate(kinds) if kind != "function_call_output")
    last = items[len(items) - count :]
    return [item for item in last if item.type == "function_call_output"]


def _choices(tool: llm.Tool) -> Sequence[str]:
    """Give the ids of steps that a tool takes, as its schema lists them."""
    if not isinstance(tool, llm.RawFunctionTool):
        return ()
    schema = cast("dict[str, dict[str, _Ids]]", tool.info.raw_schema["parameters"])
    properties = schema["properties"]
    ids = properties.get("step") or properties.get("task_ids", {})
    return ids.get("items", ids).get("enum", ())
