"""How long the tools of a visit are honoured, and what several calls in one turn do."""

from __future__ import annotations

from datetime import date

import anyio
import pytest
from anyio.lowlevel import checkpoint
from support import Log, add, answering, interrupted
from tool_flows import Doctor, intake, refusal, step_of, tool

from reflow import Flow, MemoryJournal, Run, RunState, RunStoppedError, StepCompleted, Tool, Visit

pytestmark = pytest.mark.anyio

OLD = "the conversation has gone on since this tool was offered"
OVER = "Nothing was done: the conversation is over."


def collecting(*names: str) -> tuple[Flow, dict[str, Tool], list[str]]:
    """Give a flow whose steps keep their `go_back`, and call the first one's on every visit."""
    flow = Flow("f")
    made: dict[str, Tool] = {}
    said: list[str] = []

    async def act(visit: Visit) -> str:
        made.setdefault(visit.step.id, tool(visit.run, "go_back"))
        if visit.number == 1 and len(made) > 2:
            said.append(refusal(made[names[0]], {"steps": "a"}))
        return answering(visit)

    for name in names:
        add(flow, name, act)
    return flow, made, said


async def test_a_tool_that_is_two_visits_old_is_refused_with_the_reason() -> None:
    """It answers a question that is long past; nothing is asked again because of it."""
    flow, made, said = collecting("a", "b", "c")
    log = Log()
    await flow.run(observers=[log])
    assert log.entered == list(made) == ["a", "b", "c"]
    assert OLD in said[0]
    assert len(said) == 1


async def test_a_tool_is_honoured_in_the_visit_that_follows() -> None:
    """The model had not finished its turn when the step was over."""
    flow, log = Flow("f"), Log()
    kept: list[Tool] = []

    async def first(visit: Visit) -> str:
        kept.extend(visit.run.tools()[:1])
        return answering(visit)

    async def second(visit: Visit) -> str:
        if visit.number == 1:
            kept[0].call({"steps": ["a"]})
            await interrupted()
        return answering(visit)

    add(flow, "a", first)
    add(flow, "b", second)
    await flow.run(observers=[log])
    assert log.entered == ["a", "b", "a", "b"]


async def test_a_call_in_the_turn_in_which_the_step_completes_is_honoured() -> None:
    """Between two visits, too: as every request that is made there."""
    flow, log = Flow("f"), Log()
    kept: list[Tool] = []

    async def first(visit: Visit) -> str:
        kept.extend(visit.run.tools()[:1])
        return answering(visit)

    a = add(flow, "a", first)
    add(flow, "b")

    async def completed(event: StepCompleted) -> None:
        if event.step == a.id and event.number == 1:
            await checkpoint()
            said.append(kept[0].call({"steps": ["a"]}))

    said: list[str] = []
    await flow.run(observers=[log], on_completed=completed)
    assert said == ["Done. What is asked now, in this order: a."]
    assert log.visits == ["a 1 first", "a 2 requested", "b 1 first"]


async def test_tools_made_between_visits_are_for_the_next_one_only() -> None:
    """They are bound to what was there last."""
    flow = Flow("f")
    made: list[Tool] = []
    said: list[str] = []

    async def act(visit: Visit) -> str:
        if made and visit.step.id == "b":
            said.append(made[0].call({"steps": ["b"]}) if visit.number == 1 else "")
            if visit.number == 1:
                await interrupted()
        if visit.step.id == "c":
            said.append(refusal(made[0], {"steps": ["b"]}))
        return answering(visit)

    async def completed(event: StepCompleted) -> None:
        if event.step == "a":
            made.append(tool(run, "go_back"))

    for name in ("a", "b", "c"):
        add(flow, name, act)
    run = flow.prepare(on_completed=completed)
    await run.drive()
    assert said[0] == "Done. What is asked now, in this order: b."
    assert OLD in said[2]


async def test_two_calls_in_one_turn_are_both_honoured_in_their_order() -> None:
    """Models call several tools at once; requests merge, and keep their order."""
    flow, log = Flow("f"), Log()
    add(flow, "a")
    add(flow, "b")
    d = step_of(flow, str, "d")

    async def last(visit: Visit) -> str:
        if visit.number == 1:
            tools = {tool.name: tool for tool in visit.run.tools()}
            assert tools["go_back"].call({"steps": "b"}).endswith(": b.")
            assert tools["go_back"].call('{"steps": ["a"]}').endswith(": b, a.")
            tools["answer"].call({"step": "d", "value": "first"})
            tools["answer"].call({"step": "d", "value": "second"})
            await interrupted()
        return answering(visit)

    add(flow, "c", last)
    run = flow.prepare(observers=[log])
    tool(run, "answer").call({"step": "d", "value": "zero"})
    results = await run.drive()
    assert log.entered == ["a", "b", "c", "b", "a", "c"]
    assert results[d] == "second"


async def test_calls_from_another_task_interrupt_the_step() -> None:
    """The model runs beside the flow in a voice agent."""
    flow, log = Flow("f"), Log()
    waiting = anyio.Event()
    add(flow, "a")

    async def last(visit: Visit) -> str:
        if visit.number == 1:
            waiting.set()
            await interrupted()
        return answering(visit)

    add(flow, "b", last)
    run = flow.prepare(observers=[log])

    async def model() -> None:
        await waiting.wait()
        tool(run, "go_back").call({"steps": ["a"]})

    async with anyio.create_task_group() as tg:
        tg.start_soon(model)
        await run.drive()
    assert log.visits == ["a 1 first", "b 1 first", "a 2 requested", "b 2 resumed"]


async def test_after_the_run_every_call_is_refused() -> None:
    """However it ended, whatever the arguments."""
    runs: list[Run] = []
    for stop in (False, True):
        flow = Flow("f")
        kept: list[Tool] = []

        async def act(visit: Visit, stop: bool = stop, kept: list[Tool] = kept) -> str:
            kept.extend(visit.run.tools())
            if stop:
                visit.stop("enough")
            return "a"

        flow.step("the a", id="a", optional=True, model_may_answer=True)(act)
        run = flow.prepare()
        runs.append(run)
        if stop:
            with pytest.raises(RunStoppedError):
                await run.drive()
        else:
            await run.drive()
        for called in (*kept, *run.tools(), *run.tools(constant=True)):
            for arguments in ({"steps": ["a"]}, {"step": "a", "value": "x"}, {"step": "a"}, 7):
                assert refusal(called, arguments) == OVER
    assert [run.state for run in runs] == [RunState.COMPLETED, RunState.STOPPED]


async def test_tools_made_before_a_resumed_run_is_driven_are_honoured_in_its_first_visit() -> None:
    """What took place in another process doesn't make them old."""
    journal, waiting, log = MemoryJournal(), anyio.Event(), Log()
    flow = Flow("f")
    for name in ("a", "b", "c"):
        add(flow, name)
    said: list[str] = []

    @flow.step("the end")
    async def end(visit: Visit) -> str:
        if visit.number == 1:
            waiting.set()
        elif visit.number == 2:
            said.append(early.call({"steps": ["a"]}))
        else:
            said.append(refusal(early, {"steps": ["a"]}))
            return "end"
        await interrupted()

    async with anyio.create_task_group() as tg:
        tg.start_soon(flow.prepare(journal=journal, key="k").drive)
        await waiting.wait()
        tg.cancel_scope.cancel()
    run = flow.prepare(journal=journal, key="k", observers=[log])
    early = tool(run, "go_back")
    reason = "step 'a' is not visited yet. Steps to go back to: none now."
    assert refusal(early, {"steps": ["a"]}) == f"Nothing was done: {reason}"
    await run.drive()
    assert log.visits == ["end 2 recovered", "a 2 requested", "end 3 resumed"]
    assert said[0] == "Done. What is asked now, in this order: a."
    assert OLD in said[1]


async def test_what_a_model_answers_is_kept_in_the_journal() -> None:
    """As every answer; also one that is given before it is known what the journal holds."""
    journal = MemoryJournal()
    run = intake().prepare(journal=journal, key="k")
    tool(run, "answer").call({"step": "doctor", "value": {"name": "Who", "since": "1963-11-23"}})
    await run.drive()
    results = await (flow := intake()).run(journal=journal, key="k")
    assert results[flow.steps[2]] == Doctor("Who", date(1963, 11, 23))
