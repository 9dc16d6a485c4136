"""Included flows: what their steps reach, and what they are called from where."""

from __future__ import annotations

import pytest
from addresses import Address, AddressFlow, Outer, done
from support import add, answering, interrupted

from reflow import AnyStep, Done, Flow, FlowError, GoBackError, Results, Run, Step, Visit

pytestmark = pytest.mark.anyio


async def test_steps_inside_read_each_other_by_their_own_keys() -> None:
    """A flow needn't know that it is included, nor how often."""

    async def zip_code(visit: Visit) -> str:
        assert visit.step.id in {"home.zip_code", "work.zip_code"}
        assert visit[inner.street] == visit.step.id.replace("zip_code", "street") + "1"
        assert visit.get(inner.street) == visit[inner.street]
        assert visit.run.results[inner.street] == visit[inner.street]
        assert visit.get(inner.zip_code, "none") == "none"
        assert visit[name] == "name1"
        return answering(visit)

    inner, flow = AddressFlow(zip_code=zip_code), Flow("f")
    name = add(flow, "name")
    flow.include(inner.flow, "home", id="home", build=inner.build)
    flow.include(inner.flow, "work", id="work", build=inner.build)
    await flow.run()
    assert inner.built == [
        Address("home.street1", "home.zip_code1"),
        Address("work.street1", "work.zip_code1"),
    ]


async def test_a_step_inside_sees_its_own_earlier_answer() -> None:
    """By its own key or by the outer one, stale or not."""
    seen: list[str | None] = []

    async def zip_code(visit: Visit) -> str:
        seen.extend([visit.get(inner.zip_code), visit.get(outer.zip_code)])
        return answering(visit)

    async def after(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(outer.zip_code)
        return "done"

    inner = AddressFlow(zip_code=zip_code)
    outer = Outer(inner, after=after)
    await outer.run()
    assert seen == [None, None, "address.zip_code1", "address.zip_code1"]


@pytest.mark.parametrize("target", ["street", "address.street", "the key", "the outer key"])
async def test_going_back_from_inside_by_any_name(target: str) -> None:
    """By the flow's own keys and ids, and by those of the flow around it; the nearest counts."""

    async def zip_code(visit: Visit) -> str:
        if visit.number == 1:
            keys: dict[str, AnyStep] = {"the key": inner.street, "the outer key": outer.street}
            await visit.go_back(keys.get(target, target))
        return answering(visit)

    async def through_the_run(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.go_back("street")
            await interrupted()
        return answering(visit)

    for act in (zip_code, through_the_run):
        inner = AddressFlow(zip_code=act)
        outer = Outer(inner)
        await outer.run()
        assert outer.log.entered[3:5] == ["address.street", "address.zip_code"]


async def test_the_nearest_step_of_that_name_is_meant() -> None:
    """An inner name hides an outer one inside; from outside an id is the whole address."""

    async def inside(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back("name")
        return answering(visit)

    inner, outer = Flow("inner"), Flow("outer")
    add(inner, "name", inside)
    add(outer, "name")
    outer.include(inner, "inner", id="inner", build=len)
    log: list[str] = []

    async def last(visit: Visit) -> str:
        if visit.number == 1:
            log.extend(step.id for step in visit.run.results)
            await visit.go_back("name")
        return f"{visit.run.results[outer.steps[0]]}"

    end = add(outer, "last", last)
    results = await outer.run()
    assert results[end] == "name2"
    assert log == ["name", "inner.name", "inner"]


async def test_refusals_inside_say_what_was_named() -> None:
    """Nonsense is refused from inside as from outside, and nothing has happened."""

    async def zip_code(visit: Visit) -> str:
        with pytest.raises(GoBackError) as caught:
            await visit.go_back("nothing", stranger.street, 7)  # type: ignore[arg-type]  # on purpose
        assert caught.value.refused == {
            "nothing": "unknown",
            "street": "of another flow, 'address'",
            "7": "not a step",
        }
        return "z"

    stranger = AddressFlow()
    await Outer(AddressFlow(zip_code=zip_code)).run()


async def test_a_step_of_a_flow_that_is_included_once_needs_no_address() -> None:
    """Code that was written for the flow alone goes on to work; twice, it must say which."""
    inner, once, twice = AddressFlow(), Flow("once"), Flow("twice")
    once.include(inner.flow, "address", id="address", build=inner.build)
    for name in ("home", "work"):
        twice.include(inner.flow, name, id=name, build=inner.build)
    results = await once.run()
    assert results[inner.street] == "address.street1"
    assert results.outcome(inner.street) == Done("address.street1")
    results = await twice.run()
    advice = r"more than once \('home.street', 'work.street'\), name it with .at\(...\)"
    with pytest.raises(FlowError, match=advice):
        results[inner.street]
    with pytest.raises(GoBackError, match=advice):
        twice.prepare().jump_ahead(inner.street)


async def test_a_flow_needs_no_address_for_what_is_inside_it_alone() -> None:
    """However often it is included itself."""

    async def act(visit: Visit) -> str:
        return visit[inner.street]

    inner, middle, outer = AddressFlow(), Flow("middle"), Flow("outer")
    middle.include(inner.flow, "address", id="address", build=inner.build)
    key = add(middle, "key", act)
    one, two = (
        outer.include(middle, name, id=name, build=lambda results: results[inner.street])
        for name in ("one", "two")
    )
    results = await outer.run()
    assert results[two.at(key)] == results[two] == "two.address.street1"
    assert results[one] == "one.address.street1"


async def test_what_a_build_reads() -> None:
    """The results of the included flow: its own keys, its own steps, its own failures."""
    seen: list[object] = []

    def build(results: Results) -> str:
        seen.extend([list(results), len(results), repr(results), results.exceptions])
        seen.extend([results.get(skipped, "none"), inner.street in results, results[outer]])
        return "built"

    inner, flow = AddressFlow(), Flow("f")
    skipped = inner.flow.step("skipped", id="skipped", when=lambda _: False)(done)
    outer = add(flow, "outer")
    flow.include(inner.flow, "address", id="address", build=build)
    await flow.run()
    assert seen == [
        [inner.street, inner.zip_code],
        2,
        "<Results of 'f': address.street: done, address.zip_code: done, address.skipped: skipped>",
        None,
        "none",
        True,
        "outer1",
    ]


async def test_the_failures_that_a_build_reads() -> None:
    """Those inside alone; a build may make the best of them."""

    async def fail(visit: Visit) -> str:
        raise ValueError(visit.step.id)

    def build(results: Results) -> list[str]:
        assert results.exceptions is not None
        return [str(exc) for exc in results.exceptions.exceptions]

    inner, flow = Flow("inner"), Flow("f")
    add(inner, "a", fail)
    add(flow, "outer", fail)
    included = flow.include(inner, "included", id="included", build=build)
    results = await flow.run(return_exceptions=True)
    assert results[included] == ["included.a"]


async def test_a_condition_inside_that_asks_for_failures() -> None:
    """Has read every step of its flow that stands before it, and none outside."""

    async def fails_once(visit: Visit) -> str:
        if visit.number == 1:
            raise ValueError
        return "a"

    def failed(results: Results) -> bool:
        return results.exceptions is not None

    inner, flow = Flow("inner"), Flow("f")
    a = add(inner, "a", fails_once)
    helped = inner.step("help", id="help", when=failed)(done)
    included = flow.include(inner, "included", id="included", build=list)

    async def last(visit: Visit) -> str:
        if visit.number == 1:
            assert visit.run.results[included] == [helped]
            await visit.go_back(included.at(a))
        return "done"

    add(flow, "last", last)
    results = await flow.run(return_exceptions=True)
    assert results[included] == [a]


class Site:
    """What the outer flow's steps reach."""

    def __init__(self) -> None:
        """Begin with nobody asked."""
        self.made: list[str] = []

    def part(self, name: str) -> list[str]:
        """Make what an inner flow's steps reach."""
        self.made.append(name)
        return [name]


async def test_deps_are_made_for_the_included_flow_once_a_run() -> None:
    """Each level from the one around it; without `deps=` they are the same."""
    street_flow, address_flow, flow = Flow[str]("s"), Flow[list[str]]("a"), Flow[Site]("f")
    same_flow = Flow[Site]("same")

    async def inmost(visit: Visit[str]) -> str:
        return visit.deps

    async def middle(visit: Visit[list[str]]) -> str:
        visit.deps.append("more")
        return ",".join(visit.deps)

    async def same(visit: Visit[Site]) -> Site:
        return visit.deps

    first: Step[str] = street_flow.step("first", id="first")(inmost)
    second: Step[str] = street_flow.step("second", id="second")(inmost)
    street = address_flow.include(
        street_flow,
        "street",
        id="street",
        build=lambda r: (r[first], r[second]),
        deps=lambda outer: outer[0],
    )
    own = address_flow.step("own", id="own")(middle)
    again = address_flow.step("again", id="again")(middle)
    address = flow.include(
        address_flow,
        "address",
        id="address",
        build=lambda r: (r[street], r[own], r[again]),
        deps=lambda site: site.part("address"),
    )
    key = same_flow.step("same", id="same")(same)
    included = flow.include(same_flow, "same", id="same", build=lambda r: r[key])
    for _ in range(2):
        site = Site()
        results = await flow.run(site)
        assert results[address] == (("address", "address"), "address,more", "address,more,more")
        assert results[included] is site
        assert site.made == ["address"]


async def test_deps_that_can_not_be_made_fail_the_step_that_reaches_for_them() -> None:
    """Nobody else."""

    def deps(outer: str) -> int:
        raise OSError(outer)

    async def act(visit: Visit[int]) -> int:
        return visit.deps

    inner, flow = Flow[int]("inner"), Flow[str]("f")
    inner.step("a", id="a")(act)
    flow.include(inner, "included", id="included", build=len, deps=deps)
    with pytest.raises(OSError, match="offline") as caught:
        await flow.run("offline")
    assert caught.value.__notes__ == ["in step 'included.a' of flow 'f', visit 1"]


async def test_a_visit_inside_belongs_to_the_whole_run() -> None:
    """Its key and its repr carry the address."""
    runs: list[Run] = []

    async def street(visit: Visit) -> str:
        runs.append(visit.run)
        assert visit.step is outer.street
        assert visit.run.active is outer.street
        assert visit.idempotency_key.endswith("/address.street/1")
        assert repr(visit) == "<Visit 1 of step 'address.street' of flow 'intake'>"
        return "s"

    outer = Outer(AddressFlow(street))
    run = outer.flow.prepare()
    await run.drive()
    assert runs == [run]
