"""An observer that keeps what it is told, for assertions."""

from __future__ import annotations

from typing import TypeVar, final

from reflow import Event, StepCompleted, StepEntered

from ._compat import override

E = TypeVar("E")


@final
class Recorder(list[Event]):
    """An observer that keeps every event: a list of them, in order.

    ::

        recorder = Recorder()
        await intake.run(observers=[recorder])
        assert recorder.entered == ["name", "email", "plan"]

    Printed, it has a line for each event. Answers of sensitive steps are not in there.
    """

    def __call__(self, event: Event) -> None:
        """Keep an event: what a run calls."""
        self.append(event)

    @property
    def entered(self) -> list[str]:
        """The ids of the steps that were entered, one for each visit."""
        return [event.step for event in self.of(StepEntered)]

    @property
    def completed(self) -> list[str]:
        """The ids of the steps whose visits returned an answer, one for each of these visits."""
        return [event.step for event in self.of(StepCompleted)]

    @property
    def visits(self) -> list[str]:
        """The visits as texts: id, number and reason, for example `"email 2 requested"`."""
        return [
            f"{event.step} {event.number} {event.reason.value}" for event in self.of(StepEntered)
        ]

    def of(self, *kinds: type[E]) -> list[E]:
        """Give the events of these kinds, for example `d.events.of(StepSkipped)`.

        Args:
            kinds: event classes.
        """
        everything: list[object] = [*self]
        return [event for event in everything if isinstance(event, kinds)]

    @override
    def __repr__(self) -> str:
        """Give a line for each event."""
        lines = "".join(f"\n  {event!r}" for event in self)
        return f"<Recorder, {len(self)} events>{lines}"
