"""What a flow's declaration compiles to: tables by position, and what a step is called where."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from ._step import AnyStep, IncludedStep, options_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Never, TypeAlias

    _Deps: TypeAlias = Callable[[Never], object]


@final
class Scope:
    """What the steps of an included flow are called there: by its own steps and its own ids."""

    __slots__ = ("deps", "end", "ids", "parent", "positions", "start")

    def __init__(
        self, start: int, end: int, positions: dict[AnyStep, int], deps: _Deps | None
    ) -> None:
        """Take where the steps inside begin, where the included step is, and the rest as told."""
        self.start: Final = start
        self.end: Final = end
        self.positions: Final = positions
        self.ids: Final = {key.id: i for key, i in positions.items()}
        # Makes what these steps reach as `visit.deps` of what the flow around them does.
        self.deps: Final = deps
        # The flow around that one, if it is included as well.
        self.parent: Scope | None = None


@final
class Plan:
    """A flow's steps, compiled to tables by position, so that no rule searches for anything.

    The steps of an included flow stand right before the included step, whose inputs they are.
    """

    __slots__ = (
        "always_ask",
        "conditional",
        "dependents",
        "flow",
        "functions",
        "ids",
        "inner",
        "inputs",
        "names",
        "parents",
        "places",
        "plain",
        "point_of_no_return",
        "positions",
        "revisitable",
        "sensitive",
        "starts",
        "steps",
        "tooling",
        "when",
    )

    def __init__(self, flow: str, steps: tuple[AnyStep, ...]) -> None:
        """Compile the steps, given in flow order."""
        options = [options_of(step) for step in steps]
        self.flow: Final = flow
        self.steps: Final = steps
        self.positions: Final = {step: i for i, step in enumerate(steps)}
        self.names: Final = tuple(option.id for option in options)
        self.ids: Final = {name: i for i, name in enumerate(self.names)}
        self.functions: Final = tuple(option.function for option in options)
        self.when: Final = tuple(option.conditions or None for option in options)
        self.conditional: Final = tuple(i for i, when in enumerate(self.when) if when is not None)
        self.point_of_no_return: Final = tuple(option.point_of_no_return for option in options)
        self.revisitable: Final = tuple(option.revisitable for option in options)
        self.sensitive: Final = tuple(option.sensitive for option in options)
        self.inputs: Final = tuple(
            tuple(sorted({self.positions[needed] for needed in option.depends_on}))
            for option in options
        )
        dependents: list[list[int]] = [[] for _ in steps]
        for i, inputs in enumerate(self.inputs):
            for needed in inputs:
                dependents[needed].append(i)
        self.dependents: Final = tuple(map(tuple, dependents))
        # Of the included steps: where the steps inside begin.
        self.starts: Final = {
            i: i - option.inside for i, option in enumerate(options) if option.inside
        }
        # Of the steps inside: the innermost included step around them.
        self.parents: Final[dict[int, int]] = {}
        for end, start in self.starts.items():
            # Inner ones stand before outer ones.
            for i in range(start, end):
                self.parents.setdefault(i, end)
        # A change before this position makes the step stale; -1: only one of its inputs does.
        asks = [i if option.always_ask else -1 for i, option in enumerate(options)]
        for end, start in self.starts.items():
            if options[end].always_ask:
                for i in range(start, end):
                    asks[i] = max(asks[i], start)
        self.always_ask: Final = tuple(asks)
        # What a language model is told of the steps; made when first asked for.
        self.tooling: object = None
        # A plain step has nothing to do when it settles but to be settled.
        self.plain: Final = tuple(
            not (option.conditions or always_ask >= 0 or option.point_of_no_return)
            for option, always_ask in zip(options, asks, strict=True)
        )
        # Inside which included flow a step is called by its own key and id, and, of the included
        # steps, what their steps are called.
        self.inner: Final = {
            i: Scope(
                self.starts[i],
                i,
                {key: self.positions[placed] for key, placed in step._keys.items()},
                options[i].deps,
            )
            for i, step in enumerate(steps)
            if isinstance(step, IncludedStep)
        }
        # Where the steps of included flows stand, by their own keys.
        self.places: Final[dict[AnyStep, list[int]]] = {}
        for i, scope in self.inner.items():
            scope.parent = self.scope_of(i)
            for key, place in scope.positions.items():
                self.places.setdefault(key, []).append(place)

    def scope_of(self, i: int) -> Scope | None:
        """Give the innermost included flow that the step is one of."""
        return self.inner.get(self.parents.get(i, -1))

    def find(self, step: AnyStep, scope: Scope | None) -> int:
        """Give the position of a step as it is called inside an included flow, or -1.

        What isn't known there may still be a step of a flow that is included there only once; else
        it is looked for in the flow around it, and so on.
        """
        places = self.places.get(step, ())
        around = scope
        while around is not None:
            if (i := around.positions.get(step, -1)) >= 0:
                return i
            inside = [i for i in places if around.start <= i < around.end]
            if len(inside) == 1:
                return inside[0]
            around = around.parent
        if (i := self.positions.get(step, -1)) >= 0:
            return i
        return places[0] if len(places) == 1 else -1

    def locate(self, step: object, scope: Scope | None) -> int:
        """Give the position of what may be a step or an id, like `find`."""
        if isinstance(step, str):
            return self.find_id(step, scope)
        return self.find(step, scope) if isinstance(step, AnyStep) else -1

    def hint(self, step: AnyStep) -> str:
        """Say, to whoever named a step that isn't found, why an inner one isn't."""
        places = ", ".join(repr(self.names[i]) for i in self.places.get(step, ()))
        advice = f": it is there more than once ({places}), name it with .at(...)"
        return advice if places else ""

    def find_id(self, name: str, scope: Scope | None) -> int:
        """Give the position of the step with this id, like `find`; -1 if there is none."""
        while scope is not None:
            if (i := scope.ids.get(name, -1)) >= 0:
                return i
            scope = scope.parent
        return self.ids.get(name, -1)
