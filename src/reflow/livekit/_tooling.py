"""The tools of a run as LiveKit's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from livekit.agents import ToolError, function_tool
from livekit.agents.llm import ToolFlag

from reflow import ToolCallError

if TYPE_CHECKING:
    from livekit.agents.llm import RawFunctionTool
    from reflow import Run, Tool


def tools_of(run: Run) -> list[object]:
    return [_tool(tool) for tool in run.tools()]


def _tool(tool: Tool) -> object:
    name, parameters = tool.name, tool.schema
    if name == "go_back":
        name = "out_of_scope"
        parameters = _renamed(parameters)

    async def call(raw_arguments: dict[str, object]) -> str:
        arguments = dict(raw_arguments)
        if tool.name == "go_back" and "task_ids" in arguments:
            arguments["steps"] = arguments.pop("task_ids")
        try:
            return tool.call(arguments)
        except ToolCallError as error:
            raise ToolError(str(error)) from error

    return function_tool(
        call,
        raw_schema={"name": name, "description": tool.description, "parameters": parameters},
        flags=ToolFlag.IGNORE_ON_ENTER,
    )


def _renamed(schema: dict[str, object]) -> dict[str, object]:
    properties = dict(schema["properties"])
    properties["task_ids"] = properties.pop("steps")
    return {**schema, "properties": properties, "required": ["task_ids"]}
