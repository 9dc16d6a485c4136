"""What is asked of a run and of the one that it goes on with: only what differs is news."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from in_memory import ended, leaving, resumed, waiting_on
from support import Log, add, answering

from reflow import Flow, Step, Visit

if TYPE_CHECKING:
    from collections.abc import Callable

    from reflow import Run

    Ask = Callable[[Run, Step[str]], None]

pytestmark = pytest.mark.anyio


def answer(run: Run, step: Step[str]) -> None:
    """Give it an answer."""
    run.answer(step, "early")


def answer_otherwise(run: Run, step: Step[str]) -> None:
    """Give it another answer."""
    run.answer(step, "other")


def skip(run: Run, step: Step[str]) -> None:
    """Do without it."""
    run.skip(step)


def jump(run: Run, step: Step[str]) -> None:
    """Want it next."""
    run.jump_ahead(step)


def jump_to_all(run: Run, step: Step[str]) -> None:
    """Want it next, and another one behind it."""
    run.jump_ahead(step, "b")


@pytest.mark.parametrize(
    ("before", "now", "is_news"),
    [
        (answer, answer, False),
        (answer, answer_otherwise, True),
        (answer, skip, True),
        (skip, skip, False),
        (skip, answer, True),
        (skip, jump, True),
        (jump, jump, False),
        (jump, jump_to_all, True),
        (jump, answer, True),
    ],
)
@pytest.mark.parametrize("collects", [False, True])
async def test_asked_of_both(before: Ask, now: Ask, *, is_news: bool, collects: bool) -> None:
    """What was corrected since isn't undone by what both were asked before they began."""
    flow, log = Flow("f"), Log()

    async def correct(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.answer(a, "corrected")
        return await waiting_on(1)(visit)

    async def act(visit: Visit) -> str:
        return answering(visit)

    a = flow.step("d", id="a", optional=True)(act)
    add(flow, "b")
    add(flow, "c", correct)
    first = flow.prepare(return_exceptions=collects)
    before(first, a)
    earlier = await ended(first)
    assert earlier.results[a] == "corrected"
    run = flow.prepare(observers=[log], return_exceptions=collects)
    now(run, a)
    run.resume(earlier)
    changed = run.results.get(a) != "corrected" or bool(run.detour)
    assert changed is is_news
    await run.drive()
    assert log.entered[-1] == "c"


async def test_asked_of_another_step() -> None:
    """The same of another step is news."""
    flow, log = Flow("f"), Log()
    a, b = add(flow, "a"), add(flow, "b")
    add(flow, "c", leaving())
    for ask in (answer, jump):
        first, run = flow.prepare(), flow.prepare(observers=[log])
        ask(first, a)
        earlier = await ended(first)
        ask(run, b)
        run.resume(earlier)
        assert (run.results[b] == "early") is (ask is answer)
        assert run.detour == (() if ask is answer else (b,))


async def test_the_run_that_goes_on_is_gone_on_with() -> None:
    """What the second was asked is no news of the third one."""
    flow = Flow("f")
    a = add(flow, "a")
    add(flow, "b", waiting_on(1, 2))
    run = flow.prepare()
    run.answer(a, "default")
    earlier = await ended(run)
    second = flow.prepare()
    second.answer(a, "default")
    second.resume(earlier)
    second.answer(a, "corrected")
    earlier = await ended(second)
    third = flow.prepare()
    third.answer(a, "default")
    third.resume(earlier)
    assert (await third.drive())[a] == "corrected"


@pytest.mark.parametrize(("value", "kept"), [("default", True), ("other", False)])
async def test_a_draft_of_a_step_that_was_answered(value: str, *, kept: bool) -> None:
    """It survives what is no news; of a step that has another answer nothing is left."""
    flow, log = Flow("f"), Log()
    drafts = list[int]()

    async def act(visit: Visit) -> str:
        draft = visit.draft(list[int])
        draft.append(visit.number)
        drafts.append(len(draft))
        return await waiting_on(1)(visit)

    async def again(visit: Visit) -> str:
        if visit.number == 1:
            await visit.go_back(a)
        return answering(visit)

    a = flow.step("d", id="a")(act)
    add(flow, "b", again)
    first = flow.prepare()
    first.answer(a, "default")
    # Answered early, then asked for: its visit is left, with a draft.
    earlier = await ended(first)
    assert drafts == [1]
    run = flow.prepare(observers=[log])
    run.answer(a, value)
    run.resume(earlier)
    run.go_back(a)
    await run.drive()
    assert drafts == ([1, 2] if kept else [1, 1])


async def test_nothing_was_asked_of_the_earlier_one() -> None:
    """What it has answered itself is no news; anything else is."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")
    add(flow, "b", leaving())
    earlier = await ended(flow.prepare())
    results = await resumed(earlier, flow, log).drive()
    assert results[a] == "a1"
