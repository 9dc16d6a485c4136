"""What LiveKit sends OpenAI, Anthropic and Google of the tools of a group, written down in files.

To write the files anew after a change that is meant: REFLOW_GOLDEN=write python -m pytest
tests/voice/test_provider_formats.py
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

import anthropic.types
import openai.types.chat
import openai.types.responses
import pytest
import voice_tools
from livekit.agents.llm import RawFunctionTool
from pydantic import TypeAdapter
from voice_tools import GROUPS, sent, text_of, told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.anyio

GOLDEN = Path(__file__).parent / "golden"


def taken(kind: object, made: dict[str, object]) -> object:
    """Give what a client's type takes of a dictionary; what it doesn't know is left out."""
    adapter = cast("Callable[[object], TypeAdapter[object]]", TypeAdapter)
    return adapter(kind).validate_python(made)


def objects(of: object) -> Iterator[dict[str, object]]:
    """Give every object in something made of JSON."""
    if isinstance(of, dict):
        yield of
        of = [*of.values()]
    if isinstance(of, list):
        for each in of:
            yield from objects(each)


def enums_of(of: object) -> Iterator[list[object]]:
    """Give the values of every enum in something made of JSON."""
    return (cast("list[object]", each["enum"]) for each in objects(of) if "enum" in each)


@pytest.mark.parametrize("name", GROUPS)
async def test_what_the_providers_get_is_written_down(name: str) -> None:
    """A change of it changes what models do, and spoils prompt caches: it has to be meant.

    And a change of LiveKit is noticed.
    """
    text = text_of(told(await sent(name)))
    path = GOLDEN / f"{name}.json"
    if os.environ.get("REFLOW_GOLDEN") == "write":
        path.write_text(text, "utf-8")
    assert path.read_text("utf-8") == text


@pytest.mark.parametrize("name", GROUPS)
async def test_livekit_sends_the_schemas_as_they_are(name: str) -> None:
    """No option of a plugin makes it write others, with defaults and names of its own."""
    tools = await sent(name)
    assert all(isinstance(tool, RawFunctionTool) for tool in tools.flatten())
    assert told(tools, strict=False) == told(tools)


@pytest.mark.parametrize("name", GROUPS)
async def test_the_clients_of_the_providers_take_them(name: str) -> None:
    """Every key is one that they know, and nothing is lost on the way."""
    made = told(await sent(name))
    for provider, kind in (
        ("openai", openai.types.chat.ChatCompletionToolParam),
        ("anthropic", anthropic.types.ToolParam),
    ):
        for each in made[provider]:
            assert taken(kind, each) == each
    for each in made["openai.responses"]:
        # What stands for the default, which the type wants to be said.
        whole = {**each, "strict": None}
        assert taken(openai.types.responses.FunctionToolParam, whole) == whole


@pytest.mark.parametrize("name", GROUPS)
async def test_every_enum_has_its_type(name: str) -> None:
    """Gemini refuses a session in which one has none (livekit/agents #5073)."""
    enums = [each for each in objects(told(await sent(name))) if "enum" in each]
    assert enums
    for each in enums:
        assert each["type"] == "string"
        assert all(isinstance(value, str) for value in cast("list[object]", each["enum"]))


@pytest.mark.parametrize("name", GROUPS)
async def test_gemini_live_takes_them(name: str) -> None:
    """It knows no JSON Schema: Google's plugin translates, and leaves out what has no words."""
    pytest.importorskip("livekit.plugins.google", reason="the plugin isn't installed")
    from google.genai.types import FunctionDeclaration  # noqa: PLC0415 - it comes with the plugin

    tools = await sent(name)
    made = tools.parse_function_tools(
        "google", tool_behavior="NON_BLOCKING", use_parameters_json_schema=False
    )
    declared = [
        FunctionDeclaration.model_validate(each).model_dump(
            exclude_unset=True, by_alias=True, mode="json"
        )
        for each in made
    ]
    assert [each["name"] for each in declared] == [each["name"] for each in told(tools)["google"]]
    assert list(enums_of(declared)) == list(enums_of(told(tools)["google"]))
    assert {each["type"] for each in objects(declared) if "enum" in each} == {"STRING"}


def test_ids_are_in_the_order_of_the_flow() -> None:
    """A set would give another order in each process; and the order tells what came first."""
    made = json.loads((GOLDEN / "intake.json").read_text("utf-8"))
    enums = {schema["name"]: list(enums_of(schema)) for schema in made["openai.responses"]}
    assert enums == {
        # Not the card, which can't be gone back to.
        "out_of_scope": [["name", "plan", "doctor", "zip"]],
        "answer": [["name", "plan", "doctor", "later"], ["BASIC", "FAMILY"]],
        "skip": [["doctor", "card", "newsletter"]],
    }


def test_inner_steps_come_first() -> None:
    """Those of the groups around follow; one that is named alike is told apart."""
    (tool,) = json.loads((GOLDEN / "nested.json").read_text("utf-8"))["anthropic"]
    (enum,) = enums_of(tool)
    assert enum == ["name", "number", "outer.name", "birthday"]


def test_every_process_sends_the_same() -> None:
    """Whatever PYTHONHASHSEED is: what a cache of prompts has seen, it finds again."""
    golden = {name: json.loads((GOLDEN / f"{name}.json").read_text("utf-8")) for name in GROUPS}
    expected = "".join(text_of({name: made}) for name, made in golden.items())
    processes = [
        subprocess.Popen(
            [sys.executable, voice_tools.__file__],
            env={**os.environ, "PYTHONHASHSEED": seed},
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        for seed in ("0", "1", "2")
    ]
    assert [process.communicate()[0] for process in processes] == [expected] * 3
