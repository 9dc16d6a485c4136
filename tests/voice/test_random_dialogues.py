"""Random dialogues: none hangs, none leaves a task behind, none loses a request or an answer."""

from __future__ import annotations

import asyncio
import os
import random
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import anyio
import attrs
import pytest
from anyio.lowlevel import checkpoint
from livekit.agents import Agent, function_tool
from sessions import Ask, Call, Conversation, Reply, Turn, conversation
from typing_extensions import override

from reflow import (
    AnswerSuperseded,
    Event,
    GoBackRequested,
    RequestsDropped,
    RunCompleted,
    RunFinishedError,
    StepCompleted,
    StepEntered,
    StepFailed,
    StepSkipped,
)
from reflow.livekit import GroupStoppedError, TaskCompletedEvent, TaskGroup

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio

DIALOGUES: Final = 1000 if os.environ.get("REFLOW_DIALOGUES") == "full" else 100
ENDINGS: Final = ("none", "close", "cancel", "timeout", "anyio", "update_agent", "stop")


class FaultError(Exception):
    """What a factory raises."""


@attrs.define(eq=False)
class Played:
    """One group of a dialogue, and what happened in it."""

    group: TaskGroup
    events: list[Event] = attrs.field(factory=list)
    recorded: list[tuple[str, str]] = attrs.field(factory=list)
    # By step: the groups that its visits made, with how many events there had been before.
    nested: dict[str, list[tuple[int, Played]]] = attrs.field(factory=dict)

    def check(self) -> None:
        """Find every answer and every request again."""
        told = [
            (event.step, event.value)
            for event in self.events
            if isinstance(event, StepCompleted | AnswerSuperseded)
        ]
        assert [(step, value) for step, value in told if len(step) == 1] == self.recorded
        is_complete = any(isinstance(event, RunCompleted) for event in self.events)
        for i, event in enumerate(self.events):
            if isinstance(event, GoBackRequested) and is_complete:
                later = self.events[i + 1 :]
                for step in event.steps:
                    assert any(
                        (isinstance(e, StepEntered | StepSkipped) and e.step == step)
                        or (isinstance(e, RequestsDropped) and step in e.steps)
                        for e in later
                    ), (event, self.events)
        for step, made in self.nested.items():
            self.check_nested(step, made)

    def check_nested(self, step: str, made: list[tuple[int, Played]]) -> None:
        """See that each group went on with what the one before it had, while that held."""
        known: dict[str, object] = {}
        began = 0
        for begins, played in made:
            if any(is_over(event, step) for event in self.events[began:begins]):
                known = {}
            began = begins
            known = played.answers(known)

    def answers(self, known: dict[str, object]) -> dict[str, object]:
        """Give the answers at the end; none that was known may be asked for, unless requested."""
        known = dict(known)
        for event in self.events:
            match event:
                case GoBackRequested(steps=steps):
                    for step in steps:
                        known.pop(step, None)
                case StepEntered(step=step):
                    assert step not in known, (step, known, self.events)
                case StepCompleted(step=step, value=value):
                    known[step] = value
                case _:
                    pass
        if self.events:
            # It had the floor.
            results = self.group.prepared().results
            found = {step.id: results[step] for step in results}
            assert found.items() >= known.items()
        return known


def is_over(event: Event, step: str) -> bool:
    """Say whether what a step's nested groups had is of no use any more."""
    if isinstance(event, GoBackRequested):
        return step in event.steps
    return isinstance(event, StepCompleted | StepFailed | StepSkipped) and event.step == step


class Dialogue:
    """Makes the groups, the model and the end of one dialogue, all at random."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.played: list[Played] = []
        self.asides = 0
        self.values = 0
        self.timeout: asyncio.Timeout | None = None
        self.scope: anyio.CancelScope | None = None
        self.ending = self.random.choice(ENDINGS)
        self.in_tool = self.random.random() < 0.5
        self.end_at = self.random.randrange(1, 30)
        # What the groups are declared of: the same whenever they are made anew.
        self.shapes: dict[str, list[str]] = {}

    def shape(self, place: str, depth: int) -> list[str]:
        """Give the ids of the steps of a group; those of nested groups begin with "inner"."""
        if place not in self.shapes:
            self.shapes[place] = [
                f"inner{name}" if depth < 2 and self.random.random() < 0.5 else name
                for name in "abc"[: self.random.choice([2, 3])]
            ]
        return self.shapes[place]

    def make_group(self, place: str = "", depth: int = 0) -> TaskGroup:
        """Make a group of steps, some of which are groups."""

        async def wait(_: TaskCompletedEvent) -> None:
            for _turn in range(self.random.choice([0, 2])):
                await checkpoint()

        events: list[Event] = []
        group = TaskGroup(
            summarize_chat_ctx=self.random.random() < 0.2,
            return_exceptions=self.random.random() < 0.3,
            on_task_completed=wait if self.random.random() < 0.5 else None,
            observers=[events.append],
        )
        played = Played(group, events)
        fails = self.random.random() < 0.05

        def asking(name: str) -> Callable[[], Ask]:
            def make() -> Ask:
                if fails and self.random.random() < 0.3:
                    raise FaultError
                return RandomAsk(name, self, played)

            return make

        def nesting(name: str) -> Callable[[], TaskGroup]:
            def make() -> TaskGroup:
                begins = len(events)
                made = self.make_group(f"{place}/{name}", depth + 1)
                played.nested.setdefault(name, []).append((begins, self.played[-1]))
                return made

            return make

        for name in self.shape(place, depth):
            if name.startswith("inner"):
                group.add(nesting(name), id=name, description="some")
            else:
                group.add(asking(name), id=name, description=f"the {name}")
        self.played.append(played)
        return group

    def reply(self, turn: Turn) -> Reply:
        """Call tools at random, also several at once."""
        if turn.after_tools or "Summarize" in turn.instructions:
            return "ok"
        if "begin" in turn.tools:
            return Call("begin")
        if not turn.said:
            return "please"
        calls: list[Call] = []
        for _ in range(self.random.choice([1, 1, 1, 2, 3])):
            chance = self.random.random()
            if chance < 0.5 and "record" in turn.tools:
                self.values += 1
                calls.append(Call("record", {"value": str(self.values)}))
            elif chance < 0.7 and "out_of_scope" in turn.tools:
                ids = turn.enum_of("out_of_scope", "task_ids")
                # The last ones are of the groups around, if there are any.
                likely = [*ids, *ids[-2:]]
                chosen = [self.random.choice(likely) for _ in range(self.random.choice([1, 1, 2]))]
                calls.append(Call("out_of_scope", {"task_ids": chosen}))
            elif chance < 0.85 and "aside" in turn.tools:
                calls.append(Call("aside"))
        return calls or "well"

    async def go(self) -> object:
        """Await a group, perhaps with a timeout."""
        group = self.make_group()
        if self.ending == "timeout":
            async with asyncio.timeout(None) as self.timeout:
                return await group
        if self.ending == "anyio":
            with anyio.CancelScope() as self.scope:
                return await group
            raise TimeoutError
        return await group

    async def end(self, talk: Conversation[object]) -> None:
        """End the dialogue in the way that was drawn, unless it has ended."""
        for _ in range(self.random.choice([0, 0, 1, 2, 5, 9])):
            await checkpoint()
        if talk.parent.outcome.done() or not self.played:
            return
        if self.ending == "close":
            await talk.session.aclose()
        elif self.ending == "cancel":
            self.played[0].group.cancel()
        elif self.ending == "stop":
            # It may be over already.
            with suppress(RunFinishedError):
                self.played[0].group.prepared().stop("enough")
        elif self.ending == "timeout" and self.timeout is not None:
            self.timeout.reschedule(asyncio.get_running_loop().time())
        elif self.ending == "anyio" and self.scope is not None:
            self.scope.cancel()
        elif self.ending == "update_agent" and not self.asides:
            # LiveKit itself waits for ever for a tool that awaits an agent task then.
            talk.session.update_agent(Agent(instructions="another"))
        else:
            return
        await talk.ended()


class RandomAsk(Ask):
    """Records what the model says sooner or later; may ask something else in a tool."""

    def __init__(self, name: str, dialogue: Dialogue, played: Played) -> None:
        super().__init__(name, speaks=dialogue.random.random() < 0.6)
        self.dialogue = dialogue
        self.played = played

    @override
    async def answered(self, value: str) -> None:
        """Take the answer sooner or later."""
        for _ in range(self.dialogue.random.choice([0, 0, 1, 3])):
            await checkpoint()
        if not self.done():
            self.complete(value)
            self.played.recorded.append((self.what, value))

    @function_tool
    async def aside(self) -> str:
        """Ask something else."""
        self.dialogue.asides += 1
        try:
            if self.dialogue.random.random() < 0.3:
                return str(await self.dialogue.make_group("aside", 2))
            return await Ask("aside", speaks=self.dialogue.random.random() < 0.5)
        finally:
            self.dialogue.asides -= 1


@pytest.mark.parametrize("seed", range(DIALOGUES))
async def test_dialogues(seed: int) -> None:
    """Whatever is said, and however it ends."""
    dialogue = Dialogue(seed)
    async with conversation(dialogue.go, dialogue.reply, in_tool=dialogue.in_tool) as talk:
        turn = 0
        while not talk.parent.outcome.done() and turn < 40:
            turn += 1
            async with anyio.create_task_group() as tasks:
                if turn == dialogue.end_at:
                    tasks.start_soon(dialogue.end, talk)
                await talk.tries_to_say(f"turn {turn}")
    for played in dialogue.played:
        played.check()
    if talk.parent.outcome.done():
        exc = talk.parent.outcome.exception()
        assert exc is None or isinstance(exc, GroupStoppedError | TimeoutError | FaultError), exc
