"""What a task group gives, and the error that it ends with before its time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar, final, overload

from reflow import Done, Failed, ReflowError

if TYPE_CHECKING:
    from reflow import AnyStep, Outcome, Results, Step

T = TypeVar("T")
U = TypeVar("U")


@final
class TaskGroupResult:
    """The results of a task group, by step with their types, or by id."""

    __slots__ = ("_results", "_steps", "_summary_failure")

    def __init__(self) -> None:
        """Refuse.

        Raises:
            TypeError: always.
        """
        raise TypeError("the result is made by a task group: await it")

    _results: Results
    _steps: tuple[AnyStep, ...]
    _summary_failure: Exception | None

    @property
    def task_results(self) -> dict[str, object]:
        """By id: the result of each step that has one, or the exception that it failed with."""
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
        return self._results[step]

    @overload
    def get(self, step: Step[T]) -> T | None: ...
    @overload
    def get(self, step: Step[T], default: U) -> T | U: ...
    @overload
    def get(self, step: AnyStep, default: object = None) -> object: ...
    def get(self, step: AnyStep, default: object = None) -> object:
        return self._results.get(step, default)

    @overload
    def outcome(self, step: Step[T]) -> Outcome[T]: ...
    @overload
    def outcome(self, step: AnyStep) -> Outcome[object]: ...
    def outcome(self, step: AnyStep) -> Outcome[object]:
        return self._results.outcome(step)

    @property
    def exceptions(self) -> ExceptionGroup[Exception] | None:
        failures = self._results.exceptions
        if self._summary_failure is None:
            return failures
        others = [] if failures is None else failures.exceptions
        message = "failures of a task group" if failures is None else failures.message
        return ExceptionGroup(message, [*others, self._summary_failure])

    def raise_exceptions(self) -> None:
        if (exceptions := self.exceptions) is not None:
            raise exceptions


def make_result(results: Results, steps: tuple[AnyStep, ...]) -> TaskGroupResult:
    result = object.__new__(TaskGroupResult)
    result._results = results
    result._steps = steps
    result._summary_failure = None
    return result


class GroupStoppedError(ReflowError):
    """A task group ended before its last step."""

    def __init__(self, message: str, reason: str, results: TaskGroupResult) -> None:
        super().__init__(message)
        self.reason: Final = reason
        self.results: Final = results
