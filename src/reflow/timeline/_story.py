"""What a run's rows tell: visits, and what happened beside them. Answers are never looked at."""

from __future__ import annotations

import enum
import json
from typing import TYPE_CHECKING, Final, cast, final

import attrs

from reflow import JournalError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from reflow import JournalRow

# The format of the rows that is understood here.
FORMAT: Final = 1

# The least distance of a moment from the one before, in pixels: so much is drawn there.
_CLOSE, _NEAR, _BAR, _WIDE = 8, 14, 20, 34


@final
class How(enum.Enum):
    """How a visit ended; the value is what the legend says."""

    DONE = "done"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    ANSWERED = "answered from outside"
    SKIPPED = "skipped"
    LEFT = "left"
    LOST = "process gone"
    OPEN = "under way"


@final
class Sign(enum.Enum):
    """What happened to a step outside of its visits, or beside them."""

    ANSWERED = "answered from outside"
    SKIPPED = "skipped"
    STALE = "made stale"
    FAILED = "failed"
    SUPERSEDED = "answer came too late"
    DROPPED = "request dropped"


@final
class Turn(enum.Enum):
    """What concerns the whole run."""

    RESUMED = "resumed"
    NO_RETURN = "no way back"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    STOPPED = "stopped"


_TURNS: Final = {
    "RunCompleted": Turn.COMPLETED,
    "RunFailed": Turn.FAILED,
    "RunCancelled": Turn.CANCELLED,
    "RunStopped": Turn.STOPPED,
}
_SIGNS: Final = {
    "AnswerSuperseded": (Sign.SUPERSEDED, "came with an answer too late, it doesn't count"),
    "CleanupFailed": (Sign.FAILED, "failed while it was being left"),
    "CallbackFailed": (Sign.FAILED, "on_completed failed"),
}
_NOTHING_TO_DRAW: Final = frozenset({"RunStarted", "ConditionEvaluated"})


@final
@attrs.frozen
class Moment:
    """A point on the time axis."""

    time: datetime
    room: int
    """How far it is at least from the one before, in pixels."""
    labelled: bool
    """Whether its time may be worth telling."""


@final
@attrs.define
class Visit:
    """A visit: from one moment to another."""

    step: str
    number: int
    reason: str
    start: int
    end: int
    how: How = How.OPEN
    detail: str = ""


@final
@attrs.frozen
class Request:
    """Somebody went back, or jumped ahead."""

    moment: int
    source: str | None
    """The step that was visited then."""
    targets: tuple[str, ...]
    ahead: bool


@final
@attrs.frozen
class Mark:
    """Something that happened to a step."""

    moment: int
    step: str
    sign: Sign
    text: str


@final
@attrs.frozen
class Line:
    """Something that happened to the run."""

    moment: int
    turn: Turn
    label: str
    step: str | None = None
    """The point of no return."""


@final
@attrs.define
class Story:
    """All that is drawn of a run."""

    flow: str = ""
    key: str = ""
    steps: list[str] = attrs.Factory(list[str])
    """Those that the flow has now, in its order, and then those that it had before."""
    moments: list[Moment] = attrs.Factory(list[Moment])
    visits: list[Visit] = attrs.Factory(list[Visit])
    requests: list[Request] = attrs.Factory(list[Request])
    marks: list[Mark] = attrs.Factory(list[Mark])
    lines: list[Line] = attrs.Factory(list[Line])
    state: str = "under way"
    """How the run ended, or that it hasn't."""


def read(rows: Sequence[JournalRow]) -> Story:
    """Read what the rows of a run tell.

    Args:
        rows: all of them, in order.

    Raises:
        JournalError: if there are none, or if one of them is damaged or written by a newer reflow.
    """
    if not rows:
        message = "there is nothing to draw: no rows"
        raise JournalError(message)
    reader = _Reader()
    for number, row in enumerate(rows):
        try:
            reader.take(row)
        except (ValueError, RecursionError) as error:
            raise JournalError(f"row {number} can't be drawn: {error}") from error
    return reader.story


@final
class _Reader:
    """Follows the rows of a run."""

    def __init__(self) -> None:
        """Begin before the first row."""
        self.story: Final = Story()
        self._final: set[str] = set()
        # The visit that is under way.
        self._visit: Visit | None = None
        # What is kept of a run whose flow has changed is written anew: that is not news.
        self._carrying = False
        self._over = False

    def take(self, row: JournalRow) -> None:
        """Follow one more row.

        Raises:
            ValueError: if it isn't one that is understood.
        """
        data = _parsed(row.event)
        kind = _text(data, "event")
        if not self.story.steps and "format" not in data:
            message = "it doesn't say what flow this is a run of"
            raise ValueError(message)
        if kind == "Opened":
            self._open(data, row.time)
        elif not self._carrying and kind not in _NOTHING_TO_DRAW:
            self._follow(kind, data, row.time)

    def _open(self, data: dict[str, object], time: datetime) -> None:
        story, resumed = self.story, data.get("resumed") is True
        story.key = _text(data, "key")
        label = "resumed"
        changed = resumed and "format" in data
        if "format" in data:
            self._declare(data)
        if self._carrying:
            # The second one of the same process.
            self._carrying = False
            return
        self._carrying = changed
        if not resumed:
            return
        if changed:
            label = "resumed, flow changed"
        elif not self._over:
            label = "process gone, resumed"
        moment = self._moment(time, _WIDE, labelled=True)
        self._leave(How.LOST, moment)
        story.lines.append(Line(moment, Turn.RESUMED, label))
        story.state, self._over = "under way", False

    def _declare(self, data: dict[str, object]) -> None:
        """Read how the flow was declared."""
        if data["format"] != FORMAT:
            message = f"it was written in another format than {FORMAT}: by a newer reflow?"
            raise ValueError(message)
        self.story.flow = _text(data, "flow")
        now: list[str] = []
        for step in _list(data, "steps"):
            declared = cast("dict[str, object]", step) if isinstance(step, dict) else {}
            now.append(_text(declared, "id"))
            if declared.get("point_of_no_return") is True:
                self._final.add(now[-1])
            else:
                self._final.discard(now[-1])
        before = [step for step in self.story.steps if step not in now]
        self.story.steps = now + before

    def _follow(self, kind: str, data: dict[str, object], time: datetime) -> None:
        """Follow what happened."""
        if kind in _TURNS:
            self._end(kind, data, time)
        elif kind in _SIGNS:
            sign, text = _SIGNS[kind]
            self._mark(self._moment(time, _NEAR), self._step(data), sign, _caused(text, data))
        elif kind == "StepEntered":
            moment = self._moment(time, _CLOSE, labelled=True)
            self._leave(How.LEFT, moment)
            number, reason = _number(data, "number"), _text(data, "reason")
            self._visit = Visit(self._step(data), number, reason, moment, moment)
            self.story.visits.append(self._visit)
        elif kind == "GoBackRequested":
            visit, targets = self._visit, self._steps(data)
            source = None if visit is None else visit.step
            # Beside the number of the visit.
            room = _BAR if visit is not None and visit.end == visit.start else _NEAR
            moment = self._moment(time, room)
            ahead = data.get("ahead") is True
            self.story.requests.append(Request(moment, source, targets, ahead))
        elif kind == "StepsMadeStale":
            by = self._step(data, "by")
            for step in self._steps(data):
                self._mark(self._latest(time), step, Sign.STALE, f"stale, as {by} has changed")
        elif kind == "RequestsDropped":
            by = self._step(data, "by")
            for step in self._steps(data):
                text = f"the request for it was dropped: it is behind {by}"
                self._mark(self._latest(time), step, Sign.DROPPED, text)
        else:
            self._settle(kind, data, time)

    def _settle(self, kind: str, data: dict[str, object], time: datetime) -> None:
        """Follow an event that ends a visit, if there is one to its step."""
        how = {
            "StepCompleted": How.DONE,
            "StepInterrupted": How.INTERRUPTED,
            "StepFailed": How.FAILED,
            "StepAnswered": How.ANSWERED,
            "StepSkipped": How.SKIPPED,
        }.get(kind)
        if how is None:
            raise ValueError(f"there is no event {kind!r}")
        step = self._step(data)
        visit = self._visit
        if data.get("in_condition") is True:
            text = _caused("its condition failed", data)
            self._mark(self._moment(time, _NEAR), step, Sign.FAILED, text)
        elif visit is not None and visit.step == step:
            room = _WIDE if how is How.FAILED else _BAR
            moment = self._moment(time, room if visit.end == visit.start else _NEAR)
            self._leave(how, moment, _caused("", data))
        elif how in {How.ANSWERED, How.SKIPPED}:
            sign = Sign.ANSWERED if how is How.ANSWERED else Sign.SKIPPED
            why = " by its condition" if data.get("by_condition") is True else ""
            self._mark(self._moment(time, _NEAR), step, sign, f"{sign.value}{why}")
        else:
            raise ValueError(f"no visit to step {step!r} is under way")
        settled = how in {How.DONE, How.ANSWERED}
        if settled and step in self._final:
            moment = self._latest(time)
            self.story.lines.append(Line(moment, Turn.NO_RETURN, Turn.NO_RETURN.value, step))

    def _end(self, kind: str, data: dict[str, object], time: datetime) -> None:
        """Follow the end of the run."""
        turn = _TURNS[kind]
        moment = self._moment(time, _BAR, labelled=True)
        self._leave(How.LEFT, moment)
        label = turn.value
        if turn is Turn.STOPPED:
            label = f"stopped: {_text(data, 'reason')}"
        self.story.lines.append(Line(moment, turn, _caused(label, data)))
        self.story.state, self._over = turn.value, True

    def _leave(self, how: How, moment: int, detail: str = "") -> None:
        """End the visit that is under way, if there is one."""
        if self._visit is not None:
            self._visit.end, self._visit.how, self._visit.detail = moment, how, detail
            self._visit = None

    def _mark(self, moment: int, step: str, sign: Sign, text: str) -> None:
        self.story.marks.append(Mark(moment, step, sign, text))

    def _moment(self, time: datetime, room: int, *, labelled: bool = False) -> int:
        """Add a moment; the clock of another process may be behind."""
        moments = self.story.moments
        time = max(time, moments[-1].time) if moments else time
        moments.append(Moment(time, room, labelled))
        if self._visit is not None:
            self._visit.end = len(moments) - 1
        return len(moments) - 1

    def _latest(self, time: datetime) -> int:
        """Give the moment of the event before, for one that follows from it."""
        return len(self.story.moments) - 1 if self.story.moments else self._moment(time, _NEAR)

    def _step(self, data: dict[str, object], field: str = "step") -> str:
        return self._known(_text(data, field))

    def _steps(self, data: dict[str, object]) -> tuple[str, ...]:
        return tuple(self._known(step) for step in _list(data, "steps"))

    def _known(self, step: object) -> str:
        if not isinstance(step, str) or step not in self.story.steps:
            raise ValueError(f"there is no step {step!r}")
        return step


def _parsed(text: str) -> dict[str, object]:
    parsed: object = json.loads(text)
    if not isinstance(parsed, dict):
        message = "it is not an object"
        raise ValueError(message)  # noqa: TRY004 - like every other damage of a row
    return cast("dict[str, object]", parsed)


def _caused(text: str, data: dict[str, object]) -> str:
    """Add the type of the exception, if there is one; what it says may quote an answer."""
    exception = data.get("exception")
    kind = cast("dict[str, object]", exception).get("type") if isinstance(exception, dict) else None
    return ": ".join(filter(None, [text, kind if isinstance(kind, str) else ""]))


def _text(data: dict[str, object], field: str) -> str:
    value = data.get(field)
    if not isinstance(value, str):
        raise ValueError(f"it has no text {field!r}")  # noqa: TRY004 - likewise
    return value


def _number(data: dict[str, object], field: str) -> int:
    value = data.get(field)
    if not isinstance(value, int):
        raise ValueError(f"it has no number {field!r}")  # noqa: TRY004 - likewise
    return value


def _list(data: dict[str, object], field: str) -> list[object]:
    value = data.get(field)
    if not isinstance(value, list):
        raise ValueError(f"it has no list {field!r}")  # noqa: TRY004 - likewise
    return cast("list[object]", value)
