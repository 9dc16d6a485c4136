"""Where the moments of a run stand on the time axis, and what is written there."""

from __future__ import annotations

import statistics
import unicodedata
from datetime import UTC, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Final, final

import attrs

from ._story import How

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ._story import Story

# In pixels: how wide a visit of medium length is, how long a piece of the axis may be, and how
# long it is if it is broken.
_MEDIUM: Final = 56
_LONGEST: Final = 320
_BROKEN: Final = 160
# More moments than these make no picture that anybody could read; the latest ones are drawn.
LIMIT: Final = 4000
# How wide a sign of each size of text is at most, in parts of that size.
_WIDTH: Final = 0.61


@final
@attrs.frozen
class Tick:
    """A time on the axis."""

    x: float
    time: str
    date: str
    """Empty where it is the same as at the tick before."""


@final
@attrs.frozen
class Gap:
    """A piece of the axis that is shorter than its time."""

    x: float
    """Its middle."""
    text: str


@final
class Axis:
    """The time axis: in proportion where it can be, broken where nothing happened for long."""

    def __init__(self, story: Story) -> None:
        """Lay it out, from 0."""
        moments = story.moments
        self.first: Final = max(len(moments) - LIMIT, 0)
        self.left: Final = [0.0] * len(moments)
        self.gaps: Final[list[Gap]] = []
        scale = _scale(story)
        x = 0.0
        for i in range(self.first + 1, len(moments)):
            span = moments[i].time - moments[i - 1].time
            wide = span.total_seconds() * scale
            step = max(wide, moments[i].room)
            if step > _LONGEST:
                step = _BROKEN
                self.gaps.append(Gap(x + step / 2, told(span)))
            x += step
            self.left[i] = x
        self.width: Final = x
        self.ticks: Final = [*self._ticks(story)]

    def _ticks(self, story: Story) -> Iterator[Tick]:
        moments = story.moments
        if not moments:
            return
        fine = moments[-1].time - moments[self.first].time < timedelta(seconds=10)
        end, date = -1.0, ""
        for i in range(self.first, len(moments)):
            x, time = self.left[i], moments[i].time.astimezone(UTC)
            label = time.strftime("%H:%M:%S")
            if fine:
                label += f".{time.microsecond // 1000:03}"
            # Dates stand below their times, and are a little longer than the shortest.
            wide = max(width_of(label, 11), width_of("2000-01-01", 11)) + 10
            if (moments[i].labelled or i == self.first) and x >= end:
                today = time.strftime("%Y-%m-%d")
                yield Tick(x, label, today if today != date else "")
                end, date = x + wide, today


def _scale(story: Story) -> float:
    """Give the pixels of a second."""
    moments = story.moments
    spans = [
        (moments[visit.end].time - moments[visit.start].time).total_seconds()
        for visit in story.visits
        if visit.how is not How.LOST
    ]
    spans = [span for span in spans if span > 0]
    return _MEDIUM / statistics.median(spans) if spans else 0.0


def told(span: timedelta) -> str:
    """Give a span of time as a person says it, with two units at most."""
    milliseconds = span // timedelta(milliseconds=1)
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    if milliseconds < 10_000:
        return f"{milliseconds / 1000:.1f} s"
    seconds = milliseconds // 1000
    units = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
    for (name, size), (smaller, part) in pairwise(units):
        if seconds >= size:
            rest = seconds % size // part
            return f"{seconds // size} {name}" + (f" {rest} {smaller}" if rest else "")
    return f"{seconds} s"


def width_of(text: str, size: float) -> float:
    """Estimate how wide a text is, in pixels: rather too much than too little."""
    wide = sum(1 + (unicodedata.east_asian_width(sign) in "WF") for sign in text)
    return wide * size * _WIDTH


def shortened(text: str, size: float, width: float) -> str:
    """Cut a text so that it is not wider than that, in pixels."""
    if width_of(text, size) <= width:
        return text
    while text and width_of(f"{text}…", size) > width:
        text = text[:-1]
    return f"{text}…"


def narrowed(text: str, size: float, width: float) -> str:
    """Cut an id in its middle so that it is not wider than that, in pixels.

    The ids inside of an included flow are addresses: what tells them apart is mostly at their
    end, of which more is kept, and otherwise at their beginning.
    """
    if width_of(text, size) <= width:
        return text
    cut, kept = text, min(len(text), int(width / (size * _WIDTH)))
    while kept and width_of(cut, size) > width:
        kept -= 1
        head = kept // 3
        cut = f"{text[:head]}…{text[len(text) - (kept - head) :]}"
    return cut
