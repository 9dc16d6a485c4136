"""`check_flow` finds defects of reflow, too: here it is broken in one place at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import anyio
import pytest
from checked_flows import REQUESTS, good
from hypothesis import given, settings
from hypothesis import strategies as st
from random_flows import Declaration, declarations, declare
from states import machine_of

from reflow import Event, Flow, MemoryJournal, Visit
from reflow._endings import Endings
from reflow._machine import Machine
from reflow._order import Order
from reflow._requests import Requests
from reflow.testing import FlowCheckError, check_flow
from reflow.testing._checking import FlowCheck
from reflow.testing._moves import Move, Schedule
from reflow.testing._schedules import schedules

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reflow import JournalRow, Run
    from reflow._states import RunState

Patched: TypeAlias = "tuple[type, str, object]"


def nothing(*_: object, **__: object) -> None:
    """Do nothing."""


def never_closed(machine: Machine, i: int) -> None:
    """Know no point of no return."""


def always_refused(machine: Machine, i: int, *, ahead: bool) -> str:
    """Refuse everything."""
    return "no"


def spreads_to_nobody(machine: Machine, i: int) -> None:
    """Make nothing stale."""


def evaluates_never(machine: Machine, i: int) -> bool:
    """Evaluate no condition."""
    return False


def forgets(machine: Machine) -> None:
    """Forget what was asked for when a visit begins."""
    machine.requested.clear()


def hurries(machine: Machine, head: int, lowest: int) -> int:
    """Let the head of the detour come before what it needs."""
    return -1


def leaves(machine: Machine, i: int) -> None:
    """Forget that an interrupted step was asked for."""
    machine.active = -1
    machine.attempts.setdefault(i, machine.visits[i])


def changes_on_refusal(run: Run, what: str, refused: dict[str, str]) -> Exception:
    """Change something although a request is refused."""
    machine_of(run).requested[0] = None
    return refuse(run, what, refused)


refuse = Requests._refused  # noqa: SLF001 - to break it


def fails(machine: Machine) -> int:
    """Fail."""
    raise ZeroDivisionError


def ends_silently(run: Run, phase: RunState, event: Event) -> None:
    """Tell nobody that the run is over."""
    machine_of(run).phase = phase


async def loses(journal: MemoryJournal, key: str, rows: Sequence[JournalRow]) -> None:
    """Lose the last row of a run."""
    kept = [row for row in rows if "RunCompleted" not in row.event]
    await append(journal, key, kept or rows)


append = MemoryJournal.append

DEFECTS: dict[str, tuple[Patched, str]] = {
    "closed steps are visited": ((Order, "closed_by", never_closed), "requests"),
    "everything is refused": ((Order, "refusal", always_refused), "requests"),
    "nothing is stale": ((Machine, "_spread", spreads_to_nobody), "changes"),
    "conditions aren't evaluated": ((Order, "must_evaluate", evaluates_never), "conditions"),
    "requests are lost": ((Order, "merge", forgets), "requests"),
    "inputs aren't waited for": ((Order, "_first_needed", hurries), "order"),
    "the interrupted step isn't resumed": ((Order, "leave", leaves), "requests"),
    "a refused request changes something": (
        (Requests, "_refused", changes_on_refusal),
        "requests",
    ),
    "drive fails": ((Order, "next", fails), "failures"),
    "nobody is told of the end": ((Endings, "_end", ends_silently), "ending"),
    "rows are lost": ((MemoryJournal, "append", loses), "resumption"),
    "what was under way isn't known": ((Order, "suspend", leaves), "reasons"),
}


@pytest.mark.parametrize(("patched", "rule"), DEFECTS.values(), ids=DEFECTS)
def test_defects(patched: Patched, rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is found, in a good flow, and breaks the rule that it should."""
    flow, (_, b, *_) = good()
    monkeypatch.setattr(*patched)
    with pytest.raises(FlowCheckError) as raised:
        check_flow(flow, answers={b: range(3)}, requests=REQUESTS, examples=300)
    assert raised.value.rule == rule


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[Declaration], Schedule]:
    """Draw a flow, half of whose steps are answered, and what is done with it."""
    declared = draw(declarations())
    answers = {i: st.integers(0, 3) for i in range(0, len(declared), 2)}
    return declared, draw(schedules(len(declared), REQUESTS, answers, cuts=True))


@settings(max_examples=100, deadline=None)
@given(cases())
def test_random_flows(case: tuple[list[Declaration], Schedule]) -> None:
    """Whatever a flow is like, reflow and the model of its rules agree on what happens."""
    declared, schedule = case

    async def act(visit: Visit) -> int:
        with anyio.CancelScope(shield=visit.number == 2):
            await anyio.sleep(visit.number % 3)
        if visit.number == 3:
            raise ValueError(visit.number)
        return visit.number % 3

    check = FlowCheck(declare(declared, act), None, ValueError, (), ["asyncio", "trio"])
    check.play(schedule)


def scheduled(between: list[Move], beside: list[Move]) -> Schedule:
    """Make a schedule."""
    return Schedule(answers={}, early=[], between=between, beside=beside, end=[], cut=None)


RETAKE = Move("retake", after=50)


@pytest.mark.parametrize("schedule", [scheduled([RETAKE], []), scheduled([], [RETAKE])])
def test_what_is_asked_when_nothing_happens_any_more(schedule: Schedule) -> None:
    """All that a schedule says is asked, also if less happens before than it says."""
    flow, returned = Flow("f"), list[int]()

    @flow.step("a")
    async def a(visit: Visit) -> int:
        while visit.number == 1:
            await anyio.sleep_forever()
        returned.append(visit.number)
        return 1

    FlowCheck(flow, None, (), (), ["asyncio", "trio"]).play(schedule)
    assert returned == [2, 2]


def test_a_good_answer_stands_beside_a_failure() -> None:
    """A step that fails when it is asked again settles nothing anew."""
    flow, failed = Flow("f"), list[int]()

    @flow.step("a")
    async def a(visit: Visit) -> int:
        if visit.number == 2:
            failed.append(visit.number)
            raise ValueError(visit.number)
        return 1

    @flow.step("b")
    async def b(visit: Visit) -> int:
        while visit.number == 1:
            await anyio.sleep_forever()
        return visit[a]

    check = FlowCheck(flow, None, ValueError, (), ["asyncio", "trio"])
    check.play(scheduled([Move("go_back", after=50, targets=(0,))], []))
    assert failed == [2, 2]
