"""Included flows: failures inside, and points of no return."""

from __future__ import annotations

import pytest
from addresses import Address, AddressFlow, Outer, done
from support import Log, add, failing_on, never

from reflow import (
    Event,
    Flow,
    GoBackError,
    Pending,
    Results,
    StepCompleted,
    StepFailedError,
    StepState,
    Visit,
)

pytestmark = pytest.mark.anyio


async def test_a_failure_inside_is_a_step_s_own() -> None:
    """It ends the run as itself, with the full address in its note."""
    outer = Outer(AddressFlow(zip_code=failing_on(1)))
    with pytest.raises(ValueError, match="1") as caught:
        await outer.run()
    assert caught.value.__notes__ == ["in step 'address.zip_code' of flow 'intake', visit 1"]


async def test_a_failure_inside_under_return_exceptions() -> None:
    """What is built of it fails for that reason; both are told."""
    outer = Outer(AddressFlow(zip_code=failing_on(1)))
    results = await outer.flow.run(return_exceptions=True)
    assert results.exceptions is not None
    kinds = [type(exc) for exc in results.exceptions.exceptions]
    assert kinds == [ValueError, StepFailedError]
    with pytest.raises(StepFailedError, match=r"'address' of flow 'intake' has no answer"):
        results[outer.address]


async def test_a_build_that_raises_is_a_failure_of_the_included_step() -> None:
    """With its address; the answers inside stay."""

    def build(results: Results) -> str:
        raise ValueError("build")

    flow, inner = Flow("f"), AddressFlow()
    address = flow.include(inner.flow, "address", id="address", build=build)
    results = await flow.run(return_exceptions=True)
    assert results[address.at(inner.street)] == "address.street1"
    with pytest.raises(ValueError, match="build") as caught:
        await flow.run()
    assert caught.value.__notes__ == ["in step 'address' of flow 'f', visit 1"]


async def test_a_point_of_no_return_inside_closes_what_is_before_it() -> None:
    """In flow order of the whole run: what was charged was charged for those answers."""
    inner, flow = AddressFlow(), Flow("f")
    inner.flow.step("charge", id="charge", point_of_no_return=True)(done)
    after = add(inner.flow, "after")
    name = add(flow, "name")
    payment = flow.include(inner.flow, "payment", id="payment", build=len)

    async def last(visit: Visit) -> str:
        with pytest.raises(GoBackError) as caught:
            visit.run.go_back(name, "payment.street", "payment.charge")
        assert set(caught.value.refused.values()) == {
            "behind the point of no return 'payment.charge'"
        }
        if visit.number == 1:
            await visit.go_back(payment)
        return "done"

    add(flow, "last", last)
    log = Log()
    await flow.run(observers=[log])
    assert log.entered[-4:] == ["last", "payment.after", "payment", "last"]
    assert after.revisitable


async def test_what_is_built_is_built_anew_behind_a_point_of_no_return() -> None:
    """It asks nobody anything; but it is closed, like the answers that it is built of."""

    async def charge(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(outer.zip_code, "charge")
        return "paid"

    def interfere(event: Event) -> None:
        if isinstance(event, StepCompleted) and event.step == "charge":
            assert run.results.outcome(outer.address) == Pending(StepState.STALE)
            for request in (run.go_back, run.skip):
                with pytest.raises(GoBackError, match="'address' of flow 'intake': behind the"):
                    request(outer.address)
            seen.append(event)

    seen: list[Event] = []
    outer = Outer()
    outer.flow.step("charge", id="charge", point_of_no_return=True)(charge)
    run = outer.flow.prepare(observers=[interfere, outer.log])
    results = await run.drive()
    assert outer.log.entered[5:] == ["charge", "address.zip_code", "charge", "address"]
    assert results[outer.address] == Address("address.street1", "address.zip_code2")
    assert len(seen) == 1


@pytest.mark.parametrize("what", ["inside", "around"])
async def test_when_nothing_inside_may_be_gone_back_to(what: str) -> None:
    """The refusal says why: the reason of what is inside, or its own."""
    inner, flow = Flow("inner"), Flow("f")
    step = inner.step("the only", id="only", revisitable=what != "inside")(done)
    included = flow.include(
        inner, "included", id="included", build=len, revisitable=what != "around"
    )

    async def last(visit: Visit) -> str:
        for target in (included, included.at(step)):
            with pytest.raises(GoBackError, match="not revisitable"):
                visit.run.go_back(target)
        return "done"

    add(flow, "last", last)
    await flow.run()


async def test_a_point_of_no_return_around_closes_all_inside() -> None:
    """From when it is built."""
    inner, flow = AddressFlow(), Flow("f")
    address = flow.include(
        inner.flow, "address", id="address", build=inner.build, point_of_no_return=True
    )

    async def last(visit: Visit) -> str:
        with pytest.raises(GoBackError, match="behind the point of no return 'address'"):
            visit.run.go_back(address.at(inner.street))
        with pytest.raises(GoBackError, match="behind the point of no return 'address'"):
            visit.run.answer(address.at(inner.street), "x")
        return "done"

    add(flow, "last", last)
    await flow.run()


async def test_going_back_to_what_was_all_skipped_builds_it_again() -> None:
    """There is nothing inside to ask, and nothing to refuse."""
    inner, flow, log = Flow("inner"), Flow("f"), Log()
    inner.step("the only", id="only", when=lambda _: False)(never)
    included = flow.include(inner, "included", id="included", build=len)

    async def last(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(included)
        return "done"

    add(flow, "last", last)
    await flow.run(observers=[log])
    assert log.entered == ["included", "last", "included", "last"]
