"""Leaving a visit from inside."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Never

import anyio
import pytest
from anyio.lowlevel import checkpoint
from support import Log, add, answering, interrupted

from reflow import (
    CleanupFailed,
    Flow,
    FlowError,
    GoBackRequested,
    RunCompleted,
    RunFailed,
    RunStoppedError,
    Skipped,
    Visit,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

pytestmark = pytest.mark.anyio


async def test_go_back_in_a_shielded_section_raises_instead_of_hanging() -> None:
    """Nothing could wake it; nothing was requested."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def act(visit: Visit) -> str:
        with anyio.CancelScope(shield=True), pytest.raises(FlowError, match="shielded section"):
            await visit.go_back(a)
        with (
            anyio.move_on_after(3600, shield=True),
            pytest.raises(FlowError, match="shielded section"),
        ):
            await visit.go_back(a)
        return answering(visit)

    add(flow, "b", act)
    await flow.run(observers=[log])
    assert not log.of(GoBackRequested)


async def test_go_back_under_a_deadline_or_in_a_child_task_works() -> None:
    """Everything that the visit's cancellation reaches is inside the visit."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def child(visit: Visit) -> None:
        await visit.go_back(a)

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            with anyio.fail_after(3600):
                await visit.go_back(a)
        if visit.number == 2:
            async with anyio.create_task_group() as tg:
                tg.start_soon(child, visit)
        return answering(visit)

    b = add(flow, "b", act)
    results = await flow.run(observers=[log])
    assert log.entered == ["a", "b", "a", "b", "a", "b"]
    assert results[b] == "b3"


async def test_go_back_from_a_task_outside_the_visit_raises() -> None:
    """It would wait for a cancellation that never comes; and so after the visit."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")
    send, receive = anyio.create_memory_object_stream[Visit](1)
    checked = anyio.Event()

    async def act(visit: Visit) -> str:
        await send.send(visit)
        await checked.wait()
        return answering(visit)

    add(flow, "b", act)
    async with anyio.create_task_group() as tg, send, receive:

        async def outside() -> None:
            visit = await receive.receive()
            with pytest.raises(FlowError, match="a task outside the visit"):
                await visit.go_back(a)
            checked.set()

        tg.start_soon(outside)
        await flow.run(observers=[log])
    assert not log.of(GoBackRequested)


@pytest.mark.parametrize("leave", ["skip", "stop"])
async def test_leaving_a_visit_from_outside_of_it_raises(leave: str) -> None:
    """The signal that unwinds the step must not hit another task."""
    flow, log = Flow("f"), Log()
    send, receive = anyio.create_memory_object_stream[Visit](1)
    checked = anyio.Event()

    @flow.step("a", optional=True)
    async def a(visit: Visit) -> str:
        await send.send(visit)
        await checked.wait()
        return answering(visit)

    async with anyio.create_task_group() as tg, send, receive:

        async def outside() -> None:
            visit = await receive.receive()
            go = visit.skip if leave == "skip" else partial(visit.stop, "no")
            with pytest.raises(FlowError, match=rf"outside the visit: use visit\.run\.{leave}"):
                go()
            checked.set()

        tg.start_soon(outside)
        assert (await flow.run(observers=[log]))[a] == "a1"


async def test_a_step_that_leaves_a_scope_open_fails() -> None:
    """It returned, but what it did to the cancel scopes is an error on every backend."""
    flow = Flow("f")

    async def act(visit: Visit) -> str:
        anyio.CancelScope().__enter__()
        return answering(visit)

    add(flow, "a", act)

    async def main() -> None:
        with pytest.raises(RuntimeError):
            await flow.run()
        raise ValueError("the outer scopes are corrupt as well")

    with pytest.raises((RuntimeError, ValueError, ExceptionGroup)):
        async with anyio.create_task_group() as tg:
            tg.start_soon(main)


async def test_a_visit_that_is_over_can_ask_for_nothing() -> None:
    """A visit kept beyond its end is of no use to leave a later one by mistake."""
    flow = Flow("f")
    kept: list[Visit] = []

    @flow.step("a", optional=True)
    async def a(visit: Visit) -> str:
        kept.append(visit)
        return "a"

    async def act(visit: Visit) -> str:
        (old,) = kept
        with pytest.raises(FlowError, match=r"visit\.go_back of <Visit 1 of step 'a' .* is over"):
            await old.go_back(a)
        with pytest.raises(FlowError, match=r"visit\.skip .* the visit is over"):
            old.skip()
        with pytest.raises(FlowError, match=r"visit\.stop .* the visit is over"):
            old.stop("no")
        with pytest.raises(FlowError, match=r"visit\.draft .* the visit is over"):
            old.draft(list)
        return answering(visit)

    b = add(flow, "b", act)
    assert (await flow.run())[b] == "b1"


async def test_go_back_in_a_visit_that_is_being_interrupted_still_counts() -> None:
    """Cleanup code may ask for more: no request is lost."""
    flow, log = Flow("f"), Log()
    a, b = add(flow, "a"), add(flow, "b")

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            try:
                await visit.go_back(b)
            finally:
                await visit.go_back(a)
        return answering(visit)

    add(flow, "c", act)
    await flow.run(observers=[log])
    assert log.entered == ["a", "b", "c", "b", "a", "c"]


async def leave_by_skip(visit: Visit) -> Never:
    """Skip the own step."""
    visit.skip()


async def leave_by_stop(visit: Visit) -> Never:
    """Stop the run."""
    visit.stop("from a child task")


@pytest.mark.parametrize("leave", [leave_by_skip, leave_by_stop])
async def test_leaving_a_visit_from_a_child_task(
    leave: Callable[[Visit], Coroutine[object, object, Never]],
) -> None:
    """The signal that ends the visit is taken out of the task group's exception group."""
    flow, log = Flow("f"), Log()

    @flow.step("a", optional=True)
    async def a(visit: Visit) -> str:
        async with anyio.create_task_group() as tg:
            tg.start_soon(leave, visit)
            await interrupted()
        raise AssertionError

    run = flow.prepare(observers=[log])
    if leave is leave_by_skip:
        assert (await run.drive()).outcome(a) == Skipped()
        assert log[-1] == RunCompleted()
    else:
        with pytest.raises(RunStoppedError, match="from a child task"):
            await run.drive()


@pytest.mark.parametrize("return_exceptions", [False, True])
async def test_leaving_a_visit_while_a_sibling_fails(return_exceptions: bool) -> None:
    """What else is in the group is a failure like any other: of a visit that was left."""
    flow, log = Flow("f"), Log()

    async def failing() -> None:
        try:
            await interrupted()
        finally:
            raise ValueError("sibling")

    @flow.step("a", optional=True)
    async def a(visit: Visit) -> str:
        async with anyio.create_task_group() as tg:
            tg.start_soon(failing)
            await checkpoint()
            tg.start_soon(leave_by_skip, visit)
            await interrupted()
        raise AssertionError

    run = flow.prepare(observers=[log], return_exceptions=return_exceptions)
    if return_exceptions:
        results = await run.drive()
        assert results.outcome(a) == Skipped()
        assert results.exceptions is not None
        assert results.exceptions.subgroup(ValueError) is not None
        assert len(log.of(CleanupFailed)) == 1
    else:
        with pytest.raises(ExceptionGroup) as info:
            await run.drive()
        assert info.group_contains(ValueError, match="sibling")
        assert info.value.__notes__ == ["while it was being left, step 'a' of flow 'f', visit 1"]


class Serious(BaseException):
    """Something that is not an Exception."""


async def test_leaving_a_visit_while_something_serious_happens() -> None:
    """A BaseException in the group is never taken for the end of a visit."""
    flow = Flow("f")

    async def serious() -> None:
        try:
            await interrupted()
        finally:
            raise Serious

    @flow.step("a", optional=True)
    async def a(visit: Visit) -> str:
        async with anyio.create_task_group() as tg:
            tg.start_soon(serious)
            await checkpoint()
            tg.start_soon(leave_by_skip, visit)
            await interrupted()
        raise AssertionError

    with pytest.raises(BaseExceptionGroup) as info:
        await flow.run(return_exceptions=True)
    assert info.group_contains(Serious)
    assert a.optional


async def test_leaving_an_outer_visit_from_a_run_inside_it() -> None:
    """A signal of another visit passes through: each run knows its own."""
    outer, inner, log = Flow("outer"), Flow("inner"), Log()
    visits: list[Visit] = []

    async def within(visit: Visit) -> str:
        visits[0].skip()

    add(inner, "i", within)

    @outer.step("o", optional=True)
    async def o(visit: Visit) -> str:
        visits.append(visit)
        await inner.run(observers=[log])
        raise AssertionError

    results = await outer.run()
    assert results.outcome(o) == Skipped()
    assert isinstance(log[-1], RunFailed)
