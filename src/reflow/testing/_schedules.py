"""Random schedules: what is asked of a run, when, and what its steps are answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from ._moves import Move, Schedule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hypothesis.strategies import SearchStrategy

    from ._moves import Request


def schedules(
    size: int,
    requests: Sequence[Request],
    answers: Mapping[int, SearchStrategy[object]],
    *,
    cuts: bool,
) -> SearchStrategy[Schedule]:
    """Make the strategy for what is done in one run.

    Args:
        size: how many steps the flow has.
        requests: what may be asked of a run.
        answers: what steps may be answered, by their positions.
        cuts: whether the run may be cut off.
    """
    # Simple things stand first: towards these a schedule shrinks.
    # Half of the moves follow closely, the others come anywhere: most steps make two events.
    after = st.one_of(st.integers(0, 3), st.integers(0, 3 * size))
    turns = st.integers(0, 3)
    steps = st.lists(st.integers(0, size - 1), min_size=1, max_size=3, unique=True).map(tuple)
    asked: list[SearchStrategy[Move]] = []
    ends: list[SearchStrategy[Move]] = []
    for request in requests:
        kind = st.just(request)
        if request == "answer":
            asked += [
                st.builds(Move, kind, after, turns, st.just((i,)), values)
                for i, values in sorted(answers.items())
            ]
        elif request in {"stop", "cancel"}:
            ends.append(st.builds(Move, kind, after))
        elif request == "retake":
            asked.append(st.builds(Move, kind, after, turns))
        else:
            asked.append(st.builds(Move, kind, after, turns, steps))
    nothing: SearchStrategy[list[Move]] = st.just([])
    moves = st.lists(st.one_of(*asked), max_size=8) if asked else nothing
    # Two answers at least, so that most visits bring another one than the visit before.
    scripts = {i: st.lists(values, min_size=2, max_size=4) for i, values in sorted(answers.items())}
    return st.builds(
        Schedule,
        answers=st.fixed_dictionaries(scripts),
        early=st.lists(st.one_of(*asked), max_size=1) if asked else nothing,
        between=moves,
        beside=moves,
        end=st.one_of(nothing, st.lists(st.one_of(*ends), max_size=1)) if ends else nothing,
        cut=st.one_of(st.none(), st.integers(1, 60)) if cuts else st.none(),
    )
