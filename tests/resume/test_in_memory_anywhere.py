"""Random runs, cut off anywhere and resumed in memory: as with a journal, and as told."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import anyio
import attrs
from anyio.lowlevel import checkpoint
from hypothesis import given, settings
from hypothesis import strategies as st
from journals import KEY
from random_flows import Declaration, declare, size
from scripted_person import Person, Response, Script, outcomes
from scripted_person import cases as scripts
from states import machine_of, state_of
from support import Log

from reflow import (
    Flow,
    GoBackError,
    GoBackRequested,
    IncludedStep,
    MemoryJournal,
    Opened,
    Run,
    RunStarted,
    RunState,
    Step,
    StepAnswered,
    StepCompleted,
    StepEntered,
    StepInterrupted,
    Visit,
)
from reflow._machine import Machine
from reflow._plan import Plan
from reflow._replay import apply
from reflow.testing._following import Follower

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reflow import Event


# Nothing comes between these and the next moment in which cancellation is seen, journal or not.
_CUTS = (RunStarted, StepEntered, StepCompleted, StepInterrupted, StepAnswered, GoBackRequested)


@attrs.frozen
class Cut:
    """Where a run is cut off, and what is asked of the next one before it goes on."""

    at: int
    early: Sequence[Response]
    collects: bool


Case: TypeAlias = "tuple[list[Declaration], Script, list[Cut]]"


@st.composite
def cases(draw: st.DrawFn, nested: bool = False) -> Case:
    """Draw a flow, what a person responds, and how the run is cut off, time and again."""
    declared, script = draw(scripts(nested))
    request = st.builds(
        Response,
        st.sampled_from(["jump_ahead", "answer", "skip"]),
        st.lists(st.integers(0, size(declared) - 1), min_size=1, max_size=2).map(tuple),
        st.integers(0, 3),
    )
    cut = st.builds(Cut, st.integers(1, 20), st.lists(request, max_size=2), st.booleans())
    return declared, script, draw(st.lists(cut, min_size=1, max_size=4))


class Way:
    """One of the two ways in which a run goes on; the same person answers on both."""

    def __init__(self, case: Case, journal: MemoryJournal | None) -> None:
        """Begin with nothing done."""
        self.declared = case[0]
        self.person = Person(case[1])
        self.journal = journal
        self.run: Run | None = None
        self.flow: Flow[None]
        self.told: list[list[Event]] = []
        self.asked: set[object] = set()

    async def go_on(self, cut: Cut | None) -> str:
        """Go on in another run, until it ends or is cut off; give what was refused, if it was."""

        async def act(visit: Visit) -> int:
            # Here it is cut off both with a journal, which waits before each visit, and without.
            await checkpoint()
            return await self.person.responds(visit)

        self.flow = declare(self.declared, act)
        log, scope, passed = Log(), anyio.CancelScope(), 0

        def end(event: Event) -> None:
            """Cut it off."""
            nonlocal passed
            passed += isinstance(event, _CUTS) and not isinstance(run.active, IncludedStep)
            if cut is not None and passed == cut.at:
                scope.cancel()

        run = self.flow.prepare(
            return_exceptions=cut is None or cut.collects,
            journal=self.journal,
            key=None if self.journal is None else KEY,
            observers=[log, end],
        )
        earlier, self.run = self.run, run
        asked: set[object] = set()
        for request in () if cut is None else cut.early:
            asked.add(what := meant_by(request))
            # In memory it would be no news.
            if what not in self.asked:
                ask(run, request)
        self.asked = asked
        try:
            if earlier is not None and self.journal is None:
                run.resume(earlier)
            with scope:
                await run.drive()
        except GoBackError as exc:
            return f"refused: {exc}"
        except ValueError:
            pass
        self.told.append(log)
        return ""


def meant_by(request: Response) -> object:
    """Give what tells a request from others."""
    targets = tuple(dict.fromkeys(request.targets))
    if request.kind == "jump_ahead":
        return targets
    return request.kind, targets[0], request.value if request.kind == "answer" else 0


def ask(run: Run, request: Response) -> None:
    """Ask for something, unless that is refused at once."""
    steps = [run.steps[i] for i in request.targets]
    try:
        if request.kind == "jump_ahead":
            run.jump_ahead(*steps)
        elif request.kind == "skip":
            run.skip(steps[0])
        elif isinstance(steps[0], Step):
            run.answer(steps[0], request.value)
    except GoBackError:
        pass


@settings(max_examples=150, deadline=None)
@given(cases())
def test_as_with_a_journal(case: Case) -> None:
    """The same is asked, for the same reasons, and comes out; what was told adds up to it."""
    anyio.run(both_ways, case)


@settings(max_examples=150, deadline=None)
@given(cases(nested=True))
def test_as_with_a_journal_with_included_flows(case: Case) -> None:
    """The same for flows inside flows."""
    anyio.run(both_ways, case)


async def both_ways(case: Case) -> None:
    """Go on both ways, from cut to cut; compare."""
    kept, left = Way(case, None), Way(case, MemoryJournal())
    for cut in (*case[2], None):
        refused = [await way.go_on(cut) for way in (kept, left)]
        assert refused[0] == refused[1]
        if refused[0]:
            break
        assert kept.run is not None
        assert left.run is not None
        texts = [
            [repr(event) for event in way.told[-1] if not isinstance(event, Opened)]
            for way in (kept, left)
        ]
        assert texts[0] == texts[1]
        assert kept.person.said == left.person.said
        assert outcomes(kept.flow, kept.run.results) == outcomes(left.flow, left.run.results)
        if kept.run.state is RunState.COMPLETED:
            break
    check_told(kept)


def check_told(way: Way) -> None:
    """What was told of all the runs, one after the other, is what the last one made of them."""
    assert way.run is not None
    plan = Plan("random", way.flow.steps)
    shadow, follower = Machine(plan), Follower(plan.steps, compares=True)
    for log in way.told:
        for event in log:
            apply(shadow, event)
            follower.follow(event)
    if shadow.phase is way.run.state:
        # Else the last one was refused what was asked of it before.
        states = [state_of(machine) for machine in (shadow, machine_of(way.run))]
        for state in states:
            # What was found out on the way of a detour's head is found out anew.
            del state["clean"]
        assert states[0] == states[1]
        follower.check(way.run)
