"""A run's story, drawn: a lane for each step, its visits as bars, going back as arrows."""

from __future__ import annotations

import math
from datetime import UTC
from typing import TYPE_CHECKING, Final, TypeVar, assert_never, final

from ._axis import Axis, narrowed, shortened, told, width_of
from ._picture import Picture, points, short
from ._story import How, Sign, Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ._story import Line, Mark, Request, Story, Visit

T = TypeVar("T")

# In pixels: the height of a lane, of a bar and above it, where a name has its place; margins; and
# how wide texts may be: names more than usually, if that is what tells them apart.
_LANE: Final = 38
_BAR: Final = 18
_ABOVE: Final = 16
_MARGIN: Final = 16
_NAMES: Final = 220
_MOST: Final = 480
_LABEL: Final = 320
_LEAST: Final = 720
# The names of the lanes come again after so many pixels.
_AGAIN: Final = 1500
# Of labels that would overlap, the later ones move up by rows; there are so many.
_ROWS: Final = 4
_ROW: Final = 16
_GAP_HALF: Final = 4

# How wide a bar must be for more than a number, or for one that may have no end.
_NUMBERED: Final = 18
_CROSSED: Final = 14
# What is legible on them; "on-dark" on the others.
_ON_BARS: Final = {
    How.INTERRUPTED: "on-light",
    How.ANSWERED: "on-light",
    How.SKIPPED: "on-light",
    How.LOST: "on-hatched",
}


@final
class Drawing:
    """The picture of a story."""

    def __init__(self, story: Story) -> None:
        """Lay it out."""
        self._story: Final = story
        self._axis: Final = Axis(story)
        self._lanes: Final = {step: i for i, step in enumerate(story.steps)}
        names = max((width_of(step, 12) for step in story.steps), default=0.0)
        self._limit: Final = self._wide_enough()
        self._names: Final = min(names, self._limit) + 2 * _MARGIN
        self._labels: Final = [*self._placed()]
        right = max((x + width_of(text, 12) for x, _, text, _ in self._labels), default=0.0)
        right = max([right, *(tick.x + width_of(tick.time, 11) for tick in self._axis.ticks)])
        self._width: Final = max(self._names + max(right, self._axis.width) + _MARGIN * 2, _LEAST)
        self._legend: Final = [*self._legend_rows()]
        rows = max((row for _, row, _, _ in self._labels), default=-1) + 1
        self._label_base: Final = 64 + len(self._legend) * 22 + rows * _ROW
        self._top: Final = self._label_base + 8
        self._bottom: Final = self._top + _LANE * len(story.steps)
        self._summary: Final = self._summed_up()
        self._picture: Final = Picture(self._title(), self._summary)

    def svg(self) -> str:
        """Draw everything; give the text of the picture."""
        self._head()
        self._ground()
        self._times()
        for line in self._visible(self._story.lines, lambda line: line.moment):
            self._line(line)
        for visit in self._visible(self._story.visits, lambda visit: visit.end):
            self._visit(visit)
        for request in self._visible(self._story.requests, lambda request: request.moment):
            self._request(request)
        for mark in self._visible(self._story.marks, lambda mark: mark.moment):
            self._mark(mark)
        self._gaps()
        return self._picture.drawn(self._width, self._bottom + 62)

    def _visible(self, things: list[T], moment: Callable[[T], int]) -> Iterator[T]:
        return (thing for thing in things if moment(thing) >= self._axis.first)

    def _x(self, moment: int) -> float:
        return self._names + self._axis.left[max(moment, self._axis.first)]

    def _y(self, step: str) -> float:
        """Give the middle of a lane's bars."""
        return self._top + _LANE * self._lanes[step] + _ABOVE + _BAR / 2

    def _wide_enough(self) -> int:
        """Say how wide names may be, so that no two of them are the same if that can be."""
        steps = self._story.steps
        for width in range(_NAMES, _MOST, 20):
            if len({narrowed(step, 12, width) for step in steps}) == len(steps):
                return width
        return _MOST

    # What stands above the lanes.

    def _title(self) -> str:
        return f"{self._story.flow}, {self._story.key}"

    def _summed_up(self) -> str:
        story = self._story
        backs = sum(not request.ahead for request in story.requests)
        resumed = sum(line.turn is Turn.RESUMED for line in story.lines)
        parts = [story.state, f"{len(story.visits)} visits"]
        if story.moments:
            parts.insert(1, f"after {told(story.moments[-1].time - story.moments[0].time)}")
        parts += [f"went back {_times(backs)}"] * bool(backs)
        parts += [f"resumed {_times(resumed)}"] * bool(resumed)
        missing = sum(visit.end < self._axis.first for visit in story.visits)
        parts += [f"the first {missing} visits are not drawn"] * bool(missing)
        return ", ".join(parts)

    def _head(self) -> None:
        width = self._width - 2 * _MARGIN
        self._picture.text(_MARGIN, 28, shortened(self._title(), 16, width), "title")
        self._picture.text(_MARGIN, 48, shortened(self._summary, 12, width), "soft")
        for row, items in enumerate(self._legend):
            x, y = float(_MARGIN), 71 + 22 * row
            for kind, text in items:
                self._sample(kind, x, y - 4)
                self._picture.text(x + 26, y, text, "legend")
                x += 26 + width_of(text, 12) + 18

    def _legend_rows(self) -> Iterator[list[tuple[How | Sign | Turn | None, str]]]:
        """Explain what is drawn, and nothing else, in rows."""
        story = self._story
        kinds: set[How | Sign | Turn | None] = {visit.how for visit in story.visits}
        kinds |= {mark.sign for mark in story.marks}
        kinds |= {line.turn for line in story.lines} & {Turn.RESUMED, Turn.NO_RETURN}
        kinds |= {None} if story.requests else set()
        row: list[tuple[How | Sign | Turn | None, str]] = []
        taken = 0.0
        seen: set[str] = set()
        for kind in (*How, None, *Sign, *Turn):
            text = "went back" if kind is None else kind.value
            if kind not in kinds or text in seen:
                continue
            seen.add(text)
            wide = 26 + width_of(text, 12) + 18
            if row and taken + wide > min(self._width - 2 * _MARGIN, 1000):
                yield row
                row, taken = [], 0.0
            row.append((kind, text))
            taken += wide
        if row:
            yield row

    def _sample(self, kind: How | Sign | Turn | None, x: float, y: float) -> None:
        """Draw what a line of the legend explains, around this height."""
        self._picture.begin(kind="sample")
        match kind:
            case How():
                self._bar(kind, x, x + 20, y, 12)
            case Sign():
                self._sign(kind, x + 10, y)
            case Turn():
                self._vertical(kind, x + 10, y - 8, y + 8)
            case None:
                self._picture.path("back", f"M{short(x)},{short(y + 6)} v-6 h13")
                self._arrowhead(x + 20, y)
            case _:
                assert_never(kind)
        self._picture.end()

    def _placed(self) -> Iterator[tuple[float, int, str, Line]]:
        """Give each line's label a place: where it begins, and in which row above the lanes."""
        # By row, where the first text begins that stands there or above, so that no line crosses
        # a text: each is placed over those to its right.
        begins = [math.inf] * _ROWS
        lines = [*self._visible(self._story.lines, lambda line: line.moment)]
        for line in reversed(lines):
            text = shortened(line.label, 12, _LABEL)
            x = self._axis.left[line.moment]
            end = x + width_of(text, 12) + 10
            row = next((row for row, begin in enumerate(begins) if end <= begin), None)
            if row is not None:
                begins[: row + 1] = [x] * (row + 1)
                yield x, row, text, line

    # The ground.

    def _ground(self) -> None:
        for step, i in self._lanes.items():
            y = self._top + _LANE * i
            if i % 2 == 0:
                self._picture.shape("rect", "lane", x=0, y=y, width=self._width, height=_LANE)
            self._picture.begin(step)
            name = narrowed(step, 12, self._limit)
            self._picture.text(_MARGIN, y + _ABOVE + _BAR - 5, name, "step")
            self._picture.end()
            x = self._names + _AGAIN
            while x < self._width - _AGAIN / 2:
                self._picture.text(x + 4, y + 11, name, "again")
                x += _AGAIN

    def _times(self) -> None:
        picture, bottom = self._picture, self._bottom
        for tick in self._axis.ticks:
            x = self._names + tick.x
            picture.shape("line", "grid", x1=x, y1=self._top, x2=x, y2=bottom + 5)
            picture.text(x, bottom + 20, tick.time, "time")
            if tick.date:
                picture.text(x, bottom + 35, tick.date, "time")
        end = self._names + self._axis.width
        picture.shape("line", "axis", x1=self._names, y1=bottom, x2=end, y2=bottom)
        note = "Times in UTC. Short visits are drawn longer than they were"
        note += ", pauses at a break shorter." if self._axis.gaps else "."
        picture.text(_MARGIN, bottom + 54, note, "soft")

    def _gaps(self) -> None:
        """Break the axis, and all that goes on there."""
        half, top, bottom = _GAP_HALF, self._top, self._bottom
        for gap in self._axis.gaps:
            x = self._names + gap.x
            self._picture.begin(f"{gap.text}, drawn shorter")
            jags = range((bottom - top) // 6)
            down = [(x - half + (i % 2) * 4, top + i * 6) for i in (*jags, len(jags))]
            beside = [(right + 2 * half, y) for right, y in down]
            self._picture.path("break", points([*down, *reversed(beside)]))
            self._picture.path("edge", f"{points(down)[:-2]} {points(beside)[:-2]}")
            self._picture.text(x, bottom + 35, gap.text, "time", "middle")
            self._picture.end()

    def _line(self, line: Line) -> None:
        x = self._x(line.moment)
        top = self._top
        bottom = self._bottom
        if line.step is not None:
            bottom = top + _LANE * (self._lanes[line.step] + 1)
        self._picture.begin(line.label, self._at(line.moment))
        for left, row, text, placed in self._labels:
            if placed is line:
                top = self._label_base - row * _ROW - 10
                kind = "label"
                self._picture.text(self._names + left + 5, top + 10, text, kind)
        self._vertical(line.turn, x, top, bottom)
        self._picture.end()

    def _vertical(self, turn: Turn, x: float, top: float, bottom: float) -> None:
        kind = {Turn.RESUMED: "resumed", Turn.NO_RETURN: "no-return"}.get(turn, "over")
        self._picture.shape("line", kind, x1=x, y1=top, x2=x, y2=bottom)

    # What happened.

    def _visit(self, visit: Visit) -> None:
        left, right, y = self._x(visit.start), self._x(visit.end), self._y(visit.step)
        if visit.how is How.LOST:
            # Nobody knows when; not when it was resumed.
            right = left + max((right - left) / 2, _NUMBERED)
        elif visit.how is How.OPEN:
            right = max(right, left + _NUMBERED)
        span = self._story.moments[visit.end].time - self._story.moments[visit.start].time
        known = "" if visit.how in {How.LOST, How.OPEN} else f" after {told(span)}"
        detail = f", {visit.detail}" if visit.detail else ""
        words = f"{visit.step}, visit {visit.number} ({visit.reason})"
        how = f"{visit.how.value}{known}{detail}"
        self._picture.begin(words, how, f"from {self._at(visit.start)}", kind="visit")
        self._bar(visit.how, left, right, y, _BAR)
        number = str(visit.number)
        if right - left >= width_of(number, 11) + 8:
            kind = _ON_BARS.get(visit.how, "on-dark")
            self._picture.text(left + 4, y + 4, number, f"number {kind}")
        self._picture.end()

    def _bar(self, how: How, left: float, right: float, y: float, height: float) -> None:
        """Draw a bar; its right end says, too, how the visit ended."""
        top, bottom = y - height / 2, y + height / 2
        tip = min(6.0, (right - left) / 3)
        end = {How.INTERRUPTED: [(right, top), (right - tip, y), (right, bottom)]}
        end[How.OPEN] = [(right - tip, top), (right, y), (right - tip, bottom)]
        corners = [(left, top), *end.get(how, [(right, top), (right, bottom)]), (left, bottom)]
        self._picture.path(f"bar {how.name.lower()}", points(corners))
        if how is How.FAILED and right - left >= _CROSSED:
            self._cross(right - 8, y, "cross on-bar")

    def _request(self, request: Request) -> None:
        x, moment = self._x(request.moment), request.moment
        top = self._top if request.source is None else self._y(request.source)
        what = "jumped ahead" if request.ahead else "went back"
        place = "" if request.source is None else f" from {request.source}"
        title = f"{what}{place} to {', '.join(request.targets)}"
        self._picture.begin(title, self._at(moment), kind="request")
        self._picture.shape("circle", "head", cx=x, cy=top, r=3.5)
        kind = "back ahead" if request.ahead else "back"
        for number, target in enumerate(request.targets, 1):
            y = self._y(target)
            if target == request.source:
                # Over its own bar, back to where it began.
                y -= _BAR / 2 + 6
            self._picture.path(kind, f"M{short(x)},{short(top)} V{short(y)} h5")
            self._arrowhead(x + 11, y)
            if len(request.targets) > 1:
                self._picture.text(x - 4, y + 3.5, str(number), "order", "end")
        self._picture.end()

    def _arrowhead(self, x: float, y: float) -> None:
        self._picture.path("head", points([(x, y), (x - 8, y - 4.5), (x - 8, y + 4.5)]))

    def _mark(self, mark: Mark) -> None:
        x, y = self._x(mark.moment), self._y(mark.step)
        title = f"{mark.step}: {mark.text}"
        self._picture.begin(title, self._at(mark.moment), kind="mark-of-step")
        self._sign(mark.sign, x, y)
        self._picture.end()

    def _sign(self, sign: Sign, x: float, y: float) -> None:
        match sign:
            case Sign.FAILED:
                self._cross(x, y)
            case Sign.STALE:
                self._picture.shape("circle", "stale", cx=x, cy=y, r=4.5)
            case Sign.ANSWERED | Sign.SUPERSEDED:
                kind = "mark answered" if sign is Sign.ANSWERED else "superseded"
                self._picture.path(kind, points([(x, y - 7), (x + 7, y), (x, y + 7), (x - 7, y)]))
            case Sign.SKIPPED:
                path = points([(x - 5, y - 5), (x + 5, y - 5), (x + 5, y + 5), (x - 5, y + 5)])
                self._picture.path("mark skipped", path)
            case Sign.DROPPED:
                self._picture.path("dropped", f"M{short(x - 5)},{short(y)} h10")
            case _:
                assert_never(sign)

    def _cross(self, x: float, y: float, kind: str = "cross") -> None:
        self._picture.path(kind, f"M{short(x - 4)},{short(y - 4)} l8,8 m0,-8 l-8,8")

    def _at(self, moment: int) -> str:
        time = self._story.moments[moment].time.astimezone(UTC)
        return time.isoformat(" ", "milliseconds").removesuffix("+00:00") + " UTC"


def _times(count: int) -> str:
    return {1: "once", 2: "twice"}.get(count, f"{count} times")
