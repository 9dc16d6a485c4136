"""What the agent's model takes for a wish to change something; it needs no LiveKit."""

from __future__ import annotations

import sys

import pytest

from reflow.demo.agent.wishes import by_router, by_words, make_reader

pytestmark = pytest.mark.anyio
WISH = "oh wait, my e-mail is wrong"


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        (WISH, ["email"]),
        ("I made a mistake, I was born later", ["birthday"]),
        ("there's a typo in the name of my daughter", ["name", "members"]),
        ("change the doctor, and the plan, and the card", ["doctor", "card"]),
        ("my name is Mary Plan Doctor", []),
        ("wait a moment please", []),
    ],
)
async def test_words(text: str, steps: list[str]) -> None:
    """It takes a word for a wish, and the name of a step other than the one that is asked."""
    assert await by_words(text, "plan") == steps


async def test_the_router() -> None:
    """With the router installed, it decides."""
    assert make_reader() is by_router
    assert await by_router(WISH, "plan") == ["email"]
    assert await by_router("Ada King Lovelace", "name") == []


async def test_without_the_router(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it, words do."""
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    assert make_reader() is by_words
