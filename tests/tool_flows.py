"""Flows for the tests of the tools for language models, and a model that follows a script."""

from __future__ import annotations

import dataclasses
import enum
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, TypeVar, cast

import codec_answers as c
from support import never

from reflow import Flow, Run, Tool, ToolCallError, Visit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from reflow import Step

T = TypeVar("T")


class Plan(enum.Enum):
    """Some choice."""

    BASIC = 1
    FAMILY = 2


@dataclasses.dataclass
class Doctor:
    """An object; it checks what it is made of."""

    name: str
    since: date | None = None

    def __post_init__(self) -> None:
        """Refuse an empty name."""
        if not self.name:
            raise ValueError("a doctor has a name")


def step_of(
    flow: Flow, kind: type[T], name: str = "value", validate: Callable[[T], T] | None = None
) -> Step[T]:
    """Add a step of this type that a model may answer, and that is never run."""

    async def act(visit: Visit) -> object:
        return await never(visit)

    act.__annotations__["return"] = kind
    typed = cast("Callable[[Visit], Awaitable[T]]", act)
    if validate is None:
        return flow.step(f"the {name}", id=name, model_may_answer=True)(typed)
    declare = flow.step(f"the {name}", id=name, model_may_answer=True, validate=validate)
    return declare(typed)


def intake() -> Flow:
    """Declare a flow with a step of every kind that the tools treat differently."""
    flow = Flow("intake")

    @flow.step("the caller's\n  full name", model_may_answer=True)
    async def name(visit: Visit) -> str:
        return "Ada"

    @flow.step("the insurance plan", model_may_answer=True)
    async def plan(visit: Visit) -> Plan:
        return Plan.BASIC

    @flow.step("the doctor", depends_on=[plan], optional=True, model_may_answer=True)
    async def doctor(visit: Visit) -> Doctor | None:
        return Doctor("Who")

    @flow.step("the number of the card", sensitive=True, revisitable=False)
    async def card(visit: Visit) -> str:
        return "4111"

    @flow.step("a newsletter", optional=True)
    async def newsletter(visit: Visit) -> bool:
        return False

    return flow


def rich() -> Flow:
    """Declare a flow with answers of many types."""
    flow = intake()
    step_of(flow, c.Person, "person")
    step_of(flow, list[c.Doctor | str], "doctors")
    step_of(flow, cast("type[object]", Decimal | datetime | None), "either")
    step_of(flow, dict[str, int], "ages")
    step_of(flow, c.Node, "tree")
    step_of(flow, tuple[int, str], "both")
    step_of(flow, cast("type[object]", Literal["", 1, True] | None), "choice")
    return flow


FLOWS: dict[str, Callable[[], Flow]] = {
    "intake": intake,
    "rich": rich,
    "plain": lambda: Flow("plain"),
}


def tool(run: Run, name: str, *, constant: bool = False) -> Tool:
    """Give the tool of this name."""
    return {tool.name: tool for tool in run.tools(constant=constant)}[name]


def refusal(called: Tool, arguments: object) -> str:
    """Give the sentence with which a call is refused; it must be refused, and change nothing."""
    try:
        said = called.call(arguments)
    except ToolCallError as error:
        return str(error)
    raise AssertionError(said)


def ids(called: Tool, name: str) -> list[str]:
    """Give the ids that the schema of a tool names."""
    properties = cast("dict[str, dict[str, object]]", called.schema["properties"])
    found = properties[name]
    found = cast("dict[str, object]", found.get("items", found))
    return cast("list[str]", found.get("enum", []))
