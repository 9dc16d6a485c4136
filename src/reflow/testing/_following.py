"""Following a run by its events: does each of them keep to the rules?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never, final

from reflow import (
    AnswerSuperseded,
    CallbackFailed,
    CleanupFailed,
    ConditionEvaluated,
    GoBackRequested,
    Opened,
    RequestsDropped,
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunStarted,
    RunStopped,
    StepAnswered,
    StepCompleted,
    StepEntered,
    StepFailed,
    StepInterrupted,
    StepSkipped,
    StepsMadeStale,
)

from ._comparing import compare
from ._model import Gone, Kind, Model
from ._rules import broken

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reflow import AnyStep, Event, Run


@final
class Follower:
    """Follows the events of one run; the first that breaks a rule is an error."""

    def __init__(self, steps: Sequence[AnyStep], *, compares: bool) -> None:
        """Begin with a run that hasn't begun.

        Args:
            steps: its steps.
            compares: whether answers that come back from a journal can be compared with what was
                given: they are equal to themselves, and don't change in place.
        """
        self.model: Final = Model(steps)
        self._compares: Final = compares
        # The verdict of a condition, which the next event has to carry out.
        self._verdict: type[Event] | None = None
        # The step whose visit was ended by an answer or a skip; it may still have its say.
        self._ended: int | None = None
        # Whether a visit was interrupted though nothing came first: then the run is stopping.
        self._stopping = False
        # Whether the run goes on from a journal: what it compares with is not known here then.
        self._resumed = False
        # How the run has ended, and the step that failed last, if no visit has begun since.
        self.end: Event | None = None
        self._failing: int | None = None

    def follow(self, event: Event) -> None:
        """Follow one event.

        Raises:
            BrokenRuleError: if it breaks a rule.
        """
        model = self.model
        if model.due:
            expected = model.due.pop(0)
            if event != expected:
                rule = "changes" if isinstance(expected, StepsMadeStale) else "closed"
                broken(rule, f"{expected!r} was to follow, but {event!r} came")
            return
        self._check_turn(event)
        match event:
            case Opened():
                self._open(event)
            case RunStarted():
                pass
            case StepEntered():
                self._enter(event)
            case StepCompleted():
                self._finish(event)
            case StepFailed():
                self._fail(event)
            case StepSkipped():
                self._skip(event)
            case StepInterrupted():
                self._interrupt(event)
            case StepAnswered():
                self._answer(event)
            case AnswerSuperseded():
                self._check_ended(event)
            case CleanupFailed(exception=exception):
                model.failures[self._check_ended(event)] = exception
            case CallbackFailed(step=step, exception=exception):
                model.callback_failures[model.ids[step]] = exception
            case ConditionEvaluated():
                self._evaluate(event)
            case GoBackRequested():
                self._go_back(event)
            case StepsMadeStale() | RequestsDropped():
                rule = "changes" if isinstance(event, StepsMadeStale) else "closed"
                broken(rule, f"{event!r} came, though there is no reason for it")
            case RunCompleted():
                self._complete(event)
            case RunStopped() | RunCancelled() | RunFailed():
                self.end = event
            case _:
                assert_never(event)

    def resume(self, events: Iterable[Event]) -> None:
        """Begin with a run that was cut off behind these events, to go on from its journal."""
        self._resumed = True
        for event in events:
            self.follow(event)
        model = self.model
        # What follows from the last event was never told.
        model.due.clear()
        self._verdict = None
        self._stopping = False
        if not isinstance(self.end, RunCompleted):
            self.end = None
        for i, step in enumerate(model.steps):
            if step.sensitive and model.values[i] is not Gone.NEVER:
                model.values[i] = Gone.LOST

    def _check_turn(self, event: Event) -> None:
        """See whether an event may come now at all."""
        if isinstance(event, Opened) and not event.key:
            # Another run goes on from this one in memory, however it has ended.
            self._verdict, self._stopping = None, False
        elif self.end is not None:
            broken("ending", f"the run was over with {self.end!r}, and then came {event!r}")
        if self._stopping and isinstance(event, StepEntered | ConditionEvaluated | RunCompleted):
            broken("interruption", f"nothing came first, and nobody stopped the run: {event!r}")
        if self._verdict is not None and not isinstance(event, self._verdict):
            broken("conditions", f"its verdict was to be carried out, but {event!r} came")
        decided = isinstance(event, StepSkipped) and event.by_condition
        decided = decided or (isinstance(event, StepFailed) and event.in_condition)
        if decided and self._verdict is None:
            broken("conditions", f"{event!r} came, but the condition hadn't said so")
        self._verdict = None

    def _enter(self, event: StepEntered) -> None:
        model = self.model
        i = self._check_order(event)
        doubt = i in model.doubtful or (model.steps[i].conditional and model.ready != i)
        # What is closed is only built, whatever its condition says.
        if doubt and model.closing(i) is None:
            broken("conditions", f"{event!r} came before its condition was evaluated")
        asked = i in model.queue() or (i == model.first and model.on_detour)
        reason = model.reason(i, asked=asked)
        number = model.visits[i] + 1
        if (event.number, event.reason) != (number, reason):
            broken("reasons", f"{event!r} came: it is visit {number}, {reason.value}")
        self._ended = self._failing = None
        model.enter(i)

    def _check_order(self, event: StepEntered | ConditionEvaluated) -> int:
        model = self.model
        if model.active is not None:
            broken("reasons", f"{event!r} came during a visit to {model.names[model.active]!r}")
        i, expected = model.ids[event.step], model.next()
        if i != expected:
            name = None if expected is None else model.names[expected]
            asked = [model.names[j] for j in model.queue()]
            broken("order", f"{event!r} came, but it is the turn of {name!r}; asked for: {asked}")
        return i

    def _visited(self, event: StepCompleted | StepFailed | StepInterrupted) -> int:
        i = self.model.ids[event.step]
        if i != self.model.active:
            broken("reasons", f"{event!r} came, but no visit to this step was under way")
        return i

    def _compare(self, event: Event, i: int, told: bool, computed: bool) -> bool:
        if told != computed and not self._resumed:
            was = self.model.before.get(i, (self.model.kinds[i], None))[0].value.value
            text = "another" if computed else "no other"
            broken("changes", f"{event!r} came, but it is {text} outcome than before ({was})")
        return told

    def _finish(self, event: StepCompleted) -> None:
        model = self.model
        i = self._visited(event)
        computed = model.changes(i, Kind.DONE, event.value)
        changed = self._compare(event, i, event.changed, computed)
        model.active = None
        model.settle(i, Kind.DONE, event.value, stale="stale" in model.outdated)
        model.follow(i, changed=changed)

    def _skip(self, event: StepSkipped) -> None:
        model = self.model
        i = model.ids[event.step]
        self._end_visit(i, event)
        inside = [] if event.by_condition else model.skip_inside(i, settled=True)
        model.unqueue(i)
        model.doubtful.discard(i)
        changed = self._compare(event, i, event.changed, model.changes(i, Kind.SKIPPED))
        model.settle(i, Kind.SKIPPED)
        if not event.by_condition:
            model.skipped_by_request.add(i)
        for j, follows in inside:
            model.follow(j, changed=follows, given=i)
        model.follow(i, changed=changed)

    def _interrupt(self, event: StepInterrupted) -> None:
        model = self.model
        i = self._visited(event)
        self._stopping = not model.disturbed
        model.leave(i)
        if event.exception is not None:
            model.failures[i] = event.exception

    def _go_back(self, event: GoBackRequested) -> None:
        model = self.model
        targets = [model.ids[step] for step in event.steps]
        for i in targets:
            if (why := model.refusal(i, ahead=event.ahead)) is not None:
                broken("requests", f"{event!r} came, but {model.names[i]!r}: {why}")
        model.request(targets, ahead=event.ahead)

    def _fail(self, event: StepFailed) -> None:
        model = self.model
        i = model.ids[event.step] if event.in_condition else self._visited(event)
        stands = model.kinds[i] is Kind.DONE and model.settled(i)
        if event.in_condition:
            model.unqueue(i)
            model.doubtful.discard(i)
        else:
            model.active = None
            model.begun.add(i)
        model.failures[i] = event.exception
        self._failing = i
        computed = not stands and model.changes(i, Kind.FAILED)
        changed = self._compare(event, i, event.changed, computed)
        if not stands:
            outdated = "stale" in model.outdated and not event.in_condition
            model.settle(i, Kind.FAILED, stale=outdated)
            if event.in_condition:
                model.failed_by_condition.add(i)
        model.follow(i, changed=changed)

    def _answer(self, event: StepAnswered) -> None:
        model = self.model
        i = model.ids[event.step]
        self._end_visit(i, event)
        inside = model.skip_inside(i, settled=False)
        for j in model.inside(i):
            model.unqueue(j)
            model.first = None if j == model.first else model.first
        model.unqueue(i)
        was = (model.kinds[i], model.values[i])
        refuted = was[0] is Kind.SKIPPED and i not in model.skipped_by_request
        if refuted or i in model.doubtful:
            # Only the condition can tell whether it counts, when the step's turn comes.
            self._compare(event, i, event.changed, computed=False)
            model.before.setdefault(i, was)
            model.keep(i, Kind.DONE, event.value, stale=False, doubt=True)
            changed = None
        else:
            computed = model.changes(i, Kind.DONE, event.value)
            changed = self._compare(event, i, event.changed, computed)
            model.settle(i, Kind.DONE, event.value)
        for j, follows in inside:
            model.follow(j, changed=follows, given=i)
        if changed is not None:
            model.follow(i, changed=changed)

    def _end_visit(self, i: int, event: StepAnswered | StepSkipped) -> None:
        """Someone settles a step from outside, or its condition does."""
        model = self.model
        if (closed := model.closing(i)) is not None:
            broken("closed", f"{event!r} came, but it is behind the point of no return {closed!r}")
        if isinstance(event, StepSkipped) and not (event.by_condition or model.steps[i].optional):
            broken("requests", f"{event!r} came, but the step isn't optional")
        by_condition = isinstance(event, StepSkipped) and event.by_condition
        if i == model.active or (model.active in model.inside(i) and not by_condition):
            self._ended, model.active = model.active, None

    def _check_ended(self, event: AnswerSuperseded | CleanupFailed) -> int:
        i = self.model.ids[event.step]
        if i != self._ended:
            broken("answers", f"{event!r} came, but nobody had answered or skipped the step")
        return i

    def _evaluate(self, event: ConditionEvaluated) -> None:
        model = self.model
        i = self._check_order(event)
        read = tuple(model.ids[name] for name in event.read)
        if not model.steps[i].conditional or any(j >= i for j in read):
            broken("conditions", f"{event!r} came, but a condition only reads what is before it")
        model.reads[i] = read
        if not all(map(model.settled, read)):
            # What it read and isn't settled comes first.
            return
        if not event.holds:
            self._verdict = StepFailed if event.holds is None else StepSkipped
            return
        model.doubtful.discard(i)
        asked = i in model.queue()
        kind, value = model.kinds[i], model.values[i]
        refuted = kind is Kind.SKIPPED and (asked or i not in model.skipped_by_request)
        if refuted or i in model.failed_by_condition:
            model.before[i] = kind, value
            model.keep(i, Kind.NONE, stale=False, doubt=False)
            model.reopen_parts(i)
        resolved = kind is Kind.DONE and i in model.before and i not in model.stale
        computed = resolved and model.changes(i, Kind.DONE, value)
        changed = self._compare(event, i, event.changed, computed)
        if resolved:
            model.settle(i, Kind.DONE, value)
        if asked or not model.settled(i):
            model.ready = i
        if resolved:
            model.follow(i, changed=changed)

    def _open(self, event: Opened) -> None:
        """The run begins, or goes on after it was cut off anywhere."""
        self._ended = None
        model = self.model
        if (i := model.active) is not None:
            model.recovered.add(i)
            if model.requested or model.outdated or model.closing(i) is not None:
                model.leave(i)
            else:
                model.active = None
                model.begun.add(i)
                model.first = model.ready = i
        done = [i for i, kind in enumerate(model.kinds) if kind is Kind.DONE]
        gone = {i for i in done if model.values[i] is Gone.LOST}
        kept = {i for i in gone if model.closing(i) is not None}
        lost = sorted(i for i in gone - kept if not kept & set(model.inside(i)))
        if [model.names[i] for i in lost] != [*event.lost]:
            broken("resumption", f"{event!r} came, but what is lost: {lost}")
        for i in lost:
            model.values[i] = Gone.NEVER
            model.recovered.add(i)
            model.before.setdefault(i, (Kind.DONE, Gone.LOST))
            model.keep(i, Kind.NONE, stale=False, doubt=model.steps[i].conditional)
            model.reopen_parts(i)
        again = self._again(event)
        for i in again:
            model.run_again(i)
        if lost or again:
            model.give_way()
        self.end = self._failing = None

    def _again(self, event: Opened) -> list[int]:
        """Give what runs once more because it has failed: what ended the run, perhaps the rest."""
        model = self.model
        failing = self._failing if isinstance(self.end, RunFailed) else None
        ended = set[int]() if failing is None else {failing}
        failed = {i for i, kind in enumerate(model.kinds) if kind is Kind.FAILED}
        expected = (
            [name for i, name in enumerate(model.names) if i in some and model.closing(i) is None]
            for some in (ended, ended | failed)
        )
        if self.end is not None and [*event.again] not in [*expected, []]:
            broken("resumption", f"{event!r} came, but what had failed: {failed}")
        return [model.ids[name] for name in event.again]

    def _complete(self, event: RunCompleted) -> None:
        model = self.model
        self.end = event
        unsettled = [name for i, name in enumerate(model.names) if not model.settled(i)]
        asked = [model.names[i] for i in model.queue()]
        if unsettled or asked or model.active is not None:
            broken("ending", f"complete, but not settled: {unsettled}; asked for: {asked}")

    def check(self, run: Run) -> None:
        """Compare with what the run says of itself, when nothing more has happened.

        Raises:
            BrokenRuleError: if it says something else.
        """
        compare(self.model, run, resumed=self._resumed, values=self._compares)
