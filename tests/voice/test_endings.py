"""However a group ends before its last step: at once, with a clear error, and without a trace."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import TYPE_CHECKING, Never

import anyio
import pytest
from anyio.lowlevel import checkpoint
from livekit.agents import Agent, function_tool
from sessions import Ask, Conversation, Reply, Turn, Wait, conversation, obedient
from typing_extensions import override
from voice_groups import answer, group_of

from reflow import RunFinishedError, RunStoppedError, Visit
from reflow.livekit import GroupStoppedError, TaskGroup, TaskGroupResult, run_task

if TYPE_CHECKING:
    from reflow.livekit import TaskCompletedEvent

pytestmark = pytest.mark.anyio


class Ending:
    """A group that reaches some phase, and what can end it there."""

    def __init__(self, phase: str) -> None:
        self.phase = phase
        self.reached = asyncio.Event()
        self.group = group_of(
            "a",
            summarize_chat_ctx=phase == "summary",
            on_task_completed=self.wait if phase == "callback" else None,
        )
        self.scope = anyio.CancelScope()
        if phase == "function":
            self.group.step(self.wait, id="b", description="b")
        elif phase == "nested":
            self.group.add(lambda: group_of("x"), id="b", description="b")
        elif phase == "step":
            self.group.add(lambda: Ask("x"), id="b", description="b")
        elif phase == "shielded":
            self.group.step(shielded, id="b", description="b")

    async def wait(self, _: object) -> Never:
        """Wait until this is cancelled."""
        self.reached.set()
        while True:
            await anyio.sleep_forever()

    def script(self, turn: Turn) -> Reply:
        """Never answer when a summary is asked for."""
        if "Summarize" in turn.instructions:
            self.reached.set()
            return Wait(asyncio.Event())
        return obedient(turn)

    async def go(self) -> TaskGroupResult:
        """Await the group; it may take its time."""
        with self.scope:
            return await self.group
        raise TimeoutError

    async def end(self, how: str, talk: Conversation[TaskGroupResult]) -> None:
        """Reach the phase, and end it."""
        talk.session.run(user_input="record 1")
        if self.phase in {"nested", "step", "shielded"}:
            await talk.at("x")
        else:
            await self.reached.wait()
        match how:
            case "update_agent":
                talk.session.update_agent(Agent(instructions="the other"))
            case "cancel":
                self.group.cancel()
            case "timeout":
                self.scope.cancel()
            case "stop":
                self.group.prepared().stop("enough")
            case _:
                with anyio.fail_after(30):
                    await talk.session.aclose()


async def shielded(_: Visit[None]) -> str:
    """Ask in a section that nothing can cancel."""
    with anyio.CancelScope(shield=True):
        return await run_task(Ask("x"))
    raise AssertionError


@pytest.mark.parametrize("how", ["update_agent", "cancel", "timeout", "stop", "close"])
@pytest.mark.parametrize("phase", ["callback", "function", "nested", "step", "summary"])
async def test_every_ending_in_every_phase(phase: str, how: str) -> None:
    """The group ends at once, with a clear error that has what there was."""
    ending = Ending(phase)
    async with conversation(ending.go, ending.script) as talk:
        if (phase, how) == ("summary", "stop"):
            # The run is complete then, only its summary isn't.
            with pytest.raises(RunFinishedError):
                await ending.end(how, talk)
            return
        await ending.end(how, talk)
        with pytest.raises((GroupStoppedError, TimeoutError)) as raised:
            await talk.outcome()
        exc: BaseException | None = raised.value
        while exc is not None and not isinstance(exc, GroupStoppedError):
            exc = exc.__cause__ or exc.__context__
        if exc is not None:
            assert exc.results.task_results == {"a": "1"}
            assert isinstance(exc.__cause__, RunStoppedError) == (how == "stop")
        assert ending.group.done()


@pytest.mark.parametrize("how", ["update_agent", "close"])
async def test_a_shielded_section_that_lost_the_floor(how: str) -> None:
    """Nobody can answer there any more: it ends all the same."""
    ending = Ending("shielded")
    async with conversation(ending.go, ending.script) as talk:
        await ending.end(how, talk)
        with pytest.raises(GroupStoppedError) as raised:
            await talk.outcome()
        assert raised.value.results.task_results["a"] == "1"


@pytest.mark.parametrize("how", ["cancel", "timeout", "stop"])
async def test_a_shielded_section_that_has_the_floor(how: str) -> None:
    """It isn't interrupted, as its author wanted it; the group ends behind it."""
    ending = Ending("shielded")
    async with conversation(ending.go, ending.script) as talk:
        await ending.end(how, talk)
        await talk.say("look_up")
        assert not talk.parent.outcome.done()
        assert talk.floor == "x"
        await talk.say("record 2")
        with pytest.raises((GroupStoppedError, TimeoutError)):
            await talk.outcome()
        run = ending.group.prepared()
        assert [run.results[step] for step in run.results] == ["1", "2"]


@pytest.mark.parametrize("how", ["asyncio", "anyio", "wait_for"])
@pytest.mark.parametrize("in_tool", [False, True])
async def test_no_time_at_all(how: str, *, in_tool: bool) -> None:
    """A timeout of nothing is one: the floor is back with the parent."""

    async def go() -> TaskGroupResult:
        if how == "asyncio":
            async with asyncio.timeout(0):
                return await group_of("a")
        if how == "wait_for":
            return await asyncio.wait_for(group_of("a"), 0)
        with anyio.fail_after(0):
            return await group_of("a")

    async with conversation(go, in_tool=in_tool) as talk:
        if in_tool:
            await talk.tries_to_say("begin")
        with pytest.raises(TimeoutError):
            await talk.outcome()
        await talk.session.wait_for_idle()
        assert talk.session.current_agent is talk.parent


async def test_cancelled_before_it_is_awaited() -> None:
    """Whoever awaits it then learns why it has no result."""

    async def go() -> TaskGroupResult:
        group = group_of("a")
        group.cancel()
        return await group

    async with conversation(go) as talk:
        with pytest.raises(GroupStoppedError, match="cancelled"):
            await talk.outcome()


async def test_cancelled_after_its_end() -> None:
    """Nothing happens."""
    group = group_of("a")
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"))
        result = await talk.outcome()
        group.cancel()
    assert result.task_results == {"a": "1"}


async def test_the_job_is_shut_down() -> None:
    """Every asyncio task is cancelled: the group ends, and says what it has."""
    group = group_of("a", "b")
    async with conversation(lambda: group) as talk:
        await talk.say("record 1")
        for task in asyncio.all_tasks():
            if task.get_name() == "AgentTask_on_enter":
                task.cancel()
        with pytest.raises((GroupStoppedError, RuntimeError)):
            await talk.outcome()
        assert group.done()
        run = group.prepared()
        assert [run.results[step] for step in run.results] == ["1"]


class FatalError(BaseException):
    """No Exception."""


@pytest.mark.parametrize("where", ["step", "callback"])
async def test_a_base_exception(where: str) -> None:
    """It ends the group, and the session closes."""

    async def fatal(_: Visit[None]) -> str:
        if where == "step":
            raise FatalError
        return "x"

    async def tell(_: TaskCompletedEvent) -> None:
        raise FatalError

    group = group_of(on_task_completed=tell)
    group.step(fatal, id="b", description="b")
    async with conversation(lambda: group) as talk:
        with pytest.raises(GroupStoppedError):
            await talk.outcome()


async def test_a_group_that_is_over_is_collected() -> None:
    """Nothing holds it, nor what was nested in it, after its end."""
    groups = list[weakref.ref[TaskGroup]]()

    def make(*names: str) -> TaskGroup:
        group = group_of(*names)
        groups.append(weakref.ref(group))
        return group

    def outer() -> TaskGroup:
        return make("a").add(lambda: make("b", "c"), id="inner", description="inner")

    async with conversation(outer) as talk:
        await answer(talk, ("a", "1"), ("b", "2"))
        await talk.at("c")
        await talk.say("back a")
        await answer(talk, ("a", "3"), ("c", "4"))
        await talk.outcome()
    del talk
    for _ in range(5):
        await checkpoint()
        gc.collect()
    assert [ref() for ref in groups] == [None, None, None]


async def test_a_group_that_is_never_awaited_is_collected() -> None:
    """Not even a group that was only made is held."""
    ref = weakref.ref(group_of("a"))
    gc.collect()
    assert ref() is None


async def test_a_nested_group_ends_with_what_it_is_in() -> None:
    """A task that never completes doesn't keep the groups around it from ending."""

    class Silent(Ask):
        @override
        async def on_enter(self) -> None:
            self.entered.set()

    group = group_of("a").add(
        lambda: group_of().add(lambda: Silent("b"), id="b", description="b"),
        id="inner",
        description="inner",
    )
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"))
        await talk.at("b")
        group.cancel()
        with pytest.raises(GroupStoppedError) as raised:
            await talk.outcome()
    assert raised.value.results.task_results == {"a": "1"}


@pytest.mark.parametrize("by", ["scope", "group"])
async def test_cancelled_twice(by: str) -> None:
    """The job is shut down while the group ends already: the hand-back is disturbed by neither."""
    ending = Ending("step")
    async with conversation(ending.go) as talk:
        await answer(talk, ("a", "1"))
        await talk.at("x")
        if by == "scope":
            ending.scope.cancel()
        else:
            ending.group.cancel()
        for _ in range(3):
            for task in asyncio.all_tasks():
                if task.get_name() == "AgentTask_on_enter":
                    task.cancel()
            await checkpoint()
        with pytest.raises((GroupStoppedError, TimeoutError, RuntimeError)):
            await talk.outcome()
        assert ending.group.done()


async def test_another_agent_takes_over_during_a_shielded_function() -> None:
    """The task that it would ask next has nobody to ask: the group ends, that agent goes on."""

    async def ask(_: Visit[None]) -> str:
        with anyio.CancelScope(shield=True):
            talk.session.update_agent(other)
            while talk.session.current_agent is not other:
                await checkpoint()
            return await run_task(Ask("b"))
        raise AssertionError

    other = Agent(instructions="the other")
    group = group_of("a")
    group.step(ask, id="b", description="b")
    async with conversation(lambda: group) as talk:
        await talk.at("a")
        await talk.tries_to_say("record 1")
        with pytest.raises(GroupStoppedError, match="another agent"):
            await talk.outcome()
        assert talk.session.current_agent is other


async def test_a_tool_of_a_step_hands_over() -> None:
    """As tools in LiveKit do, with the agent that they return: the group ends, that one goes on."""

    class Desk(Ask):
        @function_tool
        async def person(self) -> Agent:
            """Hand over."""
            return other

    other = Agent(instructions="the other")
    group = group_of("a").add(lambda: Desk("b"), id="b", description="b")
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"))
        await talk.at("b")
        await talk.tries_to_say("person")
        with pytest.raises(GroupStoppedError, match="another agent") as raised:
            await talk.outcome()
        assert raised.value.results.task_results == {"a": "1"}
        assert talk.session.current_agent is other
        await talk.say("hello")
        assert talk.model.turns[-1].instructions == "the other"
