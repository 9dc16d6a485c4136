"""What the tests of the core share: steps that wait to be interrupted, and what happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Never

import anyio

from reflow import Event, Flow, Step, StepCompleted, StepEntered, Visit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

Act = "Callable[[Visit[None]], Awaitable[str]]"


async def interrupted() -> Never:
    """Wait until the visit is interrupted."""
    while True:
        await anyio.sleep_forever()


class Log(list[Event]):
    """An observer that keeps every event."""

    def __call__(self, event: Event) -> None:
        """Keep the event."""
        self.append(event)

    @property
    def entered(self) -> list[str]:
        """The steps in the order in which they were entered."""
        return [event.step for event in self if isinstance(event, StepEntered)]

    @property
    def visits(self) -> list[str]:
        """The visits as `step number reason`, in order."""
        return [
            f"{event.step} {event.number} {event.reason.value}"
            for event in self
            if isinstance(event, StepEntered)
        ]

    @property
    def completed(self) -> list[str]:
        """The completed steps in order."""
        return [event.step for event in self if isinstance(event, StepCompleted)]

    def of(self, *kinds: type[Event]) -> list[Event]:
        """Give the events of these kinds."""
        return [event for event in self if isinstance(event, kinds)]


def answering(visit: Visit[None]) -> str:
    """Give an answer that is another one on every visit."""
    return f"{visit.step.id}{visit.number}"


def add(
    flow: Flow[None],
    name: str,
    act: Callable[[Visit[None]], Awaitable[str]] | None = None,
    *,
    depends_on: tuple[Step[str], ...] = (),
) -> Step[str]:
    """Add a step that does what `act` does, by default answer anew on every visit."""

    async def plain(visit: Visit[None]) -> str:
        return answering(visit)

    return flow.step(f"the {name}", id=name, depends_on=depends_on)(act or plain)
