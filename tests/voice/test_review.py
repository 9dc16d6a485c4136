"""What a hostile pair of eyes found: each test says what should be."""

from __future__ import annotations

import asyncio
import gc
import weakref
from dataclasses import dataclass

import anyio
import pytest
from livekit.agents import AgentTask, function_tool, llm
from sessions import Ask, Call, Reply, Turn, conversation, obedient

from reflow import FlowError, MemoryJournal, Visit
from reflow.livekit import GroupStoppedError, TaskCompletedEvent, TaskGroup, run_task

pytestmark = pytest.mark.anyio


def group_of(*names: str, **options: object) -> TaskGroup:
    """Make a group that asks for these."""
    options.setdefault("summarize_chat_ctx", False)
    group = TaskGroup(**options)
    for name in names:
        group.add(lambda name=name: Ask(name), id=name, description=f"the {name}")
    return group


def texts(agent: object) -> str:
    """Give all that an agent's context holds, as one text."""
    return str([item.model_dump() for item in agent.chat_ctx.items])


def force_end(group: TaskGroup) -> None:
    """Let the session close in spite of a group that hangs."""
    if not group.done():
        group.complete(RuntimeError("hung"))


# A. A run that can't be prepared


async def test_a_journal_that_refuses_a_type_ends_the_group() -> None:
    """A declaration that `prepare` refuses is an error, not a group that never ends."""
    group = group_of("a", journal=MemoryJournal(), key="k")
    async with conversation(lambda: group) as talk:
        try:
            with pytest.raises(Exception) as raised:
                await talk.outcome()
            assert not isinstance(raised.value, TimeoutError), "the group never ends"
        finally:
            force_end(group)


async def test_a_journal_without_a_key_ends_the_group() -> None:
    """So is an option that is missing."""
    group = TaskGroup(summarize_chat_ctx=False, journal=MemoryJournal())
    group.add(Name, id="a", description="a")
    async with conversation(lambda: group) as talk:
        try:
            with pytest.raises(Exception) as raised:
                await talk.outcome()
            assert not isinstance(raised.value, TimeoutError), "the group never ends"
        finally:
            force_end(group)


async def test_an_empty_group() -> None:
    """LiveKit's gives an empty result."""
    async with conversation(lambda: group_of()) as talk:
        result = await talk.outcome()
    assert result.task_results == {}


class Name(Ask):
    """Asks for a name, and says its type."""

    def __init__(self) -> None:
        super().__init__("a")


# B. The summary


async def test_what_is_said_during_the_summary_stays() -> None:
    """What the user says while the summary is made isn't deleted."""
    talks = []

    def script(turn: Turn) -> Reply:
        if "Summarize" in turn.instructions:
            talks[0].session.generate_reply(user_input="one more thing")
            return "so it was"
        return obedient(turn)

    group = group_of("a", summarize_chat_ctx=True)
    async with conversation(lambda: group, script) as talk:
        talks.append(talk)
        await talk.say("record 1")
        await talk.outcome()
        await talk.session.wait_for_idle()
        assert "one more thing" in texts(talk.parent)


# C. Two groups in one step


async def test_two_groups_in_one_step_keep_their_answers_apart() -> None:
    """The caller's first name isn't taken for that of the spouse."""

    async def both(_: Visit[None]) -> str:
        me = await run_task(group_of("first", "last"))
        you = await run_task(group_of("first", "last"))
        return f"{me.task_results} {you.task_results}"

    group = group_of("a")
    names = group.step(both, id="names", description="the names")
    async with conversation(lambda: group) as talk:
        await talk.say("record 1")
        for name, value in (("first", "Ada"), ("last", "L"), ("first", "Bob")):
            await talk.at(name)
            await talk.say(f"record {value}")
        await talk.at("last")
        await talk.say("back a")
        await talk.at("a")
        await talk.say("record 2")
        asked = []
        for _ in range(4):
            await anyio.sleep(1)
            if talk.floor not in {"first", "last"}:
                break
            asked.append(talk.floor)
            await talk.at(talk.floor)
            await talk.say(f"record new{len(asked)}")
        result = await talk.outcome()
    me, _, you = result[names].partition("} {")
    assert "Bob" not in me, result[names]


# D. Leaks


async def test_a_group_that_is_over_is_collected() -> None:
    """Nothing holds a group after its end."""
    groups = []

    def make() -> TaskGroup:
        group = group_of("a")
        groups.append(weakref.ref(group))
        return group

    async with conversation(make) as talk:
        await talk.say("record 1")
        await talk.outcome()
    del talk
    gc.collect()
    for _ in range(5):
        await asyncio.sleep(0)
        gc.collect()
    assert groups[0]() is None


def test_a_group_that_is_never_awaited_is_collected() -> None:
    """Not even a group that was only made."""

    async def main() -> object:
        return weakref.ref(group_of("a"))

    ref = asyncio.run(main())
    gc.collect()
    assert ref() is None


# E. What is said between steps


def slow_after(step: str) -> tuple[asyncio.Event, asyncio.Event, object]:
    """Make a callback that waits after a step."""
    began, release = asyncio.Event(), asyncio.Event()

    async def wait(event: TaskCompletedEvent) -> None:
        if event.task_id == step:
            began.set()
            await release.wait()

    return began, release, wait


async def test_what_is_said_before_a_nested_group_is_answered() -> None:
    """The first step of the nested group gets the user's turn."""
    began, release, wait = slow_after("a")
    group = group_of("a", on_task_completed=wait)
    group.add(lambda: group_of("b", "c"), id="inner", description="inner")
    async with conversation(lambda: group) as talk:
        first = talk.session.run(user_input="record 1")
        await began.wait()
        await talk.session.generate_reply(user_input="record 2")
        release.set()
        await first
        await talk.at("c")


async def test_what_is_said_before_a_step_that_ends_at_once_is_answered() -> None:
    """The step behind it gets the user's turn."""

    class Cached(Ask):
        async def on_enter(self) -> None:
            self.complete("cached")

    began, release, wait = slow_after("a")
    group = group_of("a", on_task_completed=wait)
    group.add(lambda: Cached("b"), id="b", description="b")
    group.add(lambda: Ask("c"), id="c", description="c")
    async with conversation(lambda: group) as talk:
        first = talk.session.run(user_input="record 1")
        await began.wait()
        await talk.session.generate_reply(user_input="record 2")
        release.set()
        await first
        result = await talk.outcome()
        assert result.task_results["c"] == "2"


async def test_what_is_said_at_the_end_of_a_nested_group_is_answered() -> None:
    """The outer group's next step gets the user's turn."""
    began, release, wait = slow_after("b")
    group = group_of("a")
    group.add(lambda: group_of("b", on_task_completed=wait), id="inner", description="inner")
    group.add(lambda: Ask("d"), id="d", description="d")
    async with conversation(lambda: group) as talk:
        await talk.say("record 1")
        await talk.at("b")
        first = talk.session.run(user_input="record 2")
        await began.wait()
        await talk.session.generate_reply(user_input="record 3")
        release.set()
        await first
        result = await talk.outcome()
        assert result.task_results["d"] == "3"


# F. Speaking between steps


async def test_a_callback_may_let_the_model_speak() -> None:
    """As with LiveKit's group: `generate_reply(instructions=...)` in a callback is said."""
    talks = []

    async def thank(event: TaskCompletedEvent) -> None:
        await talks[0].session.generate_reply(instructions="Thank the user.")

    async with conversation(lambda: group_of("a", "b", on_task_completed=thank)) as talk:
        talks.append(talk)
        await talk.say("record 1")
        await talk.say("record 2")
        await talk.outcome()
        assert any("Thank the user." in str(turn.texts) for turn in talk.model.turns)


# G. Sensitive steps


class TalkingModel(llm.LLM):
    """Says something, and calls a tool, in one turn."""

    def chat(self, *, chat_ctx: llm.ChatContext, tools=None, conn_options=None, **_: object):  # noqa: ANN001, ANN201
        from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS

        return _TalkStream(
            self, chat_ctx=chat_ctx, tools=tools or [], conn_options=DEFAULT_API_CONNECT_OPTIONS
        )


class _TalkStream(llm.LLMStream):
    async def _run(self) -> None:
        last = [i for i in self._chat_ctx.items if i.type == "message"][-1]
        calls = []
        if last.role == "user":
            calls = [
                llm.FunctionToolCall(name="record", arguments='{"value": "4242"}', call_id="c1")
            ]
        for text in ("Your card ", "4242 ", "is noted."):
            delta = llm.ChoiceDelta(role="assistant", content=text)
            self._event_ch.send_nowait(llm.ChatChunk(id="x", delta=delta))
        if calls:
            delta = llm.ChoiceDelta(role="assistant", tool_calls=calls)
            self._event_ch.send_nowait(llm.ChatChunk(id="x", delta=delta))


async def test_what_is_said_with_the_call_that_ends_a_sensitive_step() -> None:
    """The words that the model says in the turn of the call are the step's, too."""

    class Card(Ask):
        def __init__(self) -> None:
            AgentTask.__init__(self, instructions="ask for the card", llm=TalkingModel())
            self.what, self.speaks = "card", False
            self.entered = asyncio.Event()

    group = TaskGroup(summarize_chat_ctx=False)
    group.step(Card, id="card", description="the card", sensitive=True)
    group.add(lambda: Ask("b"), id="b", description="b")
    async with conversation(lambda: group) as talk:
        await talk.say("my card is 4242")
        await talk.at("b")
        assert "4242" not in texts(talk.session.current_agent)
        assert "4242" not in texts(group)
        await talk.say("record 2")
        await talk.outcome()
        assert "4242" not in texts(group) + texts(talk.parent)


async def test_an_answer_by_tool_to_a_sensitive_step() -> None:
    """The call that holds the value is not in the history, either."""
    group = TaskGroup(summarize_chat_ctx=False)
    group.add(lambda: Ask("a"), id="a", description="a")
    group.step(Name, id="card", description="card", sensitive=True, model_may_answer=True)
    prompts = []

    def script(turn: Turn) -> Reply:
        if turn.said == "my card":
            return Call("answer", {"step": "card", "value": "4242"})
        return obedient(turn)

    async with conversation(lambda: group, script) as talk:
        if "answer" not in [t.id for t in talk.session.current_agent.tools]:
            pytest.skip("not offered")
        await talk.say("my card")
        await talk.say("record 1")
        await talk.outcome()
        assert "4242" not in texts(group)


async def test_the_summary_of_a_group_in_a_sensitive_step() -> None:
    """A nested group's summary is one of its step, too: no model is asked for it."""
    prompts = []

    def script(turn: Turn) -> Reply:
        if "Summarize" in turn.instructions:
            prompts.append(str(turn.texts))
            return "a summary"
        return obedient(turn)

    group = TaskGroup(summarize_chat_ctx=False)
    group.step(
        lambda: group_of("number", summarize_chat_ctx=True),
        id="card", description="the card", sensitive=True,
    )
    async with conversation(lambda: group, script) as talk:
        await talk.at("number")
        await talk.say("record 4242")
        await talk.outcome()
    assert "4242" not in "".join(prompts)


# H, I. Endings


async def test_a_shielded_step_when_the_session_closes() -> None:
    """`aclose()` doesn't hang."""

    async def shielded(_: Visit[None]) -> str:
        with anyio.CancelScope(shield=True):
            return await run_task(Ask("b"))

    group = group_of("a")
    group.step(shielded, id="b", description="b")
    async with conversation(lambda: group) as talk:
        await talk.say("record 1")
        await talk.at("b")
        with anyio.fail_after(30):
            await talk.session.aclose()
        with pytest.raises(GroupStoppedError):
            await talk.outcome()


async def test_a_shielded_step_when_another_agent_takes_over() -> None:
    """The group ends."""
    from livekit.agents import Agent

    async def shielded(_: Visit[None]) -> str:
        with anyio.CancelScope(shield=True):
            return await run_task(Ask("b"))

    group = group_of("a")
    group.step(shielded, id="b", description="b")
    async with conversation(lambda: group) as talk:
        await talk.say("record 1")
        await talk.at("b")
        talk.session.update_agent(Agent(instructions="other"))
        with pytest.raises(GroupStoppedError):
            await talk.outcome()


@pytest.mark.parametrize("with_error", [False, True])
async def test_completing_the_group_from_outside(*, with_error: bool) -> None:
    """`complete()` of a group under way ends it, with that."""
    groups = []

    def make() -> TaskGroup:
        groups.append(group_of("a", "b"))
        return groups[0]

    async with conversation(make) as talk:
        await talk.say("record 1")
        groups[0].complete(ValueError("hand over") if with_error else groups[0].prepared().results)
        with pytest.raises((ValueError, GroupStoppedError, FlowError)):
            await talk.outcome()


# J. A nested group that goes on


async def test_a_skipped_step_of_an_interrupted_nested_group_stays_skipped() -> None:
    """It goes on where it was."""

    def inner() -> TaskGroup:
        group = TaskGroup(summarize_chat_ctx=False)
        group.step(lambda: Ask("b"), id="b", description="b", optional=True)
        return group.add(lambda: Ask("c"), id="c", description="c")

    group = group_of("a").add(inner, id="inner", description="inner")
    async with conversation(lambda: group) as talk:
        await talk.say("record 1")
        await talk.at("b")
        await talk.say('skip {"step": "b"}')
        await talk.at("c")
        await talk.say("back a")
        await talk.at("a")
        await talk.say("record 2")
        await anyio.sleep(1)
        assert talk.floor == "c"


async def test_the_key_of_a_charge_in_an_interrupted_nested_group() -> None:
    """A visit that is resumed has the key that it had."""
    keys = []

    def inner() -> TaskGroup:
        group = TaskGroup(summarize_chat_ctx=False)

        async def charge(visit: Visit[None]) -> str:
            keys.append(visit.idempotency_key)
            return await run_task(Ask("charge"))

        group.step(charge, id="charge", description="charge", point_of_no_return=True)
        return group

    group = group_of("a").add(inner, id="inner", description="inner")
    async with conversation(lambda: group) as talk:
        await talk.say("record 1")
        await talk.at("charge")
        await talk.say("back a")
        await talk.at("a")
        await talk.say("record 2")
        await talk.at("charge")
    assert len(set(keys)) == 1, keys


async def test_callbacks_of_an_interrupted_nested_group_come_once() -> None:
    """An answer is told once."""
    told = []

    async def tell(event: TaskCompletedEvent) -> None:
        told.append((event.task_id, event.result, type(event.agent_task)))

    group = group_of("a").add(
        lambda: group_of("b", "c", on_task_completed=tell), id="inner", description="inner"
    )
    async with conversation(lambda: group) as talk:
        await talk.say("record 1")
        await talk.at("b")
        await talk.say("record 2")
        await talk.at("c")
        await talk.say("back a")
        await talk.at("a")
        await talk.say("record 3")
        await talk.at("c")
        await talk.say("record 4")
        await talk.outcome()
    assert told == [("b", "2", Ask), ("c", "4", Ask)]


async def test_what_a_nested_group_knew_of_a_changed_answer() -> None:
    """What depends on a changed answer is not kept: no stale total."""
    group = TaskGroup(summarize_chat_ctx=False)
    plan = group.step(lambda: Ask("plan"), id="plan", description="plan")
    computed = []

    def inner() -> TaskGroup:
        made = TaskGroup(summarize_chat_ctx=False)

        async def price(_: Visit[None]) -> str:
            computed.append(str(group.prepared().results[plan]))
            return computed[-1]

        made.step(price, id="price", description="price")
        return made.add(lambda: Ask("time"), id="time", description="time")

    group.step(inner, id="inner", description="inner", depends_on=[plan])
    async with conversation(lambda: group) as talk:
        await talk.say("record basic")
        await talk.at("time")
        await talk.say("back plan")
        await talk.at("plan")
        await talk.say("record family")
        await talk.at("time")
        await talk.say("record noon")
        result = await talk.outcome()
    assert result.task_results["inner"].task_results["price"] == "family"


async def test_validate_in_an_interrupted_nested_group() -> None:
    """A step's own answer isn't changed by going away and coming back."""

    def inner() -> TaskGroup:
        made = TaskGroup(summarize_chat_ctx=False)
        made.step(lambda: Ask("b"), id="b", description="b", validate=lambda s: s + "!")
        return made.add(lambda: Ask("c"), id="c", description="c")

    group = group_of("a").add(inner, id="inner", description="inner")
    async with conversation(lambda: group) as talk:
        await talk.say("record 1")
        await talk.at("b")
        await talk.say("record 2")
        await talk.at("c")
        await talk.say("back a")
        await talk.at("a")
        await talk.say("record 3")
        await talk.at("c")
        await talk.say("record 4")
        result = await talk.outcome()
    assert result.task_results["inner"].task_results["b"] == "2"


# K. Drop-in


@pytest.mark.parametrize("id", ["get email", "email-task", "a.b", "ümlaut", "1", "email?"])
def test_ids(id: str) -> None:
    """Whatever LiveKit takes as an id."""

    async def main() -> None:
        group_of(id).prepared()

    asyncio.run(main())


def test_descriptions() -> None:
    """Whatever LiveKit takes as a description."""

    async def main() -> None:
        TaskGroup().add(Name, id="a", description="").prepared()

    asyncio.run(main())


# L. Second round


async def test_a_sensitive_step_that_is_interrupted_leaves_nothing() -> None:
    """Neither do the words of the turn that interrupts it stay."""
    group = group_of("a")
    group.step(lambda: Ask("card"), id="card", description="the card", sensitive=True)

    def script(turn: Turn) -> Reply:
        if turn.said.startswith("4242"):
            return Call("out_of_scope", {"task_ids": ["a"]})
        return obedient(turn)

    async with conversation(lambda: group, script) as talk:
        await talk.say("record 1")
        await talk.at("card")
        await talk.say("4242 is it, but change a")
        await talk.at("a")
        assert "4242" not in texts(talk.session.current_agent) + texts(group)
        await talk.say("record 2")
        await talk.at("card")
        await talk.say("record 4242")
        await talk.outcome()
        assert "4242" not in texts(talk.parent) + texts(group)


async def test_a_timeout_around_run_task_ends_only_that_task() -> None:
    """The step goes on, and so does the group."""
    scopes = []

    async def quick(_: Visit[None]) -> str:
        with anyio.move_on_after(1000) as scope:
            scopes.append(scope)
            return await run_task(Ask("b"))
        return await run_task(Ask("b2"))

    group = group_of("a")
    group.step(quick, id="b", description="b")
    group.add(lambda: Ask("c"), id="c", description="c")
    async with conversation(lambda: group) as talk:
        await talk.say("record 1")
        await talk.at("b")
        scopes[0].cancel()
        await talk.at("b2")
        await talk.say("record 2")
        await talk.at("c")
        await talk.say("record 3")
        result = await talk.outcome()
    assert result.task_results == {"a": "1", "b": "2", "c": "3"}


async def test_a_timeout_around_a_nested_group_ends_only_that() -> None:
    """The same, if it is a group."""
    scopes = []

    async def quick(_: Visit[None]) -> str:
        with anyio.move_on_after(1000) as scope:
            scopes.append(scope)
            await run_task(group_of("b", "b3"))
        return await run_task(Ask("b2"))

    group = group_of("a")
    group.step(quick, id="b", description="b")
    async with conversation(lambda: group) as talk:
        await talk.say("record 1")
        await talk.at("b")
        scopes[0].cancel()
        await talk.at("b2")
        await talk.say("record 2")
        result = await talk.outcome()
    assert result.task_results == {"a": "1", "b": "2"}


async def test_run_task_in_a_child_task_of_a_step() -> None:
    """A clear error, or it works."""

    async def apart(_: Visit[None]) -> str:
        found = []

        async def ask() -> None:
            found.append(await run_task(Ask("b")))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask)
        return found[0]

    group = group_of("a")
    group.step(apart, id="b", description="b")
    async with conversation(lambda: group) as talk:
        await talk.say("record 1")
        with pytest.raises(ExceptionGroup):
            await talk.outcome()


async def test_run_task_in_a_tool_of_a_step() -> None:
    """A clear error, or it works."""

    class Tool(Ask):
        @function_tool
        async def aside(self) -> str:
            """Ask something else."""
            return await run_task(Ask("aside"))

    group = group_of("a")
    group.add(lambda: Tool("b"), id="b", description="b")
    group.add(lambda: Ask("c"), id="c", description="c")
    async with conversation(lambda: group) as talk:
        await talk.say("record 1")
        await talk.at("b")
        await talk.say("aside")
        await anyio.sleep(1)
        if talk.floor == "aside":
            await talk.say("back a")
            await talk.at("a")
            await talk.say("record 0")
        await talk.at("b")
        await talk.say("record 2")
        await talk.at("c")
        await talk.say("record 3")
        result = await talk.outcome()
    assert result.task_results["c"] == "3"


@pytest.mark.parametrize("when", ["before", "after"])
async def test_cancel_outside_of_the_run(when: str) -> None:
    """Before it is awaited it ends; after its end nothing happens; twice is an error."""
    groups = []

    async def go() -> object:
        groups.append(group_of("a"))
        if when == "before":
            groups[0].cancel()
            return await groups[0]
        await groups[0]
        groups[0].cancel()
        return await groups[0]

    async with conversation(go) as talk:
        if when == "after":
            await talk.say("record 1")
        with pytest.raises(GroupStoppedError if when == "before" else RuntimeError):
            await talk.outcome()


def test_going_back_before_the_start_changes_nothing() -> None:
    """A request that is refused doesn't close the group for `add`."""

    async def main() -> None:
        group = group_of("a")
        with pytest.raises(Exception, match="a"):
            group.go_back("a")
        group.add(lambda: Ask("b"), id="b", description="b")

    asyncio.run(main())


@pytest.mark.parametrize("in_tool", [False, True])
@pytest.mark.parametrize("how", ["asyncio", "anyio", "wait_for"])
async def test_no_time_at_all(how: str, *, in_tool: bool) -> None:
    """A timeout of 0 is a timeout."""

    async def go() -> object:
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
        with pytest.raises((TimeoutError, RuntimeError)):
            await talk.outcome()
        await talk.session.wait_for_idle()
        assert talk.session.current_agent is talk.parent


class Fatal(BaseException):
    """No Exception."""


@pytest.mark.parametrize("where", ["step", "callback"])
async def test_a_base_exception(where: str) -> None:
    """The group ends, and the session closes."""

    async def fatal(_: Visit[None]) -> str:
        if where == "step":
            raise Fatal
        return "x"

    async def tell(_: TaskCompletedEvent) -> None:
        raise Fatal

    group = group_of(on_task_completed=tell if where == "callback" else None)
    group.step(fatal, id="b", description="b")
    async with conversation(lambda: group) as talk:
        with anyio.fail_after(20), pytest.raises((GroupStoppedError, RuntimeError, Fatal)):
            await talk.outcome()


async def test_groups_in_parallel_tools_and_a_request() -> None:
    """The request made in the first ends both."""

    class Two(Ask):
        @function_tool
        async def one(self) -> str:
            """Ask one."""
            return str((await group_of("x", "y")).task_results)

        @function_tool
        async def two(self) -> str:
            """Ask two."""
            return str((await group_of("x", "y")).task_results)

    group = group_of("a")
    group.add(lambda: Two("b"), id="b", description="b")
    async with conversation(lambda: group) as talk:
        await talk.say("record 1")
        await talk.at("b")
        await talk.say("one and two")
        await talk.at("x")
        await talk.say("back a")
        await talk.at("a")
        await talk.say("record 2")
        await talk.at("b")
        await talk.say("record 5")
        result = await talk.outcome()
    assert result.task_results == {"a": "2", "b": "5"}


@pytest.mark.parametrize("where", ["function", "summary", "tool"])
async def test_closing_in_each_phase(where: str) -> None:
    """The group ends with an error, and nothing hangs."""
    reached = asyncio.Event()

    async def slow(_: Visit[None]) -> str:
        reached.set()
        await anyio.sleep(10_000)
        return ""

    class Slow(Ask):
        @function_tool
        async def wait(self) -> str:
            """Wait."""
            reached.set()
            await asyncio.sleep(5)
            return ""

    def script(turn: Turn) -> Reply:
        if "Summarize" in turn.instructions:
            reached.set()
        return obedient(turn)

    group = group_of("a", summarize_chat_ctx=where == "summary")
    if where == "function":
        group.step(slow, id="b", description="b")
    if where == "tool":
        group.add(lambda: Slow("b"), id="b", description="b")
    async with conversation(lambda: group, script) as talk:
        if where != "tool":
            talk.session.run(user_input="record 1")
        else:
            await talk.tries_to_say("record 1")
        if where == "tool":
            await talk.at("b")
            talk.session.run(user_input="wait")
        await reached.wait()
        with anyio.fail_after(30):
            await talk.session.aclose()
        await talk.ended()


async def test_a_callback_that_goes_back() -> None:
    """A request from a callback counts."""
    group: TaskGroup
    asked = []

    async def tell(event: TaskCompletedEvent) -> None:
        if event.task_id == "b" and not asked:
            asked.append(1)
            group.go_back("a")

    group = group_of("a", "b", "c", on_task_completed=tell)
    async with conversation(lambda: group) as talk:
        for name in "abac":
            await talk.at(name)
            await talk.say(f"record {name}{len(asked)}")
        result = await talk.outcome()
    assert result.task_results == {"a": "a1", "b": "b0", "c": "c1"}


async def test_retaking_a_nested_group() -> None:
    """`go_back("inner")` while it is under way begins it anew."""
    group = group_of("a").add(lambda: group_of("b", "c"), id="inner", description="inner")
    async with conversation(lambda: group) as talk:
        await talk.say("record 1")
        await talk.at("b")
        await talk.say("record 2")
        await talk.at("c")
        group.go_back("inner")
        await anyio.sleep(1)
        assert talk.floor == "b"


async def test_a_tool_of_the_step_with_a_name_of_ours() -> None:
    """A tool `skip` of the step's own doesn't take away that the step is optional."""

    class Own(Ask):
        @function_tool
        async def skip(self) -> str:
            """Skip a song."""
            return "skipped"

    group = TaskGroup(summarize_chat_ctx=False)
    group.step(lambda: Own("a"), id="a", description="a", optional=True)
    async with conversation(lambda: group) as talk:
        tools = [tool.id for tool in talk.session.current_agent.tools]
        assert len([t for t in tools if "skip" in t]) == 2, tools
        await talk.say("record 1")
        await talk.outcome()


async def test_a_turn_that_livekit_drafts_is_answered_once() -> None:
    """A preemptive generation that is given up isn't a turn of the user."""
    began, release, wait = slow_after("a")
    group = group_of("a", on_task_completed=wait).add(lambda: Ask("b"), id="b", description="b")
    async with conversation(lambda: group) as talk:
        first = talk.session.run(user_input="record 1")
        await began.wait()
        draft = group.chat_ctx.copy()
        draft.add_message(role="user", content="record no")
        from livekit.agents import ModelSettings

        assert talk.session.current_agent is group
        _ = await group.llm_node(draft, [], ModelSettings())
        await talk.session.generate_reply(user_input="record no, wait, 2")
        release.set()
        await first
        result = await talk.outcome()
    assert result.task_results["b"] == "no, wait, 2"


async def test_two_turns_during_a_slow_callback_are_both_answered() -> None:
    """The first is the next step's; if it ends that, the second is the step's behind it."""
    began, release, wait = slow_after("a")
    group = group_of("a", "b", "c", on_task_completed=wait)
    async with conversation(lambda: group) as talk:
        first = talk.session.run(user_input="record 1")
        await began.wait()
        await talk.session.generate_reply(user_input="record 2")
        await talk.session.generate_reply(user_input="record 3")
        release.set()
        await first
        result = await talk.outcome()
    assert result.task_results == {"a": "1", "b": "2", "c": "3"}


async def test_an_answer_of_the_model_has_the_type_of_the_step() -> None:
    """Where the type isn't known, the model can't answer, or the author is told."""

    @dataclass
    class Plan:
        name: str

    class GetPlan(AgentTask[Plan]):
        def __init__(self) -> None:
            super().__init__(instructions="ask for the plan")

    def script(turn: Turn) -> Reply:
        if turn.said == "basic":
            return Call("answer", {"step": "plan", "value": {"name": "basic"}})
        return obedient(turn)

    group = TaskGroup(summarize_chat_ctx=False)
    try:
        plan = group.step(lambda: GetPlan(), id="plan", description="plan", model_may_answer=True)  # noqa: PLW0108
    except FlowError:
        return
    async with conversation(lambda: group, script) as talk:
        await talk.say("basic")
        try:
            result = await talk.outcome()
        except FlowError:
            return
    assert isinstance(result[plan], Plan)


async def test_a_failed_step_of_an_interrupted_nested_group_stays_failed() -> None:
    """What went wrong is still in the nested group's exceptions, and isn't done again."""
    visits = []

    async def fail(_: Visit[None]) -> str:
        visits.append(1)
        raise ZeroDivisionError

    def inner() -> TaskGroup:
        made = TaskGroup(summarize_chat_ctx=False, return_exceptions=True)
        made.step(fail, id="b", description="b")
        return made.add(lambda: Ask("c"), id="c", description="c")

    group = group_of("a").add(inner, id="inner", description="inner")
    async with conversation(lambda: group) as talk:
        await talk.say("record 1")
        await talk.at("c")
        await talk.say("back a")
        await talk.at("a")
        await talk.say("record 3")
        await talk.at("c")
        await talk.say("record 4")
        await talk.outcome()
    assert len(visits) == 1


@pytest.mark.parametrize("how", ["update_agent", "anyio", "cancel"])
@pytest.mark.parametrize("phase", ["callback", "function", "summary", "nested"])
async def test_every_ending_in_every_phase(phase: str, how: str) -> None:
    """The group ends at once, with a clear error."""
    from livekit.agents import Agent

    reached, scopes, groups = asyncio.Event(), [], []

    async def wait(_: object) -> str:
        reached.set()
        await anyio.sleep(10_000)
        return ""

    async def slow_summary() -> None:
        await wait(None)

    class Model(llm.LLM):
        """Never answers."""

    def make() -> TaskGroup:
        group = group_of("a", on_task_completed=wait if phase == "callback" else None)
        if phase == "function":
            group.step(wait, id="b", description="b")
        if phase == "nested":
            group.add(lambda: group_of("x"), id="b", description="b")
        if phase == "summary":
            group = group_of("a", summarize_chat_ctx=True)
        groups.append(group)
        return group

    async def go() -> object:
        with anyio.fail_after(100_000) as scope:
            scopes.append(scope)
            return await make()

    class Stream(_TalkStream):
        async def _run(self) -> None:
            await wait(None)

    async with conversation(go) as talk:
        if phase == "summary":
            plain = talk.model.chat

            def chat(**options: object) -> llm.LLMStream:
                if "Summarize" in str(options["chat_ctx"].items[0].content):
                    from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS as conn

                    ctx = options["chat_ctx"]
                    return Stream(talk.model, chat_ctx=ctx, tools=[], conn_options=conn)
                return plain(**options)

            talk.model.chat = chat
        talk.session.run(user_input="record 1")
        if phase == "nested":
            await talk.at("x")
        else:
            await reached.wait()
        if how == "update_agent":
            talk.session.update_agent(Agent(instructions="other"))
        elif how == "cancel":
            groups[0].cancel()
        else:
            scopes[0].deadline = anyio.current_time()
        with anyio.fail_after(20), pytest.raises((GroupStoppedError, TimeoutError)) as raised:
            await asyncio.shield(talk.parent.outcome)
        assert talk.parent.outcome.done(), raised.value


@pytest.mark.parametrize("how", ["instructions", "plain"])
async def test_a_reply_in_a_callback_isnt_a_turn_of_the_user(how: str) -> None:
    """What the user said to the step before isn't said to the next one once more."""
    talks = []

    async def thank(event: TaskCompletedEvent) -> None:
        if event.task_id == "a":
            if how == "instructions":
                await talks[0].session.generate_reply(instructions="Thank the user.")
            else:
                await talks[0].session.generate_reply()

    group = group_of("a", "b", "c", on_task_completed=thank)
    async with conversation(lambda: group) as talk:
        talks.append(talk)
        await talk.say("record 1")
        await talk.at("b")
        await talk.say("record 2")
        await anyio.sleep(1)
        assert "2" not in talk.floor
        run = group.prepared()
        answers = {step.id: run.results[step] for step in run.results}
        assert answers == {"a": "1", "b": "2"}
