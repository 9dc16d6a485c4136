"""What a run has so far: the outcome of every step, and the rules of who may read what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, TypeAlias, TypeVar, final, overload

import attrs

from ._compat import override
from ._errors import FlowError, ReflowError, StepFailedError, StepNotDoneError
from ._events import Frozen
from ._states import DONE, FAILED, LOST, NOTHING, PENDING, UNSETTLED, Record, StepState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ._plan import Scope
    from ._step import AnyStep, Step

T = TypeVar("T")
U = TypeVar("U")
T_co = TypeVar("T_co", covariant=True)


@final
@attrs.frozen(eq=False, repr=False, slots=False)
class Done(Frozen, Generic[T_co]):
    """The step has an answer."""

    value: T_co
    sensitive: bool = attrs.field(default=False, kw_only=True)
    """Whether the value is kept out of texts."""


@final
@attrs.frozen(eq=False, repr=False, slots=False)
class Failed(Frozen):
    """The step raised."""

    exception: Exception
    sensitive: bool = attrs.field(default=False, kw_only=True)
    """Whether the exception's text is kept out of texts: it may quote the value."""


@final
@attrs.frozen(eq=False, repr=False, slots=False)
class Skipped(Frozen):
    """The step was skipped: its condition doesn't hold, or someone skipped it."""


@final
@attrs.frozen(eq=False, repr=False, slots=False)
class Pending(Frozen):
    """The step has no outcome that may be relied on: it has yet to run, or to run again."""

    state: StepState = StepState.PENDING
    """PENDING, ACTIVE, STALE or IN_DOUBT: why there is nothing to read. DONE: the step was done
    before the run was resumed, but a sensitive answer is not kept."""


Outcome: TypeAlias = Done[T_co] | Failed | Skipped | Pending
"""What became of a step; made for `match` with `assert_never`."""

_WHY: Final = {
    StepState.PENDING: "it has not been settled yet",
    StepState.ACTIVE: "it is being visited",
    StepState.STALE: "what its answer was based on has changed, it will run again",
    StepState.IN_DOUBT: "its condition is still to be evaluated",
    StepState.SKIPPED: "it was skipped",
    StepState.DONE: "it was done before the run was resumed, but a sensitive answer is not kept",
}


@final
class Results:
    """The answers of a run, read by step: `results[name]` has the step's own type.

    A live view while the run is under way; what `drive()` returns doesn't change any more.
    Iteration, `len` and `in` go over the steps that have an answer, in flow order.
    """

    __slots__ = ("_limit", "_record", "_saw", "_scope")

    _record: Record
    # The included flow whose results these are, as seen from inside; None: the whole run's.
    _scope: Scope | None
    # Of a condition: it is told of every read, and sees only the steps before its own.
    _saw: Callable[[int], None] | None
    _limit: int | None

    def __init__(self) -> None:
        """Refuse: results belong to a run.

        Raises:
            TypeError: always.
        """
        raise TypeError("results are made by a run: await flow.run(...), or read run.results")

    @overload
    def __getitem__(self, step: Step[T]) -> T: ...
    @overload
    def __getitem__(self, step: AnyStep) -> object: ...
    def __getitem__(self, step: AnyStep) -> object:
        """Give the answer of a step that is done.

        Raises:
            StepNotDoneError: if there is no answer to rely on; the message says why.
            StepFailedError: if the step failed; its exception is the cause.
            FlowError: if the step is not one of this run's.
        """
        i = self._position(step)
        record = self._record
        if record.status[i] == DONE and not record.marks[i] & UNSETTLED:
            value = record.values[i]
            if value is not LOST:
                return value
        place = f"step {record.plan.names[i]!r} of flow {record.plan.flow!r}"
        if record.status[i] == FAILED and not record.marks[i] & UNSETTLED:
            raise StepFailedError(f"{place} has no answer: it failed") from record.failures[i]
        message = f"{place} has no answer: {_WHY[record.state_of(i)]}"
        raise StepNotDoneError(message)

    @overload
    def get(self, step: Step[T]) -> T | None: ...
    @overload
    def get(self, step: Step[T], default: U) -> T | U: ...
    @overload
    def get(self, step: AnyStep, default: object = None) -> object: ...
    def get(self, step: AnyStep, default: object = None) -> object:
        """Give the answer of a step, or the default where `[]` would raise StepNotDoneError.

        Raises:
            FlowError: if the step is not one of this run's.
        """
        i = self._position(step)
        record = self._record
        if record.status[i] == DONE and not record.marks[i] & UNSETTLED:
            value = record.values[i]
            return default if value is LOST else value
        return default

    @overload
    def outcome(self, step: Step[T]) -> Outcome[T]: ...
    @overload
    def outcome(self, step: AnyStep) -> Outcome[object]: ...
    def outcome(self, step: AnyStep) -> Outcome[object]:
        """Say what became of a step: `Done`, `Failed`, `Skipped` or `Pending`.

        Raises:
            FlowError: if the step is not one of this run's.
        """
        i = self._position(step)
        record = self._record
        status = record.status[i]
        if status == PENDING or record.marks[i] & UNSETTLED:
            return Pending(record.state_of(i))
        if status == DONE and record.values[i] is LOST:
            return Pending(StepState.DONE)
        if status == DONE:
            return Done(record.values[i], sensitive=record.plan.sensitive[i])
        if status == FAILED:
            failure = record.failures[i]
            return Failed(failure, sensitive=record.conceals(i, failure))
        return Skipped()

    def __contains__(self, step: AnyStep) -> bool:
        """Say whether the step has an answer, that is, whether `[]` gives one."""
        return self.get(step, NOTHING) is not NOTHING

    def __iter__(self) -> Iterator[AnyStep]:
        """Go over the steps that have an answer, in flow order."""
        steps = self._record.plan.steps
        if self._scope is None:
            return (steps[i] for i in self._visible() if steps[i] in self)
        visible = self._visible()
        own = self._scope.positions.items()
        return (step for step, i in own if i in visible and step in self)

    def __len__(self) -> int:
        """Count the steps that have an answer."""
        return sum(1 for _ in self)

    @property
    def exceptions(self) -> ExceptionGroup[Exception] | None:
        """Every failure whose step has had no answer since, in flow order, or None.

        Being skipped doesn't make a failure good. What `on_completed` raised under
        `return_exceptions` is in here, too.
        """
        record = self._record
        visible = self._visible()
        if self._saw is not None:
            # A condition that asks for failures has read every step that may have one.
            for i in visible:
                self._saw(i)
        kinds = (record.failures, record.callback_failures)
        failed = sorted({i for kind in kinds for i in kind if i in visible})
        failures = [kind[i] for i in failed for kind in kinds if i in kind]
        return (
            ExceptionGroup(f"failures in flow {record.plan.flow!r}", failures) if failed else None
        )

    def raise_exceptions(self) -> None:
        """Raise `exceptions`, if there are any.

        Raises:
            ExceptionGroup: every failure whose step has had no answer since.
        """
        if (exceptions := self.exceptions) is not None:
            raise exceptions

    @override
    def __repr__(self) -> str:
        """Show where every step stands, but no value."""
        record, names = self._record, self._record.plan.names
        states = (f"{names[i]}: {record.state_of(i).value}" for i in self._visible())
        return f"<Results of {record.plan.flow!r}: {', '.join(states)}>"

    def _visible(self) -> range:
        scope, steps = self._scope, len(self._record.plan.steps)
        start, end = (0, steps) if scope is None else (scope.start, scope.end)
        return range(start, end if self._limit is None else min(end, self._limit))

    def _position(self, step: AnyStep) -> int:
        plan = self._record.plan
        i = plan.positions.get(step, -1) if self._scope is None else -1
        if i < 0 and plan.inner:
            # Without a scope of its own, it is read as the step that is active now reads it.
            i = plan.find(step, self._scope or plan.scope_of(self._record.active))
        if i < 0:
            raise FlowError(
                f"{step!r} is not a step of this run of flow {plan.flow!r}{plan.hint(step)}"
            )
        if self._saw is not None:
            self._saw(i)
        return i


def make_results(
    record: Record,
    scope: Scope | None = None,
    saw: Callable[[int], None] | None = None,
    limit: int | None = None,
) -> Results:
    """Make the view of a run's outcomes; for a condition, one that tells what it reads.

    With a scope, only of the steps of that included flow, by their own keys.
    """
    results = object.__new__(Results)
    results._record = record
    results._scope = scope
    results._saw = saw
    results._limit = limit
    return results


class RunStoppedError(ReflowError):
    """`run.stop(reason)` or `visit.stop(reason)` ended the run early.

    Attributes:
        reason: what was given to `stop`.
        results: what the run had until then.
    """

    reason: str
    results: Results

    def __init__(self, message: str, reason: str, results: Results) -> None:
        """Keep the reason and the results beside the sentence."""
        super().__init__(message)
        self.reason = reason
        self.results = results
