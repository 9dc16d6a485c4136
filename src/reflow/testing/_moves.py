"""What is done in one run that `check_flow` drives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, final

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Request: TypeAlias = Literal["go_back", "jump_ahead", "retake", "answer", "skip", "stop", "cancel"]
"""What may be asked of a run; "cancel" is cancellation from outside."""


@final
@attrs.frozen
class Move:
    """One thing that is asked of a run."""

    request: Request
    after: int
    """How many events come before it."""
    turns: int = 0
    """How many turns of the event loop pass then, if it is asked beside the visits."""
    targets: tuple[int, ...] = ()
    value: object = None


@final
@attrs.frozen
class Schedule:
    """What is done in one run."""

    answers: Mapping[int, Sequence[object]]
    """By position of the step: what its visits are answered, the last one again and again."""
    early: Sequence[Move]
    """What is asked before the run begins: one thing, or nothing."""
    between: Sequence[Move]
    """What is asked when something has just happened, before anything else does."""
    beside: Sequence[Move]
    """What is asked by another task, while steps wait."""
    end: Sequence[Move]
    """What ends the run early, after all that is asked between: one thing, or nothing."""
    cut: int | None
    """Behind how many events the run is cut off, if it is, to go on from its journal."""
