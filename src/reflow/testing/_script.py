"""Scripts: what is answered, or done, at each visit to a step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self, TypeVar, final

from reflow import AnyStep, Run, Step, StepEntered

from ._compat import override

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from reflow import Event

T = TypeVar("T")


@final
class ScriptError(AssertionError):
    """A run and the script of its answers don't fit together: the message says where."""


@final
class Script:
    """What is answered at each visit to a step, so that the step's function isn't asked.

    ::

        script = Script().answer(email, "ada@exmaple.org", "ada@example.org")
        script.go_back(confirmed, email).answer(confirmed, True)

    Each method adds what happens at the next visits to one step, and returns the script. Steps that
    aren't in it run as always. One script can be used for any number of runs.

    An answer is given with `run.answer` when the visit begins: `validate=` of the step applies to
    it, and `on_completed` isn't called for it. To let a step raise something, or answer from
    within, leave it out of the script and let its deps do so.
    """

    def __init__(self) -> None:
        """Begin without anything scripted."""
        self._lines: Final[dict[AnyStep, list[Callable[[Run], object]]]] = {}

    def answer(self, step: Step[T], *answers: T) -> Self:
        """Answer the next visits to the step, one answer each."""
        return self.do(step, *(_answer(step, value) for value in answers))

    def go_back(self, at: AnyStep, *steps: AnyStep | str) -> Self:
        """Go back from the next visit to a step: `run.go_back(*steps)`.

        Args:
            at: the step whose visit is interrupted.
            steps: where to go back to.
        """
        return self.do(at, lambda run: run.go_back(*steps))

    def skip(self, step: AnyStep) -> Self:
        """Skip the step at its next visit: `run.skip(step)`."""
        return self.do(step, lambda run: run.skip(step))

    def do(self, step: AnyStep, *actions: Callable[[Run], object]) -> Self:
        """Do something else when the next visits to the step begin, one action each.

        If that doesn't interrupt or end the visit, the step's function runs: so
        `lambda run: None` lets one visit take place as always.

        Args:
            step: the step.
            actions: what is called with the run; what they return is ignored.
        """
        self._lines.setdefault(step, []).extend(actions)
        return self

    def check(self, steps: Iterable[AnyStep]) -> None:
        """See that all of it is for these steps.

        Raises:
            ScriptError: if it isn't: it names the others.
        """
        if others := ", ".join(map(repr, self._lines.keys() - set(steps))):
            raise ScriptError(f"the script has steps that the flow doesn't have: {others}")

    @override
    def __repr__(self) -> str:
        """Say how much there is for which step, but no answer."""
        return f"<Script: {_counted(self._lines)}>"


def _answer(step: Step[T], value: T) -> Callable[[Run], object]:
    return lambda run: run.answer(step, value)


def _counted(lines: dict[AnyStep, list[Callable[[Run], object]]]) -> str:
    return ", ".join(f"{len(left)} for {step.id!r}" for step, left in lines.items() if left)


@final
class Player:
    """An observer that does in one run what a script says."""

    def __init__(self, script: Script, run: Callable[[], Run]) -> None:
        """Begin with the whole script.

        Args:
            script: what is done when.
            run: gives the run that tells its events here.
        """
        self._run: Final = run
        self._left: Final = {step: [*lines] for step, lines in script._lines.items()}
        # An exception here would only switch this observer off.
        self.fault: BaseException | None = None

    def __call__(self, event: Event) -> None:
        """Do what is scripted for a visit that begins."""
        if self.fault is not None or not isinstance(event, StepEntered):
            return
        run = self._run()
        step = run.active
        if step is None or step.id != event.step or step not in self._left:
            # Not scripted, or another observer has answered it.
            return
        visit = f"visit {event.number} of step {event.step!r} ({event.reason.value})"
        try:
            if self._left[step]:
                self._left[step].pop(0)(run)
            else:
                message = f"the script has nothing left for {visit}: all of it was used before"
                self.fault = ScriptError(message)
        except Exception as exc:  # noqa: BLE001 - raised where the test waits
            exc.add_note(f"from the script, for {visit}")
            self.fault = exc
        if self.fault is not None:
            run.stop(f"the script has a fault, at {visit}")

    def check(self) -> None:
        """See that nothing is left over.

        Raises:
            ScriptError: if something is: it says how much, and for which steps.
        """
        if left := _counted(self._left):
            raise ScriptError(
                f"the run is complete, but its script has something left over: {left}"
            )
