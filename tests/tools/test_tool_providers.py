"""What the providers of models get: as written down in files, and as their own clients take it.

To write the files anew after a change that is meant: REFLOW_GOLDEN=write python -m pytest
tests/tools/test_tool_providers.py
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

import anthropic.types
import codec_answers as c
import openai.types.chat
import openai.types.responses
import pydantic
import pytest
from pydantic import TypeAdapter
from tool_flows import FLOWS, step_of, tool

from reflow import Flow
from reflow._tool_gemini import gemini_schema

if TYPE_CHECKING:
    from collections.abc import Callable

    from reflow import Tool

GOLDEN = Path(__file__).parent / "golden"


def taken(kind: object, made: dict[str, object]) -> object:
    """Give what a client's type takes of a dictionary; what it doesn't know is left out."""
    adapter = cast("Callable[[object], TypeAdapter[object]]", TypeAdapter)
    return adapter(kind).validate_python(made)


def told(tools: tuple[Tool, ...]) -> dict[str, object]:
    """Give the tools in the forms of all providers."""
    return {
        "openai": [tool.as_openai() for tool in tools],
        "openai_responses": [tool.as_openai(api="responses") for tool in tools],
        "anthropic": [tool.as_anthropic() for tool in tools],
        "gemini": [tool.as_gemini() for tool in tools],
    }


@pytest.mark.parametrize("constant", [False, True], ids=["state", "constant"])
@pytest.mark.parametrize("name", FLOWS)
def test_what_the_providers_get_is_written_down(name: str, *, constant: bool) -> None:
    """A change of it changes what models do, and spoils prompt caches: it has to be meant."""
    made = told(FLOWS[name]().prepare().tools(constant=constant))
    text = json.dumps(made, indent=2, ensure_ascii=False) + "\n"
    path = GOLDEN / f"{name}-{'constant' if constant else 'state'}.json"
    if os.environ.get("REFLOW_GOLDEN") == "write":
        path.write_text(text, "utf-8")
    assert path.read_text("utf-8") == text


@pytest.mark.parametrize("constant", [False, True], ids=["state", "constant"])
@pytest.mark.parametrize("name", FLOWS)
def test_the_clients_of_the_providers_take_them(name: str, *, constant: bool) -> None:
    """Every key is one that they know, and nothing is lost on the way."""
    for each in FLOWS[name]().prepare().tools(constant=constant):
        for kind, made in (
            (openai.types.chat.ChatCompletionToolParam, each.as_openai()),
            (openai.types.responses.FunctionToolParam, each.as_openai(api="responses")),
            (anthropic.types.ToolParam, each.as_anthropic()),
        ):
            assert taken(kind, made) == made


def test_openai_has_two_forms() -> None:
    """Anything else is a mistake of the program."""
    (go_back,) = Flow("f").prepare().tools()
    with pytest.raises(ValueError, match='must be "chat" or "responses"'):
        go_back.as_openai(api="completions")  # type: ignore[arg-type] # that is the point


def value_of(declared: object) -> object:
    """Give what Gemini is told of the answers of this type; None if that is JSON Schema."""
    flow = Flow("f")
    step_of(flow, cast("type[object]", declared))
    parameters = tool(flow.prepare(), "answer").as_gemini().get("parameters")
    if parameters is None:
        return None
    properties = cast("dict[str, object]", parameters)["properties"]
    return cast("dict[str, object]", properties)["value"]


def test_gemini_gets_its_own_words() -> None:
    """Enums of strings only, `nullable` for null, and formats that it knows."""
    assert value_of(Literal[1, 2] | None) == {
        "type": "INTEGER",
        "description": "The answer: one of 1, 2",
        "nullable": True,
    }
    assert value_of(Literal["", "a"]) == {
        "type": "STRING",
        "description": 'The answer: one of "", "a"',
    }
    assert value_of(None) == {"type": "NULL", "description": "The answer"}
    parameters = value_of(c.Account | None)
    since = cast("dict[str, dict[str, object]]", parameters)["properties"]["since"]
    assert since == {"type": "STRING", "format": "date-time", "nullable": True}
    site = cast("dict[str, dict[str, object]]", parameters)["properties"]["site"]
    assert site == {
        "type": "STRING",
        "description": "format: uri",
        "nullable": True,
        "minLength": 1,
        "maxLength": 2083,
    }


def test_a_choice_stands_alone_for_gemini() -> None:
    """What is said of it stands beside it, and null is in each of what can be chosen."""
    flow = Flow("f")
    step_of(flow, cast("type[object]", list[int | str | None] | bool | None))
    parameters = cast("dict[str, object]", tool(flow.prepare(), "answer").as_gemini()["parameters"])
    assert parameters["description"] == "value: The answer"
    properties = cast("dict[str, dict[str, object]]", parameters["properties"])
    texts = {"anyOf": [{"type": "INTEGER", "nullable": True}, {"type": "STRING", "nullable": True}]}
    assert properties["value"] == {
        "anyOf": [
            {"type": "BOOLEAN", "nullable": True},
            {"type": "ARRAY", "items": texts, "nullable": True},
        ]
    }
    choice = {"anyOf": [{"type": "string"}, {"type": "integer"}], "description": "either"}
    whole = {"anyOf": [{"type": "boolean"}, choice], "description": "any"}
    assert gemini_schema({"type": "array", "items": whole, "description": "some"}) == {
        "type": "ARRAY",
        "description": "some\neach item: any",
        "items": {"anyOf": [{"type": "BOOLEAN"}, {"type": "STRING"}, {"type": "INTEGER"}]},
    }


def test_what_openapi_has_no_words_for() -> None:
    """References, objects of arbitrary names, and what may be anything."""
    for declared in (c.Node, dict[str, int], c.Open, list[dict[str, int] | None], Anything):
        assert value_of(declared) is None


class Anything(pydantic.BaseModel):  # type: ignore[explicit-any] # what pydantic makes of it
    """Its field may be anything."""

    value: object
