"""`check_flow`: it finds the faults of flows, and none in flows that have none."""

from __future__ import annotations

import asyncio
import runpy
import sys
import threading
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import pytest
import trio
from checked_flows import (
    FAULTS,
    REQUESTS,
    good,
    lopsided,
    never_equal,
    not_a_number,
    number,
    one,
    raising_condition,
    shared,
)
from hypothesis import strategies as st

from reflow import Flow, FlowError, Visit
from reflow.demo import intake as demo
from reflow.demo.answers import Card, Doctor, Plan
from reflow.testing import FlowCheckError, check_flow

if TYPE_CHECKING:
    from collections.abc import Callable


EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize(("make", "rule", "text"), FAULTS.values(), ids=FAULTS)
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_faults(make: Callable[[], Flow[None]], rule: str, text: str, backend: str) -> None:
    """Each is found, on each backend, and said by the name of the rule."""
    with pytest.raises(FlowCheckError, match=text) as raised:
        check_flow(make(), backends=["asyncio" if backend == "asyncio" else "trio"], examples=500)
    assert raised.value.rule == rule


def test_the_report() -> None:
    """It says what broke which rule, and what was done: the shortest that does it."""
    with pytest.raises(FlowCheckError) as raised:
        check_flow(raising_condition())
    first, *others = str(raised.value).splitlines()
    assert first.startswith("flow 'f' on asyncio breaks the rule 'failures': StepFailed(step='b',")
    assert others == [
        "The rule: no step raises, but what is expected; no failure is lost.",
        "What was done, and happened:",
        "  visit 1 of a (first)",
        "  run.go_back(a)",
        "    interrupted",
        "  visit 2 of a (requested)",
        "    returned 2",
        "    the condition of b raised ZeroDivisionError",
    ]
    assert raised.value.schedule[1] == "run.go_back(a)"
    assert isinstance(raised.value.__cause__, ZeroDivisionError)
    assert not getattr(raised.value, "__notes__", [])


def test_the_demo() -> None:
    """Its intake has no faults, however people go back and forth in it."""
    check_flow(
        demo.intake,
        answers={
            demo.name: ["Ada Lovelace", "Grace Hopper"],
            demo.email: ["ada@example.org", "grace@example.org"],
            demo.phone: ["030123456"],
            demo.birthday: st.dates(date(1900, 1, 1), date(2000, 1, 1)),
            demo.plan: list(Plan),
            demo.members: [["Alan"], ["Alan", "Edsger"]],
            demo.doctor: list(Doctor),
            demo.card: [Card("4111111111111111")],
            demo.confirmed: [True],
        },
        requests=REQUESTS,
    )


class Page:
    """What the steps of the examples talk to: it gives them what is typed."""

    def __init__(self, *answers: str) -> None:
        """Type the last of the answers again and again."""
        self.answers = [*answers]

    async def ask(self, question: str, field: str = "") -> str:
        """Answer when asked to."""
        await anyio.sleep(1)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.mark.parametrize(
    ("name", "flow", "answers"), [("chat", "sign_up", "yes"), ("wizard", "booking", "3")]
)
def test_the_examples(name: str, flow: str, answers: str) -> None:
    """Neither have they."""
    example = runpy.run_path(str(EXAMPLES / f"{name}.py"))
    found = example[flow]
    assert isinstance(found, Flow)
    check_flow(found, lambda: Page("1", "2", answers), examples=30)


def test_a_good_flow() -> None:
    """With steps that run and steps that are answered, whatever is asked of it."""
    flow, (_, b, *_) = good()
    check_flow(flow, requests=REQUESTS, examples=40)
    check_flow(flow, answers={b: range(3)}, requests=REQUESTS, examples=40)
    check_flow(flow, requests=(), examples=5)


def test_a_flow_that_cant_be_stored() -> None:
    """Its runs aren't cut off then."""

    async def act(visit: Visit) -> object:
        return 1

    flow = Flow("f")
    flow.step("a", id="a")(act)
    check_flow(flow)


@pytest.mark.parametrize("kinds", [ZeroDivisionError, (ValueError, ZeroDivisionError)])
def test_what_steps_may_raise(kinds: type[Exception] | tuple[type[Exception], ...]) -> None:
    """What is expected is no fault."""
    check_flow(raising_condition(), may_raise=kinds, examples=20)


@pytest.mark.parametrize("make", [never_equal, lopsided, shared, not_a_number])
def test_what_answers_may_be_like(make: Callable[[], Flow[None]]) -> None:
    """What is meant as it is, is no fault."""
    check_flow(make(), ignore={"equality", "mutation"}, examples=20)


def test_answers_that_cant_be_copied() -> None:
    """Whether they change can't be seen then, and isn't looked at; nor can they be compared."""

    async def act(visit: Visit) -> object:
        return threading.Lock()

    async def other(visit: Visit) -> object:
        return object()

    flow = Flow("f")
    flow.step("a", id="a")(act)
    flow.step("b", id="b")(other)
    flow.step("c", id="c")(one)
    check_flow(flow, examples=20)


def test_answers_that_validate_refuses() -> None:
    """A correction may be refused; what a visit is answered mustn't be: the test is wrong then."""
    flow, (_, b, *_) = good()
    with pytest.raises(ValueError, match="-1") as raised:
        check_flow(flow, answers={b: [-1]})
    assert "in check_flow(..., answers=...): step 'b' doesn't take that" in raised.value.__notes__


def test_what_else_validate_raises() -> None:
    """It comes through as it is."""

    def check(value: int) -> int:
        raise ZeroDivisionError

    flow = Flow("f")
    a = flow.step("a", id="a", validate=check)(number)
    flow.step("b", id="b")(number)
    with pytest.raises(ZeroDivisionError):
        check_flow(flow, answers={a: [1]})


def test_faults_of_the_test() -> None:
    """All of them are said, and nothing is run."""
    flow, (a, b, c, *_) = good()
    other, _ = good()
    with pytest.raises(FlowError) as raised:
        check_flow(flow, answers={other.steps[0]: [1], a: "text", b: [], c: [1]})
    assert str(raised.value).splitlines() == [
        "check_flow of flow 'f': answers= names <Step 'a' of flow 'f'>, which is not a step of it",
        "check_flow of flow 'f': answers= for step 'a' must be a list, not one text",
        "check_flow of flow 'f': answers= for step 'b' has none",
    ]
    with pytest.raises(FlowError, match="has no steps"):
        check_flow(Flow("f"))


def test_without_hypothesis(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said what to install."""
    monkeypatch.setitem(sys.modules, "hypothesis", None)
    with pytest.raises(ImportError, match="python -m pip install hypothesis"):
        check_flow(good()[0])


def test_without_trio(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is installed is used."""
    monkeypatch.setattr("reflow.testing._checking.find_spec", {"asyncio": ""}.get)

    async def act(visit: Visit) -> int:
        await asyncio.sleep(1)
        return 1

    flow = Flow("f")
    flow.step("a", id="a")(act)
    check_flow(flow, examples=5)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_tasks_that_are_left_behind(backend: str) -> None:
    """Whoever starts one beside its visit doesn't end it either."""
    started: set[object] = set()

    async def on_asyncio(visit: Visit) -> int:
        started.add(asyncio.create_task(asyncio.sleep(60)))
        return 1

    async def on_trio(visit: Visit) -> int:
        trio.lowlevel.spawn_system_task(trio.sleep, 60)
        return 1

    flow = Flow("f")
    flow.step("a", id="a")(on_asyncio if backend == "asyncio" else on_trio)
    with pytest.raises(FlowCheckError, match=r"these tasks aren't: .*TaskInfo") as raised:
        check_flow(flow, backends=["asyncio" if backend == "asyncio" else "trio"])
    assert raised.value.rule == "tasks"


def test_what_happens_only_once() -> None:
    """A fault that depends on chance is reported all the same, and that it does."""
    flow, calls = Flow("f"), list[int]()

    async def act(visit: Visit) -> int:
        calls.append(1)
        return 1 // (len(calls) - 1)

    flow.step("a", id="a")(act)
    with pytest.raises(FlowCheckError, match="It didn't happen again when the same was done"):
        check_flow(flow)
