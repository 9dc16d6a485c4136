"""Diagrams as text: what is in them, whatever the flow or the run is."""

from __future__ import annotations

import anyio
import pytest
from hypothesis import given, settings
from random_flows import declare
from support import Log, add, failing_on, last, never
from wandering import Case, cases, wander

from reflow import Event, Flow, GoBackRequested, Reason, StepEntered, StepState, Visit
from reflow.diagram import mermaid

MARK = "4111-SECRET-1111"


def node(diagram: str, number: int) -> str:
    """Give the line of a step."""
    return next(line.strip() for line in diagram.split("\n") if line.startswith(f"    s{number}"))


def test_everything_that_was_declared() -> None:
    """In words, and by shapes and lines."""
    flow = Flow("f")
    a = flow.step("first", id="a", revisitable=False)(never)
    b = flow.step("second", id="b", optional=True, model_may_answer=True)(never)
    c = flow.step("third", id="c", depends_on=[a, b], when=lambda r: a in r, sensitive=True)(never)
    flow.step("last", id="d", depends_on=[c], always_ask=True, point_of_no_return=True)(never)
    add(flow, "e")
    assert mermaid(flow).splitlines() == [
        "flowchart TD",
        '    start(["<div>f</div>"])',
        '    s0["<div><b>a</b><br/>first<br/><i>nobody goes back to it</i></div>"]',
        (
            '    s1["<div><b>b</b><br/>second<br/><i>may be skipped</i><br/>'
            '<i>the model may answer</i></div>"]'
        ),
        (
            '    s2{{"<div><b>c</b><br/>third<br/><i>if its condition holds</i><br/>'
            '<i>sensitive</i></div>"}}'
        ),
        (
            '    s3[["<div><b>d</b><br/>last<br/><i>asked again after any change</i><br/>'
            '<i>point of no return</i></div>"]]'
        ),
        '    s4["<div><b>e</b><br/>the e</div>"]',
        '    finish(["end"])',
        *("    start --> s0", "    s0 --> s1", "    s1 --> s2", "    s2 --> s3"),
        *("    s3 ==> s4", "    s4 --> finish"),
        *('    s0 -. "if changed" .-> s2', '    s1 -. "if changed" .-> s2'),
        '    s2 -. "if changed" .-> s3',
        *("    classDef optional stroke-dasharray:6 4", "    class s1 optional"),
        *("    classDef final stroke-width:5px", "    class s3 final"),
    ]


def test_an_empty_flow() -> None:
    """It begins and ends."""
    assert mermaid(Flow("f")).splitlines()[-1] == "    start --> finish"


def test_texts_are_cut() -> None:
    """Nobody reads a novel on a node; spaces and lines don't count."""
    flow = Flow("f")
    flow.step("many  \n words " * 100, id="x" * 100)(never)
    line = node(mermaid(flow), 0)
    assert f"<b>{'x' * 59}…</b>" in line
    assert "many words many words" in line
    assert len(line) < 300


def test_what_is_not_printable() -> None:
    """It is marked; nothing of it reaches a terminal or a page."""
    flow = Flow("f")
    flow.step("a\x00\x1b[2J\ud800\u202eb", id="a")(never)
    assert "a#65533;#65533;#91;2J#65533;#65533;b" in node(mermaid(flow), 0)


@pytest.mark.anyio
async def test_the_states_of_a_run() -> None:
    """Each step says where it stands; before, while and after it runs."""
    flow = Flow("f")
    diagrams: list[str] = []
    changes = flow.step("changes", id="changes")(change)
    add(flow, "stale", depends_on=(changes,))
    add(flow, "failed", failing_on(1))
    flow.step("skipped", id="skipped", when=lambda _: False)(never)
    flow.step("doubt", id="doubt", when=lambda r: bool(r[changes]))(change)

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.answer(changes, "new")
            visit.run.go_back("failed")
            diagrams.append(mermaid(visit.run))
            assert visit.run.steps == flow.steps
        return "x"

    add(flow, "active", act)
    add(flow, "pending")
    run = flow.prepare(return_exceptions=True)
    diagrams.append(mermaid(run))
    await run.drive()
    diagrams.append(mermaid(run))
    before, during, after = diagrams
    assert '(["<div>start</div>"])' in before
    assert '(["<div>running</div>"])' in during
    assert '(["<div>completed</div>"])' in after
    assert "<b>to come</b>" in node(before, 0)
    assert "<b>done</b>" in node(during, 0)
    assert "<b>stale, asked again</b>" in node(during, 1)
    assert "<b>failed, no. 1 of the detour</b>" in node(during, 2)
    assert "<b>skipped</b>" in node(during, 3)
    assert "<b>condition to be evaluated</b>" in node(during, 4)
    assert "<b>asked now</b>" in node(during, 5)
    assert "<b>to come</b>" in node(during, 6)
    assert "class s6 is_pending" in during
    for state in StepState:
        assert f"classDef is_{state.name.lower()} fill:#" in during
    assert "class s0,s1,s2,s4,s5,s6 is_done" in after


async def change(visit: Visit) -> str:
    """Answer."""
    return "x"


@pytest.mark.anyio
async def test_the_way_so_far() -> None:
    """Visits are numbered in order, only the latest if they are many; going back is an arrow."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")
    flow.step("b", id="b", when=lambda r: r[a] == "")(never)
    last(flow, a, a, a, a, a)
    await flow.run(observers=[log])
    diagram = mermaid(flow, events=log)
    assert "<i>visited as no. …, 5, 7, 9, 11</i>" in node(diagram, 0)
    assert "visited" not in node(diagram, 1)
    assert 's0 -. "condition" .-> s1' in diagram
    assert 's2 -- "went back, 5 times" --> s0' in diagram
    assert diagram.endswith("linkStyle 5 stroke:#b5588f,stroke-width:2px\n")


def test_events_that_say_nothing_here() -> None:
    """Steps of other flows, a request before any visit, and jumping ahead draw nothing."""
    flow = Flow("f")
    add(flow, "a")
    events: list[Event] = [
        GoBackRequested(("a",)),
        StepEntered("other", 1, Reason.FIRST),
        StepEntered("a", 1, Reason.FIRST),
        GoBackRequested(("other",)),
        GoBackRequested(("a",), ahead=True),
    ]
    diagram = mermaid(flow, events=events)
    assert "<i>visited as no. 1</i>" in node(diagram, 0)
    assert "went back" not in diagram


@pytest.mark.anyio
async def test_no_values() -> None:
    """Neither answers nor the texts of exceptions, of sensitive steps or others."""
    flow, log = Flow("f"), Log()

    async def give(visit: Visit) -> str:
        return MARK

    async def fail(visit: Visit) -> str:
        raise ValueError(MARK)

    for sensitive in (True, False):
        flow.step("give", id=f"give{sensitive}", sensitive=sensitive)(give)
        flow.step("fail", id=f"fail{sensitive}", sensitive=sensitive)(fail)
    run = flow.prepare(observers=[log], return_exceptions=True)
    await run.drive()
    assert MARK not in mermaid(run, events=log)


@settings(max_examples=100, deadline=None)
@given(cases())
def test_any_run(case: Case) -> None:
    """Whatever happened in a run, each step has its visits, in whatever processes they were."""
    log = Log()
    anyio.run(wander, case, lambda: [log])
    flow = declare(case[0], give)
    lines = mermaid(flow, events=log).split("\n")
    for i, step in enumerate(flow.steps):
        line = next(line for line in lines if line.startswith(f"    s{i}"))
        assert ("visited as no." in line) == (step.id in log.entered)


async def give(visit: Visit) -> int:
    """Stand in for a step that is never run."""
    raise AssertionError
