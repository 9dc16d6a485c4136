"""Included flows: what makes them run again, what their conditions do."""

from __future__ import annotations

import pytest
from addresses import Address, AddressFlow, Outer, done
from support import Log, add, answering, interrupted, never, scripted

from reflow import (
    Failed,
    Flow,
    FlowError,
    Pending,
    Results,
    Skipped,
    StepNotDoneError,
    StepState,
    Visit,
)

pytestmark = pytest.mark.anyio


async def test_all_inside_runs_again_when_an_input_changed() -> None:
    """What the included step depends on, everything inside depends on; also mid-way."""
    inner, flow, log = AddressFlow(), Flow("f"), Log()
    plan = add(flow, "plan")
    address = flow.include(
        inner.flow, "address", id="address", build=inner.build, depends_on=[plan]
    )

    async def last(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(plan)
        return "done"

    add(flow, "last", last)
    results = await flow.run(observers=[log])
    assert log.visits[5:] == [
        "plan 2 requested",
        "address.street 2 stale",
        "address.zip_code 2 stale",
        "address 2 stale",
        "last 2 resumed",
    ]
    assert results[address] == Address("address.street2", "address.zip_code2")
    assert address.depends_on == (plan, *address.steps)
    assert address.at(inner.street).depends_on == (plan,)


async def test_an_input_that_changes_while_inside() -> None:
    """The visit inside goes by what was, so it is interrupted; what is done inside is stale."""

    async def zip_code(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.answer(plan, "another")
            await interrupted()
        return answering(visit)

    inner, flow, log = AddressFlow(zip_code=zip_code), Flow("f"), Log()
    plan = add(flow, "plan")
    flow.include(inner.flow, "address", id="address", build=inner.build, depends_on=[plan])
    await flow.run(observers=[log])
    assert log.visits == [
        "plan 1 first",
        "address.street 1 first",
        "address.zip_code 1 first",
        "address.street 2 stale",
        "address.zip_code 2 resumed",
        "address 1 first",
    ]


async def test_always_ask_looks_at_what_is_before_the_included_flow() -> None:
    """A change inside makes nothing else inside run again, one before it everything."""
    inner, flow, log = AddressFlow(), Flow("f"), Log()
    name = add(flow, "name")
    address = flow.include(
        inner.flow, "confirmed", id="confirmed", build=inner.build, always_ask=True
    )

    async def last(visit: Visit) -> str:
        if visit.number <= 2:
            await visit.go_back([address.at(inner.street), name][visit.number - 1])
        return "done"

    add(flow, "last", last)
    await flow.run(observers=[log])
    assert log.entered[5:] == [
        *("confirmed.street", "confirmed", "last"),
        *("name", "confirmed.street", "confirmed.zip_code", "confirmed", "last"),
    ]


async def test_a_confirmation_inside_looks_at_all_before_it() -> None:
    """`always_ask` of a step inside means what it means anywhere: any step before it."""
    inner, flow, log = AddressFlow(), Flow("f"), Log()
    inner.flow.step("right?", id="right", always_ask=True)(scripted("yes", "yes", "yes"))
    name = add(flow, "name")
    address = flow.include(inner.flow, "address", id="address", build=inner.build)

    async def last(visit: Visit) -> str:
        if visit.number <= 2:
            await visit.go_back([address.at(inner.street), name][visit.number - 1])
        return "done"

    add(flow, "last", last)
    await flow.run(observers=[log])
    assert log.entered[6:] == [
        *("address.street", "address.right", "address", "last"),
        *("name", "address.right", "last"),
    ]


async def test_a_condition_skips_all_inside() -> None:
    """And when it holds after all, all of it is asked."""
    inner, flow, log = AddressFlow(), Flow("f"), Log()
    wanted = flow.step("wanted", id="wanted")(scripted("no", "yes"))
    address = flow.include(
        inner.flow, "address", id="address", build=inner.build, when=lambda r: r[wanted] == "yes"
    )

    async def last(visit: Visit) -> str:
        results = visit.run.results
        if visit.number == 1:
            assert {type(results.outcome(step)) for step in (*address.steps, address)} == {Skipped}
            await visit.go_back(wanted)
        return "done"

    add(flow, "last", last)
    results = await flow.run(observers=[log])
    assert log.entered == [
        *("wanted", "last", "wanted"),
        *("address.street", "address.zip_code", "address", "last"),
    ]
    assert results[address] == inner.built[0]
    assert address.at(inner.street).conditional


async def test_conditions_around_and_inside_hold_together() -> None:
    """The outer one is asked first; only if it holds, the inner one is."""
    asked: list[str] = []
    inner = AddressFlow()

    def abroad(results: Results) -> bool:
        asked.append("inner")
        return results[inner.street] == "abroad"

    country = inner.flow.step("country", id="country", when=abroad)(done)
    flow, log = Flow("f"), Log()
    wanted = flow.step("wanted", id="wanted")(scripted("no", "yes"))
    address = flow.include(
        inner.flow, "address", id="address", build=len, when=lambda r: r[wanted] == "yes"
    )

    async def last(visit: Visit) -> str:
        if visit.number == 1:
            assert not asked
            await visit.go_back(wanted)
        return "done"

    add(flow, "last", last)
    results = await flow.run(observers=[log])
    assert asked == ["inner"]
    assert results[address] == 2
    assert results.outcome(address.at(country)) == Skipped()


async def test_a_condition_that_raises_is_one_failure() -> None:
    """Of the included step; what is inside is skipped and asks nobody anything."""
    flow = Flow("f")
    inner = AddressFlow(never, never)

    def when(results: Results) -> bool:
        raise ValueError("condition")

    address = flow.include(inner.flow, "address", id="address", build=inner.build, when=when)
    results = await flow.run(return_exceptions=True)
    assert results.exceptions is not None
    assert [str(exc) for exc in results.exceptions.exceptions] == ["condition"]
    assert isinstance(results.outcome(address), Failed)
    assert results.outcome(address.at(inner.street)) == Skipped()
    with pytest.raises(ValueError, match="condition") as caught:
        await flow.run()
    assert caught.value.__notes__ == ["in the condition of step 'address' of flow 'f', visit 0"]


async def test_a_condition_reads_nothing_inside_its_own_step() -> None:
    """What is inside isn't before it, although it stands before it in flow order."""
    flow, inner = Flow("f"), AddressFlow(never, never)
    address = flow.include(
        inner.flow, "address", id="address", build=inner.build, when=lambda r: inner.street in r
    )
    with pytest.raises(FlowError, match=r"'address' of flow 'f' reads step 'address.street'"):
        await flow.run()
    assert address.conditional


async def test_reading_an_included_step_that_is_not_built_yet() -> None:
    """Its state says why, as anywhere."""

    async def zip_code(visit: Visit) -> str:
        assert visit.run.results.outcome(outer.address) == Pending(StepState.PENDING)
        with pytest.raises(StepNotDoneError, match="'address' of flow 'intake'"):
            visit[outer.address]
        return "z"

    outer = Outer(AddressFlow(zip_code=zip_code))
    await outer.run()


async def test_drafts_inside_end_with_the_step() -> None:
    """A draft lasts until its step settles, also when that is because of the flow around it."""

    async def zip_code(visit: Visit) -> str:
        drafts.append(visit.draft(list))
        if visit.number == 1:
            visit.run.answer(outer.address, Address("a", "b"))
            await interrupted()
        return answering(visit)

    async def after(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(outer.address)
        return "done"

    drafts: list[list[str]] = []
    outer = Outer(AddressFlow(zip_code=zip_code), after=after)
    await outer.run()
    assert len(drafts) == 2
    assert drafts[0] is not drafts[1]
