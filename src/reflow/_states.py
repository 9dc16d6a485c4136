"""Where a run and its steps stand, and the columns in which a run's outcomes are recorded."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final, final

from ._secrecy import conceal, is_concealed

if TYPE_CHECKING:
    from ._plan import Plan


@final
class RunState(enum.Enum):
    """Where a run stands."""

    PREPARED = "prepared"
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    STOPPED = "stopped"


@final
class StepState(enum.Enum):
    """Where a step stands in a run."""

    PENDING = "pending"
    """It has no outcome: to come, or interrupted."""
    ACTIVE = "active"
    """A visit to it is under way."""
    DONE = "done"
    """It has an answer."""
    FAILED = "failed"
    """Its visit, or its condition, raised."""
    SKIPPED = "skipped"
    """Its condition doesn't hold, or someone skipped it."""
    STALE = "stale"
    """It has an outcome, but what that was based on has changed: it runs again."""
    IN_DOUBT = "in doubt"
    """It has an outcome, but its condition is to be evaluated (again) first."""


# The recorded outcome of a step: an int, since it is read and written on every step.
PENDING: Final = 0
DONE: Final = 1
FAILED: Final = 2
SKIPPED: Final = 3
# What keeps a step with an outcome from being settled (STALE, IN_DOUBT), and how it came by it.
STALE: Final = 1
IN_DOUBT: Final = 2
BY_CONDITION: Final = 4  # failed because the condition raised
BY_REQUEST: Final = 8  # skipped because someone said so, not because of the condition
AS_PART: Final = 16  # and that was said of an included step around it, as a whole
UNSETTLED: Final = STALE | IN_DOUBT

_STATES: Final = (StepState.PENDING, StepState.DONE, StepState.FAILED, StepState.SKIPPED)


class NothingType(enum.Enum):
    """The type of what stands where there is no value (None is a value)."""

    NOTHING = enum.auto()
    LOST = enum.auto()


NOTHING: Final = NothingType.NOTHING
# There was an answer, in another process, but it was not kept: it is sensitive.
LOST: Final = NothingType.LOST


class Record:
    """The outcomes of a run, in columns by the position of the step.

    Only the machine, which extends this class, writes here; `Results` reads.
    """

    __slots__ = ("active", "callback_failures", "failures", "marks", "plan", "status", "values")

    def __init__(self, plan: Plan) -> None:
        """Begin with nothing settled."""
        steps = len(plan.steps)
        self.plan: Final = plan
        self.status: Final = [PENDING] * steps
        self.marks: Final = [0] * steps
        for i in plan.conditional:
            self.marks[i] = IN_DOUBT
        # The latest answer; kept when the step fails or is skipped, for its own next visit.
        self.values: Final[list[object]] = [NOTHING] * steps
        self.failures: Final[dict[int, Exception]] = {}
        self.callback_failures: Final[dict[int, Exception]] = {}
        self.active = -1

    def settled(self, i: int) -> bool:
        """Say whether the step has an outcome that may be relied on."""
        return self.status[i] != PENDING and not self.marks[i] & UNSETTLED

    def state_of(self, i: int) -> StepState:
        """Say where the step stands."""
        if i == self.active:
            return StepState.ACTIVE
        if self.status[i] == PENDING:
            return StepState.PENDING
        if self.marks[i] & STALE:
            return StepState.STALE
        if self.marks[i] & IN_DOUBT:
            return StepState.IN_DOUBT
        return _STATES[self.status[i]]

    def is_sensitive(self, exc: BaseException) -> bool:
        """Say whether an exception is a failure of a sensitive step, or a group with one in it.

        It may quote the value.
        """
        return is_concealed(exc) or any(
            failure is exc and self.plan.sensitive[i]
            for failures in (self.failures, self.callback_failures)
            for i, failure in failures.items()
        )

    def conceals(self, i: int, exc: BaseException | None) -> bool:
        """Say whether only the type of what the step raised may show; if so, remember it."""
        if exc is not None and self.plan.sensitive[i]:
            conceal(exc)
        return self.plan.sensitive[i] or (exc is not None and is_concealed(exc))


def equal(old: object, new: object) -> bool:
    """Say whether an answer is the same: only if `==` says exactly True."""
    try:
        return (old == new) is True
    except Exception:  # noqa: BLE001 - whatever the user's `==` raises means "changed"
        return False
