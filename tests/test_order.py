"""The order of visits."""

from __future__ import annotations

import subprocess
import sys

import pytest
from support import Log, add, answering, interrupted

from reflow import (
    Done,
    Flow,
    GoBackError,
    GoBackRequested,
    Pending,
    Reason,
    Skipped,
    StepInterrupted,
    StepState,
    Visit,
)

pytestmark = pytest.mark.anyio


async def test_steps_run_in_flow_order() -> None:
    """Without requests a flow is a straight line, each step visited once."""
    flow, log = Flow("f"), Log()
    steps = [add(flow, name) for name in "abc"]
    results = await flow.run(observers=[log])
    assert log.visits == ["a 1 first", "b 1 first", "c 1 first"]
    assert [results[step] for step in steps] == ["a1", "b1", "c1"]


async def test_a_flow_without_steps_completes() -> None:
    """A flow built by a loop that added nothing is no special case."""
    assert len(await Flow("empty").run()) == 0


async def test_going_back_keeps_the_requested_order_and_resumes() -> None:
    """The requested steps run in the order requested, then the interrupted one resumes."""
    flow, log = Flow("f"), Log()
    a, b = add(flow, "a"), add(flow, "b")

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(b, a)
        return answering(visit)

    add(flow, "c", act)
    add(flow, "d")
    run = flow.prepare(observers=[log])
    await run.drive()
    assert log.visits == [
        *("a 1 first", "b 1 first", "c 1 first"),
        *("b 2 requested", "a 2 requested", "c 2 resumed", "d 1 first"),
    ]
    assert run.detour == ()


async def test_steps_and_ids_are_both_targets_and_duplicates_count_once() -> None:
    """A step named twice runs once, where it was named first."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")
    add(flow, "b")

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back("b", a, "b", "a", a)
        return answering(visit)

    add(flow, "c", act)
    await flow.run(observers=[log])
    assert log.entered == ["a", "b", "c", "b", "a", "c"]


async def test_a_bad_target_is_refused_and_nothing_happens() -> None:
    """Every bad target is named with its reason, and the good one beside them isn't visited."""
    flow, other, log = Flow("f"), Flow("other"), Log()
    foreign = add(other, "x")
    a = add(flow, "a")

    @flow.step("never asked", when=lambda r: r[a] == "?")
    async def skipped(visit: Visit) -> str:
        raise AssertionError

    @flow.step("asked once", revisitable=False)
    async def once(visit: Visit) -> str:
        return answering(visit)

    caught: list[GoBackError] = []

    async def act(visit: Visit) -> str:
        with pytest.raises(GoBackError) as info:
            await visit.go_back(a, "nope", foreign, later, skipped, once)
        caught.append(info.value)
        assert visit.run.detour == ()
        return answering(visit)

    add(flow, "b", act)
    later = add(flow, "later")
    results = await flow.run(observers=[log])
    assert caught[0].refused == {
        "nope": "unknown",
        "x": "of another flow, 'other'",
        "later": "not visited yet",
        "skipped": "skipped",
        "once": "not revisitable",
    }
    for name, reason in caught[0].refused.items():
        assert f"can't go back, step {name!r} of flow 'f': {reason}" in str(caught[0])
    assert log.entered == ["a", "once", "b", "later"]
    assert not log.of(GoBackRequested, StepInterrupted)
    assert results.outcome(skipped) == Skipped()


async def test_no_target_is_an_error() -> None:
    """`go_back()` would otherwise be a silent restart."""
    flow = Flow("f")

    async def act(visit: Visit) -> str:
        with pytest.raises(GoBackError, match="can't go back in flow 'f': no step was named"):
            visit.run.go_back()
        with pytest.raises(GoBackError, match="can't jump ahead in flow 'f': no step was named"):
            visit.run.jump_ahead()
        return answering(visit)

    a = add(flow, "a", act)
    assert (await flow.run())[a] == "a1"


async def test_the_active_step_as_a_target_restarts_in_its_place_and_runs_once() -> None:
    """Retaking is going back to the active step; in a list it keeps its place."""
    flow, log = Flow("f"), Log()
    a, b = add(flow, "a"), add(flow, "b")

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(b, visit.step, a)
        return answering(visit)

    add(flow, "c", act)
    await flow.run(observers=[log])
    assert log.visits[3:] == ["b 2 requested", "c 2 requested", "a 2 requested"]


async def test_retake_restarts_the_active_step() -> None:
    """`run.retake()` is the short way to say so; without an active step it is refused."""
    flow, log = Flow("f"), Log()

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.retake()
            await interrupted()
        return answering(visit)

    a = add(flow, "a", act)
    run = flow.prepare(observers=[log])
    with pytest.raises(GoBackError, match="no step is active"):
        run.retake()
    results = await run.drive()
    assert log.visits == ["a 1 first", "a 2 requested"]
    assert results[a] == "a2"


async def test_retake_of_a_step_that_is_not_revisitable_is_refused() -> None:
    """Retaking is a way of going back, and refused like it."""
    flow = Flow("f")

    @flow.step("once", revisitable=False)
    async def once(visit: Visit) -> int:
        with pytest.raises(GoBackError, match="not revisitable"):
            visit.run.retake()
        return visit.number

    assert (await flow.run())[once] == 1


async def test_requests_merge_until_the_next_visit_begins() -> None:
    """Two requests in one visit run in order of arrival; a step in both keeps its first place."""
    flow, log = Flow("f"), Log()
    a, b, c = (add(flow, name) for name in "abc")

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.go_back(c, a)
            visit.run.go_back(b, c)
            assert visit.run.detour == (c, a, b)
            await interrupted()
        return answering(visit)

    add(flow, "d", act)
    await flow.run(observers=[log])
    assert log.entered == ["a", "b", "c", "d", "c", "a", "b", "d"]


async def test_a_request_during_a_detour_comes_before_its_rest() -> None:
    """The interrupted step of the detour goes back into it, right behind the new targets."""
    flow, log = Flow("f"), Log()
    a, b = add(flow, "a"), add(flow, "b")

    async def during(visit: Visit) -> str:
        if visit.number == 2:
            await visit.go_back(a)
        return answering(visit)

    c = add(flow, "c", during)

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(c, b)
        return answering(visit)

    add(flow, "d", act)
    await flow.run(observers=[log])
    assert log.visits[4:] == [
        *("c 2 requested", "a 2 requested", "c 3 requested", "b 2 requested", "d 2 resumed"),
    ]


async def test_a_target_that_already_stands_in_the_detour_moves() -> None:
    """Asked for again, it comes earlier, and still runs only once."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def during(visit: Visit) -> str:
        if visit.number == 2:
            await visit.go_back(c)
        return answering(visit)

    b = add(flow, "b", during)
    c = add(flow, "c")

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(b, a, c)
        return answering(visit)

    add(flow, "d", act)
    await flow.run(observers=[log])
    assert log.entered[4:] == ["b", "c", "b", "a", "d"]


async def test_entering_a_step_serves_every_request_for_it() -> None:
    """A step that runs first because it is needed is not run again for its own request."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")
    b = add(flow, "b", depends_on=(a,))
    c = add(flow, "c", depends_on=(b,))

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(a, c, b)
        return answering(visit)

    add(flow, "d", act)
    await flow.run(observers=[log])
    # `a` changes, `b` goes stale, `c` needs it: `b` runs before `c` and is thereby served.
    assert log.visits[4:] == ["a 2 requested", "b 2 requested", "c 2 requested", "d 2 resumed"]


async def test_a_detour_head_waits_for_inputs_behind_settled_inputs() -> None:
    """What a step needs is looked for through settled steps, too; the first of it runs first."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def same(visit: Visit) -> str:
        return "same"

    b = add(flow, "b", same, depends_on=(a,))
    c = add(flow, "c", depends_on=(b,))
    unrelated = add(flow, "unrelated", depends_on=(a,))
    d = add(flow, "d", depends_on=(c,))

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(a, d)
        return answering(visit)

    add(flow, "e", act)
    await flow.run(observers=[log])
    # `d` needs `b` through `c`, which is settled and stays so; `unrelated` can wait.
    assert log.visits[6:] == [
        *("a 2 requested", "b 2 stale", "d 2 requested", "unrelated 2 stale", "e 2 resumed"),
    ]
    assert unrelated.depends_on == (a,)


async def test_a_step_answered_early_may_be_gone_back_to() -> None:
    """It has an answer that may be wrong, although it was never visited."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(a)
        return answering(visit)

    add(flow, "b", act)
    run = flow.prepare(observers=[log])
    run.answer(a, "early")
    results = await run.drive()
    assert log.visits == ["b 1 first", "a 1 requested", "b 2 resumed"]
    assert results[a] == "a1"


async def test_the_state_can_be_read_at_any_time() -> None:
    """Active step, detour and outcomes tell a front end what to draw."""
    flow = Flow("f")
    a = add(flow, "a")
    seen: list[object] = []

    async def act(visit: Visit) -> str:
        run = visit.run
        seen.append((run.active, run.detour, run.results.outcome(a), visit.reason))
        seen.append(run.results.outcome(b))
        if visit.number == 1:
            run.go_back(a)
            seen.append((run.active, run.detour))
            await interrupted()
        return answering(visit)

    b = add(flow, "b", act)
    run = flow.prepare()
    assert (run.state.value, run.results.outcome(b)) == ("prepared", Pending())
    await run.drive()
    assert seen[:3] == [
        (b, (), Done("a1"), Reason.FIRST),
        Pending(StepState.ACTIVE),
        (b, (a,)),
    ]
    assert run.state.value == "completed"
    assert run.active is None


def test_the_order_does_not_depend_on_hashing() -> None:
    """The same requests give the same plan in every process."""
    code = """
import anyio
from reflow import Flow, Visit, GoBackError
flow = Flow("f")
async def act(visit: Visit) -> int:
    if visit.step.id == "s5" and visit.number == 1:
        try:
            visit.run.go_back("zz", "yy", "xx")
        except GoBackError as error:
            print(error)
        await visit.go_back("s3", "s1", "s2")
    return visit.number
for i in range(6):
    flow.step("d", id=f"s{i}", depends_on=flow.steps)(act)
anyio.run(lambda: flow.run(observers=[print]))
"""
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            text=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(outputs) == 1
