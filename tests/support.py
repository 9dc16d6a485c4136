"""What the tests of the core share: steps that wait to be interrupted, and what happened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Never, TypeVar

import anyio

from reflow import AnyStep, Event, Flow, Step, StepCompleted, StepEntered, Visit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


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


async def never(visit: Visit) -> str:
    """Stand in for a step that is never run."""
    raise AssertionError


def scripted(*answers: T | Exception) -> Callable[[Visit], Awaitable[T]]:
    """Make a step's function: on each visit the next answer; an exception is raised."""

    async def act(visit: Visit) -> T:
        answer = answers[visit.number - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    return act


def last(flow: Flow, *targets: AnyStep) -> Step[str]:
    """Add a step that goes back to each of the targets once, one visit after the other."""

    async def act(visit: Visit) -> str:
        if visit.number <= len(targets):
            await visit.go_back(targets[visit.number - 1])
        return answering(visit)

    return add(flow, "last", act)


def failing_on(*numbers: int) -> Callable[[Visit], Awaitable[str]]:
    """Make a step's function that raises on these visits and answers on the others."""

    async def act(visit: Visit) -> str:
        if visit.number in numbers:
            raise ValueError(visit.number)
        return answering(visit)

    return act
