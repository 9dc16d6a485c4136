"""Random runs with a journal: going back, answers from outside, failures, and dying processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import attrs
from anyio.lowlevel import checkpoint
from hypothesis import strategies as st
from journals import KEY, KilledError, journal_of
from random_flows import Declaration, declarations, declare

from reflow import GoBackError, MemoryJournal, RunStoppedError, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reflow import JournalRow, Observer, Run, Visit


@attrs.frozen
class Move:
    """One thing that a visit does."""

    kind: str
    targets: tuple[int, ...] = ()
    value: int = 0


Case: TypeAlias = tuple[list[Declaration], list[Move]]

KINDS = (
    *("return", "go_back", "jump_ahead", "retake", "answer", "skip", "wait", "raise"),
    *("raise in cleanup", "swallow", "stop", "die", "kill"),
)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw a flow, and what its visits do one after the other."""
    declared = draw(declarations())
    targets = st.lists(st.integers(0, len(declared) - 1), min_size=1, max_size=3).map(tuple)
    move = st.builds(Move, st.sampled_from(KINDS), targets, st.integers(0, 3))
    return declared, draw(st.lists(move, max_size=20))


async def wander(
    case: Case, observers: Callable[[], Sequence[Observer]] = tuple
) -> Sequence[JournalRow]:
    """Run a case to its end, whatever happens; give the rows that it leaves.

    Args:
        case: what happens.
        observers: makes the observers of each `drive()`.
    """
    declared, moves = case[0], list(case[1])
    killed = False

    async def act(visit: Visit) -> int:
        nonlocal killed
        while moves:
            move = moves.pop(0)
            match move.kind:
                case "return":
                    return move.value
                case "raise":
                    raise ValueError(move.value)
                case "die" | "kill":
                    killed = move.kind == "kill"
                    raise KilledError
                case "stop":
                    visit.run.stop("enough")
                case "wait" | "raise in cleanup" | "swallow":
                    try:
                        # Long enough for an interruption to arrive, if there is one.
                        for _ in range(4):
                            await checkpoint()
                    finally:
                        if move.kind == "raise in cleanup":
                            raise ValueError(move.value)
                        if move.kind == "swallow":
                            return move.value  # noqa: B012 - what is wanted
                case _:
                    request(visit.run, move)
        return 7

    flow = declare(declared, act)
    journal = MemoryJournal()
    while True:
        run = flow.prepare(journal=journal, key=KEY, return_exceptions=True, observers=observers())
        try:
            await run.drive()
        except RunStoppedError:
            continue
        except KilledError:
            if killed:
                # Of the end of the run nothing is known.
                rows = [*await journal.read(KEY)]
                journal = await journal_of(rows[:-1])
            continue
        return await journal.read(KEY)


def request(run: Run, move: Move) -> None:
    """Ask for something, unless that is refused."""
    steps = [run.steps[i] for i in move.targets]
    try:
        match move.kind, steps[0]:
            case "go_back", _:
                run.go_back(*steps)
            case "jump_ahead", _:
                run.jump_ahead(*steps)
            case "retake", _:
                run.retake()
            case "skip", step:
                run.skip(step)
            case _, Step() as step:
                run.answer(step, move.value)
            case _:
                raise AssertionError(move)
    except GoBackError:
        pass
