"""The phrases that a text is compared with: made of the descriptions of the steps."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from reflow import AnyStep

# What somebody says who wants to go back; {x} is "my e-mail", {b} the bare "e-mail".
_BACK: Final = (
    "{x} is wrong",
    "I want to change {x}",
    "go back to {x}",
    "let me correct {x}",
    "I made a mistake in {x}",
    "I'd like a different {b} instead",
    "please fix {x}",
    "sorry, I gave you the wrong {b}",
    "{x} isn't right, it should be something else",
    "wait, I forgot something about {x}",
    "can we do {x} again",
    "actually, another {b} would be better",
    "I mixed up {x}",
    "something is missing in {x}",
)
# What somebody says who talks of the same, but wants to stay.
_STAY: Final = (
    "{x} is right",
    "{x} is fine",
    "leave {x} as it is",
    "what is {x}?",
    "why do you need {x}?",
    "{x} is this one",
    "don't change {x}",
    "I don't have {b}",
    "tell me more about {x}",
    "this {b}, please",
    "which {b} would you take?",
    "I'm not sure about {x} yet",
    "I had the same {b} last year",
    "yes, {x} is correct",
    "can I change {x} later?",
)
# Ways to name a step, by its description and by its id.
_NAMED: Final = ("{b}", "my {b}", "the {b} is wrong", "another {b}")
_NAMED_TO_STAY: Final = "leave the {b} as it is"
# Wishes, and what is close to them in its words and isn't one.
_LOUD: Final = (
    "change the {b}",
    "can I change the {b}?",
    "can we change the {b}?",
    "I'd like to change the {b}",
    "the {b} has to be changed",
    "the {b} is wrong",
    "the {b} isn't right",
    "my {b} is incorrect",
    "can we redo the {b}?",
    "go back to the {b}",
    "a different {b}",
)
_QUIET: Final = (
    "the {b} is right",
    "the {b} is correct",
    "my {b} is correct",
    "yes, the {b} is correct",
    "no need to change the {b}",
    "I don't want to change the {b}",
    "the {b} is fine",
    "read me the {b} again",
    "did I tell you the {b}?",
    "can I change the {b} later?",
    "is it possible to change the {b} later?",
)
# An example is there so many times: it counts more than a phrase that nobody may ever say.
_WEIGHT: Final = 5

# The same, of no step in particular.
BACK: Final = (
    "that was wrong",
    "I made a mistake",
    "can we go back",
    "wait, I have to change something",
    "oops, that's not what I meant",
    "I gave you the wrong answer",
    "I changed my mind, something else instead",
    "not this one, another one",
    "it should be Smith, not Miller",
    "it was 12, not 13",
    "one more, and not so early",
)
STAY: Final = (
    "yes",
    "no",
    "yes, that's right",
    "everything is correct",
    "I don't know",
    "wait a second",
    "can you repeat that?",
    "thanks",
    "the second one",
    "that one please",
    "what does it cost?",
    "how does it work?",
    "my name is John Smith",
    "12 March 1980",
    "hello",
    "sorry, I didn't understand",
    "one moment please",
    "it doesn't matter",
    "John Smith",
    "john@example.com",
    "next Monday",
    "at five o'clock",
    "three",
    "I want this one because my wife has it",
    "my husband's name is Peter",
    "my job has changed",
    "0123 456789",
    "I'm here, go on",
    "no, I don't have any",
)

# Parts of a text that name no step, beside a part that does.
NOBODY: Final = ("sorry", "oh sorry", "wait", "oops")

# Whoever is asked says "my e-mail" of what the description calls "the caller's e-mail".
_WHOSE: Final = re.compile(
    r"\A((the|an?) (applicant|caller|client|customer|guest|passenger|patient|person|user|visitor)'s"
    r"|the|an?|my|our|your) ",
    re.IGNORECASE,
)
_QUESTION: Final = re.compile(
    r"(how|if|what|when|where|whether|which|who|whose|why) ", re.IGNORECASE
)

# Where one wish may end and the next begin.
_BORDER: Final = re.compile(r"[,;.:!?]+ | (?:and|then|but|so|nor|also|or) ", re.IGNORECASE)

# Words that say nothing of what a step is about.
_EMPTY: Final = frozenset(
    re.findall(
        r"\w+",
        "a all an and are at be by for he her his how i in is it my of on or our she that the "
        "their they this to we what when where whether which who with you your",
    )
)


@final
class Phrases:
    """The phrases of a step.

    Args:
        step: the step.
        examples: more of what somebody says who wants to go back to it.
    """

    def __init__(self, step: AnyStep, examples: Iterable[str] = ()) -> None:
        topic = _WHOSE.sub("", plain(step.description).rstrip(".?!"))
        mine = topic if _QUESTION.match(topic) else f"my {topic}"
        names = list(dict.fromkeys([topic, re.sub(r"[\W_]+", " ", step.id).strip()]))
        back = [phrase.format(x=mine, b=topic) for phrase in _BACK]
        stay = [phrase.format(x=mine, b=topic) for phrase in _STAY]
        self.back: Final = [*back, *(plain(text) for text in examples for _ in range(_WEIGHT))]
        self.stay: Final = [*stay, *(_NAMED_TO_STAY.format(b=b) for b in names)]
        self.loud: Final = [phrase.format(b=b) for b in names for phrase in _LOUD]
        self.quiet: Final = [phrase.format(b=b) for b in names for phrase in _QUIET]
        self.named: Final = [phrase.format(b=b) for b in names for phrase in _NAMED]
        self.words: Final = words(" ".join(names))


def plain(text: str) -> str:
    """Give a text with single spaces, and the apostrophe that the model knows."""
    return " ".join(text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").split())


def parts(text: str) -> list[str]:
    """Give the parts of a plain text that may each mean another step, in order."""
    return list(dict.fromkeys(part for part in _BORDER.split(text) if part))


def words(text: str) -> frozenset[str]:
    """Give the words that tell what a text is about, e-mail and emails as the same one."""
    joined = re.sub(r"(?<=\w)-(?=\w)", "", text.lower()).replace("'s", "")
    found: list[str] = re.findall(r"[^\W_]+", joined)
    return frozenset(re.sub(r"(?<=[^s\W]{3})s$", "", word) for word in found) - _EMPTY


def overlap(text: str, topics: Sequence[frozenset[str]]) -> list[float]:
    """Say for each topic how much a word of the text tells that it is meant.

    Returns:
        1 where the text has a word that only this topic has, 1/2 where two topics have it, and so
        on; 0 without a common word.
    """
    said = words(text)
    shared: Mapping[str, int] = {word: sum(word in topic for topic in topics) for word in said}
    return [max((1 / shared[word] for word in said & topic), default=0.0) for topic in topics]
