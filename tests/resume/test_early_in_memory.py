"""Resuming in memory: what was asked for before, and flows that are declared otherwise."""

from __future__ import annotations

from typing import Annotated

import pytest
from in_memory import ended, leaving, resumed
from support import Log, add, answering, failing_on

from reflow import Flow, FlowChangedError, GoBackError, Step, Visit

pytestmark = pytest.mark.anyio


def closing() -> Flow[None]:
    """Make a flow that is left behind its point of no return."""
    flow = Flow("f")
    add(flow, "a")
    flow.step("d", id="pay", point_of_no_return=True)(failing_on())
    flow.step("d", id="c", optional=True)(leaving())
    add(flow, "d")
    return flow


def step_of(flow: Flow[None], i: int) -> Step[str]:
    """Give a step, as what they all are here."""
    step = flow.steps[i]
    assert isinstance(step, Step)
    return step


@pytest.mark.parametrize("observed", [False, True])
async def test_all_kinds(*, observed: bool) -> None:
    """An answer, a skip and a request count in the order in which they came."""
    flow, log = closing(), Log()
    earlier = await ended(flow.prepare())
    run = flow.prepare(observers=[log] if observed else [])
    run.skip("c")
    run.answer(step_of(flow, 3), "early")
    run.jump_ahead("d")
    run.resume(earlier)
    assert run.detour == (flow.steps[3],)
    results = await run.drive()
    assert results[step_of(flow, 3)] == "d1"
    assert [step.id for step in results] == ["a", "pay", "d"]
    assert log.entered == ["d"] * observed


async def test_the_same_answer_is_no_news() -> None:
    """Who fills in what is known does so every time, also behind a point of no return."""
    flow, log = closing(), Log()
    run = await ended(flow.prepare())
    for visits in (["c 2 recovered", "d 1 first"], []):
        log.clear()
        earlier, run = run, flow.prepare(observers=[log])
        run.answer(step_of(flow, 0), "a1")
        run.resume(earlier)
        await run.drive()
        assert log.visits == visits


async def test_another_answer_is_news() -> None:
    """What depends on it runs again."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")
    add(flow, "b", depends_on=(a,))
    add(flow, "c", leaving())
    earlier = await ended(flow.prepare())
    run = flow.prepare(observers=[log])
    run.answer(a, "new")
    run.resume(earlier)
    await run.drive()
    assert log.visits == ["c 2 recovered", "b 2 stale"]


async def test_the_last_word_counts() -> None:
    """Answered, then skipped: the answer is what the step may offer when it is asked."""
    flow, log, offered = Flow("f"), Log(), list[object]()

    async def act(visit: Visit) -> str:
        offered.append(visit.get(a))
        return answering(visit)

    a = flow.step("d", id="a", optional=True)(act)
    b = add(flow, "b", leaving())
    earlier = await ended(flow.prepare())
    run = flow.prepare(observers=[log])
    run.answer(a, "early")
    run.skip(a)
    run.resume(earlier)
    assert a not in run.results
    run.answer(b, "given")
    run.answer(a, "late")
    run.go_back(a)
    await run.drive()
    assert offered == [None, "late"]


async def test_what_is_refused() -> None:
    """All of it at once, and nothing has changed: neither of the two runs, nor what was asked."""
    flow, log = closing(), Log()
    earlier = await ended(flow.prepare())
    run = flow.prepare(observers=[log])
    run.answer(step_of(flow, 0), "other")
    run.jump_ahead("pay", "d")
    match = "(?s)before it was resumed is refused.*'a': behind the point.*'pay': behind the point"
    with pytest.raises(GoBackError, match=match) as raised:
        run.resume(earlier)
    assert sorted(raised.value.refused) == ["a", "pay"]
    assert run.results[step_of(flow, 0)] == "other"
    assert [step.id for step in run.detour] == ["pay", "d"]
    assert earlier.results[step_of(flow, 0)] == "a1"
    # It can still begin anew, or another one go on.
    await ended(run)
    assert log.visits[:2] == ["pay 1 requested", "d 1 requested"]
    await resumed(earlier, flow, log).drive()
    assert log.visits[-2:] == ["c 2 recovered", "d 1 first"]


def declared(name: str = "f", *, order: str = "ab", **options: object) -> Flow[None]:
    """Make a flow; the options are those of its last step."""
    flow = Flow(name)
    for letter in order[:-1]:
        add(flow, letter)
    flow.step("d", id=order[-1], **options)(leaving())  # type: ignore[call-overload]  # they fit
    return flow


async def test_a_flow_declared_alike() -> None:
    """As by two calls of one function, whatever the objects are."""
    earlier = await ended(declared().prepare())
    flow, log = declared(), Log()
    results = await resumed(earlier, flow, log).drive()
    assert log.visits == ["b 2 recovered"]
    assert results[step_of(flow, 0)] == "a1"


def of_number(flow: Flow[None]) -> None:
    """Add a step `b` of another type."""

    @flow.step("d", id="b")
    async def number(visit: Visit) -> int:
        return 1


async def test_flows_declared_differently() -> None:
    """Everything that a journal would mind, and the types of sensitive steps; all at once."""
    earlier = await ended(declared().prepare())
    number, needing = declared(order="a"), declared(order="a")
    of_number(number)
    cases = {
        "the flow was 'f', it is 'g'": declared("g"),
        "step 'b' is gone": declared(order="a"),
        "step 'c' is new": declared(order="abc"),
        "the order was a, b, it is b, a": declared(order="ba"),
        "step 'b' was of type 'str', it is of type 'int'": number,
        "step 'b' wasn't declared with when=, it is now": declared(when=lambda results: True),
        "step 'b' wasn't declared with always_ask=True": declared(always_ask=True),
        "step 'b' wasn't declared with point_of_no": declared(point_of_no_return=True),
        "step 'b' wasn't declared with revisitable=False": declared(revisitable=False),
        "step 'b' wasn't declared with optional=True": declared(optional=True),
        "step 'b' wasn't declared with sensitive=True": declared(sensitive=True),
        "step 'b' depended on nothing, it depends on a": needing,
    }
    needing.step("d", id="b", depends_on=needing.steps)(leaving())
    for difference, flow in cases.items():
        run = flow.prepare()
        with pytest.raises(FlowChangedError) as raised:
            run.resume(earlier)
        assert any(text.startswith(difference) for text in raised.value.differences)
        assert all(text in str(raised.value) for text in raised.value.differences)
        assert not len(run.results)
        assert "not declared as in the run to go on with" in str(raised.value)


async def test_types_that_differ_only_by_their_place_in_memory() -> None:
    """What a function declares anew each time it is called is declared alike."""

    def made(secret: object) -> Flow[None]:
        flow = Flow("f")

        async def act(visit: Visit) -> str:
            return await leaving()(visit)

        act.__annotations__["return"] = secret
        flow.step("d", id="a", sensitive=True)(act)
        return flow

    def check(value: object) -> bool:
        return True

    def another(value: object) -> bool:
        return True

    earlier = await ended(made(Annotated[str, check]).prepare())
    made(Annotated[str, check]).prepare().resume(earlier)
    with pytest.raises(FlowChangedError, match="step 'a' was of type"):
        made(Annotated[str, another]).prepare().resume(earlier)
    flows = [made(Annotated[str, (lambda _: True)]) for _ in range(2)]
    flows[1].prepare().resume(await ended(flows[0].prepare()))
