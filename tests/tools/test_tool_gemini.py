"""What Gemini gets, as Google's client takes it: a part of OpenAPI, or else JSON Schema."""

from __future__ import annotations

from typing import cast

import codec_answers as c
import pytest
from tool_flows import FLOWS, step_of, tool

from reflow import Flow

pytest.importorskip("google.genai", reason="it isn't installed on the oldest Python")
from google.genai import types as gemini


def taken(made: dict[str, object]) -> dict[str, object]:
    """Give what the client makes of a declaration, as it would be sent."""
    declaration = gemini.FunctionDeclaration.model_validate(made)
    tool = gemini.Tool(function_declarations=[declaration])
    assert tool.function_declarations == [declaration]
    return declaration.model_dump(exclude_unset=True, by_alias=True, mode="json")


@pytest.mark.parametrize("constant", [False, True], ids=["state", "constant"])
@pytest.mark.parametrize("name", FLOWS)
def test_the_client_takes_the_tools(name: str, *, constant: bool) -> None:
    """Every key is one that it knows, and nothing is lost on the way."""
    for each in FLOWS[name]().prepare().tools(constant=constant):
        assert taken(each.as_gemini()) == each.as_gemini()


@pytest.mark.parametrize(
    "declared",
    [pytest.param(declared, id=f"{i}") for i, (declared, _) in enumerate(c.EXAMPLES)],
)
def test_the_client_takes_answers_of_every_type(declared: object) -> None:
    """Where Gemini's part of OpenAPI has no words for it, it gets the JSON Schema."""
    flow = Flow("f")
    step_of(flow, cast("type[object]", declared))
    made = tool(flow.prepare(), "answer").as_gemini()
    assert taken(made) == made
    assert made.keys() - {"name", "description"} in ({"parameters"}, {"parametersJsonSchema"})
