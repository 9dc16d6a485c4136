"""The facade: a flow, its declaration, and what starts from it."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import (
    TYPE_CHECKING,
    Generic,
    Literal,
    Protocol,
    TypeAlias,
    TypeVar,
    cast,
    final,
    overload,
)

from ._compat import D, D_co, annotations_of, override
from ._errors import FlowError, listed
from ._run import Visit, make_run
from ._step import AnyStep, Plan, Step, StepOptions, make_step, unwrapped

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ._journal import Journal
    from ._recording import Recording
    from ._requests import Observer, OnCompleted
    from ._results import Results
    from ._rows import Rows
    from ._run import Run

T = TypeVar("T")

OnChange: TypeAlias = Literal["refuse", "keep"]
"""What to do about a run in the journal that was begun when the flow was declared differently."""


class StepDecorator(Protocol[D_co]):
    """What `flow.step(...)` gives: it makes a step of an async function."""

    def __call__(self, function: Callable[[Visit[D_co]], Awaitable[T]], /) -> Step[T]:
        """Declare the function as the flow's next step."""
        ...


@final
class Flow(Generic[D]):
    """An ordered list of interactive async steps.

    `D` is the type of what the steps reach as `visit.deps`; it defaults to None. Declare the steps
    with `flow.step`, in the order in which they are to run. A flow keeps no state of its runs: any
    number of them may be under way at once. A step that is declared after a run was prepared is
    not part of that run.
    """

    __slots__ = ("_name", "_plan", "_rows", "_steps")

    def __init__(self, name: str) -> None:
        """Begin a flow without steps.

        Args:
            name: how errors, notes and events call the flow.
        """
        self._name = name
        self._steps: dict[str, AnyStep] = {}
        # Made when first needed, and again when a step was added.
        self._plan: Plan | None = None
        self._rows: Rows | None = None

    @property
    def name(self) -> str:
        """The flow's name."""
        return self._name

    @property
    def steps(self) -> tuple[AnyStep, ...]:
        """The steps declared so far, in flow order."""
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
            faults: list[str] = []
            plain = unwrapped(function)
            step_id = str(getattr(plain, "__name__", "")) if id is None else id
            needed = _steps_among(depends_on, faults)
            if not inspect.iscoroutinefunction(plain):
                faults.append("its function must be an `async def`")
            elif "return" not in annotations_of(plain):
                faults.append("its function needs a return annotation: it is the step's type")
            if not step_id:
                faults.append("its id is empty")
            if step_id in self._steps:
                faults.append("its id is taken by an earlier step")
            if not description.strip():
                faults.append("its description is empty")
            faults.extend(
                f"depends_on names {other!r}, which is not a step of this flow declared before"
                for other in needed
                if self._steps.get(other.id) is not other
            )
            for option, value in (("when", when), ("validate", validate)):
                if inspect.iscoroutinefunction(value) or not (value is None or callable(value)):
                    faults.append(f"{option}= must be a plain function, not an async one")
            if faults:
                place = f"step {step_id!r} of flow {self._name!r}"
                raise FlowError(listed(f"{place}: {fault}" for fault in faults))
            options = StepOptions(
                flow=self._name,
                id=step_id,
                description=description,
                function=function,
                depends_on=tuple(needed),
                when=when,
                always_ask=always_ask,
                point_of_no_return=point_of_no_return,
                revisitable=revisitable,
                optional=optional,
                sensitive=sensitive,
                validate=validate,
                model_may_answer=model_may_answer,
            )
            step: Step[T] = make_step(options, Step)
            self._steps[step_id] = step
            self._plan = self._rows = None
            return step

        return declare

    @overload
    async def run(
        self: Flow[None],
        deps: None = None,
        *,
        return_exceptions: bool = False,
        on_completed: OnCompleted | None = None,
        observers: Iterable[Observer] = (),
        journal: Journal | None = None,
        key: str | None = None,
        on_change: OnChange = "refuse",
    ) -> Results: ...
    @overload
    async def run(
        self,
        deps: D,
        *,
        return_exceptions: bool = False,
        on_completed: OnCompleted | None = None,
        observers: Iterable[Observer] = (),
        journal: Journal | None = None,
        key: str | None = None,
        on_change: OnChange = "refuse",
    ) -> Results: ...
    async def run(
        self,
        deps: D | None = None,
        *,
        return_exceptions: bool = False,
        on_completed: OnCompleted | None = None,
        observers: Iterable[Observer] = (),
        journal: Journal | None = None,
        key: str | None = None,
        on_change: OnChange = "refuse",
    ) -> Results:
        """Run the flow from its first step to its last: `prepare` and `drive` in one.

        Args, returns and raises: as `prepare` and `Run.drive`.
        """
        recording = self._recording(journal, key, on_change)
        run = self._prepare(deps, return_exceptions, on_completed, observers, recording)
        return await run.drive()

    @overload
    def prepare(
        self: Flow[None],
        deps: None = None,
        *,
        return_exceptions: bool = False,
        on_completed: OnCompleted | None = None,
        observers: Iterable[Observer] = (),
        journal: Journal | None = None,
        key: str | None = None,
        on_change: OnChange = "refuse",
    ) -> Run: ...
    @overload
    def prepare(
        self,
        deps: D,
        *,
        return_exceptions: bool = False,
        on_completed: OnCompleted | None = None,
        observers: Iterable[Observer] = (),
        journal: Journal | None = None,
        key: str | None = None,
        on_change: OnChange = "refuse",
    ) -> Run: ...
    def prepare(
        self,
        deps: D | None = None,
        *,
        return_exceptions: bool = False,
        on_completed: OnCompleted | None = None,
        observers: Iterable[Observer] = (),
        journal: Journal | None = None,
        key: str | None = None,
        on_change: OnChange = "refuse",
    ) -> Run:
        """Make a run without starting it: `await run.drive()` does.

        Args:
            deps: what the steps reach as `visit.deps`; may be left out where `D` is None.
            return_exceptions: collect the failures of steps, conditions and `on_completed` in
                `results.exceptions` and go on, instead of ending the run with the first one.
            on_completed: an async function that is called with the `StepCompleted` event after
                every completed visit, before the next one begins. Not for answers given with
                `run.answer`: whoever gave them knows.
            observers: plain functions that are told of every event. One that raises is logged and
                switched off for the run.
            journal: where the run is kept, so that another process can resume it; needs the extra
                `journal`. What the journal holds is read when the run is driven; until then the
                run looks like a new one, and what is asked of it is applied after that.
            key: under which the run is kept: the same key resumes the same run. Not without a
                journal, and a journal not without it.
            on_change: what to do if the flow was declared differently when the run in the journal
                was begun. "refuse": `drive()` raises `FlowChangedError`. "keep": answers whose
                step and type still exist are kept, the rest is asked.

        Returns:
            The run.

        Raises:
            FlowError: if an observer is an async function, or if there is a journal and a step's
                type is one whose values can't be read back: all such steps are named.
            ImportError: if there is a journal, but not what the extra `journal` installs.
        """
        recording = self._recording(journal, key, on_change)
        return self._prepare(deps, return_exceptions, on_completed, observers, recording)

    def _prepare(
        self,
        deps: D | None,
        return_exceptions: bool,
        on_completed: OnCompleted | None,
        observers: Iterable[Observer],
        recording: Recording | None,
    ) -> Run:
        observers = tuple(observers)
        for observer in observers:
            if inspect.iscoroutinefunction(observer) or not callable(observer):
                message = f"flow {self._name!r}: observer {observer!r} must be a plain function"
                raise FlowError(message)
        return make_run(
            self._compiled(),
            deps,
            return_exceptions=return_exceptions,
            on_completed=on_completed,
            observers=observers,
            recording=recording,
        )

    def _compiled(self) -> Plan:
        if self._plan is None:
            self._plan = Plan(self._name, self.steps)
        return self._plan

    def _recording(
        self, journal: Journal | None, key: str | None, on_change: OnChange
    ) -> Recording | None:
        faults: list[str] = []
        if (journal is None) != (key is None):
            faults.append("journal= and key= go together")
        elif not (key is None or isinstance(cast("object", key), str)) or key == "":
            faults.append(f"key= must be a text that isn't empty, not {key!r}")
        if on_change not in {"refuse", "keep"}:
            faults.append(f'on_change= must be "refuse" or "keep", not {on_change!r}')
        if faults:
            raise FlowError(listed(f"flow {self._name!r}: {fault}" for fault in faults))
        if journal is None or key is None:
            return None
        try:
            # Only now: `import reflow` shall be quick, and needs no extra.
            from ._recording import Recording  # noqa: PLC0415
            from ._rows import Rows  # noqa: PLC0415
        except ImportError as exc:
            message = f"journal= needs {exc.name}: python -m pip install 'reflow[journal]'"
            raise ImportError(message, name=exc.name) from exc
        if self._rows is None:
            self._rows = Rows(self._compiled())
        return Recording(journal, key, self._name, self._rows, keep=on_change == "keep")

    @override
    def __repr__(self) -> str:
        """Name the flow and its steps."""
        return f"<Flow {self._name!r}: {', '.join(self._steps)}>"


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
