"""Which step is next, and which may be asked for.

The detour, the steps that are not settled, and what a detour's head needs. No outcome changes here.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final

from ._errors import MachineError
from ._states import AS_PART, BY_REQUEST, DONE, SKIPPED, STALE, UNSETTLED, Record, RunState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ._plan import Plan


class _Waiting:
    """What a detour's head needs, found once and kept while that head waits."""

    __slots__ = ("at", "found", "head", "lowest", "needs", "relies")

    def __init__(self, head: int, lowest: int) -> None:
        self.head: Final = head
        self.lowest: Final = lowest
        self.found: Final[set[int]] = set()
        self.needs: Final[list[int]] = []  # what was found, in flow order
        self.at = 0  # all needs before this place are settled
        self.relies = False  # whether something was left out because it was known to be clean


class Order(Record):
    """The outcomes of a run, and the order in which its steps come."""

    __slots__ = (
        "ahead",
        "attempts",
        "clean",
        "closed",
        "detour",
        "failing",
        "first",
        "frontier",
        "on_detour",
        "outdated",
        "phase",
        "readers",
        "reads",
        "ready",
        "recovered",
        "requested",
        "unsettled",
        "visits",
        "waiting",
    )

    def __init__(self, plan: Plan) -> None:
        """Begin with nothing settled and nothing asked for."""
        super().__init__(plan)
        self.phase = RunState.PREPARED
        self.visits: Final = [0] * len(plan.steps)
        self.closed = -1  # the latest point of no return that is done
        # The steps asked for since the latest visit began, first to last ...
        self.requested: Final[dict[int, None]] = {}
        # ... and what is left of the detour, last to first, so that its head comes off in O(1).
        self.detour: Final[dict[int, None]] = {}
        # The visit in which the attempt at an answer began, where that isn't the coming one.
        self.attempts: Final[dict[int, int]] = {}
        # The steps whose latest visit ended with the process that ran it.
        self.recovered: Final[set[int]] = set()
        # The one of these whose visit was under way: nothing has come before it since.
        self.first = -1
        # The step that failed last, if no visit has begun since.
        self.failing = -1
        # Whether the active visit, or that one, serves a request.
        self.on_detour = False
        # What the inputs of the active visit did since it began: STALE, IN_DOUBT.
        self.outdated = 0
        # The step whose condition was just met, what the conditions read, and which read it.
        self.ready = -1
        self.reads: Final[dict[int, tuple[int, ...]]] = {}
        self.readers: Final[dict[int, set[int]]] = {}
        # Before the frontier only the steps in this heap can be unsettled, and behind the latest
        # step that was ever ahead of it none has an outcome.
        self.frontier = 0
        self.ahead = -1
        self.unsettled: Final[list[int]] = []
        # What the waiting head needs, and what is known to be settled with all that it needs.
        self.waiting: _Waiting | None = None
        self.clean: Final[dict[int, None]] = {}

    def next(self) -> int:
        """Give the step whose turn it is; -1 when the run is complete."""
        if self.first >= 0:
            lowest = self.first_unsettled()
            if not 0 <= lowest < self.first or self._first_needed(self.first, lowest) < 0:
                return self.first
            # What it needs comes before it, and then whatever else does.
            self.give_way()
        if self.requested or self.detour:
            head = next(iter(self.requested)) if self.requested else next(reversed(self.detour))
            # Inputs stand before what needs them, so a head with nothing open before it is free.
            lowest = self.first_unsettled()
            needed = self._first_needed(head, lowest) if 0 <= lowest < head else -1
            return head if needed < 0 else needed
        i = self.frontier
        if not self.unsettled and i < len(self.status) and not self.status[i]:
            # The short way for what nearly always happens.
            return i
        return self.first_unsettled()

    def first_unsettled(self) -> int:
        """Give the first step in flow order that isn't settled, or -1."""
        unsettled = self.unsettled
        while unsettled:
            if not self.settled(unsettled[0]):
                return unsettled[0]
            heappop(unsettled)
        i, status, marks = self.frontier, self.status, self.marks
        end = len(status)
        while i < end and status[i] and not marks[i] & UNSETTLED:
            i += 1
        self.frontier = i
        return i if i < end else -1

    def must_evaluate(self, i: int) -> bool:
        """Say whether the step's condition comes before a visit to it."""
        if self.plan.when[i] is None or self.ready == i:
            return False
        # What is closed and only built anew is wanted, whatever its condition says by now.
        return self.closed_by(i) is None

    def is_outdated(self) -> bool:
        """Say whether the active visit goes by what is no longer so."""
        return self.active >= 0 and self.outdated != 0

    def wants_interruption(self) -> bool:
        """Say whether something happened that the active visit must not outlast."""
        return bool(self.requested or self.outdated)

    def count_visits(self) -> int:
        """Count the visits in which somebody was asked: those of included steps only build."""
        built = sum(map(self.visits.__getitem__, self.plan.starts))
        return sum(self.visits) - built

    def attempt(self, i: int) -> int:
        """Give the number of the visit in which the attempt at the step's next answer began."""
        return self.attempts.get(i, self.visits[i])

    def queue(self) -> tuple[int, ...]:
        """Give the steps that were asked for and have not been entered since, in order."""
        return (*self.requested, *reversed(self.detour))

    def is_queued(self, i: int) -> bool:
        """Say whether the step was asked for and has not been entered since."""
        return i in self.requested or i in self.detour

    def refusal(self, i: int, *, ahead: bool) -> str | None:
        """Say why the step may not be gone back to, if it may not."""
        # Mostly nothing is closed, and this is asked of each step whenever a model gets its tools.
        if i <= self.closed and (closed := self.closed_by(i)) is not None:
            return f"behind the point of no return {closed!r}"
        visited = self.visits[i] > 0 or self.settled(i)
        if not self.plan.revisitable[i] and (visited or not ahead):
            return "not revisitable"
        if self.status[i] == SKIPPED and self.settled(i) and not self.is_part_of_answer(i):
            return "skipped"
        if i in self.plan.starts:
            return self._refusal_inside(i, ahead=ahead)
        return None if visited or ahead else "not visited yet"

    def _refusal_inside(self, i: int, *, ahead: bool) -> str | None:
        """Say why nothing in an included step may be gone back to, if that is so."""
        why: str | None = None
        for j in self.inside(i):
            refusal = None if self.is_skipped_by_request(j) else self.refusal(j, ahead=ahead)
            if refusal is None:
                return None
            if refusal != "skipped":
                why = why or refusal
        return why

    def inside(self, i: int) -> range:
        """Give the steps inside an included one, in flow order; nothing is inside any other."""
        return range(self.plan.starts.get(i, i), i)

    def is_part_of_answer(self, i: int) -> bool:
        """Say whether the step has no answer because an included one around it was given one."""
        whole = self.whole_of(i)
        return whole != i and self.status[whole] == DONE

    def whole_of(self, i: int) -> int:
        """Give the included step as a part of which the step was skipped, or the step itself."""
        while self.marks[i] & AS_PART:
            i = self.plan.parents[i]
        return i

    def is_skipped_by_request(self, i: int) -> bool:
        """Say whether someone skipped the step, and not its condition."""
        return self.status[i] == SKIPPED and bool(self.marks[i] & BY_REQUEST)

    def closed_by(self, i: int) -> str | None:
        """Name the point of no return that closed the step, if one did."""
        built = i in self.plan.starts and bool(self.marks[i] & STALE)
        closed = i <= self.closed and (self.settled(i) or built)
        return self.plan.names[self.closed] if closed else None

    def enqueue(self, targets: Iterable[int]) -> None:
        """Put steps before what is left of the detour, behind what was just asked for."""
        for i in targets:
            if i not in self.requested:
                self.unqueue(i)
                self.requested[i] = None
        if self.first >= 0:
            self.give_way()

    def unqueue(self, i: int) -> None:
        """Take a step out of the detour, wherever it stands."""
        self.requested.pop(i, None)
        if i in self.detour:
            if next(reversed(self.detour)) == i:
                # Unlike `pop`, this leaves no hole at the end for `reversed` to walk over.
                self.detour.popitem()
            else:
                del self.detour[i]

    def unqueue_closed(self, asked: Iterable[int]) -> list[int]:
        """Take those of the steps out of the detour that are closed; give them."""
        closed = [i for i in asked if self.closed_by(i) is not None]
        for i in closed:
            self.unqueue(i)
        return closed

    def merge(self) -> None:
        """A visit begins: what was asked for until now is the detour, later requests are new."""
        for i in reversed(self.requested):
            self.detour[i] = None
        self.requested.clear()

    def leave(self, i: int) -> None:
        """The active visit is over, but the attempt at an answer isn't, nor a request for it."""
        self.active = -1
        self.attempts.setdefault(i, self.visits[i])
        # What a point of no return has closed meanwhile doesn't resume: its answer stands.
        if self.on_detour and i not in self.requested and self.closed_by(i) is None:
            self.detour[i] = None

    def suspend(self, i: int) -> None:
        """The active visit ended with its process: its step comes first, unless it needs others.

        Whatever the visit was for, a person is in the middle of it.
        """
        self.recovered.add(i)
        if self.wants_interruption() or self.closed_by(i) is not None:
            self.leave(i)
        else:
            self.active = -1
            self.attempts.setdefault(i, self.visits[i])
            self.first = self.ready = i

    def give_way(self) -> None:
        """Something comes before the step whose visit was under way: let it wait for its turn."""
        i, self.first, self.ready = self.first, -1, -1
        self.leave(i)

    def restore_visits(self, visits: Iterable[tuple[str, int, int]]) -> None:
        """Go on counting from an earlier declaration: by id, visits and the attempt's first."""
        for name, number, attempt in visits:
            i = self.plan.ids[name]
            self.visits[i] = number
            if attempt:
                self.attempts[i] = attempt

    def unsettle(self, i: int) -> None:
        """Note that a step that may have been settled isn't any more."""
        if i < self.frontier:
            heappush(self.unsettled, i)
        self.clean.clear()
        waiting = self.waiting
        if waiting is not None:
            if i < waiting.lowest or waiting.relies:
                self.waiting = None
            else:
                waiting.at = min(waiting.at, bisect_left(waiting.needs, i))

    def note_reads(self, i: int, read: tuple[int, ...]) -> None:
        """Keep what a step's condition read: it needs that, and no longer what it read before."""
        before = self.reads.get(i, ())
        self.reads[i] = read
        if before == read:
            return
        for needed in before:
            self.readers[needed].discard(i)
        for needed in read:
            self.readers.setdefault(needed, set()).add(i)
        self.clean.clear()
        waiting = self.waiting
        if waiting is not None and before:
            self.waiting = None
        elif waiting is not None and (i == waiting.head or i in waiting.found):
            self._need(waiting, read)

    def _first_needed(self, head: int, lowest: int) -> int:
        waiting = self.waiting
        if waiting is None or waiting.head != head:
            self.waiting = waiting = _Waiting(head, lowest)
            self._need(waiting, (*self.plan.inputs[head], *self.reads.get(head, ())))
        while waiting.at < len(waiting.needs):
            if not self.settled(waiting.needs[waiting.at]):
                return waiting.needs[waiting.at]
            waiting.at += 1
        self.clean.update(dict.fromkeys(waiting.found))
        return -1

    def _need(self, waiting: _Waiting, needed: tuple[int, ...]) -> None:
        """Add steps, and all that they need, to what a head waits for."""
        found: list[int] = []
        stack = list(needed)
        while stack:
            i = stack.pop()
            # Whatever stands before the first unsettled step is settled, inputs and all.
            if i < waiting.lowest or i in waiting.found:
                continue
            if i in self.clean:
                waiting.relies = True
            else:
                waiting.found.add(i)
                found.append(i)
                stack += (*self.plan.inputs[i], *self.reads.get(i, ()))
        if not waiting.needs:
            waiting.needs.extend(sorted(found))
            return
        for i in found:
            insort(waiting.needs, i)
            waiting.at = min(waiting.at, bisect_left(waiting.needs, i))

    # For events and errors

    def names_of(self, positions: Iterable[int]) -> tuple[str, ...]:
        """Give the ids of the steps."""
        return tuple(self.plan.names[i] for i in positions)

    def illegal(self, kind: str, i: int) -> MachineError:
        """Make the error that says what can't happen to the step now."""
        name, flow = self.plan.names[i], self.plan.flow
        return MachineError(
            f"{kind} is impossible: step {name!r} of flow {flow!r} is {self.state_of(i).value}, "
            f"the active step is {self.plan.names[self.active] if self.active >= 0 else None!r}, "
            f"the run is {self.phase.value}"
        )
