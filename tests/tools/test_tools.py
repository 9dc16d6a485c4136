"""Which tools there are, what they name, and what a call does."""

from __future__ import annotations

import anyio
import pytest
from support import Log, add, interrupted
from tool_flows import Doctor, Plan, ids, intake, refusal, step_of, tool

from reflow import (
    Flow,
    FlowError,
    RunState,
    StepAnswered,
    StepSkipped,
    Tool,
    ToolCallError,
    Visit,
)

pytestmark = pytest.mark.anyio


def named(flow: Flow, *, constant: bool = False) -> dict[str, Tool]:
    """Give the tools of a run that is prepared, by name."""
    return {tool.name: tool for tool in flow.prepare().tools(constant=constant)}


async def test_before_the_run_only_what_is_possible_is_named() -> None:
    """Nothing can be gone back to; answers may come early, optional steps be skipped."""
    tools = named(intake())
    assert list(tools) == ["go_back", "answer", "skip"]
    assert ids(tools["go_back"], "steps") == []
    assert "none now" in str(tools["go_back"].schema)
    assert ids(tools["answer"], "step") == ["name", "plan", "doctor"]
    assert ids(tools["skip"], "step") == ["doctor", "newsletter"]


async def test_constant_tools_name_every_step_that_could_ever_be_asked_for() -> None:
    """Whatever the state; steps that aren't revisitable, answerable, optional never."""
    flow = intake()
    before = [tool.as_openai() for tool in flow.prepare().tools(constant=True)]
    tools = named(flow, constant=True)
    assert ids(tools["go_back"], "steps") == ["name", "plan", "doctor", "newsletter"]
    assert ids(tools["answer"], "step") == ["name", "plan", "doctor"]
    run = flow.prepare()
    await run.drive()
    assert [tool.as_openai() for tool in run.tools(constant=True)] == before


async def test_a_flow_without_such_steps_has_go_back_only() -> None:
    """A tool that could never do anything would only confuse the model."""
    flow = Flow("f")
    add(flow, "a")
    assert list(named(flow)) == list(named(flow, constant=True)) == ["go_back"]


async def test_descriptions_stand_in_one_line_each() -> None:
    """An author's line breaks don't look like another step."""
    schema = str(named(intake())["answer"].schema)
    assert "- name: the caller's full name\\n- plan" in schema


async def test_the_tools_of_a_visit_do_what_the_run_does() -> None:
    """Go back, answer, skip: each through the run's own method, with a sentence for the model."""
    flow, log = Flow("f"), Log()
    plan = step_of(flow, Plan, "plan")
    said: list[str] = []

    @flow.step("the doctor", depends_on=[plan])
    async def doctor(visit: Visit) -> str:
        return f"doctor {visit.number}"

    @flow.step("more", optional=True)
    async def extra(visit: Visit) -> str:
        await interrupted()

    @flow.step("the end")
    async def end(visit: Visit) -> str:
        if visit.number > 1:
            return "end"
        go_back, answer, skip = visit.run.tools()
        assert ids(go_back, "steps") == ["plan", "doctor", "end"]
        said.append(answer.call({"step": "plan", "value": "FAMILY"}))
        said.append(skip.call('{"step": "extra"}'))
        said.append(go_back.call({"steps": ["end", "doctor"]}))
        await interrupted()

    run = flow.prepare(observers=[log])
    _, answer, skip = run.tools()
    assert answer.call({"step": "plan", "value": "BASIC"}) == "Noted the answer of step 'plan'."
    assert skip.call({"step": "extra"}) == "Step 'extra' is skipped."
    results = await run.drive()
    assert results[plan] is Plan.FAMILY
    assert extra not in results
    assert said == [
        "Noted the answer of step 'plan'. Asked again because of it: doctor.",
        "Step 'extra' is skipped.",
        "Done. What is asked now, in this order: end, doctor.",
    ]
    assert log.entered == ["doctor", "end", "end", "doctor"]
    assert len(log.of(StepAnswered)) == len(log.of(StepSkipped)) == 2


async def test_an_answer_for_a_step_whose_condition_is_open_is_said_to_wait() -> None:
    """The model isn't told that something counts which may never be wanted."""
    flow = Flow("f")
    a = add(flow, "a")

    @flow.step("b", when=lambda r: r[a] == "no", model_may_answer=True)
    async def b(visit: Visit) -> str:
        return "b"

    run = flow.prepare()
    said = tool(run, "answer").call({"step": "b", "value": "x"})
    assert said.endswith("It counts if it turns out that the step is needed.")
    assert b not in await run.drive()


async def test_an_answer_ends_the_visit_of_the_active_step() -> None:
    """As `run.answer` does: the question that stood open is answered."""
    flow = Flow("f")

    @flow.step("the plan", model_may_answer=True)
    async def plan(visit: Visit) -> Plan:
        assert visit.run.active is plan
        (_, answer) = visit.run.tools()
        answer.call({"step": "plan", "value": "FAMILY"})
        await interrupted()

    assert (await flow.run())[plan] is Plan.FAMILY


async def test_a_point_of_no_return_closes_the_tools_too() -> None:
    """What is closed isn't named any more, and refused with the reason if it is asked for."""
    flow = Flow("f")
    step_of(flow, str, "early")

    @flow.step("the payment", point_of_no_return=True, optional=True)
    async def pay(visit: Visit) -> str:
        return "paid"

    step_of(flow, str, "late")

    @flow.step("the end", optional=True)
    async def end(visit: Visit) -> str:
        go_back, answer, skip = visit.run.tools()
        assert (ids(go_back, "steps"), ids(answer, "step")) == (["late", "end"], ["late"])
        assert ids(skip, "step") == ["end"]
        behind = "step 'early' is behind the point of no return 'pay'"
        assert behind in refusal(go_back, {"steps": ["early", "late"]})
        assert behind in refusal(answer, {"step": "early", "value": "x"})
        assert "Steps to answer: late." in refusal(answer, {"step": "early", "value": "x"})
        assert "step 'pay' is behind" in refusal(skip, {"step": "pay"})
        constant = visit.run.tools(constant=True)
        assert ids(constant[1], "step") == ["early", "late"]
        assert behind in refusal(constant[1], {"step": "early", "value": "x"})
        return "end"

    run = flow.prepare()
    for name in ("early", "late"):
        tool(run, "answer").call({"step": name, "value": name})
    await run.drive()


async def test_answer_is_left_out_when_all_of_its_steps_are_closed() -> None:
    """An enum without members is refused by every provider."""
    flow = Flow("f")
    step_of(flow, str, "early")
    offered: list[list[str]] = []

    @flow.step("the payment", point_of_no_return=True, optional=True)
    async def pay(visit: Visit) -> str:
        return "paid"

    @flow.step("the end", revisitable=False)
    async def end(visit: Visit) -> str:
        offered.extend(
            [tool.name for tool in visit.run.tools(constant=constant)] for constant in (False, True)
        )
        (go_back,) = visit.run.tools()
        assert refusal(go_back, {"steps": "end"}) == (
            "Nothing was done: step 'end' is not revisitable. Steps to go back to: none now."
        )
        return "end"

    run = flow.prepare()
    tool(run, "answer").call({"step": "early", "value": "x"})
    await run.drive()
    assert offered == [["go_back"], ["go_back", "answer", "skip"]]


async def test_what_cannot_be_gone_back_to_is_said_with_its_reason() -> None:
    """The model learns why, and what it can do instead."""
    flow = intake()

    @flow.step("the end")
    async def end(visit: Visit) -> str:
        (go_back, answer, skip) = visit.run.tools()
        said = refusal(go_back, {"steps": ["card", "later", "name"]})
        assert said == (
            "Nothing was done: no step has the id that is number 2 in 'steps'. "
            "Steps to go back to: name, plan, doctor, newsletter, end."
        )
        assert "step 'card' is not revisitable" in refusal(go_back, {"steps": ["card", "name"]})
        assert "step 'last' is not visited yet" in refusal(go_back, {"steps": ["name", "last"]})
        said = refusal(answer, {"step": "card", "value": "1"})
        assert said == (
            "Nothing was done: step 'card' doesn't allow it. Steps to answer: name, plan, doctor."
        )
        assert "step 'name' doesn't allow it" in refusal(skip, {"step": "name"})
        assert visit.run.detour == ()
        return "end"

    last = add(flow, "last")
    results = await flow.run()
    assert results[last] == "last1"


async def test_many_steps_are_not_all_told_in_an_error() -> None:
    """An error stays a sentence."""
    flow = Flow("f")
    for i in range(40):
        step_of(flow, str, f"s{i}")
    said = refusal(tool(flow.prepare(), "answer"), {"step": "x", "value": "x"})
    assert said.endswith("s28, s29, and 10 more.")


async def test_types_that_no_model_can_give_are_refused_all_at_once() -> None:
    """The author learns it when the tools are made, not the model when it calls."""
    flow = Flow("f")
    step_of(flow, object, "a")
    step_of(flow, complex, "b")
    step_of(flow, str, "c")
    run = flow.prepare()
    for _ in range(2):
        with pytest.raises(FlowError) as info:
            run.tools()
        assert "step 'a' of flow 'f' can't be answered by a model: object" in str(info.value)
        assert "step 'b' of flow 'f' can't be answered by a model: complex" in str(info.value)
        assert "'c'" not in str(info.value)


def test_tools_are_made_by_runs_only() -> None:
    """And they are read-only; what they give away may be changed without harm."""
    with pytest.raises(TypeError, match=r"use run\.tools\(\)"):
        Tool()
    (go_back, *_) = intake().prepare().tools()
    assert repr(go_back) == "<Tool 'go_back' of flow 'intake'>"
    before = str(go_back.schema)
    go_back.schema["properties"] = None
    go_back.as_openai().clear()
    inner = go_back.schema["properties"]
    assert isinstance(inner, dict)
    inner.clear()
    assert str(go_back.schema) == before
    with pytest.raises(AttributeError):
        go_back.name = "x"  # type: ignore[misc] # read-only
    for each in (go_back, *intake().prepare().tools()):
        assert 20 < len(each.description) <= 1024


async def test_calls_from_another_thread_are_the_programs_fault() -> None:
    """They raise what the run's own methods raise: no sentence helps a model there."""
    flow = Flow("f")
    add(flow, "a")

    @flow.step("the end")
    async def end(visit: Visit) -> str:
        (go_back,) = visit.run.tools()
        with pytest.raises(FlowError, match="not the event loop's thread") as info:
            await anyio.to_thread.run_sync(go_back.call, {"steps": ["a"]})
        assert not isinstance(info.value, ToolCallError)
        return await anyio.to_thread.run_sync(lambda: go_back.name)

    run = flow.prepare()
    assert (await run.drive())[end] == "go_back"
    assert run.state is RunState.COMPLETED


async def test_an_answer_equal_to_the_one_there_is_changes_nothing() -> None:
    """As with `run.answer`: what depends on it isn't asked again."""
    flow = Flow("f")
    doctors = step_of(flow, list[Doctor], "doctors")

    @flow.step("the doctor", depends_on=[doctors])
    async def chosen(visit: Visit) -> str:
        return f"chosen {visit.number}"

    @flow.step("the end")
    async def end(visit: Visit) -> str:
        said = tool(visit.run, "answer").call({"step": "doctors", "value": [{"name": "Who"}]})
        assert said == "Noted the answer of step 'doctors'."
        return "end"

    run = flow.prepare()
    tool(run, "answer").call({"step": "doctors", "value": [{"name": "Who"}]})
    results = await run.drive()
    assert (results[chosen], results[doctors]) == ("chosen 1", [Doctor("Who")])
