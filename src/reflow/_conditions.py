"""Evaluating a step's condition, and noting what it read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from ._errors import FlowError
from ._results import Results, make_results

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._machine import Machine
    from ._step import Plan


class Watch:
    """Notes what a condition reads, and refuses what it may not read."""

    __slots__ = ("fault", "plan", "position", "read")

    def __init__(self, plan: Plan, position: int) -> None:
        """Watch the condition of the step at this position."""
        self.plan: Final = plan
        self.position: Final = position
        self.read: Final[set[int]] = set()
        # Kept: the condition may swallow the error, but not the fault.
        self.fault: FlowError | None = None

    def saw(self, i: int) -> None:
        """Note that the condition read a step.

        Raises:
            FlowError: if that step isn't declared before the condition's own.
        """
        if i < self.position:
            self.read.add(i)
            return
        steps = self.plan.steps
        message = (
            f"the condition of step {steps[self.position].id!r} of flow {self.plan.flow!r} reads "
            f"step {steps[i].id!r}: it may only read steps declared before its own"
        )
        self.fault = FlowError(message)
        raise self.fault


def evaluate(machine: Machine, i: int) -> Exception | None:
    """Evaluate the condition of the step whose turn it is, and tell the machine.

    Returns:
        What the condition raised, if that was a failure of its step: it wasn't if it read a step
        that isn't settled, which runs first.
    """
    watch = Watch(machine.plan, i)
    condition = cast("Callable[[Results], bool]", machine.plan.when[i])
    holds: bool | None = None
    failure: Exception | None = None
    try:
        holds = bool(condition(make_results(machine, watch.saw, i)))
    except Exception as exc:  # noqa: BLE001 - a failure of the step, like one in a visit
        failure = exc
    failure = watch.fault or failure
    if failure is not None:
        holds = None
    if not machine.condition(i, holds, sorted(watch.read)):
        return None
    if failure is not None:
        machine.fail(i, failure, in_condition=True)
    elif not holds:
        machine.skip(i, by_condition=True)
    return failure
