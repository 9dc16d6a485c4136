"""Random schedules: what is asked of a run, when, and what its steps are answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st

from ._moves import Move, Place, Schedule

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from hypothesis.strategies import SearchStrategy

    from ._moves import Request


@st.composite
def schedules(
    draw: st.DrawFn,
    size: int,
    requests: Sequence[Request],
    answers: Mapping[int, SearchStrategy[object]],
    *,
    cuts: bool,
) -> Schedule:
    """Draw what is done in one run.

    Args:
        draw: what hypothesis draws with.
        size: how many steps the flow has.
        requests: what may be asked of a run.
        answers: what steps may be answered, by their positions.
        cuts: whether the run may be cut off.
    """
    asked: list[SearchStrategy[Move]] = []
    # Simple ones first: towards these a schedule shrinks.
    places = st.sampled_from(list(Place))
    after = st.integers(0, 6)
    steps = st.lists(st.integers(0, size - 1), min_size=1, max_size=3).map(tuple)
    for request in requests:
        kind = st.just(request)
        if request == "answer":
            asked += [
                st.builds(Move, kind, places, after, st.just((i,)), values)
                for i, values in sorted(answers.items())
            ]
        elif request in {"retake", "stop", "cancel"}:
            asked.append(st.builds(Move, kind, places, after))
        else:
            asked.append(st.builds(Move, kind, places, after, steps))
    return Schedule(
        answers={
            i: draw(st.lists(values, min_size=1, max_size=4))
            for i, values in sorted(answers.items())
        },
        moves=draw(st.lists(st.one_of(*asked), max_size=8)) if asked else [],
        early=draw(st.booleans()),
        cut=draw(st.one_of(st.none(), st.integers(0, 60))) if cuts else None,
    )
