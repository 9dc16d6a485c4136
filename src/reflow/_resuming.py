"""What a journal holds of a run, made into its machine again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never, final

import attrs

from . import _events as e
from ._errors import (
    FlowChangedError,
    GoBackError,
    JournalError,
    MachineError,
    RunFinishedError,
    listed,
)
from ._machine import Machine
from ._replay import apply
from ._rows import decode, parse
from ._states import DONE, FAILED, LOST, STALE, RunState, equal

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence

    from ._fingerprint import Fingerprint, Stored
    from ._journal import JournalRow
    from ._rows import Rows
    from ._step import Plan


@final
@attrs.frozen
class Resumption:
    """What the rows of a run add up to."""

    run: str
    """What identifies the run."""
    machine: Machine
    """Opened for this process, unless the run is complete."""
    fresh: bool
    """Whether the flow has changed, so that the rows so far don't count any more."""


@final
class Resumer:
    """Makes a run's machine of its rows."""

    def __init__(self, plan: Plan, rows: Rows, key: str, place: str) -> None:
        """Take the flow as it is declared now, and the run's key.

        Args:
            plan: the flow's tables.
            rows: reads the rows.
            key: the run's key.
            place: how errors call the run.
        """
        self._plan: Final = plan
        self._rows: Final = rows
        self._key: Final = key
        self._place: Final = place

    def resume(
        self, stored: Sequence[JournalRow], *, keep: bool, return_exceptions: bool
    ) -> Resumption:
        """Make the machine, and open it unless the run is complete.

        Args:
            stored: the run's rows, at least one.
            keep: keep what still fits when the flow has changed.
            return_exceptions: leave failed steps alone, except the one that ended the run.

        Raises:
            FlowChangedError: if the flow has changed, unless `keep` says otherwise.
            JournalError: if the rows are damaged, or of another flow.
        """
        start, parsed, before = self._parse(stored)
        differences = before.differences(self._rows.fingerprint)
        if differences and not keep:
            faults = listed(differences)
            message = (
                f"{self._place} was begun when the flow was declared differently: {faults}\n"
                'Prepare it with on_change="keep" to keep the answers whose step and type still '
                "exist and ask the rest, or with another key to begin anew"
            )
            raise FlowChangedError(message, differences)
        plan = before.plan() if differences else self._plan
        now = {step.id: step.type for step in self._rows.fingerprint.steps}
        same = {step.id for step in before.steps if now.get(step.id) == step.type}
        machine, run, failing = self._fold(plan, start, parsed, same)
        if differences:
            return Resumption(run, self._carry_over(machine, run, failing, same), fresh=True)
        if machine.phase is not RunState.COMPLETED:
            again = tuple(
                machine.plan.names[i]
                for i in _again(machine, failing, return_exceptions=return_exceptions)
            )
            machine.log = []
            machine.open(e.Opened(self._key, run, resumed=True, again=again))
        return Resumption(run, machine, fresh=False)

    def _parse(self, stored: Sequence[JournalRow]) -> tuple[int, list[Stored], Fingerprint]:
        """Read the rows' JSON; find where the declaration that counts now was written."""
        parsed: list[Stored] = []
        declared: list[tuple[int, Fingerprint]] = []
        for number, row in enumerate(stored):
            if row.sequence != number:
                raise self._damaged(number, f"it is missing, row {row.sequence} comes next")
            try:
                data, found = parse(row.event)
            except (ValueError, RecursionError) as exc:
                raise self._damaged(number, str(exc)) from exc
            parsed.append(data)
            if found is not None:
                declared.append((number, found))
        if not declared or declared[0][0]:
            raise self._damaged(0, "it doesn't say what flow this is a run of")
        start, fingerprint = declared[-1]
        if fingerprint.flow != self._plan.flow:
            message = f"{self._place} can't be resumed: the key holds one of {fingerprint.flow!r}"
            raise JournalError(message)
        return start, parsed, fingerprint

    def _fold(
        self, plan: Plan, start: int, parsed: list[Stored], same: Container[str]
    ) -> tuple[Machine, str, str | None]:
        """Apply the events; give the run's identification and the step that ended it, too."""
        machine = Machine(plan)
        lenient = plan is not self._plan
        codecs = {name: codec for name, codec in self._rows.codecs.items() if name in same}
        run, failing = "", None
        for number in range(start, len(parsed)):
            try:
                event = decode(parsed[number], codecs, lenient=lenient)
                apply(machine, event)
            except (ValueError, MachineError) as exc:
                raise self._damaged(number, str(exc)) from exc
            match event:
                case e.Opened(run=name):
                    run, failing = name, None
                case e.StepFailed(step=step):
                    failing = step
                case e.StepEntered():
                    failing = None
                case _:
                    pass
        return machine, run, failing if machine.phase is RunState.FAILED else None

    def _carry_over(
        self, old: Machine, run: str, failing: str | None, same: Container[str]
    ) -> Machine:
        """Make a machine of the flow as it is now, with what still fits of the old one."""
        plan, names = self._plan, old.plan.names
        # The step whose visit the end of the process cut short, or that ended the run.
        active = names[old.active] if old.active >= 0 else failing
        kept = self._kept(old, same)
        if old.active >= 0:
            old.leave(old.active)
        visits = tuple(
            (name, old.visits[i], old.attempts.get(i, 0))
            for i, name in enumerate(names)
            if name in plan.ids and old.visits[i]
        )
        again = (active,) if active is not None and active in plan.ids else ()
        machine = Machine(plan, [])
        machine.open(e.Opened(self._key, run, resumed=True, again=again, visits=visits))
        for i, value in kept:
            machine.answer(i, value)
        asked = (plan.ids[names[i]] for i in old.queue() if names[i] in plan.ids)
        if targets := [i for i in asked if machine.refusal(i, ahead=True) is None]:
            machine.request(targets, ahead=True)
        return machine

    def _kept(self, old: Machine, same: Container[str]) -> list[tuple[int, object]]:
        """Give the answers that still fit, by position, in the order of the flow as it is now."""
        kept: list[tuple[int, object]] = []
        # From the end, as a point of no return that stays one keeps what is before it.
        closed = False
        for i in reversed(range(len(self._plan.steps))):
            was = old.plan.ids.get(self._plan.names[i], -1)
            if was < 0 or old.status[was] != DONE or old.marks[was] & STALE:
                continue
            value = old.values[was]
            if value is LOST:
                # Behind a point of no return a sensitive answer isn't asked again.
                fits = old.plan.sensitive[was] and self._plan.sensitive[i]
                final = self._plan.point_of_no_return[i] and old.plan.point_of_no_return[was]
                fits = fits and old.closed_by(was) is not None and (closed or final)
            else:
                fits = self._plan.names[i] in same
            if fits:
                closed = closed or self._plan.point_of_no_return[i]
                kept.append((i, value))
        return kept[::-1]

    def _damaged(self, number: int, reason: str) -> JournalError:
        return JournalError(
            f"{self._place} can't be resumed, its row {number} is damaged: {reason}. "
            "Nothing was changed"
        )


def _again(machine: Machine, failing: str | None, *, return_exceptions: bool) -> Iterator[int]:
    """Give the steps that run once more: those that failed, and those whose answer wasn't kept."""
    for i, name in enumerate(machine.plan.names):
        if machine.closed_by(i) is not None:
            continue
        ended_it = name == failing
        if machine.status[i] == FAILED:
            if ended_it or not return_exceptions:
                yield i
        elif machine.status[i] == DONE and (ended_it or machine.values[i] is LOST):
            yield i


def renew(machine: Machine, early: Iterable[e.Event]) -> None:
    """Apply what was asked of a run before it was known what the journal holds.

    An answer that is the same as the stored one is no news.

    Raises:
        RunFinishedError: if the stored run is complete.
        GoBackError: naming all that is refused; none of it was applied.
    """
    plan = machine.plan
    news = [
        event
        for event in early
        if isinstance(event, e.GoBackRequested | e.StepSkipped)
        or (isinstance(event, e.StepAnswered) and not _known(machine, event))
    ]
    if news and machine.phase is RunState.COMPLETED:
        message = (
            f"the run of flow {plan.flow!r} is complete in the journal: too late for a request"
        )
        raise RunFinishedError(message)
    refused: dict[str, str] = {}
    for event in news:
        if isinstance(event, e.GoBackRequested):
            reasons = {
                name: machine.refusal(plan.ids[name], ahead=event.ahead) for name in event.steps
            }
            refused |= {name: why for name, why in reasons.items() if why is not None}
        elif (closed := machine.closed_by(plan.ids[event.step])) is not None:
            refused[event.step] = f"behind the point of no return {closed!r}"
    if refused:
        faults = (f"step {name!r}: {why}" for name, why in refused.items())
        message = (
            f"what was asked of the run of flow {plan.flow!r} before it was resumed is refused: "
        )
        raise GoBackError(message + listed(faults), refused)
    for event in news:
        match event:
            case e.GoBackRequested(steps=steps, ahead=ahead):
                machine.request((plan.ids[name] for name in steps), ahead=ahead)
            case e.StepAnswered(step=step, value=value):
                machine.answer(plan.ids[step], value)
            case e.StepSkipped(step=step):
                machine.skip(plan.ids[step])
            case _:
                assert_never(event)


def _known(machine: Machine, event: e.StepAnswered) -> bool:
    i = machine.plan.ids[event.step]
    value = machine.values[i]
    return (
        machine.status[i] == DONE
        and machine.settled(i)
        and (value is LOST or equal(value, event.value))
    )
