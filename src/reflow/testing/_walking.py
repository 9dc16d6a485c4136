"""One run of a flow by a schedule, with everything in it checked."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final, Generic, assert_never, cast, final

import anyio
from anyio.lowlevel import checkpoint

from reflow import (
    ConditionEvaluated,
    GoBackError,
    GoBackRequested,
    IncludedStep,
    MemoryJournal,
    Opened,
    ReflowError,
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunStarted,
    RunState,
    RunStopped,
    RunStoppedError,
    StepAnswered,
    StepEntered,
    StepSkipped,
)

from ._compat import D
from ._following import Follower
from ._rest import rest
from ._rules import BrokenRuleError, broken
from ._telling import told_event, told_move

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reflow import AnyStep, Event, Flow, Journal, Run, Step

    from ._guarding import Guard
    from ._moves import Move, Schedule
    from ._scrutiny import Scrutiny

KEY: Final = "check_flow"
# How long nothing may happen, in seconds of virtual time: they pass at once.
_PATIENCE: Final = 24 * 60 * 60.0
# What ends a visit that has just begun, before its function runs.
_LEAVING: Final = frozenset({"go_back", "jump_ahead", "retake", "stop"})
_SILENT: Final = frozenset({"stop", "cancel"})
# Between these and what follows nothing can be asked; or the run doesn't listen.
_BUSY: Final = (Opened, RunStarted, ConditionEvaluated)
# What tells of a request.
_REQUESTED: Final = (GoBackRequested, StepAnswered, StepSkipped)
_ENDS: Final = (RunCompleted, RunStopped, RunCancelled, RunFailed)


@final
class Walk(Generic[D]):
    """Drives a flow by a schedule, and watches: an observer of its runs."""

    def __init__(
        self,
        flow: Flow[D],
        deps: Callable[[], D],
        schedule: Schedule,
        scrutiny: Scrutiny,
        guard: Guard,
    ) -> None:
        """Begin with nothing done.

        Args:
            flow: the flow.
            deps: makes what its steps depend on, for each run.
            schedule: what is done.
            scrutiny: looks at the author's code.
            guard: is told that something happens.
        """
        self._flow: Final = flow
        self._deps: Final = deps
        self._schedule: Final = schedule
        self._scrutiny: Final = scrutiny
        self._guard: Final = guard
        self._steps: Final = flow.steps
        self._follower = Follower(self._steps, compares=scrutiny.compares)
        # What is still to be asked of the run, and how many events the next move has let pass.
        self._between: list[Move] = []
        self._beside: list[Move] = []
        self._passed = 0
        # Requests that were made in here, and whose events are still to come.
        self._untold = 0
        self._run: Run
        self._cancel: Callable[[], object]
        self._moved: anyio.Event | None = None
        self._events: list[Event] = []
        self._entered = 0
        # What was done and what happened, with the number of events before it.
        self._lines: list[tuple[int, str]] = []
        self.fault: Exception | None = None

    @property
    def lines(self) -> list[str]:
        """What was done and what happened, as texts."""
        return [line for _, line in self._lines]

    async def walk(self) -> None:
        """Drive the run; then cut it off, if the schedule says so, and go on from its journal.

        Raises:
            BrokenRuleError: if a rule was broken.
        """
        cut = self._schedule.cut
        journal = None if cut is None else MemoryJournal()
        early, end = self._schedule.early, self._schedule.end
        await self._drive(journal, early, end)
        if journal is None or cut is None:
            return
        rows = await journal.read(KEY)
        if len(rows) != len(self._events):
            broken("resumption", f"{len(self._events)} events made {len(rows)} rows")
        cut = min(cut, len(rows))
        left = MemoryJournal()
        await left.append(KEY, rows[:cut])
        self._events = self._events[:cut]
        self._lines = [(number, line) for number, line in self._lines if number <= cut]
        self._lines.append((cut, "the process dies; another one goes on"))
        self._follower = Follower(self._steps, compares=self._scrutiny.compares)
        self._follower.resume(self._events)
        # The same is asked once more, but it may end now.
        await self._drive(left, [], [])

    async def _drive(
        self, journal: Journal | None, early: Sequence[Move], end: Sequence[Move]
    ) -> None:
        self._scrutiny.begin()
        schedule = self._schedule
        self._between, self._beside = [*schedule.between, *end], [*schedule.beside]
        if len(schedule.answers) == len(self._steps):
            # Every visit is answered at once, so that nothing can happen beside one.
            self._between[:0] = self._beside
            self._beside.clear()
        before = {*anyio.get_running_tasks()}
        self._run = run = self._flow.prepare(
            self._deps(),
            return_exceptions=True,
            observers=[self._observe],
            journal=journal,
            key=None if journal is None else KEY,
        )
        self._entered = self._untold = 0
        for move in early:
            self._make_move(move)
        failure = await self._end_of(run)
        if self.fault is not None:
            raise self.fault
        if failure is not None:
            trouble = f"drive() raised {type(failure).__name__}, though failures are collected"
            raise BrokenRuleError("failures", trouble) from failure
        await self._check_end(run, before)

    async def _end_of(self, run: Run) -> Exception | None:
        """Drive a run, with someone beside it; give what that raises, unless it was stopped."""
        failure: Exception | None = None
        moving = anyio.CancelScope()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._keep_moving, moving)
            with anyio.CancelScope() as scope:
                self._cancel = scope.cancel
                try:
                    await run.drive()
                except RunStoppedError:
                    pass
                except Exception as exc:  # noqa: BLE001 - said by whoever calls this
                    failure = exc
            moving.cancel()
        return failure

    async def _check_end(self, run: Run, before: set[anyio.TaskInfo]) -> None:
        last = self._events[-1] if self._events else None
        if run.state is RunState.RUNNING or not isinstance(last, _ENDS):
            broken("ending", f"drive() ended, the run is {run.state.value}, after {last!r}")
        self._follower.check(run)
        self._scrutiny.look_back()
        # What was cancelled ends first.
        await rest()
        left = [task for task in anyio.get_running_tasks() if task not in before]
        if left:
            broken("tasks", f"the run is over, but these tasks aren't: {left}")

    # Watching

    def _observe(self, event: Event) -> None:
        if self.fault is not None:
            return
        self._guard.calm()
        if self._moved is not None:
            self._moved.set()
        self._events.append(event)
        self._tell(told_event(event))
        try:
            self._watch(event)
        except Exception as exc:  # noqa: BLE001 - raised when the run is over
            self._give_up(exc)

    def _watch(self, event: Event) -> None:
        run, model = self._run, self._follower.model
        self._scrutiny.expect(event, model)
        self._follower.follow(event)
        self._scrutiny.look(event, model)
        if isinstance(event, _REQUESTED):
            self._untold = max(0, self._untold - 1)
        if model.due or self._untold or isinstance(event, (*_BUSY, *_ENDS)):
            return
        if isinstance(event, StepEntered):
            self._entered += 1
            schedule = self._schedule
            limit = 50 + 10 * len(self._steps) * (1 + len(schedule.between) + len(schedule.beside))
            if self._entered > limit:
                broken("ending", f"it goes on after {limit} visits: it asks in circles")
            self._follower.check(run)
            self._scrutiny.look_back()
        # What is asked in here is told when this event has reached everyone.
        moved = self._take_opportunity(event)
        self._untold += moved is not None and moved not in _SILENT
        if isinstance(event, StepEntered) and moved not in _LEAVING:
            self._untold += self._responds(event)

    def _responds(self, event: StepEntered) -> bool:
        """Answer a visit that has just begun, if the schedule has answers for the step."""
        run = self._run
        answers = self._schedule.answers.get(self._follower.model.ids[event.step])
        step = run.active
        if answers is None or step is None or step.id != event.step:
            return False
        if isinstance(step, IncludedStep):
            # It is built; its answers are for those who give it as a whole.
            return False
        _answer(run, step, answers[min(event.number, len(answers)) - 1])
        return True

    def _take_opportunity(self, event: Event) -> str | None:
        """Make the next move, if it is its turn after an event; say what was asked, if anything."""
        self._passed += 1
        if not self._between or self._passed <= self._between[0].after:
            return None
        move = self._between[0]
        closes = move.request == "answer" and self._steps[move.targets[0]].point_of_no_return
        if closes and isinstance(event, StepEntered):
            return None  # later: what begins might be closed before it can be answered
        return self._make_move(self._between.pop(0))

    async def _keep_moving(self, moving: anyio.CancelScope) -> None:
        """Make the moves that don't come right after an event; see that something happens."""
        with moving:
            # What is asked before that is told no sooner.
            await self._something_happens()
            while True:
                if self._beside:
                    await self._move_beside(self._beside.pop(0))
                elif not await self._something_happens():
                    if self._between:
                        self._make_move(self._between.pop(0))
                    else:
                        self._end_standstill()

    async def _move_beside(self, move: Move) -> None:
        for _ in range(move.after):
            if not await self._something_happens():
                break
        for _ in range(move.turns):
            await checkpoint()
        self._make_move(move)

    async def _something_happens(self) -> bool:
        self._moved = moved = anyio.Event()
        with anyio.move_on_after(_PATIENCE):
            await moved.wait()
            return True
        return False

    def _end_standstill(self) -> None:
        """Nothing happens any more, and nothing more is to be asked."""
        model = self._follower.model
        name = None if model.active is None else model.names[model.active]
        if self.fault is not None:
            # It was told to stop, and that doesn't help.
            self._guard.abandon()
        elif model.disturbed and name is not None:
            trouble = f"step {name!r} was interrupted, but doesn't leave: it is shielded, or "
            self._give_up(BrokenRuleError("interruption", trouble + "swallows its cancellation"))
        else:
            trouble = f"step {name!r} waits, and nobody answers: give answers= for it, or deps= "
            self._give_up(BrokenRuleError("ending", trouble + "that answer"))

    def _give_up(self, fault: Exception) -> None:
        self.fault = self.fault or fault
        self._between.clear()
        self._beside.clear()
        # It may be over already.
        with suppress(ReflowError):
            self._run.stop("check_flow has found a fault")

    # Asking

    def _make_move(self, move: Move) -> str | None:
        """Ask what a move says; say what that was, if it was accepted."""
        self._passed = 0
        run = self._run
        if run.state not in {RunState.PREPARED, RunState.RUNNING}:
            return None
        try:
            if not self._ask(run, move):
                return None
        except Exception as exc:  # noqa: BLE001 - raised when the run is over
            self._give_up(exc)
            return None
        return move.request

    def _ask(self, run: Run, move: Move) -> bool:
        """Ask for something; say whether it was accepted.

        Raises:
            BrokenRuleError: if it should, or shouldn't, have been.
        """
        targets = [self._steps[i] for i in move.targets]
        text = told_move(move, targets)
        self._tell(text)
        expected = self._refusals(move)
        before = (run.active, run.detour, repr(run.results))
        try:
            self._request(run, move, targets)
        except GoBackError as exc:
            self._tell(f"  refused: {exc}")
            if (run.active, run.detour, repr(run.results)) != before:
                broken("requests", f"{text} was refused, but changed something")
            if {*exc.refused} != {*expected} - {""}:
                broken("requests", f"{text} was refused: {exc}; but what is wrong is {expected}")
            return False
        if expected:
            broken("requests", f"{text} was accepted, but {expected}")
        return True

    def _request(self, run: Run, move: Move, targets: list[AnyStep]) -> None:
        match move.request:
            case "go_back":
                run.go_back(*targets)
            case "jump_ahead":
                run.jump_ahead(*targets)
            case "retake":
                run.retake()
            case "answer":
                _answer(run, targets[0], move.value)
            case "skip":
                run.skip(targets[0])
            case "stop":
                run.stop("check_flow stops it")
            case "cancel":
                self._cancel()
            case _:
                assert_never(move.request)

    def _refusals(self, move: Move) -> dict[str, str]:
        """Say what is to be refused by the rules, and why."""
        model = self._follower.model
        match move.request:
            case "go_back" | "jump_ahead":
                ahead = move.request == "jump_ahead"
                whys = {i: model.refusal(i, ahead=ahead) for i in move.targets}
            case "retake":
                if model.active is None:
                    return {"": "no step is active"}
                whys = {model.active: model.refusal(model.active, ahead=False)}
            case "answer" | "skip":
                whys = {i: model.closing(i) for i in move.targets[:1]}
                if move.request == "skip" and not self._steps[move.targets[0]].optional:
                    whys[move.targets[0]] = "not optional"
            case "stop" | "cancel":
                whys = {}
            case _:
                assert_never(move.request)
        return {model.names[i]: why for i, why in whys.items() if why is not None}

    def _tell(self, line: str | None) -> None:
        if line is not None:
            self._lines.append((len(self._events), line))


def _answer(run: Run, step: AnyStep, value: object) -> None:
    try:
        # Of the step's type, as whoever gave the answers has promised.
        run.answer(cast("Step[object]", step), value)
    except ValueError as exc:
        exc.add_note(f"in check_flow(..., answers=...): step {step.id!r} doesn't take that")
        raise
