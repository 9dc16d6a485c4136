"""Groups that tests of voice agents talk with, and what they look at afterwards."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, TypeAlias

import attrs
from livekit.agents import llm
from livekit.agents.types import (
    DEFAULT_API_CONNECT_OPTIONS,
    NOT_GIVEN,
    APIConnectOptions,
    NotGivenOr,
)
from sessions import Ask, Conversation
from typing_extensions import override

from reflow.livekit import TaskGroup, TaskGroupResult

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from livekit.agents import Agent, RunResult
    from livekit.agents.llm import ChatContext, ToolChoice

    from reflow.livekit import TaskCompletedEvent

    OnTaskCompleted: TypeAlias = "Callable[[TaskCompletedEvent], Coroutine[None, None, None]]"


def asking(name: str) -> Callable[[], Ask]:
    """Make the factory of a step that asks for something."""
    return lambda: Ask(name)


def group_of(
    *names: str,
    summarize_chat_ctx: bool = False,
    return_exceptions: bool = False,
    on_task_completed: OnTaskCompleted | None = None,
) -> TaskGroup:
    """Make a group that asks for these."""
    group = TaskGroup(
        summarize_chat_ctx=summarize_chat_ctx,
        return_exceptions=return_exceptions,
        on_task_completed=on_task_completed,
    )
    for name in names:
        group.add(asking(name), id=name, description=f"the {name}")
    return group


def ask_card() -> Ask:
    """Make the task of a sensitive step."""
    return Ask("card")


def with_card(
    *,
    first: Callable[[], Ask] | None = None,
    model_may_answer: bool = False,
    return_exceptions: bool = False,
    on_task_completed: OnTaskCompleted | None = None,
) -> TaskGroup:
    """Make a group with a step, a sensitive one that asks for a card, and a step.

    Args:
        first: makes the task of the first step.
        model_may_answer: whether the model may answer the sensitive one.
        return_exceptions: see `TaskGroup`.
        on_task_completed: see `TaskGroup`.
    """
    group = group_of(return_exceptions=return_exceptions, on_task_completed=on_task_completed)
    group.add(first or asking("a"), id="a", description="a")
    group.step(
        ask_card,
        id="card",
        description="the card",
        sensitive=True,
        model_may_answer=model_may_answer,
    )
    return group.add(asking("b"), id="b", description="b")


def said_by_user(agent: Agent) -> list[str | None]:
    """Give what the user said, as it stands in an agent's context."""
    return [message.text_content for message in agent.chat_ctx.messages() if message.role == "user"]


def texts(*agents: Agent) -> str:
    """Give all that the contexts of agents hold, as one text."""
    return str([item.model_dump() for agent in agents for item in agent.chat_ctx.items])


def results(of: object) -> dict[str, object]:
    """Give what a group has by id, and what the groups in it have."""
    assert isinstance(of, TaskGroupResult)
    return {
        id: results(result) if isinstance(result, TaskGroupResult) else result
        for id, result in of.task_results.items()
    }


def asked(talk: Conversation[TaskGroupResult]) -> list[str]:
    """Give what the user was asked for, in order, until now."""
    found = (turn.instructions.partition("ask for the ")[2] for turn in talk.model.turns)
    return [name for name, _ in itertools.groupby(filter(None, found))]


async def answer(talk: Conversation[TaskGroupResult], *answers: tuple[str, str]) -> None:
    """Wait until it is asked for each of these, and answer."""
    for name, value in answers:
        await talk.at(name)
        await talk.say(f"record {value}")


async def go_back(talk: Conversation[TaskGroupResult], at: str, to: str) -> None:
    """Wait until it is asked for one thing, and want to be asked for another once more."""
    await talk.at(at)
    await talk.say(f"back {to}")
    await talk.at(to)


@attrs.define(eq=False)
class Slow:
    """Is told of completed steps, and waits after one of them."""

    step: str
    began: asyncio.Event = attrs.field(factory=asyncio.Event)
    release: asyncio.Event = attrs.field(factory=asyncio.Event)

    async def __call__(self, event: TaskCompletedEvent) -> None:
        """Wait, if it is that step."""
        if event.task_id == self.step:
            self.began.set()
            await self.release.wait()


async def say_meanwhile(talk: Conversation[TaskGroupResult], slow: Slow, *said: str) -> None:
    """Answer what is asked, and say all the rest while the callback is slow."""
    answer, *rest = said
    first: RunResult[None] = talk.session.run(user_input=answer)
    await slow.began.wait()
    for text in rest:
        await talk.session.generate_reply(user_input=text)
    slow.release.set()
    await first


class TalkingModel(llm.LLM[str]):
    """Says something, and records it with the tool of the step, in one turn."""

    def __init__(self, value: str) -> None:
        super().__init__()
        self.value = value

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
        return _Talk(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class _Talk(llm.LLMStream):
    @override
    async def _run(self) -> None:
        model = self._llm
        assert isinstance(model, TalkingModel)
        call = llm.FunctionToolCall(
            name="record", arguments=f'{{"value": "{model.value}"}}', call_id="recorded"
        )
        for delta in (
            *(llm.ChoiceDelta(role="assistant", content=f"{word} ") for word in model.value),
            llm.ChoiceDelta(role="assistant", content=f"{model.value} is noted."),
            llm.ChoiceDelta(role="assistant", tool_calls=[call]),
        ):
            self._event_ch.send_nowait(llm.ChatChunk(id="said", delta=delta))
