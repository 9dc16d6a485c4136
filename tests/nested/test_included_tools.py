"""Included flows in the tools of a language model."""

from __future__ import annotations

from typing import cast

import pytest
from addresses import Address, AddressFlow, done
from support import Log, add, answering, interrupted

from reflow import Flow, Tool, ToolCallError, Visit

pytestmark = pytest.mark.anyio


def called(tools: tuple[Tool, ...], name: str, arguments: dict[str, object]) -> str:
    """Call one of the tools."""
    return next(tool for tool in tools if tool.name == name).call(arguments)


def enum_of(tool: Tool) -> list[str]:
    """Give the ids that a tool names."""
    properties = cast("dict[str, dict[str, object]]", tool.schema["properties"])
    part = properties.get("step") or cast("dict[str, object]", properties["steps"]["items"])
    return cast("list[str]", part["enum"])


async def test_a_model_names_steps_by_their_addresses() -> None:
    """Inside and around, in flow order; and what it asks for happens."""

    async def last(visit: Visit) -> str:
        if visit.number == 1:
            tools = visit.run.tools()
            assert enum_of(tools[0]) == ["home.street", "home.zip_code", "home", "last"]
            told = called(tools, "go_back", {"steps": ["home.zip_code", "home.street"]})
            assert told.endswith("in this order: home.zip_code, home.street.")
            await interrupted()
        return "done"

    inner, flow, log = AddressFlow(), Flow("f"), Log()
    flow.include(inner.flow, "home", id="home", build=inner.build)
    add(flow, "last", last)
    await flow.run(observers=[log])
    assert log.entered[4:] == ["home.zip_code", "home.street", "home", "last"]


async def test_a_model_answers_an_included_step_as_a_whole() -> None:
    """By the type that `build=` is annotated with."""

    async def street(visit: Visit) -> str:
        tools = visit.run.tools()
        assert enum_of(tools[1]) == ["home"]
        with pytest.raises(ToolCallError, match="zip_code"):
            called(tools, "answer", {"step": "home", "value": {"street": "Main Street"}})
        whole = {"street": "Main Street", "zip_code": "12345"}
        called(tools, "answer", {"step": "home", "value": whole})
        await interrupted()

    inner, flow = AddressFlow(street), Flow("f")
    home = flow.include(inner.flow, "home", id="home", build=inner.build, model_may_answer=True)
    results = await flow.run()
    assert results[home] == Address("Main Street", "12345")


async def test_a_model_skips_an_included_step() -> None:
    """With all inside."""

    async def street(visit: Visit) -> str:
        called(visit.run.tools(), "skip", {"step": "home"})
        await interrupted()

    inner, flow, log = AddressFlow(street), Flow("f"), Log()
    flow.include(inner.flow, "home", id="home", build=inner.build, optional=True)
    await flow.run(observers=[log])
    assert log.entered == ["home.street"]


async def test_what_is_only_built_makes_no_tool_older() -> None:
    """Nobody is asked in that visit: the one that follows is the next with a person in it."""
    made: list[tuple[Tool, ...]] = []

    async def zip_code(visit: Visit) -> str:
        made.append(visit.run.tools())
        return answering(visit)

    async def after(visit: Visit) -> str:
        if visit.number == 1:
            called(made[0], "go_back", {"steps": ["home.street"]})
            await interrupted()
        with pytest.raises(ToolCallError, match="the conversation has gone on"):
            called(made[0], "go_back", {"steps": ["home.street"]})
        return "done"

    inner, flow, log = AddressFlow(zip_code=zip_code), Flow("f"), Log()
    flow.include(inner.flow, "home", id="home", build=inner.build)
    add(flow, "after", after)
    await flow.run(observers=[log])
    assert log.entered == [
        *("home.street", "home.zip_code", "home", "after"),
        *("home.street", "home", "after"),
    ]


async def test_the_same_flow_twice_is_two_steps_for_a_model() -> None:
    """Told apart by their addresses."""
    inner, flow = AddressFlow(), Flow("f")
    inner.flow.step("the country", id="country", model_may_answer=True)(done)
    for name in ("home", "work"):
        flow.include(inner.flow, name, id=name, build=inner.build)
    run = flow.prepare()
    called(run.tools(), "answer", {"step": "work.country", "value": "Peru"})
    results = await run.drive()
    assert [results[step] for step in run.steps if step.id.endswith("country")] == ["done", "Peru"]
