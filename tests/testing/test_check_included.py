"""`check_flow` of flows inside flows: its model knows their rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from random_flows import Declaration, declarations, declare
from support import never

from reflow import Flow, IncludedStep, Results, Visit
from reflow.testing import check_flow
from reflow.testing._model import Kind, Model

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reflow import AnyStep


async def unasked(visit: Visit) -> int:
    """Is answered by the check."""
    return int(await never(visit))


def count(results: Results) -> int:
    """Make the answer of an included flow."""
    return len(results)


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)
@given(declarations(nested=True), st.booleans())
def test_random_included_flows(declared: list[Declaration], whole: bool) -> None:
    """Whatever is declared and asked: what happens is what the rules say."""
    flow = declare(declared, unasked)
    answers: Mapping[AnyStep, list[int]] = {
        step: [0, 1, 2] for step in flow.steps if whole or not isinstance(step, IncludedStep)
    }
    check_flow(
        flow,
        answers=answers,
        requests=("go_back", "jump_ahead", "retake", "answer", "skip", "stop", "cancel"),
        may_raise=ValueError,
        backends=["asyncio"],
        examples=25,
    )


def test_what_is_skipped_and_answered_as_a_whole() -> None:
    """With everything that makes it run again."""
    inner, flow = Flow("inner"), Flow("f")
    inner.step("the street", id="street")(unasked)
    inner.step("the flat", id="flat", optional=True)(unasked)
    plan = flow.step("the plan", id="plan")(unasked)
    flow.include(inner, "the home", id="home", build=count, depends_on=[plan], optional=True)
    flow.step("the end", id="end", depends_on=flow.steps)(unasked)
    check_flow(
        flow,
        answers={step: [0, 1] for step in flow.steps},
        requests=("go_back", "answer", "skip"),
        backends=["trio"],
        examples=150,
    )
    answers = {step: [0] for step in flow.steps}
    check_flow(flow, answers=answers, requests=["skip"], backends=["trio"], examples=40)


def test_what_a_condition_that_raises_has_skipped() -> None:
    """Is looked at anew when somebody goes back to the whole."""

    def positive(results: Results) -> bool:
        if results[plan] == 0:
            raise ValueError
        return True

    inner, flow = Flow("inner"), Flow("f")
    inner.step("the street", id="street")(unasked)
    plan = flow.step("the plan", id="plan")(unasked)
    home = flow.include(inner, "the home", id="home", build=count, when=positive)
    flow.step("the end", id="end")(unasked)
    answers = {step: [0, 1] for step in flow.steps if step is not home}
    check_flow(flow, answers=answers, may_raise=ValueError, backends=["asyncio"])


def test_the_rules_of_parts_in_the_model() -> None:
    """What random schedules rarely come to, with parts and with what a condition failed."""
    inner, flow = Flow("inner"), Flow("f")
    inner.step("the street", id="street")(unasked)
    flow.include(inner, "the home", id="home", build=count, when=bool)
    model = Model(flow.steps)
    assert model.skip_inside(1, settled=False) == [(0, False)]
    model.settle(1, Kind.DONE, 1)
    assert model.refusal(0, ahead=False) is None
    assert model.with_inside([0], ahead=False) == [0]
    assert not model.settled(0)
    model = Model(flow.steps)
    for i, kind in enumerate((Kind.SKIPPED, Kind.FAILED)):
        model.doubtful.discard(i)
        model.settle(i, kind)
    model.failed_by_condition.add(1)
    assert model.with_inside([1], ahead=False) == [1]
    assert model.doubtful == {0}
    flow.step("the charge", id="charge", point_of_no_return=True)(unasked)
    model = Model(flow.steps)
    for i in range(3):
        model.settle(i, Kind.DONE, i)
    model.stale.update([0, 1])
    model.follow(2, changed=False)
    assert (model.closed, model.stale) == (2, {1})
