"""What the steps of the intake need: somebody who asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from reflow import Visit

T = TypeVar("T")


class Interviewer(Protocol):
    """Asks a person: line by line in a terminal, or as an agent with a language model."""

    async def ask(
        self,
        visit: Visit[object],
        question: str,
        parse: Callable[[str], T],
        *,
        keep: T | None = None,
    ) -> T:
        """Ask until the answer is a good one.

        Args:
            visit: the visit that asks.
            question: the question.
            parse: makes the answer of what the person said, or raises `ValueError` with a sentence
                for them.
            keep: an earlier answer: offered, and kept when nothing else is said.

        Returns:
            The answer.
        """
        ...

    def say(self, text: str) -> None:
        """Tell the person something.

        Args:
            text: what; before the next question.
        """
        ...
