"""What a task group gives, and the error that it ends with before its time."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, final, overload

from typing_extensions import override

from reflow import Done, Failed, ReflowError

if TYPE_CHECKING:
    from reflow import AnyStep, Outcome, Results, Run, Step

T = TypeVar("T")
U = TypeVar("U")


@final
class TaskGroupResult:
    """The results of a task group: typed by step, or by id as in LiveKit's class of this name."""

    __slots__ = ("_results", "_steps", "_summary_failure")

    _results: Results
    _steps: tuple[AnyStep, ...]
    _summary_failure: Exception | None

    def __init__(self) -> None:
        """Refuse.

        Raises:
            TypeError: always.
        """
        raise TypeError("results are made by a task group: await it")

    @property
    def task_results(self) -> dict[str, object]:
        """By id, in flow order: each step's result, or the exception that it failed with.

        A step that was skipped, or has no result yet, is not in it. A new dictionary each time.
        """
        found: dict[str, object] = {}
        for step in self._steps:
            outcome = self._results.outcome(step)
            if isinstance(outcome, Done):
                found[step.id] = outcome.value
            elif isinstance(outcome, Failed):
                found[step.id] = outcome.exception
        return found

    @overload
    def __getitem__(self, step: Step[T]) -> T: ...
    @overload
    def __getitem__(self, step: AnyStep) -> object: ...
    def __getitem__(self, step: AnyStep) -> object:
        """Give the result of a step; see `reflow.Results`.

        Raises:
            StepNotDoneError: if there is none; the message says why.
            StepFailedError: if the step failed; its exception is the cause.
            FlowError: if the step is not one of this group's.
        """
        return self._results[step]

    @overload
    def get(self, step: Step[T]) -> T | None: ...
    @overload
    def get(self, step: Step[T], default: U) -> T | U: ...
    @overload
    def get(self, step: AnyStep, default: object = None) -> object: ...
    def get(self, step: AnyStep, default: object = None) -> object:
        """Give the result of a step, or the default where `[]` would raise StepNotDoneError.

        Raises:
            FlowError: if the step is not one of this group's.
        """
        return self._results.get(step, default)

    @overload
    def outcome(self, step: Step[T]) -> Outcome[T]: ...
    @overload
    def outcome(self, step: AnyStep) -> Outcome[object]: ...
    def outcome(self, step: AnyStep) -> Outcome[object]:
        """Say what became of a step: `Done`, `Failed`, `Skipped` or `Pending`.

        Raises:
            FlowError: if the step is not one of this group's.
        """
        return self._results.outcome(step)

    @property
    def exceptions(self) -> ExceptionGroup[Exception] | None:
        """Every failure, or None: of steps without a result since, of callbacks, of the summary."""
        failures = self._results.exceptions
        if self._summary_failure is None:
            return failures
        if failures is None:
            return ExceptionGroup("failures in a task group", [self._summary_failure])
        return failures.derive([*failures.exceptions, self._summary_failure])

    def raise_exceptions(self) -> None:
        """Raise `exceptions`, if there are any.

        Raises:
            ExceptionGroup: every failure.
        """
        if (exceptions := self.exceptions) is not None:
            raise exceptions

    @override
    def __repr__(self) -> str:
        """Show where every step stands, but no result."""
        return f"<TaskGroupResult: {self._results!r}>"


def make_result(run: Run) -> TaskGroupResult:
    """Make the view of what a run has."""
    result = object.__new__(TaskGroupResult)
    result._results = run.results
    result._steps = run.steps
    result._summary_failure = None
    return result


class GroupStoppedError(ReflowError):
    """A task group ended before its last step.

    It was cancelled, or timed out; its session closes, or another agent has taken over; or
    `run.stop` was called.

    Attributes:
        reason: why.
        results: what the group had until then.
    """

    reason: str
    results: TaskGroupResult

    def __init__(self, message: str, reason: str, results: TaskGroupResult) -> None:
        """Keep the reason and the results beside the sentence."""
        super().__init__(message)
        self.reason = reason
        self.results = results
