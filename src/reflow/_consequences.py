"""What a change brings with it: which outcomes go stale, and which can't change any more."""

from __future__ import annotations

from heapq import heappop, heappush
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from . import _events as e
from ._order import Order
from ._states import (
    AS_PART,
    BY_CONDITION,
    BY_REQUEST,
    DONE,
    FAILED,
    IN_DOUBT,
    PENDING,
    SKIPPED,
    STALE,
    equal,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ._plan import Plan


class Consequences(Order):
    """The outcomes of a run, how they settle, and what follows from that."""

    __slots__ = ("fresh", "last", "log")

    def __init__(self, plan: Plan, log: list[e.Event] | None = None) -> None:
        """Begin a run of the plan; with a list, say there what happens."""
        super().__init__(plan)
        self.log = log
        # The last settled outcome, where the recorded one isn't it.
        self.last: Final[dict[int, tuple[int, object]]] = {}
        # The always-ask steps that are not stale yet, behind what a change of makes them so.
        self.fresh: Final[list[tuple[int, int]]] = []

    def _changes(self, i: int, status: int, value: object = None) -> bool:
        """Say whether an outcome differs from the one the step last settled with."""
        old_status, old_value = self.last.get(i, (self.status[i], self.values[i]))
        return old_status != PENDING and (
            old_status != status or (status == DONE and not equal(old_value, value))
        )

    def _settle(self, i: int, status: int, value: object = None, *, stale: int = 0) -> None:
        self.last.pop(i, None)
        self.recovered.discard(i)
        self.first = -1 if i == self.first else self.first
        self._keep(i, status, value, self.marks[i] & IN_DOUBT | stale)

    def _keep(self, i: int, status: int, value: object, marks: int) -> None:
        self.status[i] = status
        self.marks[i] = marks
        self.ahead = max(self.ahead, i)
        if status == DONE:
            self.values[i] = value
            # An answer makes the failures before it good, and ends the attempt at it.
            self.failures.pop(i, None)
            self.callback_failures.pop(i, None)
            self.attempts.pop(i, None)
        if not self.settled(i):
            self.unsettle(i)

    def _repeat(self, i: int, status: int, value: object) -> None:
        """Let a step run once more; what it settles with then is compared with this."""
        self.recovered.add(i)
        self._reopen(i, status, value)

    def _reopen(self, i: int, status: int, value: object) -> None:
        self.last.setdefault(i, (status, value))
        self._keep(i, PENDING, None, IN_DOUBT if self.plan.when[i] else 0)

    def _skip(self, i: int, *, by_condition: bool = False, changed: bool | None = None) -> bool:
        if i == self.active:
            self.active = -1
        self.unqueue(i)
        self.marks[i] &= ~IN_DOUBT
        changed = self._changes(i, SKIPPED) if changed is None else changed
        self._settle(i, SKIPPED)
        if not by_condition:
            self.marks[i] |= BY_REQUEST
        return changed

    # Included steps

    def _with_inside(self, targets: Iterable[int], *, ahead: bool) -> Iterator[int]:
        """Give, before an included step that is asked for, the steps inside: all run again."""
        for i in targets:
            if self.is_part_of_answer(i):
                self._reopen(i, SKIPPED, None)
            self._reopen_inside(i)
            self._doubt_inside(i)
            for j in self.inside(i):
                if self.refusal(j, ahead=ahead) is None:
                    yield j
            yield i

    def _reopen_inside(self, i: int, *, parts: bool = False) -> list[int]:
        """Let what was skipped on request inside an included step be asked; give what that was.

        Args:
            i: the included step, which runs again.
            parts: only what was skipped because the included step was answered or skipped.
        """
        found = [
            j
            for j in self.inside(i)
            if (self.whole_of(j) == i if parts else self.marks[j] & BY_REQUEST)
            and self.closed_by(j) is None
        ]
        for j in found:
            self._reopen(j, SKIPPED, None)
        return found

    def _doubt_inside(self, i: int) -> None:
        """Let what was skipped because the included step's condition raised be looked at anew."""
        if not self.marks[i] & BY_CONDITION:
            return
        for j in self.inside(i):
            skipped = self.status[j] == SKIPPED and not self.marks[j] & BY_REQUEST
            if skipped and self.closed_by(j) is None:
                self.marks[j] |= IN_DOUBT
                self.unsettle(j)

    def is_reopened(self, i: int) -> bool:
        """Say whether the step was skipped, and is asked now that its flow runs again."""
        return self.status[i] == PENDING and self.last.get(i) == (SKIPPED, None)

    def _skip_inside(self, i: int, *, settled: bool = True) -> list[tuple[int, bool]]:
        """Settle the steps inside an included one; give them, and whether that is a change.

        Args:
            i: the included step; of any other nothing is inside.
            settled: skip those as well that have an outcome already.
        """
        skipped = [
            j
            for j in self.inside(i)
            if self.closed_by(j) is None and (settled or not self.settled(j))
        ]
        changes = [(j, self._skip(j)) for j in skipped]
        for j in skipped:
            self.marks[j] |= AS_PART
        return changes

    def _follow(self, i: int, *, changed: bool, given: int = -1) -> None:
        if changed:
            self._spread(i, given)
        bound = self.plan.always_ask[i]
        if bound >= 0 and (self.status[i] in {DONE, FAILED} or self.is_skipped_by_request(i)):
            heappush(self.fresh, (-bound, i))
        if self.plan.point_of_no_return[i] and self.status[i] == DONE:
            self._close(i)
            self._drop_requests(self.queue())
        elif i <= self.closed and self.is_queued(i):
            self._drop_requests((i,))

    def _spread(self, i: int, given: int) -> None:
        """Mark what is based on an outcome that changed: only that, and only once.

        Args:
            i: whose outcome changed.
            given: the included step around it, if that was answered or skipped as a whole:
                nothing in it is asked because of that.
        """
        # Nothing behind these has an outcome yet, or is about to have one.
        reached = max(self.frontier, self.ahead, self.active, self.first)
        based = list(takewhile(reached.__ge__, self.plan.dependents[i]))
        popped: list[tuple[int, int]] = []
        while self.fresh and -self.fresh[0][0] > i:
            popped.append(heappop(self.fresh))
        based += [j for _, j in popped]
        current = max(self.active, self.first)
        if current > i and self.plan.always_ask[current] > i:
            based.append(current)
        readers = self.readers.get(i, set())
        if given >= 0:
            whole = range(self.plan.starts[given], given + 1)
            based = [j for j in based if j not in whole]
            readers = {j for j in readers if j not in whole}
            for bound, j in popped:
                if j in whole:
                    heappush(self.fresh, (bound, j))
        stale = [j for j in sorted(set(based)) if self._make_stale(j, i)]
        for j in stale.copy():
            # What is built needs them now, as it can't be what was given any more.
            stale += self._reopen_inside(j, parts=True)
        stale.sort()
        doubtful = [j for j in sorted(readers) if self._make_doubtful(j)]
        if self.log is not None and (stale or doubtful):
            by, steps = self.plan.names[i], self.names_of(stale)
            self.log.append(e.StepsMadeStale(by, steps, self.names_of(doubtful)))

    def _make_stale(self, j: int, by: int) -> bool:
        if self.closed_by(j) is not None and by not in self.inside(j):
            return False
        if self.is_skipped_by_request(j) and self._runs_again_around(j, by):
            self._reopen(j, SKIPPED, None)
            return True
        marked = self.status[j] in {DONE, FAILED} and not self.marks[j] & STALE
        if marked:
            self.marks[j] |= STALE
            self.unsettle(j)
        if j == self.first:
            self.give_way()
        elif j == self.active:
            # Its visit goes by what was: whatever it still returns is stale.
            marked = marked or not self.outdated & STALE
            self.outdated |= STALE
        return marked

    def _runs_again_around(self, j: int, by: int) -> bool:
        """Say whether a change makes an included step around this one run again from its top."""
        runs_again = False
        around = self.plan.parents.get(j, -1)
        while around >= 0 and by < self.plan.starts[around]:
            if by in self.plan.inputs[around] or by < self.plan.always_ask[around]:
                runs_again = not self.is_skipped_by_request(around)
            around = self.plan.parents.get(around, -1)
        return runs_again

    def _make_doubtful(self, j: int) -> bool:
        if self.closed_by(j) is not None or self.marks[j] & IN_DOUBT:
            return False
        self.marks[j] |= IN_DOUBT
        self.unsettle(j)
        if j == self.first:
            self.give_way()
        elif j == self.ready:
            self.ready = -1
        elif j == self.active:
            self.outdated |= IN_DOUBT
        return True

    def _close(self, i: int) -> None:
        """A point of no return is done: it and all settled steps before it are what they are."""
        for j in range(self.closed + 1, i + 1):
            # Whether an answer counts that was given over an open condition is still to be seen.
            if self.status[j] != PENDING and not (j in self.last and self.status[j] == DONE):
                # What is built asks nobody anything: it is still built of what there is now.
                built = self.marks[j] & STALE if j in self.plan.starts else 0
                self.marks[j] = self.marks[j] & ~(STALE | IN_DOUBT) | built
        self.closed = max(self.closed, i)

    def _drop_requests(self, asked: Iterable[int]) -> None:
        """What was asked for and is closed by now is not visited again: say so."""
        if dropped := self.unqueue_closed(asked):
            self._say(e.RequestsDropped(self.plan.names[self.closed], self.names_of(dropped)))

    # Events

    def _say(self, event: e.Event) -> None:
        if self.log is not None:
            self.log.append(event)
