"""The machine: every transition of a run, in this one file.

Pure and synchronous: no I/O, no await, no clock, and no code of the user's but `==` on answers.
Steps are positions in flow order here. A transition's method is the one place where it happens:
the driver calls it directly, `apply` (in `_replay.py`) for a recorded event, so that folding a
run's events gives the run's state. Events are built only while `log` is a list.
"""

from __future__ import annotations

from copy import copy
from heapq import heappush
from typing import TYPE_CHECKING, Final, final

from . import _events as e
from ._consequences import Consequences
from ._states import (
    BY_CONDITION,
    BY_REQUEST,
    DONE,
    FAILED,
    IN_DOUBT,
    LOST,
    NOTHING,
    PENDING,
    SKIPPED,
    STALE,
    RunState,
)

if TYPE_CHECKING:
    from collections.abc import Iterable


# Looking a member up on an Enum class is slow, and this one is wanted on every step.
_FIRST: Final = e.Reason.FIRST


@final
class Machine(Consequences):
    """The state of a run."""

    __slots__ = ()

    # The transitions of a run

    def open(self, event: e.Opened) -> None:
        """A run with a journal begins, or what was left of another goes on."""
        self.phase = RunState.PREPARED
        self.failing = -1
        if self.active >= 0:
            self.suspend(self.active)
        self.restore_visits(event.visits)
        for i in map(self.plan.ids.__getitem__, event.lost):
            self.values[i] = NOTHING
            self._repeat(i, DONE, LOST)
            self._reopen_inside(i, parts=True)
        for i in map(self.plan.ids.__getitem__, event.again):
            self._reopen_inside(i, parts=True)
            self._doubt_inside(i)
            self.recovered.add(i)
            if self.status[i] == DONE:
                # Its good answer stands, but the visit that was asked for failed.
                self.detour[i] = None
            elif self.status[i] != PENDING:
                self._repeat(i, self.status[i], self.values[i])
        if (event.again or event.lost) and self.first >= 0:
            # It may need what these give.
            self.give_way()

    def take_over(self, earlier: Machine) -> None:
        """Take the whole state of another run of the same flow."""
        slots = {name for kind in type(self).__mro__ for name in getattr(kind, "__slots__", ())}
        for name in slots - {"plan", "log", "waiting"}:
            setattr(self, name, copy(getattr(earlier, name)))
        # Of these the items change, too, and the earlier run may be gone on with once more.
        self.readers.update((i, readers.copy()) for i, readers in self.readers.items())

    def start(self) -> None:
        """`drive()` began; it says so, before what was asked for ahead of it."""
        self.phase = RunState.RUNNING

    def end(self, phase: RunState, event: e.Event) -> None:
        """`drive()` ends."""
        self.phase = phase
        self._say(event)

    def request(self, targets: Iterable[int], *, ahead: bool = False) -> None:
        """Steps are asked for; none of them is refused."""
        targets = tuple(targets)
        self.enqueue(self._with_inside(targets, ahead=ahead) if self.plan.starts else targets)
        if self.log is not None:
            self.log.append(e.GoBackRequested(self.names_of(targets), ahead))

    # The transitions of a step

    def enter(self, i: int) -> e.Reason:
        """A visit begins: it serves every request for the step, and later requests are new ones."""
        if self.active >= 0:
            raise self.illegal("StepEntered", i)
        asked, reason = False, _FIRST
        if self.visits[i] or self.marks[i] or self.requested or self.detour or self.recovered:
            asked = self.is_queued(i) or (i == self.first and self.on_detour)
            self.unqueue(i)
            self.merge()
            reason = self.reason(i, asked=asked)
            self.recovered.discard(i)
        self.visits[i] += 1
        self.active = i
        self.on_detour = asked
        self.outdated = 0
        self.ready = self.first = self.failing = -1
        if self.log is not None:
            self.log.append(e.StepEntered(self.plan.names[i], self.visits[i], reason))
        return reason

    def reason(self, i: int, *, asked: bool) -> e.Reason:
        """Say why the step is entered now."""
        if i in self.recovered and self.visits[i]:
            return e.Reason.RECOVERED
        if asked:
            return e.Reason.REQUESTED
        if self.marks[i] & STALE:
            return e.Reason.STALE
        if not self.visits[i]:
            return e.Reason.FIRST
        # What was visited, then skipped (or failed by its condition), then wanted again.
        return e.Reason.RESUMED if i in self.attempts else e.Reason.STALE

    def complete(self, i: int, value: object, *, changed: bool | None = None) -> bool:
        """The active visit returned an answer. Says whether the outcome changed."""
        if i != self.active:
            raise self.illegal("StepCompleted", i)
        plain = self.plan.plain[i]
        known = self.status[i] or self.outdated or self.attempts or self.last
        if plain and i == self.frontier and not known:
            # The short way for what nearly always happens; the same as the long one.
            self.active = -1
            self.status[i] = DONE
            self.values[i] = value
            self.frontier = i + 1
            changed = False
        else:
            changed = self._changes(i, DONE, value) if changed is None else changed
            self.active = -1
            self._settle(i, DONE, value, stale=self.outdated & STALE)
        if self.log is not None:
            name, sensitive = self.plan.names[i], self.plan.sensitive[i]
            self.log.append(e.StepCompleted(name, self.visits[i], value, changed, sensitive))
        if changed or not plain or i <= self.closed:
            self._follow(i, changed=changed)
        return changed

    def fail(
        self,
        i: int,
        exception: Exception,
        *,
        in_condition: bool = False,
        changed: bool | None = None,
    ) -> None:
        """The active visit, or the step's condition, raised. A good answer stays what it is."""
        if not in_condition and i != self.active:
            raise self.illegal("StepFailed", i)
        stands = self.status[i] == DONE and self.settled(i)
        if in_condition:
            self.unqueue(i)
            self.marks[i] &= ~IN_DOUBT
        else:
            self.active = -1
            self.attempts.setdefault(i, self.visits[i])
        self.failures[i] = exception
        self.failing = i
        if stands:
            changed = False
        else:
            stale = 0 if in_condition else self.outdated & STALE
            changed = self._changes(i, FAILED) if changed is None else changed
            self._settle(i, FAILED, stale=stale)
            if in_condition:
                self.marks[i] |= BY_CONDITION
        sensitive = self.conceals(i, exception)
        if self.log is not None:
            name, number = self.plan.names[i], self.visits[i]
            self.log.append(e.StepFailed(name, number, exception, changed, in_condition, sensitive))
        self._follow(i, changed=changed)

    def interrupt(self, i: int, exception: Exception | None = None) -> None:
        """The active visit ended without an outcome, because something else comes first."""
        if i != self.active:
            raise self.illegal("StepInterrupted", i)
        self.leave(i)
        if exception is not None:
            self.failures[i] = exception
        sensitive = self.conceals(i, exception)
        if self.log is not None:
            name, number = self.plan.names[i], self.visits[i]
            self.log.append(e.StepInterrupted(name, number, exception, sensitive))

    def skip(self, i: int, *, by_condition: bool = False, changed: bool | None = None) -> None:
        """The step settles without an answer; the latest one is kept for its own next visit.

        What is inside it settles likewise.
        """
        inside = () if by_condition else self._skip_inside(i)
        changed = self._skip(i, by_condition=by_condition, changed=changed)
        if self.log is not None:
            self.log.append(e.StepSkipped(self.plan.names[i], changed, by_condition))
        for j, follows in inside:
            self._follow(j, changed=follows, given=i)
        self._follow(i, changed=changed)

    def answer(self, i: int, value: object, *, changed: bool | None = None) -> None:
        """The step is given its answer from outside, whether it is active or not.

        What is inside it and not settled isn't asked any more.
        """
        inside = self._skip_inside(i, settled=False)
        for j in self.inside(i):
            # Nor is what has an answer already asked once more.
            self.unqueue(j)
            self.active = -1 if j == self.active else self.active
            self.first = -1 if j == self.first else self.first
        refuted = self.status[i] == SKIPPED and not self.marks[i] & BY_REQUEST
        open_condition = refuted or bool(self.marks[i] & IN_DOUBT)
        if open_condition:
            changed = False
        elif changed is None:
            changed = self._changes(i, DONE, value)
        if i == self.active:
            self.active = -1
        self.unqueue(i)
        if open_condition:
            # It settles when its turn comes: only the condition can tell whether it counts.
            self.last.setdefault(i, (self.status[i], self.values[i]))
            self._keep(i, DONE, value, IN_DOUBT)
        else:
            self._settle(i, DONE, value)
        if self.log is not None:
            name, sensitive = self.plan.names[i], self.plan.sensitive[i]
            self.log.append(e.StepAnswered(name, value, changed, sensitive))
        for j, follows in inside:
            self._follow(j, changed=follows, given=i)
        if not open_condition:
            self._follow(i, changed=changed)
        elif self.plan.always_ask[i] >= 0:
            heappush(self.fresh, (-self.plan.always_ask[i], i))

    def condition(
        self, i: int, holds: bool | None, read: Iterable[int], *, changed: bool | None = None
    ) -> bool:
        """The step's condition was evaluated; None: it raised. Says whether that is conclusive.

        It isn't where an unsettled step was read: then that one comes first. Where the condition
        doesn't hold, or raised, the step settles with the `skip` or `fail` that follows.
        """
        read = tuple(read)
        self.note_reads(i, read)
        conclusive = all(self.settled(needed) for needed in read)
        met = conclusive and holds is True
        resolved = False
        if met:
            self.marks[i] &= ~IN_DOUBT
            asked = self.is_queued(i)
            status, marks = self.status[i], self.marks[i]
            refuted = status == SKIPPED and (asked or not marks & BY_REQUEST)
            if refuted or (status == FAILED and marks & BY_CONDITION):
                # From here on it is wanted, so that it resumes when its visit is interrupted.
                self.last[i] = (status, self.values[i])
                self._keep(i, PENDING, None, 0)
                self._reopen_inside(i, parts=True)
            elif status == DONE and i in self.last and not marks & STALE:
                resolved = True
                changed = self._changes(i, DONE, self.values[i]) if changed is None else changed
                self._settle(i, DONE, self.values[i])
            if asked or not self.settled(i):
                self.ready = i
        changed = resolved and bool(changed)
        if self.log is not None:
            name, names = self.plan.names[i], self.names_of(read)
            self.log.append(e.ConditionEvaluated(name, holds, names, changed))
        if resolved:
            self._follow(i, changed=changed)
        return conclusive

    def fail_callback(self, i: int, exception: Exception) -> None:
        """`on_completed` raised for the step; its answer stays."""
        self.callback_failures[i] = exception
        self._say(e.CallbackFailed(self.plan.names[i], exception, self.conceals(i, exception)))

    def fail_cleanup(self, i: int, exception: Exception) -> None:
        """A visit that was ended by an answer or a skip raised in its cleanup."""
        self.failures[i] = exception
        name, sensitive = self.plan.names[i], self.conceals(i, exception)
        self._say(e.CleanupFailed(name, self.visits[i], exception, sensitive))

    def supersede(self, i: int, value: object) -> None:
        """A visit that was ended by an answer or a skip returned one: it doesn't count."""
        name, sensitive = self.plan.names[i], self.plan.sensitive[i]
        self._say(e.AnswerSuperseded(name, self.visits[i], value, sensitive))
