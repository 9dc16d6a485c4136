"""The way that a run has taken so far, as its observers were told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from reflow import ConditionEvaluated, GoBackRequested, StepEntered

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from reflow import Event


@final
class Way:
    """What is drawn of a run's events."""

    def __init__(self, events: Iterable[Event], steps: Container[str]) -> None:
        """Read them, in order.

        Args:
            events: what happened in the run.
            steps: the ids of the flow's steps; others are ignored.
        """
        # By step, the numbers of its visits among all of them, from 1.
        self.visits: Final[dict[str, list[int]]] = {}
        # How often somebody went back, from the step visited then to another.
        self.backs: Final[dict[tuple[str, str], int]] = {}
        # By step, what its condition read when it was last evaluated.
        self.read: Final[dict[str, tuple[str, ...]]] = {}
        number, last = 0, None
        for event in events:
            match event:
                case StepEntered(step=step) if step in steps:
                    number, last = number + 1, step
                    self.visits.setdefault(step, []).append(number)
                case GoBackRequested(steps=targets, ahead=False) if last is not None:
                    for target in targets:
                        if target in steps:
                            arrow = last, target
                            self.backs[arrow] = self.backs.get(arrow, 0) + 1
                case ConditionEvaluated(step=step, read=read) if step in steps:
                    self.read[step] = tuple(name for name in read if name in steps)
                case _:
                    pass
