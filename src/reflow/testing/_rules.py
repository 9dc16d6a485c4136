"""What `check_flow` checks, and the error that says what is broken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Never, final

if TYPE_CHECKING:
    from collections.abc import Iterable

RULES: Final = {
    "order": "the next step is the head of the detour, but first what that needs; or else the "
    "first step in flow order that isn't settled",
    "requests": "a request is refused only for one of the documented reasons, and then changes "
    "nothing; an accepted one is served, in order",
    "reasons": "visits are counted from 1, one at a time, and say why they take place",
    "changes": "an outcome has changed if it isn't equal to the one before; exactly what is based "
    "on it becomes stale, or doubtful",
    "conditions": "a condition is evaluated when its step's turn comes, reads only steps before "
    "it, and decides whether the step runs or is skipped",
    "purity": "a condition that reads the same answers says the same",
    "closed": "what is behind a point of no return isn't visited, answered or skipped",
    "answers": "no answer is lost: what the results say is what was answered last",
    "mutation": "an answer isn't changed in place after it was given",
    "equality": "an answer is equal to itself, whichever side it is on",
    "interruption": "a visit is interrupted only because something else comes first",
    "failures": "no step raises, but what is expected; no failure is lost",
    "ending": "a run comes to an end, and says how",
    "tasks": "no task is left behind",
    "resumption": "a run that goes on from a journal, cut off anywhere, goes on as before",
}
"""The rules by name, as an error shows them."""


@final
class BrokenRuleError(Exception):
    """A rule is broken, in one run."""

    def __init__(self, rule: str, trouble: str) -> None:
        """Say which one and how."""
        super().__init__(trouble)
        self.rule: Final = rule


def broken(rule: str, trouble: str) -> Never:
    """Say that a rule is broken.

    Raises:
        BrokenRuleError: always.
    """
    raise BrokenRuleError(rule, trouble)


@final
class FlowCheckError(AssertionError):
    """`check_flow` found a fault: the message says what, and what leads there.

    Attributes:
        rule: the name of the rule that is broken.
        schedule: what was done in the run that broke it, a line each.
    """

    rule: str
    schedule: tuple[str, ...]

    def __init__(self, message: str, rule: str, schedule: Iterable[str]) -> None:
        """Keep the rule and the schedule beside the text that is made of them."""
        super().__init__(message)
        self.rule = rule
        self.schedule = tuple(schedule)
