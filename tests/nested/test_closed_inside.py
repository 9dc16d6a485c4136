"""Included flows, conditions and points of no return: what is closed, and what is still built."""

from __future__ import annotations

import pytest
from addresses import Address, AddressFlow, Outer
from journals import KEY, journal_of
from support import Log, add, answering, interrupted, scripted

from reflow import (
    Event,
    Flow,
    IncludedStep,
    MemoryJournal,
    Results,
    StepEntered,
    StepNotDoneError,
    Visit,
)

pytestmark = pytest.mark.anyio


async def test_what_is_closed_is_built_whatever_its_condition_says() -> None:
    """Else it would be skipped behind the point of no return, and its rows couldn't be read."""

    async def control(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(home.at(inner.zip_code), "flag")
        return "done"

    async def flag(visit: Visit) -> bool:
        return visit.number == 1

    def charge(event: Event) -> None:
        if isinstance(event, StepEntered) and (event.step, event.number) == ("flag", 2):
            run.answer(charged, "paid")

    inner, flow, journal = AddressFlow(), Flow("f"), MemoryJournal()
    wanted = flow.step("flag", id="flag")(flag)
    home = flow.include(inner.flow, "home", id="home", build=inner.build, when=lambda r: r[wanted])
    add(flow, "control", control)
    charged = flow.step("charge", id="charge", point_of_no_return=True)(answering_once)
    add(flow, "end")
    run = flow.prepare(observers=[charge], journal=journal, key=KEY)
    results = await run.drive()
    assert results[home] == Address("home.street1", "home.zip_code2")
    rows = await journal.read(KEY)
    paid = next(row.sequence for row in rows if "StepAnswered" in row.event)
    for cut in range(paid + 1, len(rows)):
        left = await journal_of(rows[:cut])
        results = await flow.run(journal=left, key=KEY)
        assert results[home].zip_code.startswith("home.zip_code")


async def answering_once(visit: Visit) -> str:
    """Answer."""
    return answering(visit)


@pytest.mark.parametrize("skipped", [True, False])
async def test_an_answer_inside_that_comes_when_all_is_closed(skipped: bool) -> None:
    """It counts, so what is built is built of it."""

    async def zip_code(visit: Visit) -> str:
        if visit.number == (1 if skipped else 2):
            visit.run.answer(charge, "paid")
        return answering(visit)

    async def last(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(home if skipped else home.at(part))
        return "done"

    inner, flow = Flow("inner"), Flow("f")
    add(inner, "street")
    part = inner.step("zip", id="zip_code", optional=True)(zip_code)
    home = flow.include(
        inner, "home", id="home", build=lambda results: results.get(part, "nothing")
    )
    add(flow, "last", last)
    charge = flow.step("charge", id="charge", point_of_no_return=True)(answering_once)
    run = flow.prepare()
    if skipped:
        run.skip(home.at(part))
    results = await run.drive()
    assert results[home] == results[home.at(part)] == f"home.zip_code{1 if skipped else 2}"


async def test_a_condition_that_raised_and_is_mended() -> None:
    """The next process asks what is inside, as it would ask a plain step."""
    journal = MemoryJournal()
    outcome: list[bool | None] = [None, True]

    def when(results: Results) -> bool:
        if outcome[0] is None:
            raise ArithmeticError
        return outcome[0]

    def declared() -> tuple[Flow[None], IncludedStep[Address], Log]:
        inner, flow = AddressFlow(), Flow("f")
        home = flow.include(inner.flow, "home", id="home", build=inner.build, when=when)
        return flow, home, Log()

    flow, _, _ = declared()
    with pytest.raises(ArithmeticError):
        await flow.run(journal=journal, key=KEY)
    outcome.pop(0)
    flow, home, log = declared()
    results = await flow.run(journal=journal, key=KEY, observers=[log])
    assert log.entered == ["home.street", "home.zip_code", "home"]
    assert results[home] == Address("home.street1", "home.zip_code1")


async def test_going_back_to_a_flow_whose_condition_raised() -> None:
    """Under `return_exceptions`: its condition is looked at anew, for all inside."""
    mended: list[bool] = []

    def when(results: Results) -> bool:
        if not mended:
            raise ArithmeticError
        return True

    async def last(visit: Visit) -> str:
        if visit.number == 1:
            mended.append(True)
            await visit.go_back("home")
        return "done"

    inner, flow, log = AddressFlow(), Flow("f"), Log()
    home = flow.include(inner.flow, "home", id="home", build=inner.build, when=when)
    add(flow, "last", last)
    results = await flow.run(return_exceptions=True, observers=[log])
    assert log.entered == ["last", "home.street", "home.zip_code", "home", "last"]
    assert home in results


async def test_a_whole_answer_whose_condition_fails_and_holds_again() -> None:
    """The answer is gone like any that was skipped, so all inside is asked."""
    inner, flow, log = AddressFlow(), Flow("f"), Log()
    wanted = flow.step("flag", id="flag")(scripted(True, False, True))
    home = flow.include(inner.flow, "home", id="home", build=inner.build, when=lambda r: r[wanted])

    async def last(visit: Visit) -> str:
        if visit.number <= 2:
            await visit.go_back(wanted)
        return "done"

    add(flow, "last", last)
    run = flow.prepare(observers=[log])
    run.answer(home, Address("Main Street", "12345"))
    results = await run.drive()
    assert log.entered[-5:] == ["flag", "home.street", "home.zip_code", "home", "last"]
    assert results[home] == Address("home.street1", "home.zip_code1")


async def test_a_secret_and_a_point_of_no_return_inside() -> None:
    """What can't be built again behind it stays done, and reading it says that it wasn't kept."""

    def declared(dying: bool) -> tuple[Flow[None], IncludedStep[str]]:
        async def last(visit: Visit) -> str:
            if dying:
                raise KeyboardInterrupt
            return "done"

        inner, flow = Flow("pay"), Flow("f")
        card = inner.step("card", id="card", sensitive=True)(answering_once)
        inner.step("charge", id="charge", point_of_no_return=True)(answering_once)
        paid = flow.include(inner, "pay", id="pay", build=lambda results: results[card])
        add(flow, "last", last)
        return flow, paid

    journal = MemoryJournal()
    flow, _ = declared(dying=True)
    with pytest.raises(KeyboardInterrupt):
        await flow.run(journal=journal, key=KEY)
    flow, paid = declared(dying=False)
    log = Log()
    results = await flow.run(journal=journal, key=KEY, observers=[log])
    assert log.entered == ["last"]
    with pytest.raises(StepNotDoneError, match="a sensitive answer is not kept"):
        results[paid]


async def test_a_revisit_inside_ends_when_the_whole_is_answered() -> None:
    """As it does when a plain step is answered; and what was asked for inside is not asked."""

    async def zip_code(visit: Visit) -> str:
        if visit.number == 2:
            visit.run.answer(outer.address, given)
            await interrupted()
        return answering(visit)

    async def last(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(outer.zip_code, outer.street)
        if visit.number == 2:
            visit.run.go_back(outer.address)
            visit.run.answer(outer.address, given)
        return "done"

    given = Address("Main Street", "12345")
    outer = Outer(AddressFlow(zip_code=zip_code))
    add(outer.flow, "last", last)
    results = await outer.run()
    assert outer.log.entered[5:] == ["last", "address.zip_code", "after", "last"]
    assert results[outer.address] == given
    assert results[outer.zip_code] == "address.zip_code1"


async def test_a_skipped_confirmation_inside_stays_skipped() -> None:
    """A change before an included flow is a reason to ask only if the flow runs again for it."""
    inner, flow, log = Flow("inner"), Flow("f"), Log()
    name = add(flow, "name")
    add(inner, "street")
    right = inner.step("right?", id="right", always_ask=True, optional=True)(scripted("yes"))
    home = flow.include(inner, "home", id="home", build=len)

    async def last(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(name)
        return "done"

    add(flow, "last", last)
    run = flow.prepare(observers=[log])
    run.skip(home.at(right))
    await run.drive()
    assert log.entered[3:] == ["last", "name", "last"]
