"""Leaving a run early."""

from __future__ import annotations

import anyio
import pytest
from support import Log, add, interrupted

from reflow import (
    Event,
    Flow,
    FlowError,
    RunFinishedError,
    RunStopped,
    RunStoppedError,
    StepCompleted,
    StepEntered,
    Visit,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("return_exceptions", [False, True])
@pytest.mark.parametrize("how", ["run", "visit", "other task", "observer", "callback", "early"])
async def test_stop_leaves_early_with_the_results_so_far(how: str, return_exceptions: bool) -> None:
    """Handing over to a human is not a failure, but the caller of `drive()` must notice it."""
    flow, log = Flow("f"), Log()
    waiting = anyio.Event()
    a = add(flow, "a")

    async def act(visit: Visit) -> str:
        if how == "run":
            visit.run.stop("to a human")
        if how == "visit":
            try:
                visit.stop("to a human")
            except Exception:  # noqa: BLE001 - what many steps do; it must not get in the way
                raise AssertionError from None
        waiting.set()
        await interrupted()

    b = add(flow, "b", act)

    def observe(event: Event) -> None:
        if how == "observer" and isinstance(event, StepEntered) and event.step == "b":
            run.stop("to a human")

    async def callback(event: StepCompleted) -> None:
        if how == "callback":
            run.stop("to a human")
            run.stop("a second reason doesn't count")
            await interrupted()

    run = flow.prepare(
        observers=[log, observe], on_completed=callback, return_exceptions=return_exceptions
    )
    if how == "early":
        run.stop("to a human")
    async with anyio.create_task_group() as tg:

        async def listen() -> None:
            await waiting.wait()
            run.stop("to a human")

        if how == "other task":
            tg.start_soon(listen)
        with pytest.raises(
            RunStoppedError, match="run of flow 'f' was stopped: to a human"
        ) as info:
            await run.drive()
    assert info.value.reason == "to a human"
    assert info.value.results.get(a) == (None if how == "early" else "a1")
    assert b not in info.value.results
    assert log[-1] == RunStopped("to a human")
    assert run.state.value == "stopped"
    with pytest.raises(RunFinishedError):
        run.go_back(a)


async def test_an_answer_that_coincides_with_a_stop_counts() -> None:
    """A step that returns in spite of it has done its work."""
    flow = Flow("f")

    async def act(visit: Visit) -> str:
        visit.run.stop("enough")
        return "done"

    a = add(flow, "a", act)
    with pytest.raises(RunStoppedError) as info:
        await flow.run()
    assert info.value.results[a] == "done"


@pytest.mark.parametrize("return_exceptions", [False, True])
async def test_a_cleanup_that_raises_while_stopping(return_exceptions: bool) -> None:
    """The failure isn't lost: it ends the run instead, or stands in the results."""
    flow = Flow("f")

    async def act(visit: Visit) -> str:
        try:
            visit.stop("enough")
        finally:
            raise ValueError("cleanup")

    add(flow, "a", act)
    run = flow.prepare(return_exceptions=return_exceptions)
    if return_exceptions:
        with pytest.raises(RunStoppedError) as info:
            await run.drive()
        assert info.value.results.exceptions is not None
    else:
        with pytest.raises(ValueError, match="cleanup") as failed:
            await run.drive()
        assert failed.value.__notes__ == [
            "the run was being stopped: enough",
            "while it was interrupted, step 'a' of flow 'f', visit 1",
        ]


async def test_stop_from_an_observer_reaches_the_callback_that_follows() -> None:
    """Leaving doesn't wait for a callback that waits forever."""
    flow, begun = Flow("f"), anyio.Event()
    add(flow, "a")

    def observe(event: Event) -> None:
        if isinstance(event, StepCompleted):
            run.stop("enough")

    async def told(event: StepCompleted) -> None:
        begun.set()
        await interrupted()

    run = flow.prepare(observers=[observe], on_completed=told)
    with pytest.raises(RunStoppedError):
        await run.drive()
    assert begun.is_set()


async def test_a_reason_is_a_text() -> None:
    """It is stored, and read by people."""
    flow = Flow("f")
    add(flow, "a")
    run = flow.prepare()
    with pytest.raises(FlowError, match="for the reason 5: it must be a text"):
        run.stop(5)  # type: ignore[arg-type]  # what is tested
    await run.drive()
