"""What it costs to make the tools of a run for a language model.

Measured: `run.tools()` in the last step of a flow, where all of its steps have been visited and can
be gone back to, answered and skipped; they are of four types. "first": of a flow that no tools were
made for before; schemas and what reads the answers are made once for all runs of a flow. A model
gets new tools in each of its turns, so what counts is the time of all others. "call": going back,
which is asked for again and again in the same visit. "as text": the time to make the text of what a
provider gets, with `json.dumps`.
"""

from __future__ import annotations

import enum
import json
import statistics
from time import process_time_ns
from typing import TYPE_CHECKING

import anyio
from attrs import frozen
from measuring import in_turn, judged, options, print_table

from reflow import Flow, Visit

if TYPE_CHECKING:
    from collections.abc import Callable

    from measuring import Options

    from reflow import Run

# In ms, for so many steps.
TARGET, STEPS = 5.0, 1_000
# So many make a sample.
TIMES = 5


class Choice(enum.Enum):
    """An answer."""

    ONE = 1
    OTHER = 2


@frozen
class Person:
    """An answer."""

    name: str
    age: int | None = None


async def text(_: object) -> str:
    """Answer at once."""
    return "text"


async def number(_: object) -> int:
    """Answer at once."""
    return 1


async def choice(_: object) -> Choice:
    """Answer at once."""
    return Choice.ONE


async def person(_: object) -> Person:
    """Answer at once."""
    return Person("Ada")


Made = dict[str, int]


def declared(size: int) -> Flow[None]:
    """Declare a flow of so many steps, with one more that stays for the measurement."""
    flow = Flow("tools")
    for i in range(size):
        step = flow.step("an answer", id=f"s{i}", optional=True, model_may_answer=True)
        for kind, act in enumerate((text, number, choice, person)):
            if kind == i % 4:
                step(act)
    return flow


def timed(function: Callable[[], object], times: int = 1) -> int:
    """Give the nanoseconds that a call takes."""
    begun = process_time_ns()
    for _ in range(times):
        function()
    return (process_time_ns() - begun) // times


def taken(run: Run) -> Made:
    """Measure inside of a visit."""
    first = timed(run.tools)
    go_back, *_ = tools = run.tools()
    return {
        "first": first,
        "tools()": timed(run.tools, TIMES),
        "constant": timed(lambda: run.tools(constant=True), TIMES),
        "call": timed(lambda: go_back.call({"steps": ["s0"]}), TIMES),
        "as text": timed(lambda: [json.dumps(tool.as_openai()) for tool in tools], TIMES),
    }


def sample(size: int) -> Made:
    """Run a flow, and measure in its last step."""
    flow = declared(size)
    made: Made = {}

    @flow.step("the last one")
    async def last(visit: Visit) -> int:
        if not made:
            made.update(taken(visit.run))
        return 1

    anyio.run(flow.run)
    return made


def main(chosen: Options) -> None:
    """Measure, and print the table."""
    found: dict[int, list[Made]] = {size: [] for size in chosen.sizes}

    def keep(size: int) -> Callable[[], int]:
        def measure() -> int:
            found[size].append(sample(size))
            return 0

        return measure

    in_turn({size: keep(size) for size in chosen.sizes}, chosen.turns)
    rows = []
    for size, samples in found.items():
        medians = {
            name: statistics.median(made[name] for made in samples[1:]) / 1e6 for name in samples[0]
        }
        cells = {name: f"{median:.3f}" for name, median in medians.items()}
        if size == STEPS:
            cells |= {name: judged(medians[name], TARGET) for name in ("tools()", "constant")}
        rows.append([f"{size:,}", *cells.values()])
    print_table("ms per run.tools()", ["steps", *found[chosen.sizes[0]][0]], rows)


if __name__ == "__main__":
    main(options(__doc__))
