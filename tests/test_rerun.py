"""What runs again, conditions, points of no return, answers and skips: rules 4.3 of the design."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import anyio
import pytest
from support import Log, add, answering, interrupted

from reflow import (
    AnswerSuperseded,
    AnyStep,
    CleanupFailed,
    ConditionEvaluated,
    Done,
    Event,
    Failed,
    Flow,
    FlowError,
    GoBackError,
    Pending,
    Reason,
    RequestsDropped,
    Results,
    Skipped,
    Step,
    StepAnswered,
    StepCompleted,
    StepInterrupted,
    StepNotDoneError,
    StepSkipped,
    StepsMadeStale,
    StepState,
    Visit,
)
from reflow._compat import override

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

pytestmark = pytest.mark.anyio

T = TypeVar("T")


async def never(visit: Visit) -> str:
    """Stand in for a step that is never run."""
    raise AssertionError


def scripted(*answers: T | Exception) -> Callable[[Visit], Awaitable[T]]:
    """Make a step's function: on each visit the next answer; an exception is raised."""

    async def act(visit: Visit) -> T:
        answer = answers[visit.number - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return act


def last(flow: Flow, *targets: AnyStep) -> Step[str]:
    """Add a step that goes back to each of the targets once, one visit after the other."""

    async def act(visit: Visit) -> str:
        if visit.number <= len(targets):
            await visit.go_back(targets[visit.number - 1])
        return answering(visit)

    return add(flow, "last", act)


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


async def test_a_condition_that_does_not_hold_skips_the_step() -> None:
    """A skipped step has no answer, is not asked, and the run completes."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")
    b = flow.step("b", id="b", when=lambda r: r[a] == "no")(never)
    c = flow.step("c", id="c", when=lambda r: r[a] == "a1")(scripted("c"))
    results = await flow.run(observers=[log])
    assert log.entered == ["a", "c"]
    assert (results.outcome(b), results.outcome(c)) == (Skipped(), Done("c"))
    with pytest.raises(
        StepNotDoneError, match="step 'b' of flow 'f' has no answer: it was skipped"
    ):
        results[b]


async def test_a_condition_is_evaluated_again_when_what_it_read_changed() -> None:
    """Skipped, then wanted, then skipped again: the answer is kept for its own next visit."""
    flow, log = Flow("f"), Log()
    got: list[object] = []
    a = flow.step("a", id="a")(scripted("single", "family", "single", "family"))

    async def members(visit: Visit) -> str:
        got.append(visit.get(b))
        return answering(visit)

    b: Step[str] = flow.step("b", id="b", when=lambda r: r[a] == "family")(members)
    c = flow.step("c", id="c", depends_on=[b])(scripted("c", "c", "c", "c"))
    last(flow, a, a, a)
    results = await flow.run(observers=[log])
    assert log.visits == [
        *("a 1 first", "c 1 first", "last 1 first"),
        *("a 2 requested", "b 1 first", "c 2 stale", "last 2 resumed"),
        *("a 3 requested", "c 3 stale", "last 3 resumed"),
        *("a 4 requested", "b 2 stale", "c 4 stale", "last 4 resumed"),
    ]
    assert got == [None, "b1"]
    assert (results[b], results[c]) == ("b2", "c")


async def test_a_condition_in_doubt_that_still_holds_runs_nothing() -> None:
    """True for a step that is done and not stale: its answer counts again."""
    flow, log = Flow("f"), Log()
    a = flow.step("a", id="a")(scripted(1, 2))
    b = flow.step("b", id="b", when=lambda r: r[a] > 0)(scripted("b"))

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(a)
        return answering(visit)

    add(flow, "c", act)
    results = await flow.run(observers=[log])
    assert log.entered == ["a", "b", "c", "a", "c"]
    assert log.of(ConditionEvaluated) == [ConditionEvaluated("b", True, ("a",))] * 2
    assert results[b] == "b"


async def test_a_condition_in_doubt_makes_the_answer_pending() -> None:
    """Until it is evaluated again, nobody can rely on the answer."""
    flow = Flow("f")
    a = flow.step("a", id="a")(scripted(1, 2))
    seen: list[object] = []

    async def between(visit: Visit) -> str:
        if visit.number == 2:
            seen.append(visit.run.results.outcome(c))
            with pytest.raises(StepNotDoneError, match="its condition is still to be evaluated"):
                visit[c]
        return answering(visit)

    b = flow.step("b", id="b", depends_on=[a])(between)
    c = flow.step("c", id="c", when=lambda r: r[a] > 0)(scripted("c"))
    last(flow, a)
    results = await flow.run()
    assert seen == [Pending(StepState.IN_DOUBT)]
    assert (results[b], results[c]) == ("b2", "c")


async def test_a_failed_step_whose_condition_still_holds_is_not_run_again() -> None:
    """It failed in a visit, and nothing it depends on changed."""
    flow, log = Flow("f"), Log()
    a = flow.step("a", id="a")(scripted(1, 2))
    b: Step[str] = flow.step("b", id="b", when=lambda r: r[a] > 0)(scripted(ValueError("b")))
    last(flow, a)
    results = await flow.run(observers=[log], return_exceptions=True)
    assert log.entered == ["a", "b", "last", "a", "last"]
    assert isinstance(results.outcome(b), Failed)


async def test_a_condition_is_evaluated_on_a_detour_too() -> None:
    """A requested step that is not wanted any more is skipped and leaves the detour."""
    flow, log = Flow("f"), Log()
    a = flow.step("a", id="a")(scripted("family", "single"))
    b = flow.step("b", id="b", when=lambda r: r[a] == "family")(scripted("b"))

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(a, b)
        return answering(visit)

    add(flow, "c", act)
    results = await flow.run(observers=[log])
    assert log.visits[3:] == ["a 2 requested", "c 2 resumed"]
    assert results.outcome(b) == Skipped()


async def test_a_requested_step_whose_condition_holds_runs_although_done() -> None:
    """True, and it is the detour's head: the user asked for it."""
    flow, log = Flow("f"), Log()
    a = flow.step("a", id="a")(scripted(1, 2))
    b = flow.step("b", id="b", when=lambda r: r[a] > 0)(scripted("b", "bb"))

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(a, b)
        return answering(visit)

    add(flow, "c", act)
    results = await flow.run(observers=[log])
    assert log.visits[3:] == ["a 2 requested", "b 2 requested", "c 2 resumed"]
    assert results[b] == "bb"


async def test_a_step_skipped_entered_again_and_interrupted_resumes() -> None:
    """From the moment it is entered it is pending, not skipped."""
    flow, log = Flow("f"), Log()
    a = flow.step("a", id="a")(scripted("no", "yes"))
    x = add(flow, "x")

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            assert visit.run.results.outcome(b) == Pending(StepState.ACTIVE)
            await visit.go_back(x)
        return answering(visit)

    b: Step[str] = flow.step("b", id="b", when=lambda r: r[a] == "yes")(act)
    c = flow.step("c", id="c", depends_on=[b])(scripted("c", "c2"))
    last(flow, a)
    results = await flow.run(observers=[log])
    assert log.visits[4:] == [
        *("a 2 requested", "b 1 first", "x 2 requested", "b 2 resumed"),
        *("c 2 stale", "last 2 resumed"),
    ]
    # Skipped, then done: that is a change.
    assert (results[b], results[c]) == ("b2", "c2")


async def test_a_condition_may_not_read_a_step_declared_later() -> None:
    """Not even its own, and not even if it swallows the error."""
    flow = Flow("f")
    steps: list[Step[str]] = []

    def peeks(results: Results) -> bool:
        try:
            return results.get(steps[0]) is None
        except FlowError:
            return True

    async def plain(visit: Visit) -> str:
        return answering(visit)

    flow.step("a", id="a", when=peeks)(plain)
    steps.append(add(flow, "b"))
    message = "the condition of step 'a' of flow 'f' reads step 'b': it may only read steps declar"
    with pytest.raises(FlowError, match=message):
        await flow.run()


@pytest.mark.parametrize("return_exceptions", [False, True])
async def test_a_condition_that_raises_is_a_failure_of_its_step(return_exceptions: bool) -> None:
    """It ends the run, or is recorded; evaluated again and true, the step runs."""
    flow, log = Flow("f"), Log()
    a = flow.step("a", id="a")(scripted(0, 0, 1))
    b = flow.step("b", id="b", when=lambda r: 1 // r[a] == 1)(scripted("b"))
    c = flow.step("c", id="c", depends_on=[b])(scripted("c", "c"))
    last(flow, a, a)
    run = flow.prepare(observers=[log], return_exceptions=return_exceptions)
    if return_exceptions:
        results = await run.drive()
        assert log.visits == [
            *("a 1 first", "c 1 first", "last 1 first", "a 2 requested", "last 2 resumed"),
            *("a 3 requested", "b 1 first", "c 2 stale", "last 3 resumed"),
        ]
        assert (results[b], results[c], results.exceptions) == ("b", "c", None)
    else:
        with pytest.raises(ZeroDivisionError) as info:
            await run.drive()
        assert info.value.__notes__ == ["in the condition of step 'b' of flow 'f', visit 0"]
        assert isinstance(run.results.outcome(b), Failed)


async def test_a_condition_that_begins_to_raise_fails_a_done_step() -> None:
    """Its answer was in doubt, so it is not one to keep; it comes back through its own visit."""
    flow = Flow("f")
    got: list[object] = []
    a = flow.step("a", id="a")(scripted(1, 0, 1))

    async def act(visit: Visit) -> str:
        got.append(visit.get(b))
        return answering(visit)

    b: Step[str] = flow.step("b", id="b", when=lambda r: 1 // r[a] == 1)(act)

    async def look(visit: Visit) -> str:
        if visit.number == 2:
            assert isinstance(visit.run.results.outcome(b), Failed)
        if visit.number < 3:
            await visit.go_back(a)
        return answering(visit)

    add(flow, "c", look)
    results = await flow.run(return_exceptions=True)
    assert got == [None, "b1"]
    assert results[b] == "b2"


async def test_a_predicate_without_a_bool_is_judged_by_its_truth() -> None:
    """`when=lambda r: r.get(x)` is what people write."""
    flow, log = Flow("f"), Log()
    a = flow.step("a", id="a")(scripted(""))
    flow.step("b", id="b", when=lambda r: r[a])(never)  # type: ignore[arg-type,return-value]
    await flow.run(observers=[log])
    assert log.entered == ["a"]
    assert log.of(ConditionEvaluated) == [ConditionEvaluated("b", False, ("a",))]


async def test_a_step_whose_inputs_were_skipped_still_runs() -> None:
    """A dependency says what to run again, not what to run at all."""
    flow, log = Flow("f"), Log()
    a = flow.step("a", id="a", when=lambda _: False)(never)
    flow.step("b", id="b", depends_on=[a])(scripted("b"))
    await flow.run(observers=[log])
    assert log.entered == ["b"]


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


async def test_a_skip_is_a_change_for_always_ask() -> None:
    """Outcomes count, not only answers."""
    flow, log = Flow("f"), Log()
    flow.step("a", id="a", optional=True)(scripted("a"))
    flow.step("sure", id="sure", always_ask=True)(scripted(True, True))

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.skip("a")
            await visit.go_back("sure")
        return answering(visit)

    add(flow, "b", act)
    await flow.run(observers=[log])
    assert log.visits == [
        "a 1 first",
        "sure 1 first",
        "b 1 first",
        "sure 2 requested",
        "b 2 resumed",
    ]


async def test_a_point_of_no_return_closes_itself_and_all_before_it() -> None:
    """Not revisited, not answered, never stale; what comes after stays open."""
    flow, log = Flow("f"), Log()
    a = flow.step("a", id="a", optional=True)(scripted("a"))
    b = flow.step("b", id="b")(scripted("b"))
    charge = flow.step("charge", id="charge", point_of_no_return=True)(scripted("charged"))
    d = flow.step("d", id="d")(scripted("d", "dd"))

    async def act(visit: Visit) -> str:
        run = visit.run
        if visit.number == 2:
            return answering(visit)
        with pytest.raises(GoBackError) as info:
            run.go_back(a, d, charge)
        closed = "behind the point of no return 'charge'"
        assert info.value.refused == {"a": closed, "charge": closed}
        assert str(info.value).count(closed) == 2
        with pytest.raises(GoBackError, match=closed):
            run.jump_ahead(a)
        with pytest.raises(GoBackError, match=closed):
            run.answer(b, "other")
        with pytest.raises(GoBackError, match=closed):
            run.skip(a)
        await visit.go_back(d)

    add(flow, "e", act)
    results = await flow.run(observers=[log])
    assert log.visits[5:] == ["d 2 requested", "e 2 resumed"]
    assert (results[a], results[b], results[charge]) == ("a", "b", "charged")


async def test_a_point_of_no_return_that_is_not_done_yet_closes_nothing() -> None:
    """As long as it may still be interrupted, everything may be corrected."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(a)
        return answering(visit)

    flow.step("charge", id="charge", point_of_no_return=True)(act)
    await flow.run(observers=[log])
    assert log.entered == ["a", "charge", "a", "charge"]


async def test_requests_that_fall_behind_a_point_of_no_return_are_dropped_visibly() -> None:
    """The charge went through in the same moment: it is done for the answers there were."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def act(visit: Visit) -> str:
        visit.run.go_back(a)
        return answering(visit)

    flow.step("charge", id="charge", point_of_no_return=True)(act)
    add(flow, "b")
    run = flow.prepare(observers=[log])
    await run.drive()
    assert log.entered == ["a", "charge", "b"]
    assert log.of(RequestsDropped) == [RequestsDropped("charge", ("a",))]
    assert run.detour == ()


async def test_closing_settles_what_was_stale_and_leaves_open_what_never_ran() -> None:
    """Jumping to the charge: stale steps before it stay as they are, unvisited ones still run."""
    flow, log = Flow("f"), Log()
    a = flow.step("a", id="a")(scripted("a", "aa"))
    b = flow.step("b", id="b", depends_on=[a])(scripted("b"))
    c = flow.step("c", id="c", when=lambda r: r[a] == "a")(scripted("c"))

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.jump_ahead(a, charge)
            await interrupted()
        return answering(visit)

    d = add(flow, "d", act)
    early = flow.step("early", id="early", when=lambda r: r[d] == "no")(never)
    charge = flow.step("charge", id="charge", point_of_no_return=True)(scripted("charged"))
    run = flow.prepare(observers=[log])
    run.answer(early, "early")
    results = await run.drive()
    assert log.visits[4:] == ["a 2 requested", "charge 1 requested", "d 2 resumed"]
    assert (results[b], results[c], results[d]) == ("b", "c", "d2")
    assert results.outcome(early) == Skipped()


async def test_nothing_behind_a_point_of_no_return_goes_stale() -> None:
    """Not even by a step before it that was still open when it was closed."""
    flow, log = Flow("f"), Log()
    a = flow.step("a", id="a")(scripted("no", "yes"))

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.jump_ahead(charge)
            await interrupted()
        return answering(visit)

    b: Step[str] = flow.step("b", id="b", when=lambda r: r[a] == "yes")(act)
    c = flow.step("c", id="c", depends_on=[b])(scripted("c"))
    d = flow.step("d", id="d", when=lambda r: r.get(b) is None)(scripted("d"))
    charge = flow.step("charge", id="charge", point_of_no_return=True)(scripted("charged"))

    def ask(event: Event) -> None:
        if isinstance(event, StepCompleted) and event.step == "d":
            run.go_back(a)

    run = flow.prepare(observers=[log, ask])
    results = await run.drive()
    assert log.visits == [
        *("a 1 first", "c 1 first", "d 1 first", "a 2 requested", "b 1 first"),
        *("charge 1 requested", "b 2 resumed"),
    ]
    assert (results[b], results[c], results[d]) == ("b2", "c", "d")
    assert log.of(StepsMadeStale) == [StepsMadeStale("a", (), ("b",))]


async def test_a_request_for_a_step_that_is_closed_by_its_own_answer_is_dropped() -> None:
    """It was open, behind a point of no return, and asked to run once more."""
    flow, log = Flow("f"), Log()

    async def act(visit: Visit) -> str:
        visit.run.go_back(a)
        return answering(visit)

    a: Step[str] = add(flow, "a", act)
    charge = flow.step("charge", id="charge", point_of_no_return=True)(never)
    run = flow.prepare(observers=[log])
    run.answer(charge, "cash")
    await run.drive()
    assert log.visits == ["a 1 first"]
    assert log.of(RequestsDropped) == [RequestsDropped("charge", ("a",))]


async def test_every_point_of_no_return_settles_what_is_stale_before_it() -> None:
    """From the one before it up to itself, although its own input changed while it was done."""
    flow, log = Flow("f"), Log()
    first = flow.step("first", id="first", point_of_no_return=True)(scripted("done"))
    a = flow.step("a", id="a")(scripted("a"))
    b = flow.step("b", id="b", depends_on=[a])(scripted("b"))

    async def charges(visit: Visit) -> str:
        visit.run.answer(a, "corrected")
        return answering(visit)

    charge = flow.step("charge", id="charge", depends_on=[a], point_of_no_return=True)(charges)
    last(flow)
    results = await flow.run(observers=[log])
    assert log.visits == [
        *("first 1 first", "a 1 first", "b 1 first", "charge 1 first", "last 1 first"),
    ]
    assert [results[step] for step in (first, a, b, charge)] == [
        *("done", "corrected", "b", "charge1"),
    ]


async def test_a_point_of_no_return_answered_from_outside_closes_too() -> None:
    """Done is done, whoever said so."""
    flow = Flow("f")
    a = add(flow, "a")
    charge = flow.step("charge", id="charge", point_of_no_return=True)(never)

    async def act(visit: Visit) -> str:
        with pytest.raises(GoBackError, match="point of no return"):
            visit.run.go_back(a)
        return answering(visit)

    add(flow, "b", act)
    run = flow.prepare()
    run.answer(charge, "cash")
    assert (await run.drive())[charge] == "cash"


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


@pytest.mark.parametrize("raises", [False, True])
async def test_a_draft_ends_with_a_condition_that_does_not_hold(raises: bool) -> None:
    """Skipped, or failed by its condition, the step has settled: what was begun is over."""
    flow = Flow("f")
    drafts: list[list[int]] = []
    a = flow.step("a", id="a")(scripted("yes", "no", "yes"))

    def wanted(results: Results) -> bool:
        if raises and results[a] == "no":
            raise ValueError
        return results[a] == "yes"

    @flow.step("b", when=wanted)
    async def b(visit: Visit) -> str:
        visit.draft(list[int]).append(visit.number)
        drafts.append(visit.draft(list[int]))
        if visit.number == 1:
            await visit.go_back(a)
        return answering(visit)

    last(flow, a)
    results = await flow.run(return_exceptions=True)
    assert results[b] == "b2"
    assert drafts == [[1], [2]]


async def test_an_early_answer_is_not_asked_for() -> None:
    """What is known from before the call isn't asked again."""
    flow, log = Flow("f"), Log()
    a, b = add(flow, "a"), add(flow, "b")
    run = flow.prepare(observers=[log])
    run.answer(b, "known")
    assert run.results[b] == "known"
    results = await run.drive()
    assert log.entered == ["a"]
    assert (results[a], results[b]) == ("a1", "known")
    assert [type(event).__name__ for event in log[:2]] == ["RunStarted", "StepAnswered"]


async def test_an_early_answer_of_a_conditional_step_counts_if_the_condition_holds() -> None:
    """Only the condition can tell, when its turn comes; until then it is pending."""
    flow, log = Flow("f"), Log()
    a = flow.step("a", id="a")(scripted("yes", "no"))
    b = flow.step("b", id="b", when=lambda r: r[a] == "yes")(never)
    c = flow.step("c", id="c", when=lambda r: r[a] == "no")(scripted("asked"))
    last(flow, a)
    run = flow.prepare(observers=[log])
    run.answer(b, "early")
    run.answer(c, "early")
    assert run.results.outcome(b) == Pending(StepState.IN_DOUBT)
    results = await run.drive()
    assert log.entered == ["a", "last", "a", "c", "last"]
    assert (results.outcome(b), results[c]) == (Skipped(), "asked")


async def test_answering_the_active_step_ends_its_visit() -> None:
    """As if it had returned that."""
    flow, log = Flow("f"), Log()
    waiting = anyio.Event()

    async def act(visit: Visit) -> str:
        waiting.set()
        await interrupted()

    a = add(flow, "a", act)
    add(flow, "b")
    run = flow.prepare(observers=[log])
    async with anyio.create_task_group() as tg:

        async def listen() -> None:
            await waiting.wait()
            run.answer(a, "given")
            assert run.results[a] == "given"

        tg.start_soon(listen)
        results = await run.drive()
    assert log.entered == ["a", "b"]
    assert results[a] == "given"
    assert not log.of(StepInterrupted, AnswerSuperseded)


async def test_the_given_answer_wins_over_one_that_the_step_still_returns() -> None:
    """The other one is reported, it is not silently lost."""
    flow, log = Flow("f"), Log()

    async def act(visit: Visit) -> str:
        visit.run.answer(a, "given")
        return "returned"

    a: Step[str] = add(flow, "a", act)
    results = await flow.run(observers=[log])
    assert results[a] == "given"
    assert log.of(AnswerSuperseded) == [AnswerSuperseded("a", 1, "returned")]


async def test_a_given_answer_wins_over_a_visit_that_skips() -> None:
    """The visit is being left already: what it still wants for itself doesn't count."""
    flow, log = Flow("f"), Log()

    @flow.step("a", optional=True)
    async def a(visit: Visit) -> str:
        visit.run.answer(a, "given")
        visit.skip()

    results = await flow.run(observers=[log])
    assert results[a] == "given"
    assert not log.of(StepSkipped)


@pytest.mark.parametrize("return_exceptions", [False, True])
async def test_an_answered_step_whose_cleanup_raises(return_exceptions: bool) -> None:
    """The answer stands, the failure is beside it."""
    flow, log = Flow("f"), Log()
    failure = ValueError("cleanup")

    async def act(visit: Visit) -> str:
        visit.run.answer(a, "given")
        raise failure

    a: Step[str] = add(flow, "a", act)
    run = flow.prepare(observers=[log], return_exceptions=return_exceptions)
    if return_exceptions:
        results = await run.drive()
        assert results[a] == "given"
        assert results.exceptions is not None
        assert results.exceptions.exceptions == (failure,)
    else:
        with pytest.raises(ValueError, match="cleanup") as info:
            await run.drive()
        assert info.value is failure
        assert failure.__notes__ == ["while it was being left, step 'a' of flow 'f', visit 1"]
    assert CleanupFailed("a", 1, failure) in log


async def test_a_correction_runs_only_what_went_stale() -> None:
    """`answer` for a step that is done: no visit to it, its dependents run again."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")
    add(flow, "b")
    add(flow, "c", depends_on=(a,))

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.answer(a, "corrected")
        return answering(visit)

    add(flow, "d", act)
    results = await flow.run(observers=[log])
    assert log.visits[4:] == ["c 2 stale"]
    assert results[a] == "corrected"
    assert StepAnswered("a", "corrected", changed=True) in log


async def test_a_correction_interrupts_the_active_step_that_is_based_on_it() -> None:
    """The caller isn't made to choose from a list that is no longer the right one."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.answer(a, "corrected")
            await interrupted()
        return visit[a]

    b = add(flow, "b", act, depends_on=(a,))
    results = await flow.run(observers=[log])
    assert log.visits == ["a 1 first", "b 1 first", "b 2 resumed"]
    assert results[b] == "corrected"
    assert StepsMadeStale("a", ("b",)) in log


async def test_an_answer_based_on_a_correction_that_came_meanwhile_is_stale() -> None:
    """Returned in spite of the interruption, it counts for what it is: computed from the old."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def act(visit: Visit) -> str:
        seen = visit[a]
        if visit.number == 1:
            visit.run.answer(a, "corrected")
        return seen

    b = add(flow, "b", act, depends_on=(a,))
    results = await flow.run(observers=[log])
    assert log.visits == ["a 1 first", "b 1 first", "b 2 stale"]
    assert results[b] == "corrected"


async def test_a_failure_based_on_a_correction_that_came_meanwhile_is_stale() -> None:
    """As with an answer: it is tried again with what is true now."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def act(visit: Visit) -> str:
        if visit[a] != "corrected":
            visit.run.answer(a, "corrected")
            raise ValueError("old")
        return visit[a]

    b = add(flow, "b", act, depends_on=(a,))
    results = await flow.run(observers=[log], return_exceptions=True)
    assert results[b] == "corrected"
    assert results.exceptions is None


async def test_a_correction_interrupts_an_active_confirmation() -> None:
    """`always_ask`: it was about to confirm what is no longer so."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.answer(a, "corrected")
            await interrupted()
        return visit[a]

    b = flow.step("b", id="b", always_ask=True)(act)
    results = await flow.run(observers=[log])
    assert log.visits == ["a 1 first", "b 1 first", "b 2 resumed"]
    assert results[b] == "corrected"


async def test_a_correction_interrupts_an_active_step_whose_condition_read_it() -> None:
    """And if the condition doesn't hold any more, the step is skipped."""
    flow, log = Flow("f"), Log()
    a = flow.step("a", id="a")(scripted("family"))

    async def act(visit: Visit) -> str:
        visit.run.answer(a, "single")
        await interrupted()

    b = flow.step("b", id="b", when=lambda r: r[a] == "family")(act)
    results = await flow.run(observers=[log])
    assert log.visits == ["a 1 first", "b 1 first"]
    assert results.outcome(b) == Skipped()
    assert StepsMadeStale("a", (), ("b",)) in log


async def test_a_correction_that_the_active_step_does_not_care_for_leaves_it_alone() -> None:
    """The visit goes on; what went stale runs before the flow completes."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")
    add(flow, "b", depends_on=(a,))

    async def act(visit: Visit) -> str:
        visit.run.answer(a, "corrected")
        await anyio.lowlevel.checkpoint()
        return answering(visit)

    add(flow, "c", act)
    await flow.run(observers=[log])
    assert log.visits == ["a 1 first", "b 1 first", "c 1 first", "b 2 stale"]


async def test_an_answer_serves_the_pending_request_for_its_step() -> None:
    """Asked to go back, then told: there is nothing left to ask."""
    flow, log = Flow("f"), Log()
    a, b = add(flow, "a"), add(flow, "b")

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.go_back(a, b)
            visit.run.answer(a, "told")
            assert visit.run.detour == (b,)
            await interrupted()
        return answering(visit)

    add(flow, "c", act)
    results = await flow.run(observers=[log])
    assert log.visits[3:] == ["b 2 requested", "c 2 resumed"]
    assert results[a] == "told"


async def test_a_request_after_the_answer_asks_again() -> None:
    """The order of what is asked counts."""
    flow, log = Flow("f"), Log()

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.answer(a, "told")
            visit.run.go_back(a)
            await interrupted()
        return answering(visit)

    a: Step[str] = add(flow, "a", act)
    results = await flow.run(observers=[log])
    assert log.visits == ["a 1 first", "a 2 requested"]
    assert results[a] == "a2"


async def test_an_answer_to_a_step_that_its_condition_skipped_waits_for_the_condition() -> None:
    """It is kept, and counts as soon as the condition holds, whatever order the news come in."""
    flow, log = Flow("f"), Log()
    a = flow.step("a", id="a")(scripted("single"))
    b = flow.step("b", id="b", when=lambda r: r[a] == "family")(never)
    c = flow.step("c", id="c", depends_on=[b])(scripted("c", "c"))

    async def act(visit: Visit) -> str:
        visit.run.answer(b, "Ada")
        assert visit.run.results.outcome(b) == Pending(StepState.IN_DOUBT)
        visit.run.answer(a, "family")
        return answering(visit)

    add(flow, "d", act)
    results = await flow.run(observers=[log])
    assert log.visits == ["a 1 first", "c 1 first", "d 1 first", "c 2 stale"]
    assert (results[b], results[c]) == ("Ada", "c")


async def test_validate_is_applied_to_answers_from_outside() -> None:
    """It returns what to keep, or raises ValueError, and then nothing has changed."""
    flow = Flow("f")

    def check(value: str) -> str:
        if "@" not in value:
            raise ValueError("an e-mail has an @")
        return value.lower()

    async def plain(visit: Visit) -> str:
        return "not validated: the step's own affair"

    a = flow.step("a", id="a", validate=check)(plain)
    b = flow.step("b", id="b", validate=check)(plain)
    run = flow.prepare()
    with pytest.raises(ValueError, match="an e-mail has an @"):
        run.answer(a, "nonsense")
    assert run.results.outcome(a) == Pending()
    run.answer(a, "Ada@Example.org")
    results = await run.drive()
    assert results[a] == "ada@example.org"
    assert results[b].startswith("not validated")


async def test_an_optional_step_may_be_skipped() -> None:
    """From inside, from outside, early or afterwards; it then has no answer."""
    flow, log = Flow("f"), Log()

    async def skips(visit: Visit) -> str:
        visit.skip()

    async def skipped_by_run(visit: Visit) -> str:
        visit.run.skip(visit.step)
        return "superseded"

    a = flow.step("a", id="a", optional=True)(skips)
    b = flow.step("b", id="b", optional=True)(skipped_by_run)
    c = flow.step("c", id="c", optional=True)(never)
    d = flow.step("d", id="d", optional=True)(scripted("d"))
    e = flow.step("e", id="e", optional=True, when=lambda r: a not in r)(never)
    dependent = flow.step("f", id="f", depends_on=[d])(scripted("f", "f"))

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.skip("d")
            with pytest.raises(GoBackError, match="step 'a' of flow 'f': skipped"):
                visit.run.go_back(a)
        return answering(visit)

    add(flow, "g", act)
    run = flow.prepare(observers=[log])
    run.skip(c)
    run.skip(e)
    results = await run.drive()
    assert log.visits == [
        *("a 1 first", "b 1 first", "d 1 first", "f 1 first", "g 1 first", "f 2 stale"),
    ]
    assert [results.outcome(step) for step in (a, b, c, d, e)] == [Skipped()] * 5
    assert results[dependent] == "f"
    assert log.of(AnswerSuperseded) == [AnswerSuperseded("b", 1, "superseded")]
    assert StepSkipped("d", changed=True, by_condition=False) in log


async def test_only_optional_steps_may_be_skipped() -> None:
    """The request is refused; in a step's own code it is the author's fault."""
    flow, log = Flow("f"), Log()

    async def act(visit: Visit) -> str:
        with pytest.raises(FlowError, match="declare the step with optional=True"):
            visit.skip()
        with pytest.raises(GoBackError, match="can't skip, step 'a' of flow 'f': not optional"):
            visit.run.skip("a")
        with pytest.raises(GoBackError, match="step 'nope' of flow 'f': unknown"):
            visit.run.skip("nope")
        return answering(visit)

    a = add(flow, "a", act)
    assert (await flow.run(observers=[log]))[a] == "a1"
    assert not log.of(StepSkipped)


async def test_what_someone_skipped_stays_skipped_when_its_condition_is_met_again() -> None:
    """They said they don't want to say; an answer, or a request, is still welcome."""
    flow, log = Flow("f"), Log()
    a = flow.step("a", id="a")(scripted(1, 2, 3, 0))
    b = flow.step("b", id="b", optional=True, when=lambda r: r[a] > 0)(scripted("b1", "b2"))

    async def act(visit: Visit) -> str:
        run = visit.run
        match visit.number:
            case 1:
                run.skip(b)
                await visit.go_back(a)
            case 2:
                assert run.results.outcome(b) == Skipped()
                run.answer(b, "told")
                assert run.results[b] == "told"
                run.skip(b)
                run.go_back(a)
                run.answer(a, 3)
                # In doubt, it is not known to be skipped, so it may be asked for.
                await visit.go_back(b)
            case _:
                return answering(visit)

    add(flow, "c", act)
    results = await flow.run(observers=[log])
    assert log.entered == ["a", "b", "c", "a", "c", "b", "c"]
    assert results[b] == "b2"


async def test_an_answer_to_a_step_of_another_flow_is_refused() -> None:
    """Types alone can't tell two flows apart."""
    flow, other = Flow("f"), Flow("g")
    a = add(flow, "a")
    foreign = add(other, "a")
    run = flow.prepare()
    with pytest.raises(
        GoBackError, match="can't answer, step 'a' of flow 'f': of another flow, 'g'"
    ):
        run.answer(foreign, "x")
    for read in (run.results.get, run.results.outcome, run.results.__getitem__):
        with pytest.raises(FlowError, match="<Step 'a' of flow 'g'> is not a step of this run"):
            read(foreign)
    assert (await run.drive())[a] == "a1"


async def test_an_early_answer_whose_input_changed_is_asked_although_its_condition_holds() -> None:
    """Given before its turn, it went stale before its turn."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def corrects(visit: Visit) -> str:
        visit.run.answer(a, "corrected")
        return answering(visit)

    add(flow, "b", corrects)
    c = flow.step("c", id="c", depends_on=[a], when=lambda _: True)(scripted("asked"))
    run = flow.prepare(observers=[log])
    run.answer(c, "early")
    results = await run.drive()
    assert log.visits == ["a 1 first", "b 1 first", "c 1 stale"]
    assert results[c] == "asked"


async def test_the_draft_of_a_requested_revisit_survives_its_condition() -> None:
    """The condition is evaluated again before the interrupted visit resumes: nothing settles."""
    flow = Flow("f")
    drafts: list[list[int]] = []
    a = add(flow, "a")

    async def act(visit: Visit) -> str:
        draft = visit.draft(list[int])
        draft.append(visit.number)
        drafts.append(draft.copy())
        if visit.number == 2:
            await visit.go_back(a)
        return answering(visit)

    b = flow.step("b", id="b", when=lambda _: True)(act)
    last(flow, b)
    await flow.run()
    assert drafts == [[1], [2], [2, 3]]


async def test_a_confirmation_given_early_goes_stale_like_any_other() -> None:
    """Its condition is still open, and an earlier answer changes meanwhile."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.answer(sure, "yes")
            await visit.go_back(a)
        return answering(visit)

    add(flow, "b", act)
    sure = flow.step("sure", id="sure", when=lambda _: True, always_ask=True)(scripted("asked"))
    results = await flow.run(observers=[log])
    assert log.visits[-1] == "sure 1 stale"
    assert results[sure] == "asked"


@pytest.mark.parametrize("reads", [False, True])
async def test_closing_does_not_make_an_answer_count_that_its_condition_refutes(
    reads: bool,
) -> None:
    """Given over a condition that didn't hold, it still waits for the condition."""
    flow = Flow("f")
    a = add(flow, "a")
    b = flow.step("b", id="b", when=lambda r: reads and r[a] == "no")(never)

    async def act(visit: Visit) -> str:
        visit.run.answer(b, "told")
        return answering(visit)

    flow.step("charge", id="charge", point_of_no_return=True)(act)
    assert (await flow.run()).outcome(b) == Skipped()


async def test_a_condition_may_ask_for_failures_and_count_answers() -> None:
    """It has then read every step before its own, and sees no other."""
    flow, log = Flow("f"), Log()
    seen: list[object] = []
    a = flow.step("a", id="a")(scripted(ValueError(), "healed"))

    def healthy(results: Results) -> bool:
        seen.append((len(results), [step.id for step in results], a in results))
        return results.exceptions is None

    b = flow.step("b", id="b", when=healthy)(scripted("b"))
    c = add(flow, "c")
    last(flow, a)
    results = await flow.run(observers=[log], return_exceptions=True)
    assert log.visits[2:] == ["last 1 first", "a 2 requested", "b 1 first", "last 2 resumed"]
    assert seen == [(0, [], False), (1, ["a"], True)]
    assert (results[b], results[c]) == ("b", "c1")


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


async def test_an_answer_in_doubt_changes_nothing_before_its_condition_is_known() -> None:
    """Its dependents are asked again when it counts, not when it was given."""
    flow, log = Flow("f"), Log()
    a = flow.step("a", id="a")(scripted(1))
    b = flow.step("b", id="b", when=lambda r: r[a] > 0)(scripted("b"))
    c = flow.step("c", id="c", depends_on=[b])(scripted("c", "c2"))

    async def act(visit: Visit) -> str:
        visit.run.answer(a, 2)
        visit.run.answer(b, "told")
        assert visit[c] == "c"
        return answering(visit)

    add(flow, "d", act)
    results = await flow.run(observers=[log])
    assert log.visits[3:] == ["d 1 first", "c 2 stale"]
    assert (results[b], results[c]) == ("told", "c2")


async def test_a_condition_is_in_doubt_only_by_what_it_read_last() -> None:
    """What it read at an earlier time, but not since, is nothing to it."""
    flow, log = Flow("f"), Log()
    a = flow.step("a", id="a")(scripted("look", "don't"))
    b = flow.step("b", id="b")(scripted("1", "2"))
    c = flow.step("c", id="c", when=lambda r: r[a] == "don't" or r[b] == "1")(scripted("c"))
    last(flow, a, b)
    results = await flow.run(observers=[log])
    assert log.of(StepsMadeStale) == [StepsMadeStale("a", (), ("c",))]
    assert log.of(ConditionEvaluated) == [
        ConditionEvaluated("c", holds=True, read=("a", "b")),
        ConditionEvaluated("c", holds=True, read=("a",)),
    ]
    assert results[c] == "c"


async def test_a_requested_step_whose_condition_raises_leaves_the_detour() -> None:
    """It has failed; the request for it is served by that."""
    flow, log = Flow("f"), Log()
    a = flow.step("a", id="a")(scripted(1, 0))
    b = flow.step("b", id="b", when=lambda r: 1 // r[a] == 1)(scripted("b"))

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(a, b)
        return answering(visit)

    add(flow, "c", act)
    results = await flow.run(observers=[log], return_exceptions=True)
    assert log.visits[3:] == ["a 2 requested", "c 2 resumed"]
    assert isinstance(results.outcome(b), Failed)


async def test_an_answer_both_stale_and_in_doubt_is_asked_again() -> None:
    """Its condition still holds, but what it was computed from is no longer so."""
    flow, log = Flow("f"), Log()
    a = flow.step("a", id="a")(scripted(1))

    async def act(visit: Visit) -> int:
        seen = visit[a]
        if visit.number == 1:
            visit.run.answer(a, 2)
        return seen

    b = flow.step("b", id="b", depends_on=[a], when=lambda r: r[a] > 0)(act)
    results = await flow.run(observers=[log])
    assert log.visits == ["a 1 first", "b 1 first", "b 2 stale"]
    assert results[b] == 2


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


async def test_skipping_twice_changes_nothing_the_second_time() -> None:
    """Skipped after skipped is no change, and an answer over an open condition is none yet."""
    flow, log = Flow("f"), Log()
    a = flow.step("a", id="a", optional=True)(never)
    b = flow.step("b", id="b", when=lambda _: True)(never)
    add(flow, "c", depends_on=(a,))
    run = flow.prepare(observers=[log])
    run.skip(a)
    run.skip(a)
    run.answer(b, "early")
    await run.drive()
    assert log.of(StepSkipped) == [StepSkipped("a", changed=False, by_condition=False)] * 2
    assert log.of(StepAnswered) == [StepAnswered("b", "early", changed=False)]


async def test_a_correction_interrupts_a_step_that_was_jumped_ahead_to() -> None:
    """It stands behind everything that has an outcome, and is based on the corrected answer."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def jumps(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.jump_ahead(d)
            await interrupted()
        return answering(visit)

    add(flow, "b", jumps)
    add(flow, "c")

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.answer(a, "corrected")
            await interrupted()
        return visit[a]

    d: Step[str] = add(flow, "d", act, depends_on=(a,))
    results = await flow.run(observers=[log])
    assert log.entered == ["a", "b", "d", "d", "b", "c"]
    assert results[d] == "corrected"


async def test_a_point_of_no_return_that_its_condition_refutes_closes_nothing() -> None:
    """It was answered early, but the answer doesn't count."""
    flow, log = Flow("f"), Log()
    a = flow.step("a", id="a")(scripted("no", "no"))
    charge = flow.step(
        "charge", id="charge", when=lambda r: r[a] == "yes", point_of_no_return=True
    )(never)
    last(flow, a)
    run = flow.prepare(observers=[log])
    run.answer(charge, "cash")
    results = await run.drive()
    assert log.visits[2:] == ["a 2 requested", "last 2 resumed"]
    assert results.outcome(charge) == Skipped()


async def test_an_equal_answer_over_an_open_condition_is_no_change() -> None:
    """When its condition turns out to hold, what depends on it is not asked again."""
    flow, log = Flow("f"), Log()
    a = flow.step("a", id="a")(scripted(1))
    b = flow.step("b", id="b", when=lambda r: r[a] > 0)(scripted("b"))
    flow.step("c", id="c", depends_on=[b])(scripted("c"))

    async def act(visit: Visit) -> str:
        visit.run.answer(a, 2)
        visit.run.answer(b, "b")
        return answering(visit)

    add(flow, "d", act)
    await flow.run(observers=[log])
    assert log.entered == ["a", "b", "c", "d"]
