"""The declaration of a step, and its typed key."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Generic, NamedTuple, Never, TypeAlias, TypeVar, final, overload

from ._compat import override
from ._errors import FlowError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

T = TypeVar("T")
U = TypeVar("U")

Condition: TypeAlias = "tuple[int, Callable[[Never], bool]]"
"""A `when=`, and how many included flows stand around the declaration that it belongs to."""


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
    conditions: tuple[Condition, ...] = ()
    """Its own, behind those of the included steps that it is inside of."""
    always_ask: bool = False
    point_of_no_return: bool = False
    revisitable: bool = True
    optional: bool = False
    sensitive: bool = False
    validate: Callable[[Never], object] | None = None
    model_may_answer: bool = False
    # Of an included step: how many steps, right before it, are inside, and what it was given.
    inside: int = 0
    build: Callable[[Never], object] | None = None
    deps: Callable[[Never], object] | None = None

    @property
    def typed_by(self) -> object:
        """What is annotated with the step's type."""
        return unwrapped(self.function if self.build is None else self.build)


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
        """Whether the step has a condition (`when=`), or is inside an included step that has."""
        return bool(self._options.conditions)

    @override
    def __repr__(self) -> str:
        """Name the step and its flow."""
        return f"<Step {self._options.id!r} of flow {self._options.flow!r}>"


class Step(AnyStep, Generic[T]):
    """A declared step, and the typed key of its answer.

    Made by `flow.step(...)`. Compared by identity. Invariant in `T`, so that a type checker
    refuses `run.answer(step, value)` with a value of another type.
    """

    __slots__ = ()


@final
class IncludedStep(Step[T]):
    """A step that is a whole flow: its answer is built from the answers of that flow.

    Made by `flow.include(...)`. The steps of the included flow are steps of the outer one, too,
    right before this one: `at` gives them.
    """

    __slots__ = ("_keys",)

    # The steps of the included flow, and what they are in this one.
    _keys: Mapping[AnyStep, AnyStep]

    @overload
    def at(self, inner: IncludedStep[U]) -> IncludedStep[U]: ...
    @overload
    def at(self, inner: Step[U]) -> Step[U]: ...
    @overload
    def at(self, inner: AnyStep) -> AnyStep: ...
    def at(self, inner: AnyStep) -> AnyStep:
        """Give a step of the included flow as a step of this one: the key of its answer here.

        Its id is its address: `address.zip_code` for the step `zip_code` of what is included as
        `address`. The same step always gives the same key.

        Args:
            inner: a step of the included flow; one inside what that flow includes itself is
                `home.at(address.at(zip_code))`, or `home.at(address).at(zip_code)`.

        Raises:
            FlowError: if it is not a step of the included flow.
        """
        try:
            return self._keys[inner]
        except KeyError:
            known = ", ".join(repr(step.id) for step in self._keys)
            message = f"{inner!r} is not a step of the flow that is included as {self.id!r} in "
            message += f"flow {self._options.flow!r}; its steps are {known}"
            raise FlowError(message) from None

    @property
    def steps(self) -> tuple[AnyStep, ...]:
        """The steps inside, as steps of the outer flow, in flow order."""
        return tuple(self._keys.values())


def make_step(options: StepOptions, _type: type[Step[T]]) -> Step[T]:
    """Make the step that these options describe."""
    step = object.__new__(_type)
    # Set once, here: the class offers only read-only properties.
    step._options = options
    return step


def make_included(
    options: StepOptions, keys: Mapping[AnyStep, AnyStep], _type: type[IncludedStep[T]]
) -> IncludedStep[T]:
    """Make the included step that these options describe, with the steps inside."""
    step = object.__new__(_type)
    step._options = options
    step._keys = keys
    return step


def options_of(step: AnyStep) -> StepOptions:
    """Give what was declared of a step, with the callables that `AnyStep` doesn't show."""
    return step._options


def holds(step: AnyStep, inner: AnyStep) -> bool:
    """Say whether a step is one that includes the flow that the other is a step of."""
    return isinstance(step, IncludedStep) and inner in step._keys


def unwrapped(function: object) -> object:
    """Give the function itself, without what binds or wraps it."""
    if isinstance(function, functools.partial):
        return unwrapped(function.func)
    inner: object = getattr(function, "__func__", function)
    return inner
