"""The tools of a run as LiveKit's, for the model that talks with the user during a step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from livekit.agents import ToolError, function_tool
from livekit.agents.llm import ToolFlag, Toolset

from reflow import ToolCallError

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

    from livekit.agents import llm

    from reflow import Run, Tool

_OUT_OF_SCOPE: Final = (
    "Call this when the user wants to change or correct something that other tasks dealt with, or "
    "to hear one of them again. These tasks are done once more, in the order given, and so is "
    "whatever depends on an answer that changes; then the conversation goes on where it was. If "
    "the user asks for several, give all of them in the order requested."
)


def tools_of(runs: Sequence[Run], *others: Sequence[llm.Tool | llm.Toolset]) -> list[llm.Tool]:
    """Give the tools of a run, and what of those of the runs around it can be named as well.

    Args:
        runs: the run, and those that it is nested in, the nearest first.
        others: the tools of the session and of the agent; what is named like one of them gets
            another name.
    """
    taken = {name for tools in others for name in names_of(tools)}
    (own, *_) = made = [{tool.name: tool for tool in run.tools()} for run in runs]
    tools: list[llm.Tool] = []
    # By the name that the model uses: whose step it is, and its id there.
    targets: dict[str, tuple[int, str]] = {}
    lines: list[str] = []
    for level, (run, tools_there) in enumerate(zip(runs, made, strict=True)):
        active = None if run.active is None else run.active.id
        for step, line in _described(tools_there["go_back"]):
            if step != active:
                name = step
                while name in targets:
                    name = f"outer.{name}"
                targets[name] = level, step
                lines.append(f"- {name}{line.removeprefix(f'- {step}')}")
    if targets:
        go_back = [tools_there["go_back"] for tools_there in made]
        name = _free("out_of_scope", taken)
        tools.append(_out_of_scope(name, runs, go_back, targets, lines))
    passed_on = (tool for tool in own.values() if tool.name != "go_back")
    return [*tools, *(_passed_on(tool, _free(tool.name, taken)) for tool in passed_on)]


def names_of(tools: Sequence[llm.Tool | llm.Toolset]) -> set[str]:
    """Give the names that a model knows these tools by."""
    names: set[str] = set()
    for tool in tools:
        names |= names_of(tool.tools) if isinstance(tool, Toolset) else {tool.id}
    return names


def _free(name: str, taken: Container[str]) -> str:
    """Give a name that no other tool has."""
    while name in taken:
        name = f"{name}_in_group"
    return name


def _described(go_back: Tool) -> Iterable[tuple[str, str]]:
    """Give the ids that a tool may be called with, and the line for each in its description."""
    properties = cast("dict[str, dict[str, object]]", go_back.schema["properties"])
    items = cast("dict[str, list[str]]", properties["steps"]["items"])
    _, *lines = cast("str", properties["steps"]["description"]).split("\n")
    return zip(items.get("enum", []), lines, strict=True)


def _out_of_scope(
    name: str,
    runs: Sequence[Run],
    go_back: Sequence[Tool],
    targets: dict[str, tuple[int, str]],
    lines: list[str],
) -> llm.Tool:
    async def out_of_scope(raw_arguments: dict[str, object]) -> str:
        given = raw_arguments.get("task_ids")
        names = [given] if isinstance(given, str) else given
        wanted: dict[int, list[str]] = {}
        known = dict(targets)
        for level, run in enumerate(runs):
            if run.active is not None:
                # To ask it anew from its top is possible, but nothing to be offered.
                known.setdefault(run.active.id, (level, run.active.id))
        found = [known.get(name) if isinstance(name, str) else None for name in _items(names)]
        if not found or None in found:
            fault = "an id is unknown" if found else "no task was named"
            choice = ", ".join(targets)
            raise ToolError(f"Nothing was done: {fault}. Give 'task_ids' some of: {choice}.")
        for level, name in filter(None, found):
            wanted.setdefault(level, []).append(name)
        for level, ids in wanted.items():
            # All or nothing: what was offered may not be possible any more.
            _check(runs[level], ids)
        said = ""
        # From the inside out: going back around a group ends what is inside.
        for level, ids in sorted(wanted.items()):
            said = _call(go_back[level], {"steps": ids})
        return said

    schema: dict[str, object] = {
        "type": "object",
        "properties": {
            "task_ids": {
                "type": "array",
                "description": "\n".join(["The ids of the tasks, in the order requested:", *lines]),
                "items": {"type": "string", "enum": list(targets)},
                "minItems": 1,
            }
        },
        "required": ["task_ids"],
        "additionalProperties": False,
    }
    return function_tool(
        out_of_scope,
        raw_schema={
            "name": name,
            "description": _OUT_OF_SCOPE,
            "parameters": schema,
        },
        flags=ToolFlag.IGNORE_ON_ENTER,
    )


def _check(run: Run, ids: list[str]) -> None:
    (go_back,) = (tool for tool in run.tools() if tool.name == "go_back")
    if gone := [name for name in ids if name not in dict(_described(go_back))]:
        raise ToolError(f"Nothing was done: {', '.join(gone)} can't be gone back to any more.")


def _items(names: object) -> list[object]:
    return cast("list[object]", names) if isinstance(names, list) else []


def _passed_on(tool: Tool, name: str) -> llm.Tool:
    async def call(raw_arguments: dict[str, object]) -> str:
        return _call(tool, raw_arguments)

    return function_tool(
        call,
        raw_schema={
            "name": name,
            "description": tool.description,
            "parameters": tool.schema,
        },
        flags=ToolFlag.IGNORE_ON_ENTER,
    )


def _call(tool: Tool, arguments: object) -> str:
    try:
        return tool.call(arguments)
    except ToolCallError as error:
        # What LiveKit tells the model.
        raise ToolError(str(error)) from error
