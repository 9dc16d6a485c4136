"""Random flows under random schedules: what must hold whatever happens, on every backend."""

from __future__ import annotations

import copy
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

import anyio
import attrs
import pytest
from anyio.lowlevel import checkpoint
from hypothesis import event as note
from hypothesis import given, settings
from hypothesis import strategies as st
from invariants import check_answers, check_built, check_order, check_reasons, check_settled
from random_flows import Declaration, declarations, declare, inputs, size
from states import machine_of, naive_next, state_of, transitions
from support import Log

from reflow import (
    Event,
    Flow,
    GoBackError,
    Run,
    RunCompleted,
    RunStarted,
    RunStoppedError,
    Step,
    Visit,
)
from reflow._machine import Machine
from reflow._plan import Plan
from reflow._replay import apply

if TYPE_CHECKING:
    from collections.abc import Sequence

BACKENDS = ("asyncio", "uvloop", "trio")


@attrs.frozen
class Move:
    """One thing that a visit does, or that is done before the run."""

    kind: str
    targets: tuple[int, ...] = ()
    value: int = 0


Case: TypeAlias = tuple[list[Declaration], list[Move], list[Move]]

REQUESTS = ("go_back", "jump_ahead", "answer", "skip", "retake")
ENDINGS = ("return", "wait", "raise", "raise in cleanup", "shielded")


@st.composite
def cases(draw: st.DrawFn, nested: bool = False) -> Case:
    """Draw a flow, what is asked before it runs, and what its visits do one after the other."""
    declared = draw(declarations(nested))
    targets = st.lists(st.integers(0, size(declared) - 1), min_size=1, max_size=3).map(tuple)
    request = st.builds(Move, st.sampled_from(REQUESTS), targets, st.integers(0, 3))
    ending = st.builds(Move, st.sampled_from(ENDINGS), value=st.integers(0, 3))
    return (
        declared,
        draw(st.lists(request, max_size=2)),
        draw(st.lists(st.one_of(request, ending), max_size=25)),
    )


def build(declared: Sequence[Declaration], moves: list[Move], log: Log) -> Flow[None]:
    """Make the flow; its visits take their moves from the list until that is empty."""

    async def act(visit: Visit) -> int:
        check_next_visit(visit.run, log)
        while moves:
            move = moves.pop(0)
            if move.kind in REQUESTS:
                request(visit.run, move)
                continue
            if move.kind == "return":
                return move.value
            if move.kind == "raise":
                raise ValueError(move.value)
            with anyio.CancelScope(shield=move.kind == "shielded"):
                try:
                    # Long enough for an interruption to arrive, if there is one.
                    for _ in range(4):
                        await checkpoint()
                finally:
                    if move.kind == "raise in cleanup":
                        raise ValueError("cleanup")
        return sum(visit.get(step, 0) for step in inputs(visit.step))

    return declare(declared, act)


def request(run: Run, move: Move) -> None:
    """Ask for something; a refusal must change nothing."""
    machine = machine_of(run)
    before = state_of(machine)
    steps = [machine.plan.steps[i] for i in move.targets]
    first = steps[0] if steps else None
    try:
        if move.kind == "go_back":
            run.go_back(*steps)
        elif move.kind == "jump_ahead":
            run.jump_ahead(*steps)
        elif move.kind == "retake":
            run.retake()
        elif move.kind == "skip" and first is not None:
            run.skip(first)
        elif isinstance(first, Step):
            run.answer(first, move.value)
    except GoBackError:
        note("refused")
        assert state_of(machine) == before


def check_next_visit(run: Run, log: Log) -> None:
    """Check that the machine's indexes say what the rules say, seen from inside a visit."""
    plan = machine_of(run).plan
    machine = copy.deepcopy(machine_of(run), {id(plan): plan})
    if machine.active >= 0 and not machine.wants_interruption():
        machine.interrupt(machine.active)
    assert machine.next() == naive_next(machine)


def play(case: Case, backend: str) -> tuple[Log, Flow[None], Run]:
    """Run a case on a backend, checking at every event what must hold."""
    declared, before, moves = case
    log = Log()
    flow = build(declared, list(moves), log)

    async def main() -> Run:
        shadow = Machine(Plan("random", flow.steps))
        faults: list[Exception] = []

        def fold(event: Event) -> None:
            """Apply the event to a fresh machine: the same state at every prefix."""
            before = [shadow.state_of(i) for i in range(len(flow.steps))]
            apply(shadow, event)
            transitions(event, before, shadow)
            if not machine_of(run).log:  # nothing more has happened than what was told
                assert state_of(shadow) == state_of(machine_of(run))

        def check(event: Event) -> None:
            """Keep what goes wrong: an observer that raises is only switched off."""
            try:
                if not faults:
                    fold(event)
            except Exception as exc:  # noqa: BLE001 - raised below
                faults.append(exc)

        run = flow.prepare(return_exceptions=True, observers=[log, check])
        for move in before:
            request(run, move)
        await run.drive()
        for fault in faults:
            raise fault
        return run

    options = {} if backend == "trio" else {"use_uvloop": backend == "uvloop"}
    name = "trio" if backend == "trio" else "asyncio"
    return log, flow, anyio.run(main, backend=name, backend_options=options)


@settings(max_examples=300, deadline=None)
@given(cases())
def test_invariants_and_backends(case: Case) -> None:
    """The same events on every backend, and all that the rules promise of them."""
    log, flow, run = play(case, BACKENDS[0])
    texts = [repr(event) for event in log]
    for backend in BACKENDS[1:]:
        other, _, _ = play(case, backend)
        assert [repr(event) for event in other] == texts
    check_order(log, flow)
    check_settled(log, run)
    check_reasons(log, run)
    check_answers(log, flow, run)


@settings(max_examples=300, deadline=None)
@given(cases(nested=True))
def test_included_flows(case: Case) -> None:
    """The same for flows inside flows; and what is built is built of what there is."""
    log, flow, run = play(case, BACKENDS[0])
    texts = [repr(event) for event in log]
    for backend in BACKENDS[1:]:
        other, _, _ = play(case, backend)
        assert [repr(event) for event in other] == texts
    check_settled(log, run)
    check_reasons(log, run)
    check_answers(log, flow, run)
    check_built(log, run)


@settings(max_examples=100, deadline=None)
@given(cases(), st.integers(0, 12))
def test_a_run_can_be_stopped_anywhere(case: Case, at: int) -> None:
    """Whatever is under way, `stop` ends it with what there is."""
    declared, before, moves = case
    log = Log()
    flow = build(declared, list(moves), log)

    async def main() -> None:
        def stop(event: Event) -> None:
            if len(log) == at and not isinstance(event, RunCompleted):
                run.stop("enough")

        run = flow.prepare(return_exceptions=True, observers=[log, stop])
        for move in before:
            request(run, move)
        if at == 0:
            run.stop("enough")
        with suppress(RunStoppedError):
            await run.drive()
            assert len(log) <= at
            return
        assert (run.state.value, run.active) == ("stopped", None)

    anyio.run(main, backend="asyncio")
    assert isinstance(log[0], RunStarted)


@pytest.mark.parametrize("size", [3, 40])
def test_a_detour_waits_for_a_long_chain(size: int) -> None:
    """What the head needs runs in flow order, and thereby serves the request for a step of it."""
    flow, log = Flow("chain"), Log()

    async def act(visit: Visit) -> int:
        check_next_visit(visit.run, log)
        if visit.step.id == "s0" and visit.number == 1:
            visit.run.jump_ahead(f"s{size - 1}", f"s{size // 2}")
            await checkpoint()
        return visit.number

    for i in range(size):
        flow.step("d", id=f"s{i}", depends_on=flow.steps[-1:])(act)
    anyio.run(lambda: flow.run(observers=[log]))
    assert log.entered == ["s0", *(f"s{i}" for i in range(size))]
