"""The whole state of a machine as plain data, and the naive answer to which step is next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reflow import GoBackRequested, Opened, StepInterrupted, StepSkipped, StepsMadeStale, StepState
from reflow._replay import TRANSITIONS

if TYPE_CHECKING:
    from reflow import Event, Run
    from reflow._machine import Machine

# Indexes and caches: they follow from the rest, and may differ in what they have tidied up.
_INDEXES = {"fresh", "frontier", "log", "plan", "unsettled", "waiting"}


def machine_of(run: Run) -> Machine:
    """Give the machine inside a run."""
    return run._machine  # noqa: SLF001 - these tests are about it


def state_of(machine: Machine) -> dict[str, object]:
    """Copy all that makes the state."""
    names = {name for kind in type(machine).__mro__ for name in getattr(kind, "__slots__", ())}
    state = {name: _copy(getattr(machine, name)) for name in names - _INDEXES}
    # A step nobody reads and one that was forgotten are the same.
    state["readers"] = {i: readers for i, readers in machine.readers.items() if readers}
    return state


def _copy(value: object) -> object:
    if isinstance(value, dict):
        return list(value.items()) if all(v is None for v in value.values()) else dict(value)
    return list(value) if isinstance(value, list) else value


def naive_next(machine: Machine) -> int:
    """Find the next step as the rules say it, without any index."""
    if machine.first >= 0:
        return machine.first
    unsettled = [i for i in range(len(machine.status)) if not machine.settled(i)]
    queue = machine.queue()
    if not queue:
        return unsettled[0] if unsettled else -1
    return min(unsettled_needs(machine, queue[0]), default=queue[0])


def unsettled_needs(machine: Machine, head: int) -> list[int]:
    """Find what a step needs, directly or not, that isn't settled."""
    needs: set[int] = set()
    found = {head}
    while found:
        inputs = {j for i in found for j in (*machine.plan.inputs[i], *machine.reads.get(i, ()))}
        found = inputs - needs
        needs |= found
    return [i for i in needs if not machine.settled(i)]


def transitions(
    event: Event, before: list[StepState], machine: Machine
) -> set[tuple[type[Event], StepState, StepState]]:
    """Give what an event made of the steps, checked against the machine's table.

    What an event does to other steps than its own is to make them stale or doubtful, or to skip
    what is inside its own; behind a point of no return they are neither any more.
    """
    seen: set[tuple[type[Event], StepState, StepState]] = set()
    own = machine.plan.ids.get(getattr(event, "step", ""), -1)
    for i, old in enumerate(before):
        new = machine.state_of(i)
        closed = i != own and machine.closed_by(i) is not None
        direct = i == own or isinstance(event, Opened | GoBackRequested)
        kind = type(event) if direct else StepsMadeStale
        if i in machine.inside(own) and new is StepState.SKIPPED:
            kind = StepSkipped
        elif i in machine.inside(own) and old is StepState.ACTIVE:
            # It was visited once more, and has the answer that it had.
            kind = StepInterrupted
        if kind in TRANSITIONS and not closed and (i == own or old is not new):
            assert new in TRANSITIONS[kind].get(old, ()), (event, i, old, new)
            seen.add((kind, old, new))
    return seen
