"""What may be typed at any prompt instead of an answer."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeAlias, final

from reflow import GoBackError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from reflow import AnyStep, Run, Visit

    from .console import Console

Give: TypeAlias = "Callable[[Run, str], None]"
"""Gives a run the answer to one step, as it was typed; raises `ValueError` with a sentence."""

HELP: Final = """\
Instead of an answer you can type:
  back                 to go to the step before
  back email name      to go to these steps, in this order, and then return
  answer email a@b.c   to answer or correct another step without going there
  skip                 to leave out what is optional
  where                to see what is done and what is to come
  help, quit
Enter alone keeps the answer that stands in [brackets].\
"""


@final
class Commands:
    """The commands for a flow.

    Args:
        steps: the steps of the flow.
        answers: what `answer STEP TEXT` does, by the id of the step.
    """

    def __init__(self, steps: Sequence[AnyStep], answers: Mapping[str, Give]) -> None:
        self.steps: Final = steps
        self._answers = answers

    def obey(self, visit: Visit[object], console: Console, line: str) -> bool:
        """Obey the line, if it is a command; say whether it is.

        What a command asks of the run is done at once; if it ends the visit, the next `await` of
        the step is cancelled.

        Raises:
            ValueError: if the command is refused: a sentence for the person.
        """
        run = visit.run
        word, *rest = line.split(maxsplit=1) or [""]
        text = "".join(rest)
        try:
            match word.lower():
                case "back":
                    self._back(visit, text.lower().replace(",", " ").split())
                case "answer":
                    self._answer(run, text)
                case "skip":
                    run.skip(text.lower() or visit.step)
                case "where":
                    console.where(run)
                case "help":
                    console.say(HELP)
                case "quit":
                    run.stop("you quit")
                case _:
                    return False
        except GoBackError as refused:
            raise ValueError(self._explain(refused)) from refused
        return True

    def _back(self, visit: Visit[object], steps: Sequence[str]) -> None:
        if steps:
            visit.run.go_back(*steps)
            return
        for step in reversed(self.steps[: self.steps.index(visit.step)]):
            # Whatever may not be gone back to, such as a skipped step, isn't meant.
            with suppress(GoBackError):
                visit.run.go_back(step)
                return
        message = "There is no step before this one."
        raise ValueError(message)

    def _answer(self, run: Run, text: str) -> None:
        name, *rest = text.split(maxsplit=1) or [""]
        step = next((step for step in self.steps if step.id == name.lower()), None)
        if step is None:
            message = f"Which step? Type: answer STEP TEXT. {self._list()}"
            raise ValueError(message)
        if step.id not in self._answers:
            message = f"{step.id} can only be answered at its own question."
            raise ValueError(message)
        self._answers[step.id](run, "".join(rest).strip())

    def _explain(self, refused: GoBackError) -> str:
        known = {step.id for step in self.steps}
        if not known.issuperset(refused.refused):
            # Without the word: it may be what only the answer to a sensitive step should hold.
            return f"There is no such step. {self._list()}"
        return reasons(refused)

    def _list(self) -> str:
        return f"The steps: {', '.join(step.id for step in self.steps)}."


def reasons(refused: GoBackError) -> str:
    """Say why steps can't be gone back to."""
    listed = "; ".join(f"{step} is {why}" for step, why in refused.refused.items())
    return f"Not possible: {listed}."
