"""The facade: a flow, and what starts from it."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Literal, TypeAlias, TypeVar, cast, final, overload

from ._compat import D, override
from ._declaring import Declaring
from ._errors import FlowError, listed
from ._including import assembling, is_annotated, place
from ._run import make_run
from ._step import AnyStep, IncludedStep, StepOptions, unwrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ._journal import Journal
    from ._observing import Observer
    from ._plan import Plan
    from ._recording import Recording
    from ._requests import OnCompleted
    from ._results import Results
    from ._rows import Rows
    from ._run import Run

T = TypeVar("T")
D2 = TypeVar("D2")

OnChange: TypeAlias = Literal["refuse", "keep"]
"""What to do about a run in the journal that was begun when the flow was declared differently."""


@final
class Flow(Declaring[D]):
    """An ordered list of interactive async steps.

    `D` is the type of what the steps reach as `visit.deps`; it defaults to None. Declare the steps
    with `flow.step` and `flow.include`, in the order in which they are to run. A flow keeps no
    state of its runs: any number of them may be under way at once. A step that is declared after a
    run was prepared is not part of that run.
    """

    __slots__ = ("_rows",)

    def __init__(self, name: str) -> None:
        """Begin a flow without steps.

        Args:
            name: how errors, notes and events call the flow.
        """
        super().__init__(name)
        # Made when first needed, for the tables beside it.
        self._rows: tuple[Plan, Rows] | None = None

    @overload
    def include(
        self,
        subflow: Flow[D] | Flow[None],
        description: str,
        *,
        id: str,
        build: Callable[[Results], T],
        deps: None = None,
        depends_on: Iterable[AnyStep] = (),
        when: Callable[[Results], bool] | None = None,
        always_ask: bool = False,
        point_of_no_return: bool = False,
        revisitable: bool = True,
        optional: bool = False,
        sensitive: bool = False,
        validate: Callable[[T], T] | None = None,
        model_may_answer: bool = False,
    ) -> IncludedStep[T]: ...
    @overload
    def include(
        self,
        subflow: Flow[D2],
        description: str,
        *,
        id: str,
        build: Callable[[Results], T],
        deps: Callable[[D], D2],
        depends_on: Iterable[AnyStep] = (),
        when: Callable[[Results], bool] | None = None,
        always_ask: bool = False,
        point_of_no_return: bool = False,
        revisitable: bool = True,
        optional: bool = False,
        sensitive: bool = False,
        validate: Callable[[T], T] | None = None,
        model_may_answer: bool = False,
    ) -> IncludedStep[T]: ...
    def include(
        self,
        subflow: Flow[D2] | Flow[D] | Flow[None],
        description: str,
        *,
        id: str,
        build: Callable[[Results], T],
        deps: Callable[[D], D2] | None = None,
        depends_on: Iterable[AnyStep] = (),
        when: Callable[[Results], bool] | None = None,
        always_ask: bool = False,
        point_of_no_return: bool = False,
        revisitable: bool = True,
        optional: bool = False,
        sensitive: bool = False,
        validate: Callable[[T], T] | None = None,
        model_may_answer: bool = False,
    ) -> IncludedStep[T]:
        """Declare a whole flow as the next step; its answer is built from that flow's answers.

        The steps of the included flow become steps of this one, right before the included step:
        with ids like `address.zip_code`, and as keys that `IncludedStep.at` gives. They can be
        gone back to, answered and depended on like any other; when one of their answers changes,
        the answer of the included step is built anew. Going back to the included step asks all of
        them again. The same flow may be included several times, and include flows itself; it
        can't be added to any more.

        Args:
            subflow: the flow.
            description: what the step is about, read by people and by language models.
            id: unique in the flow.
            build: a plain function that makes the answer of the results of the included flow, read
                by its own steps. What it raises is the failure of the step.
            deps: makes what the included flow's steps reach as `visit.deps` of what this flow's
                do; without it they reach the same.
            depends_on: when the outcome of one of these steps changes, all inside runs again.
            when: as for `step`; if it doesn't hold, all inside is skipped.
            always_ask: run all inside again whenever the outcome of any step before it changes.
            point_of_no_return: once it is built, all inside and before it is closed. (One inside
                closes what is before the included step, too.)
            revisitable: whether it, or a step inside it, may be gone back to.
            optional: whether it may be skipped, and with it all inside.
            sensitive: keep its answer, and all inside, out of every text; always so if a step
                inside is sensitive.
            validate: applied to answers given from outside for the included step itself.
            model_may_answer: whether a language model may give the built answer; what is inside
                and not settled is skipped then.

        Returns:
            The typed key of the built answer.

        Raises:
            FlowError: naming everything that is wrong with the declaration; nothing has changed.
        """
        faults: list[str] = []
        inside: tuple[AnyStep, ...] = ()
        if not isinstance(cast("object", subflow), Flow):
            faults.append(f"it includes {subflow!r}, which is not a flow")
        elif cast("object", subflow) is self:
            faults.append("a flow can't include itself")
        elif not (inside := subflow.steps):
            faults.append(f"it includes flow {subflow.name!r}, which has no steps")
        plain = unwrapped(build)
        if inspect.iscoroutinefunction(plain) or not callable(plain):
            faults.append("build= must be a plain function")
        elif model_may_answer and not is_annotated(plain):
            faults.append("build= needs a return annotation, for the model's answer to be read by")
        options = StepOptions(
            flow=self._name,
            id=id,
            description=description,
            function=assembling(build),
            conditions=() if when is None else ((0, when),),
            always_ask=always_ask,
            point_of_no_return=point_of_no_return,
            revisitable=revisitable,
            optional=optional,
            sensitive=sensitive,
            validate=validate,
            model_may_answer=model_may_answer,
            build=build,
            deps=deps,
        )
        taken = [name for step in inside if (name := f"{id}.{step.id}") in self._steps]
        faults.extend(f"the id {name!r} of a step inside it is taken" for name in taken)
        options = self._checked(options, depends_on, faults)
        step: IncludedStep[T] = place(options, inside, IncludedStep)
        subflow._included_in = self._name
        for inner in step.steps:
            self._add(inner)
        self._add(step)
        return step

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
        run = make_run(self._compiled(), observers, recording)
        run._deps = deps
        run._on_completed = on_completed
        run._return_exceptions = return_exceptions
        return run

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
        plan = self._compiled()
        if self._rows is None or self._rows[0] is not plan:
            self._rows = (plan, Rows(plan))
        return Recording(journal, key, self._name, self._rows[1], keep=on_change == "keep")

    @override
    def __repr__(self) -> str:
        """Name the flow and its steps."""
        return f"<Flow {self._name!r}: {', '.join(self._steps)}>"
