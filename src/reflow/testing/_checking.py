"""`check_flow`: a property test for any flow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, Generic, Literal, TypeAlias, cast, final

from reflow import FlowError, MemoryJournal

from ._compat import D
from ._guarding import AbandonedError, Guard
from ._rules import RULES, BrokenRuleError, FlowCheckError
from ._scrutiny import Scrutiny
from ._walking import KEY, Walk

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from hypothesis.strategies import SearchStrategy

    from reflow import AnyStep, Flow

    from ._moves import Request, Schedule

Backends: TypeAlias = "Collection[Literal['asyncio', 'trio']]"

_REQUESTS: Final[tuple[Request, ...]] = ("go_back", "retake", "answer", "skip", "stop", "cancel")


def check_flow(
    flow: Flow[D],
    deps: Callable[[], D] | None = None,
    *,
    answers: Mapping[AnyStep, Iterable[object] | SearchStrategy[object]] | None = None,
    requests: Collection[Request] = _REQUESTS,
    may_raise: type[Exception] | tuple[type[Exception], ...] = (),
    ignore: Collection[Literal["equality", "mutation"]] = (),
    backends: Backends | None = None,
    examples: int = 100,
) -> None:
    """Test whether a flow keeps to the rules, whatever happens and whenever it does.

    A property test for a plain test function::

        def test_intake() -> None:
            check_flow(intake, answers={name: ["Ada", "Bob"], plan: list(Plan)})

    It drives the flow by random schedules: someone goes back, answers early or once more, skips,
    stops or cancels, before, between and in the middle of the visits; the process dies anywhere,
    and another one goes on from the journal (where the types of the steps can be stored). All of
    it is compared with a small model of the rules. What breaks one is reported with the shortest
    schedule that was found. Time is virtual. The schedules are the same each time.

    It finds steps that read answers which needn't be there, conditions that depend on more than
    they read, answers that are changed in place or whose `==` can't be relied on, steps that
    can't be interrupted, go round in circles or leave tasks behind; and defects of reflow.

    Args:
        flow: the flow. Steps without `answers` run as always.
        deps: makes what steps reach as `visit.deps`, once for each run: fakes that answer.
        answers: what steps are answered, so that their functions don't run: for each step some
            values, or a strategy of hypothesis. Of the step's type, and fit for its `validate=`.
        requests: what is asked of the runs: everything but "jump_ahead" unless said otherwise. That
            is only for programs that do so: then steps come although others, whose answers they
            may rely on, are still to come.
        may_raise: what steps and conditions may raise; anything else is a fault.
        ignore: "equality", if there are answers that aren't equal to themselves; "mutation", if
            answers are meant to change in place.
        backends: "asyncio", "trio" or both; unless said otherwise, those that are installed.
        examples: how many schedules are tried on each.

    Raises:
        FlowCheckError: if a rule is broken; an AssertionError.
        FlowError: if what it was called with doesn't fit the flow: all faults at once.
        ImportError: if hypothesis isn't installed.
    """
    try:
        from hypothesis import HealthCheck, Phase, given, settings  # noqa: PLC0415 - only here
        from hypothesis import strategies as st  # noqa: PLC0415
        from hypothesis.errors import Flaky  # noqa: PLC0415

        from ._schedules import schedules  # noqa: PLC0415
    except ImportError as exc:
        message = f"check_flow needs {exc.name}: python -m pip install hypothesis"
        raise ImportError(message, name=exc.name) from exc
    check: FlowCheck[D] = FlowCheck(flow, deps, may_raise, ignore, backends or _installed())
    strategies = {
        i: st.sampled_from(values) if isinstance(values, Sequence) else values
        for i, values in _checked(flow, answers or {}).items()
    }

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
        print_blob=False,
    )
    @given(schedules(len(flow.steps), [*requests], strategies, cuts=check.is_stored()))
    def test(schedule: Schedule) -> None:
        check.play(schedule)

    try:
        test()
    except _Enough:
        raise check.found from None
    except FlowCheckError as found:
        # Anew: hypothesis has added how it found it, which the message says in other words.
        raise FlowCheckError(str(found), found.rule, found.schedule) from found.__cause__
    except Flaky:
        last = check.found
        message = (
            f"{last}\nIt didn't happen again when the same was done once more: it depends on "
            "something outside of the flow (a clock, chance, what an earlier run has left)"
        )
        raise FlowCheckError(message, last.rule, last.schedule) from last.__cause__


@final
class _Enough(BaseException):
    """Ends the search: hypothesis doesn't look for a shorter schedule, each would cost a thread."""


@final
class FlowCheck(Generic[D]):
    """Plays schedules with one flow."""

    def __init__(
        self,
        flow: Flow[D],
        deps: Callable[[], D] | None,
        may_raise: type[Exception] | tuple[type[Exception], ...],
        ignore: Collection[str],
        backends: Backends,
    ) -> None:
        self._flow: Final = flow
        # Left out where D is None, or where no step that runs needs any.
        self._deps: Final = deps or (lambda: cast("D", None))
        self._may_raise: Final = may_raise if isinstance(may_raise, tuple) else (may_raise,)
        self._ignore: Final = ignore
        self._backends: Final = backends
        self.found: FlowCheckError

    def is_stored(self) -> bool:
        """Say whether the flow can be kept in a journal."""
        try:
            self._flow.prepare(cast("D", None), journal=MemoryJournal(), key=KEY)
        except (FlowError, ImportError):
            return False
        return True

    def play(self, schedule: Schedule) -> None:
        """Do what a schedule says on every backend.

        Raises:
            FlowCheckError: if a rule is broken.
        """
        scrutiny = Scrutiny(self._may_raise, self._ignore)
        for backend in self._backends:
            guard = Guard()
            walk = Walk(self._flow, self._deps, schedule, scrutiny, guard)
            try:
                guard.run(walk.walk, backend)
            except BrokenRuleError as fault:
                self.found = self._report(fault, backend, walk.lines)
                raise self.found from fault.__cause__
            except AbandonedError:
                rule, trouble = "interruption", "a step goes round in circles"
                if isinstance(walk.fault, BrokenRuleError):
                    rule, trouble = walk.fault.rule, str(walk.fault)
                trouble += "; when the run is stopped, the step doesn't end: is it shielded, or "
                trouble += "does it swallow its cancellation?"
                self.found = self._report(BrokenRuleError(rule, trouble), backend, walk.lines)
                raise _Enough from None

    def _report(self, fault: BrokenRuleError, backend: str, lines: list[str]) -> FlowCheckError:
        done = "".join(f"\n  {line}" for line in lines)
        message = (
            f"flow {self._flow.name!r} on {backend} breaks the rule {fault.rule!r}: {fault}\n"
            f"The rule: {RULES[fault.rule]}.\nWhat was done, and happened:{done}"
        )
        return FlowCheckError(message, fault.rule, lines)


def _installed() -> Backends:
    if find_spec("trio") is None:
        return ["asyncio"]
    return ["asyncio", "trio"]


def _checked(
    flow: Flow[D], answers: Mapping[AnyStep, Iterable[object] | SearchStrategy[object]]
) -> dict[int, Sequence[object] | SearchStrategy[object]]:
    """See that answers are given by step, some for each; give them by position.

    Raises:
        FlowError: if they aren't.
    """
    faults: list[str] = []
    found: dict[int, Sequence[object] | SearchStrategy[object]] = {}
    if not flow.steps:
        faults.append("it has no steps")
    for step, values in answers.items():
        if step not in flow.steps:
            faults.append(f"answers= names {step!r}, which is not a step of it")
        elif isinstance(values, str | bytes):
            faults.append(f"answers= for step {step.id!r} must be a list, not one text")
        elif not isinstance(values, Iterable):
            found[flow.steps.index(step)] = values
        elif not (listed := [*values]):
            faults.append(f"answers= for step {step.id!r} has none")
        else:
            found[flow.steps.index(step)] = listed
    if faults:
        raise FlowError("\n".join(f"check_flow of flow {flow.name!r}: {fault}" for fault in faults))
    return found
