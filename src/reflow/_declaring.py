"""Declaring the steps of a flow; all faults of a declaration are raised together."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, cast, overload

from ._compat import D, D_co, annotations_of
from ._errors import FlowError, listed
from ._plan import Plan
from ._step import AnyStep, Step, StepOptions, holds, make_step, unwrapped

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ._results import Results
    from ._run import Visit

T = TypeVar("T")


class StepDecorator(Protocol[D_co]):
    """What `flow.step(...)` gives: it makes a step of an async function."""

    def __call__(self, function: Callable[[Visit[D_co]], Awaitable[T]], /) -> Step[T]:
        """Declare the function as the flow's next step."""
        ...


class Declaring(Generic[D]):
    """The half of a flow in which it is declared."""

    __slots__ = ("_included_in", "_name", "_plan", "_steps")

    def __init__(self, name: str) -> None:
        """Begin a flow without steps."""
        self._name = name
        self._steps: dict[str, AnyStep] = {}
        # Made when first needed, and again when a step was added.
        self._plan: Plan | None = None
        # The flow that includes it, if one does.
        self._included_in: str | None = None

    @property
    def name(self) -> str:
        """The flow's name."""
        return self._name

    @property
    def steps(self) -> tuple[AnyStep, ...]:
        """The steps declared so far, in flow order.

        Those of an included flow stand right before the step that includes it.
        """
        return tuple(self._steps.values())

    @overload
    def step(
        self,
        description: str,
        *,
        id: str | None = None,
        depends_on: Iterable[AnyStep] = (),
        when: Callable[[Results], bool] | None = None,
        always_ask: bool = False,
        point_of_no_return: bool = False,
        revisitable: bool = True,
        optional: bool = False,
        sensitive: bool = False,
        validate: None = None,
        model_may_answer: bool = False,
    ) -> StepDecorator[D]: ...
    @overload
    def step(
        self,
        description: str,
        *,
        id: str | None = None,
        depends_on: Iterable[AnyStep] = (),
        when: Callable[[Results], bool] | None = None,
        always_ask: bool = False,
        point_of_no_return: bool = False,
        revisitable: bool = True,
        optional: bool = False,
        sensitive: bool = False,
        validate: Callable[[T], T],
        model_may_answer: bool = False,
    ) -> Callable[[Callable[[Visit[D]], Awaitable[T]]], Step[T]]: ...
    def step(
        self,
        description: str,
        *,
        id: str | None = None,
        depends_on: Iterable[AnyStep] = (),
        when: Callable[[Results], bool] | None = None,
        always_ask: bool = False,
        point_of_no_return: bool = False,
        revisitable: bool = True,
        optional: bool = False,
        sensitive: bool = False,
        validate: Callable[[T], T] | None = None,
        model_may_answer: bool = False,
    ) -> Callable[[Callable[[Visit[D]], Awaitable[T]]], Step[T]]:
        """Declare the next step: a decorator, or a plain call, on `async def (Visit[D]) -> T`.

        The function needs a return annotation: it is the step's type. Bound methods
        (`self.name = flow.step("...")(self._name)`) and static methods work too.

        Args:
            description: what the step is about, read by people and by language models.
            id: unique in the flow; the function's name by default.
            depends_on: steps declared before; when the outcome of one of them changes, this step
                runs again.
            when: a pure function of the results that says whether the step is wanted. It may only
                read steps declared before, and is evaluated again when one it read changes.
            always_ask: run the step again whenever the outcome of any step before it changes: for
                confirmations.
            point_of_no_return: once done, the step and all before it are closed: not revisited,
                not answered, never stale.
            revisitable: whether the step may be gone back to.
            optional: whether the step may be skipped by `run.skip(step)` or `visit.skip()`.
            sensitive: keep the answer out of every text: reprs, logs, notes.
            validate: applied to answers given from outside: returns the value to keep or raises
                `ValueError`.
            model_may_answer: whether a language model may give the answer.

        Returns:
            The decorator, which returns the `Step[T]`: the typed key of the answer.

        Raises:
            FlowError: by the decorator, naming everything that is wrong with the declaration;
                the flow is unchanged then.
        """
        if not isinstance(cast("object", description), str):
            message = f'flow {self._name!r}: write @flow.step("what the step is about"), it is '
            raise FlowError(message + f"called with {description!r}")

        def declare(function: Callable[[Visit[D]], Awaitable[T]], /) -> Step[T]:
            plain = unwrapped(function)
            faults: list[str] = []
            if not inspect.iscoroutinefunction(plain):
                faults.append("its function must be an `async def`")
            elif "return" not in annotations_of(plain):
                faults.append("its function needs a return annotation: it is the step's type")
            options = StepOptions(
                flow=self._name,
                id=str(getattr(plain, "__name__", "")) if id is None else id,
                description=description,
                function=function,
                conditions=() if when is None else ((0, when),),
                always_ask=always_ask,
                point_of_no_return=point_of_no_return,
                revisitable=revisitable,
                optional=optional,
                sensitive=sensitive,
                validate=validate,
                model_may_answer=model_may_answer,
            )
            options = self._checked(options, depends_on, faults)
            step: Step[T] = make_step(options, Step)
            self._add(step)
            return step

        return declare

    def _compiled(self) -> Plan:
        if self._plan is None:
            self._plan = Plan(self._name, self.steps)
        return self._plan

    def _checked(self, options: StepOptions, depends_on: object, faults: list[str]) -> StepOptions:
        """Complete a declaration that has these faults so far; refuse it if it has any."""
        needed = _steps_among(depends_on, faults)
        if not options.id:
            faults.append("its id is empty")
        if options.id in self._steps:
            faults.append("its id is taken by an earlier step")
        if not options.description.strip():
            faults.append("its description is empty")
        if self._included_in is not None:
            faults.append(f"its flow is included in flow {self._included_in!r}: declare it before")
        for other in needed:
            if self._steps.get(other.id) is not other:
                fault = (
                    f"depends_on names {other!r}, which is not a step of this flow declared before"
                )
                # At one of these it would be.
                places = [step.id for step in self._steps.values() if holds(step, other)]
                advice = f" (name it with .at(...) of {', '.join(places)})" if places else ""
                faults.append(fault + advice)
        when = options.conditions[0][1] if options.conditions else None
        for option, value in (
            ("when", when),
            ("validate", options.validate),
            ("deps", options.deps),
        ):
            if inspect.iscoroutinefunction(value) or not (value is None or callable(value)):
                faults.append(f"{option}= must be a plain function, not an async one")
        if faults:
            place = f"step {options.id!r} of flow {self._name!r}"
            raise FlowError(listed(f"{place}: {fault}" for fault in faults))
        return options._replace(depends_on=tuple(needed))

    def _add(self, step: AnyStep) -> None:
        self._steps[step.id] = step
        self._plan = None


def _steps_among(values: object, faults: list[str]) -> list[AnyStep]:
    """Give the steps in what was passed as `depends_on`; whatever else there is, is a fault."""
    if not isinstance(values, Iterable):
        faults.append(f"depends_on must be a list of steps, not {values!r}")
        return []
    steps: list[AnyStep] = []
    for value in cast("Iterable[object]", values):
        if isinstance(value, AnyStep):
            steps.append(value)
        else:
            faults.append(f"depends_on names {value!r}, which is not a step")
    return steps
