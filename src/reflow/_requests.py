"""What may be asked of a run from anywhere in its event loop."""

from __future__ import annotations

from threading import get_ident
from typing import TYPE_CHECKING, TypeAlias, TypeVar, cast

from ._compat import override
from ._errors import FlowError, GoBackError, RunFinishedError, listed
from ._events import StepAnswered, StepSkipped
from ._observing import Observing
from ._results import Results, make_results
from ._states import RunState
from ._step import AnyStep, options_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from typing import Self

    from anyio import CancelScope

    from ._events import Event, Opened, StepCompleted
    from ._observing import Observer
    from ._plan import Plan
    from ._recording import Recording
    from ._step import Step

T = TypeVar("T")

OnCompleted: TypeAlias = "Callable[[StepCompleted], Awaitable[object]]"
"""An async function that is called after every completed visit, before the next one begins."""


class Requests(Observing):
    """The half of a run that others use.

    Every request changes the run's state at once, or raises and changes nothing.
    """

    __slots__ = (
        "_asked",
        "_drafts",
        "_key",
        "_opened",
        "_results",
        "_return_exceptions",
        "_scope",
        "_stopping",
        "_thread",
        "_visits_before",
    )

    _results: Results
    # The thread that drives; None before drive().
    _thread: int | None
    # Of the visit, or callback, that can be interrupted now.
    _scope: CancelScope | None
    _stopping: str | None
    _drafts: dict[int, object] | None
    # What tells this run's idempotency keys from another's; made when first needed.
    _key: str | None
    # How many visits took place before this run went on.
    _visits_before: int
    # What was asked before it began.
    _asked: tuple[Event, ...]
    # How this run went on, if it did.
    _opened: Opened | None
    _return_exceptions: bool

    @override
    def _set_up(
        self, plan: Plan, observers: Iterable[Observer], recording: Recording | None
    ) -> None:
        super()._set_up(plan, observers, recording)
        self._results = make_results(self._machine)
        self._thread = None
        self._scope = None
        self._stopping = None
        self._drafts = None
        self._key = None
        self._visits_before = 0
        self._asked = ()
        self._opened = None

    @property
    def steps(self) -> tuple[AnyStep, ...]:
        """The steps of the flow, in flow order: those that it had when the run was prepared."""
        return self._machine.plan.steps

    @property
    def results(self) -> Results:
        """What the run has so far: a live view."""
        return self._results

    @property
    def active(self) -> AnyStep | None:
        """The step that is being visited; None between visits, before and after the run."""
        active = self._machine.active
        return self._machine.plan.steps[active] if active >= 0 else None

    @property
    def detour(self) -> tuple[AnyStep, ...]:
        """The steps asked for by going back that are still to run, in order."""
        steps = self._machine.plan.steps
        return tuple(steps[i] for i in self._machine.queue())

    @property
    def state(self) -> RunState:
        """Where the run stands."""
        return self._machine.phase

    def go_back(self, *steps: AnyStep | str) -> None:
        """Ask for earlier steps again: they run next, in this order.

        The active visit is interrupted at its next unshielded await, and the step resumes after
        the detour; naming the active step restarts it, in its place in the order. Requests made
        before the next visit begins are merged, in order of arrival.

        Args:
            steps: the steps, or their ids; a step named twice counts where it stands first.

        Raises:
            GoBackError: if there are no steps, or if any of them is unknown, of another flow, not
                visited yet, skipped, not revisitable, or behind a point of no return: the error
                names every bad one with its reason, and nothing has happened.
            RunFinishedError: if the run has ended.
            FlowError: if called in another thread than the event loop's.
        """
        self._go("go back", steps, ahead=False)

    def jump_ahead(self, *steps: AnyStep | str) -> None:
        """Do what `go_back` does, for steps not visited yet, too.

        What a step needs (its inputs, and theirs) still runs before it, and the steps that were
        jumped over run afterwards.

        Args:
            steps: the steps, or their ids.

        Raises:
            GoBackError: as for `go_back`, except that a step may be one not visited yet.
            RunFinishedError: if the run has ended.
            FlowError: if called in another thread than the event loop's.
        """
        self._go("jump ahead", steps, ahead=True)

    def retake(self) -> None:
        """Restart the active step from its top: `go_back(run.active)`.

        Raises:
            GoBackError: if no step is active, or if the active one is not revisitable.
            RunFinishedError: if the run has ended.
            FlowError: if called in another thread than the event loop's.
        """
        self._check_open("retake")
        if (active := self.active) is None:
            raise GoBackError(
                f"can't retake in flow {self._machine.plan.flow!r}: no step is active"
            )
        self._go("retake", (active,), ahead=False)

    def answer(self, step: Step[T], value: T) -> None:
        """Give a step its answer without running it.

        Early: it isn't asked when its turn comes. While it is active: its visit ends, and this
        answer wins over one that the visit may still return. Later: a correction; only what went
        stale by it runs again. A pending request to go back to the step is thereby served. What
        is inside an included step, and not settled, is skipped.

        Args:
            step: the step.
            value: its answer; the step's `validate=` is applied to it first.

        Raises:
            ValueError: what `validate=` raised.
            GoBackError: if the step is of another flow, or behind a point of no return.
            RunFinishedError: if the run has ended.
            FlowError: if called in another thread than the event loop's; with a journal, if the
                value isn't of the step's type.
        """
        i = self._openable("answer", step)
        self._give(i, self._validated(i, value))

    def skip(self, step: AnyStep | str) -> None:
        """Settle an optional step without an answer; if it is active, its visit ends.

        With an included step all that is inside it is skipped.

        Args:
            step: the step, or its id.

        Raises:
            GoBackError: if the step is unknown, of another flow, not optional, or behind a point
                of no return.
            RunFinishedError: if the run has ended.
            FlowError: if called in another thread than the event loop's.
        """
        i = self._openable("skip", step)
        if not self._machine.plan.steps[i].optional:
            raise self._refused("skip", {self._machine.plan.names[i]: "not optional"})
        was_active = self._machine.active
        self._machine.skip(i)
        self._given(i, was_active)

    def stop(self, reason: str) -> None:
        """Leave early: the active visit is interrupted and `drive()` raises `RunStoppedError`.

        Args:
            reason: why, for whoever catches the error. The first reason given counts.

        Raises:
            RunFinishedError: if the run has ended.
            FlowError: if called in another thread than the event loop's, or if the reason isn't
                a text.
        """
        self._check_open("stop")
        if not isinstance(cast("object", reason), str):
            raise FlowError(f"can't stop for the reason {reason!r}: it must be a text")
        if self._stopping is None:
            self._stopping = reason
        self._requested(interrupts=True)

    def resume(self, earlier: Self) -> None:
        """Go on where another run was left, in the same process: before `drive()`.

        As with a journal, but all of it is kept, since it never left the memory: answers of
        every type, sensitive ones, drafts, failures, idempotency keys. A run that is complete
        asks nothing more. What was asked of this run before is applied after that, but for what was
        asked of the earlier one before it began, too: it may have been corrected since. An answer
        that is the same is no news. The earlier run stays as it is.

        Args:
            earlier: a run that has ended, be it cancelled, stopped, failed or complete. Its flow
                may be another object, but is declared alike. The step whose failure ended it runs
                once more; without `return_exceptions` what else has failed does, too.

        Raises:
            FlowChangedError: if its flow is declared differently; it names all differences.
            GoBackError: if something that was asked for before is refused now; nothing changed.
            FlowError: if the earlier run hasn't ended, or if this one was driven, has resumed
                another already, or has a journal: then it goes on from that.
        """
        fault = None
        if self._thread is not None:
            fault = "it was driven before: prepare another"
        elif self._opened is not None:
            fault = "it has resumed another already"
        elif self._recording is not None:
            fault = "it goes on from its journal"
        elif earlier._machine.phase in {RunState.PREPARED, RunState.RUNNING}:
            fault = f"that one is {earlier._machine.phase.value}, it must have ended"
        if fault is not None:
            raise FlowError(f"{self!r} can't resume {earlier!r}: {fault}")
        from ._continuing import go_on, news_of  # noqa: PLC0415 - rarely needed

        asked = tuple(self._machine.log or ())
        news = news_of(asked, earlier._asked)
        self._machine, self._opened = go_on(
            self._machine.plan,
            earlier._machine,
            news,
            earlier._identity(),
            "" if earlier._opened is None else earlier._opened.origin,
            return_exceptions=self._return_exceptions,
        )
        self._asked = asked
        self._results._record = self._machine
        self._visits_before = self._machine.count_visits()
        self._key = earlier._key
        # What was answered or skipped meanwhile has no draft any more.
        given = {event.step for event in news if isinstance(event, StepAnswered | StepSkipped)}
        names = self._machine.plan.names
        drafts = (earlier._drafts or {}).items()
        self._drafts = {i: draft for i, draft in drafts if names[i] not in given}

    def _validated(self, i: int, value: object) -> object:
        """Give what is to be kept as the step's answer, or raise."""
        plan = self._machine.plan
        if (validate := options_of(plan.steps[i]).validate) is not None:
            # Declared together with the step, for its type.
            value = cast("Callable[[object], object]", validate)(value)
        if self._recording is not None:
            self._recording.check(plan.names[i], value, given=True)
        return value

    def _give(self, i: int, value: object) -> None:
        """Make a value the step's answer."""
        was_active = self._machine.active
        self._machine.answer(i, value)
        self._given(i, was_active)

    def _go(self, what: str, steps: tuple[AnyStep | str, ...], *, ahead: bool) -> None:
        self._check_open(what)
        if not steps:
            raise GoBackError(
                f"can't {what} in flow {self._machine.plan.flow!r}: no step was named"
            )
        targets: dict[int, None] = {}
        refused: dict[str, str] = {}
        for step in steps:
            i, name, why = self._find(step)
            if why is None:
                why = self._machine.refusal(i, ahead=ahead)
                unread = self._recording is not None and self._context is None
                if why == "not visited yet" and unread:
                    why += ", as far as is known before drive() reads the journal: use jump_ahead"
            if why is not None:
                refused[name] = why
            targets[i] = None
        if refused:
            raise self._refused(what, refused)
        self._machine.request(targets, ahead=ahead)
        self._requested(interrupts=self._machine.active >= 0)

    def _given(self, i: int, was_active: int) -> None:
        """A step was answered or skipped from outside, and what is inside it with it."""
        machine = self._machine
        for j in (*machine.inside(i), i):
            self._drop_draft(j)
        self._requested(interrupts=machine.active != was_active or machine.is_outdated())

    def _find(self, step: object) -> tuple[int, str, str | None]:
        """Give a step's position and id, and why it can't be meant, if it can't.

        A name that the whole flow doesn't know is taken as the active step would mean it.
        """
        plan = self._machine.plan
        scope = plan.scope_of(self._machine.active)
        if isinstance(step, str):
            if (i := plan.ids.get(step, -1)) < 0:
                i = plan.find_id(step, scope)
            return i, step, "unknown" if i < 0 else None
        if not isinstance(step, AnyStep):
            return -1, repr(step), "not a step"
        if (i := plan.find(step, scope)) < 0:
            return i, step.id, f"of another flow, {options_of(step).flow!r}{plan.hint(step)}"
        return i, plan.names[i], None

    def _openable(self, what: str, step: AnyStep | str) -> int:
        """Give the position of a step that may still get an outcome from outside."""
        self._check_open(what)
        i, name, why = self._find(step)
        if why is None and (closed := self._machine.closed_by(i)) is not None:
            why = f"behind the point of no return {closed!r}"
        if why is not None:
            raise self._refused(what, {name: why})
        return i

    def _refused(self, what: str, refused: dict[str, str]) -> GoBackError:
        flow = self._machine.plan.flow
        faults = (
            f"can't {what}, step {name!r} of flow {flow!r}: {why}" for name, why in refused.items()
        )
        return GoBackError(listed(faults), refused)

    def _check_open(self, what: str) -> None:
        machine = self._machine
        if machine.phase not in {RunState.PREPARED, RunState.RUNNING}:
            message = f"can't {what}: the run of flow {machine.plan.flow!r} has ended, it is "
            raise RunFinishedError(message + machine.phase.value)
        if self._thread is not None and self._thread != get_ident():
            message = (
                f"can't {what} in flow {machine.plan.flow!r}: this is not the event loop's thread; "
                "use anyio.from_thread.run_sync(...), from a foreign thread with its token="
            )
            raise FlowError(message)

    def _requested(self, *, interrupts: bool) -> None:
        """The state has changed: interrupt what must not go on, and say so."""
        if interrupts and self._scope is not None:
            self._scope.cancel()
        if self._context is not None and not self._delivering:
            self._context.run(self._deliver)

    def _key_of(self, i: int) -> str:
        return f"{self._identity()}/{self._machine.plan.names[i]}/{self._machine.attempt(i)}"

    def _identity(self) -> str:
        if self._key is None:
            import uuid  # noqa: PLC0415 - rarely needed, and `import reflow` shall be quick

            self._key = str(uuid.uuid4())
        return self._key

    def _draft(self, i: int, factory: Callable[[], object]) -> object:
        if self._drafts is None:
            self._drafts = {}
        if i not in self._drafts:
            self._drafts[i] = factory()
        return self._drafts[i]

    def _drop_draft(self, i: int) -> None:
        if self._drafts:
            self._drafts.pop(i, None)
