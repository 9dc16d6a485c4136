"""A real `AgentSession` in text mode, with a scripted language model: deterministic, and quick."""

from __future__ import annotations

import asyncio
import itertools
import json
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Generic, TypeAlias, TypeVar, cast

import anyio
import attrs
from anyio.lowlevel import checkpoint
from livekit.agents import Agent, AgentSession, AgentTask, RunResult, function_tool, llm
from livekit.agents.types import (
    DEFAULT_API_CONNECT_OPTIONS,
    NOT_GIVEN,
    APIConnectOptions,
    NotGivenOr,
)
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from livekit.agents.llm import ChatContext, ToolChoice


@attrs.frozen
class Call:
    """A tool call of the model; with arguments that are a text, malformed ones."""

    name: str
    arguments: dict[str, object] | str = attrs.field(factory=dict)

    @property
    def text(self) -> str:
        """The arguments, as models write them."""
        given = self.arguments
        return given if isinstance(given, str) else json.dumps(given)


@attrs.frozen
class Wait:
    """The model takes its time, until this."""

    until: asyncio.Event


Reply: TypeAlias = "str | Call | Sequence[Call] | Wait"


@attrs.frozen
class Turn:
    """What the model is asked."""

    chat_ctx: ChatContext
    tools: dict[str, dict[str, object]]

    @property
    def instructions(self) -> str:
        """What the agent tells the model to be."""
        found = (m.text_content for m in self.chat_ctx.messages() if m.role == "system")
        return next(found, None) or ""

    @property
    def texts(self) -> list[str]:
        """Every message."""
        return [message.text_content or "" for message in self.chat_ctx.messages()]

    @property
    def said(self) -> str:
        """What the user has just said, if that is what the model is to answer."""
        for item in reversed(self.chat_ctx.items):
            if isinstance(item, llm.ChatMessage):
                return (item.text_content or "") if item.role == "user" else ""
            if isinstance(item, llm.FunctionCall | llm.FunctionCallOutput):
                return ""
        return ""

    def enum_of(self, tool: str, parameter: str) -> list[str]:
        """Give what a tool's array parameter may hold."""
        found: object = self.tools[tool]["parameters"]
        for name in ("properties", parameter, "items", "enum"):
            found = cast("dict[str, object]", found)[name]
        return cast("list[str]", found)

    @property
    def after_tools(self) -> bool:
        """Whether the model is asked to comment what its tools did."""
        last = [i for i in self.chat_ctx.items if i.type != "agent_handoff"][-1:]
        return bool(last) and last[0].type == "function_call_output"


Script: TypeAlias = "Callable[[Turn], Reply]"


class ScriptedModel(llm.LLM[str]):
    """A language model that does what a function says."""

    def __init__(self, script: Script) -> None:
        super().__init__()
        self.script = script
        self.turns: list[Turn] = []
        self.ids = itertools.count()
        self.asked = asyncio.Event()

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
        model.asked.set()
        reply = model.script(turn)
        if isinstance(reply, Wait):
            await reply.until.wait()
            reply = "well"
        calls = [reply] if isinstance(reply, Call) else [] if isinstance(reply, str) else reply
        delta = llm.ChoiceDelta(
            role="assistant",
            content=reply if isinstance(reply, str) else None,
            tool_calls=[
                llm.FunctionToolCall(
                    name=call.name,
                    arguments=call.text,
                    call_id=f"call_{next(model.ids)}",
                )
                for call in calls
            ],
        )
        self._event_ch.send_nowait(llm.ChatChunk(id=f"chunk_{next(model.ids)}", delta=delta))


class Ask(AgentTask[str]):
    """Asks for something; the model records the answer with a tool."""

    def __init__(self, what: str, *, speaks: bool = True) -> None:
        super().__init__(instructions=f"ask for the {what}")
        self.what = what
        self.speaks = speaks
        self.entered = asyncio.Event()

    @override
    async def on_enter(self) -> None:
        self.entered.set()
        if self.speaks:
            _speech = self.session.generate_reply(instructions=f"Ask for the {self.what}.")

    @function_tool
    async def record(self, value: str) -> None:
        """Record the answer."""
        await self.answered(value)

    async def answered(self, value: str) -> None:
        """Take the answer."""
        self.complete(value)

    @function_tool
    async def look_up(self) -> str:
        """Look something up."""
        return "looked up"


def obedient(turn: Turn) -> Reply:
    """Do what the user says: "record x", "back a b", "look_up {}", several with "and"."""
    calls: list[Call] = []
    for order in turn.said.split(" and ") if turn.said else []:
        name, *words = order.split()
        if name == "back":
            calls.append(Call("out_of_scope", {"task_ids": words}))
        elif name == "record":
            calls.append(Call("record", {"value": " ".join(words)}))
        elif name in turn.tools:
            calls.append(Call(name, json.loads(" ".join(words) or "{}")))
    return calls or "well"


T = TypeVar("T")


class Parent(Agent, Generic[T]):
    """Awaits what it is given, in `on_enter` or in a tool of its own."""

    def __init__(self, make: Callable[[], Awaitable[T]], *, in_tool: bool = False) -> None:
        super().__init__(instructions="the parent")
        self.make = make
        self.in_tool = in_tool
        self.outcome: asyncio.Future[T] = asyncio.get_running_loop().create_future()

    @override
    async def on_enter(self) -> None:
        if not self.in_tool:
            await self.go()

    @function_tool
    async def begin(self) -> str:
        """Begin."""
        await self.go()
        return "done"

    async def go(self) -> None:
        """Await it, and keep what comes of it."""
        try:
            result = await self.make()
        except Exception as exc:  # noqa: BLE001 - the test looks at it
            self.outcome.set_exception(exc)
        except BaseException:
            self.outcome.set_exception(RuntimeError("cancelled"))
            raise
        else:
            self.outcome.set_result(result)


@attrs.define
class Conversation(Generic[T]):
    """A session under way."""

    session: AgentSession[None]
    model: ScriptedModel
    parent: Parent[T]

    async def say(self, text: str) -> RunResult[None]:
        """Let the user say something, and wait until it is dealt with."""
        return await self.session.run(user_input=text)

    async def outcome(self) -> T:
        """Wait for what was awaited."""
        with anyio.fail_after(60):
            return await asyncio.shield(self.parent.outcome)

    async def tries_to_say(self, text: str) -> None:
        """Let the user say something; LiveKit takes nothing while the floor passes on."""
        try:
            with anyio.fail_after(60):
                await self.say(text)
        except TimeoutError:
            raise
        except Exception:  # noqa: BLE001 - it raises what agents raised, too
            await checkpoint()

    async def ended(self) -> None:
        """Wait until the parent has what it awaits, be it an error."""
        with anyio.fail_after(60), suppress(Exception):
            await asyncio.shield(self.parent.outcome)

    async def until_asked(self, about: str) -> None:
        """Wait until the model is asked by an agent with such instructions, and is silent again."""
        with anyio.fail_after(60):
            while about not in self.model.turns[-1].instructions:
                self.model.asked = asyncio.Event()
                await self.model.asked.wait()
            await self.session.wait_for_idle()

    async def at(self, name: str) -> None:
        """Wait until it is asked for that, and the agent is silent."""
        with anyio.fail_after(60):
            while self.floor != name:
                moved = asyncio.Event()
                self.session.once("conversation_item_added", lambda _, moved=moved: moved.set())
                await moved.wait()
            agent = self.session.current_agent
            assert isinstance(agent, Ask)
            await agent.entered.wait()
            await self.session.wait_for_idle()

    @property
    def floor(self) -> str:
        """Who has the floor."""
        agent = self.session.current_agent
        return agent.what if isinstance(agent, Ask) else agent.id


@asynccontextmanager
async def conversation(
    make: Callable[[], Awaitable[T]],
    script: Script = obedient,
    *,
    in_tool: bool = False,
    with_model: bool = True,
    tools: list[llm.Tool | llm.Toolset] | None = None,
) -> AsyncGenerator[Conversation[T]]:
    """Begin a session whose agent awaits something; no asyncio task may be left at its end.

    Args:
        make: makes what is awaited.
        script: what the model does.
        in_tool: await it in a tool of the agent, not when it gets the floor.
        with_model: whether the session has a model.
        tools: the session's own tools.
    """
    model = ScriptedModel(script)
    session: AgentSession[None] = AgentSession(
        llm=model if with_model else NOT_GIVEN,
        tools=tools or [],
        vad=None,
        turn_handling={"turn_detection": None},
    )
    parent = Parent(make, in_tool=in_tool)
    before = asyncio.all_tasks()
    try:
        await session.start(parent, capture_run=True)
        yield Conversation(session, model, parent)
    finally:
        with anyio.fail_after(60, shield=True):
            await session.aclose()
        left = asyncio.all_tasks() - before
        for _ in range(1000):
            if left:
                await checkpoint()
                left = asyncio.all_tasks() - before
        assert not left, left
        if parent.outcome.done() and not parent.outcome.cancelled():
            parent.outcome.exception()
