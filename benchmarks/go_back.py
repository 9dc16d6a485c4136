"""What going back once costs, against a hand-written cancel-and-rerun.

The last step of a flow asks for the first one and waits; it is cancelled, the first step runs again
and answers the same, the last step runs again, asks for the first one, and so on. Measured: from
the first time that the last step runs to its last time, so that neither the way there nor the start
of the run counts. That the step itself asks is the stricter comparison: another task that asks
would add the same to both sides.
"""

from __future__ import annotations

import statistics
from time import process_time_ns
from typing import TYPE_CHECKING

import anyio
from by_hand import GoingBack
from measuring import in_turn, judged, on, options, print_table, ratio

from reflow import Flow, Visit

if TYPE_CHECKING:
    from measuring import Options, Sample

RATIO, GROWTH = 2.0, 1.2
# So often a sample goes back.
TIMES = 500


class Timer:
    """Takes the time while a run goes back so many times."""

    def __init__(self) -> None:
        """Begin with the next time that the last step runs."""
        self.left = TIMES
        self.begun = 0
        self.taken = 0

    def is_over(self) -> bool:
        """Say whether the last step, which runs now, has asked often enough."""
        if self.left == TIMES:
            self.begun = process_time_ns()
        self.taken = process_time_ns() - self.begun
        self.left -= 1
        return self.left < 0


async def answer(_: object) -> int:
    """Answer at once."""
    return 1


def variants(size: int) -> dict[str, Sample]:
    """Give the ways to go back from the last of so many steps to the first one."""
    flow = Flow[Timer]("going back")
    first, *_ = [flow.step("a number", id=f"s{i}")(answer) for i in range(size - 1)]

    @flow.step("the last number")
    async def last(visit: Visit[Timer]) -> int:
        if not visit.deps.is_over():
            visit.run.go_back(first)
            await anyio.sleep_forever()
        return 1

    async def last_by_hand(loop: GoingBack[Timer]) -> int:
        if not loop.deps.is_over():
            loop.go_back(0)
            await anyio.sleep_forever()
        return 1

    steps = [*[answer] * (size - 1), last_by_hand]

    async def by_hand() -> int:
        timer = Timer()
        await GoingBack(steps, timer).drive()
        return timer.taken

    async def with_reflow() -> int:
        timer = Timer()
        await flow.run(timer)
        return timer.taken

    return {"by hand": by_hand, "reflow": with_reflow}


def measure(backend: str, sizes: list[int], turns: int) -> None:
    """Print the table for one backend."""
    samples = {(size, name): sample for size in sizes for name, sample in variants(size).items()}
    taken = in_turn(on(backend, samples), turns)
    rows = []
    for size in sizes:
        hand, ours = taken[size, "by hand"], taken[size, "reflow"]
        rows.append(
            [
                f"{size:,}",
                *(f"{statistics.median(times) / TIMES:,.0f}" for times in (hand, ours)),
                judged(ratio(ours, hand), RATIO),
                judged(ratio(ours, taken[sizes[0], "reflow"]), GROWTH),
            ]
        )
    head = ["steps", "by hand", "reflow", "reflow : by hand", f"reflow : its {sizes[0]:,} steps"]
    print_table(f"ns per go-back, {backend}", head, rows)


def main(chosen: Options) -> None:
    """Measure on every backend."""
    for backend in chosen.backends:
        measure(backend, chosen.sizes, chosen.turns)


if __name__ == "__main__":
    main(options(__doc__))
