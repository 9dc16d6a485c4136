"""The list that shows where every step stands."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

import pytest
from rich.console import Console as Screen

from reflow import Flow, Visit
from reflow.demo.progress import display, progress

if TYPE_CHECKING:
    from reflow import Run

pytestmark = pytest.mark.anyio


def listed(run: Run, flow: Flow[None], *, width: int = 80, ascii_only: bool = False) -> list[str]:
    """Print the list; give its lines."""
    paper = StringIO()
    Screen(file=paper, width=width).print(progress(run, flow.steps, ascii_only=ascii_only))
    return [line.rstrip() for line in paper.getvalue().splitlines()]


async def test_every_state() -> None:
    """Each state has its mark and its words, also where only ASCII can be printed."""
    flow = Flow("all there is")
    lists: list[list[str]] = []

    @flow.step("done")
    async def done(visit: Visit[None]) -> list[str]:
        return ["a", "b"]

    @flow.step("fails")
    async def fails(visit: Visit[None]) -> None:
        raise LookupError

    @flow.step("skipped", optional=True)
    async def skipped(visit: Visit[None]) -> None:
        visit.skip()

    @flow.step("stale", depends_on=[done])
    async def stale(visit: Visit[None]) -> None:
        pass

    @flow.step("asked again")
    async def queued(visit: Visit[None]) -> None:
        pass

    @flow.step("to be interrupted", sensitive=True)
    async def secret(visit: Visit[None]) -> str:
        return "secret"

    @flow.step("looks")
    async def looks(visit: Visit[None]) -> None:
        run.answer(open_, "x")
        run.answer(done, ["c"])
        run.go_back(queued)
        lists.append(listed(run, flow))
        lists.append(listed(run, flow, ascii_only=True))

    @flow.step("open", when=lambda results: results[done] == [])
    async def open_(visit: Visit[None]) -> str:
        return ""

    @flow.step("to come")
    async def later(visit: Visit[None]) -> None:
        pass

    run = flow.prepare(return_exceptions=True)
    await run.drive()
    assert lists[0] == [
        "✓  1  done     done                     c",
        "✗  2  fails    failed",
        "-  3  skipped  skipped",
        "↻  4  stale    stale, asked again",
        "↩  5  queued   asked again soon         None",
        "✓  6  secret   done                     set",
        ">  7  looks    asked now",
        "?  8  open_    answered, may not apply",
        "·  9  later    to come",
    ]
    assert [line[0] for line in lists[1]] == list("+!-~<+>?.")


async def test_long_answers_are_cut() -> None:
    """What is too long for the screen is cut, so that a step stays a line."""
    flow = Flow("long")

    @flow.step("long")
    async def long(visit: Visit[None]) -> str:
        return "word " * 50

    run = flow.prepare()
    await run.drive()
    assert listed(run, flow, width=40) == ["✓  1  long  done  word word word word w…"]


def test_display() -> None:
    """Answers are shown as people write them, a sensitive one not at all."""
    assert display(["a", 1], sensitive=False) == "a, 1"
    assert display("text", sensitive=False) == "text"
    assert display(["secret"], sensitive=True) == "set"
