"""The tools by which a language model steers a run, and what their calls do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, final

from ._errors import GoBackError, RunFinishedError, ToolCallError
from ._model_json import NoJSONError, inner_json, parsed_json, plain_json
from ._schemas import MisreadError, enumerated
from ._states import STALE
from ._tool import make_tool
from ._tooling import tooling_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ._codec_hooks import JSON
    from ._machine import Machine
    from ._step import AnyStep
    from ._tool import Tool

_GO_BACK: Final = (
    "Ask the user once more for one or several steps of this conversation, when they want to "
    "change or correct what they said, or to hear a question again. Whatever depends on an answer "
    "that changes is asked again by itself; then the conversation goes on where it was."
)
_ANSWER: Final = (
    "Note the answer of a step that the user has already given, ahead of the question or as a "
    "correction, so that the step need not be asked. Only note what the user said, never a guess."
)
_SKIP: Final = "Skip an optional step that the user doesn't want to answer."

_OVER: Final = "Nothing was done: the conversation is over."
_OLD: Final = (
    "Nothing was done: the conversation has gone on since this tool was offered. Look at what is "
    "asked now, and call the tool again only if that is still wanted."
)


class Steered(Protocol):
    """What the tools need of a run."""

    _machine: Machine
    _visits_before: int

    def _check_open(self, what: str) -> None: ...
    def _openable(self, what: str, step: AnyStep | str) -> int: ...
    def _validated(self, i: int, value: object) -> object: ...
    def _give(self, i: int, value: object) -> None: ...
    def go_back(self, *steps: AnyStep | str) -> None:
        """Ask for earlier steps again."""
        ...

    def skip(self, step: AnyStep | str) -> None:
        """Settle an optional step without an answer."""
        ...


def make_tools(run: Steered, *, constant: bool) -> tuple[Tool, ...]:
    """Make the tools of a run, for the visit that is under way.

    Args:
        run: the run.
        constant: name all steps that could ever be asked for.

    Raises:
        FlowError: naming every step whose values a model could not give.
    """
    machine = run._machine
    calls = _Calls(run)
    tooling = calls.tooling
    if constant:
        back, answerable, optional = tooling.revisitable, tooling.answerable, tooling.optional
    else:
        back = calls.possible_targets()
        answerable = calls.still_open(tooling.answerable)
        optional = calls.still_open(tooling.optional)
    flow = machine.plan.flow
    tools = [make_tool(flow, "go_back", _GO_BACK, tooling.go_back(back), calls.go_back)]
    if answerable:
        schema = tooling.answer(answerable)
        tools.append(make_tool(flow, "answer", _ANSWER, schema, calls.answer))
    if optional:
        tools.append(make_tool(flow, "skip", _SKIP, tooling.skip(optional), calls.skip))
    return tuple(tools)


def visits_begun(run: Steered) -> int:
    """Count the visits of a run that began in this process."""
    return run._machine.count_visits() - run._visits_before


@final
class _Calls:
    """What the tools of one visit do."""

    __slots__ = ("_made_for", "_run", "tooling")

    def __init__(self, run: Steered) -> None:
        self._run: Final = run
        self._made_for: Final = visits_begun(run)
        self.tooling: Final = tooling_of(run._machine.plan)

    def possible_targets(self) -> list[int]:
        """Give the steps that may be gone back to now."""
        refusal = self._run._machine.refusal
        return [i for i in self.tooling.revisitable if refusal(i, ahead=False) is None]

    def still_open(self, positions: list[int]) -> list[int]:
        """Give those of the steps that aren't behind a point of no return."""
        machine = self._run._machine
        if machine.closed < 0:
            return positions
        return [i for i in positions if machine.closed_by(i) is None]

    def go_back(self, given: object) -> str:
        """Do what a call of `go_back` asks for."""
        (steps,) = self._arguments("go_back", given, ("steps",))
        names = self._ids(steps)
        machine = self._run._machine
        try:
            self._run.go_back(*names)
        except GoBackError as error:
            reasons = (
                f"step {name!r} is {machine.refusal(machine.plan.ids[name], ahead=False)}"
                for name in error.refused
            )
            message = f"Nothing was done: {'; '.join(reasons)}. {self._choice()}"
            raise ToolCallError(message) from error
        order = ", ".join(machine.plan.names[i] for i in machine.queue())
        return f"Done. What is asked now, in this order: {order}."

    def answer(self, given: object) -> str:
        """Do what a call of `answer` asks for."""
        step, value = self._arguments("answer", given, ("step", "value"))
        i = self._openable("answer", step, self.tooling.answerable)
        answer = self._checked(i, self._read(i, value))
        machine = self._run._machine
        before = machine.marks.copy()
        self._run._give(i, answer)
        told = f"Noted the answer of step {machine.plan.names[i]!r}."
        if not machine.settled(i):
            told += " It counts if it turns out that the step is needed."
        pairs = enumerate(zip(before, machine.marks, strict=True))
        stale = [machine.plan.names[j] for j, (old, new) in pairs if ~old & new & STALE]
        return f"{told} Asked again because of it: {', '.join(stale)}." if stale else told

    def skip(self, given: object) -> str:
        """Do what a call of `skip` asks for."""
        (step,) = self._arguments("skip", given, ("step",))
        name = self._run._machine.plan.names[self._openable("skip", step, self.tooling.optional)]
        self._run.skip(name)
        return f"Step {name!r} is skipped."

    def _arguments(self, tool: str, given: object, names: tuple[str, ...]) -> list[JSON]:
        """Give the arguments of a call, if it comes in time.

        Raises:
            ToolCallError: if it doesn't, or if these are other arguments.
            FlowError: if it comes from another thread.
        """
        try:
            self._run._check_open(tool)
        except RunFinishedError as error:
            raise ToolCallError(_OVER) from error
        if visits_begun(self._run) - self._made_for > 1:
            raise ToolCallError(_OLD)
        wanted = f"give a JSON object with {' and '.join(map(repr, names))} and nothing else"
        try:
            found = plain_json(given)
            if type(found) is str:
                found = parsed_json(found)
        except NoJSONError as error:
            fault = f"the arguments can't be used, {error}"
        else:
            if type(found) is dict and found.keys() == set(names):
                return [found[name] for name in names]
            fault = "these are other arguments than the tool takes"
        raise ToolCallError(f"Nothing was done: {fault}; {wanted}.")

    def _ids(self, steps: JSON) -> list[str]:
        """Give the ids in what was given for `steps`: a single one needs no array."""
        ids = self._run._machine.plan.ids
        if type(steps) is str and steps not in ids:
            steps = inner_json(steps)
        items = steps if type(steps) is list else [steps]
        names = [name for name in items if type(name) is str and name in ids]
        if len(names) == len(items) > 0:
            return names
        # They are not quoted: what a model takes for an id may be anything.
        wrong = [
            str(i) for i, name in enumerate(items, 1) if type(name) is not str or name not in ids
        ]
        fault = f"no step has the id that is number {enumerated(wrong)} in 'steps'"
        fault = fault if items else "'steps' is empty"
        raise ToolCallError(f"Nothing was done: {fault}. {self._choice()}")

    def _openable(self, what: str, step: JSON, positions: list[int]) -> int:
        """Give the position of a step that is one of these, and may get an outcome."""
        machine = self._run._machine
        i = machine.plan.ids.get(step, -1) if type(step) is str else -1
        if i < 0:
            fault = "no step has this id"
        elif i not in positions:
            fault = f"step {machine.plan.names[i]!r} doesn't allow it"
        elif (closed := machine.closed_by(i)) is not None:
            fault = f"step {machine.plan.names[i]!r} is behind the point of no return {closed!r}"
        else:
            return i
        choice = self._names(self.still_open(positions))
        raise ToolCallError(f"Nothing was done: {fault}. Steps to {what}: {choice}.")

    def _read(self, i: int, value: JSON) -> object:
        """Read what was given as a step's answer."""
        plan = self._run._machine.plan
        cause: Exception | None = None
        try:
            return self.tooling.readers[i].read(value)
        except MisreadError as error:
            fault, cause = error.told(words=not plan.sensitive[i]), error
        except Exception as error:  # noqa: BLE001 - too deep, say
            fault, cause = f"it can't be read ({type(error).__name__})", error
        raise self._refused(i, fault, cause)

    def _checked(self, i: int, value: object) -> object:
        """Let the step's own check see an answer; give what it makes of it."""
        cause: Exception | None = None
        try:
            return self._run._validated(i, value)
        except ValueError as error:
            fault, cause = _said(error) or "it is not valid", error
            if self._run._machine.plan.sensitive[i]:
                fault = "it is not valid"
        except Exception as error:  # noqa: BLE001 - a defect of the author's, not of the model's
            fault, cause = f"it could not be checked ({type(error).__name__})", error
        raise self._refused(i, fault, cause)

    def _refused(self, i: int, fault: str, cause: Exception | None) -> ToolCallError:
        plan = self._run._machine.plan
        error = ToolCallError(
            f"Nothing was done: not an answer of step {plan.names[i]!r}: {fault.rstrip('.')}."
        )
        # Whatever was raised may quote the answer, or hold it.
        error.__cause__ = None if plan.sensitive[i] else cause
        return error

    def _choice(self) -> str:
        return f"Steps to go back to: {self._names(self.possible_targets())}."

    def _names(self, positions: Iterable[int]) -> str:
        return enumerated(self._run._machine.plan.names[i] for i in positions) or "none now"


def _said(error: ValueError) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - it may be made so that it can't be shown
        return ""
