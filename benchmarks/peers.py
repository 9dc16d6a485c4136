"""What twenty steps cost in LangGraph and in Burr, beside reflow and the hand-written loop.

The same in each: twenty trivial async steps in a row, every answer kept. What can be declared once
(the flow, the compiled graph, Burr's graph) is declared once; measured is what a run needs, in an
event loop (asyncio) that is running already: `flow.run`, `ainvoke` without a checkpointer, building
the application on its graph and `arun`. Both do things that reflow doesn't, such as branches that
run in parallel; neither lets the user go back.
"""

from __future__ import annotations

import operator
import statistics
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, TypeAlias, TypedDict

from burr.core import ApplicationBuilder, GraphBuilder, State, action
from by_hand import in_order
from langgraph.graph import END, START, StateGraph
from measuring import in_turn, on, options, print_table, print_versions, ratio, timed

from reflow import Flow

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from measuring import Options

NAMES = [f"s{i}" for i in range(20)]
Kept: TypeAlias = State[dict[str, int]]
# So many runs make a sample.
TIMES = 20


async def step(_: object) -> int:
    """Answer at once."""
    return 1


def with_reflow() -> Callable[[], Awaitable[object]]:
    """Declare a flow."""
    flow = Flow("steps")
    for name in NAMES:
        flow.step("a number", id=name)(step)
    return flow.run


def by_hand() -> Callable[[], Awaitable[object]]:
    """Take the hand-written loop."""
    steps = [step] * len(NAMES)
    return lambda: in_order(steps)


class Answers(TypedDict):
    """LangGraph's state: the answers, to which every node adds its own."""

    answers: Annotated[dict[str, int], operator.or_]


def with_langgraph() -> Callable[[], Awaitable[object]]:
    """Compile a graph."""
    builder = StateGraph(Answers)

    def add(name: str) -> None:
        async def run(state: Answers) -> Answers:
            return {"answers": {name: 1}}

        builder.add_node(name, run)

    for name in NAMES:
        add(name)
    for before, after in pairwise([START, *NAMES, END]):
        builder.add_edge(before, after)
    graph = builder.compile()
    return lambda: graph.ainvoke({"answers": {}})


def with_burr() -> Callable[[], Awaitable[object]]:
    """Build a graph."""

    def node(name: str) -> Callable[[Kept], Awaitable[Kept]]:
        async def run(state: Kept) -> Kept:
            return state.update(**{name: 1})

        return action(reads=[], writes=[name])(run)

    graph = (
        GraphBuilder()  # type: ignore[no-untyped-call] # its __init__ isn't annotated
        .with_actions(**{name: node(name) for name in NAMES})
        .with_transitions(*pairwise(NAMES))
        .build()
    )

    async def run() -> object:
        builder: ApplicationBuilder[dict[str, int]]
        builder = ApplicationBuilder()  # type: ignore[no-untyped-call] # the same
        application = await builder.with_graph(graph).with_entrypoint(NAMES[0]).abuild()
        return await application.arun(halt_after=NAMES[-1:])

    return run


def main(chosen: Options) -> None:
    """Measure, and print the table."""
    variants = {
        "by hand": by_hand(),
        "reflow": with_reflow(),
        "Burr": with_burr(),
        "LangGraph": with_langgraph(),
    }
    samples = {name: timed(run, TIMES) for name, run in variants.items()}
    taken = in_turn(on("asyncio", samples), chosen.turns)
    rows = [
        [
            name,
            f"{statistics.median(times) / TIMES / 1e6:.3f}",
            f"{statistics.median(times) / TIMES / len(NAMES) / 1e3:,.1f}",
            f"{ratio(times, taken['by hand']):,.1f}",
            f"{ratio(times, taken['reflow']):,.1f}",
        ]
        for name, times in taken.items()
    ]
    print_versions("apache-burr", "langgraph")
    head = ["", "ms per run", "µs per step", ": by hand", ": reflow"]
    print_table(f"{len(NAMES)} trivial steps, asyncio", head, rows)


if __name__ == "__main__":
    main(options(__doc__))
