"""What becomes of the steps of a flow that is included in another."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, TypeVar

from ._compat import annotations_of
from ._results import make_results
from ._step import AnyStep, IncludedStep, Step, StepOptions, make_included, make_step, options_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ._results import Results
    from ._run import Visit

T = TypeVar("T")


def place(
    options: StepOptions, inside: tuple[AnyStep, ...], _type: type[IncludedStep[T]]
) -> IncludedStep[T]:
    """Make an included step, and the steps inside as those of the flow around it.

    Whatever makes the included step run again does so with all inside it: what it depends on, and
    (`Plan` sees to that) `always_ask`.
    """
    placed: dict[AnyStep, AnyStep] = {}
    for step in inside:
        inner = options_of(step)
        moved = inner._replace(
            flow=options.flow,
            id=f"{options.id}.{inner.id}",
            depends_on=(*(placed[needed] for needed in inner.depends_on), *options.depends_on),
            conditions=(
                *options.conditions,
                *((depth + 1, when) for depth, when in inner.conditions),
            ),
            revisitable=inner.revisitable and options.revisitable,
            sensitive=inner.sensitive or options.sensitive,
        )
        if isinstance(step, IncludedStep):
            keys = {key: placed[own] for key, own in step._keys.items()}
            included: IncludedStep[object] = make_included(moved, keys, IncludedStep)
            placed[step] = included
        else:
            plain: Step[object] = make_step(moved, Step)
            placed[step] = plain
    options = options._replace(
        depends_on=(*options.depends_on, *placed.values()),
        inside=len(placed),
        # What is built of a secret gives it away.
        sensitive=options.sensitive or any(step.sensitive for step in inside),
    )
    return make_included(options, placed, _type)


def assembling(build: Callable[[Results], T]) -> Callable[[Visit[object]], Awaitable[T]]:
    """Make the function of an included step: all inside is settled when its turn comes."""

    async def assemble(visit: Visit[object]) -> T:
        machine = visit._run._machine
        return build(make_results(machine, machine.plan.inner[visit._index]))

    return assemble


def is_annotated(build: object) -> bool:
    """Say whether it is known at run time what type `build=` gives."""
    return inspect.isclass(build) or "return" in annotations_of(build)
