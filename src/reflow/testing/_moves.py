"""What is done in one run that `check_flow` drives."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Literal, TypeAlias, final

import attrs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Request: TypeAlias = Literal["go_back", "jump_ahead", "retake", "answer", "skip", "stop", "cancel"]
"""What may be asked of a run; "cancel" is cancellation from outside."""


class Place(enum.Enum):
    """Where in a run a move takes place: after so many of these."""

    EVENT = "event"
    TURN = "turn of the event loop"
    REST = "time when nothing else can happen"


@final
@attrs.frozen
class Move:
    """One thing that is asked of a run."""

    request: Request
    place: Place
    after: int
    targets: tuple[int, ...] = ()
    value: object = None


@final
@attrs.frozen
class Schedule:
    """What is done in one run."""

    answers: Mapping[int, Sequence[object]]
    """By position of the step: what its visits are answered, the last one again and again."""
    early: bool
    """Whether the first move takes place before the run begins."""
    moves: Sequence[Move]
    cut: int | None
    """At which event the run is cut off, if it is, to go on from its journal."""
