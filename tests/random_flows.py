"""Random flows: how their steps are declared."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from hypothesis import strategies as st

from reflow import AnyStep, Flow, Step

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from reflow import Results, Visit


@attrs.frozen
class Declaration:
    """One step of a random flow."""

    depends_on: frozenset[int] = frozenset()
    reads: frozenset[int] = frozenset()
    """What its condition reads; none: it has no condition."""
    modulus: int = 2
    raising: bool = False
    """Whether its condition raises instead of not holding."""
    always_ask: bool = False
    point_of_no_return: bool = False
    revisitable: bool = True
    optional: bool = False
    inside: tuple[Declaration, ...] = ()
    """The steps of the flow that it includes; none: it is a plain step."""


@st.composite
def declarations(draw: st.DrawFn, nested: bool = False, depth: int = 0) -> list[Declaration]:
    """Draw the steps of a flow; of one of included flows, too, up to three levels deep."""
    declared: list[Declaration] = []
    for i in range(draw(st.integers(1, 6 if depth == 0 else 3))):
        earlier = st.frozensets(st.integers(0, i - 1), max_size=2) if i else st.just(frozenset())
        rarely = st.integers(0, 5).map(lambda n: n == 5)
        includes = nested and depth < 2 and draw(st.booleans())
        declared.append(
            Declaration(
                depends_on=draw(earlier),
                reads=draw(earlier) if draw(st.booleans()) else frozenset(),
                modulus=draw(st.integers(1, 3)),
                raising=draw(rarely),
                always_ask=draw(rarely),
                point_of_no_return=draw(rarely),
                revisitable=not draw(rarely),
                optional=draw(rarely),
                inside=tuple(draw(declarations(nested, depth + 1))) if includes else (),
            )
        )
    return declared


def size(declared: Sequence[Declaration]) -> int:
    """Count the steps, those of included flows, too."""
    return sum(1 + size(declaration.inside) for declaration in declared)


def declare(
    declared: Sequence[Declaration], act: Callable[[Visit], Awaitable[int]], name: str = "random"
) -> Flow[None]:
    """Make a flow whose steps all do the same; an included one adds up what is inside."""
    flow = Flow(name)
    steps: list[AnyStep] = []
    for i, declaration in enumerate(declared):
        depends_on = [steps[j] for j in sorted(declaration.depends_on)]
        when = condition(declaration, tuple(steps)) if declaration.reads else None
        if declaration.inside:
            inside = declare(declaration.inside, act, f"{name}.s{i}")
            steps.append(
                flow.include(
                    inside,
                    f"step {i}",
                    id=f"s{i}",
                    build=adding(inside.steps),
                    depends_on=depends_on,
                    when=when,
                    always_ask=declaration.always_ask,
                    point_of_no_return=declaration.point_of_no_return,
                    revisitable=declaration.revisitable,
                    optional=declaration.optional,
                )
            )
            continue
        step = flow.step(
            f"step {i}",
            id=f"s{i}",
            depends_on=depends_on,
            when=when,
            always_ask=declaration.always_ask,
            point_of_no_return=declaration.point_of_no_return,
            revisitable=declaration.revisitable,
            optional=declaration.optional,
        )(act)
        steps.append(step)
    return flow


def adding(inside: Sequence[AnyStep]) -> Callable[[Results], int]:
    """Make what builds the answer of an included flow."""

    def build(results: Results) -> int:
        values = [results.get(step, 1) for step in inside]
        return sum(value for value in values if isinstance(value, int)) % 4

    return build


def inputs(step: AnyStep) -> list[Step[int]]:
    """Give the inputs of a step, as what they all are here."""
    return [needed for needed in step.depends_on if isinstance(needed, Step)]


def condition(declaration: Declaration, steps: tuple[AnyStep, ...]) -> Callable[[Results], bool]:
    """Make a condition that reads some steps."""

    def when(results: Results) -> bool:
        values = [results.get(steps[i], 1) for i in sorted(declaration.reads)]
        holds = sum(value for value in values if isinstance(value, int)) % declaration.modulus == 0
        if declaration.raising and not holds:
            raise ValueError("condition")
        return holds

    return when
