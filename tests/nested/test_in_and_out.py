"""Included flows: the order of steps, and going back into them, out of them and across."""

from __future__ import annotations

import pytest
from addresses import Address, AddressFlow, Outer, done
from support import Log, add, answering, interrupted

from reflow import (
    Flow,
    GoBackError,
    GoBackRequested,
    Skipped,
    StepCompleted,
    StepsMadeStale,
    Visit,
)

pytestmark = pytest.mark.anyio


async def test_the_steps_inside_run_in_their_place() -> None:
    """One after the other, with full addresses in every event; then the answer is built."""
    outer = Outer()
    results = await outer.run()
    assert outer.log.entered == ["name", "address.street", "address.zip_code", "address", "after"]
    address = Address("address.street1", "address.zip_code1")
    assert results[outer.address] == address
    assert results[outer.street] == "address.street1"
    assert outer.log.of(StepCompleted)[3] == StepCompleted("address", 1, address, False)


async def test_going_back_to_a_step_inside_runs_just_that() -> None:
    """And builds the answer anew; what depends on the answer runs again."""
    inner = AddressFlow()

    async def after(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(outer.zip_code)
        return "done"

    outer = Outer(inner, after=after)
    results = await outer.run()
    assert outer.log.visits[4:] == [
        "after 1 first",
        "address.zip_code 2 requested",
        "address 2 stale",
        "after 2 resumed",
    ]
    assert results[outer.address] == Address("address.street1", "address.zip_code2")
    assert inner.built == [
        Address("address.street1", "address.zip_code1"),
        Address("address.street1", "address.zip_code2"),
    ]


async def test_what_depends_on_the_answer_runs_again_only_if_it_changed() -> None:
    """Early cut-off holds for a built answer, too."""
    inner = AddressFlow()

    async def last(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(outer.zip_code)
        return "done"

    outer = Outer(inner)
    rounded = outer.flow.include(
        add_one_step(), "something", id="rounded", build=lambda results: "the same"
    )
    dependent = add(outer.flow, "dependent", done, depends_on=(rounded,))
    add(outer.flow, "last", last)
    await outer.run()
    assert outer.log.entered.count("after") == 2

    async def again(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back("rounded.only")
        return "done"

    add(outer.flow, "again", again)
    log = Log()
    await outer.flow.run(observers=[log])
    assert (log.entered.count("rounded"), log.entered.count(dependent.id)) == (2, 1)


def add_one_step() -> Flow[None]:
    """Make a flow of one step, which answers anew on every visit."""
    flow = Flow("small")
    add(flow, "only")
    return flow


async def test_an_equal_answer_inside_builds_nothing() -> None:
    """There is nothing new to build of."""
    inner = AddressFlow(zip_code=done)

    async def after(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(outer.zip_code)
        return "done"

    outer = Outer(inner, after=after)
    await outer.run()
    assert outer.log.entered[5:] == ["address.zip_code", "after"]
    assert len(inner.built) == 1


async def test_from_inside_an_outer_step_can_be_gone_back_to() -> None:
    """The whole included flow is left, and resumes where it stood: deep history."""

    async def zip_code(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(outer.name)
        return answering(visit)

    outer = Outer(AddressFlow(zip_code=zip_code))
    await outer.run()
    assert outer.log.visits == [
        "name 1 first",
        "address.street 1 first",
        "address.zip_code 1 first",
        "name 2 requested",
        "address.zip_code 2 resumed",
        "address 1 first",
        "after 1 first",
    ]


async def test_from_outside_while_inside() -> None:
    """The visit inside is interrupted like any other, also by a whole list of targets."""

    async def zip_code(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.go_back(outer.street, "name")
            await interrupted()
        return answering(visit)

    outer = Outer(AddressFlow(zip_code=zip_code))
    await outer.run()
    assert outer.log.visits[3:6] == [
        "address.street 2 requested",
        "name 2 requested",
        "address.zip_code 2 resumed",
    ]


@pytest.mark.parametrize("at", ["address.zip_code", "after"])
async def test_going_back_to_the_included_step_asks_all_inside_again(at: str) -> None:
    """In order, then it is built anew, whether it was complete or not; then the rest goes on."""

    async def act(visit: Visit) -> str:
        if visit.step.id == at and visit.number == 1:
            await visit.go_back("address", "name")
        return answering(visit)

    outer = Outer(AddressFlow(zip_code=act), after=act)
    await outer.run()
    assert outer.log.of(GoBackRequested) == [GoBackRequested(("address", "name"))]
    start = outer.log.entered.index(at) + 1
    assert outer.log.entered[start : start + 4] == [
        "address.street",
        "address.zip_code",
        "address",
        "name",
    ]
    street = [visit for visit in outer.log.visits if visit.startswith("address.street")]
    assert street == ["address.street 1 first", "address.street 2 requested"]


async def test_a_step_inside_can_be_jumped_to_with_its_flow() -> None:
    """`jump_ahead` to the included step brings all inside forward; one inside only itself."""

    async def name(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.jump_ahead(outer.zip_code)
            await interrupted()
        return answering(visit)

    outer = Outer(name=name)
    await outer.run()
    assert outer.log.entered[1:5] == ["address.zip_code", "name", "address.street", "address"]

    async def first(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.jump_ahead(whole.address)
            await interrupted()
        return answering(visit)

    whole = Outer(name=first)
    await whole.run()
    assert whole.log.entered[1:5] == ["address.street", "address.zip_code", "address", "name"]


async def test_a_step_that_is_needed_inside_comes_first() -> None:
    """A detour to what depends on the answer waits until all inside is settled."""

    async def name(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.jump_ahead(outer.after)
            await interrupted()
        return answering(visit)

    outer = Outer(name=name)
    await outer.run()
    assert outer.log.entered == [
        *("name", "address.street", "address.zip_code", "address", "after", "name"),
    ]


async def test_what_can_not_be_gone_back_to() -> None:
    """Every refusal names the full address, and the whole request is refused."""

    async def name(visit: Visit) -> str:
        with pytest.raises(GoBackError) as caught:
            visit.run.go_back(outer.address, outer.zip_code, stranger.zip_code, "address.nothing")
        assert caught.value.refused == {
            "address": "not visited yet",
            "address.zip_code": "not visited yet",
            "zip_code": "of another flow, 'address'",
            "address.nothing": "unknown",
        }
        return "name"

    stranger, outer = AddressFlow(), Outer(name=name)
    await outer.run()


async def test_the_same_flow_twice() -> None:
    """Each has its own answers, visits and address."""
    inner, flow, log = AddressFlow(), Flow("intake"), Log()
    home = flow.include(inner.flow, "home", id="home", build=inner.build)
    work = flow.include(inner.flow, "work", id="work", build=inner.build)

    async def last(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(work.at(inner.street))
        return "done"

    add(flow, "last", last)
    results = await flow.run(observers=[log])
    assert results[home] == Address("home.street1", "home.zip_code1")
    assert results[work] == Address("work.street2", "work.zip_code1")
    assert log.entered[7:] == ["work.street", "work", "last"]
    assert (log.entered[:3], log.entered[3:6]) == (
        ["home.street", "home.zip_code", "home"],
        ["work.street", "work.zip_code", "work"],
    )


async def test_three_levels() -> None:
    """Addresses grow, each level builds of the one inside, a change goes all the way up."""
    inner, household, flow, log = AddressFlow(), Flow("household"), Flow("intake"), Log()
    address = household.include(inner.flow, "address", id="address", build=inner.build)
    members = add(household, "members")
    home = flow.include(
        household,
        "home",
        id="home",
        build=lambda results: (results[address], results[members]),
    )
    zip_code = home.at(address.at(inner.zip_code))

    async def last(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(zip_code)
        return "done"

    add(flow, "last", last)
    results = await flow.run(observers=[log])
    assert log.entered == [
        *("home.address.street", "home.address.zip_code", "home.address", "home.members", "home"),
        *("last", "home.address.zip_code", "home.address", "home", "last"),
    ]
    built = Address("home.address.street1", "home.address.zip_code2")
    assert results[home] == (built, "home.members1")
    assert results[home.at(address)] == built
    assert home.at(address).at(inner.zip_code) is zip_code
    assert log.of(StepsMadeStale)[:1] == [
        StepsMadeStale("home.address.zip_code", ("home.address", "home")),
    ]


async def test_going_back_to_a_level_in_between() -> None:
    """All inside it runs again, and nothing beside it."""
    inner, household, flow, log = AddressFlow(), Flow("household"), Flow("intake"), Log()
    members = add(household, "members")
    address = household.include(inner.flow, "address", id="address", build=inner.build)
    home = flow.include(household, "home", id="home", build=lambda results: results[members])

    async def last(visit: Visit) -> str:
        if visit.number <= 2:
            await visit.go_back(home.at(address) if visit.number == 1 else home)
        return "done"

    add(flow, "last", last)
    await flow.run(observers=[log])
    inside = ["home.address.street", "home.address.zip_code", "home.address"]
    assert log.entered[6:] == [
        *(*inside, "home", "last"),
        *("home.members", *inside, "home", "last"),
    ]


async def test_a_condition_inside_reads_what_is_inside() -> None:
    """By the included flow's own keys; skipped steps inside leave no trace in the order."""
    inner, flow, log = AddressFlow(), Flow("intake"), Log()
    country = inner.flow.step("country", id="country", when=lambda r: r[inner.zip_code] == "none")(
        done
    )
    address = flow.include(inner.flow, "address", id="address", build=inner.build)
    results = await flow.run(observers=[log])
    assert log.entered == ["address.street", "address.zip_code", "address"]
    assert results.outcome(address.at(country)) == Skipped()


async def test_a_reason_inside_is_the_step_s_own() -> None:
    """What was answered inside and not changed isn't asked because something beside it was."""

    async def fixed(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(outer.name)
        return "x"

    outer = Outer(AddressFlow(zip_code=fixed))
    await outer.run()
    assert outer.log.entered.count("address.street") == 1
