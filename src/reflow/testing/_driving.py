"""Walking a run in a test: to a step, on from there, to the end."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, cast, final, overload

import anyio

from reflow import FlowError, GoBackRequested, RunFailed, RunState, StepEntered, StepsMadeStale

from ._compat import D, override
from ._recorder import Recorder
from ._rest import is_time_virtual, rest
from ._script import Player, Script

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable
    from contextlib import AbstractAsyncContextManager

    from reflow import (
        AnyStep,
        Event,
        Flow,
        Journal,
        Observer,
        OnChange,
        OnCompleted,
        Results,
        Run,
    )

# How long nothing may happen, in seconds of the event loop's clock. Virtual ones pass at once,
# unless somebody wakes up again and again: then a day takes seconds.
_PATIENCE: Final = 5.0
_VIRTUAL_PATIENCE: Final = 24 * 60 * 60.0
# How many of the latest events an error shows.
_SHOWN: Final = 12


@final
class NotReachedError(AssertionError):
    """A run doesn't get to where the test waits for it: the message says where it is instead."""


@final
class Drive:
    """A run under way in a test, made by `drive(...)`."""

    __slots__ = (
        *("_events", "_failure", "_moved", "_over", "_patience", "_player", "_run"),
        *("_shown", "_steps"),
    )

    _run: Run
    _steps: tuple[AnyStep, ...]
    _events: Recorder
    _player: Player
    _patience: float
    # What the run ended with, and whether a test has seen it.
    _failure: BaseException | None
    _shown: bool
    _over: bool
    # Set when something happens.
    _moved: anyio.Event

    def __init__(self) -> None:
        """Refuse (TypeError): it is made by `drive`."""
        raise TypeError("it can't be constructed: use `async with drive(flow, deps) as d`")

    @property
    def run(self) -> Run:
        """The run: `d.run.go_back(email)`, `d.run.answer(email, "a@b.c")`, `d.run.active`."""
        return self._run

    @property
    def results(self) -> Results:
        """What the run has so far."""
        return self._run.results

    @property
    def events(self) -> Recorder:
        """What has happened so far: `d.events.entered`, `d.events.of(StepSkipped)`."""
        return self._events

    async def at(self, step: AnyStep | str) -> StepEntered:
        """Let the run go on until it rests at a step, waiting for something there.

        First everything happens that can happen by itself; a visit that is about to be interrupted
        is left. If the run is elsewhere then, it is given time: for timers (at once, with virtual
        time), and for what others do.

        Args:
            step: the step, or its id.

        Returns:
            How the visit began: its number, and the reason for it.

        Raises:
            NotReachedError: if the run is over, or if it is elsewhere and nothing has happened
                for as long as `drive(patience=...)` says.
            FlowError: if it isn't a step of the flow.
            BaseException: what the run has ended with instead: itself, and only once.
        """
        wanted = self._id_of(step)
        await self._wait(lambda: self._visit_to(wanted) is not None)
        visit = self._visit_to(wanted)
        if visit is None:
            raise NotReachedError(self._where(f"doesn't come to rest at step {wanted!r}"))
        return visit

    async def finish(self) -> Results:
        """Let the run go on until it is complete.

        Returns:
            The results.

        Raises:
            NotReachedError: if nothing has happened for as long as `drive(patience=...)` says.
            ScriptError: if the run is complete, but something of its script is left over.
            BaseException: what the run has ended with instead: itself, and only once.
        """
        await self._wait(lambda: False)
        if self._run.state is not RunState.COMPLETED:
            raise NotReachedError(self._where("doesn't complete"))
        return self._run.results

    async def rest(self) -> None:
        """Let everything happen that can happen without waiting for a timer, or for anyone else.

        Threads aren't waited for; a task that never waits keeps this one waiting.
        """
        await rest()

    @override
    def __repr__(self) -> str:
        """Say where the run stands."""
        return f"<Drive of {self._run!r}>"

    def _id_of(self, step: AnyStep | str) -> str:
        for known in self._steps:
            if step is known or step == known.id:
                return known.id
        raise FlowError(f"{step!r} is not a step of the flow that is driven")

    def _visit_to(self, wanted: str) -> StepEntered | None:
        """Give the visit under way, if it is to this step and nothing interrupts it."""
        active = self._run.active
        if active is None or active.id != wanted:
            return None
        latest = next(event for event in reversed(self._events) if _tells_of(event, wanted))
        return latest if isinstance(latest, StepEntered) else None

    async def _wait(self, there: Callable[[], bool]) -> None:
        """Wait until it is so at rest, until the run is over, or until nothing happens any more.

        Raises:
            BaseException: what the run has ended with, unless it was raised before.
        """
        waits = True
        while waits:
            await rest()
            if self._over or there():
                break
            self._moved = anyio.Event()
            with anyio.move_on_after(self._patience) as limit:
                await self._moved.wait()
            waits = not limit.cancelled_caught
        self._raise_failure()

    def _raise_failure(self) -> None:
        if self._failure is not None and not self._shown:
            self._shown = True
            raise self._failure

    def _where(self, trouble: str) -> str:
        """Say where the run stands."""
        run = self._run
        if self._over:
            state = f"it is over: {run.state.value}"
        elif run.active is None:
            state = f"it is {run.state.value}, between two steps"
        else:
            state = f"it waits at step {run.active.id!r}, and nobody moves it"
        detour = ", ".join(step.id for step in run.detour)
        lines = [
            f"the run {trouble}: {state}",
            *([f"to come first: {detour}"] if detour else []),
            repr(run.results),
            *(["..."] if len(self._events) > _SHOWN else []),
            *(f"  {event!r}" for event in self._events[-_SHOWN:]),
        ]
        return "\n".join(lines)

    def _observe(self, _: Event) -> None:
        self._moved.set()

    async def _drive(self) -> None:
        cancelled = anyio.get_cancelled_exc_class()
        try:
            await self._run.drive()
            self._player.check()
        except cancelled:
            raise
        except BaseException as exc:  # noqa: BLE001 - raised where the test waits
            # If the script was at fault, the run was stopped because of that.
            self._failure = self._player.fault or exc
        finally:
            self._over = True
            self._moved.set()

    def _note(self, exc: Exception) -> None:
        """Say on what the test raised that the run had failed before, if it wasn't told."""
        if self._failure is not None and not self._shown:
            ends = [repr(event) for event in self._events.of(RunFailed)]
            cause = ends[0] if ends else f"{type(self._failure).__name__}: {self._failure}"
            exc.add_note(f"before that, the run had ended with {cause}")


def _tells_of(event: Event, step: str) -> bool:
    """Say whether an event begins a visit, or interrupts the one to this step."""
    match event:
        case StepEntered() | GoBackRequested():
            return True
        case StepsMadeStale(steps=steps, in_doubt=in_doubt):
            return step in steps + in_doubt
        case _:
            return False


@overload
def drive(
    flow: Flow[None],
    deps: None = None,
    *,
    script: Script | None = None,
    patience: float | None = None,
    return_exceptions: bool = False,
    on_completed: OnCompleted | None = None,
    observers: Iterable[Observer] = (),
    journal: Journal | None = None,
    key: str | None = None,
    on_change: OnChange = "refuse",
) -> AbstractAsyncContextManager[Drive]: ...
@overload
def drive(
    flow: Flow[D],
    deps: D,
    *,
    script: Script | None = None,
    patience: float | None = None,
    return_exceptions: bool = False,
    on_completed: OnCompleted | None = None,
    observers: Iterable[Observer] = (),
    journal: Journal | None = None,
    key: str | None = None,
    on_change: OnChange = "refuse",
) -> AbstractAsyncContextManager[Drive]: ...
def drive(
    flow: Flow[D],
    deps: D | None = None,
    *,
    script: Script | None = None,
    patience: float | None = None,
    return_exceptions: bool = False,
    on_completed: OnCompleted | None = None,
    observers: Iterable[Observer] = (),
    journal: Journal | None = None,
    key: str | None = None,
    on_change: OnChange = "refuse",
) -> AbstractAsyncContextManager[Drive]:
    """Drive a run beside the test, which walks it from step to step.

    ::

        async with drive(intake, console) as d:
            await d.at(plan)
            d.run.go_back(email)
            await d.at(email)
            console.types("ada@example.org")
            results = await d.finish()
        assert d.events.entered == ["name", "email", "plan", "email", "plan"]

    The run begins at the first `await` in the block; until then `d.run` can be given answers. When
    the block is left, what can still happen by itself happens, and the run is cancelled if it isn't
    over then. What the run ends with is raised where the test waits for it (`d.at`, `d.finish`), or
    else when the block is left: itself, not in an exception group, and once.

    Args:
        flow: the flow.
        deps: what its steps reach as `visit.deps`; may be left out where that is None.
        script: what is answered at which step, instead of asking the step's function.
        patience: how long nothing may happen while the test waits, in seconds of the event loop's
            clock: 5 unless said otherwise; a day if that clock is known to be virtual.
        return_exceptions: as `flow.prepare`, like the others.
        on_completed: called after every completed visit.
        observers: told of every event.
        journal: where the run is kept.
        key: under which it is kept.
        on_change: what to do if the flow has changed since.

    Raises:
        FlowError, ImportError: as `flow.prepare`.
        ScriptError: if the script has steps of another flow.
    """
    script = script or Script()
    script.check(flow.steps)
    self = object.__new__(Drive)
    self._events = Recorder()
    self._player = Player(script, lambda: self._run)
    self._run = flow.prepare(
        # Only left out where D is None.
        cast("D", deps),
        return_exceptions=return_exceptions,
        on_completed=on_completed,
        observers=[self._events, *observers, self._player, self._observe],
        journal=journal,
        key=key,
        on_change=on_change,
    )
    self._steps = flow.steps
    self._failure = None
    self._shown = self._over = False
    return _driving(self, patience)


@asynccontextmanager
async def _driving(self: Drive, patience: float | None) -> AsyncGenerator[Drive]:
    if patience is None:
        patience = _VIRTUAL_PATIENCE if is_time_virtual() else _PATIENCE
    self._patience = patience
    self._moved = anyio.Event()
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(self._drive)
        try:
            yield self
            if not self._over:
                with anyio.move_on_after(patience):
                    await rest()
        except Exception as exc:  # noqa: BLE001 - raised outside of the group, which would wrap it
            failure = exc
        tasks.cancel_scope.cancel()
    if failure is not None:
        self._note(failure)
        raise failure
    self._raise_failure()
