"""How visits and runs end, and what is stored and told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from . import _events as e
from ._cancellation import add_note, is_only
from ._conditions import evaluate
from ._errors import FlowError, ReflowError
from ._requests import Requests
from ._states import NOTHING, RunState

if TYPE_CHECKING:
    from ._machine import Machine
    from ._recording import Recording
    from ._requests import OnCompleted


class Endings(Requests):
    """The part of a run that its driver calls between visits."""

    __slots__ = ("_on_completed", "_visit")

    _on_completed: OnCompleted | None
    # The visit under way.
    _visit: object | None

    async def _open(self, recording: Recording, cancelled: type[BaseException]) -> Machine:
        """Go on from what the journal holds; give the machine of that."""
        try:
            machine = await recording.open(
                self._machine, self._origin, return_exceptions=self._return_exceptions
            )
        except BaseException as exc:
            # Nobody was told that the run began, so nobody is told that it ended.
            outside = is_only(exc, (cancelled, GeneratorExit))
            self._machine.phase = RunState.CANCELLED if outside else RunState.FAILED
            raise
        self._machine = self._results._record = machine
        self._visits_before = machine.count_visits()
        self._key = recording.run
        self._opened = recording.opened
        return machine

    def _start(self) -> None:
        """Begin, before what was asked so far."""
        machine = self._machine
        machine.start()
        if self._opened is None:
            self._asked = tuple(machine.log or ())
        if not self._observers and self._recording is None:
            machine.log = None
        if machine.log is not None:
            machine.log.insert(0, e.RunStarted(machine.plan.flow))
            if self._opened is not None:
                machine.log.insert(0, self._opened)

    async def _stored(self, i: int, recording: Recording) -> bool:
        """Store that a visit begins, and all before; say whether it is still to take place."""
        import anyio.lowlevel as lowlevel  # noqa: PLC0415 - as in drive()

        await recording.write(self._machine)
        # No step begins in a cancelled run; the write has kept that out.
        await lowlevel.checkpoint_if_cancelled()
        return self._is_wanted(i)

    def _misfit(self, i: int, value: object, recording: Recording) -> FlowError | None:
        """Say what is wrong with an answer that can't be stored; it is a failure of its step."""
        if value is not NOTHING:
            try:
                recording.check(self._machine.plan.names[i], value, given=False)
            except FlowError as exc:
                return exc
        return None

    async def _finish(self, phase: RunState, event: e.Event) -> None:
        self._end(phase, event)
        if self._recording is not None:
            await self._recording.write(self._machine)

    def _announced(self, i: int) -> bool:
        """Tell of the visit that begins; say whether it is still to take place."""
        self._deliver_here()
        return self._is_wanted(i)

    def _is_wanted(self, i: int) -> bool:
        machine = self._machine
        return machine.active == i and not machine.wants_interruption() and self._stopping is None

    def _evaluate(self, i: int) -> None:
        fault = evaluate(self._machine, i)
        if self._machine.settled(i) and self._machine.ready != i:
            self._drop_draft(i)
        if fault is not None:
            self._blame(i, fault, "in the condition of")
        self._deliver()

    def _wind_up(
        self, i: int, value: object, failure: Exception | None, *, interrupted: bool
    ) -> None:
        """End a visit that didn't simply return: interrupted, ended by a request, or failed."""
        machine = self._machine
        if machine.active != i:
            # Answered or skipped meanwhile: that stands, whatever else the visit did.
            if failure is not None:
                machine.fail_cleanup(i, failure)
                self._blame(i, failure, "while it was being left,")
            elif value is not NOTHING:
                machine.supersede(i, value)
        elif failure is None:
            machine.interrupt(i)
        elif interrupted:
            # Also if the request was withdrawn since: the step was not left in peace.
            dropped = ", ".join(repr(machine.plan.names[j]) for j in machine.requested)
            machine.interrupt(i, failure)
            if dropped and not self._return_exceptions:
                add_note(failure, f"the request to go to {dropped} was dropped: the run ended")
            if self._stopping is not None:
                add_note(failure, f"the run was being stopped: {self._stopping}")
            self._blame(i, failure, "while it was interrupted,")
        else:
            machine.fail(i, failure)
            self._drop_draft(i)
            self._blame(i, failure, "in")
        self._deliver()

    async def _call_back(
        self, i: int, on_completed: OnCompleted, value: object, *, changed: bool
    ) -> None:
        machine, name = self._machine, self._machine.plan.names[i]
        secret = machine.plan.sensitive[i]
        event = e.StepCompleted(name, machine.visits[i], value, changed, secret)
        try:
            # Between visits there is nothing to go back from, but `stop` must not wait for it.
            with anyio.CancelScope() as self._scope:
                if self._stopping is not None:
                    self._scope.cancel()
                await on_completed(event)
        except Exception as exc:  # noqa: BLE001 - a failure of the callback, not of the step
            machine.fail_callback(i, exc)
            self._blame(i, exc, "in on_completed for")
        finally:
            self._scope = None
        self._deliver()

    def _blame(self, i: int, failure: Exception, where: str) -> None:
        """Say on the exception where it came from, and raise it unless they are collected."""
        plan, number = self._machine.plan, self._machine.visits[i]
        add_note(failure, f"{where} step {plan.names[i]!r} of flow {plan.flow!r}, visit {number}")
        if not self._return_exceptions:
            raise failure

    def _end_by(self, exc: BaseException, i: int, cancelled: type[BaseException]) -> None:
        if is_only(exc, (cancelled, GeneratorExit)):
            self._end(RunState.CANCELLED, e.RunCancelled())
        else:
            # What a sensitive step raises may quote its answer, whatever kind of exception it is;
            # what reflow raises doesn't.
            if i >= 0 and not isinstance(exc, ReflowError):
                self._machine.conceals(i, exc)
            self._end(RunState.FAILED, e.RunFailed(exc, self._machine.is_sensitive(exc)))

    def _end(self, phase: RunState, event: e.Event) -> None:
        self._scope = self._visit = None
        self._machine.end(phase, event)
        self._deliver()
