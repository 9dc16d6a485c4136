"""`check_flow` of flows inside flows: its model knows their rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from random_flows import Declaration, declarations, declare
from support import never

from reflow import IncludedStep, Visit
from reflow.testing import check_flow

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reflow import AnyStep


async def unasked(visit: Visit) -> int:
    """Is answered by the check."""
    return int(await never(visit))


@settings(
    max_examples=25,
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
