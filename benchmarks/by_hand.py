"""What someone would write who doesn't have reflow: the loops that it is measured against."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

import anyio
from anyio.lowlevel import checkpoint

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

D = TypeVar("D")


async def in_order(steps: Sequence[Callable[[None], Awaitable[int]]]) -> dict[int, int]:
    """Run the steps, each in a cancel scope of its own, and keep their answers.

    The least that can be done; nothing can reach the scope, or go back. Like reflow, and like
    every well-behaved async function, it checkpoints once.
    """
    answers: dict[int, int] = {}
    await checkpoint()
    for i, step in enumerate(steps):
        with anyio.CancelScope():
            answers[i] = await step(None)
    return answers


class GoingBack(Generic[D]):
    """A loop that knows the simplest case of going back, and nothing else.

    One earlier step at a time runs again, then the one that was interrupted. Nothing goes stale,
    nothing is refused, and requests that coincide with each other or with an answer get lost.
    """

    def __init__(self, steps: Sequence[Callable[[GoingBack[D]], Awaitable[int]]], deps: D) -> None:
        """Take the steps, and what they need."""
        self.steps = steps
        self.deps = deps
        self.answers: dict[int, int] = {}
        self.wanted: int | None = None
        self.scope = anyio.CancelScope()

    def go_back(self, i: int) -> None:
        """Ask for an earlier step again."""
        self.wanted = i
        self.scope.cancel()

    async def drive(self) -> dict[int, int]:
        """Run the steps."""
        await checkpoint()
        at = 0
        while at < len(self.steps):
            i = at if self.wanted is None else self.wanted
            self.wanted = None
            with anyio.CancelScope() as self.scope:
                self.answers[i] = await self.steps[i](self)
                if i == at:
                    at += 1
        return self.answers
