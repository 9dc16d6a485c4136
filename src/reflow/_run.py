"""The one driver: runs the steps in the caller's task, each visit in a cancel scope of its own."""

from __future__ import annotations

from threading import get_ident
from typing import TYPE_CHECKING, Generic, Never, TypeAlias, TypeVar, cast, final, overload

import anyio

from . import _events as e
from ._cancellation import VisitOver, asyncio_task, reaches, without_signal
from ._compat import D_co, override
from ._endings import Endings
from ._errors import FlowError
from ._results import Results, RunStoppedError, make_results
from ._states import NOTHING, NothingType, RunState

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from ._observing import Observer
    from ._plan import Plan, Scope
    from ._recording import Recording
    from ._step import AnyStep, Step
    from ._tool import Tool

T = TypeVar("T")
U = TypeVar("U")

_Function: TypeAlias = "Callable[[Visit[object]], Awaitable[object]]"


@final
class Visit(Generic[D_co]):
    """One entry into a step: what the step's function gets."""

    __slots__ = ("_index", "_number", "_reason", "_run")

    _index: int
    _number: int
    _reason: e.Reason
    _run: Run

    def __init__(self) -> None:
        """Refuse (TypeError): visits are made by the run."""
        raise TypeError("a visit is made by its run, it can't be constructed")

    @property
    def step(self) -> AnyStep:
        """The step that is visited."""
        return self._run._machine.plan.steps[self._index]

    @property
    def number(self) -> int:
        """The number of this visit to the step, from 1."""
        return self._number

    @property
    def reason(self) -> e.Reason:
        """Why the step was entered."""
        return self._reason

    @property
    def deps(self) -> D_co:
        """What was given to `flow.run(deps)` or `flow.prepare(deps)`.

        In an included flow: what `deps=` of `flow.include` makes of that. It is called once a run.
        """
        scope = self._run._machine.plan.scope_of(self._index)
        return cast("D_co", self._run._deps if scope is None else self._run._deps_in(scope))

    @property
    def run(self) -> Run:
        """The run that this visit belongs to: of an included flow, the whole one."""
        return self._run

    @property
    def idempotency_key(self) -> str:
        """A key for what must not happen twice, such as a charge.

        The same in every visit until the step has an answer, also when it was interrupted or
        failed in between; another one when the step is asked anew after that.
        """
        return self._run._key_of(self._index)

    @overload
    def __getitem__(self, step: Step[T]) -> T: ...
    @overload
    def __getitem__(self, step: AnyStep) -> object: ...
    def __getitem__(self, step: AnyStep) -> object:
        """Give the answer of another step: `visit.run.results[step]`.

        Reading a step that isn't in `depends_on` is allowed, but makes this one depend on nothing.
        The steps of an included flow read each other by their own keys.

        Raises:
            StepNotDoneError: if there is no answer to rely on; the message says why.
            StepFailedError: if the step failed; its exception is the cause.
            FlowError: if the step is not one of this run's.
        """
        return self._results()[step]

    @overload
    def get(self, step: Step[T]) -> T | None: ...
    @overload
    def get(self, step: Step[T], default: U) -> T | U: ...
    @overload
    def get(self, step: AnyStep, default: object = None) -> object: ...
    def get(self, step: AnyStep, default: object = None) -> object:
        """Give the answer of a step, or the default where `[]` would raise StepNotDoneError.

        Of its own step a visit gets the latest answer there ever was, stale or not: what to offer
        again ("still a@b.c?").

        Raises:
            FlowError: if the step is not one of this run's.
        """
        results = self._results()
        if results._position(step) == self._index:
            latest = self._run._machine.values[self._index]
            return default if isinstance(latest, NothingType) else latest
        return results.get(step, default)

    def draft(self, factory: Callable[[], T]) -> T:
        """Give the step's scratchpad: the same object on every visit until the step settles.

        So an interrupted step keeps the half it already has. It lives in memory only.

        Args:
            factory: makes the scratchpad when there is none yet.

        Raises:
            FlowError: if the visit is over.
        """
        self._check_current("draft")
        # The step made it, with this factory or with the one it used before.
        return cast("T", self._run._draft(self._index, factory))

    async def go_back(self, *steps: AnyStep | str) -> Never:
        """Ask for earlier steps again and leave this visit; never returns.

        Args:
            steps: the steps, or their ids; see `run.go_back`.

        Raises:
            FlowError: if the cancellation of this visit can't reach the caller (in a shielded
                section, in a task outside the visit, after the visit); nothing was requested.
            GoBackError: as `run.go_back`.
        """
        self._check_inside("go_back")
        plan = self._run._machine.plan
        if (scope := plan.scope_of(self._index)) is not None:
            # As they are called in the included flow that the step is one of.
            found = (plan.locate(step, scope) for step in steps)
            steps = tuple(
                plan.steps[i] if i >= 0 else step for i, step in zip(found, steps, strict=True)
            )
        self._run.go_back(*steps)
        while True:
            await anyio.sleep_forever()

    def skip(self) -> Never:
        """Settle the step without an answer and leave this visit; never returns.

        Raises:
            FlowError: if the step is not optional, or where `visit.go_back` raises it.
        """
        self._check_inside("skip")
        if not self.step.optional:
            raise FlowError(f"visit.skip() of {self!r}: declare the step with optional=True")
        if self._run._machine.active == self._index:
            # Else someone has answered or skipped the step meanwhile, and that stands.
            self._run.skip(self.step)
        raise VisitOver(self)

    def stop(self, reason: str) -> Never:
        """Leave the whole run early; never returns. See `run.stop`.

        Args:
            reason: why, for whoever catches the `RunStoppedError` that `drive()` raises.

        Raises:
            FlowError: where `visit.go_back` raises it.
        """
        self._check_inside("stop")
        self._run.stop(reason)
        raise VisitOver(self)

    @override
    def __repr__(self) -> str:
        """Name the step and the visit."""
        flow = self._run._machine.plan.flow
        return f"<Visit {self._number} of step {self.step.id!r} of flow {flow!r}>"

    def _results(self) -> Results:
        run = self._run
        scope = run._machine.plan.scope_of(self._index)
        return run._results if scope is None else make_results(run._machine, scope)

    def _check_current(self, what: str) -> None:
        if self._run._visit is not self:
            raise FlowError(f"visit.{what} of {self!r}: the visit is over")

    def _check_inside(self, what: str) -> None:
        self._check_current(what)
        if not reaches(cast("anyio.CancelScope", self._run._scope)):
            raise FlowError(
                f"visit.{what} of {self!r} can't end the visit from a shielded section or from "
                f"a task outside the visit: use visit.run.{what}(...)"
            )


@final
class Run(Endings):
    """One execution of a flow, made by `flow.prepare(...)`."""

    __slots__ = ("_deps", "_functions", "_inner_deps")

    _deps: object
    _functions: tuple[_Function, ...]
    # What the included flows reach as their deps, by the position of the included step.
    _inner_deps: dict[int, object]

    def __init__(self) -> None:
        """Refuse (TypeError): runs are made by their flow."""
        raise TypeError("a run is made by its flow: use flow.prepare(...)")

    async def drive(self) -> Results:
        """Run the steps, in the caller's task, until every one of them is settled.

        A checkpoint when it begins; between the steps it adds none, but for the writes to a
        journal. Steps run in the caller's context: a context variable that a step sets stays set
        for the next.

        With a journal, a run that is complete there gives its results without running anything,
        any other goes on where it was left. What happened is stored before the next step begins,
        before `on_completed` is called, and before this method returns or raises; cancellation
        from outside waits for that.

        Returns:
            The answers, typed by step.

        Raises:
            FlowError: if the run was driven before; with a journal, also a failure of a step that
                returned what is not of its type.
            FlowChangedError: if the flow has changed since the run in the journal was begun.
            JournalConflictError: if someone else writes to the run's key in the journal.
            JournalError: if the journal can't be read or written, or holds what can't be used.
            GoBackError, RunFinishedError: if something that was asked for before is refused, now
                that it is known what the journal holds.
            RunStoppedError: if `stop` was called.
            Exception: what a step, a condition or `on_completed` raised, itself and with a note
                that names flow, step and visit; under `return_exceptions` these are collected
                in `results.exceptions` instead.
        """
        # Imported here, it doesn't slow `import reflow`: anyio loads its parts when needed.
        import anyio.lowlevel as lowlevel  # noqa: PLC0415 - `from` costs more on each run

        machine = self._machine
        if self._thread is not None:
            raise FlowError(f"{self!r} was driven before: prepare another")
        self._thread = get_ident()
        cancelled = anyio.get_cancelled_exc_class()
        task = asyncio_task(cancelled)
        cancelling = 0 if task is None else task.cancelling()
        when, functions, on_completed = machine.plan.when, self._functions, self._on_completed
        new_scope: type[anyio.CancelScope] = anyio.CancelScope
        recording = self._recording
        if recording is not None:
            machine = await self._open(recording, cancelled)
            if machine.phase is RunState.COMPLETED:
                return self._results
        self._start()
        i = -1
        try:
            if machine.log:
                self._deliver_here()
            await lowlevel.checkpoint()
            while (i := machine.next()) >= 0 and self._stopping is None:
                if when[i] is not None and machine.must_evaluate(i):
                    self._evaluate(i)
                    continue
                visit: Visit[object] = object.__new__(Visit)
                visit._run = self
                visit._index = i
                visit._reason = machine.enter(i)
                visit._number = machine.visits[i]
                self._visit = visit
                self._scope = scope = new_scope()
                # The backend's own class: making it directly spares looking the backend up again.
                new_scope = type(scope)
                value: object = NOTHING
                failure: Exception | None = None
                if (not machine.log or self._announced(i)) and (
                    recording is None or await self._stored(i, recording)
                ):
                    try:
                        with scope:
                            value = await functions[i](visit)
                    except Exception as exc:  # noqa: BLE001 - recorded or raised by _wind_up
                        failure = exc
                    except BaseException as exc:  # noqa: BLE001 - raised again unless ours
                        failure = without_signal(exc, visit)
                self._scope = self._visit = None
                if recording is not None and failure is None and machine.active == i:
                    failure = self._misfit(i, value, recording)
                if failure is not None or value is NOTHING or machine.active != i:
                    interrupted = scope.cancel_called or self._stopping is not None
                    self._wind_up(i, value, failure, interrupted=interrupted)
                else:
                    changed = machine.complete(i, value)
                    if self._drafts:
                        self._drop_draft(i)
                    if machine.log:
                        self._deliver()
                    if recording is not None and on_completed is not None:
                        await recording.write(machine)
                        await lowlevel.checkpoint_if_cancelled()
                    if on_completed is not None:
                        await self._call_back(i, on_completed, value, changed=changed)
                # No checkpoint, but no step begins in a cancelled run, even if one swallowed it.
                await lowlevel.checkpoint_if_cancelled()
                if task is not None and task.cancelling() > cancelling:
                    # Native cancellation isn't delivered again, unless it hasn't been at all yet.
                    await lowlevel.checkpoint()
                    raise cancelled  # noqa: TRY301 - ends the run like one that nobody swallowed
        except BaseException as exc:
            self._end_by(exc, i, cancelled)
            if recording is not None and not isinstance(exc, GeneratorExit):
                await recording.write(machine)
            raise
        if self._stopping is not None:
            reason = self._stopping
            await self._finish(RunState.STOPPED, e.RunStopped(reason))
            message = f"the run of flow {machine.plan.flow!r} was stopped: {reason}"
            raise RunStoppedError(message, reason, self._results)
        await self._finish(RunState.COMPLETED, e.RunCompleted())
        return self._results

    def _deps_in(self, scope: Scope) -> object:
        """Give what the steps of an included flow reach as their deps."""
        if scope.end not in self._inner_deps:
            outer = self._deps if scope.parent is None else self._deps_in(scope.parent)
            # Declared for the deps of the flow around it.
            make = cast("Callable[[object], object] | None", scope.deps)
            self._inner_deps[scope.end] = outer if make is None else make(outer)
        return self._inner_deps[scope.end]

    @property
    def visit(self) -> Visit[object] | None:
        """The visit that is under way; None between visits, before and after the run."""
        return cast("Visit[object] | None", self._visit)

    def tools(self, *, constant: bool = False) -> tuple[Tool, ...]:
        """Give a language model the means to steer the run: `go_back`, `answer` and `skip`.

        `go_back` is always there, `answer` where steps were declared with `model_may_answer=True`,
        `skip` where some are optional. Make them anew for every turn of the model: a call is
        honoured during the visit that they were made in and the one that follows it. The same
        flow in the same state gives the same bytes in every process.

        Args:
            constant: name every step that could ever be asked for, so that the bytes stay the same
                during the whole run (for prompt caches), and leave it to the call to refuse what
                isn't possible then. By default only the steps are named that are possible now.

        Returns:
            The tools; there are always the same ones where `constant` is set, otherwise those for
            which there is a step now, and `go_back`.

        Raises:
            FlowError: if the values of steps with `model_may_answer=True` can't be described or
                read: all such steps are named.
        """
        # Only now: most runs have no use for it, and `import reflow` shall be quick.
        from ._tools import make_tools  # noqa: PLC0415

        return make_tools(self, constant=constant)

    @override
    def __repr__(self) -> str:
        """Name the flow and say where the run stands."""
        machine = self._machine
        at = "" if (active := self.active) is None else f", at step {active.id!r}"
        return f"<Run of flow {machine.plan.flow!r}: {machine.phase.value}{at}>"


def make_run(plan: Plan, observers: Iterable[Observer], recording: Recording | None) -> Run:
    """Make a run of the plan; nothing starts."""
    run = object.__new__(Run)
    run._set_up(plan, observers, recording)
    # Every step of the plan was declared on a flow with the deps of this run.
    run._functions = cast("tuple[_Function, ...]", plan.functions)
    run._inner_deps = {}
    run._visit = None
    return run
