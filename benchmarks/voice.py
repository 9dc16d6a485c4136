"""What a step of a voice agent costs in LiveKit: its own task group, ours, and no group.

Measured: a session in text mode, from the moment that a group is awaited until it hands back, per
step. In each step the user says something, and the model calls the task's tool. The model brings
the tools into OpenAI's form, as the plugins for models do before each request, and answers at once.
With `--silent` the tasks are done as soon as they have the floor, and no model is asked. "alone":
the agent awaits the same tasks one after the other. The history is what was said before, and every
task is given it. Nothing is summarized. Handoffs and turns are LiveKit's, in all three; the groups
also copy the history, and make a tool to go back.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
from time import process_time_ns
from typing import TYPE_CHECKING

import anyio
from livekit.agents import (
    Agent,
    AgentSession,
    AgentTask,
    ChatContext,
    ChatMessage,
    function_tool,
    llm,
)
from livekit.agents.beta import workflows
from livekit.agents.types import (
    DEFAULT_API_CONNECT_OPTIONS,
    NOT_GIVEN,
    APIConnectOptions,
    NotGivenOr,
)
from measuring import in_turn, judged, print_table, print_versions, ratio
from typing_extensions import override

from reflow.livekit import TaskGroup

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from livekit.agents.llm import ChatItem, ChatRole

SIZES, HISTORIES = [3, 30, 300], [0, 2_000, 8_000]
# Ours, of what the native group takes: at most so much, and with the longest history.
TARGET, LONG_TARGET = 1.0, 0.8
# So many steps make a sample, in as many sessions as it takes.
SAMPLE = 30


class Ask(AgentTask[int]):
    """Is done when the model calls its tool."""

    def __init__(self, chat_ctx: ChatContext | None = None) -> None:
        """Begin, with the conversation so far if no group gives it."""
        super().__init__(instructions="Nothing.", chat_ctx=chat_ctx or ChatContext.empty())

    @function_tool
    async def record(self) -> None:
        """Record the answer."""
        self.complete(1)


class Done(Ask):
    """Is done at once."""

    @override
    async def on_enter(self) -> None:
        self.complete(1)


class Model(llm.LLM[str]):
    """Calls the tool."""

    @override
    def chat(
        self,
        *,
        chat_ctx: ChatContext,
        tools: list[llm.Tool] | None = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        parallel_tool_calls: NotGivenOr[bool] = NOT_GIVEN,
        tool_choice: NotGivenOr[llm.ToolChoice] = NOT_GIVEN,
        extra_kwargs: NotGivenOr[dict[str, object]] = NOT_GIVEN,
    ) -> llm.LLMStream:
        return Stream(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class Stream(llm.LLMStream):
    """What it answers."""

    @override
    async def _run(self) -> None:
        llm.ToolContext(self._tools).parse_function_tools("openai")
        call = llm.FunctionToolCall(name="record", arguments="{}", call_id="call")
        delta = llm.ChoiceDelta(role="assistant", tool_calls=[call])
        self._event_ch.send_nowait(llm.ChatChunk(id="chunk", delta=delta))


async def native(make: type[Ask], chat_ctx: ChatContext, size: int) -> None:
    """Await LiveKit's group."""
    group = workflows.TaskGroup(summarize_chat_ctx=False, chat_ctx=chat_ctx)
    for i in range(size):
        group.add(make, id=f"s{i}", description="a number")
    await group


async def ours(make: type[Ask], chat_ctx: ChatContext, size: int) -> None:
    """Await the group of reflow."""
    group = TaskGroup(summarize_chat_ctx=False, chat_ctx=chat_ctx)
    for i in range(size):
        group.add(make, id=f"s{i}", description="a number")
    await group


async def alone(make: type[Ask], chat_ctx: ChatContext, size: int) -> None:
    """Await the tasks without a group."""
    for _ in range(size):
        await make(chat_ctx)


WAYS: dict[str, Callable[[type[Ask], ChatContext, int], Awaitable[None]]] = {
    "native": native,
    "ours": ours,
    "alone": alone,
}


class Measured(Agent):
    """Goes one of the ways, and takes the time."""

    def __init__(self, name: str, make: type[Ask], size: int, history: int) -> None:
        """Begin."""
        speakers: itertools.cycle[ChatRole] = itertools.cycle(["user", "assistant"])
        said: list[ChatItem] = [
            ChatMessage(role=role, content=[f"message {i}"])
            for i, role in zip(range(history), speakers, strict=False)
        ]
        super().__init__(instructions="The parent.", chat_ctx=ChatContext(said))
        self.go, self.asks, self.size = WAYS[name], make, size
        self.taken = 0
        self.through = anyio.Event()

    @override
    async def on_enter(self) -> None:
        begun = process_time_ns()
        await self.go(self.asks, self.chat_ctx, self.size)
        self.taken = process_time_ns() - begun
        self.through.set()


async def measured(name: str, make: type[Ask], size: int, history: int) -> int:
    """Give the nanoseconds that a step takes."""
    times = max(1, SAMPLE // size)
    taken = 0
    for _ in range(times):
        session: AgentSession[None] = AgentSession(
            llm=Model(), vad=None, turn_handling={"turn_detection": None}
        )
        agent = Measured(name, make, size, history)
        await session.start(agent, capture_run=True)
        if make is Ask:
            for _step in range(size):
                await session.run(user_input="it is so")
        await agent.through.wait()
        await session.aclose()
        taken += agent.taken
    return taken // times // size


class Options(argparse.Namespace):
    """What can be said on the command line."""

    sizes: list[int]
    histories: list[int]
    turns: int
    silent: bool


def options() -> Options:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--sizes", nargs="+", type=int, default=SIZES, help="steps of a group")
    add("--histories", nargs="+", type=int, default=HISTORIES, help="items of a history")
    add("--turns", type=int, default=5, help="how often every variant is measured")
    add("--silent", action="store_true", help="tasks that are done at once")
    return parser.parse_args(namespace=Options())


def main(chosen: Options) -> None:
    """Measure, and print the table."""

    def sample(name: str, size: int, history: int) -> Callable[[], int]:
        make = Done if chosen.silent else Ask
        return lambda: anyio.run(measured, name, make, size, history)

    rows = []
    for size, history in itertools.product(chosen.sizes, chosen.histories):
        taken = in_turn({name: sample(name, size, history) for name in WAYS}, chosen.turns)
        target = LONG_TARGET if history == max(HISTORIES) else TARGET
        rows.append(
            [
                f"{size:,}",
                f"{history:,}",
                *(f"{statistics.median(each) / 1e6:.2f}" for each in taken.values()),
                judged(ratio(taken["ours"], taken["native"]), target),
            ]
        )
    head = ["steps", "items", *WAYS, "ours : native"]
    print_table("ms per step of a voice agent", head, rows)


if __name__ == "__main__":
    print_versions("livekit-agents")
    main(options())
