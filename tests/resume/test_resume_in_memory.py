"""Going on, in the same process, where another run was left: what is kept, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from in_memory import cancelled, waiting, waiting_on
from states import machine_of, state_of
from support import Log, add, answering, failing_on, interrupted

from reflow import (
    Flow,
    GoBackError,
    Opened,
    RunCompleted,
    RunFinishedError,
    RunStarted,
    RunState,
    RunStoppedError,
    Step,
    StepCompleted,
    Visit,
)

if TYPE_CHECKING:
    from reflow import Results

pytestmark = pytest.mark.anyio


async def test_answers_are_not_asked_again() -> None:
    """What is done stays done, what was under way is recovered, and the events say so."""
    flow, a, b = waiting()
    earlier = await cancelled(flow.prepare())
    log = Log()
    run = flow.prepare(observers=[log])
    run.resume(earlier)
    assert (run.state, run.active, run.results[a]) == (RunState.PREPARED, None, "a1")
    results = await run.drive()
    assert (results[a], results[b]) == ("a1", "b2")
    assert log.visits == ["b 2 recovered"]
    opened, started, *_ = log
    assert isinstance(opened, Opened)
    assert (opened.key, opened.resumed, opened.again) == ("", True, ())
    assert opened.run
    assert started == RunStarted("f")


@pytest.mark.parametrize("observed", [(False, False), (False, True), (True, False), (True, True)])
async def test_with_and_without_observers(observed: tuple[bool, bool]) -> None:
    """Whether anyone is told makes no difference, to neither of the two."""
    flow, _, b = waiting()
    logs = [Log(), Log()]
    observers = [[log] if told else [] for log, told in zip(logs, observed, strict=True)]
    earlier = await cancelled(flow.prepare(observers=observers[0]))
    run = flow.prepare(observers=observers[1])
    run.resume(earlier)
    assert (await run.drive())[b] == "b2"
    assert [bool(log) for log in logs] == [*observed]


async def test_the_earlier_run_stays_as_it_is() -> None:
    """Also what its results and exceptions say, and when it is gone on with twice."""
    flow = Flow("f")
    a, z = add(flow, "a"), add(flow, "z")

    def when(results: Results) -> bool:
        """Read the one step or both."""
        return results[a] != "no" and bool(results[z])

    reads = flow.step("d", id="reads", when=when)(failing_on(1))
    add(flow, "b", waiting_on(1, 2), depends_on=(a,))
    earlier = await cancelled(flow.prepare(return_exceptions=True))
    before = state_of(machine_of(earlier))
    before["readers"] = {i: {*readers} for i, readers in machine_of(earlier).readers.items()}
    for answer in ("no", "no", "yes"):
        run = flow.prepare()
        run.resume(earlier)
        run.answer(a, answer)
        await cancelled(run)
        assert (reads in run.results) is (answer == "yes")
        assert state_of(machine_of(earlier)) == before
        assert earlier.results[a] == "a1"
        assert earlier.results.exceptions is not None
        assert earlier.results is not run.results
        with pytest.raises(RunFinishedError):
            earlier.go_back(a)


async def test_a_resumed_run_is_resumed() -> None:
    """However often: the numbers of the visits go on, and so does what identifies the run."""
    flow, logs = Flow("f"), [Log(), Log(), Log()]
    add(flow, "a", waiting_on(1, 2, 3))
    run = await cancelled(flow.prepare())
    for log in logs[:2]:
        earlier, run = run, flow.prepare(observers=[log])
        run.resume(earlier)
        await cancelled(run)
    earlier, run = run, flow.prepare(observers=[logs[2]])
    run.resume(earlier)
    await run.drive()
    assert [log.visits for log in logs] == [[f"a {i} recovered"] for i in (2, 3, 4)]
    openings = [event for log in logs for event in log.of(Opened)]
    assert len({event.run for event in openings if isinstance(event, Opened)}) == 1


async def test_values_of_any_type_are_kept_as_they_are() -> None:
    """Those no journal could store, and sensitive ones, which none would."""
    flow, kept = Flow("f"), object()

    @flow.step("a thing")
    async def thing(visit: Visit) -> object:
        return kept

    @flow.step("a secret", sensitive=True)
    async def secret(visit: Visit) -> str:
        return "swordfish"

    add(flow, "b", waiting_on(1))
    log, earlier = Log(), await cancelled(flow.prepare())
    run = flow.prepare(observers=[log])
    run.resume(earlier)
    results = await run.drive()
    assert results[thing] is kept
    assert results[secret] == "swordfish"
    assert log.visits == ["b 2 recovered"]
    assert "swordfish" not in "".join(map(repr, log))


def keeping() -> tuple[Flow[None], Step[str], list[tuple[str, object]]]:
    """Make a flow whose second step has a draft, and notes its idempotency keys."""
    flow, seen = Flow("f"), list[tuple[str, object]]()
    add(flow, "a")

    async def act(visit: Visit) -> str:
        draft = visit.draft(list[int])
        draft.append(visit.number)
        seen.append((visit.idempotency_key, draft))
        if visit.number == 1:
            await interrupted()
        return answering(visit)

    b = add(flow, "b", act)

    async def back(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(b)
        return answering(visit)

    add(flow, "last", back)
    return flow, b, seen


async def test_drafts_and_idempotency_keys_are_kept() -> None:
    """Until the step has its answer: then there are new ones."""
    flow, _, seen = keeping()
    earlier = await cancelled(flow.prepare())
    run = flow.prepare()
    run.resume(earlier)
    await run.drive()
    (first, half), (second, whole), (third, anew) = seen
    assert first == second != third
    assert half is whole
    assert (whole, anew) == ([1, 2], [3])
    # Another run that goes on from there finds what it was left, not what this one made of it.
    assert machine_of(earlier).visits == [1, 1, 0]
    again = flow.prepare()
    again.resume(earlier)
    await again.drive()
    assert seen[3][0] == first
    assert seen[3][1] is half


@pytest.mark.parametrize("before", [True, False])
async def test_an_answer_from_outside_ends_the_draft(*, before: bool) -> None:
    """Whether it is given before or after resuming."""
    flow, b, seen = keeping()
    earlier = await cancelled(flow.prepare())
    run = flow.prepare()
    if before:
        run.answer(b, "given")
    run.resume(earlier)
    if not before:
        run.answer(b, "given")
    await run.drive()
    assert [draft for _, draft in seen] == [[1], [2]]


async def test_a_detour_goes_on() -> None:
    """What was asked for comes in its order, then the step that was left for it."""
    flow, log = Flow("f"), Log()
    a, b = add(flow, "a", waiting_on(2)), add(flow, "b")
    c = add(flow, "c")

    async def back(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(b, a, c)
        return answering(visit)

    add(flow, "d", back)
    earlier = await cancelled(flow.prepare())
    run = flow.prepare(observers=[log])
    run.resume(earlier)
    assert run.detour == (c,)
    await run.drive()
    assert log.visits == ["a 3 recovered", "c 2 requested", "d 2 resumed"]


async def test_requests_that_were_pending() -> None:
    """Made right before the end, they are served, also of a run that was stopped."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def leave(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.go_back(a)
            visit.stop("enough")
        return answering(visit)

    add(flow, "b", leave)
    earlier = flow.prepare()
    with pytest.raises(RunStoppedError):
        await earlier.drive()
    run = flow.prepare(observers=[log])
    run.resume(earlier)
    await run.drive()
    assert log.visits == ["a 2 requested", "b 2 resumed"]


@pytest.mark.parametrize("needed", [False, True])
async def test_stale_marks_and_conditions(*, needed: bool) -> None:
    """What is stale runs again, what is in doubt is looked at again: before it only if needed."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")
    b = add(flow, "b", depends_on=(a,))
    flow.step("d", id="if", when=lambda results: results[a] != "new")(waiting_on())

    async def correct(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.answer(a, "new")
            await interrupted()
        return answering(visit)

    c = add(flow, "c", correct, depends_on=(b,) if needed else ())
    earlier = await cancelled(flow.prepare())
    run = flow.prepare(observers=[log])
    run.resume(earlier)
    assert b not in run.results
    results = await run.drive()
    visits = ["c 2 recovered", "b 2 stale"]
    assert log.visits == (visits[::-1] if needed else visits)
    assert [step.id for step in results] == ["a", "b", "c"]
    assert c in results


async def test_skipped_stays_skipped() -> None:
    """By its condition, and by someone; also what had failed before it was skipped."""
    flow, log = Flow("f"), Log()
    flow.step("d", id="never", when=lambda results: False)(failing_on())
    bad = flow.step("d", id="bad", optional=True)(failing_on(1))

    async def skip(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.skip(bad)
            await interrupted()
        return answering(visit)

    add(flow, "c", skip)
    earlier = await cancelled(flow.prepare(return_exceptions=True))
    run = flow.prepare(observers=[log])
    run.resume(earlier)
    results = await run.drive()
    assert log.visits == ["c 2 recovered"]
    # Being skipped doesn't make a failure good.
    assert results.exceptions is not None


async def test_points_of_no_return_stay_closed() -> None:
    """What is behind one can't be asked for, before resuming neither."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")
    flow.step("d", id="pay", point_of_no_return=True)(failing_on())
    add(flow, "c", waiting_on(1))
    earlier = await cancelled(flow.prepare())
    run = flow.prepare(observers=[log])
    run.resume(earlier)
    with pytest.raises(GoBackError, match="behind the point of no return 'pay'"):
        run.go_back(a)
    await run.drive()
    assert log.visits == ["c 2 recovered"]


async def test_a_complete_run_asks_nothing_more() -> None:
    """Not even what has failed; it says that it is complete, and may be gone back in."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")
    add(flow, "bad", failing_on(1, 2))
    complete = flow.prepare(return_exceptions=True)
    await complete.drive()
    run = flow.prepare(observers=[log])
    run.resume(complete)
    results = await run.drive()
    assert results[a] == "a1"
    assert results.exceptions is not None
    opened, *rest = log
    assert isinstance(opened, Opened)
    assert rest == [RunStarted("f"), RunCompleted()]
    log.clear()
    again = flow.prepare(observers=[log])
    again.resume(run)
    again.go_back(a)
    await again.drive()
    assert log.visits == ["a 2 requested"]


async def test_the_age_of_tools() -> None:
    """It is counted from here: those made before and after resuming are as old, and honoured."""
    flow, log, said = Flow("f"), Log(), list[str]()
    for name in "abc":
        add(flow, name)

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            await interrupted()
        if not said:
            said.extend(tool.call({"steps": ["a"]}) for tool in tools)
            await interrupted()
        return answering(visit)

    add(flow, "d", act)
    earlier = await cancelled(flow.prepare())
    run = flow.prepare(observers=[log])
    before = run.tools(constant=True)[0]
    run.resume(earlier)
    tools = (before, run.tools()[0])
    await run.drive()
    assert [text.partition(".")[0] for text in said] == ["Done", "Done"]
    assert log.visits == ["d 2 recovered", "a 2 requested", "d 3 resumed"]


async def test_on_completed_is_called_for_what_completes_now() -> None:
    """Whoever made the earlier run was told of the rest."""
    flow, _, _ = waiting()
    earlier = await cancelled(flow.prepare())
    told: list[str] = []

    async def tell(event: StepCompleted) -> None:
        told.append(event.step)

    run = flow.prepare(on_completed=tell)
    run.resume(earlier)
    await run.drive()
    assert told == ["b"]
