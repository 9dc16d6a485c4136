"""Included flows: what makes them run again, skips them, answers them and fails them."""

from __future__ import annotations

import pytest
from addresses import Address, AddressFlow, Outer, done
from support import Log, add, answering, failing_on, interrupted, never, scripted

from reflow import (
    Done,
    Event,
    Failed,
    Flow,
    FlowError,
    GoBackError,
    Pending,
    Results,
    Skipped,
    StepCompleted,
    StepFailedError,
    StepNotDoneError,
    StepSkipped,
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
    """What is answered as a whole asks nothing inside, but a later change does."""
    inner, flow, log = AddressFlow(), Flow("f"), Log()
    plan = add(flow, "plan")
    inner.flow.step("right?", id="right", always_ask=True)(scripted("yes", "yes"))
    address = flow.include(inner.flow, "address", id="address", build=inner.build)

    async def last(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.answer(address.at(inner.street), "stale now")
            visit.run.answer(address, Address("Main Street", "12345"))
            visit.run.go_back(plan)
            await interrupted()
        return "done"

    add(flow, "last", last)
    await flow.run(observers=[log])
    assert log.entered[5:] == ["last", "plan", "address.right", "address", "last"]


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
