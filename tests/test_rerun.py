"""What runs again, reasons and drafts."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import pytest
from support import Log, add, answering, interrupted, last, scripted

from reflow import (
    Flow,
    Pending,
    Reason,
    Step,
    StepNotDoneError,
    StepsMadeStale,
    StepState,
    Visit,
)
from reflow._compat import override

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio

T = TypeVar("T")


async def test_a_changed_answer_makes_its_dependents_run_again() -> None:
    """And theirs, as long as something really changes; what depends on nothing stays."""
    flow, log = Flow("f"), Log()
    a = flow.step("a", id="a")(scripted("x", "y"))
    b = flow.step("b", id="b", depends_on=[a])(scripted("bx", "by"))
    flow.step("c", id="c", depends_on=[b])(scripted("same", "same"))
    flow.step("d", id="d", depends_on=flow.steps[2:])(scripted("once"))
    flow.step("e", id="e")(scripted("alone"))
    last(flow, a)
    await flow.run(observers=[log])
    assert log.visits[6:] == ["a 2 requested", "b 2 stale", "c 2 stale", "last 2 resumed"]
    assert log.of(StepsMadeStale) == [StepsMadeStale("a", ("b",)), StepsMadeStale("b", ("c",))]


async def test_an_equal_answer_changes_nothing() -> None:
    """Early cut-off: asking again and getting the same has no consequences."""
    flow, log = Flow("f"), Log()
    a = flow.step("a", id="a")(scripted([1], [1]))
    flow.step("b", id="b", depends_on=[a])(scripted("b"))
    last(flow, a)
    await flow.run(observers=[log])
    assert log.entered == ["a", "b", "last", "a", "last"]
    assert not log.of(StepsMadeStale)


class Truthy:
    """Its `==` gives something true that isn't True, as arrays do."""

    @override
    def __eq__(self, other: object) -> object:  # type: ignore[override]  # what numpy does
        """Give a true value."""
        return [True]

    __hash__ = None  # type: ignore[assignment]  # what numpy does


class Raising:
    """Its `==` raises."""

    @override
    def __eq__(self, other: object) -> bool:
        """Raise, as comparing arrays of different shapes does."""
        raise ValueError("ambiguous")

    __hash__ = None  # type: ignore[assignment]  # as above


@pytest.mark.parametrize("make", [Truthy, Raising, object, lambda: float("nan")])
async def test_only_a_plain_true_counts_as_equal(make: Callable[[], object]) -> None:
    """What can't be told to be the same counts as changed: better asked twice than stale."""
    flow, log = Flow("f"), Log()
    value = make()
    a = flow.step("a", id="a")(scripted(value, make() if make is object else value))
    flow.step("b", id="b", depends_on=[a])(scripted("b", "b"))
    last(flow, a)
    await flow.run(observers=[log])
    assert log.visits[3:] == ["a 2 requested", "b 2 stale", "last 2 resumed"]


async def test_a_first_outcome_changes_nothing() -> None:
    """Answers given early don't make each other stale."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")
    b = add(flow, "b", depends_on=(a,))
    run = flow.prepare(observers=[log])
    run.answer(b, "early")
    results = await run.drive()
    assert log.visits == ["a 1 first"]
    assert results[b] == "early"


async def test_reading_without_declaring_makes_no_dependency() -> None:
    """`visit[x]` is allowed for every step that is done, and creates nothing."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def reads(visit: Visit) -> str:
        return visit[a]

    b = add(flow, "b", reads)
    last(flow, a)
    results = await flow.run(observers=[log])
    assert log.entered == ["a", "b", "last", "a", "last"]
    assert (results[a], results[b]) == ("a2", "a1")


async def test_a_stale_answer_is_pending_to_all_but_its_own_visit() -> None:
    """Nobody computes with an answer that is about to be asked again."""
    flow = Flow("f")
    seen: list[object] = []
    a = add(flow, "a")

    async def between(visit: Visit) -> str:
        if visit.number == 2:
            with pytest.raises(StepNotDoneError, match="step 'c' of flow 'f' has no answer: what"):
                visit[c]
            seen.extend([visit.get(c), visit.get(c, "default"), visit.run.results.outcome(c)])
            seen.append(c in visit.run.results)
        return answering(visit)

    b = add(flow, "b", between, depends_on=(a,))

    async def own(visit: Visit) -> str:
        if visit.number == 2:
            with pytest.raises(StepNotDoneError):
                visit[c]
            seen.append(visit.get(c))
        else:
            seen.append(visit.get(c, "nothing yet"))
        return answering(visit)

    c: Step[str] = add(flow, "c", own, depends_on=(a,))
    last(flow, a)
    results = await flow.run()
    assert seen == ["nothing yet", None, "default", Pending(StepState.STALE), False, "c1"]
    assert results[c] == "c2"
    assert results[b] == "b2"


async def test_always_ask_runs_again_when_any_earlier_step_changed() -> None:
    """A confirmation confirms what there is now; a step after it is not its affair."""
    flow, log = Flow("f"), Log()
    a = flow.step("a", id="a")(scripted("1", "1", "2"))
    flow.step("sure", id="sure", always_ask=True)(scripted(True, True, True))
    after = flow.step("after", id="after")(scripted("1", "2"))
    last(flow, a, after, a)
    await flow.run(observers=[log])
    assert log.visits[4:] == [
        *("a 2 requested", "last 2 resumed"),
        *("after 2 requested", "last 3 resumed"),
        *("a 3 requested", "sure 2 stale", "last 4 resumed"),
    ]


async def test_the_idempotency_key_is_that_of_the_attempt() -> None:
    """The same when a visit is resumed or was failed, another one when it is asked anew."""
    flow = Flow("f")
    keys: list[str] = []
    a = add(flow, "a")

    async def act(visit: Visit) -> str:
        keys.append(visit.idempotency_key)
        if visit.number == 1:
            await visit.go_back(a)
        if visit.number == 2:
            raise ValueError
        return answering(visit)

    b = add(flow, "b", act)
    last(flow, b, b)
    await flow.run(return_exceptions=True)
    await flow.run(return_exceptions=True)
    first, second = keys[:4], keys[4:]
    assert first[0] == first[1] == first[2] != first[3]
    assert not set(first) & set(second)
    assert all("/b/" in key for key in keys)


async def test_reasons_and_numbers() -> None:
    """Of the reasons that apply the first in the order of the rule is given."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")
    b = add(flow, "b", depends_on=(a,))

    async def act(visit: Visit) -> str:
        match visit.number:
            case 1:
                await visit.go_back(a, b)  # stale by then, too: requested comes first
            case 2:
                await visit.go_back(a)
            case 3:
                visit.run.retake()
                await interrupted()
            case _:
                return f"{visit.reason.name} {visit.number}"

    c = add(flow, "c", act)
    results = await flow.run(observers=[log])
    assert log.visits == [
        *("a 1 first", "b 1 first", "c 1 first"),
        *("a 2 requested", "b 2 requested", "c 2 resumed"),
        *("a 3 requested", "b 3 stale", "c 3 resumed", "c 4 requested"),
    ]
    assert results[c] == "REQUESTED 4"
    assert [reason.name for reason in Reason] == [
        *("RECOVERED", "REQUESTED", "STALE", "RESUMED", "FIRST"),
    ]


async def test_a_draft_lives_until_the_step_settles() -> None:
    """An interrupted step keeps the half it has; a later revisit begins afresh."""
    flow = Flow("f")
    a = add(flow, "a")
    sizes: list[int] = []

    async def act(visit: Visit) -> str:
        draft = visit.draft(list[int])
        assert visit.draft(list[int]) is draft
        draft.append(visit.number)
        sizes.append(len(draft))
        match visit.number:
            case 1:
                await visit.go_back(a)
            case 3:
                visit.run.answer(b, "from outside")
                await interrupted()
            case 4:
                raise ValueError
            case _:
                return answering(visit)

    b: Step[str] = add(flow, "b", act)
    last(flow, b, b, b)
    await flow.run(return_exceptions=True)
    assert sizes == [1, 2, 1, 1, 1]


class Interrupting:
    """Its `==` is interrupted by Ctrl+C."""

    @override
    def __eq__(self, other: object) -> bool:
        raise KeyboardInterrupt

    __hash__ = None  # type: ignore[assignment]  # as above


async def test_a_comparison_that_does_not_return_changes_nothing() -> None:
    """The request failed before anything was done; the run goes on as if it hadn't been made."""
    flow, log = Flow("f"), Log()

    async def act(visit: Visit) -> object:
        if visit.number == 2:
            with pytest.raises(KeyboardInterrupt):
                visit.run.answer(a, Interrupting())
            assert visit.run.active is a
            await visit.go_back(a)
        return Interrupting() if visit.number == 1 else visit.number

    a: Step[object] = flow.step("a", id="a")(act)
    last(flow, a)
    with pytest.raises(KeyboardInterrupt):
        await flow.run(observers=[log])
    assert log.visits == ["a 1 first", "last 1 first", "a 2 requested", "a 3 requested"]


async def test_the_idempotency_key_survives_a_first_visit_that_fails() -> None:
    """Whether the charge went through is unknown then: the next attempt must be the same one."""
    flow = Flow("f")
    keys: list[str] = []

    async def act(visit: Visit) -> str:
        keys.append(visit.idempotency_key)
        if visit.number == 1:
            raise TimeoutError
        return answering(visit)

    a = add(flow, "a", act)
    last(flow, a)
    await flow.run(return_exceptions=True)
    assert keys[0] == keys[1]
