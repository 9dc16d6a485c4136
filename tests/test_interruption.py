"""Interruption by requests, and races."""

from __future__ import annotations

import anyio
import pytest
from anyio.lowlevel import checkpoint
from support import Log, add, answering, interrupted

from reflow import (
    Flow,
    FlowError,
    RunFailed,
    StepInterrupted,
    Visit,
)

pytestmark = pytest.mark.anyio


async def test_level_cancellation_ends_cleanup_at_its_first_unshielded_await() -> None:
    """As in trio and anyio: a bare await in a `finally` is cancelled again, a shielded one isn't.

    That is not asyncio's own edge cancellation; the rule is the same on every backend here.
    """
    flow = Flow("f")
    reached: list[str] = []
    a = add(flow, "a")

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            try:
                await visit.go_back(a)
            finally:
                with anyio.CancelScope(shield=True):
                    await checkpoint()
                    reached.append("shielded")
                await checkpoint()
                reached.append("never")
        return answering(visit)

    add(flow, "b", act)
    await flow.run()
    assert reached == ["shielded"]


async def test_a_wholly_shielded_step_is_a_critical_section() -> None:
    """The request waits for its end, and the answer counts."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def act(visit: Visit) -> str:
        with anyio.CancelScope(shield=True):
            if visit.number == 1:
                visit.run.go_back(a)
            await checkpoint()
            await checkpoint()
        return answering(visit)

    b = add(flow, "b", act)
    results = await flow.run(observers=[log])
    assert log.entered == ["a", "b", "a"]
    assert results[b] == "b1"


async def test_a_request_in_the_tick_of_the_completion_counts_like_the_answer() -> None:
    """The step is not run again, the requested one is."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def act(visit: Visit) -> str:
        visit.run.go_back(a)
        return answering(visit)

    b = add(flow, "b", act)
    results = await flow.run(observers=[log])
    assert log.visits == ["a 1 first", "b 1 first", "a 2 requested"]
    assert (results[a], results[b]) == ("a2", "b1")
    assert not log.of(StepInterrupted)


async def test_a_request_in_the_tick_in_which_the_awaited_thing_happens() -> None:
    """Another task makes the step's wait end and asks to go back before the step sees either.

    Whatever the backend decides, nothing is lost: the answer counts or the step resumes.
    """
    flow, log = Flow("f"), Log()
    a = add(flow, "a")
    waiting, reply = anyio.Event(), anyio.Event()

    async def act(visit: Visit) -> str:
        waiting.set()
        await reply.wait()
        return answering(visit)

    b = add(flow, "b", act)
    run = flow.prepare(observers=[log])
    async with anyio.create_task_group() as tg:

        async def listen() -> None:
            await waiting.wait()
            reply.set()
            run.go_back(a)

        tg.start_soon(listen)
        results = await run.drive()
    assert log.entered in (["a", "b", "a"], ["a", "b", "a", "b"])
    assert results[a] == "a2"
    assert results[b] == f"b{log.entered.count('b')}"


async def test_a_completion_that_was_itself_requested_again_runs_again() -> None:
    """The answer counts, and the request, too."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            visit.run.go_back(a, visit.step)
        return answering(visit)

    b = add(flow, "b", act)
    results = await flow.run(observers=[log])
    assert log.visits[2:] == ["a 2 requested", "b 2 requested"]
    assert results[b] == "b2"
    assert log.completed == ["a", "b", "a", "b"]


@pytest.mark.parametrize("return_exceptions", [False, True])
async def test_an_interrupted_visit_that_raises_in_its_cleanup(return_exceptions: bool) -> None:
    """The run ends with that exception; or it is recorded, the request stands, the step resumes."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")
    failure = ValueError("cleanup")

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            try:
                await visit.go_back(a)
            finally:
                raise failure
        if visit.number == 2:
            exceptions = visit.run.results.exceptions
            assert exceptions is not None
            assert exceptions.exceptions == (failure,)
        return answering(visit)

    b = add(flow, "b", act)
    run = flow.prepare(observers=[log], return_exceptions=return_exceptions)
    if return_exceptions:
        results = await run.drive()
        assert log.visits[2:] == ["a 2 requested", "b 2 resumed"]
        assert (results[b], results.exceptions) == ("b2", None)
    else:
        with pytest.raises(ValueError, match="cleanup") as info:
            await run.drive()
        assert info.value is failure
        assert failure.__notes__ == [
            "the request to go to 'a' was dropped: the run ended",
            "while it was interrupted, step 'b' of flow 'f', visit 1",
        ]
        assert log.entered == ["a", "b"]
        assert isinstance(log[-1], RunFailed)
    assert StepInterrupted("b", 1, failure) in log


@pytest.mark.parametrize("return_exceptions", [False, True])
async def test_a_step_whose_own_task_group_fails_while_interrupted(return_exceptions: bool) -> None:
    """Asyncio and trio differ in what the scope says then; the outcome is the same."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def child() -> None:
        try:
            await interrupted()
        finally:
            raise ValueError("child")

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            async with anyio.create_task_group() as tg:
                tg.start_soon(child)
                await checkpoint()
                await visit.go_back(a)
        return answering(visit)

    b = add(flow, "b", act)
    run = flow.prepare(observers=[log], return_exceptions=return_exceptions)
    if return_exceptions:
        assert (await run.drive())[b] == "b2"
        assert log.visits[2:] == ["a 2 requested", "b 2 resumed"]
    else:
        with pytest.raises(ExceptionGroup) as info:
            await run.drive()
        assert info.group_contains(ValueError, match="child")
        assert log.entered == ["a", "b"]


async def test_a_step_with_its_own_task_group_is_interrupted_whole() -> None:
    """Its child tasks end before the next step begins."""
    flow = Flow("f")
    ended: list[str] = []

    async def first(visit: Visit) -> str:
        if visit.number == 2:
            assert ended == ["child"]
        return answering(visit)

    a = add(flow, "a", first)

    async def child() -> None:
        try:
            await interrupted()
        finally:
            ended.append("child")

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            async with anyio.create_task_group() as tg:
                tg.start_soon(child)
                await checkpoint()
                await visit.go_back(a)
        return answering(visit)

    b = add(flow, "b", act)
    assert (await flow.run())[b] == "b2"


async def test_a_run_is_driven_once() -> None:
    """A second `drive()` is an error, whether the first one has ended or not."""
    flow = Flow("f")

    async def act(visit: Visit) -> str:
        with pytest.raises(FlowError, match="was driven before: prepare another"):
            await visit.run.drive()
        return answering(visit)

    a = add(flow, "a", act)
    run = flow.prepare()
    assert (await run.drive())[a] == "a1"
    with pytest.raises(FlowError, match="was driven before: prepare another"):
        await run.drive()
    assert run.state.value == "completed"


async def test_a_request_that_was_withdrawn_did_interrupt() -> None:
    """The step was not left in peace: what its cleanup raises is no failure to answer."""
    flow, log = Flow("f"), Log()
    a = add(flow, "a")

    async def act(visit: Visit) -> str:
        if visit.number == 1:
            try:
                await visit.go_back(a)
            finally:
                visit.run.answer(a, "told")
                raise ValueError("cleanup")
        return answering(visit)

    b = add(flow, "b", act)
    results = await flow.run(observers=[log], return_exceptions=True)
    assert log.visits == ["a 1 first", "b 1 first", "b 2 resumed"]
    assert (results[b], results.exceptions) == ("b2", None)
