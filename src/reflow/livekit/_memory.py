"""Where the groups were left that are nested in interrupted steps."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, Final, final

from reflow import (
    GoBackRequested,
    StepAnswered,
    StepCompleted,
    StepEntered,
    StepFailed,
    StepSkipped,
)

if TYPE_CHECKING:
    from collections.abc import Container

    from reflow import Event, Visit

    from ._conductor import Conductor


@final
class Memory:
    """Remembers the groups nested in the steps of a run; an observer of that run.

    A step that resumes makes its groups anew. Each goes on where the one in its place was left,
    unless the step has settled since, was asked for, or is based on what has changed.
    """

    def __init__(self) -> None:
        """Know of none."""
        # By step: what it is based on, and its groups.
        self._groups: Final[dict[str, tuple[Container[str], list[Conductor]]]] = {}
        # How many the visit under way has begun.
        self._begun = 0

    def __call__(self, event: Event) -> None:
        """Take note of an event."""
        match event:
            case StepEntered():
                self._begun = 0
            case GoBackRequested(steps=steps):
                for step in steps:
                    self._groups.pop(step, None)
            case StepCompleted() | StepFailed() | StepSkipped() | StepAnswered():
                self._groups.pop(event.step, None)
                if event.changed:
                    self._forget_dependents(event.step)
            case _:
                pass

    def _forget_dependents(self, changed: str) -> None:
        for step, (needed, _) in [*self._groups.items()]:
            if changed in needed:
                del self._groups[step]

    def place(self, visit: Visit[object], group: Conductor) -> Conductor | None:
        """Put a group in the next place of the visit under way; give the one that was there."""
        step = visit.step
        before = takewhile(lambda other: other is not step, visit.run.steps)
        needed = {other.id for other in (before if step.always_ask else step.depends_on)}
        _, groups = self._groups.setdefault(step.id, (needed, []))
        earlier = groups[self._begun] if self._begun < len(groups) else None
        groups[self._begun : self._begun + 1] = [group]
        self._begun += 1
        return earlier

    def take_over(self, earlier: Memory) -> None:
        """Go on with what is remembered of an earlier run."""
        self._groups.update(earlier._groups)
