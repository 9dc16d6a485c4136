"""Arguments of any shape: a sentence for the model, and nothing has changed."""

from __future__ import annotations

import json
import math
import os
from collections import UserDict, UserList
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING
from unittest.mock import Mock

import anyio
from anyio.lowlevel import checkpoint
from hypothesis import event, given, settings
from hypothesis import strategies as st
from support import Log, add, answering
from tool_flows import Doctor, Plan, intake, refusal, step_of, tool
from typing_extensions import override

from reflow import Flow, ToolCallError, Visit

if TYPE_CHECKING:
    from reflow import Run

EXAMPLES = 10_000 if os.environ.get("REFLOW_FUZZ") == "full" else 300


class Colour(StrEnum):
    """A subclass of str."""

    PLAN = "plan"


class Evil(Mapping[str, object]):
    """A mapping that can't be read."""

    @override
    def __getitem__(self, name: str) -> object:
        raise RuntimeError(name)

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(["steps"])

    @override
    def __len__(self) -> int:
        return 1


def deep(levels: int) -> object:
    """Give lists in lists."""
    made: object = []
    for _ in range(levels):
        made = [made]
    return made


class Endless(Mapping[str, object]):
    """A mapping without an end."""

    @override
    def __getitem__(self, name: str) -> object:
        return self

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(["steps"])

    @override
    def __len__(self) -> int:
        return 1


class Unmeasured(str):
    """A string that doesn't say how long it is."""

    __slots__ = ()

    @override
    def __len__(self) -> int:
        raise RuntimeError


class Nobody:
    """Doesn't say what it is."""

    @property  # type: ignore[misc]  # what a proxy of nothing does
    @override
    def __class__(self) -> type:
        """Raise."""
        raise RuntimeError


def everything() -> tuple[Run, Log]:
    """Give a run with every tool, in the middle of its steps, with what it tells observers."""
    log = Log()
    flow = intake()
    step_of(flow, Doctor, "other")
    return flow.prepare(observers=[log]), log


NONSENSE: list[object] = [
    *(None, True, 7, 1.5, b"{}", [], {}, object(), "", " ", "null", "7", '"plan"', "[]", "{"),
    *('{"steps": ["plan"]', "[" * 100_000, '{"a":' * 100_000, "1" * 10_000, "\ud800", "\0"),
    '{"step": "plan", "step": "name", "value": "x"}',
    *({"steps": ["plan"], "why": "x"}, {"plan": 1}, {1: 2}, {None: 1}, {("a",): 1}),
    *({"step": "plan"}, {"value": "FAMILY"}, {"steps": []}, {"steps": {}}, {"steps": None}),
    *({"steps": [None]}, {"steps": [["plan"]]}, {"steps": [{"a": {1}}]}, {"steps": "no"}),
    *({"steps": 10**5000}, {"steps": math.nan}, {"steps": [math.inf]}, {"steps": object()}),
    *({"steps": deep(101)}, {"steps": deep(10_000)}, {"steps": [0] * 100_001}, {"steps": ""}),
    *(Evil(), Endless(), {"steps": b"plan"}, {"steps": {"plan"}}, UserDict({"steps": 1})),
    *('{"steps": NaN}', '{"steps": 1e999}', '{"steps": "\\ud800"}', '{"steps": ["\\udc00"]}'),
    *({"step": None, "value": 1}, {"step": ["plan"], "value": 1}, {"step": "no", "value": 1}),
    *(Unmeasured("[]"), Nobody(), Mock(spec=str), Mock(spec=dict)),
    *(" " * 5_000_001, {"step": "plan", "value": 10**5000}, {"step": "other", "value": deep(99)}),
]


def test_what_makes_no_sense_is_refused() -> None:
    """With a sentence, by every tool, and without a trace."""
    run, log = everything()
    for called in (*run.tools(), *run.tools(constant=True)):
        for number, arguments in enumerate(NONSENSE):
            said = refusal(called, arguments)
            assert said.startswith("Nothing was done: "), number
            assert len(said) < 500, number
    assert (log, run.detour, len(run.results)) == ([], (), 0)


def test_what_is_meant_clearly_is_taken() -> None:
    """One id instead of an array, an array as text, and what client libraries make of JSON."""
    flow, log = Flow("f"), Log()
    step_of(flow, str, "a")
    step_of(flow, list[int], "b")
    run = flow.prepare(observers=[log])
    go_back, answer = run.tools()
    for value in ([1, 2.0], (1, 2), UserList([1, 2]), "[1, 2]", " [1.0, 2]"):
        arguments = UserDict({"step": "b", "value": value})
        assert answer.call(arguments) == "Noted the answer of step 'b'."
    answer.call('{"step": "a", "value": "x"}')
    for steps in ("a", ["a"], '["a"]', ("a", "a")):
        assert go_back.call({"steps": steps}).endswith(": a.")
    assert [step.id for step in run.detour] == ["a"]
    assert run.results[flow.steps[1]] == [1, 2]


def test_subclasses_are_taken_for_what_they_are() -> None:
    """A string of a subclass is a string."""
    flow = Flow("f")
    step_of(flow, Plan, "plan")
    run = flow.prepare()
    assert tool(run, "answer").call({"step": Colour.PLAN, "value": "BASIC"})
    assert list(run.results) == [flow.steps[0]]


def test_ids_that_are_unknown_are_not_quoted() -> None:
    """A model may put anything there, the number of a card, too."""
    go_back, answer, skip = everything()[0].tools()
    arguments = {"steps": ["4111 1111"]}
    assert "4111" not in refusal(go_back, arguments)
    assert "4111" not in refusal(answer, {"step": "4111 1111", "value": "card"})
    assert "4111" not in refusal(skip, {"step": "4111 1111"})
    assert "4111" not in refusal(skip, {"4111 1111": "card"})


TEXTS = st.sampled_from(
    [
        *(
            "",
            "a",
            "plan",
            "name",
            "doctor",
            "card",
            "newsletter",
            "other",
            "last",
            "steps",
            "step",
        ),
        *("value", "FAMILY", "2024-01-01", "[]", "{}", "\ud800", "\0", "key", "since", "é" * 50),
    ]
)
PLAIN = st.one_of(
    *(st.just(None), st.booleans(), st.integers(), st.floats(), TEXTS, st.binary(max_size=3)),
)


@st.composite
def shapes(draw: st.DrawFn, depth: int = 3) -> object:
    """Draw JSON of any shape, and things that are none, made of words that mean something."""
    kind = draw(st.integers(0, 5)) if depth else 0
    if kind <= 1:
        return draw(PLAIN)
    if kind == 2:
        return draw(st.lists(shapes(depth - 1), max_size=3))
    if kind == 3:
        return draw(st.dictionaries(TEXTS, shapes(depth - 1), max_size=3))
    if kind == 4:
        return {"step": draw(TEXTS), "value": draw(shapes(depth - 1))}
    return {"steps": draw(st.lists(TEXTS, max_size=3))}


@st.composite
def calls(draw: st.DrawFn) -> object:
    """Draw arguments: as they are, as text, or as a damaged text."""
    arguments = draw(shapes())
    kind = draw(st.integers(0, 2))
    if kind == 0:
        return arguments
    try:
        text = json.dumps(arguments)
    except (TypeError, ValueError):
        return arguments
    return text if kind == 1 else text[: draw(st.integers(0, len(text)))]


def state_of(run: Run, log: Log) -> tuple[int, object]:
    """Give all that a call may change."""
    outcomes = [str(run.results.outcome(step)) for step in run.results]
    return len(log), (run.state, run.detour, run.active, outcomes)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.lists(calls(), max_size=4))
def test_any_arguments_are_done_or_refused_without_a_trace(drawn: list[object]) -> None:
    """Never another exception than ToolCallError, and with it the run is as it was before."""
    flow, log = intake(), Log()

    @flow.step("other", model_may_answer=True)
    async def other(visit: Visit) -> Doctor:
        return Doctor("Who")

    @flow.step("more", model_may_answer=True)
    async def more(visit: Visit) -> dict[str, list[int | str] | None]:
        return {}

    async def act(visit: Visit) -> str:
        for arguments in drawn if visit.number == 1 else []:
            for called in (*visit.run.tools(), *visit.run.tools(constant=True)):
                before = state_of(visit.run, log)
                try:
                    said = called.call(arguments)
                    event(called.name)
                except ToolCallError as error:
                    said = str(error)
                if said.startswith("Nothing was done: "):
                    assert state_of(visit.run, log) == before
                else:
                    assert len(log) > before[0]
        await checkpoint()
        return answering(visit)

    last = add(flow, "last", act)
    run = flow.prepare(observers=[log])
    assert [other, more, last] == list(anyio.run(run.drive))[-3:]
