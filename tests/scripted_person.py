"""A person who answers by a script, whoever asks: random cases of that, and what comes out."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, TypeAlias

import attrs
from anyio.lowlevel import checkpoint
from hypothesis import strategies as st
from random_flows import Declaration, declarations, inputs, size
from states import machine_of

from reflow import (
    Done,
    Event,
    Failed,
    Flow,
    GoBackError,
    GoBackRequested,
    RecoveredFailure,
    Results,
    Step,
    StepAnswered,
    StepEntered,
    StepSkipped,
    Visit,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reflow._machine import Machine


@attrs.frozen
class Response:
    """What the person does when a step asks: a request, perhaps, and then an answer."""

    kind: str
    targets: tuple[int, ...] = ()
    value: int = 0


Script: TypeAlias = "Sequence[Sequence[Response]]"


@st.composite
def cases(draw: st.DrawFn, nested: bool = False) -> tuple[list[Declaration], Script]:
    """Draw a flow, and for every step what the person responds, one time after the other."""
    declared = draw(declarations(nested))
    steps = st.integers(0, size(declared) - 1)
    response = st.builds(
        Response,
        st.sampled_from(["return", "go_back", "jump_ahead", "raise", "answer", "skip"]),
        st.lists(steps, min_size=1, max_size=2).map(tuple),
        st.integers(0, 3),
    )
    return declared, draw(st.lists(st.lists(response, max_size=3), max_size=size(declared)))


class Person:
    """Knows what was said already, across the deaths of the process it talks to."""

    def __init__(self, script: Script) -> None:
        """Begin with nothing said."""
        self.script = script
        self.said: Counter[str] = Counter()
        # The step whose request was made, but that has no answer yet.
        self.requested = ""

    async def responds(self, visit: Visit) -> int:
        """Do what the script says for this step now."""
        plan = machine_of(visit.run).plan
        name, i = visit.step.id, plan.positions[visit.step]
        responses = self.script[i] if i < len(self.script) else ()
        said = self.said[name]
        self.said[name] += 1
        default = sum(visit.get(step, 0) for step in inputs(visit.step)) + said
        if said >= len(responses):
            return default
        response = responses[said]
        if self.requested != name:
            self.request(visit, response)
        self.requested = ""
        # Long enough for an interruption to arrive, if there is one.
        for _ in range(4):
            await checkpoint()
        if response.kind == "raise":
            raise ValueError(response.value)
        return response.value if response.kind == "return" else default

    def request(self, visit: Visit, response: Response) -> None:
        """Ask for something, unless that is refused."""
        run = visit.run
        steps = [machine_of(run).plan.steps[i] for i in response.targets]
        first = steps[0]
        try:
            if response.kind == "go_back":
                run.go_back(*steps)
            elif response.kind == "jump_ahead":
                run.jump_ahead(*steps)
            elif response.kind == "answer" and isinstance(first, Step):
                run.answer(first, response.value)
            elif response.kind == "skip":
                run.skip(first)
        except GoBackError:
            pass

    def remembers(self, machine: Machine, events: Sequence[Event]) -> None:
        """Go on after the process has died behind these events."""
        entered = 0
        for number, event in enumerate(events):
            if isinstance(event, StepEntered):
                self.said[event.step] += 1
                entered = number
        if machine.active < 0 or machine.wants_interruption():
            return
        # The visit hasn't done all yet: it goes on with the same response.
        name = machine.plan.names[machine.active]
        self.said[name] -= 1
        if any(
            isinstance(event, GoBackRequested | StepAnswered)
            or (isinstance(event, StepSkipped) and not event.by_condition)
            for event in events[entered:]
        ):
            self.requested = name


def outcomes(flow: Flow[None], results: Results) -> list[str]:
    """Say what became of every step; of a failure only what every process knows."""
    texts: list[str] = []
    for step in flow.steps:
        match results.outcome(step):
            case Done(value):
                texts.append(repr(value))
            case Failed(RecoveredFailure(message=message)):
                texts.append(f"failed: {message}")
            case Failed(exception):
                texts.append(f"failed: {exception}")
            case outcome:
                texts.append(repr(outcome))
    return texts
