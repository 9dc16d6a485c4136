"""Timelines as a real browser shows them: everything is legible, nothing is where it isn't seen."""

from __future__ import annotations

import base64
import json
from itertools import combinations
from typing import TYPE_CHECKING, cast

import attrs
import pytest
import timeline_picture
from stories import Story, intake

from reflow.timeline import svg

if TYPE_CHECKING:
    from browser import Browser

SCRIPT = """
const box = element => {
    const {left, top, right, bottom} = element.getBoundingClientRect();
    return {left, top, right, bottom};
};
const pictures = [];
for (const root of document.querySelectorAll("body > div > svg")) {
    const {left: x, top: y} = root.getBoundingClientRect();
    const found = [...root.querySelectorAll("text, g.visit path.bar, circle.head")].map(element => {
        const {left, top, right, bottom} = element.getBoundingClientRect();
        const kind = element.getAttribute("class");
        const words = element.tagName === "text" ? element.textContent : "";
        return {left: left - x, top: top - y, right: right - x, bottom: bottom - y, kind, words};
    });
    const {width, height} = root.getBoundingClientRect();
    const image = new Image();
    image.src = `data:image/svg+xml;base64,${root.parentElement.dataset.source}`;
    await image.decode();
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [Math.min(width, 4000), height];
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const colours = {};
    const data = context.getImageData(0, 0, canvas.width, canvas.height).data;
    for (let i = 0; i < data.length; i += 4) {
        const colour = `${data[i]},${data[i + 1]},${data[i + 2]}`;
        colours[colour] = (colours[colour] ?? 0) + 1;
    }
    pictures.push({width, height, found, colours});
}
return pictures;
"""


@attrs.frozen
class Box:
    """A text or a bar, and where it is seen, in pixels."""

    left: float
    top: float
    right: float
    bottom: float
    kind: str
    words: str

    def overlaps(self, other: Box) -> bool:
        """Say whether two of them are over each other, by more than the edge of a letter."""
        wide = min(self.right, other.right) - max(self.left, other.left)
        high = min(self.bottom, other.bottom) - max(self.top, other.top)
        return wide > 0.5 and high > 3


@attrs.frozen
class Shown:
    """A picture as it is shown."""

    width: float
    height: float
    boxes: list[Box]
    colours: dict[str, int]
    """How many pixels have each, in the first 4,000 columns."""

    def of(self, kind: str) -> list[Box]:
        """Give the boxes of a class."""
        return [box for box in self.boxes if kind in box.kind.split()]

    @property
    def texts(self) -> list[Box]:
        """All that is written."""
        return [box for box in self.boxes if box.words]


def show(browser: Browser, *stories: Story) -> list[Shown]:
    """Show runs; give what is seen."""
    pictures = [svg(story.rows) for story in stories]
    body = "".join(
        f'<div data-source="{base64.b64encode(text.encode()).decode()}">{text}</div>'
        for text in pictures
    )
    shown = cast("list[dict[str, object]]", browser.evaluate(body, SCRIPT))
    assert len(shown) == len(stories)
    return [
        Shown(
            cast("float", picture["width"]),
            cast("float", picture["height"]),
            [Box(**box) for box in cast("list[dict[str, float]]", picture["found"])],  # type: ignore[arg-type] # as the script says
            cast("dict[str, int]", picture["colours"]),
        )
        for picture in shown
    ]


def check(shown: Shown) -> None:
    """See that everything is on the picture, and can be read."""
    for box in shown.boxes:
        assert box.left >= 0, box
        assert box.top >= 0, box
        assert box.right <= shown.width, box
        assert box.bottom <= shown.height, box
    # The names that come again are behind everything, but in the way of no bar.
    for name in shown.of("again"):
        for bar in shown.of("bar"):
            beside = name.right <= bar.left or bar.right <= name.left
            assert beside or name.bottom <= bar.top or bar.bottom <= name.top, (name, bar)
    texts = [box for box in shown.texts if box.kind != "again"]
    bars = shown.of("bar")
    for one, other in combinations(texts, 2):
        assert not one.overlaps(other), (one, other)
    for one, other in combinations(bars, 2):
        assert not one.overlaps(other), (one, other)
    for text in texts:
        for bar in bars:
            if text.overlaps(bar):
                assert text.kind.startswith("number")
                assert bar.left <= text.left
                assert text.right <= bar.right


def crowded() -> Story:
    """Tell of a run with long names, many quick visits, and ends and resumptions close together."""
    story = Story(
        *(f"home.address.of_the_{i}th_person_to_insure" for i in range(4)), "b", final="b"
    )
    steps = list(story.numbers)[:4]
    for i in range(120):
        story.enter(steps[i * 3 % 4])
        if i % 5 == 0:
            story.go_back(0.002, *steps)
        elif i % 7 == 0:
            story.add(0.001, "RunStopped", reason="a person takes over, because it must be so")
            story.open(0.01)
        elif i % 11 == 0:
            story.fail(0.003)
        elif i % 13 == 0:
            story.add(0.001, "StepAnswered", step=steps[i * 3 % 4])
        elif i % 17 == 0:
            story.open(3600 * i)
        else:
            story.complete(0.001 * i)
    return story


def test_the_intake(browser: Browser) -> None:
    """Everything is there, where it can be read; and it is drawn in its colours, as an image."""
    (shown,) = show(browser, intake())
    check(shown)
    assert len(shown.of("bar")) == 15
    assert min(bar.right - bar.left for bar in shown.of("bar")) >= 14
    # Done, interrupted, failed, answered, the arrows, and the ground.
    for colour in ("0,120,90", "232,162,0", "192,74,0", "111,188,232", "168,68,124"):
        assert shown.colours[colour] > 30, colour
    assert shown.colours["255,255,255"] > 100_000


def test_nothing_is_over_anything_else(browser: Browser) -> None:
    """Neither where much happens at once, nor with long names, nor where hardly anything does."""
    short = Story("a")
    short.enter("a")
    one = Story("日本語の名前", flow="長い名前" * 30, key="k" * 200)
    one.ask("日本語の名前", 5)
    one.add(0.001, "RunStopped", reason="理由" * 50)
    for shown in show(browser, crowded(), short, one, Story("a", "b"), Story()):
        check(shown)


def test_a_day_between_two_visits(browser: Browser) -> None:
    """It doesn't squeeze the visits, which keep their proportions."""
    story = Story("a", "b", "c")
    story.ask("a", 5)
    story.ask("b", 10)
    story.add(0.1, "RunStopped", reason="tomorrow")
    story.open(86_400)
    story.ask("c", 20)
    (shown,) = show(browser, story)
    check(shown)
    widths = [bar.right - bar.left for bar in shown.of("bar")]
    assert widths[1] / widths[0] == pytest.approx(2, rel=0.05)
    assert widths[2] / widths[0] == pytest.approx(4, rel=0.05)
    assert shown.width < 1000
    assert "1 d" in [text.words for text in shown.texts]


def test_numbers_are_on_their_bars(browser: Browser) -> None:
    """Each bar that is wide enough says which visit it is."""
    story = Story("a")
    for _ in range(12):
        story.ask("a", 3)
    (shown,) = show(browser, story)
    check(shown)
    assert [box.words for box in shown.of("number")] == [str(i) for i in range(1, 13)]
    assert json.dumps(shown.width)


def test_names_that_come_again_are_above_the_bars(browser: Browser) -> None:
    """A wide picture tells everywhere what its lanes are, and covers none of it."""
    story = Story("insured_person.page", "insured_person.pgq")
    for i in range(60):
        story.ask(f"insured_person.p{'gq' if i % 2 else 'age'}", 20)
    story.enter("insured_person.pgq")
    story.go_back(4, "insured_person.page", "insured_person.pgq")
    (shown,) = show(browser, story)
    check(shown)
    assert len(shown.of("again")) >= 4
    assert [box.words for box in shown.of("order")] == ["1", "2"]


def test_the_picture_in_the_documents_is_the_one_that_is_drawn() -> None:
    """It shows what people get, not what they once got."""
    text = timeline_picture.PICTURE.read_text("ascii")
    assert text == timeline_picture.drawn(), "draw it with: python tests/timeline_picture.py"
