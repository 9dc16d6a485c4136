"""Declaring included flows: what is refused, and what there is afterwards."""

from __future__ import annotations

from typing import Self

import pytest
from addresses import Address, AddressFlow, Outer, done
from support import add

from reflow import Flow, FlowError, IncludedStep, Results, Step


def build(results: Results) -> int:
    """Make some answer."""
    return len(results)


def test_the_steps_of_an_included_flow_are_steps_of_the_outer_one() -> None:
    """In flow order, right before the included step, with their whole address as id."""
    outer = Outer()
    ids = [step.id for step in outer.flow.steps]
    assert ids == ["name", "address.street", "address.zip_code", "address", "after"]
    assert outer.flow.steps[1:3] == outer.address.steps == (outer.street, outer.zip_code)
    assert outer.address.at(outer.inner.street) is outer.street
    assert isinstance(outer.address, IncludedStep)
    assert isinstance(outer.address, Step)
    assert repr(outer.street) == "<Step 'address.street' of flow 'intake'>"
    assert (outer.street.description, outer.address.description) == (
        "the street",
        "the home address",
    )


def test_only_its_own_steps_are_at_an_included_step() -> None:
    """The error says which there are."""
    outer = Outer()
    with pytest.raises(FlowError) as caught:
        outer.address.at(outer.name)
    assert str(caught.value) == (
        "<Step 'name' of flow 'intake'> is not a step of the flow that is included as 'address' "
        "in flow 'intake'; its steps are 'street', 'zip_code'"
    )


def test_what_is_said_of_the_included_step_holds_inside() -> None:
    """Sensitive both ways: what is built of a secret gives it away."""
    inner, secret, flow = AddressFlow(), Flow("secret"), Flow("f")
    shown = flow.include(inner.flow, "shown", id="shown", build=build)
    hidden = flow.include(
        inner.flow, "hidden", id="hidden", build=build, sensitive=True, revisitable=False
    )
    secret.step("card", id="card", sensitive=True)(done)
    paid = flow.include(secret, "paid", id="paid", build=build)
    assert (shown.sensitive, shown.at(inner.street).sensitive) == (False, False)
    assert hidden.at(inner.street).sensitive
    assert not hidden.at(inner.street).revisitable
    assert paid.sensitive


def test_all_faults_of_a_declaration_at_once() -> None:
    """And nothing has changed then: neither flow."""

    async def later(results: Results) -> int:
        return 1

    inner, flow = AddressFlow(), Flow("f")
    stranger = add(Flow("other"), "stranger")
    add(flow, "address.street")
    add(flow, "address")
    with pytest.raises(FlowError) as caught:
        flow.include(  # type: ignore[call-overload]  # refused at run time, too
            inner.flow,
            " ",
            id="address",
            build=later,
            deps=later,
            depends_on=[stranger],
            validate="x",
        )
    stranger_fault = "depends_on names <Step 'stranger' of flow 'other'>, which is not a step of "
    assert str(caught.value).replace("  - step 'address' of flow 'f': ", "").splitlines() == [
        "several faults:",
        "build= must be a plain function",
        "the id 'address.street' of a step inside it is taken",
        "its id is taken by an earlier step",
        "its description is empty",
        stranger_fault + "this flow declared before",
        "validate= must be a plain function, not an async one",
        "deps= must be a plain function, not an async one",
    ]
    assert [step.id for step in flow.steps] == ["address.street", "address"]
    add(inner.flow, "country")


def test_what_can_not_be_included() -> None:
    """A flow without steps, the flow itself, and what is no flow."""
    flow = Flow("f")
    for subflow, fault in (
        (Flow("empty"), "it includes flow 'empty', which has no steps"),
        (flow, "a flow can't include itself"),
        ("address", "it includes 'address', which is not a flow"),
    ):
        with pytest.raises(FlowError, match=f"step 'x' of flow 'f': {fault}"):
            flow.include(subflow, "x", id="x", build=build)  # type: ignore[arg-type]  # on purpose


def test_an_included_flow_is_complete() -> None:
    """A step that were added afterwards would be missing: so it is refused; circles, too."""
    outer = Outer()
    fault = "its flow is included in flow 'intake': declare it before"
    with pytest.raises(FlowError, match=fault):
        add(outer.inner.flow, "country")
    with pytest.raises(FlowError, match=fault):
        outer.inner.flow.include(outer.flow, "circle", id="circle", build=build)
    # Including it once more is no change of it.
    outer.flow.include(outer.inner.flow, "work", id="work", build=outer.inner.build)


def test_a_step_whose_id_an_included_one_has() -> None:
    """Addresses are ids like any other."""
    outer = Outer()
    with pytest.raises(FlowError, match="its id is taken by an earlier step"):
        add(outer.flow, "address.street")


def test_an_inner_key_where_the_outer_one_is_meant() -> None:
    """The error says how to name the step."""
    outer = Outer()
    with pytest.raises(FlowError, match=r"\(name it with .at\(...\) of address\)"):
        outer.flow.step("x", id="x", depends_on=[outer.inner.street])(done)


def test_a_model_must_be_able_to_answer_what_it_may_answer() -> None:
    """The type of the answer must be known at run time: a lambda doesn't tell it, a class does."""
    inner, flow = AddressFlow(), Flow("f")
    with pytest.raises(FlowError, match="build= needs a return annotation"):
        flow.include(
            inner.flow, "x", id="x", build=lambda r: r[inner.street], model_may_answer=True
        )
    flow.include(inner.flow, "y", id="y", build=build, model_may_answer=True)
    made = flow.include(
        inner.flow, "z", id="z", build=inner.build, model_may_answer=True, depends_on=flow.steps
    )
    assert made.model_may_answer
    assert made.depends_on[0] is flow.steps[0]


@pytest.mark.anyio
async def test_a_class_may_build() -> None:
    """Whatever can be called with the results and gives the answer."""

    class Joined(str):
        __slots__ = ()

        def __new__(cls, results: Results) -> Self:
            return super().__new__(cls, results[inner.street] + results[inner.zip_code])

    inner, flow = AddressFlow(), Flow("f")
    joined = flow.include(inner.flow, "x", id="x", build=Joined, model_may_answer=True)
    results = await flow.run()
    assert results[joined] == "x.street1x.zip_code1"


@pytest.mark.anyio
async def test_an_answer_from_outside_is_validated() -> None:
    """`validate=` of the included step, for the whole; not for what is built."""

    def valid(address: Address) -> Address:
        if not address.zip_code.isdigit():
            raise ValueError("the zip code must be digits")
        return Address(address.street.title(), address.zip_code)

    inner, flow = AddressFlow(), Flow("f")
    address = flow.include(inner.flow, "a", id="a", build=inner.build, validate=valid)
    run = flow.prepare()
    with pytest.raises(ValueError, match="digits"):
        run.answer(address, Address("main street", "x"))
    run.answer(address, Address("main street", "12345"))
    assert (await run.drive())[address] == Address("Main Street", "12345")
    assert (await flow.run())[address] == Address("a.street1", "a.zip_code1")
