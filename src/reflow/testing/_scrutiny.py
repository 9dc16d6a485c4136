"""What is looked at in the code of a flow's author: conditions, answers, failures."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Final, TypeAlias, final

from reflow import (
    CallbackFailed,
    CleanupFailed,
    ConditionEvaluated,
    StepAnswered,
    StepCompleted,
    StepFailed,
    StepInterrupted,
    StepNotDoneError,
)

from ._model import Gone, Kind, Model, same
from ._rules import BrokenRuleError, broken

if TYPE_CHECKING:
    from collections.abc import Collection

    from reflow import Event

_Read: TypeAlias = tuple[int, Kind, object]


@final
class Scrutiny:
    """Looks at all runs of one schedule, one after the other."""

    def __init__(self, may_raise: tuple[type[Exception], ...], ignore: Collection[str]) -> None:
        """Begin with no run.

        Args:
            may_raise: what steps may raise.
            ignore: rules that don't matter.
        """
        self._may_raise: Final = may_raise
        self._ignore: Final = ignore
        # Whether an answer can be expected to stay what it is.
        self.compares: Final = not ignore
        # What each condition said of what it read.
        self._verdicts: Final[dict[int, list[tuple[list[_Read], bool | None]]]] = {}
        # Answers, and what they were when they were given.
        self._given: Final[dict[str, tuple[object, object]]] = {}

    def begin(self) -> None:
        """Another run begins."""
        self._given.clear()

    def expect(self, event: Event, model: Model) -> None:
        """Look at an event before the model has followed it.

        Raises:
            BrokenRuleError: if something is wrong with it.
        """
        if isinstance(event, StepCompleted | StepAnswered) and "equality" not in self._ignore:
            i, value = model.ids[event.step], event.value
            before = model.values[i]
            if not same(value, value):
                trouble = "isn't equal to itself: each time it is given, it counts as changed"
                broken("equality", f"the answer of {event.step!r} {trouble}")
            if before is not Gone.NEVER and same(before, value) != same(value, before):
                trouble = "is equal to the one before, or not, depending on the side"
                broken("equality", f"the answer of {event.step!r} {trouble} of ==")

    def look(self, event: Event, model: Model) -> None:
        """Look at an event that the model has followed.

        Raises:
            BrokenRuleError: if something is wrong with it.
        """
        match event:
            case StepCompleted(step=step, value=value) | StepAnswered(step=step, value=value):
                self._keep(step, value)
            case ConditionEvaluated():
                self._compare(event, model)
            case (
                StepFailed(exception=Exception() as exception)
                | StepInterrupted(exception=Exception() as exception)
                | CleanupFailed(exception=Exception() as exception)
                | CallbackFailed(exception=Exception() as exception)
            ) if not isinstance(exception, self._may_raise):
                hint = ""
                if isinstance(exception, StepNotDoneError):
                    hint = (
                        ": a step that reads the answer of another has it in its depends_on, or "
                        "reads it with visit.get(...)"
                    )
                # What a sensitive step raises may quote its answer.
                cause = None if event.sensitive else exception
                raise BrokenRuleError("failures", f"{event!r}{hint}") from cause
            case _:
                pass

    def look_back(self) -> None:
        """See that no answer has changed since it was given.

        Raises:
            BrokenRuleError: if one has.
        """
        for step, (value, copied) in self._given.items():
            if not same(value, copied):
                trouble = f"the answer of {step!r} was changed in place after it was given"
                broken("mutation", f"{trouble}: nobody can tell that it has changed")

    def _keep(self, step: str, value: object) -> None:
        self._given.pop(step, None)
        if "mutation" in self._ignore:
            return
        try:
            copied = copy.deepcopy(value)
        except Exception:  # noqa: BLE001 - what can't be copied can't be compared
            return
        if same(value, copied):
            self._given[step] = value, copied

    def _compare(self, event: ConditionEvaluated, model: Model) -> None:
        """Compare what a condition says with what it said of the same before."""
        i = model.ids[event.step]
        positions = [model.ids[name] for name in event.read]
        if not all(map(model.settled, positions)):
            return
        read = [(j, model.kinds[j], model.values[j]) for j in positions]
        for earlier, said in self._verdicts.setdefault(i, []):
            if _all_same(earlier, read) and said is not event.holds:
                answers = [f"{said}", f"{event.holds}"]
                what = "; it reads no other step" if not read else ""
                trouble = f"said {' and '.join(answers)} of the same outcomes of {event.read}{what}"
                broken("purity", f"the condition of {event.step!r} {trouble}")
        self._verdicts[i].append((read, event.holds))


def _all_same(some: list[_Read], others: list[_Read]) -> bool:
    """Say whether a condition that reads these sees the same; failures are never the same."""
    return len(some) == len(others) and all(
        i == j
        and kind is other_kind
        and (kind is Kind.SKIPPED or (kind is Kind.DONE and _alike(value, other)))
        for (i, kind, value), (j, other_kind, other) in zip(some, others, strict=True)
    )


def _alike(value: object, other: object) -> bool:
    return type(value) is type(other) and same(value, other)
