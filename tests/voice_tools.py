"""What LiveKit sends the providers of models of the tools of a group, in real sessions.

Run as a program it prints all of it: python tests/voice_tools.py
"""

from __future__ import annotations

import asyncio
import enum
import json
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from livekit.agents import Agent, AgentSession, AgentTask, function_tool, llm
from livekit.agents.types import (
    DEFAULT_API_CONNECT_OPTIONS,
    NOT_GIVEN,
    APIConnectOptions,
    NotGivenOr,
)
from sessions import Call, Reply, ScriptedModel, Turn
from typing_extensions import override

from reflow import Flow, Visit
from reflow.livekit import FlowTask, GroupStoppedError, TaskGroup, TaskGroupResult, run_task

if TYPE_CHECKING:
    from collections.abc import Callable

    from livekit.agents.llm import ChatContext, ToolChoice

OURS = ("out_of_scope", "answer", "skip")


class Plan(enum.Enum):
    """An answer with few values."""

    BASIC = "basic"
    FAMILY = "family"


class AskText(AgentTask[str]):
    """Says nothing by itself; the model can give the answer with `answer`, too."""

    def __init__(self) -> None:
        super().__init__(instructions="Ask.")

    @function_tool
    async def record(self) -> None:
        """Record the answer."""
        self.complete("text")


class AskPlan(AgentTask[Plan]):
    """Likewise."""

    def __init__(self) -> None:
        super().__init__(instructions="Ask.")

    @function_tool
    async def record(self) -> None:
        """Record the answer."""
        self.complete(Plan.BASIC)


def intake() -> TaskGroup:
    """Make a group with a step of every kind that its tools treat differently."""
    group = TaskGroup(summarize_chat_ctx=False)
    group.step(AskText, id="name", description="the caller's\n  full name", model_may_answer=True)
    plan = group.step(AskPlan, id="plan", description="the plan", model_may_answer=True)
    group.step(
        AskText,
        id="doctor",
        description="the doctor (Ärztin, Arzt)",
        depends_on=[plan],
        optional=True,
        model_may_answer=True,
    )
    group.step(AskText, id="zip", description="the postal code")
    group.step(
        AskText, id="card", description="the card", sensitive=True, revisitable=False, optional=True
    )
    group.step(AskText, id="newsletter", description="a newsletter", optional=True)
    group.step(AskText, id="later", description="what comes later", model_may_answer=True)
    return group


def nested() -> TaskGroup:
    """Make a group in a group; both have a step of the same id."""

    def inner() -> TaskGroup:
        group = TaskGroup(summarize_chat_ctx=False)
        group.add(AskText, id="name", description="the name of the street")
        group.add(AskText, id="number", description="the number of the house")
        return group.add(AskText, id="floor", description="the floor")

    group = TaskGroup(summarize_chat_ctx=False)
    group.add(AskText, id="name", description="the caller's name")
    group.add(AskText, id="birthday", description="the birthday")
    return group.add(inner, id="address", description="the address")


def included() -> FlowTask[None]:
    """Make a task of a flow that includes another one."""
    address = Flow("address")

    @address.step("the street")
    async def street(visit: Visit) -> str:
        return await run_task(AskText())

    @address.step("the postal code", model_may_answer=True)
    async def zip_code(visit: Visit) -> str:
        return await run_task(AskText())

    order = Flow("order")
    order.include(address, "the home address", id="home", build=lambda _: "home")
    order.include(address, "the billing address", id="billing", build=lambda _: "billing")

    @order.step("whether all of it is right", optional=True)
    async def confirmed(visit: Visit) -> str:
        return await run_task(AskText())

    return FlowTask(order, summarize_chat_ctx=False)


# What makes a group, and how many of its steps are done when its tools are looked at.
GROUPS: dict[str, tuple[Callable[[], AgentTask[TaskGroupResult]], int]] = {
    "first": (intake, 0),
    "intake": (intake, 5),
    "nested": (nested, 4),
    "included": (included, 4),
}


class Model(ScriptedModel):
    """Records so many answers, and keeps the tools that it is sent then."""

    def __init__(self, records: int) -> None:
        super().__init__(self.follow)
        self.records = records
        self.sent: list[llm.Tool] = []

    def follow(self, turn: Turn) -> Reply:
        """Record, or say something."""
        if turn.after_tools:
            return "ok"
        self.records -= 1
        return "well" if self.records < 0 else Call("record")

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
        self.sent = tools or []
        return super().chat(chat_ctx=chat_ctx, tools=tools, conn_options=conn_options)


class Parent(Agent):
    """Awaits a group until the session closes."""

    def __init__(self, make: Callable[[], AgentTask[TaskGroupResult]]) -> None:
        super().__init__(instructions="the parent")
        self.make = make

    @override
    async def on_enter(self) -> None:
        with suppress(GroupStoppedError):
            await self.make()


async def sent(name: str) -> llm.ToolContext:
    """Give those tools of a group that are sent with what the user says; of ours, that is."""
    make, records = GROUPS[name]
    model = Model(records)
    session: AgentSession[None] = AgentSession(
        llm=model, vad=None, turn_handling={"turn_detection": None}
    )
    await session.start(Parent(make), capture_run=True)
    try:
        for _turn in range(records + 1):
            await session.run(user_input="Well.")
        return llm.ToolContext([tool for tool in model.sent if tool.id in OURS])
    finally:
        await session.aclose()


def told(tools: llm.ToolContext, *, strict: bool = True) -> dict[str, list[dict[str, object]]]:
    """Give the tools in the forms of all providers, as LiveKit's plugins for them ask for these.

    Args:
        tools: of a group.
        strict: what the plugins say by default; it concerns schemas that LiveKit makes itself.
    """
    return {
        "openai": tools.parse_function_tools("openai", strict=strict),
        "openai.responses": tools.parse_function_tools("openai.responses", strict=strict),
        "anthropic": tools.parse_function_tools("anthropic", strict=strict),
        "google": tools.parse_function_tools("google"),
    }


def text_of(made: object) -> str:
    """Give the text of what is sent, as it is kept in a file."""
    return json.dumps(made, indent=2, ensure_ascii=False) + "\n"


async def print_all() -> None:
    """Print what all groups send."""
    for name in GROUPS:
        sys.stdout.write(text_of({name: told(await sent(name))}))


if __name__ == "__main__":
    asyncio.run(print_all())
