"""Runs with included flows that outlive their process."""

from __future__ import annotations

import pytest
from addresses import Address, AddressFlow, done
from journals import KEY, edited, journal_of, stored
from support import Log, add, answering, never

from reflow import (
    Flow,
    FlowChangedError,
    FlowError,
    GoBackError,
    IncludedStep,
    JournalError,
    MemoryJournal,
    Results,
    Step,
    Visit,
)

pytestmark = pytest.mark.anyio


class Life:
    """One process's life: the flow, in which a step ends the process when it is told to."""

    def __init__(self, dying: str = "", *, sensitive: bool = False, typed: bool = True) -> None:
        """Declare address, dependent and last."""
        self.dying = dying
        self.log = Log()
        inner = AddressFlow(self.act, self.act)
        if sensitive:
            inner.flow.step("code", id="code", sensitive=True)(self.act)
        self.inner = inner
        self.flow = Flow("f")
        untyped = lambda results: inner.build(results)  # noqa: E731, PLW0108 - has no annotation
        build = inner.build if typed else untyped
        self.address: IncludedStep[Address] = self.flow.include(
            inner.flow, "address", id="address", build=build
        )
        self.flow.step("dependent", id="dependent", depends_on=[self.address])(self.act)
        self.last = add(self.flow, "last", self.act)

    async def act(self, visit: Visit) -> str:
        """Answer, or die."""
        if visit.step.id == self.dying:
            raise KeyboardInterrupt
        return answering(visit)

    async def run(self, journal: MemoryJournal) -> Results:
        """Go on with the run."""
        return await self.flow.run(journal=journal, key=KEY, observers=[self.log])


async def lives(*flows: Life) -> Results:
    """Live one life after the other with one journal; all but the last end early."""
    journal = MemoryJournal()
    for flow in flows[:-1]:
        with pytest.raises(KeyboardInterrupt):
            await flow.run(journal)
    return await flows[-1].run(journal)


async def test_it_goes_on_inside() -> None:
    """At the step where it stood, and nothing that was answered is asked."""
    life = Life()
    results = await lives(Life("address.zip_code"), life)
    assert life.log.visits == [
        "address.zip_code 2 recovered",
        "address 1 first",
        "dependent 1 first",
        "last 1 first",
    ]
    assert results[life.address] == Address("address.street1", "address.zip_code2")


@pytest.mark.parametrize("typed", [True, False])
async def test_what_was_built_is_there_again(typed: bool) -> None:
    """Stored by its declared type; where that isn't known, built again of what is inside."""
    journal, life = MemoryJournal(), Life(typed=typed)
    with pytest.raises(KeyboardInterrupt):
        await Life("last", typed=typed).run(journal)
    results = await life.run(journal)
    assert life.log.visits == ["last 2 recovered"]
    assert results[life.address] == Address("address.street1", "address.zip_code1")
    rows = [row for row in await stored(journal) if row.get("step") == "address"]
    assert [("value" in row) for row in rows] == [False, typed]
    assert len(life.inner.built) == (0 if typed else 1)


async def test_what_was_built_before_is_known_when_it_is_built_anew() -> None:
    """So that an equal answer changes nothing, also across a death in between."""

    def flow(*, dying: bool) -> tuple[Flow[None], Log]:
        async def code(visit: Visit) -> str:
            return "a" if visit.number == 1 else "b"

        async def last(visit: Visit) -> str:
            if visit.number == 1:
                await visit.go_back("inner.code")
            return "done"

        def build(results: Results, key: Step[str]) -> int:
            if dying and len(built) == 1:
                raise KeyboardInterrupt
            built.append(results[key])
            return len(results)

        built: list[str] = []
        inner, outer, log = Flow("inner"), Flow("f"), Log()
        key = add(inner, "code", code)
        included = outer.include(
            inner, "inner", id="inner", build=lambda results: build(results, key)
        )
        outer.step("dependent", id="dependent", depends_on=[included])(done)
        add(outer, "last", last)
        return outer, log

    journal = MemoryJournal()
    first, _ = flow(dying=True)
    with pytest.raises(KeyboardInterrupt):
        await first.run(journal=journal, key=KEY)
    second, log = flow(dying=False)
    await second.run(journal=journal, key=KEY, observers=[log])
    assert log.visits == ["inner 3 recovered", "last 2 resumed"]


async def test_what_can_not_be_built_again_fails_where_it_runs_again() -> None:
    """As a step's failure; a journal that can be read isn't damaged because of it."""
    journal = MemoryJournal()
    with pytest.raises(KeyboardInterrupt):
        await Life("last", typed=False).run(journal)
    life = Life(typed=False)
    life.inner.build = broken  # type: ignore[method-assign]  # another release's
    with pytest.raises(ArithmeticError) as caught:
        await life.run(journal)
    assert caught.value.__notes__ == ["in step 'address' of flow 'f', visit 2"]


def broken(results: Results) -> Address:
    """Fail to build."""
    raise ArithmeticError


async def test_a_secret_inside_is_nowhere() -> None:
    """Neither it nor what is built of it is stored, so both come again, and what needs them."""
    journal, life = MemoryJournal(), Life(sensitive=True)
    with pytest.raises(KeyboardInterrupt):
        await Life("last", sensitive=True).run(journal)
    rows = [row for row in await stored(journal) if row.get("step") in {"address", "address.code"}]
    assert not [row for row in rows if "value" in row]
    results = await life.run(journal)
    assert life.log.visits == [
        "address.code 2 recovered",
        "address 2 recovered",
        "dependent 2 stale",
        "last 2 recovered",
    ]
    assert life.address in results


@pytest.mark.parametrize("sensitive", [True, False])
async def test_an_answer_as_a_whole_across_a_death(sensitive: bool) -> None:
    """It is kept; where it may not be, the flow is asked from its top."""
    journal = MemoryJournal()
    before, life = Life("last", sensitive=sensitive), Life(sensitive=sensitive)
    run = before.flow.prepare(journal=journal, key=KEY)
    run.answer(before.address, Address("Main Street", "12345"))
    with pytest.raises(KeyboardInterrupt):
        await run.drive()
    results = await life.run(journal)
    asked = ["address.street", "address.zip_code", "address.code", "address", "dependent"]
    assert life.log.entered == [*(asked if sensitive else []), "last"]
    expected = ("address.street1", "address.zip_code1") if sensitive else ("Main Street", "12345")
    assert results[life.address] == Address(*expected)


async def test_given_again_as_a_whole_before_it_goes_on() -> None:
    """The usual way to fill in what is known: the same again is no news, also inside."""
    journal = MemoryJournal()
    before, life = Life("last"), Life()
    for flow in (before, life):
        run = flow.flow.prepare(journal=journal, key=KEY, observers=[flow.log])
        run.answer(flow.address, Address("Main Street", "12345"))
        if flow is before:
            with pytest.raises(KeyboardInterrupt):
                await run.drive()
        else:
            await run.drive()
    assert life.log.entered == ["last"]


async def test_a_flow_that_is_included_differently() -> None:
    """What is inside and how much of it is part of the declaration."""
    journal = MemoryJournal()
    with pytest.raises(KeyboardInterrupt):
        await Life("last").run(journal)
    flat = Flow("f")
    for name in ("address.street", "address.zip_code", "address", "dependent", "last"):
        add(flat, name, never)
    with pytest.raises(FlowChangedError) as caught:
        await flat.run(journal=journal, key=KEY)
    assert "step 'address' included 2 steps, it includes 0" in caught.value.differences


@pytest.mark.parametrize("typed", [True, False])
async def test_a_changed_flow_keeps_what_is_inside(typed: bool) -> None:
    """By address; what isn't stored is built again, and asked is only what is new."""
    journal, life = MemoryJournal(), Life(typed=typed)
    with pytest.raises(KeyboardInterrupt):
        await Life("last", typed=typed).run(journal)
    add(life.flow, "new")
    results = await life.flow.run(journal=journal, key=KEY, on_change="keep", observers=[life.log])
    assert life.log.visits == ["last 2 recovered", "new 1 first"]
    assert results[life.address] == Address("address.street1", "address.zip_code1")


@pytest.mark.parametrize("inside", [-1, 3, "2", None])
async def test_a_damaged_declaration(inside: object) -> None:
    """More steps inside than there are before it, or what is no number."""
    journal = MemoryJournal()
    with pytest.raises(KeyboardInterrupt):
        await Life("last").run(journal)
    first, *rest = await journal.read(KEY)
    steps = (await stored(journal))[0]["steps"]
    assert isinstance(steps, list)
    steps[2]["inside"] = inside
    left = await journal_of([edited(first, steps=steps), *rest])
    with pytest.raises(JournalError, match="its list of steps is damaged at number 2"):
        await Life().run(left)


@pytest.mark.parametrize("change", ["new", "type"])
async def test_what_is_new_inside_is_asked(change: str) -> None:
    """And the answer is built anew with it, also if it was stored."""

    def declared(release: int, *, dying: bool) -> tuple[Flow[None], IncludedStep[str]]:
        async def number(visit: Visit) -> int:
            return visit.number

        async def last(visit: Visit) -> str:
            if dying:
                raise KeyboardInterrupt
            return "done"

        def build(results: Results) -> str:
            return "|".join(str(results[step]) for step in results)

        inner, flow = Flow("inner"), Flow("f")
        add(inner, "a")
        if release == 2:
            inner.step("c", id="c")(number)
        elif change == "type":
            add(inner, "c")
        home = flow.include(inner, "home", id="home", build=build)
        add(flow, "last", last)
        return flow, home

    journal, log = MemoryJournal(), Log()
    flow, _ = declared(1, dying=True)
    with pytest.raises(KeyboardInterrupt):
        await flow.run(journal=journal, key=KEY)
    flow, home = declared(2, dying=False)
    results = await flow.run(journal=journal, key=KEY, on_change="keep", observers=[log])
    assert [step for step in log.entered if step != "last"][:2] == ["home.c", "home"]
    assert results[home].startswith("home.a1|")
    assert len(results[home]) <= len("home.a1|22")


async def test_a_passed_point_of_no_return_stays_one_when_the_flow_changes() -> None:
    """Also where the answer was never stored, but built."""

    def declared(release: int) -> tuple[Flow[None], IncludedStep[int]]:
        async def last(visit: Visit) -> str:
            if release == 1:
                raise KeyboardInterrupt
            return "done"

        inner, flow = AddressFlow(), Flow("f")
        if release == 2:
            add(flow, "first")
        built = lambda results: len(results)  # noqa: E731, PLW0108 - has no annotation
        paid = flow.include(inner.flow, "p", id="p", build=built, point_of_no_return=True)
        add(flow, "last", last)
        return flow, paid

    journal = MemoryJournal()
    flow, _ = declared(1)
    with pytest.raises(KeyboardInterrupt):
        await flow.run(journal=journal, key=KEY)
    flow, paid = declared(2)
    run = flow.prepare(journal=journal, key=KEY, on_change="keep")
    run.jump_ahead("p.street")
    with pytest.raises(GoBackError, match="behind the point of no return 'p'"):
        await run.drive()
    log = Log()
    results = await flow.run(journal=journal, key=KEY, on_change="keep", observers=[log])
    assert set(log.entered) == {"first", "last"}
    assert results[paid] == 2


async def test_a_whole_answer_that_can_not_be_kept() -> None:
    """Is refused at once, and nothing has happened."""
    life = Life(typed=False)
    run = life.flow.prepare(journal=MemoryJournal(), key=KEY)
    with pytest.raises(FlowError, match="build= isn't annotated with a type that can be stored"):
        run.answer(life.address, Address("Main Street", "12345"))
    results = await run.drive()
    assert results[life.address] == Address("address.street1", "address.zip_code1")


@pytest.mark.parametrize("typed", [True, False])
async def test_an_annotation_that_comes_or_goes(typed: bool) -> None:
    """Between two releases; the answer is the same, whether it was stored or is built."""
    journal, life = MemoryJournal(), Life(typed=not typed)
    with pytest.raises(KeyboardInterrupt):
        await Life("last", typed=typed).run(journal)
    results = await life.run(journal)
    assert life.log.visits == ["last 2 recovered"]
    assert results[life.address] == Address("address.street1", "address.zip_code1")


async def test_what_can_not_be_built_again_when_the_flow_changes() -> None:
    """It isn't kept, and fails where it runs again."""
    journal = MemoryJournal()
    with pytest.raises(KeyboardInterrupt):
        await Life("last", typed=False).run(journal)
    life = Life(typed=False)
    life.inner.build = broken  # type: ignore[method-assign]  # another release's
    add(life.flow, "new")
    with pytest.raises(ArithmeticError) as caught:
        await life.flow.run(journal=journal, key=KEY, on_change="keep")
    assert caught.value.__notes__ == ["in step 'address' of flow 'f', visit 2"]
