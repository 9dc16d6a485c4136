"""A session that closes just when something begins or is to be answered: nothing hangs."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import anyio
import pytest
from livekit.agents import function_tool
from sessions import Ask, Reply, Turn, Wait, conversation, obedient
from typing_extensions import override
from voice_groups import Slow, answer, group_of

from reflow.livekit import GroupStoppedError, run_task

if TYPE_CHECKING:
    from livekit.agents import RunResult

    from reflow import Visit

pytestmark = pytest.mark.anyio


async def test_closing_while_a_tool_runs() -> None:
    """LiveKit waits for the tool; then the group ends."""
    reached, release = asyncio.Event(), asyncio.Event()

    class Slow(Ask):
        @function_tool
        async def wait(self) -> str:
            """Wait."""
            reached.set()
            await release.wait()
            return ""

    group = group_of("a").add(lambda: Slow("b"), id="b", description="b")
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"))
        await talk.at("b")
        talk.session.run(user_input="wait")
        await reached.wait()
        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(talk.session.aclose)
                release.set()
        with pytest.raises(GroupStoppedError):
            await talk.outcome()


async def test_closing_while_a_step_begins_that_is_to_answer() -> None:
    """What the user said before it is answered by nobody; nothing hangs."""
    entered, release = asyncio.Event(), asyncio.Event()

    class Slowly(Ask):
        @override
        async def on_enter(self) -> None:
            entered.set()
            await release.wait()

    slow = Slow("a")
    group = group_of("a", on_task_completed=slow)
    group.add(lambda: Slowly("b"), id="b", description="b")
    async with conversation(lambda: group) as talk:
        first: RunResult[None] = talk.session.run(user_input="record 1")
        await slow.began.wait()
        await talk.session.generate_reply(user_input="record 2")
        slow.release.set()
        await entered.wait()
        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(talk.session.aclose)
                await anyio.wait_all_tasks_blocked()
                release.set()
        with pytest.raises(GroupStoppedError) as raised:
            await talk.outcome()
        with suppress(Exception):
            await first
    assert raised.value.results.task_results == {"a": "1"}


async def test_closing_before_all_turns_are_answered() -> None:
    """The second one can't be any more: nothing hangs, and nothing else goes wrong."""
    heard, release = asyncio.Event(), asyncio.Event()

    def script(turn: Turn) -> Reply:
        if turn.said == "let me think":
            heard.set()
            return Wait(release)
        return obedient(turn)

    slow = Slow("a")
    group = group_of("a", "b", on_task_completed=slow)
    async with conversation(lambda: group, script) as talk:
        first: RunResult[None] = talk.session.run(user_input="record 1")
        await slow.began.wait()
        await talk.session.generate_reply(user_input="let me think")
        await talk.session.generate_reply(user_input="record 2")
        slow.release.set()
        await heard.wait()
        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(talk.session.aclose)
                await anyio.wait_all_tasks_blocked()
                release.set()
        with pytest.raises(GroupStoppedError) as raised:
            await talk.outcome()
        with suppress(Exception):
            await first
    assert raised.value.results.task_results == {"a": "1"}


async def test_a_task_that_would_begin_while_the_session_closes() -> None:
    """It isn't begun; a shielded section learns it by the error of the group."""
    began, release = asyncio.Event(), asyncio.Event()

    async def late(_: Visit[None]) -> str:
        began.set()
        with anyio.CancelScope(shield=True):
            await release.wait()
            with pytest.raises(GroupStoppedError):
                await run_task(Ask("b"))
        return "late"

    group = group_of("a")
    group.step(late, id="b", description="b")
    async with conversation(lambda: group) as talk:
        talk.session.run(user_input="record 1")
        await began.wait()
        with anyio.fail_after(30):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(talk.session.aclose)
                await anyio.wait_all_tasks_blocked()
                release.set()
        with pytest.raises(GroupStoppedError):
            await talk.outcome()
