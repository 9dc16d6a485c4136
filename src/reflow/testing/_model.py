"""A small model of a run: the documented rules, as naively as they can be written down.

It knows nothing of how reflow does it. Steps are positions in flow order here.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Final

from reflow import IncludedStep, Reason, RequestsDropped, StepsMadeStale, StepState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reflow import AnyStep, Event


class Kind(enum.Enum):
    """What a step settled with, if it did."""

    NONE = StepState.PENDING
    DONE = StepState.DONE
    FAILED = StepState.FAILED
    SKIPPED = StepState.SKIPPED


class Gone(enum.Enum):
    """Stands for an answer that there never was, or that no journal keeps."""

    NEVER = enum.auto()
    LOST = enum.auto()


def same(one: object, other: object) -> bool:
    """Say whether two answers are equal as the rules have it: only if `==` says exactly True."""
    try:
        return (one == other) is True
    except Exception:  # noqa: BLE001 - whatever it raises, they aren't equal then
        return False


class Model:
    """Where a run stands, and what follows from what."""

    def __init__(self, steps: Sequence[AnyStep]) -> None:
        """Begin a run of these steps."""
        size = len(steps)
        self.steps: Final = tuple(steps)
        self.names: Final = [step.id for step in steps]
        self.ids: Final = {name: i for i, name in enumerate(self.names)}
        self.inputs: Final = [{self.ids[needed.id] for needed in step.depends_on} for step in steps]
        # Of the included steps: where the steps inside begin.
        self.starts: Final = {
            self.ids[step.id]: self.ids[step.steps[0].id]
            for step in steps
            if isinstance(step, IncludedStep)
        }
        # What every step settled with, its latest answer, and whether it must settle anew.
        self.kinds: Final = [Kind.NONE] * size
        self.values: Final[list[object]] = [Gone.NEVER] * size
        self.stale: Final[set[int]] = set()
        self.doubtful: Final = {i for i, step in enumerate(steps) if step.conditional}
        self.failed_by_condition: Final[set[int]] = set()
        self.skipped_by_request: Final[set[int]] = set()
        # And of these, what was skipped as a part of an included step.
        self.parts: Final[set[int]] = set()
        # What a step settled with before, where it has no outcome now that counts.
        self.before: Final[dict[int, tuple[Kind, object]]] = {}
        self.failures: Final[dict[int, Exception]] = {}
        self.callback_failures: Final[dict[int, Exception]] = {}
        self.visits: Final = [0] * size
        # The steps an attempt at whose answer was begun, and broken off.
        self.begun: Final[set[int]] = set()
        self.active: int | None = None
        # Whether the active visit was asked for; whether what it is based on changed since; and
        # whether anything happened that interrupts it.
        self.on_detour = False
        self.outdated: Final[set[str]] = set()
        self.disturbed = False
        self.requested: Final[list[int]] = []
        self.detour: Final[list[int]] = []
        self.reads: Final[dict[int, tuple[int, ...]]] = {}
        self.ready: int | None = None
        self.closed = -1
        # Of a run that was resumed: the steps that were cut off, and the one to go on with.
        self.recovered: Final[set[int]] = set()
        self.first: int | None = None
        # The events that must follow next.
        self.due: Final[list[Event]] = []

    # What is so

    def settled(self, i: int) -> bool:
        """Say whether a step has an outcome that counts."""
        return self.kinds[i] is not Kind.NONE and i not in self.stale | self.doubtful

    def state_of(self, i: int) -> StepState:
        """Say where a step stands."""
        if i == self.active:
            return StepState.ACTIVE
        if self.kinds[i] is Kind.NONE:
            return StepState.PENDING
        if i in self.stale:
            return StepState.STALE
        if i in self.doubtful:
            return StepState.IN_DOUBT
        return self.kinds[i].value

    def queue(self) -> list[int]:
        """Give the steps that were asked for, in order."""
        return self.requested + self.detour

    def closing(self, i: int) -> str | None:
        """Name the point of no return that a step is behind."""
        # What is stale of included steps is only built anew.
        closed = i <= self.closed and (self.settled(i) or (i in self.starts and i in self.stale))
        return self.names[self.closed] if closed else None

    def refusal(self, i: int, *, ahead: bool) -> str | None:
        """Say why a step can't be gone back to."""
        visited = self.visits[i] > 0 or self.settled(i)
        if (closed := self.closing(i)) is not None:
            return f"behind the point of no return {closed!r}"
        if not self.steps[i].revisitable and (visited or not ahead):
            return "not revisitable"
        if self.kinds[i] is Kind.SKIPPED and self.settled(i) and not self.part_of_answer(i):
            return "skipped"
        if i in self.starts:
            inside = [j for j in self.inside(i) if j not in self.skipped_by_request]
            reasons = [self.refusal(j, ahead=ahead) for j in inside]
            free = None in reasons or len(inside) < len(self.inside(i))
            told = [reason for reason in reasons if reason not in {None, "skipped"}]
            return told[0] if told and not free else None
        return None if visited or ahead else "not visited yet"

    def next(self) -> int | None:
        """Say which step is next."""
        unsettled = [i for i in range(len(self.steps)) if not self.settled(i)]
        if self.first is not None:
            if not self.needs(self.first) & set(unsettled):
                return self.first
            self.give_way()
        if queue := self.queue():
            return min(self.needs(queue[0]) & set(unsettled), default=queue[0])
        return unsettled[0] if unsettled else None

    def needs(self, head: int) -> set[int]:
        """Give what a step needs, directly or not: its inputs, and what its condition read."""
        found: set[int] = set()
        new = {head}
        while new:
            found |= new
            new = {j for i in new for j in {*self.inputs[i], *self.reads.get(i, ())}} - found
        return found - {head}

    def reason(self, i: int, *, asked: bool) -> Reason:
        """Say why a step is entered, if it is now."""
        if i in self.recovered and self.visits[i]:
            return Reason.RECOVERED
        if asked:
            return Reason.REQUESTED
        if i in self.stale:
            return Reason.STALE
        if not self.visits[i]:
            return Reason.FIRST
        return Reason.RESUMED if i in self.begun else Reason.STALE

    def changes(self, i: int, kind: Kind, value: object = None) -> bool:
        """Say whether an outcome would be another one than that before."""
        old, known = self.before.get(i, (self.kinds[i], self.values[i]))
        if old is Kind.NONE:
            return False
        return old is not kind or (kind is Kind.DONE and not same(known, value))

    # Included steps

    def inside(self, i: int) -> range:
        """Give the steps inside an included one; nothing is inside any other."""
        return range(self.starts.get(i, i), i)

    def around(self, i: int) -> list[int]:
        """Give the included steps around a step, the innermost first."""
        return [end for end, start in sorted(self.starts.items()) if start <= i < end]

    def whole(self, i: int) -> int:
        """Give the included step as a part of which a step was skipped, or the step itself."""
        return next((j for j in (i, *self.around(i)) if j not in self.parts), i)

    def part_of_answer(self, i: int) -> bool:
        """Say whether a step isn't asked because one around it was answered as a whole."""
        whole = self.whole(i)
        return whole != i and self.kinds[whole] is Kind.DONE

    def skip_inside(self, i: int, *, settled: bool) -> list[tuple[int, bool]]:
        """All inside a step is skipped with it, or only what isn't settled; say what changed."""
        skipped = [
            j
            for j in self.inside(i)
            if self.closing(j) is None and (settled or not self.settled(j))
        ]
        changes: list[tuple[int, bool]] = []
        for j in skipped:
            self.active = None if j == self.active else self.active
            self.unqueue(j)
            self.doubtful.discard(j)
            changes.append((j, self.changes(j, Kind.SKIPPED)))
            self.settle(j, Kind.SKIPPED)
            self.skipped_by_request.add(j)
        self.parts.update(skipped)
        return changes

    def reopen(self, steps: Iterable[int]) -> list[int]:
        """What was skipped is to be asked, unless it is closed."""
        reopened = [j for j in steps if self.closing(j) is None]
        for j in reopened:
            self.before.setdefault(j, (Kind.SKIPPED, None))
            self.keep(j, Kind.NONE, stale=False, doubt=self.steps[j].conditional)
        return reopened

    def reopen_parts(self, i: int) -> list[int]:
        """What was skipped as a part of an included step is to be asked."""
        return self.reopen([j for j in self.inside(i) if j in self.parts and self.whole(j) == i])

    def with_inside(self, targets: Iterable[int], *, ahead: bool) -> list[int]:
        """Going back to an included step asks all inside it again."""
        found: list[int] = []
        for i in targets:
            if self.part_of_answer(i):
                self.reopen([i])
            self.reopen([j for j in self.inside(i) if j in self.skipped_by_request])
            self.doubt_inside(i)
            found += [j for j in self.inside(i) if self.refusal(j, ahead=ahead) is None]
            found.append(i)
        return found

    def doubt_inside(self, i: int) -> None:
        """What was skipped because the included step's condition raised is looked at anew."""
        if i in self.failed_by_condition:
            inside = (j for j in self.inside(i) if self.kinds[j] is Kind.SKIPPED)
            self.doubtful.update(j for j in inside if self.closing(j) is None)

    # What happens

    def request(self, targets: Iterable[int], *, ahead: bool) -> None:
        """Steps are asked for."""
        for i in self.with_inside(targets, ahead=ahead):
            if i not in self.requested:
                self.unqueue(i)
                self.requested.append(i)
        self.disturbed = True
        self.give_way()

    def unqueue(self, i: int) -> None:
        """A step isn't asked for any more."""
        for steps in (self.requested, self.detour):
            if i in steps:
                steps.remove(i)

    def enter(self, i: int) -> None:
        """A visit begins."""
        asked = i in self.queue() or (i == self.first and self.on_detour)
        self.unqueue(i)
        self.detour[:0] = self.requested
        self.requested.clear()
        self.recovered.discard(i)
        self.visits[i] += 1
        self.active, self.on_detour, self.disturbed = i, asked, False
        self.outdated.clear()
        self.ready = self.first = None

    def leave(self, i: int) -> None:
        """A visit ends without an outcome."""
        self.active = None
        self.begun.add(i)
        if self.on_detour and i not in self.requested and self.closing(i) is None:
            self.detour.insert(0, i)

    def run_again(self, i: int) -> None:
        """A step runs once more, because it has failed."""
        self.reopen_parts(i)
        self.doubt_inside(i)
        self.recovered.add(i)
        if self.kinds[i] is Kind.DONE:
            # Its good answer stands, but the visit that was asked for failed.
            self.unqueue(i)
            self.detour.insert(0, i)
        else:
            self.before.setdefault(i, (self.kinds[i], self.values[i]))
            self.keep(i, Kind.NONE, stale=False, doubt=self.steps[i].conditional)

    def give_way(self) -> None:
        """Something comes before the step that was cut off."""
        if (i := self.first) is not None:
            self.first = self.ready = None
            self.leave(i)

    def keep(self, i: int, kind: Kind, value: object = None, *, stale: bool, doubt: bool) -> None:
        """A step has an outcome, whether it counts or not."""
        self.kinds[i] = kind
        for marked, marks in ((stale, self.stale), (doubt, self.doubtful)):
            (marks.add if marked else marks.discard)(i)
        self.failed_by_condition.discard(i)
        self.skipped_by_request.discard(i)
        self.parts.discard(i)
        if kind is Kind.DONE:
            self.values[i] = value
            self.failures.pop(i, None)
            self.callback_failures.pop(i, None)
            self.begun.discard(i)

    def settle(self, i: int, kind: Kind, value: object = None, *, stale: bool = False) -> None:
        """A step settles."""
        self.before.pop(i, None)
        self.recovered.discard(i)
        self.first = None if i == self.first else self.first
        self.keep(i, kind, value, stale=stale, doubt=i in self.doubtful)

    def follow(self, i: int, *, changed: bool, given: int | None = None) -> None:
        """An outcome has consequences; of a step around it that was given, for nothing in that."""
        if changed:
            self.spread(i, given)
        step, dropped = self.steps[i], list[int]()
        if step.point_of_no_return and self.kinds[i] is Kind.DONE:
            for j in range(self.closed + 1, i + 1):
                still_open = j in self.before and self.kinds[j] is Kind.DONE
                if self.kinds[j] is not Kind.NONE and not still_open:
                    self.doubtful.discard(j)
                    if j not in self.starts:
                        self.stale.discard(j)
            self.closed = max(self.closed, i)
            dropped = [j for j in self.queue() if self.closing(j) is not None]
        elif i <= self.closed and i in self.queue() and self.closing(i) is not None:
            dropped = [i]
        for j in dropped:
            self.unqueue(j)
        if dropped:
            names = tuple(self.names[j] for j in dropped)
            self.due.append(RequestsDropped(self.names[self.closed], names))

    def spread(self, i: int, given: int | None = None) -> None:
        """An outcome changed: what depends on it, asks always, or is conditional on it."""
        stale: list[int] = []
        doubtful: list[int] = []
        apart = () if given is None else (*self.inside(given), given)
        for j in range(len(self.steps)):
            based = i in self.inputs[j] or self.asks_always(j, i)
            still_open = self.closing(j) is None or i in self.inside(j)
            if based and j not in apart and still_open and self.makes_stale(j, i):
                stale.append(j)
        for j in stale.copy():
            stale += self.reopen_parts(j)
        stale.sort()
        for j in range(len(self.steps)):
            reads = i in self.reads.get(j, ()) and j not in self.doubtful
            if reads and j not in apart and self.closing(j) is None:
                doubtful.append(j)
                self.doubtful.add(j)
                self.ready = None if j == self.ready else self.ready
                self.outdate(j, "doubt")
        if stale or doubtful:
            names = (tuple(self.names[j] for j in marked) for marked in (stale, doubtful))
            self.due.append(StepsMadeStale(self.names[i], *names))

    def asks_always(self, j: int, i: int) -> bool:
        """Say whether a change of one step makes another run again that asks always."""
        own = self.steps[j].always_ask and i < j
        return own or any(
            self.steps[end].always_ask and i < self.starts[end] for end in self.around(j)
        )

    def makes_stale(self, j: int, by: int) -> bool:
        """Make a step stale; say whether that is news."""
        outermost = [
            end
            for end in self.around(j)
            if by < self.starts[end] and (by in self.inputs[end] or self.asks_always(end, by))
        ][-1:]
        if j in self.skipped_by_request and set(outermost) - self.skipped_by_request:
            # The flow that it was skipped in begins from its top.
            return bool(self.reopen([j]))
        news = self.kinds[j] in {Kind.DONE, Kind.FAILED} and j not in self.stale
        if news:
            self.stale.add(j)
        return self.outdate(j, "stale") or news

    def outdate(self, j: int, how: str) -> bool:
        """What a step goes by, which may be under way, has changed; say whether that is news."""
        if j == self.first:
            self.give_way()
        if j != self.active:
            return False
        news = how not in self.outdated
        self.outdated.add(how)
        self.disturbed = True
        return news
