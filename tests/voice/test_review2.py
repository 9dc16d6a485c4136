"""Second review: what breaks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import anyio
import pytest
from livekit.agents import Agent, AgentTask, RunContext, function_tool, llm

from reflow import FlowError, Visit
from reflow.livekit import TaskCompletedEvent, TaskGroup, run_task
from sessions import Ask, Call, Reply, Turn, conversation, obedient

pytestmark = pytest.mark.anyio


def group_of(*names: str, **options: object) -> TaskGroup:
    group = TaskGroup(**{"summarize_chat_ctx": False, **options})
    for name in names:
        group.add(lambda name=name: Ask(name), id=name, description=f"the {name}")
    return group


def slow_after(step: str):
    began, release = asyncio.Event(), asyncio.Event()

    async def wait(event: TaskCompletedEvent) -> None:
        if event.task_id == step:
            began.set()
            await release.wait()

    return began, release, wait


def texts(ctx) -> str:
    return str([i.model_dump() for i in ctx.items])


# A. sensitive


async def test_a_an_own_tool_answer_and_a_sensitive_answer() -> None:
    """The group's tool is named answer_in_group then; its call is left out as well."""

    class Own(Ask):
        @function_tool
        async def answer(self, text: str) -> str:
            """Answer the phone."""
            return "ok"

    class Card(AgentTask[str]):
        def __init__(self) -> None:
            super().__init__(instructions="ask for the card")

        @function_tool
        async def record(self, value: str) -> None:
            """Record."""
            self.complete(value)

    def script(turn: Turn) -> Reply:
        if turn.said == "my card":
            name = next(t for t in turn.tools if t.startswith("answer_"))
            return Call(name, {"step": "card", "value": "4242"})
        return obedient(turn)

    group = TaskGroup(summarize_chat_ctx=False)
    group.add(lambda: Own("a"), id="a", description="a")
    card = group.step(Card, id="card", description="card", sensitive=True, model_may_answer=True)
    group.add(lambda: Ask("c"), id="c", description="c")
    async with conversation(lambda: group, script) as talk:
        await talk.say("my card")
        await talk.say("record 1")
        await talk.at("c")
        assert "4242" not in texts(talk.session.current_agent.chat_ctx)
        await talk.say("record 3")
        result = await talk.outcome()
        assert result[card] == "4242"
        assert "4242" not in texts(group.chat_ctx)


async def test_a_odd_step_in_answer() -> None:
    """A model that gives a list where an id belongs is told so; nothing else happens."""

    class Own(Ask):
        @function_tool
        async def answer(self, step: list[str]) -> str:
            """Answer."""
            return "ok"

    async with conversation(
        lambda: (
            group_of("a", "b")
            .add(lambda: Own("c"), id="c", description="c")
            .add(lambda: Ask("d"), id="d", description="d")
        )
    ) as talk:
        await talk.say("record 1")
        await talk.say("record 2")
        await talk.at("c")
        await talk.say('answer {"step":["x"]}')
        await talk.say("record 3")
        await talk.at("d")
        await talk.say("record 4")
        result = await talk.outcome()
        assert result.task_results["d"] == "4"


async def test_a_odd_step_in_the_groups_answer() -> None:
    """The same, of the group's own tool."""

    class Card(AgentTask[str]):
        def __init__(self) -> None:
            super().__init__(instructions="ask for the card")

        @function_tool
        async def record(self, value: str) -> None:
            """Record."""
            self.complete(value)

    def script(turn: Turn) -> Reply:
        if turn.said == "my card":
            return Call("answer", {"step": ["card"], "value": "4242"})
        return obedient(turn)

    group = group_of("a")
    group.step(Card, id="card", description="card", sensitive=True, model_may_answer=True)
    async with conversation(lambda: group, script) as talk:
        await talk.say("my card")
        await talk.say("record 1")
        await talk.until_asked("card") if False else None
        await anyio.sleep(1)
        await talk.say("record 2")
        result = await talk.outcome()
        assert result.task_results["card"] == "2"
        assert "4242" not in texts(group.chat_ctx)


async def test_a_say_in_a_sensitive_function() -> None:
    """What a sensitive step says by session.say, or lets say, is not in the group's context."""
    talks = []

    async def card(_: Visit[None]) -> str:
        value = await run_task(Ask("card"))
        speech = talks[0].session.generate_reply(instructions="confirm the card")
        await speech
        return value

    def script(turn: Turn) -> Reply:
        if any("confirm the card" in t for t in turn.texts):
            return "it is 4242"
        return obedient(turn)

    group = group_of("a")
    group.step(card, id="card", description="card", sensitive=True)
    group.add(lambda: Ask("c"), id="c", description="c")
    async with conversation(lambda: group, script) as talk:
        talks.append(talk)
        await talk.say("record 1")
        await talk.at("card")
        await talk.say("record 4242")
        await talk.at("c")
        assert "4242" not in texts(talk.session.current_agent.chat_ctx)
        assert "4242" not in texts(group.chat_ctx)


async def test_a_event_repr() -> None:
    """No text has the value of a sensitive step: the event's repr neither."""
    seen = []

    async def tell(event: TaskCompletedEvent) -> None:
        seen.append(repr(event))

    group = group_of("a", on_task_completed=tell)
    group.step(lambda: Ask("card"), id="card", description="card", sensitive=True)
    async with conversation(lambda: group) as talk:
        await talk.say("record 1")
        await talk.at("card")
        await talk.say("record 4242")
        await talk.outcome()
    assert "4242" not in str(seen)


# B. nested groups


async def test_b_a_factory_that_answers_before() -> None:
    """What the caller changed isn't overwritten by the default of the factory."""
    made = []

    def inner() -> TaskGroup:
        g = group_of("zip", "street")
        g.prepared().answer("zip", "default")
        made.append(g)
        return g

    group = group_of("a").add(inner, id="inner", description="inner")
    async with conversation(lambda: group) as talk:
        await talk.say("record 1")
        await talk.at("street")
        try:
            await talk.say("back zip")
            await talk.at("zip")
        except TimeoutError:
            pytest.skip("not offered")
        await talk.say("record mine")
        await talk.at("street")
        await talk.say("back a")
        await talk.at("a")
        await talk.say("record 2")
        await talk.at("street")
        await talk.say("record 3")
        result = await talk.outcome()
        assert result.task_results["inner"].task_results == {"zip": "mine", "street": "3"}


async def test_b_requests_across_levels() -> None:
    """Of an inner and an outer step, both are asked again."""
    group = group_of("a").add(lambda: group_of("b", "c"), id="inner", description="inner")
    async with conversation(lambda: group) as talk:
        await talk.say("record 1")
        await talk.at("b")
        await talk.say("record 2")
        await talk.at("c")
        await talk.say("back b a")
        await talk.at("a")
        await talk.say("record 11")
        await talk.at("b")
        await talk.say("record 22")
        await talk.at("c")
        await talk.say("record 3")
        result = await talk.outcome()
        assert result.task_results["inner"].task_results == {"b": "22", "c": "3"}
        assert result.task_results["a"] == "11"


async def test_b_interrupted_as_it_begins() -> None:
    """An outer request in the very moment the inner run begins."""
    group = group_of("a")
    asked = []

    def observe(event: object) -> None:
        if not asked:
            asked.append(event)
            group.go_back("a")

    group.add(lambda: group_of("b", "c", observers=[observe]), id="inner", description="inner")
    async with conversation(lambda: group) as talk:
        await talk.say("record 1")
        await talk.at("a")
        await talk.say("record 2")
        await talk.at("b")
        await talk.say("record 3")
        await talk.at("c")
        await talk.say("record 4")
        result = await talk.outcome()
        assert result.task_results["inner"].task_results == {"b": "3", "c": "4"}


async def test_b_interrupted_in_prepare() -> None:
    """The same as the inner run is prepared (a factory that is slow; on_enter)."""
    group = group_of("a")
    asked = []

    class Inner(TaskGroup):
        async def on_enter(self) -> None:
            if not asked:
                asked.append(1)
                group.go_back("a")
                for _ in range(3):
                    await asyncio.sleep(0)
            await super().on_enter()

    def inner() -> TaskGroup:
        g = Inner(summarize_chat_ctx=False)
        g.add(lambda: Ask("b"), id="b", description="b")
        return g.add(lambda: Ask("c"), id="c", description="c")

    group.add(inner, id="inner", description="inner")
    async with conversation(lambda: group) as talk:
        await talk.say("record 1")
        await talk.at("a")
        await talk.say("record 2")
        await talk.at("b")
        await talk.say("record 3")
        await talk.at("c")
        await talk.say("record 4")
        result = await talk.outcome()
        assert result.task_results["inner"].task_results == {"b": "3", "c": "4"}


async def test_b_later_step_does_not_forget_always_ask() -> None:
    """A confirmation that is a group, interrupted for a later step, goes on where it was."""
    group = group_of("a")
    group.step(lambda: group_of("b", "c"), id="inner", description="inner", always_ask=True)
    group.add(lambda: Ask("z"), id="z", description="z")
    group.add(lambda: Ask("zz"), id="zz", description="zz")
    async with conversation(lambda: group) as talk:
        for name in "abc":
            await talk.at(name)
            await talk.say(f"record {name}")
        await talk.at("z")
        await talk.say("record z")
        await talk.at("zz")
        await talk.say("back inner")
        await talk.at("b")
        await talk.say("record b2")
        await talk.at("c")
        await talk.say("back z")
        await talk.at("z")
        await talk.say("record z2")
        await anyio.sleep(1)
        assert talk.floor == "c"


async def test_b_completed_by_hand_isnt_asked_again() -> None:
    """A nested group that was completed from outside is complete."""
    made = []

    async def two(_: Visit[None]) -> str:
        g = group_of("b")
        made.append(g)
        await run_task(g)
        await run_task(group_of("c"))
        return "x"

    group = group_of("a")
    group.step(two, id="two", description="two")
    async with conversation(lambda: group) as talk:
        await talk.say("record 1")
        await talk.at("b")
        inner = made[0]
        other = inner.prepared()
        from reflow.livekit._result import make_result

        inner.complete(make_result(other))
        await talk.at("c")
        await talk.say("back a")
        await talk.at("a")
        await talk.say("record 2")
        await anyio.sleep(1)
        assert talk.floor == "c"


# C. turns between steps


async def test_c_history_has_a_turn_once() -> None:
    """What the caller said once is once in the history."""
    began, release, wait = slow_after("a")
    group = group_of("a", "b", "c", on_task_completed=wait)
    async with conversation(lambda: group) as talk:
        first = talk.session.run(user_input="record 1")
        await began.wait()
        await talk.session.generate_reply(user_input="record 2")
        release.set()
        await first
        await talk.at("c")
        said = [m.text_content for m in talk.session.history.messages() if m.role == "user"]
        assert said == ["record 1", "record 2"]
        said = [m.text_content for m in group.chat_ctx.messages() if m.role == "user"]
        assert said == ["record 1", "record 2"]


async def test_c_a_step_that_ends_in_its_first_reply() -> None:
    """A step whose on_enter lets the model complete it: the turn said before isn't lost."""
    began, release, wait = slow_after("a")
    group = group_of("a", "b", "c", on_task_completed=wait)

    def script(turn: Turn) -> Reply:
        if not turn.said and "Ask for the b." in str(turn.texts):
            return Call("record", {"value": "known"})
        return obedient(turn)

    async with conversation(lambda: group, script) as talk:
        first = talk.session.run(user_input="record 1")
        await began.wait()
        await talk.session.generate_reply(user_input="record 2")
        release.set()
        await first
        with anyio.fail_after(10):
            result = await talk.outcome()
        assert result.task_results == {"a": "1", "b": "known", "c": "2"}


async def test_c_interrupt_while_heard_is_answered() -> None:
    """session.interrupt() in mid-answer: nothing hangs, the next turn counts."""
    began, release, wait = slow_after("a")
    group = group_of("a", "b", "c", on_task_completed=wait)
    talks = []

    def script(turn: Turn) -> Reply:
        if turn.said == "hello":
            talks[0].session.interrupt()
            return "hi"
        return obedient(turn)

    async with conversation(lambda: group, script) as talk:
        talks.append(talk)
        first = talk.session.run(user_input="record 1")
        await began.wait()
        await talk.session.generate_reply(user_input="hello")
        await talk.session.generate_reply(user_input="record 2")
        release.set()
        await first
        await talk.at("c")
        await talk.say("record 3")
        result = await talk.outcome()
        assert result.task_results == {"a": "1", "b": "2", "c": "3"}


# D. tools


async def test_d_a_toolset_with_a_tool_of_the_name() -> None:
    """Tools of toolsets have names as well."""

    class Own(Ask):
        def __init__(self, what: str) -> None:
            super().__init__(what)

    @function_tool
    async def out_of_scope() -> str:
        """Own."""
        return "own"

    class Set(llm.Toolset):
        pass

    def make() -> Ask:
        task = Own("b")
        task._tools.append(Set(id="mine", tools=[out_of_scope]))
        return task

    group = group_of("a").add(make, id="b", description="b")
    async with conversation(lambda: group) as talk:
        await talk.say("record 1")
        with anyio.fail_after(10):
            await talk.at("b")
        await talk.say("hello")
        turn = talk.model.turns[-1]
        assert {"out_of_scope", "out_of_scope_in_group"} <= set(turn.tools)
        await talk.say("record 2")
        with anyio.fail_after(10):
            await talk.outcome()


# E. factories


async def test_e_a_factory_that_takes_the_visit() -> None:
    """Type checkers accept it (an AgentTask is awaitable): it must work, or be refused at once."""
    group = group_of("a")
    group.step(lambda visit: Ask("b" + visit.step.id), id="b", description="b")
    async with conversation(lambda: group) as talk:
        await talk.say("record 1")
        await talk.say("record 2")
        result = await talk.outcome()
        assert result.task_results["b"] == "2"


async def test_e_a_callable_object() -> None:
    """An object with an async __call__ is an async function, too."""

    class Price:
        async def __call__(self, visit: Visit[None]) -> int:
            return 3

    group = group_of("a")
    price = group.step(Price(), id="b", description="b")
    async with conversation(lambda: group) as talk:
        await talk.say("record 1")
        result = await talk.outcome()
        assert result[price] == 3


# A, further: arguments that LiveKit repairs


@pytest.mark.parametrize("how", ["broken", "twice", "unknown"])
async def test_a_arguments_as_livekit_takes_them(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """LiveKit repairs JSON and decodes it twice; whatever is accepted is also left out."""
    import json

    import sessions

    raw = {
        "broken": '{"step": "card", "value": "4242"',
        "twice": json.dumps('{"step": "card", "value": "4242"}'),
        "unknown": '{"step": "the card", "value": "4242"}',
    }[how]

    class Raw:
        @staticmethod
        def dumps(value: dict[str, object]) -> str:
            return str(value["raw"]) if "raw" in value else json.dumps(value)

        loads = staticmethod(json.loads)

    monkeypatch.setattr(sessions, "json", Raw)

    class Card(AgentTask[str]):
        def __init__(self) -> None:
            super().__init__(instructions="ask for the card")

        @function_tool
        async def record(self, value: str) -> None:
            """Record."""
            self.complete(value)

    def script(turn: Turn) -> Reply:
        if turn.said == "my card":
            return Call("answer", {"raw": raw})
        return obedient(turn)

    group = group_of("a")
    card = group.step(Card, id="card", description="card", sensitive=True, model_may_answer=True)
    group.add(lambda: Ask("c"), id="c", description="c")
    async with conversation(lambda: group, script) as talk:
        await talk.say("my card")
        await talk.say("record 1")
        if how == "unknown":
            await anyio.sleep(1)
            await talk.say("record 4242")
        await talk.at("c")
        assert group.prepared().results[card] == "4242"
        assert "4242" not in texts(talk.session.current_agent.chat_ctx)


async def test_b_three_levels() -> None:
    """Going to the outermost and back keeps what was answered on every level."""

    def middle() -> TaskGroup:
        return group_of("b").add(lambda: group_of("c", "d"), id="in", description="in")

    group = group_of("a").add(middle, id="mid", description="mid")
    async with conversation(lambda: group) as talk:
        for name in "abc":
            await talk.at(name)
            await talk.say(f"record {name}")
        await talk.at("d")
        for n in range(3):
            await talk.say("back a")
            await talk.at("a")
            await talk.say(f"record a{n}")
            await talk.at("d")
        await talk.say("back b")
        await talk.at("b")
        await talk.say("back a")
        await talk.at("a")
        await talk.say("record a9")
        await talk.at("b")
        await talk.say("record b9")
        await talk.at("d")
        await talk.say("back c b a")
        await talk.at("a")
        await talk.say("record a10")
        await talk.at("b")
        await talk.say("record b10")
        await talk.at("c")
        await talk.say("record c10")
        await talk.at("d")
        await talk.say("record d")
        result = (await talk.outcome()).task_results
        assert result["a"] == "a10"
        assert result["mid"].task_results["b"] == "b10"
        assert result["mid"].task_results["in"].task_results == {"c": "c10", "d": "d"}


async def test_b_same_names_on_levels() -> None:
    """outer.x is another step than x."""
    group = group_of("a", "x").add(lambda: group_of("x", "y"), id="in", description="in")
    async with conversation(lambda: group) as talk:
        for name in "axx":
            await talk.at(name)
            await talk.say(f"record {name}")
        await talk.at("y")
        await talk.say("back outer.x x")
        await talk.at("x")
        await talk.say("record outer")
        await talk.at("x")
        await talk.say("record inner")
        await talk.at("y")
        await talk.say("record y")
        result = (await talk.outcome()).task_results
        assert result["x"] == "outer"
        assert result["in"].task_results["x"] == "inner"


# F. complete


@pytest.mark.parametrize("where", ["tool", "callback", "function", "nested", "on_enter"])
async def test_f_complete_from_inside(where: str) -> None:
    """complete() from anywhere ends the group with that, and only once."""
    groups = []

    def end() -> None:
        groups[0].complete(ValueError("mine"))

    class Own(Ask):
        @function_tool
        async def finish(self) -> str:
            """Finish."""
            end()
            return "x"

        async def on_enter(self) -> None:
            if where == "on_enter":
                end()
            await super().on_enter()

    async def tell(event: TaskCompletedEvent) -> None:
        if where == "callback":
            end()

    async def function(_: Visit[None]) -> str:
        end()
        return "x"

    def make() -> TaskGroup:
        group = group_of("a", on_task_completed=tell)
        if where == "function":
            group.step(function, id="f", description="f")
        if where == "nested":
            inner = TaskGroup(summarize_chat_ctx=False)
            group.add(
                lambda: inner.add(lambda: Own("b"), id="b", description="b"),
                id="i",
                description="i",
            )
        else:
            group.add(lambda: Own("b"), id="b", description="b")
        groups.append(group)
        return group

    async with conversation(make) as talk:
        await talk.tries_to_say("record 1")
        if where in {"tool", "nested"}:
            await talk.at("b")
            await talk.tries_to_say("finish {}")
        with anyio.fail_after(10), pytest.raises(ValueError, match="mine"):
            await talk.outcome()
        await talk.session.wait_for_idle()
        assert talk.session.current_agent is talk.parent


# G. steps of all sorts


async def test_g_update_chat_ctx_by_the_step() -> None:
    """A step that cuts its context doesn't double what the group has."""

    class Cuts(Ask):
        async def on_enter(self) -> None:
            ctx = self.chat_ctx.copy()
            ctx.truncate(max_items=1)
            await self.update_chat_ctx(ctx)
            await super().on_enter()

    group = group_of("a", "b")
    group.add(lambda: Cuts("c"), id="c", description="c").add(
        lambda: Ask("d"), id="d", description="d"
    )
    async with conversation(lambda: group) as talk:
        await talk.say("record 1")
        await talk.at("b")
        await talk.say("look_up")
        await talk.say("record 2")
        await talk.at("c")
        await talk.say("look_up")
        await talk.say("record 3")
        await talk.at("d")
        items = talk.session.current_agent.chat_ctx.items
        assert len({i.id for i in items}) == len(items)
        calls = [i.call_id for i in group.chat_ctx.items if i.type == "function_call"]
        assert len(calls) == len(set(calls))
        said = [m.text_content for m in group.chat_ctx.messages() if m.role == "user"]
        assert said == ["record 1", "look_up", "record 2", "look_up", "record 3"]


@pytest.mark.parametrize("keeps", [False, True])
async def test_g_preserve_function_call_history(keeps: bool) -> None:
    """Calls are in the group's history once, whatever the step says of its own."""

    class Keeps(Ask):
        def __init__(self, what: str) -> None:
            super().__init__(what)
            self._preserve_function_call_history = keeps

    group = TaskGroup(summarize_chat_ctx=False)
    for name in "abc":
        group.add(lambda name=name: Keeps(name), id=name, description=name)
    async with conversation(lambda: group) as talk:
        for name in "abc":
            await talk.at(name)
            await talk.say("look_up")
            await talk.say(f"record {name}")
        await talk.outcome()
        calls = [i.call_id for i in group.chat_ctx.items if i.type == "function_call"]
        assert len(calls) == len(set(calls)) == 6
        outs = [i.call_id for i in group.chat_ctx.items if i.type == "function_call_output"]
        assert sorted(outs) == sorted(calls)


async def test_g_chat_ctx_with_instructions() -> None:
    """Instructions and handoffs of others that come with chat_ctx don't reach the steps as theirs."""
    ctx = llm.ChatContext.empty()
    ctx.add_message(role="system", content="You are a pirate.")
    ctx.items.append(llm.AgentHandoff(old_agent_id="x", new_agent_id="y"))
    ctx.add_message(role="user", content="hello there")
    group = group_of("a", "b", chat_ctx=ctx)
    async with conversation(lambda: group) as talk:
        await talk.say("record 1")
        await talk.say("record 2")
        await talk.outcome()
        assert "hello there" in talk.model.turns[0].texts


@pytest.mark.parametrize("where", ["on_enter", "on_exit"])
async def test_g_hooks_that_raise(where: str) -> None:
    """As without a group: logged, and the task goes on."""

    class Bad(Ask):
        async def on_enter(self) -> None:
            await super().on_enter()
            if where == "on_enter":
                raise ValueError("bad")

        async def on_exit(self) -> None:
            if where == "on_exit":
                raise ValueError("bad")

    group = group_of("a")
    group.add(lambda: Bad("b"), id="b", description="b").add(
        lambda: Ask("c"), id="c", description="c"
    )
    async with conversation(lambda: group) as talk:
        for name in "abc":
            await talk.at(name)
            await talk.tries_to_say(f"record {name}")
        result = await talk.outcome()
        assert result.task_results == {"a": "a", "b": "b", "c": "c"}


async def test_g_update_tools_by_the_step() -> None:
    """A step that replaces its tools in on_enter: what natively happens, too."""

    class Own(Ask):
        async def on_enter(self) -> None:
            await self.update_tools([t for t in self.tools if t.id != "look_up"])
            await super().on_enter()

    group = group_of("a").add(lambda: Own("b"), id="b", description="b")
    async with conversation(lambda: group) as talk:
        await talk.say("record 1")
        await talk.at("b")
        await talk.say("back a")
        await talk.at("a")
        await talk.say("record 3")
        await talk.at("b")
        await talk.say("record 2")
        await talk.outcome()


async def test_g_a_tool_that_hands_off() -> None:
    """A tool that returns another Agent: the group ends, that agent goes on."""
    from reflow.livekit import GroupStoppedError

    class Own(Ask):
        @function_tool
        async def human(self) -> Agent:
            """Hand over."""
            return Agent(instructions="another")

    group = group_of("a").add(lambda: Own("b"), id="b", description="b")
    async with conversation(lambda: group) as talk:
        await talk.say("record 1")
        await talk.at("b")
        await talk.tries_to_say("human")
        with anyio.fail_after(10), pytest.raises(GroupStoppedError):
            await talk.outcome()
        assert talk.session.current_agent.instructions == "another"
        await talk.say("hello")
        assert talk.model.turns[-1].instructions == "another"


async def test_g_own_model() -> None:
    """Per-agent models stay."""
    from sessions import ScriptedModel

    mine = ScriptedModel(obedient)

    class Own(Ask):
        def __init__(self, what: str) -> None:
            super().__init__(what)
            self._llm = mine

    group = group_of("a").add(lambda: Own("b"), id="b", description="b")
    async with conversation(lambda: group) as talk:
        await talk.say("record 1")
        await anyio.sleep(1)
        await talk.say("back a")
        await talk.at("a")
        await talk.say("record 2")
        await anyio.sleep(1)
        await talk.say("record 3")
        await talk.outcome()
        assert len(mine.turns) >= 3


async def test_g_no_interruptions_and_a_request() -> None:
    """A tool that disallows interruptions beside a request: nothing hangs, both count."""

    class Own(Ask):
        @function_tool
        async def pay(self, context: RunContext) -> str:
            """Pay."""
            context.disallow_interruptions()
            await asyncio.sleep(0.1)
            return "paid"

    group = group_of("a").add(lambda: Own("b"), id="b", description="b")
    async with conversation(lambda: group) as talk:
        await talk.say("record 1")
        await talk.at("b")
        await talk.say("pay and back a")
        await talk.at("a")
        await talk.say("record 2")
        await talk.at("b")
        assert "paid" in texts(group.chat_ctx)
        await talk.say("record 3")
        await talk.outcome()


async def test_g_run_task_in_on_enter() -> None:
    """A clear error there; the step can still be done."""
    raised = []

    class Outer(Ask):
        async def on_enter(self) -> None:
            await super().on_enter()
            try:
                await run_task(Ask("inner"))
            except FlowError as error:
                raised.append(str(error))

    group = group_of("a").add(lambda: Outer("b"), id="b", description="b")
    async with conversation(lambda: group) as talk:
        await talk.say("record 1")
        await talk.at("b")
        await talk.say("record 2")
        assert (await talk.outcome()).task_results == {"a": "1", "b": "2"}
    assert "run_task in step 'b'" in raised[0]


# I. more


async def test_i_heard_before_a_sensitive_step() -> None:
    """What a sensitive step was answered with, said as it began, is its own."""
    began, release, wait = slow_after("a")
    group = group_of("a", on_task_completed=wait)
    group.step(lambda: Ask("card"), id="card", description="card", sensitive=True)
    group.add(lambda: Ask("c"), id="c", description="c")
    async with conversation(lambda: group) as talk:
        first = talk.session.run(user_input="record 1")
        await began.wait()
        await talk.session.generate_reply(user_input="record 4242")
        release.set()
        await first
        await talk.at("c")
        assert "4242" not in texts(talk.session.current_agent.chat_ctx)
        assert "4242" not in texts(group.chat_ctx)


async def test_i_callback_after_a_sensitive_step() -> None:
    """What is said in the callback of a sensitive step (a turn of the user) is kept."""
    began, release, wait = slow_after("card")
    group = group_of(on_task_completed=wait)
    group.step(lambda: Ask("card"), id="card", description="card", sensitive=True)
    group.add(lambda: Ask("c"), id="c", description="c").add(
        lambda: Ask("d"), id="d", description="d"
    )
    async with conversation(lambda: group) as talk:
        first = talk.session.run(user_input="record 4242")
        await began.wait()
        await talk.session.generate_reply(user_input="record 3")
        release.set()
        await first
        await talk.at("d")
        assert "4242" not in texts(group.chat_ctx)
        assert "record 3" in texts(group.chat_ctx)


async def test_i_heard_turns_keep_their_order() -> None:
    """In the next step's context each turn comes with its answer, in order, after all else."""
    began, release, wait = slow_after("a")
    group = group_of("a", "b", "c", on_task_completed=wait)
    async with conversation(lambda: group) as talk:
        first = talk.session.run(user_input="record 1")
        await began.wait()
        await talk.session.generate_reply(user_input="hello")
        await talk.session.generate_reply(user_input="you there")
        release.set()
        await first
        await talk.at("b")
        await talk.session.wait_for_idle()
        await anyio.sleep(1)
        said = [(m.role, m.text_content) for m in talk.session.current_agent.chat_ctx.messages()]
        assert [t for r, t in said if r == "user"] == ["record 1", "hello", "you there"]
        answered = [t.said for t in talk.model.turns if t.instructions == "ask for the b"]
        assert answered == ["", "hello", "you there"]
        await talk.say("record 2")
        await talk.at("c")
        said = [m.text_content for m in group.chat_ctx.messages() if m.role == "user"]
        assert said == ["record 1", "hello", "you there", "record 2"]
        assert len({i.id for i in group.chat_ctx.items}) == len(group.chat_ctx.items)


async def test_i_heard_by_a_step_that_is_left_at_once() -> None:
    """A heard turn that goes back: the turn behind it is answered there."""
    began, release, wait = slow_after("b")
    group = group_of("a", "b", "c", on_task_completed=wait)
    async with conversation(lambda: group) as talk:
        await talk.say("record 1")
        await talk.at("b")
        first = talk.session.run(user_input="record 2")
        await began.wait()
        await talk.session.generate_reply(user_input="back a")
        await talk.session.generate_reply(user_input="record 11")
        release.set()
        await first
        await anyio.sleep(1)
        await talk.at("c")
        await talk.say("record 3")
        result = await talk.outcome()
        assert result.task_results == {"a": "11", "b": "2", "c": "3"}


async def test_i_slow_function_between() -> None:
    """A turn during a plain function that takes long is the next step's."""
    began, release = asyncio.Event(), asyncio.Event()

    async def price(_: Visit[None]) -> int:
        began.set()
        await release.wait()
        return 1

    group = group_of("a")
    group.step(price, id="p", description="p")
    group.add(lambda: Ask("c"), id="c", description="c")
    async with conversation(lambda: group) as talk:
        first = talk.session.run(user_input="record 1")
        await began.wait()
        await talk.session.generate_reply(user_input="record 3")
        release.set()
        await first
        result = await talk.outcome()
        assert result.task_results["c"] == "3"


async def test_i_function_speaks_and_is_interrupted() -> None:
    """session.say and generate_reply in a plain function: interrupted by go_back, nothing hangs."""
    talks = []
    group = group_of("a")

    async def speaks(_: Visit[None]) -> str:
        await talks[0].session.generate_reply(instructions="say something")
        if len(talks) == 1:
            talks.append(1)
            group.go_back("a")
            await anyio.sleep(100)
        return "x"

    group.step(speaks, id="s", description="s")
    async with conversation(lambda: group) as talk:
        talks.append(talk)
        await talk.say("record 1")
        await talk.at("a")
        await talk.say("record 2")
        result = await talk.outcome()
        assert result.task_results == {"a": "2", "s": "x"}


async def test_i_a_native_group_as_a_step() -> None:
    """LiveKit's own group as a step: its tools are there, ours as well; the result is typed."""
    from livekit.agents.beta.workflows import TaskGroup as Native

    def native() -> Native:
        made = Native(summarize_chat_ctx=False)
        for name in "bc":
            made.add(lambda name=name: Ask(name), id=name, description=name)
        return made

    group = (
        group_of("a")
        .add(native, id="n", description="n")
        .add(lambda: Ask("d"), id="d", description="d")
    )
    async with conversation(lambda: group) as talk:
        await talk.say("record 1")
        await talk.at("b")
        await talk.say("record 2")
        await talk.at("c")
        names = set(talk.model.turns[-1].tools)
        await talk.say("hello")
        assert "out_of_scope" in talk.model.turns[-1].tools
        assert "out_of_scope_in_group" in talk.model.turns[-1].tools, names
        await talk.say("record 3")
        await talk.at("d")


async def test_i_ours_in_a_native_group() -> None:
    """Our group as a step of LiveKit's own."""
    from livekit.agents.beta.workflows import TaskGroup as Native

    def native() -> Native:
        made = Native(summarize_chat_ctx=False)
        made.add(lambda: Ask("a"), id="a", description="a")
        made.add(lambda: group_of("b", "c"), id="in", description="in")
        return made

    async with conversation(native) as talk:
        await talk.say("record 1")
        await talk.at("b")
        await talk.say("record 2")
        await talk.at("c")
        await talk.say("back b")
        await talk.at("b")
        await talk.say("record 22")
        await talk.at("c")
        await talk.say("record 3")
        result = await talk.outcome()
        assert result.task_results["in"].task_results == {"b": "22", "c": "3"}


async def test_i_native_complete_from_our_tools() -> None:
    """A task whose class overrides cancel, complete or chat_ctx."""

    class Own(Ask):
        def complete(self, result: str | Exception) -> None:
            super().complete(result.upper() if isinstance(result, str) else result)

    group = group_of("a").add(lambda: Own("b"), id="b", description="b")
    async with conversation(lambda: group) as talk:
        await talk.say("record 1")
        await talk.at("b")
        await talk.say("back a")
        await talk.at("a")
        await talk.say("record 2")
        await talk.at("b")
        await talk.say("record x")
        assert (await talk.outcome()).task_results["b"] == "X"


async def test_i_toolset_that_is_set_up() -> None:
    """A toolset of a step with setup and aclose is set up once, closed once."""
    log = []

    class Set(llm.Toolset):
        async def setup(self) -> "Set":
            log.append("setup")
            await super().setup()
            return self

        async def aclose(self) -> None:
            log.append("aclose")
            await super().aclose()

    @function_tool
    async def sing() -> str:
        """Sing."""
        return "la"

    def make() -> Ask:
        task = Ask("b")
        task._tools.append(Set(id="mine", tools=[sing]))
        return task

    group = group_of("a").add(make, id="b", description="b")
    async with conversation(lambda: group) as talk:
        await talk.say("record 1")
        await talk.at("b")
        await talk.say("sing")
        assert "la" in texts(group.chat_ctx) or "la" in texts(talk.session.current_agent.chat_ctx)
        await talk.say("record 2")
        await talk.outcome()
        assert log in (["setup", "aclose"], ["setup"]), log


# J. more of nested groups, and of drop-in


@pytest.mark.parametrize("asked", ["answer", "jump_ahead", "skip"])
async def test_j_a_factory_that_prepares_and_a_point_of_no_return(asked: str) -> None:
    """What a factory asks for before each visit isn't asked of a run that goes on."""

    def inner() -> TaskGroup:
        g = TaskGroup(summarize_chat_ctx=False)
        g.step(lambda: Ask("zip"), id="zip", description="zip", optional=True)
        g.step(lambda: Ask("pay"), id="pay", description="pay", point_of_no_return=True)
        g.step(lambda: Ask("street"), id="street", description="street")
        run = g.prepared()
        if asked == "answer":
            run.answer("zip", "default")
        elif asked == "skip":
            run.skip("zip")
        else:
            run.jump_ahead("pay")
        return g

    group = group_of("a").add(inner, id="inner", description="inner")
    async with conversation(lambda: group) as talk:
        await talk.say("record 1")
        await talk.at("pay")
        await talk.say("record paid")
        if asked == "jump_ahead":
            await talk.at("zip") if talk.floor == "zip" else None
        await anyio.sleep(1)
        if talk.floor == "zip":
            await talk.say("record z")
        await talk.at("street")
        await talk.say("back a")
        await talk.at("a")
        await talk.say("record 2")
        await talk.at("street")
        await talk.say("record 3")
        result = await talk.outcome()
        assert result.task_results["inner"].task_results["street"] == "3"


@pytest.mark.parametrize("native", [True, False])
async def test_j_a_task_that_is_done_when_made(native: bool) -> None:
    """A factory that knows the answer gives a task that is complete: it counts."""
    from livekit.agents.beta.workflows import TaskGroup as Native

    def make() -> Ask:
        task = Ask("b")
        task.complete("known")
        return task

    kind = Native if native else TaskGroup
    group = kind(summarize_chat_ctx=False)
    for name in "ac":
        group.add(lambda name=name: Ask(name), id=name, description=name)
        if name == "a":
            group.add(make, id="b", description="b")
    async with conversation(lambda: group) as talk:
        await talk.say("record 1")
        await anyio.sleep(1)
        await talk.tries_to_say("record 3")
        with anyio.fail_after(10):
            result = await talk.outcome()
        assert result.task_results["b"] == "known"


async def test_j_two_groups_in_tools_of_the_parent() -> None:
    """One after the other; the first one's tools name the first one's steps only."""

    class Two(Agent):
        def __init__(self) -> None:
            super().__init__(instructions="parent")
            self.results: list[object] = []

        @function_tool
        async def one(self) -> str:
            """One."""
            self.results.append((await group_of("a", "b")).task_results)
            return "one"

        @function_tool
        async def two(self) -> str:
            """Two."""
            self.results.append((await group_of("c", "d")).task_results)
            return "two"

    from livekit.agents import AgentSession

    from sessions import ScriptedModel

    model = ScriptedModel(obedient)
    session = AgentSession(llm=model, vad=None, turn_handling={"turn_detection": None})
    agent = Two()
    await session.start(agent)
    try:
        with anyio.fail_after(60):

            async def at(name: str) -> None:
                with anyio.fail_after(20):
                    while getattr(session.current_agent, "what", "") != name:
                        await anyio.sleep(0.1)
                    await session.current_agent.entered.wait()
                    await session.wait_for_idle()

            session.generate_reply(user_input="one and two")
            await at("a")
            session.generate_reply(user_input="record 1")
            await at("b")
            session.generate_reply(user_input="back a")
            await at("a")
            session.generate_reply(user_input="record 11")
            await at("b")
            session.generate_reply(user_input="record 2")
            await at("c")
            session.generate_reply(user_input="record 3")
            await at("d")
            session.generate_reply(user_input="back c")
            await at("c")
            session.generate_reply(user_input="record 33")
            await at("d")
            session.generate_reply(user_input="record 4")
            while len(agent.results) < 2:
                await anyio.sleep(0.1)
            assert agent.results == [{"a": "11", "b": "2"}, {"c": "33", "d": "4"}]
    finally:
        await session.aclose()


async def test_j_summary_of_nested_groups() -> None:
    """What inner groups said is in the summary once, with the calls."""
    seen = []

    def script(turn: Turn) -> Reply:
        if "Summarize" in turn.instructions:
            seen.append(turn.texts[-1])
            return f"summary {len(seen)}"
        return obedient(turn)

    group = group_of("a", summarize_chat_ctx=True)
    group.add(lambda: group_of("b", "c", summarize_chat_ctx=True), id="in", description="in")
    group.add(lambda: Ask("d"), id="d", description="d")
    async with conversation(lambda: group, script) as talk:
        for name in "abcd":
            await talk.at(name)
            await talk.say("look_up")
            await talk.say(f"record {name}")
        await talk.outcome()
        said = [m.text_content for m in talk.parent.chat_ctx.messages()]
        assert [t for t in said if "summary" in str(t)], said
        assert len([t for t in said if t and "look_up" in t]) == 0, said


def Ask_of(name: str):  # noqa: N802
    def make() -> Ask:
        return Ask(name)

    return make


async def test_k_a_secret_answer_in_a_step_that_preserves_calls() -> None:
    """LiveKit's option of a task takes over its calls by itself; the secret one is no exception."""

    class Keeps(Ask):
        def __init__(self, what: str) -> None:
            AgentTask.__init__(
                self, instructions="ask for the a", preserve_function_call_history=True
            )
            self.what, self.speaks, self.entered = what, True, asyncio.Event()

    class Card(AgentTask[str]):
        def __init__(self) -> None:
            super().__init__(instructions="ask for the card")

    def script(turn: Turn) -> Reply:
        if turn.said == "my card":
            return Call("answer", {"step": "card", "value": "4242"})
        return obedient(turn)

    group = TaskGroup(summarize_chat_ctx=False)
    group.add(lambda: Keeps("a"), id="a", description="a")
    group.step(Card, id="card", description="card", sensitive=True, model_may_answer=True)
    group.add(lambda: Ask("c"), id="c", description="c")
    async with conversation(lambda: group, script) as talk:
        await talk.say("my card")
        await talk.say("record 1")
        await talk.at("c")
        assert "4242" not in texts(talk.session.current_agent.chat_ctx)
        assert "4242" not in texts(group.chat_ctx)


async def test_k_what_was_heard_is_known_even_if_the_answer_is_interrupted() -> None:
    """A caller who speaks on interrupts the answer; what they said before is still known."""
    lost = []
    for n in range(0, 40, 2):
        began, release, wait = slow_after("a")
        group = group_of("a", "b", "c", on_task_completed=wait)
        async with conversation(lambda group=group: group) as talk:
            await talk.at("a")
            talk.session.generate_reply(user_input="record 1")
            await began.wait()
            await talk.session.generate_reply(user_input="my mail is x")
            release.set()
            while talk.floor != "b":
                await asyncio.sleep(0)
            for _ in range(n):
                await asyncio.sleep(0)
            talk.session.interrupt(force=True)
            await anyio.sleep(0.5)
            speech = talk.session.generate_reply(user_input="hello")
            await speech
            turn = next(t for t in talk.model.turns if t.said == "hello")
            if "my mail is x" not in turn.texts:
                lost.append(n)
    assert not lost, lost


async def test_k_an_unanswered_turn_isnt_summarized() -> None:
    """What nobody has answered when the group ends stays in the caller's own words."""
    began, release, wait = slow_after("a")

    def script(turn: Turn) -> Reply:
        return "SUMMARY" if "Summarize" in turn.instructions else obedient(turn)

    group = group_of("a", summarize_chat_ctx=True, on_task_completed=wait)
    async with conversation(lambda: group, script) as talk:
        await talk.at("a")
        talk.session.generate_reply(user_input="record 1")
        await began.wait()
        await talk.session.generate_reply(user_input="my wish: tea")
        release.set()
        await talk.outcome()
        await talk.session.wait_for_idle()
        assert "my wish: tea" in texts(talk.parent.chat_ctx)


async def test_k_a_fresh_default_behind_a_point_of_no_return() -> None:
    """A factory that answers a step before, each time anew, doesn't end the outer group."""
    count = []

    def inner() -> TaskGroup:
        g = TaskGroup(summarize_chat_ctx=False)
        g.step(lambda: Ask("now"), id="now", description="now")
        g.step(lambda: Ask("pay"), id="pay", description="pay", point_of_no_return=True)
        g.step(lambda: Ask("street"), id="street", description="street")
        count.append(1)
        g.prepared().answer("now", f"noon {len(count)}")
        return g

    group = group_of("a").add(inner, id="inner", description="inner")
    async with conversation(lambda: group) as talk:
        await talk.say("record 1")
        await talk.at("pay")
        await talk.say("record paid")
        await talk.at("street")
        await talk.say("back a")
        await talk.at("a")
        await talk.say("record 2")
        await anyio.sleep(1)
        await talk.tries_to_say("record 3")
        result = await talk.outcome()
        assert result.task_results["inner"].task_results["street"] == "3"
