"""The declaration of a step, its typed key, and the table a flow of them compiles to."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, Never, TypeVar, final

from ._compat import override

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


@final
class StepOptions(NamedTuple):
    """All that was said of a step where it was declared.

    The callables take `Never` here: what they really take was checked where they were declared
    (`Visit[D]`, `Results`, the step's type), and is known again to the driver that calls them.
    """

    flow: str
    id: str
    description: str
    function: Callable[[Never], Awaitable[object]]
    depends_on: tuple[AnyStep, ...] = ()
    when: Callable[[Never], bool] | None = None
    always_ask: bool = False
    point_of_no_return: bool = False
    revisitable: bool = True
    optional: bool = False
    sensitive: bool = False
    validate: Callable[[Never], object] | None = None
    model_may_answer: bool = False


class AnyStep:
    """A step whose answer may be of any type: what `Step[T]` is for every `T`.

    `Step` is invariant in its type, so that no `Step[object]` could stand for all of them.
    """

    __slots__ = ("_options",)

    _options: StepOptions

    def __init__(self) -> None:
        """Refuse: a step belongs to the flow that declares it.

        Raises:
            TypeError: always.
        """
        raise TypeError("a step is declared with flow.step(...), it can't be constructed")

    @property
    def id(self) -> str:
        """The step's id, unique in its flow."""
        return self._options.id

    @property
    def description(self) -> str:
        """What the step is about, for people and for language models."""
        return self._options.description

    @property
    def depends_on(self) -> tuple[AnyStep, ...]:
        """The steps whose changed outcome makes this one run again."""
        return self._options.depends_on

    @property
    def always_ask(self) -> bool:
        """Whether a change of any earlier step makes this one run again."""
        return self._options.always_ask

    @property
    def point_of_no_return(self) -> bool:
        """Whether this step, once done, closes itself and every step before it."""
        return self._options.point_of_no_return

    @property
    def revisitable(self) -> bool:
        """Whether the step may be gone back to."""
        return self._options.revisitable

    @property
    def optional(self) -> bool:
        """Whether the step may be skipped on request."""
        return self._options.optional

    @property
    def sensitive(self) -> bool:
        """Whether the answer is kept out of every text reflow makes."""
        return self._options.sensitive

    @property
    def model_may_answer(self) -> bool:
        """Whether a language model may give the answer."""
        return self._options.model_may_answer

    @property
    def conditional(self) -> bool:
        """Whether the step has a condition (`when=`)."""
        return self._options.when is not None

    @override
    def __repr__(self) -> str:
        """Name the step and its flow."""
        return f"<Step {self._options.id!r} of flow {self._options.flow!r}>"


@final
class Step(AnyStep, Generic[T]):
    """A declared step, and the typed key of its answer.

    Made by `flow.step(...)`. Compared by identity. Invariant in `T`, so that a type checker
    refuses `run.answer(step, value)` with a value of another type.
    """

    __slots__ = ()


def make_step(options: StepOptions, _type: type[Step[T]]) -> Step[T]:
    """Make the step that these options describe."""
    step = object.__new__(_type)
    # Set once, here: the class offers only read-only properties.
    step._options = options
    return step


def options_of(step: AnyStep) -> StepOptions:
    """Give what was declared of a step, with the callables that `AnyStep` doesn't show."""
    return step._options


def unwrapped(function: object) -> object:
    """Give the function itself, without what binds or wraps it."""
    if isinstance(function, functools.partial):
        return unwrapped(function.func)
    inner: object = getattr(function, "__func__", function)
    return inner


@final
class Plan:
    """A flow's steps, compiled to tables by position, so that no rule searches for anything."""

    __slots__ = (
        "always_ask",
        "conditional",
        "dependents",
        "flow",
        "functions",
        "ids",
        "inputs",
        "names",
        "plain",
        "point_of_no_return",
        "positions",
        "revisitable",
        "sensitive",
        "steps",
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
        self.when: Final = tuple(option.when for option in options)
        self.conditional: Final = tuple(i for i, when in enumerate(self.when) if when is not None)
        self.always_ask: Final = tuple(option.always_ask for option in options)
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
        # A plain step has nothing to do when it settles but to be settled.
        self.plain: Final = tuple(
            not (option.when or option.always_ask or option.point_of_no_return)
            for option in options
        )
