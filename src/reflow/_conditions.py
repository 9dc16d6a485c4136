"""Evaluating a step's conditions, and noting what they read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from ._errors import FlowError
from ._results import Results, make_results

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._machine import Machine
    from ._plan import Plan


class Watch:
    """Notes what a condition reads, and refuses what it may not read."""

    __slots__ = ("fault", "limit", "owner", "plan", "read")

    def __init__(self, plan: Plan, owner: int, read: set[int]) -> None:
        """Watch the condition of the step at this position; note there what it reads."""
        self.plan: Final = plan
        self.owner: Final = owner
        # What is inside an included step isn't before it.
        self.limit: Final = plan.starts.get(owner, owner)
        self.read: Final = read
        # Kept: the condition may swallow the error, but not the fault.
        self.fault: FlowError | None = None

    def saw(self, i: int) -> None:
        """Note that the condition read a step.

        Raises:
            FlowError: if that step isn't declared before the condition's own.
        """
        if i < self.limit:
            self.read.add(i)
            return
        steps = self.plan.steps
        message = (
            f"the condition of step {steps[self.owner].id!r} of flow {self.plan.flow!r} reads "
            f"step {steps[i].id!r}: it may only read steps declared before its own"
        )
        self.fault = FlowError(message)
        raise self.fault


def evaluate(machine: Machine, i: int) -> Exception | None:
    """Evaluate the conditions of the step whose turn it is, and tell the machine.

    Those of the included steps around it come first. One of them that raises doesn't hold here:
    it is a failure of the included step alone, whose turn comes when all inside is skipped.

    Returns:
        What the condition raised, if that was a failure of its step: it wasn't if it read a step
        that isn't settled, which runs first.
    """
    plan = machine.plan
    # The step and the included ones around it, from inside.
    owners = [i]
    while (around := plan.parents.get(owners[-1], -1)) >= 0:
        owners.append(around)
    read: set[int] = set()
    holds: bool | None = True
    failure: Exception | None = None
    for depth, when in plan.when[i] or ():
        owner = owners[-1 - depth]
        watch = Watch(plan, owner, read)
        condition = cast("Callable[[Results], bool]", when)
        view = make_results(machine, plan.scope_of(owner), watch.saw, watch.limit)
        try:
            holds = bool(condition(view))
        except Exception as exc:  # noqa: BLE001 - a failure of the step, like one in a visit
            failure = exc
        failure = watch.fault or failure
        if failure is not None:
            holds = None if owner == i else False
            failure = failure if owner == i else None
        if not holds:
            break
    if not machine.condition(i, holds, sorted(read)):
        return None
    if failure is not None:
        machine.fail(i, failure, in_condition=True)
    elif not holds:
        machine.skip(i, by_condition=True)
    return failure
