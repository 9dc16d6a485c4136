"""Included flows: skipping and answering them as a whole, and what is asked after that."""

from __future__ import annotations

import pytest
from addresses import Address, AddressFlow, Outer, done
from support import Log, add, answering, interrupted, never, scripted

from reflow import (
    Done,
    Flow,
    GoBackError,
    Skipped,
    StepSkipped,
    Visit,
)

pytestmark = pytest.mark.anyio


async def test_skipping_an_included_step_skips_all_inside() -> None:
    """Done or not, active or not; nothing inside is asked, and one event says so."""

    async def zip_code(visit: Visit) -> str:
        visit.run.skip("address")
        await interrupted()

    inner, flow, log = AddressFlow(zip_code=zip_code), Flow("f"), Log()
    address = flow.include(inner.flow, "address", id="address", build=inner.build, optional=True)
    street = address.at(inner.street)
    dependent = add(flow, "dependent", done, depends_on=(street,))
    results = await flow.run(observers=[log])
    assert log.entered == ["address.street", "address.zip_code", "dependent"]
    assert {type(results.outcome(step)) for step in (*address.steps, address)} == {Skipped}
    assert log.of(StepSkipped) == [StepSkipped("address", False, False)]
    assert results[dependent] == "done"


async def test_what_depends_on_what_was_inside_runs_again_when_that_is_skipped() -> None:
    """An outcome inside changed, from answered to skipped."""
    inner, flow, log = AddressFlow(), Flow("f"), Log()
    address = flow.include(inner.flow, "address", id="address", build=inner.build, optional=True)
    add(flow, "dependent", done, depends_on=(address.at(inner.street),))

    async def last(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.skip(address)
        return "done"

    add(flow, "last", last)
    await flow.run(observers=[log])
    assert log.visits[3:] == ["dependent 1 first", "last 1 first", "dependent 2 stale"]


async def test_only_an_optional_included_step_may_be_skipped() -> None:
    """Whatever the steps inside are."""
    inner, flow = AddressFlow(), Flow("f")
    inner.flow.step("flat", id="flat", optional=True)(done)
    flow.include(inner.flow, "address", id="address", build=inner.build)
    run = flow.prepare()
    with pytest.raises(GoBackError, match="not optional"):
        run.skip("address")
    run.skip("address.flat")
    await run.drive()


@pytest.mark.parametrize("early", [True, False])
async def test_answering_an_included_step_as_a_whole(early: bool) -> None:
    """Nothing inside is asked any more; what was answered there stays."""

    async def zip_code(visit: Visit) -> str:
        visit.run.answer(address, given)
        await interrupted()

    given = Address("Main Street", "12345")
    inner, flow, log = AddressFlow(zip_code=zip_code), Flow("f"), Log()
    address = flow.include(inner.flow, "address", id="address", build=inner.build)
    run = flow.prepare(observers=[log])
    if early:
        run.answer(address, given)
    results = await run.drive()
    assert log.entered == ([] if early else ["address.street", "address.zip_code"])
    street = Skipped() if early else Done("address.street1")
    assert results.outcome(address.at(inner.street)) == street
    assert results.outcome(address.at(inner.zip_code)) == Skipped()
    assert results[address] == given
    assert inner.built == []


async def test_correcting_an_included_step_as_a_whole() -> None:
    """A correction after the fact: only what depends on the answer runs again."""
    outer = Outer()
    given = Address("Main Street", "12345")

    async def last(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.answer(outer.address, given)
        return "done"

    add(outer.flow, "last", last)
    results = await outer.run()
    assert outer.log.entered[4:] == ["after", "last", "after"]
    assert results[outer.address] == given
    assert results[outer.street] == "address.street1"


async def test_an_answer_as_a_whole_while_inside_is_stale() -> None:
    """What was stale inside isn't asked any more, and makes nothing around it stale again."""

    async def street(visit: Visit) -> str:
        if visit.number == 2:
            visit.run.answer(address, given)
            await interrupted()
        return answering(visit)

    given = Address("Main Street", "12345")
    inner, flow, log = AddressFlow(street), Flow("f"), Log()
    plan = add(flow, "plan")
    address = flow.include(
        inner.flow, "address", id="address", build=inner.build, depends_on=[plan]
    )
    add(flow, "dependent", done, depends_on=(address.at(inner.zip_code),))

    async def last(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(plan)
        return "done"

    add(flow, "last", last)
    results = await flow.run(observers=[log])
    assert log.entered[6:] == ["plan", "address.street", "dependent", "last"]
    assert results[address] == given
    assert results.outcome(address.at(inner.zip_code)) == Skipped()


@pytest.mark.parametrize("correct", ["answer", "go back"])
async def test_correcting_a_part_of_an_answer_that_was_given_as_a_whole(correct: str) -> None:
    """It can't be built of one part alone: the others are asked, but not what was left out."""
    inner, flow, log = AddressFlow(), Flow("f"), Log()
    flat = inner.flow.step("flat", id="flat", optional=True)(done)
    address = flow.include(inner.flow, "address", id="address", build=inner.build)
    zip_code = address.at(inner.zip_code)

    async def last(visit: Visit) -> str:
        if visit.number == 1 and correct == "answer":
            visit.run.answer(zip_code, "given")
        elif visit.number == 1:
            await visit.go_back(zip_code)
        return "done"

    add(flow, "last", last)
    run = flow.prepare(observers=[log])
    run.skip(address.at(flat))
    run.answer(address, Address("Main Street", "12345"))
    results = await run.drive()
    if correct == "answer":
        assert log.entered == ["last", "address.street", "address"]
        assert results[address] == Address("address.street1", "given")
    else:
        assert log.entered == ["last", "address.zip_code", "address.street", "address", "last"]
        assert results[address] == Address("address.street1", "address.zip_code1")
    assert results.outcome(address.at(flat)) == Skipped()


async def test_a_confirmation_inside_an_answered_flow_still_confirms() -> None:
    """What is answered as a whole asks nothing inside, but a later change before it does."""
    inner, flow, log = Flow("inner"), Flow("f"), Log()
    plan = add(flow, "plan")
    street = add(inner, "street")
    add(inner, "zip_code", depends_on=(street,))
    right = inner.step("right?", id="right", always_ask=True)(scripted("yes", "yes"))
    address = flow.include(inner, "address", id="address", build=len)

    async def last(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.answer(address.at(street), "stale now")
            visit.run.answer(address.at(right), "yes")
            visit.run.answer(address, 7)
            visit.run.go_back(plan)
            await interrupted()
        return "done"

    add(flow, "last", last)
    results = await flow.run(observers=[log])
    assert log.entered[5:] == ["last", "plan", "address.right", "last"]
    assert results[address] == 7


@pytest.mark.parametrize("again", ["plan", "address"])
async def test_what_was_skipped_inside_is_asked_when_the_flow_runs_again(again: str) -> None:
    """Whether its input changed or someone goes back to it: it begins from its top."""
    inner, flow, log = AddressFlow(), Flow("f"), Log()
    plan = add(flow, "plan")
    address = flow.include(
        inner.flow, "address", id="address", build=inner.build, depends_on=[plan]
    )

    async def last(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(again)
        return "done"

    add(flow, "last", last)
    run = flow.prepare(observers=[log])
    run.answer(address, Address("Main Street", "12345"))
    results = await run.drive()
    asked = ["address.street", "address.zip_code", "address", "last"]
    assert log.entered == ["plan", "last", *(["plan"] if again == "plan" else []), *asked]
    assert results[address] == Address("address.street1", "address.zip_code1")


async def test_what_was_skipped_around_stays_skipped() -> None:
    """What someone skipped as a whole isn't asked because an input changed."""
    inner, flow, log = AddressFlow(never, never), Flow("f"), Log()
    plan = add(flow, "plan")
    flow.include(inner.flow, "address", id="address", build=len, depends_on=[plan], optional=True)

    async def last(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(plan)
        return "done"

    add(flow, "last", last)
    run = flow.prepare(observers=[log])
    run.skip("address")
    await run.drive()
    assert log.entered == ["plan", "last", "plan", "last"]


async def test_a_skipped_step_inside_is_asked_when_its_flow_runs_again() -> None:
    """Also one inside an always-ask flow, and one deeper; but not for a change beside it."""
    inner, household, flow, log = AddressFlow(), Flow("household"), Flow("f"), Log()
    flat = inner.flow.step("flat", id="flat", optional=True)(done)
    address = household.include(inner.flow, "address", id="address", build=len)
    name = add(flow, "name")
    home = flow.include(household, "home", id="home", build=len, always_ask=True)
    street = home.at(address.at(inner.street))

    async def last(visit: Visit) -> str:
        if visit.number <= 2:
            await visit.go_back([street, name][visit.number - 1])
        return "done"

    add(flow, "last", last)
    run = flow.prepare(observers=[log])
    run.skip(home.at(address.at(flat)))
    await run.drive()
    inside = ["home.address.street", "home.address.zip_code", "home.address.flat"]
    assert log.entered == [
        *("name", *inside[:2], "home.address", "home", "last"),
        *("home.address.street", "home.address", "home", "last"),
        *("name", *inside, "home.address", "home", "last"),
    ]
