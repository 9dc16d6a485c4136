"""What a step costs, against a hand-written loop with one cancel scope per step.

Measured: whole runs in an event loop that is running already, `prepare` and `drive` (for reflow) or
the call of the loop, of steps that only return a number. So the time per step contains its share of
what a run costs by itself, one checkpoint on both sides included, which shows in short flows.
Declaring the flow isn't measured. reflow makes the backend's own class of cancel scopes, once it
knows it, where `anyio.CancelScope()` looks for it each time; a loop could do that, too, and would
save about 1 µs a step. "observed": with one observer that does nothing.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from by_hand import in_order
from measuring import in_turn, judged, on, options, print_table, ratio, timed

from reflow import Flow

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from measuring import Options

    from reflow import Event

PLAIN, OBSERVED, GROWTH = 1.5, 2.2, 1.2
# So many steps make a sample, in as many runs as it takes.
SAMPLE = 10_000


async def step(_: object) -> int:
    """Answer at once."""
    return 1


def ignore(_: Event) -> None:
    """Observe, and do nothing."""


def variants(size: int) -> dict[str, Callable[[], Awaitable[object]]]:
    """Give the ways to run so many steps."""
    flow = Flow("steps")
    for i in range(size):
        flow.step("a number", id=f"s{i}")(step)
    steps = [step] * size
    return {
        "by hand": lambda: in_order(steps),
        "reflow": lambda: flow.prepare().drive(),
        "observed": lambda: flow.prepare(observers=[ignore]).drive(),
    }


def measure(backend: str, sizes: list[int], turns: int) -> None:
    """Print the table for one backend."""
    times = {size: max(1, SAMPLE // size) for size in sizes}
    samples = {
        (size, name): timed(variant, times[size])
        for size in sizes
        for name, variant in variants(size).items()
    }
    taken = in_turn(on(backend, samples), turns)
    per_step = {
        (size, name): [total / times[size] / size for total in totals]
        for (size, name), totals in taken.items()
    }
    rows = []
    for size in sizes:
        hand, plain, observed = (per_step[size, name] for name in ("by hand", "reflow", "observed"))
        rows.append(
            [
                f"{size:,}",
                *(f"{statistics.median(each):,.0f}" for each in (hand, plain, observed)),
                judged(ratio(plain, hand), PLAIN),
                judged(ratio(observed, hand), OBSERVED),
            ]
        )
    head = ["steps", "by hand", "reflow", "observed", "reflow : by hand", "observed : by hand"]
    print_table(f"ns per step, {backend}", head, rows)
    if {100, 10_000} <= set(sizes):
        for name in ("reflow", "observed", "by hand"):
            growth = ratio(per_step[10_000, name], per_step[100, name])
            print(f"a step of 10,000 : one of 100, {name}: {judged(growth, GROWTH)}")


def main(chosen: Options) -> None:
    """Measure on every backend."""
    for backend in chosen.backends:
        measure(backend, chosen.sizes, chosen.turns)


if __name__ == "__main__":
    main(options(__doc__))
