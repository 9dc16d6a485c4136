"""The events of a run: the machine's input and the observer's news, one vocabulary for both.

Steps are named by their ids, so that an event means the same in another process.
"""

from __future__ import annotations

import enum
from typing import TypeAlias, final

import attrs

from ._compat import override


@final
class Reason(enum.Enum):
    """Why a step was entered: of those that apply, the first in this order."""

    RECOVERED = "recovered"
    """The visit before this one was under way, or had failed, when its process ended; or it gave
    a sensitive answer, which no journal keeps."""
    REQUESTED = "requested"
    """Someone went back, or jumped ahead, to this step."""
    STALE = "stale"
    """What the earlier outcome was based on has changed."""
    RESUMED = "resumed"
    """The visit before this one was interrupted."""
    FIRST = "first"
    """The step's turn came for the first time."""


# Fields that hold an answer, or may quote one.
_PRIVATE = frozenset({"value", "exception"})


def _shown(value: object, *, sensitive: bool) -> str:
    """Give the text of a value, or of an exception, for a text that may end up anywhere.

    An exception of a sensitive step often quotes the value it choked on, so only its type shows.
    """
    if not sensitive:
        return repr(value)
    if isinstance(value, BaseException):
        return f"<{type(value).__name__}, sensitive>"
    return "<sensitive>"


@attrs.frozen(eq=False, repr=False, slots=False)
class Frozen:
    """What events and outcomes have in common, written once: generated, it would slow the import.

    They are equal if all they tell is, and print everything but a sensitive value. Without slots
    they are made faster, and some are made on every step.
    """

    @override
    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return _told(self) == _told(other)

    @override
    def __hash__(self) -> int:
        return hash((type(self), *_told(self).values()))

    @override
    def __repr__(self) -> str:
        sensitive = bool(getattr(self, "sensitive", False))
        texts = (
            f"{name}={_shown(value, sensitive=sensitive and name in _PRIVATE)}"
            for name, value in _told(self).items()
        )
        return f"{type(self).__name__}({', '.join(texts)})"


def _told(record: Frozen) -> dict[str, object]:
    """Give the fields, without the one that only says how to print another."""
    fields = attrs.asdict(record, recurse=False)
    fields.pop("sensitive", None)
    return fields


@final
@attrs.frozen(eq=False, repr=False, slots=False)
class Opened(Frozen):
    """A run with a journal began, or goes on in another `drive()`: only that may write now.

    Also of a run without one, if it resumes another.
    """

    key: str
    """The run's key in the journal; empty if it goes on from another run in memory."""
    run: str
    """Identifies the run, whoever drives it: no other run, under this key or another, has it."""
    resumed: bool = False
    """Whether another `drive()` has begun it."""
    again: tuple[str, ...] = ()
    """The steps that run once more: they failed; or, after a change of the flow, it was the step
    that was being visited."""
    lost: tuple[str, ...] = ()
    """The steps whose outcome wasn't kept, because it is sensitive or because the flow has changed:
    they run once more, and so does what depends on them."""
    visits: tuple[tuple[str, int, int], ...] = ()
    """Only after a change of the flow: by step, how often it was visited until now, and in which
    visit the attempt at its next answer began (0: none is under way)."""
    origin: str = ""
    """What an observer of the first `drive()` gave for those of all others, such as the context of
    a trace; see `Observer`."""


@final
@attrs.frozen(eq=False, repr=False, slots=False)
class RunStarted(Frozen):
    """`drive()` began."""

    flow: str


@final
@attrs.frozen(eq=False, repr=False, slots=False)
class RunCompleted(Frozen):
    """Every step is settled."""


@final
@attrs.frozen(eq=False, repr=False, slots=False)
class RunFailed(Frozen):
    """An exception ended the run."""

    exception: BaseException
    sensitive: bool = False
    """Whether it came from a sensitive step."""


@final
@attrs.frozen(eq=False, repr=False, slots=False)
class RunCancelled(Frozen):
    """Cancellation from outside ended the run."""


@final
@attrs.frozen(eq=False, repr=False, slots=False)
class RunStopped(Frozen):
    """`run.stop(reason)` or `visit.stop(reason)` ended the run."""

    reason: str


@final
@attrs.frozen(eq=False, repr=False, slots=False)
class StepEntered(Frozen):
    """A visit begins."""

    step: str
    number: int
    """The number of the visit, from 1."""
    reason: Reason


@final
@attrs.frozen(eq=False, repr=False, slots=False)
class StepCompleted(Frozen):
    """A visit returned an answer."""

    step: str
    number: int
    value: object
    changed: bool
    """Whether the outcome differs from the one the step had when it last settled."""
    sensitive: bool = False


@final
@attrs.frozen(eq=False, repr=False, slots=False)
class StepFailed(Frozen):
    """A visit, or the step's condition, raised an exception."""

    step: str
    number: int
    """The number of the visit; of the latest one, or 0, when the condition raised."""
    exception: Exception
    changed: bool
    in_condition: bool = False
    sensitive: bool = False


@final
@attrs.frozen(eq=False, repr=False, slots=False)
class StepSkipped(Frozen):
    """A step settled without an answer: its condition doesn't hold, or someone skipped it."""

    step: str
    changed: bool
    by_condition: bool


@final
@attrs.frozen(eq=False, repr=False, slots=False)
class StepInterrupted(Frozen):
    """A visit ended without an outcome, because of a request; the step resumes later."""

    step: str
    number: int
    exception: Exception | None = None
    """What the step's cleanup raised."""
    sensitive: bool = False


@final
@attrs.frozen(eq=False, repr=False, slots=False)
class StepAnswered(Frozen):
    """A step was given its answer from outside."""

    step: str
    value: object
    changed: bool
    sensitive: bool = False


@final
@attrs.frozen(eq=False, repr=False, slots=False)
class AnswerSuperseded(Frozen):
    """A visit returned an answer although the step had been answered or skipped meanwhile."""

    step: str
    number: int
    value: object
    sensitive: bool = False


@final
@attrs.frozen(eq=False, repr=False, slots=False)
class CleanupFailed(Frozen):
    """A visit that ended because the step was answered or skipped raised in its cleanup."""

    step: str
    number: int
    exception: Exception
    sensitive: bool = False


@final
@attrs.frozen(eq=False, repr=False, slots=False)
class CallbackFailed(Frozen):
    """`on_completed` raised for a completed step; its answer stays."""

    step: str
    exception: Exception
    sensitive: bool = False


@final
@attrs.frozen(eq=False, repr=False, slots=False)
class GoBackRequested(Frozen):
    """Steps were asked for, in this order."""

    steps: tuple[str, ...]
    ahead: bool = False
    """Whether steps not visited yet were allowed (`jump_ahead`)."""


@final
@attrs.frozen(eq=False, repr=False, slots=False)
class ConditionEvaluated(Frozen):
    """A step's `when=` was evaluated."""

    step: str
    holds: bool | None
    """What it returned; None when it raised, or read a step that isn't settled."""
    read: tuple[str, ...]
    """The steps it read, in flow order."""
    changed: bool = False
    """Whether an answer given while the condition was open now counts as a change."""


@final
@attrs.frozen(eq=False, repr=False, slots=False)
class StepsMadeStale(Frozen):
    """An outcome changed, and with it what was based on it. Follows the event that changed it."""

    by: str
    steps: tuple[str, ...]
    """The steps that run again, in flow order."""
    in_doubt: tuple[str, ...] = ()
    """The steps whose condition is evaluated again, in flow order."""


@final
@attrs.frozen(eq=False, repr=False, slots=False)
class RequestsDropped(Frozen):
    """Requests fell behind a point of no return before their turn came."""

    by: str
    """The point of no return that was done meanwhile."""
    steps: tuple[str, ...]


StepEvent: TypeAlias = (
    StepEntered
    | StepCompleted
    | StepFailed
    | StepSkipped
    | StepInterrupted
    | StepAnswered
    | AnswerSuperseded
    | CleanupFailed
    | CallbackFailed
    | ConditionEvaluated
)
"""The events that are about one step."""

Event: TypeAlias = (
    Opened
    | RunStarted
    | RunCompleted
    | RunFailed
    | RunCancelled
    | RunStopped
    | StepEvent
    | GoBackRequested
    | StepsMadeStale
    | RequestsDropped
)
"""Every event there is; a `match` over it can end in `assert_never`."""
