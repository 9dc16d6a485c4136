"""What a journal holds of a run, made into its machine again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast, final

import attrs

from . import _events as e
from ._continuing import failed
from ._errors import FlowChangedError, JournalError, MachineError, listed
from ._machine import Machine
from ._replay import apply
from ._results import make_results
from ._rows import decode, parse
from ._states import DONE, LOST, PENDING, STALE, RunState
from ._step import options_of

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Sequence

    from ._fingerprint import Fingerprint, Stored
    from ._journal import JournalRow
    from ._plan import Plan
    from ._results import Results
    from ._rows import Rows


@final
@attrs.frozen
class Resumption:
    """What the rows of a run add up to."""

    run: str
    """What identifies the run."""
    machine: Machine
    """Opened for this process, unless the run is complete."""
    opened: e.Opened | None = None
    """What opened it."""
    before: tuple[e.Event, ...] = ()
    """What has to be stored before that. The flow has changed: the rows so far don't count any
    more, and this is what is kept of them."""


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
        machine, last = self._fold(plan, start, parsed, same, lenient=keep)
        run, origin = last.run, last.origin
        if differences or (keep and _has_unreadable(machine)):
            return self._carry_over(machine, last, same)
        if machine.phase is RunState.COMPLETED:
            return Resumption(run, machine)
        again = failed(machine, return_exceptions=return_exceptions)
        lost = (i for i, value in enumerate(machine.values) if value is LOST)
        lost = (i for i in lost if machine.status[i] == DONE and machine.closed_by(i) is None)
        lost = (i for i in lost if not _is_past_building(machine, i))
        opened = e.Opened(
            self._key,
            run,
            resumed=True,
            again=machine.names_of(again),
            lost=machine.names_of(lost),
            origin=origin,
        )
        machine.log = []
        machine.open(opened)
        return Resumption(run, machine, opened)

    def _parse(self, stored: Sequence[JournalRow]) -> tuple[int, list[Stored], Fingerprint]:
        """Read the rows' JSON; find where the declaration that counts now was written."""
        parsed: list[Stored] = []
        declared: list[tuple[int, Fingerprint]] = []
        for number, row in enumerate(stored):
            if row.sequence != number:
                raise self._damaged(number, f"it is missing, row {row.sequence} comes next")
            try:
                data, found = parse(row.event)
            except (ValueError, TypeError, RecursionError) as exc:
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
        self,
        plan: Plan,
        start: int,
        parsed: list[Stored],
        same: Container[str],
        *,
        lenient: bool,
    ) -> tuple[Machine, e.Opened]:
        """Apply the events; give what opened the run last, too."""
        machine = Machine(plan)
        codecs = {name: codec for name, codec in self._rows.codecs.items() if name in same}
        opened = e.Opened(self._key, "")
        for number in range(start, len(parsed)):
            try:
                event = decode(parsed[number], codecs, lenient=lenient)
                if isinstance(event, e.StepCompleted | e.StepAnswered) and event.value is LOST:
                    event = attrs.evolve(event, value=_rebuilt(machine, event.step))
                apply(machine, event)
            except (ValueError, MachineError) as exc:
                raise self._damaged(number, str(exc)) from exc
            if isinstance(event, e.Opened):
                opened = event
        return machine, opened

    def _carry_over(self, old: Machine, last: e.Opened, same: Container[str]) -> Resumption:
        """Make a machine of the flow as it is now, with what still fits of the old one."""
        ids, names = self._plan.ids, old.plan.names
        # The step whose visit the end of the process cut short, or that ended the run.
        failing = old.failing if old.phase is RunState.FAILED else -1
        cut_off = old.active if old.active >= 0 else failing
        active = names[cut_off] if cut_off >= 0 else ""
        if old.active >= 0:
            old.leave(old.active)
        machine = Machine(self._plan, [])
        begun = e.Opened(self._key, last.run, resumed=True, origin=last.origin)
        machine.open(begun)
        kept = dict(self._kept(old, same))
        for i, value in kept.items():
            known = _rebuilt(machine, self._plan.names[i]) if value is LOST else value
            if known is not LOST or self._plan.sensitive[i]:
                machine.answer(i, known)
        # What is new inside an included step, or is asked anew, is a part of what it is built of.
        anew = [
            i
            for i in self._plan.starts
            if machine.status[i] == DONE and any(j not in kept for j in machine.inside(i))
        ]
        before = (begun, *(machine.log or ()))
        machine.log = []
        # Unless the new order puts it behind a point of no return.
        comes_again = active in ids and machine.closed_by(ids[active]) is None
        names_anew = machine.names_of(i for i in anew if machine.closed_by(i) is None)
        # What is based on a step that had an outcome, or that is new, goes by what was.
        never = {name for i, name in enumerate(names) if not (old.status[i] or i in old.last)}
        missing = (i for i, status in enumerate(machine.status) if status == PENDING)
        lost = tuple(name for name in machine.names_of(missing) if name not in never)
        opened = e.Opened(
            self._key,
            last.run,
            resumed=True,
            again=(*([active] if comes_again else []), *names_anew),
            lost=lost,
            visits=tuple(
                (name, old.visits[i], old.attempts.get(i, 0))
                for i, name in enumerate(names)
                if name in ids and old.visits[i]
            ),
            origin=last.origin,
        )
        machine.open(opened)
        asked = [names[i] for i in old.queue()]
        if failing >= 0 and old.status[failing] == DONE:
            # What was asked for failed; the good answer that it had stands.
            asked.insert(0, names[failing])
        targets = [ids[name] for name in asked if name in ids]
        targets = [i for i in targets if machine.refusal(i, ahead=True) is None]
        if targets:
            machine.request(targets, ahead=True)
        return Resumption(last.run, machine, opened, before)

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
                # What is built can be built again, of what is kept inside.
                fits = fits or (i in self._plan.inner and not self._plan.sensitive[i])
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


def _rebuilt(machine: Machine, name: str) -> object:
    """Build the answer of an included step that was not stored from those inside, as they are.

    Returns:
        The answer; LOST if it can't be built.
    """
    plan = machine.plan
    i = plan.ids.get(name, -1)
    if (scope := plan.inner.get(i)) is None or plan.sensitive[i]:
        return LOST
    build = cast("Callable[[Results], object]", options_of(plan.steps[i]).build)
    try:
        return build(make_results(machine, scope))
    except Exception:  # noqa: BLE001 - it is a failure of its step, where that runs again
        return LOST


def _is_past_building(machine: Machine, i: int) -> bool:
    """Say whether an included step can't be built again: what it needs is closed, and not kept."""
    inside = machine.inside(i)
    return any(machine.values[j] is LOST and machine.closed_by(j) is not None for j in inside)


def _has_unreadable(machine: Machine) -> bool:
    """Say whether there is an answer that was stored and doesn't fit its step any more."""
    return any(
        value is LOST and not machine.plan.sensitive[i] and machine.status[i] == DONE
        for i, value in enumerate(machine.values)
    )
