"""The rules that stand in for a language model: which tools are called for what a person says.

They go by what any model is told, the instructions of the task and its tools, and by nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

import attrs

from reflow.demo.answers import parse_plan
from reflow.demo.intake import intake, plan
from reflow.demo.words import FEWEST

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .wishes import Reader

_TASK: Final = "Your task: "
_WORDS: Final = "Ask in these words:\n"


def instructions(step: str, description: str, words: str) -> str:
    """Tell a model what to do in the task of a step.

    Args:
        step: its id.
        description: what is asked for.
        words: the question, behind whatever is to be said before it.
    """
    return (
        f"{_TASK}{step}\n"
        f"Ask the user for {description}. Call `record` with the answer, as they said it. If the "
        f"answer before shall stand, and there is such a tool, call `keep`. {_WORDS}{words}"
    )


def read(told: str) -> tuple[str, str]:
    """Read instructions.

    Returns:
        The id of the step, and the words to ask in.
    """
    head, _, words = told.partition(_WORDS)
    return head.partition("\n")[0].removeprefix(_TASK), words


@final
@attrs.frozen
class Call:
    """A call of a tool."""

    tool: str
    # It may hold the answer to a sensitive step.
    arguments: Mapping[str, object] = attrs.field(factory=dict[str, object], repr=False)


@final
@attrs.frozen
class Heard:
    """What there is to react to.

    Attributes:
        text: what the user said.
        step: the id of the step that is asked.
        tools: by the name of each tool, the ids of the steps that it can be called with.
    """

    text: str = attrs.field(repr=False)
    step: str
    tools: Mapping[str, Sequence[str]]

    def choices(self, tool: str) -> Sequence[str]:
        """Give the steps that a tool can be called with; none if there is no such tool."""
        return self.tools.get(tool, ())


async def react(heard: Heard, reader: Reader) -> list[Call]:
    """Decide what to call: a tool for each part of what was said, with semicolons between.

    Args:
        heard: what was said, and what can be done.
        reader: reads free text.

    Raises:
        ValueError: if a part of it can't be done: a sentence for the user. Nothing is to be called.
    """
    return [await _call(part.strip(), heard, reader) for part in heard.text.split(";")]


async def _call(part: str, heard: Heard, reader: Reader) -> Call:
    word, _, rest = part.partition(" ")
    rest = rest.strip()
    match word.lower():
        case "" if "keep" in heard.tools:
            return Call("keep")
        case "back":
            return _back(rest.lower().replace(",", " ").split(), heard)
        case "skip":
            return _skip(rest.lower() or heard.step, heard)
        case "answer":
            step, _, answer = rest.partition(" ")
            return _answer(step.lower(), answer.strip(), heard)
        case _:
            pass
    # What is typed at the sensitive question is for nobody else.
    if len(part.split()) >= FEWEST and heard.step not in _SENSITIVE:
        possible = heard.choices("out_of_scope")
        wanted = [step for step in await reader(part, heard.step) if step in possible]
        if wanted:
            return Call("out_of_scope", {"task_ids": wanted})
    return Call("record", {"text": part})


def _back(steps: Sequence[str], heard: Heard) -> Call:
    possible = heard.choices("out_of_scope")
    if not steps:
        before = _IDS[: _IDS.index(heard.step)]
        steps = [step for step in before if step in possible][-1:]
        if not steps:
            message = "There is no step before this one."
            raise ValueError(message)
    if not {*possible, heard.step}.issuperset(steps):
        # Without the word: it may be what only the answer to a sensitive step should hold.
        message = f"You can go back to: {', '.join(possible) or 'nothing yet'}."
        raise ValueError(message)
    return Call("out_of_scope", {"task_ids": [*steps]})


def _skip(step: str, heard: Heard) -> Call:
    if step not in heard.choices("skip"):
        message = "Only what is optional can be left out, and as long as it is open."
        raise ValueError(message)
    return Call("skip", {"step": step})


def _answer(step: str, answer: str, heard: Heard) -> Call:
    if step == heard.step:
        return Call("record", {"text": answer})
    possible = heard.choices("answer")
    if step not in possible:
        message = f"Which step? Type: answer STEP TEXT. The steps: {', '.join(possible)}."
        raise ValueError(message)
    # The plans have names in the schema.
    value = parse_plan(answer).name if step == plan.id else answer
    return Call("answer", {"step": step, "value": value})


_IDS: Final = [step.id for step in intake.steps]
_SENSITIVE: Final = {step.id for step in intake.steps if step.sensitive}
