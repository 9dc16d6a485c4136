"""The rules by which `check_flow` judges: each event that breaks one is found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest
from checked_flows import FAULTS
from support import never

from reflow import (
    AnswerSuperseded,
    CallbackFailed,
    CleanupFailed,
    ConditionEvaluated,
    Event,
    Flow,
    GoBackRequested,
    Opened,
    Reason,
    RequestsDropped,
    RunCancelled,
    RunCompleted,
    RunFailed,
    RunStarted,
    StepAnswered,
    StepCompleted,
    StepEntered,
    StepFailed,
    StepInterrupted,
    StepSkipped,
    StepsMadeStale,
    Visit,
)
from reflow.testing._following import Follower
from reflow.testing._rules import RULES, BrokenRuleError

if TYPE_CHECKING:
    from reflow import Run


def a_flow() -> Flow[None]:
    """Make a flow with a step of each kind."""
    flow = Flow("f")
    a = flow.step("a", id="a")(never)
    b = flow.step("b", id="b", depends_on=[a])(never)
    flow.step("c", id="c", when=lambda r: r[b] == "yes", revisitable=False)(never)
    flow.step("charge", id="charge", point_of_no_return=True)(never)
    flow.step("e", id="e", sensitive=True)(never)
    return flow


def entered(step: str, number: int = 1, reason: Reason = Reason.FIRST) -> Event:
    """Enter a step."""
    return StepEntered(step, number, reason)


def completed(step: str, number: int = 1, value: str = "x", *, changed: bool = False) -> Event:
    """Complete a step."""
    return StepCompleted(step, number, value, changed)


ERROR = ValueError()
A = (RunStarted("f"), entered("a"), completed("a"))
AB = (*A, entered("b"), completed("b"))
ABC = (*AB, ConditionEvaluated("c", holds=False, read=("b",)), StepSkipped("c", False, True))
CHARGED = (*ABC, entered("charge"), completed("charge"))
AGAIN = (*A, entered("b"), GoBackRequested(("a",)), StepInterrupted("b", 1))

BROKEN: dict[str, tuple[tuple[Event, ...], str, str]] = {
    "two visits": ((*A[:2], entered("b")), "reasons", "during a visit to 'a'"),
    "order": ((*A, entered("e")), "order", "the turn of 'b'; asked for: ..$"),
    "more than there is": (
        (*CHARGED, entered("e"), completed("e"), entered("e", 2)),
        "order",
        "None",
    ),
    "detour": ((*AGAIN, entered("b", 2, Reason.RESUMED)), "order", "'a'; asked for: .'a'"),
    "number": ((*A, entered("b", 2)), "reasons", "it is visit 1, first"),
    "reason": ((*AGAIN, entered("a", 2, Reason.STALE)), "reasons", "it is visit 2, requested"),
    "nobody's answer": ((*A, completed("b")), "reasons", "no visit to this step was under way"),
    "unevaluated": ((*AB, entered("c")), "conditions", "before its condition was evaluated"),
    "reads what comes": (
        (*AB, ConditionEvaluated("c", holds=True, read=("e",))),
        "conditions",
        "only reads what is before",
    ),
    "no condition": (
        (*A, ConditionEvaluated("b", holds=True, read=())),
        "conditions",
        "only reads",
    ),
    "verdict": ((*ABC[:-1], entered("charge")), "conditions", "verdict was to be carried out"),
    "no verdict": ((*AB, StepSkipped("c", False, True)), "conditions", "hadn't said so"),
    "no verdict of failure": (
        (*AB, StepFailed("c", 0, ValueError(), changed=False, in_condition=True)),
        "conditions",
        "hadn't said so",
    ),
    "changed": ((*A[:2], completed("a", changed=True)), "changes", "no other outcome .* .pending"),
    "not changed": (
        (*AGAIN, entered("a", 2, Reason.REQUESTED), completed("a", 2, "y")),
        "changes",
        "another outcome than before .done",
    ),
    "not made stale": (
        (
            *AB,
            StepAnswered("a", "y", changed=True),
            ConditionEvaluated("c", holds=True, read=("b",)),
        ),
        "changes",
        r"StepsMadeStale.by='a', steps=.'b',.* was to follow",
    ),
    "made stale": ((*A, StepsMadeStale("a", ("b",))), "changes", "there is no reason for it"),
    "not dropped": (
        (*ABC, entered("charge"), GoBackRequested(("a",)), completed("charge"), entered("e")),
        "closed",
        "RequestsDropped.* was to follow",
    ),
    "dropped": ((*A, RequestsDropped("a", ("b",))), "closed", "there is no reason for it"),
    "closed answer": (
        (*CHARGED, StepAnswered("a", "y", changed=True)),
        "closed",
        "behind the point of no return 'charge'",
    ),
    "closed request": ((*CHARGED, GoBackRequested(("a",))), "requests", "'a': behind the point"),
    "request ahead": ((*A, GoBackRequested(("b",))), "requests", "'b': not visited yet"),
    "not revisitable": (
        (*A, GoBackRequested(("a", "c"), ahead=False)),
        "requests",
        "'c': not revisitable",
    ),
    "not optional": ((*A, StepSkipped("b", False, False)), "requests", "isn't optional"),
    "superseded": ((*A, AnswerSuperseded("a", 1, "y")), "answers", "nobody had answered"),
    "cleanup": ((*A, CleanupFailed("a", 1, ValueError())), "answers", "nobody had answered"),
    "interrupted": (
        (*A[:2], StepInterrupted("a", 1), entered("a", 2, Reason.RESUMED)),
        "interruption",
        "nothing came first",
    ),
    "incomplete": ((*A, RunCompleted()), "ending", "not settled: .'b', 'c', 'charge', 'e'"),
    "after the end": (
        (*CHARGED, entered("e"), completed("e"), RunCompleted(), entered("e", 2)),
        "ending",
        "the run was over",
    ),
    "lost": ((Opened("k", "r", resumed=True, lost=("e",)),), "resumption", "what is lost: .."),
    "again": (
        (*A, RunCancelled(), Opened("", "r", resumed=True, again=("a",))),
        "resumption",
        "what had failed",
    ),
}


ALLOWED: dict[str, tuple[tuple[Event, ...], tuple[Event, ...]]] = {
    "a condition that reads what isn't settled": (
        (
            *A[:2],
            GoBackRequested(("charge", "c"), ahead=True),
            StepInterrupted("a", 1, ValueError()),
            entered("charge", 1, Reason.REQUESTED),
            completed("charge"),
            ConditionEvaluated("c", holds=None, read=("b",)),
            entered("a", 2, Reason.RESUMED),
            completed("a", 2),
            entered("b"),
        ),
        (),
    ),
    "a visit that was ended by an answer, and has its say": (
        (
            *(*A[:2], StepAnswered("a", "y", changed=False)),
            *(AnswerSuperseded("a", 1, "z"), CleanupFailed("a", 1, ValueError())),
        ),
        (),
    ),
    "a callback that raises": ((*A, CallbackFailed("a", ValueError()), entered("b")), ()),
    "a request for a step that is closed meanwhile": (
        (
            *A[:2],
            StepAnswered("charge", "x", changed=False),
            GoBackRequested(("a",)),
            completed("a"),
            RequestsDropped("charge", ("a",)),
            entered("b"),
        ),
        (),
    ),
    "what a step that was cut off needs": (
        (
            *(*A, entered("b"), completed("b", value="yes")),
            *(ConditionEvaluated("c", holds=True, read=("b",)), entered("c")),
            *(StepAnswered("a", "y", changed=True), StepsMadeStale("a", ("b",))),
        ),
        (
            Opened("k", "r", resumed=True),
            *(entered("b", 2, Reason.STALE), completed("b", 2, "yes")),
            *(ConditionEvaluated("c", holds=True, read=("b",)), entered("c", 2, Reason.RECOVERED)),
        ),
    ),
    "something that comes before a step that was cut off": (
        (
            *AB[:-1],
            GoBackRequested(("a",)),
            completed("b"),
            entered("a", 2, Reason.REQUESTED),
            completed("a", 2, "y", changed=True),
            StepsMadeStale("a", ("b",)),
            GoBackRequested(("b",)),
            entered("b", 2, Reason.REQUESTED),
            StepAnswered("a", "z", changed=True),
            StepsMadeStale("a", ("b",)),
        ),
        (Opened("k", "r", resumed=True), entered("b", 3, Reason.RECOVERED)),
    ),
    "an answer that a step goes by which was cut off": (
        (*A, entered("b")),
        (
            Opened("k", "r", resumed=True),
            RunStarted("f"),
            StepAnswered("a", "z", changed=True),
            entered("b", 2, Reason.RECOVERED),
        ),
    ),
    "a failed revisit in a run that goes on in memory": (
        (
            *A,
            entered("b"),
            GoBackRequested(("a",)),
            StepInterrupted("b", 1),
            entered("a", 2, Reason.REQUESTED),
            StepFailed("a", 2, ERROR, changed=False),
            RunFailed(ERROR),
            Opened("", "r", resumed=True, again=("a",)),
            RunStarted("f"),
            entered("a", 3, Reason.RECOVERED),
        ),
        (),
    ),
    "a failed step in a run that goes on in memory": (
        (*A[:2], StepFailed("a", 1, ERROR, changed=False), RunFailed(ERROR)),
        (
            Opened("", "r", resumed=True, again=("a",)),
            RunStarted("f"),
            entered("a", 2, Reason.RECOVERED),
        ),
    ),
    "a sensitive answer that is needed first": (
        (
            RunStarted("f"),
            StepAnswered("e", "x", changed=False, sensitive=True),
            entered("a"),
        ),
        (
            Opened("k", "r", resumed=True, lost=("e",)),
            entered("a", 2, Reason.RECOVERED),
        ),
    ),
}


@pytest.mark.parametrize(("events", "after"), ALLOWED.values(), ids=ALLOWED)
def test_allowed(events: tuple[Event, ...], after: tuple[Event, ...]) -> None:
    """What rarely happens is no fault: in one process, or in the one that goes on."""
    follower = Follower(a_flow().steps, compares=True)
    if after:
        follower.resume(events)
    for event in after or events:
        follower.follow(event)
    assert not follower.model.due


@pytest.mark.parametrize(("events", "rule", "text"), BROKEN.values(), ids=BROKEN)
def test_broken(events: tuple[Event, ...], rule: str, text: str) -> None:
    """Only the last event is one too many, and it is said which rule it breaks."""
    follower = Follower(a_flow().steps, compares=True)
    for event in events[:-1]:
        follower.follow(event)
    with pytest.raises(BrokenRuleError, match=text) as raised:
        follower.follow(events[-1])
    assert raised.value.rule == rule
    assert rule in RULES


def test_every_rule_is_broken_somewhere() -> None:
    """So that none of them is only a promise."""
    broken = {rule for _, rule, _ in BROKEN.values()} | {rule for _, rule, _ in FAULTS.values()}
    assert broken | {"tasks"} == RULES.keys()


async def driven(events: tuple[Event, ...]) -> tuple[Follower, Run]:
    """Give what follows a run, after other events than those of the run."""
    flow = Flow("f")
    for name in "ab":

        async def act(visit: Visit) -> str:
            return "x"

        flow.step(name, id=name, sensitive=name == "b")(act)
    run = flow.prepare()
    await run.drive()
    follower = Follower(flow.steps, compares=True)
    for event in events:
        follower.follow(event)
    return follower, run


AFTER: dict[str, tuple[tuple[Event, ...], str, str]] = {
    "active": (A[:2], "reasons", "run.active is None, but it is 'a' that is visited"),
    "detour": ((*A, GoBackRequested(("a",))), "requests", r"run.detour is \[\], but asked .*'a'"),
    "answer": ((*A[:2], completed("a", value="y")), "answers", r"'x'\), but it is Done\(value='y'"),
    "done": (A, "answers", r"'b'\) is Done\(value=<sensitive>\), but it is .*pending"),
    "failed": (
        (*A[:2], StepFailed("a", 1, ValueError(), changed=False)),
        "answers",
        r"'a'\) is Done\(value='x'\), but it is .*failed",
    ),
}


@pytest.mark.parametrize(("events", "rule", "text"), AFTER.values(), ids=AFTER)
def test_what_the_run_says(events: tuple[Event, ...], rule: str, text: str) -> None:
    """It has to agree with what it told."""

    async def main() -> None:
        follower, run = await driven(events)
        follower.check(run)

    with pytest.raises(BrokenRuleError, match=text) as raised:
        anyio.run(main)
    assert raised.value.rule == rule


def test_failures_that_the_run_forgets() -> None:
    """Each has to be among the exceptions of the results."""

    async def main() -> None:
        x = StepCompleted("b", 1, "x", changed=False)
        follower, run = await driven((*A, entered("b"), x))
        follower.model.values[:] = [run.results[step] for step in follower.model.steps]
        follower.model.callback_failures[0] = ValueError()
        follower.check(run)

    with pytest.raises(BrokenRuleError, match=r"are \[\], but there were \['ValueError'\]"):
        anyio.run(main)
