"""A nested group that was interrupted goes on where it was: with what it had, where that holds."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from sessions import Ask, Reply, Turn, conversation, obedient
from voice_groups import answer, asked, asking, go_back, group_of, results

from reflow import MemoryJournal, Visit
from reflow.livekit import TaskCompletedEvent, TaskGroup, TaskGroupResult, run_task

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio


def around(inner: Callable[[], TaskGroup]) -> TaskGroup:
    """Make a group with a step, a group nested in the next one, and a step."""
    group = group_of("a")
    group.add(inner, id="inner", description="inner")
    return group.add(asking("z"), id="z", description="z")


async def test_what_was_answered() -> None:
    """It isn't asked again, unless it was requested."""
    async with conversation(lambda: around(lambda: group_of("b", "c"))) as talk:
        await answer(talk, ("a", "1"), ("b", "2"))
        await go_back(talk, "c", "a")
        await answer(talk, ("a", "3"))
        await talk.at("c")
        await talk.say("back b a")
        await answer(talk, ("a", "4"), ("b", "5"), ("c", "6"), ("z", "7"))
        found = results(await talk.outcome())
        assert asked(talk) == [*"abcacabcz"]
    assert found == {"a": "4", "inner": {"b": "5", "c": "6"}, "z": "7"}


async def test_what_was_skipped() -> None:
    """It isn't asked again, either."""

    def inner() -> TaskGroup:
        made = TaskGroup(summarize_chat_ctx=False)
        made.step(asking("b"), id="b", description="b", optional=True)
        return made.add(asking("c"), id="c", description="c")

    async with conversation(lambda: around(inner)) as talk:
        await answer(talk, ("a", "1"))
        await talk.at("b")
        await talk.say('skip {"step": "b"}')
        await go_back(talk, "c", "a")
        await answer(talk, ("a", "2"), ("c", "3"), ("z", "4"))
        found = results(await talk.outcome())
        assert asked(talk) == [*"abcacz"]
    assert found == {"a": "2", "inner": {"c": "3"}, "z": "4"}


async def test_what_failed() -> None:
    """It is among the exceptions, and isn't done again."""
    visits = list[int]()

    async def fail(visit: Visit[None]) -> str:
        visits.append(visit.number)
        raise ZeroDivisionError

    def inner() -> TaskGroup:
        made = TaskGroup(summarize_chat_ctx=False, return_exceptions=True)
        made.step(fail, id="b", description="b")
        return made.add(asking("c"), id="c", description="c")

    async with conversation(lambda: around(inner)) as talk:
        await answer(talk, ("a", "1"))
        await go_back(talk, "c", "a")
        await answer(talk, ("a", "2"), ("c", "3"), ("z", "4"))
        found = results(await talk.outcome())
    assert visits == [1]
    of_inner = found["inner"]
    assert isinstance(of_inner, dict)
    assert isinstance(of_inner["b"], ZeroDivisionError)


async def test_drafts_and_keys() -> None:
    """A step that resumes has its scratchpad, and the key that it has charged the card with."""
    seen = list[tuple[str, int]]()

    async def charge(visit: Visit[None]) -> str:
        draft = visit.draft(list[int])
        draft.append(visit.number)
        seen.append((visit.idempotency_key, len(draft)))
        return await run_task(Ask("charge"))

    def inner() -> TaskGroup:
        made = TaskGroup(summarize_chat_ctx=False)
        made.step(charge, id="charge", description="the charge", point_of_no_return=True)
        return made

    async with conversation(lambda: around(inner)) as talk:
        await answer(talk, ("a", "1"))
        await go_back(talk, "charge", "a")
        await answer(talk, ("a", "2"), ("charge", "3"), ("z", "4"))
        await talk.outcome()
    (first, one), (second, two) = seen
    assert first == second
    assert (one, two) == (1, 2)


async def test_what_was_told() -> None:
    """Its callback is told of an answer once, with the task that gave it."""
    told = list[tuple[str, object, str]]()

    async def tell(event: TaskCompletedEvent) -> None:
        assert isinstance(event.agent_task, Ask)
        told.append((event.task_id, event.result, event.agent_task.what))

    def inner() -> TaskGroup:
        return group_of("b", "c", on_task_completed=tell)

    async with conversation(lambda: around(inner)) as talk:
        await answer(talk, ("a", "1"), ("b", "2"))
        await go_back(talk, "c", "a")
        await answer(talk, ("a", "3"), ("c", "4"), ("z", "5"))
        await talk.outcome()
    assert told == [("b", "2", "b"), ("c", "4", "c")]


async def test_what_was_validated() -> None:
    """It isn't validated again: what `validate` makes of an answer is no answer."""

    def inner() -> TaskGroup:
        made = TaskGroup(summarize_chat_ctx=False)
        made.step(asking("b"), id="b", description="b", validate=lambda text: f"{text}!")
        return made.add(asking("c"), id="c", description="c")

    async with conversation(lambda: around(inner)) as talk:
        await answer(talk, ("a", "1"), ("b", "2"))
        await go_back(talk, "c", "a")
        await answer(talk, ("a", "3"), ("c", "4"), ("z", "5"))
        found = results(await talk.outcome())
    # `validate` is for answers that are given from outside; a task checks its own.
    assert found["inner"] == {"b": "2", "c": "4"}


async def test_two_groups_in_one_step() -> None:
    """Each has its own: the caller's first name isn't taken for that of the spouse."""

    async def both(_: Visit[None]) -> str:
        me = await run_task(group_of("first", "last"))
        you = await run_task(group_of("first", "last"))
        return f"{results(me)} {results(you)}"

    group = group_of("a")
    names = group.step(both, id="names", description="the names")
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"), ("first", "Ada"), ("last", "L"), ("first", "Bob"))
        await go_back(talk, "last", "a")
        await answer(talk, ("a", "2"), ("last", "M"))
        result = await talk.outcome()
        # The first one was complete: nothing of it is asked again.
        assert asked(talk) == ["a", "first", "last", "first", "last", "a", "last"]
    ada, bob = {"first": "Ada", "last": "L"}, {"first": "Bob", "last": "M"}
    assert result[names] == f"{ada} {bob}"


async def test_a_completed_group_is_summarized_once() -> None:
    """Its summary is in the conversation already, when the step comes to it once more."""
    prompts = list[str]()

    def script(turn: Turn) -> Reply:
        if "Summarize" in turn.instructions:
            prompts.append(turn.texts[-1])
            return f"summary {len(prompts)}"
        return obedient(turn)

    async def both(_: Visit[None]) -> str:
        await run_task(group_of("b", summarize_chat_ctx=True))
        return await run_task(Ask("c"))

    group = group_of("a")
    group.step(both, id="both", description="both")
    async with conversation(lambda: group, script) as talk:
        await answer(talk, ("a", "1"), ("b", "2"))
        await go_back(talk, "c", "a")
        await answer(talk, ("a", "3"), ("c", "4"))
        assert results(await talk.outcome()) == {"a": "3", "both": "4"}
    assert len(prompts) == 1


async def test_its_step_was_asked_for() -> None:
    """Whoever wants the step again wants all of it again: what it had is dropped."""
    group = around(lambda: group_of("b", "c"))
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"), ("b", "2"))
        await talk.at("c")
        group.go_back("inner")
        await answer(talk, ("b", "3"), ("c", "4"))
        await go_back(talk, "z", "a")
        await answer(talk, ("a", "5"))
        # Complete before: it isn't even visited.
        await talk.at("z")
        group.go_back("inner")
        await answer(talk, ("b", "6"), ("c", "7"), ("z", "8"))
        found = results(await talk.outcome())
        assert asked(talk) == [*"abcbczazbcz"]
    assert found == {"a": "5", "inner": {"b": "6", "c": "7"}, "z": "8"}


async def test_interrupted_on_a_detour() -> None:
    """It was asked for, and left half-way: it goes on from there."""
    group = around(lambda: group_of("b", "c"))
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"), ("b", "2"), ("c", "3"))
        await talk.at("z")
        group.go_back("inner")
        await answer(talk, ("b", "4"))
        await go_back(talk, "c", "a")
        await answer(talk, ("a", "5"), ("c", "6"), ("z", "7"))
        found = results(await talk.outcome())
        assert asked(talk) == [*"abczbcacz"]
    assert found == {"a": "5", "inner": {"b": "4", "c": "6"}, "z": "7"}


@pytest.mark.parametrize(("new", "again"), [("family", True), ("basic", False)])
async def test_what_it_is_based_on(new: str, *, again: bool) -> None:
    """What depends on a changed answer isn't kept: no stale price. If it is the same, it is."""
    group = TaskGroup(summarize_chat_ctx=False)
    plan = group.step(asking("plan"), id="plan", description="the plan")

    def inner() -> TaskGroup:
        made = TaskGroup(summarize_chat_ctx=False)

        async def price(_: Visit[None]) -> str:
            computed.append(group.prepared().results[plan])
            return computed[-1]

        made.step(price, id="price", description="the price")
        return made.add(asking("time"), id="time", description="the time")

    computed = list[str]()
    group.step(inner, id="inner", description="inner", depends_on=[plan])
    async with conversation(lambda: group) as talk:
        await answer(talk, ("plan", "basic"))
        await go_back(talk, "time", "plan")
        await answer(talk, ("plan", new), ("time", "noon"))
        found = results(await talk.outcome())
    assert found["inner"] == {"price": new, "time": "noon"}
    assert len(computed) == 1 + again


async def test_a_step_that_is_always_asked() -> None:
    """After any change it is asked as if it had never been."""
    group = group_of("a")
    group.step(lambda: group_of("b", "c"), id="inner", description="inner", always_ask=True)
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"), ("b", "2"))
        await go_back(talk, "c", "a")
        await answer(talk, ("a", "3"), ("b", "4"), ("c", "5"))
        assert results(await talk.outcome()) == {"a": "3", "inner": {"b": "4", "c": "5"}}


async def test_another_group_in_its_place() -> None:
    """What was declared in another way isn't this one's."""
    made = list[TaskGroup]()

    def inner() -> TaskGroup:
        made.append(group_of("b", "c") if not made else group_of("c", "b"))
        return made[-1]

    async with conversation(lambda: around(inner)) as talk:
        await answer(talk, ("a", "1"), ("b", "2"))
        await go_back(talk, "c", "a")
        await answer(talk, ("a", "3"), ("c", "4"), ("b", "5"), ("z", "6"))
        found = results(await talk.outcome())
    assert found == {"a": "3", "inner": {"c": "4", "b": "5"}, "z": "6"}


@pytest.mark.parametrize("key", ["same", "another"])
async def test_a_journal_of_its_own(key: str) -> None:
    """It goes on from that: with what is under its key there, and nothing else."""
    journal = MemoryJournal()
    keys = iter(["same", key])

    def inner() -> TaskGroup:
        made = TaskGroup(summarize_chat_ctx=False, journal=journal, key=next(keys))
        made.step(ask_b, id="b", description="b")
        made.step(ask_c, id="c", description="c")
        return made

    def ask_b() -> Ask:
        return Ask("b")

    def ask_c() -> Ask:
        return Ask("c")

    group = group_of("a").add(inner, id="inner", description="inner")
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"), ("b", "2"))
        await go_back(talk, "c", "a")
        again = [("b", "4")] if key == "another" else []
        await answer(talk, ("a", "3"), *again, ("c", "5"))
        found = results(await talk.outcome())
    assert found == {"a": "3", "inner": {"b": "4" if again else "2", "c": "5"}}


async def test_a_factory_that_answers_early() -> None:
    """What it gives before the group begins counts, also when the group goes on."""
    group = TaskGroup(summarize_chat_ctx=False)
    a = group.step(asking("a"), id="a", description="a")

    def inner() -> TaskGroup:
        made = TaskGroup(summarize_chat_ctx=False)
        b = made.step(asking("b"), id="b", description="b")
        made.add(asking("c"), id="c", description="c")
        made.add(asking("d"), id="d", description="d")
        made.prepared().answer(b, f"as {group.prepared().results[a]}")
        return made

    group.add(inner, id="inner", description="inner")
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"), ("c", "2"))
        await go_back(talk, "d", "a")
        await answer(talk, ("a", "3"), ("d", "4"))
        found = results(await talk.outcome())
        assert asked(talk) == [*"acdad"]
    assert found["inner"] == {"b": "as 3", "c": "2", "d": "4"}


async def test_a_group_that_never_had_the_floor() -> None:
    """Between two that had it, it takes nothing away."""
    visits = list[int]()

    async def ask(visit: Visit[None]) -> TaskGroupResult:
        visits.append(visit.number)
        if len(visits) == 2:
            # The visit is interrupted when it next waits.
            visit.run.go_back("a")
        return await run_task(group_of("b", "c"))

    group = group_of("a")
    group.step(ask, id="inner", description="inner")
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"), ("b", "2"))
        await go_back(talk, "c", "a")
        await answer(talk, ("a", "3"), ("a", "4"), ("c", "5"))
        found = results(await talk.outcome())
        assert asked(talk) == [*"abcac"]
    assert visits == [1, 2, 3]
    assert found == {"a": "4", "inner": {"b": "2", "c": "5"}}


async def test_a_failing_group_that_goes_on() -> None:
    """What failed and isn't collected is done again when the step resumes; all else isn't."""
    visits = list[int]()

    async def once(visit: Visit[None]) -> str:
        visits.append(visit.number)
        if len(visits) == 1:
            raise ZeroDivisionError
        return "done"

    async def ask(_: Visit[None]) -> TaskGroupResult:
        made = group_of("b")
        made.step(once, id="c", description="c")
        with suppress(ZeroDivisionError):
            return await run_task(made)
        await run_task(Ask("x"))
        raise AssertionError

    group = group_of("a")
    group.step(ask, id="inner", description="inner")
    async with conversation(lambda: group) as talk:
        await answer(talk, ("a", "1"), ("b", "2"))
        await go_back(talk, "x", "a")
        await answer(talk, ("a", "3"))
        found = results(await talk.outcome())
        assert asked(talk) == [*"abxa"]
    assert found == {"a": "3", "inner": {"b": "2", "c": "done"}}
