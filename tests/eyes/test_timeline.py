"""Timelines: what is drawn of a run, and what never is."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import anyio
import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stories import Story, intake
from wandering import Case, cases, wander

from reflow import JournalError
from reflow.timeline import svg

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reflow import JournalRow

SVG = "{http://www.w3.org/2000/svg}"


def drawn(story: Story | Sequence[JournalRow]) -> ET.Element:
    """Draw a run; give the picture's elements."""
    return ET.fromstring(svg(story.rows if isinstance(story, Story) else story))


def titles(picture: ET.Element, kind: str | None = None) -> list[list[str]]:
    """Give the lines of what shows where the pointer rests, of all groups of a class."""
    found: list[list[str]] = []
    for group in picture.iter(f"{SVG}g"):
        title = group.find(f"{SVG}title")
        if title is not None and (kind is None or group.get("class") == kind):
            found.append(str(title.text).split("\n"))
    return found


def texts(picture: ET.Element, kind: str) -> list[str]:
    """Give the texts of a class."""
    return [str(text.text) for text in picture.iter(f"{SVG}text") if text.get("class") == kind]


def test_an_intake() -> None:
    """Every visit has its bar, every request its arrows, and so on, and it says who and when."""
    picture = drawn(intake())
    assert texts(picture, "title") == ["intake, call-42"]
    assert texts(picture, "soft")[0] == (
        "completed, after 18 h 22 min, 15 visits, went back twice, resumed twice"
    )
    steps = "name email phone birthday plan members doctor card confirmed"
    assert texts(picture, "step") == steps.split()
    visits = titles(picture, "visit")
    assert len(visits) == 15
    assert visits[0] == [
        "name, visit 1 (first)",
        "done after 6.0 s",
        "from 2024-05-17 14:03:05.124 UTC",
    ]
    assert [words[1] for words in visits if words[0].startswith("doctor")] == [
        "interrupted after 5.0 s",
        "failed after 5.0 s, app.NoDoctorError",
        "done after 6.0 s",
    ]
    assert next(words[1] for words in visits if words[0].startswith("card")) == "process gone"
    assert [words[0] for words in titles(picture, "request")] == [
        "went back from doctor to plan, email",
        "went back from confirmed to confirmed",
    ]
    assert [words[0] for words in titles(picture, "mark-of-step")] == [
        "members: skipped by its condition",
        "doctor: stale, as plan has changed",
        "name: answered from outside",
    ]
    assert texts(picture, "label") == [
        *("failed: app.NoDoctorError", "resumed", "process gone, resumed"),
        *("no way back", "completed"),
    ]
    assert texts(picture, "legend") == [
        *("done", "interrupted", "failed", "answered from outside", "skipped", "process gone"),
        *("went back", "made stale", "resumed", "no way back"),
    ]
    assert texts(picture, "time")[-2:] == ["1 min 5 s", "18 h 20 min"]


def test_no_values() -> None:
    """Neither an answer nor the text of an exception."""
    assert any("SECRET" in row.event for row in intake().rows)
    assert "SECRET" not in svg(intake().rows)


def test_the_same_rows_give_the_same_bytes() -> None:
    """Also in another process; and it can be printed everywhere."""
    text = svg(intake().rows)
    assert text == svg(intake().rows)
    assert text.isascii()
    assert text.startswith("<svg ")


def test_a_run_that_has_not_ended() -> None:
    """What is under way goes on to the end of the picture."""
    story = Story("a", "b")
    story.ask("a", 3)
    story.enter("b")
    picture = drawn(story)
    assert texts(picture, "soft")[0] == "under way, after 3.0 s, 2 visits"
    assert titles(picture, "visit")[1][1] == "under way"


def test_only_opened() -> None:
    """A run of which nothing is known yet is a picture, too, also of a flow without steps."""
    picture = drawn(Story())
    assert texts(picture, "soft")[0] == "under way, 0 visits"
    assert titles(picture) == []
    assert texts(drawn(Story("a")), "step") == ["a"]


def test_every_end() -> None:
    """How a run ended is said, with the reason; the visit that it left is drawn so."""
    story = Story("a")
    for kind, fields in (
        ("RunCancelled", {}),
        ("RunStopped", {"reason": "a person takes over"}),
        ("RunFailed", {"exception": {"type": "KeyboardInterrupt"}}),
    ):
        story.enter("a")
        story.add(2, kind, **fields)
        story.open(5)
    picture = drawn(story)
    assert [words[1] for words in titles(picture, "visit")] == ["left after 2.0 s"] * 3
    assert texts(picture, "label") == [
        *("cancelled", "resumed", "stopped: a person takes over", "resumed"),
        *("failed: KeyboardInterrupt", "resumed"),
    ]


def test_more_labels_than_there_is_room_for() -> None:
    """Those that find no place are left out; the lines say the same where the pointer rests."""
    story = Story("a")
    for _ in range(8):
        story.enter("a")
        story.add(0, "RunStopped", reason="a person takes over, whose name isn't known")
        story.open(0)
    picture = drawn(story)
    assert 4 <= len(texts(picture, "label")) < 16
    assert sum(words[0].startswith("stopped") for words in titles(picture)) == 8


def test_beside_the_visits() -> None:
    """What happens to steps that aren't visited."""
    story = Story("a", "b", final="b")
    story.add(1, "GoBackRequested", steps=["b", "a"], ahead=True)
    story.enter("a")
    story.add(1, "StepAnswered", step="a")
    story.add(1, "AnswerSuperseded", step="a", number=1)
    story.add(1, "CleanupFailed", step="a", number=1, exception={"type": "ValueError"})
    story.add(1, "StepFailed", step="b", in_condition=True, exception={"type": "KeyError"})
    story.add(1, "StepSkipped", step="b", by_condition=False)
    story.ask("b", 1)
    story.add(0, "RequestsDropped", by="b", steps=["a"])
    story.add(1, "CallbackFailed", step="b", exception={})
    story.add(1, "StepAnswered", step="b")
    picture = drawn(story)
    assert [words[0] for words in titles(picture, "request")] == ["jumped ahead to b, a"]
    assert [words[0] for words in titles(picture, "mark-of-step")] == [
        "a: came with an answer too late, it doesn't count",
        "a: failed while it was being left: ValueError",
        "b: its condition failed: KeyError",
        "b: skipped",
        "a: the request for it was dropped: it is behind b",
        "b: on_completed failed",
        "b: answered from outside",
    ]


def test_stale_before_anything_else() -> None:
    """A mark that belongs to no earlier moment has one of its own."""
    story = Story("a", "b")
    story.add(1, "StepsMadeStale", by="a", steps=["b"])
    assert len(titles(drawn(story), "mark-of-step")) == 1


def test_a_changed_flow() -> None:
    """Steps that are gone are last, and what was carried over is no news."""
    story = Story("a", "gone", "b", final="a")
    story.ask("a", 2)
    story.ask("gone", 2)
    story.declare(60, ["new", "a", "b"], "", resumed=True)
    story.add(0, "StepAnswered", step="a")
    story.open(0)
    story.ask("new", 2)
    picture = drawn(story)
    assert texts(picture, "step") == ["new", "a", "b", "gone"]
    assert titles(picture, "mark-of-step") == []
    assert texts(picture, "label") == ["no way back", "resumed, flow changed"]


def test_clocks_differ() -> None:
    """The clock of another machine may be behind; the picture goes on to the right."""
    story = Story("a")
    story.enter("a")
    story.open(-3600)
    story.ask("a", 5, "recovered")
    xs = [float(line.get("x1", "nan")) for line in drawn(story).iter(f"{SVG}line")]
    assert all(x >= 0 for x in xs)
    assert "0 ms" in svg(story.rows) or texts(drawn(story), "soft")


def test_awkward_texts() -> None:
    """Whatever stands in ids, keys, reasons and names: the picture is well-formed, and says it."""
    awkward = "<b>&\"'\x00\x1b\ud800\uffff]]>\n--> ﬁ 日本 🎉 \u202e"
    story = Story(awkward, "b" * 300, flow=awkward, key=awkward)
    story.ask(awkward, 1)
    story.enter("b" * 300, awkward)
    story.add(1, "RunStopped", reason=awkward * 20)
    picture = drawn(story)
    shown = "<b>&\"'\ufffd\ufffd\ufffd\ufffd]]> --> ﬁ 日本 🎉 \ufffd"
    assert texts(picture, "title")[0] == f"{shown}, {shown}"
    assert texts(picture, "step")[0].startswith("<b>&\"'")
    assert texts(picture, "step")[1].strip("b") == "…"
    assert titles(picture, "visit")[0][0] == f"{shown}, visit 1 (first)"
    assert texts(picture, "label")[0].startswith("stopped: <b>&")


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        ("nonsense", "Expecting value"),
        ("[]", "it is not an object"),
        ("{}", "it has no text 'event'"),
        ('{"event": "Unknown", "step": "a"}', "there is no event 'Unknown'"),
        ('{"event": "StepEntered", "step": "x", "number": 1, "reason": "r"}', "no step 'x'"),
        ('{"event": "StepEntered", "step": 7, "number": 1, "reason": "r"}', "no text 'step'"),
        ('{"event": "StepEntered", "step": "a", "number": "1"}', "no number 'number'"),
        ('{"event": "GoBackRequested", "steps": "a"}', "no list 'steps'"),
        ('{"event": "GoBackRequested", "steps": [1]}', "there is no step 1"),
        ('{"event": "StepCompleted", "step": "a"}', "no visit to step 'a' is under way"),
        ('{"event": "RunStopped"}', "no text 'reason'"),
        ('{"event": "Opened", "key": "k", "format": 2}', "another format than 1: by a newer"),
        ('{"event": "Opened", "key": "k", "format": 1, "flow": "f", "steps": [1]}', "text 'id'"),
        ("[" * 200_000, "recursion"),
    ],
)
def test_damaged_rows(event: str, reason: str) -> None:
    """The error names the row and what is wrong with it."""
    story = Story("a")
    rows = [*story.rows, attrs.evolve(story.rows[0], event=event)]
    with pytest.raises(JournalError, match="row 1 can't be drawn") as caught:
        svg(rows)
    assert reason in str(caught.value)


def test_no_rows_and_no_beginning() -> None:
    """There must be something that says what flow it is."""
    with pytest.raises(JournalError, match="no rows"):
        svg([])
    story = Story("a")
    story.ask("a", 1)
    with pytest.raises(JournalError, match="row 0 can't be drawn: it doesn't say what flow"):
        svg(story.rows[1:])


def test_lanes_with_long_names() -> None:
    """They are cut where they can still be told apart: ids inside of included flows at the end."""
    person = "insured_person_who_is_not_the_holder"
    steps = [f"{person}.{step}" for step in ("first", "address.street", "address.zip", "address")]
    short = texts(drawn(Story(*steps, person)), "step")
    assert len(set(short)) == 5
    assert [name.rpartition(".")[2] for name in short[:4]] == ["first", "street", "zip", "address"]
    assert {name[:8] for name in short} == {"insured_"}
    assert max(map(len, short)) <= 30
    # Those that differ only where it would be cut get more room; but not without end.
    houses = [f"insured_person.{house}_residence.street_and_house_number" for house in "ab"]
    assert len(set(texts(drawn(Story(*houses)), "step"))) == 2
    (one, other) = texts(drawn(Story(*(f"{'x' * 99}{house}{'y' * 99}" for house in "ab"))), "step")
    assert one == other
    assert 60 < len(one) < 70


def test_the_order_of_what_was_asked_for() -> None:
    """Every target has its number, that of the step which somebody was at, too."""
    story = Story("a", "b", "c")
    story.ask("a", 5)
    story.enter("b")
    story.go_back(5, "a", "b", "c")
    assert texts(drawn(story), "order") == ["1", "2", "3"]
    story.enter("b")
    story.go_back(5, "b")
    assert texts(drawn(story), "order") == ["1", "2", "3"]


def long_story(visits: int) -> Story:
    """Tell of a run that goes back again and again."""
    story = Story(*(f"step_{i}" for i in range(12)), final="step_11")
    for i in range(visits):
        step = f"step_{i % 11}"
        if i % 4 == 3:
            story.enter(step)
            story.go_back(3 + i % 7, f"step_{i * 5 % 11}", f"step_{i * 3 % 11}")
        else:
            story.ask(step, 3 + i % 5)
    return story


def test_hundreds_of_visits() -> None:
    """All of them are there; the picture is wide, and names the lanes again and again."""
    picture = drawn(long_story(300))
    assert len(titles(picture, "visit")) == 300
    assert 10_000 < float(picture.get("width", "nan")) < 40_000
    assert texts(picture, "again").count("step_0") > 5


def test_ten_thousand_rows() -> None:
    """The end of a run that is too long is drawn, and that it is; the size stays within reason."""
    story = long_story(4500)
    assert len(story.rows) > 10_000
    text = svg(story.rows)
    assert len(text) < 2_000_000
    picture = ET.fromstring(text)
    assert "4500 visits" in texts(picture, "soft")[0]
    assert "the first " in texts(picture, "soft")[0]
    assert titles(picture, "visit")[-1][0].startswith("step_0, visit 410")


@given(st.integers(0, 10**12))
def test_spans_of_time(milliseconds: int) -> None:
    """A pause is told with two units at most, and never as longer than it was."""
    story = Story("a")
    story.ask("a", 1)
    story.add(milliseconds / 1000, "RunCancelled")
    told = texts(drawn(story), "soft")[0].split(", ")[1].removeprefix("after ")
    sizes = {"ms": 1, "s": 1000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
    words = told.split()
    total = sum(
        float(number) * sizes[unit] for number, unit in zip(words[::2], words[1::2], strict=True)
    )
    whole = (story.rows[-1].time - story.rows[1].time) / timedelta(milliseconds=1)
    assert len(words) <= 4
    assert total <= whole + 100
    assert whole - total < max(sizes[words[-1]], 1)


@settings(max_examples=150, deadline=None)
@given(cases())
def test_any_run(case: Case) -> None:
    """Every visit has a bar, and every request a group, whatever happened."""
    rows = anyio.run(wander, case)
    picture = drawn(rows)
    kinds = [json.loads(row.event)["event"] for row in rows]
    assert len(titles(picture, "visit")) == kinds.count("StepEntered")
    assert len(titles(picture, "request")) == kinds.count("GoBackRequested")
