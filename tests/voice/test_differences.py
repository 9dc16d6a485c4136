"""What LiveKit's own group gets wrong, each in a real session; more of it in the other modules."""

from __future__ import annotations

import asyncio

import anyio
import pytest
from livekit.agents import Agent, AgentTask, FunctionCall, function_tool
from sessions import Ask, Reply, Turn, conversation, obedient
from typing_extensions import override
from voice_groups import Slow, group_of, say_meanwhile

from reflow import Done, FlowError, Visit
from reflow.livekit import GroupStoppedError, TaskCompletedEvent, TaskGroup, TaskGroupResult

pytestmark = pytest.mark.anyio


async def test_a_callback_that_raises_keeps_the_result() -> None:
    """The good result stays, the callback's exception is beside it."""

    async def fail(event: TaskCompletedEvent) -> None:
        if event.task_id == "a":
            raise ValueError(event.result)

    def make() -> TaskGroup:
        return group_of("a", "b", return_exceptions=True, on_task_completed=fail)

    async with conversation(make) as talk:
        await talk.say("record 1")
        await talk.say("record 2")
        result = await talk.outcome()
    assert result.task_results == {"a": "1", "b": "2"}
    assert result.exceptions is not None
    assert [str(exc) for exc in result.exceptions.exceptions] == ["1"]


@pytest.mark.parametrize("orders", ["record 2 and back a", "back a and record 2"])
async def test_a_result_and_a_request_in_one_turn(orders: str) -> None:
    """Both count, in either order."""
    async with conversation(lambda: group_of("a", "b", "c")) as talk:
        await talk.say("record 1")
        assert talk.floor == "b"
        await talk.say(orders)
        assert talk.floor == "a"
        await talk.say("record 3")
        assert talk.floor == "c"
        await talk.say("record 4")
        result = await talk.outcome()
    assert result.task_results == {"a": "3", "b": "2", "c": "4"}


@pytest.mark.parametrize(
    ("ids", "order"), [("", "b"), ("a a", "ab"), ("b", "b"), ("c", "b"), ("x", "b"), ("b a", "ba")]
)
async def test_odd_requests(ids: str, order: str) -> None:
    """None is refused; what is named twice, or active, runs once."""
    async with conversation(lambda: group_of("a", "b", "c")) as talk:
        await talk.say("record 1")
        await talk.say(f"back {ids}")
        for name in [*order, "c"]:
            assert talk.floor == name
            await talk.say(f"record {name}")
        result = await talk.outcome()
    assert result.task_results == {"a": "a" if "a" in order else "1", "b": "b", "c": "c"}


async def test_the_order_of_the_ids() -> None:
    """It is that of the flow, in every process: a prompt that was cached is found again."""
    names = [f"{letter}{number}" for letter in "zay" for number in range(3)]
    async with conversation(lambda: group_of(*names, "end")) as talk:
        for name in names:
            await talk.at(name)
            await talk.say("record 1")
        await talk.say("hello")
        assert talk.model.turns[-1].enum_of("out_of_scope", "task_ids") == names


async def test_a_failing_revisit_keeps_the_result() -> None:
    """A good result is never destroyed by a later visit."""

    class Fragile(Ask):
        visits = 0

        @override
        async def on_enter(self) -> None:
            Fragile.visits += 1
            if Fragile.visits == 2:
                self.complete(ValueError("again"))
            await super().on_enter()

    def make() -> TaskGroup:
        group = TaskGroup(summarize_chat_ctx=False, return_exceptions=True)
        group.add(lambda: Fragile("a"), id="a", description="a")
        return group.add(lambda: Ask("b"), id="b", description="b")

    async with conversation(make) as talk:
        await talk.say("record 1")
        await talk.say("back a")
        await talk.say("record 2")
        result = await talk.outcome()
    assert result.task_results == {"a": "1", "b": "2"}
    assert result.exceptions is not None


async def test_what_was_computed_of_a_changed_answer_is_computed_again() -> None:
    """No stale total."""
    group = TaskGroup(summarize_chat_ctx=False)
    amount = group.step(lambda: Ask("amount"), id="amount", description="the amount")

    async def compute(visit: Visit[None]) -> int:
        return 2 * int(str(visit[amount]))

    total = group.step(compute, id="total", description="the total", depends_on=[amount])
    group.step(lambda: Ask("end"), id="end", description="the end")
    async with conversation(lambda: group) as talk:
        await talk.say("record 1")
        await talk.say("back amount")
        await talk.say("record 4")
        await talk.say("record x")
        result = await talk.outcome()
    assert result[total] == 8
    assert result.outcome(amount) == Done("4")


async def test_a_summary_that_fails_destroys_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """The results and the context stay; the failure is logged, and beside the results."""

    def script(turn: Turn) -> Reply:
        if "Summarize" in turn.instructions:
            raise ZeroDivisionError
        return obedient(turn)

    async with conversation(lambda: group_of("a", summarize_chat_ctx=True), script) as talk:
        await talk.say("record 1")
        result = await talk.outcome()
        assert "record 1" in [getattr(i, "text_content", None) for i in talk.parent.chat_ctx.items]
    assert result.task_results == {"a": "1"}
    assert result.exceptions is not None
    assert "can't be summarized" in caplog.text


async def test_the_session_closes() -> None:
    """The group ends with an error that has what there was; no model is called any more."""

    def make() -> TaskGroup:
        return group_of("a", "b", return_exceptions=True, summarize_chat_ctx=True)

    async with conversation(make) as talk:
        await talk.say("record 1")
        turns = len(talk.model.turns)
        await talk.session.aclose()
        with pytest.raises(GroupStoppedError, match="session") as raised:
            await talk.outcome()
        assert len(talk.model.turns) == turns
    assert raised.value.results.task_results == {"a": "1"}


@pytest.mark.parametrize("made", [ZeroDivisionError, None])
async def test_a_factory_that_fails(made: type[Exception] | None) -> None:
    """The group ends with that error."""

    def factory() -> AgentTask[str]:
        if made is not None:
            raise made
        return None  # type: ignore[return-value]  # that is the point

    async with conversation(lambda: group_of("a").add(factory, id="b", description="b")) as talk:
        await talk.say("record 1")
        with pytest.raises(made or FlowError):
            await talk.outcome()


@pytest.mark.parametrize("speaks", [True, False])
async def test_what_is_said_during_a_slow_callback(speaks: bool) -> None:
    """Nobody without instructions and tools answers; the next step does."""
    slow = Slow("a")

    def make() -> TaskGroup:
        group = group_of("a", on_task_completed=slow)
        return group.add(lambda: Ask("b", speaks=speaks), id="b", description="b")

    async with conversation(make) as talk:
        await say_meanwhile(talk, slow, "record 1", "record 2")
        result = await talk.outcome()
        assert all("the " in turn.instructions for turn in talk.model.turns)
        assert [turn.said for turn in talk.model.turns if turn.said] == ["record 1", "record 2"]
    assert result.task_results == {"a": "1", "b": "2"}


async def test_a_callback_that_never_returns() -> None:
    """The session closes all the same."""
    began = asyncio.Event()

    async def wait(event: TaskCompletedEvent) -> None:
        began.set()
        await anyio.sleep_forever()

    async with conversation(lambda: group_of("a", "b", on_task_completed=wait)) as talk:
        talk.session.run(user_input="record 1")
        await began.wait()
        await talk.session.aclose()
        with pytest.raises(GroupStoppedError):
            await talk.outcome()


async def test_faults_of_the_author() -> None:
    """A second step of the same id, one added too late, and a task that was run before."""
    group = group_of("a")
    with pytest.raises(FlowError, match="taken"):
        group.add(lambda: Ask("a"), id="a", description="a")
    same = Ask("b")
    group.add(lambda: same, id="b", description="b")
    async with conversation(lambda: group) as talk:
        with pytest.raises(FlowError, match="begun"):
            group.add(lambda: Ask("c"), id="c", description="c")
        await talk.say("record 1")
        await talk.say("back a")
        await talk.say("record 1")
        with pytest.raises(FlowError, match="run before"):
            await talk.outcome()


async def test_function_calls_of_an_interrupted_step_stay() -> None:
    """They are in the history of the group."""
    group = group_of("a", "b")
    async with conversation(lambda: group) as talk:
        await talk.say("record 1")
        await talk.say("look_up")
        await talk.say("back a")
        names = [i.name for i in group.chat_ctx.items if isinstance(i, FunctionCall)]
        assert names == ["record", "look_up", "out_of_scope"]
        await talk.say("record 1")
        await talk.say("record 2")
        await talk.outcome()


async def test_nested_groups() -> None:
    """The first inner step can go back to the outer steps."""

    def make() -> TaskGroup:
        group = group_of("a")
        group.add(lambda: group_of("b", "c"), id="inner", description="the inner ones")
        return group.add(lambda: Ask("d"), id="d", description="the d")

    async with conversation(make) as talk:
        await talk.say("record 1")
        assert talk.floor == "b"
        assert "out_of_scope" in [tool.id for tool in talk.session.current_agent.tools]
        await talk.say("back a")
        await talk.at("a")
        await talk.say("record 2")
        await talk.at("b")
        await talk.say("record 3")
        await talk.at("c")
        await talk.say("back b a")
        for name in "abc":
            await talk.at(name)
            await talk.say(f"record {name}")
        await talk.at("d")
        await talk.say("record 5")
        result = await talk.outcome()
    inner = result.task_results["inner"]
    assert isinstance(inner, TaskGroupResult)
    assert inner.task_results == {"b": "b", "c": "c"}
    assert result.task_results["a"] == "a"


@pytest.mark.parametrize("in_tool", [False, True])
@pytest.mark.parametrize("how", ["update_agent", "cancel", "asyncio", "anyio"])
async def test_endings(how: str, *, in_tool: bool) -> None:
    """The group ends at once, and says what it has."""
    groups, scopes = list[TaskGroup](), list[anyio.CancelScope | asyncio.Timeout]()

    async def go() -> TaskGroupResult:
        groups.append(group_of("a", "b"))
        if how == "asyncio":
            async with asyncio.timeout(None) as timeout:
                scopes.append(timeout)
                return await groups[0]
        if how == "anyio":
            with anyio.fail_after(1000) as scope:
                scopes.append(scope)
                return await groups[0]
        return await groups[0]

    async with conversation(go, in_tool=in_tool) as talk:
        if in_tool:
            await talk.say("begin")
        await talk.say("record 1")
        assert talk.floor == "b"
        other = Agent(instructions="the other")
        if how == "update_agent":
            talk.session.update_agent(other)
        elif how == "cancel":
            groups[0].cancel()
        elif isinstance(scopes[0], asyncio.Timeout):
            scopes[0].reschedule(asyncio.get_running_loop().time())
        else:
            scopes[0].deadline = anyio.current_time()
        with pytest.raises((GroupStoppedError, TimeoutError)) as raised:
            await talk.outcome()
        exc: BaseException | None = raised.value
        while exc is not None and not isinstance(exc, GroupStoppedError):
            exc = exc.__cause__ or exc.__context__
        assert exc is not None
        assert exc.results.task_results == {"a": "1"}
        if how == "update_agent":
            assert talk.session.current_agent is other


async def test_a_result_beside_a_tool_that_awaits_another_task() -> None:
    """The group goes on when that is done."""

    class Aside(Ask):
        @function_tool
        async def aside(self) -> str:
            """Ask something else."""
            return await Ask("aside")

    group = TaskGroup(summarize_chat_ctx=False)
    group.add(lambda: Aside("a"), id="a", description="a")
    group.add(lambda: Ask("b"), id="b", description="b")
    async with conversation(lambda: group) as talk:
        await talk.say("aside and record 1")
        assert talk.floor == "aside"
        await talk.say("record x")
        assert talk.floor == "b"
        await talk.say("record 2")
        result = await talk.outcome()
    assert result.task_results == {"a": "1", "b": "2"}


async def test_going_back_to_a_step_that_is_silent_on_entry() -> None:
    """The user's turn ends without an error."""

    def make() -> TaskGroup:
        group = TaskGroup(summarize_chat_ctx=False)
        group.add(lambda: Ask("a", speaks=False), id="a", description="a")
        return group.add(lambda: Ask("b"), id="b", description="b")

    async with conversation(make) as talk:
        await talk.say("record 1")
        await talk.say("back a")
        await talk.say("record 2")
        await talk.say("record 3")
        result = await talk.outcome()
    assert result.task_results == {"a": "2", "b": "3"}
