"""Conditions."""

from __future__ import annotations

from typing import TypeVar

import pytest
from support import Log, add, answering, interrupted, last, never, scripted

from reflow import (
    ConditionEvaluated,
    Done,
    Failed,
    Flow,
    FlowError,
    Pending,
    Results,
    Skipped,
    Step,
    StepNotDoneError,
    StepsMadeStale,
    StepState,
    Visit,
)

pytestmark = pytest.mark.anyio

T = TypeVar("T")


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
    flow.step("b", id="b", when=lambda r: r[a])(never)  # type: ignore[arg-type,return-value]  # the point
    await flow.run(observers=[log])
    assert log.entered == ["a"]
    assert log.of(ConditionEvaluated) == [ConditionEvaluated("b", False, ("a",))]


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
