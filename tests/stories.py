"""Rows of a run, written as a story: what happened, and how many seconds after the last thing."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from reflow import JournalRow, RunState

if TYPE_CHECKING:
    from collections.abc import Sequence

START: Final = datetime(2024, 5, 17, 14, 3, 5, 123_456, tzinfo=UTC)


class Story:
    """A run that is told row by row; times are in seconds."""

    def __init__(
        self,
        *steps: str,
        final: str = "",
        flow: str = "intake",
        key: str = "call-42",
    ) -> None:
        """Open the run.

        Args:
            steps: the ids of the flow's steps.
            final: the one that is a point of no return.
            flow: the flow's name.
            key: the run's key.
        """
        self.rows: list[JournalRow] = []
        self.time = START
        self.numbers = dict.fromkeys(steps, 0)
        self.active = ""
        self.flow = flow
        self.key = key
        self.declare(0, steps, final, resumed=False)

    def add(self, after: float, kind: str, **fields: object) -> None:
        """Add a row."""
        self.time += timedelta(seconds=after)
        text = json.dumps({"event": kind, **fields})
        number = len(self.rows)
        self.rows.append(JournalRow(number, "w", self.time, RunState.RUNNING, None, text))

    def declare(self, after: float, steps: Sequence[str], final: str, *, resumed: bool) -> None:
        """Open the run and say how the flow is declared."""
        declared: list[dict[str, object]] = [{"id": step, "type": "str"} for step in steps]
        for step in declared:
            if step["id"] == final:
                step["point_of_no_return"] = True
        self.numbers |= {step: 0 for step in steps if step not in self.numbers}
        self.open(after, resumed=resumed, format=1, flow=self.flow, steps=declared)

    def open(self, after: float, *, resumed: bool = True, **fields: object) -> None:
        """Open the run once more."""
        self.add(after, "Opened", key=self.key, run="r", resumed=resumed, **fields)

    def enter(self, step: str, reason: str = "first", after: float = 0.001) -> None:
        """Begin a visit."""
        self.numbers[step] += 1
        self.active = step
        self.add(after, "StepEntered", step=step, number=self.numbers[step], reason=reason)

    def complete(self, after: float) -> None:
        """End the visit with an answer."""
        number = self.numbers[self.active]
        fields = {"value": "SECRET", "changed": False}
        self.add(after, "StepCompleted", step=self.active, number=number, **fields)

    def fail(self, after: float) -> None:
        """End the visit with an exception."""
        failure = {"type": "app.NoDoctorError", "message": "SECRET", "traceback": "SECRET"}
        number = self.numbers[self.active]
        self.add(after, "StepFailed", step=self.active, number=number, exception=failure)

    def go_back(self, after: float, *targets: str, ahead: bool = False) -> None:
        """Interrupt the visit to go back."""
        self.add(after, "GoBackRequested", steps=targets, ahead=ahead)
        self.add(0.001, "StepInterrupted", step=self.active, number=1, exception=None)

    def ask(self, step: str, seconds: float, reason: str = "first") -> None:
        """Visit a step until it has an answer."""
        self.enter(step, reason)
        self.complete(seconds)


def intake() -> Story:
    """Tell of an intake in which much happens."""
    steps = ("name", "email", "phone", "birthday", "plan", "members", "doctor", "card")
    story = Story(*steps, "confirmed", final="confirmed")
    story.ask("name", 6)
    story.ask("email", 9)
    story.enter("phone")
    story.add(4, "StepSkipped", step="phone", by_condition=False)
    story.ask("birthday", 5)
    story.ask("plan", 12)
    story.add(0, "StepSkipped", step="members", by_condition=True)
    story.enter("doctor")
    story.go_back(5, "plan", "email")
    story.ask("plan", 8, "requested")
    story.add(0, "StepsMadeStale", by="plan", steps=["doctor"], in_doubt=["members"])
    story.enter("email", "requested")
    story.add(4, "StepAnswered", step="email", value="SECRET")
    story.ask("members", 7)
    story.enter("doctor", "stale")
    story.fail(5)
    story.add(0, "RunFailed", exception={"type": "app.NoDoctorError", "message": "SECRET"})
    story.open(65)
    story.ask("doctor", 6, "recovered")
    story.enter("card")
    story.open(66_000)
    story.ask("card", 9, "recovered")
    story.enter("confirmed")
    story.go_back(4, "confirmed")
    story.enter("confirmed", "requested")
    story.add(3, "StepAnswered", step="name", value="SECRET")
    story.complete(5)
    story.add(0, "RunCompleted")
    return story
