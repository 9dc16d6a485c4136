"""The phrases made of descriptions, the parts of a text, and the words that they share."""

from __future__ import annotations

import pytest
from utterances import silent

from reflow import Flow
from reflow.router._phrases import Phrases, overlap, parts, plain, words


@pytest.mark.parametrize(
    ("step_id", "description", "phrase"),
    [
        ("email", "the caller's e-mail", "my e-mail is wrong"),
        ("email", "Your e-mail?", "my e-mail is wrong"),
        ("weight", "weight of the parcel", "my weight of the parcel is wrong"),
        ("sender", "the sender's address", "my sender's address is wrong"),
        ("guests", "how many people are coming", "how many people are coming is wrong"),
    ],
)
def test_phrases_of_a_step(step_id: str, description: str, phrase: str) -> None:
    """Whoever is asked says "my" of what is theirs, and not of a question."""
    flow = Flow("phrases")
    step = flow.step(description, id=step_id)(silent)
    assert phrase in Phrases(step).back


def test_a_step_is_named_by_its_id_too() -> None:
    """The id is read as words, also that of a step in an included flow."""
    flow = Flow("phrases")
    step = flow.step("where you live", id="home.zip_code")(silent)
    phrases = Phrases(step, ["I've  moved"])
    assert phrases.named[::4] == ["where you live", "home zip code"]
    assert phrases.back[-1] == "I've moved"
    assert phrases.words == {"live", "home", "zip", "code"}


def test_parts() -> None:
    """A text is cut where one wish may end and the next begin, and only there."""
    said = "Wait, my name's wrong... and ada@b.org AND the plan; then 2.5, wait. Sandy or so"
    found = ["Wait", "my name's wrong", "and ada@b.org", "the plan", "then 2.5", "wait", "Sandy"]
    assert parts(said) == [*found, "so"]
    assert parts("") == []


def test_plain() -> None:
    """Spaces don't count, and every keyboard's apostrophe is the same one."""
    assert plain(" isn\N{RIGHT SINGLE QUOTATION MARK}t\n it ") == "isn't it"


def test_words() -> None:
    """The forms of a word are one word, and those of grammar say nothing."""
    assert words("My E-Mails, and the address's class_2") == {"email", "address", "class", "2"}
    assert words("all of us, yes") == {"us", "yes"}


def test_overlap() -> None:
    """A word that only one step has tells more than one that several have."""
    topics = [words("phone number"), words("card number"), words("doctor")]
    assert overlap("the number of the card", topics) == [0.5, 1, 0]
    assert overlap("hello", topics) == [0, 0, 0]
