"""What a person wants to change, said in their own words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias

import anyio.to_thread

from reflow.demo.intake import intake
from reflow.demo.words import make_router, understood

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

Reader: TypeAlias = "Callable[[str, str], Awaitable[Sequence[str]]]"
"""Gives the ids of the steps that a text asks for again, in its order; it takes the text and the id
of the step that is asked."""

_WISH: Final = re.compile(
    r"\b(wait|hang on|wrong|changed?|correct|actually|typo|mistake|go back|misspell?ed)\b"
    r"|(not|n't) right\b"
)
_NAMES: Final = {
    "name": r"\bname\b",
    "email": r"\be-?mail\b",
    "phone": r"\b(tele)?phone\b",
    "birthday": r"\b(birthday|date of birth|born)\b",
    "plan": r"\bplan\b",
    "members": r"\b(family|members?|child(ren)?|sons?|daughters?)\b",
    "doctor": r"\bdoctor\b",
    "card": r"\bcard\b",
}


def make_reader() -> Reader:
    """Give what reads best of what is installed: the router, or else some words that it knows."""
    return by_router if understood() else by_words


async def by_words(text: str, active: str) -> list[str]:
    """Look for words that people use."""
    text = text.lower()
    if not _WISH.search(text):
        return []
    named = {step: re.search(pattern, text) for step, pattern in _NAMES.items() if step != active}
    found = {match.start(): step for step, match in named.items() if match}
    return [found[place] for place in sorted(found)]


async def by_router(text: str, active: str) -> list[str]:
    """Ask the router; the first time takes as long as loading its model does."""
    step = next(step for step in intake.steps if step.id == active)
    router = await anyio.to_thread.run_sync(make_router)
    return [step.id for step in router.route(text, active=step)]
