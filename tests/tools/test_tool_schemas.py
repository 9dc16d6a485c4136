"""The schemas say what is read: random values of random types, and random JSON for every schema."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import (
    TYPE_CHECKING,
    Annotated,
    Final,
    Literal,
    cast,
)

import pydantic
import pytest
from codec_answers import EXAMPLES, Doctor, Json, Node, same
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from tool_types import answers

from reflow._schema import Readers
from reflow._schemas import MisreadError, brief, complete

if TYPE_CHECKING:
    from collections.abc import Iterator

    from reflow._codec_hooks import JSON

RUNS: Final = 3_000 if os.environ.get("REFLOW_FUZZ") == "full" else 200
# What all providers understand, and nothing else.
KEYWORDS: Final = {
    *("type", "enum", "properties", "required", "additionalProperties", "items", "anyOf"),
    *("$ref", "$defs", "description", "format", "pattern", "minLength", "maxLength"),
    *("minItems", "maxItems", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
}

TYPES: Final = [pytest.param(declared, id=f"{i}") for i, (declared, _) in enumerate(EXAMPLES)]


def schema_of(declared: object) -> dict[str, object]:
    """Give the whole schema of a type."""
    readers = Readers()
    return complete(readers.reader(declared).schema, readers.definitions.schemas)


@settings(max_examples=RUNS, deadline=None)
@given(answers())
def test_what_a_model_would_say_is_of_the_schema_and_is_read(
    answer: tuple[object, object, JSON],
) -> None:
    """Whatever the type and whatever the value: it comes out the same, of the same types."""
    declared, value, said = answer
    readers = Readers()
    reader = readers.reader(declared)
    Draft202012Validator(complete(reader.schema, readers.definitions.schemas)).validate(said)
    # Sets have no order.
    assert same(reader.read(json.loads(json.dumps(said))), value)


def parts_of(schema: dict[str, object]) -> Iterator[dict[str, object]]:
    """Give a schema and all that are in it."""
    yield schema
    for keyword in ("properties", "$defs"):
        for part in cast("dict[str, dict[str, object]]", schema.get(keyword, {})).values():
            yield from parts_of(part)
    for part in cast("list[dict[str, object]]", schema.get("anyOf", [])):
        yield from parts_of(part)
    for keyword in ("items", "additionalProperties"):
        if isinstance(inner := schema.get(keyword), dict):
            yield from parts_of(inner)


@pytest.mark.parametrize("declared", TYPES)
def test_schemas_use_what_all_providers_understand(declared: object) -> None:
    """No keyword that one of them refuses; every enum has its type, every array its items."""
    schema = schema_of(declared)
    Draft202012Validator.check_schema(schema)
    defined = cast("dict[str, object]", schema.get("$defs", {}))
    for part in parts_of(schema):
        assert part.keys() <= KEYWORDS
        assert "enum" not in part or part["type"] in {"string", "integer", "boolean"}
        assert part.get("type") != "array" or part["items"]
        assert isinstance(part.get("type", ""), str)
        assert "$ref" not in part or (
            len(part.keys() - {"$defs"}) == 1
            and str(part["$ref"]).removeprefix("#/$defs/") in defined
        )
    readers = Readers()
    assert 0 < len(brief(readers.reader(declared).schema, readers.definitions.schemas)) < 310


@st.composite
def instances(
    draw: st.DrawFn, schema: dict[str, object], whole: dict[str, object], depth: int = 4
) -> JSON:
    """Draw JSON that is of a schema; of texts only that they are texts."""
    if "$ref" in schema:
        name = str(schema["$ref"]).removeprefix("#/$defs/")
        inner = cast("dict[str, dict[str, object]]", whole["$defs"])[name]
        return draw(instances(inner, whole, depth))
    if "anyOf" in schema:
        choices = cast("list[dict[str, object]]", schema["anyOf"])
        # The last ones are the plainest: null, a string.
        choice = draw(st.sampled_from(choices)) if depth > 0 else choices[-1]
        return draw(instances(choice, whole, depth))
    if "enum" in schema:
        return draw(st.sampled_from(cast("list[JSON]", schema["enum"])))
    match schema["type"]:
        case "null":
            return None
        case "boolean":
            return draw(st.booleans())
        case "integer":
            return draw(st.integers(cast("int", schema.get("minimum", -(10**20))), 10**20))
        case "number":
            return draw(st.sampled_from([0, 1.5, -3, 1e300]))
        case "string":
            return draw(st.sampled_from(["a", "ä", "2024-05-31", "2024-05-31T10:00Z", "12", "P1D"]))
        case "array":
            length = draw(st.integers(0, 3 if depth > 0 else 0))
            length = max(length, cast("int", schema.get("minItems", 0)))
            length = min(length, cast("int", schema.get("maxItems", length)))
            items = cast("dict[str, object]", schema["items"])
            return [draw(instances(items, whole, depth - 1)) for _ in range(length)]
        case _:
            made: dict[str, JSON] = {}
            properties = cast("dict[str, dict[str, object]]", schema.get("properties", {}))
            for name, part in properties.items():
                if name in cast("list[str]", schema.get("required", [])) or draw(st.booleans()):
                    made[name] = draw(instances(part, whole, depth - 1))
            if isinstance(others := schema.get("additionalProperties"), dict) and depth > 0:
                part = cast("dict[str, object]", others)
                made |= {name: draw(instances(part, whole, depth - 1)) for name in "ab"}
            return made


def has_texts(schema: dict[str, object]) -> bool:
    """Say whether a schema leaves open which strings are of it, or what an order has to be."""
    told = (part.get("description") or part.get("format") for part in parts_of(schema))
    return any(told)


EXACT: Final = [
    declared for declared, _ in EXAMPLES if not has_texts(schema_of(declared)) and declared != Json
]


ALL: Final = [(Readers().reader(declared), schema_of(declared)) for declared, _ in EXAMPLES]


@st.composite
def given_answers(draw: st.DrawFn) -> tuple[int, JSON]:
    """Draw the number of a type, and JSON of its schema."""
    number = draw(st.integers(0, len(ALL) - 1))
    schema = ALL[number][1]
    return number, draw(instances(schema, schema))


@settings(max_examples=5 * RUNS, deadline=None)
@given(given_answers())
def test_json_of_the_schema_is_read_or_refused_with_the_reason(drawn: tuple[int, JSON]) -> None:
    """No type makes another exception of it; where the schema says it all, it is read."""
    number, said = drawn
    reader, schema = ALL[number]
    if "pattern" not in str(schema):
        Draft202012Validator(schema).validate(said)
    try:
        reader.read(said)
    except MisreadError as error:
        told = str(error)
        # A class may refuse what it is made of, and no schema says that keys differ.
        known = "this is no valid" in told or "a key stands there twice" in told
        assert known or EXAMPLES[number][0] not in EXACT


def test_most_schemas_say_it_all() -> None:
    """So that the test above does test something."""
    assert len(EXACT) > 35


@dataclass
class Leaf:
    """It stands in the next one twice."""

    value: int


@dataclass
class Twice:
    """It holds another one twice, and that one twice again."""

    left: Leaf
    right: Leaf


Anything = Annotated[object, pydantic.WithJsonSchema({})]
Odd = Annotated[object, pydantic.WithJsonSchema({"enum": [[1]]})]
Nullable = Annotated[object, pydantic.WithJsonSchema({"enum": ["a", None]})]
Listed = Annotated[list[object], pydantic.WithJsonSchema({"type": "array", "items": True})]
Kinds = Annotated[
    object, pydantic.WithJsonSchema({"type": ["string", "null"], "minLength": 1, "oneOf": 1})
]


class Strange(pydantic.BaseModel):  # type: ignore[explicit-any] # what pydantic makes of it
    """Its schema has all that others don't know."""

    leaf: Leaf = pydantic.Field(description="the leaf")
    again: Leaf | None = pydantic.Field(description="another")
    kind: Literal["strange"]
    choice: Literal["a", 1] | None
    pair: tuple[int, str]
    anything: Anything
    odd: Odd
    nullable: Nullable
    listed: Listed
    kinds: Kinds
    more: dict[str, int]
    none: tuple[()]


def test_schemas_of_others_are_brought_into_the_common_form() -> None:
    """What pydantic says in words that not all providers know is said in others, or left out."""
    schema = schema_of(Strange)
    Draft202012Validator.check_schema(schema)
    for part in parts_of(schema):
        assert part.keys() <= KEYWORDS
    leaf = {"$ref": "#/$defs/Leaf"}
    nothing: dict[str, object] = {}
    assert schema["properties"] == {
        "leaf": {"description": "the leaf", "anyOf": [leaf]},
        "again": {"anyOf": [leaf, {"type": "null"}], "description": "another"},
        "kind": {"type": "string", "enum": ["strange"]},
        "choice": {
            "anyOf": [
                {"type": "string", "enum": ["a"]},
                {"type": "integer", "enum": [1]},
                {"type": "null"},
            ]
        },
        "pair": {
            "type": "array",
            "maxItems": 2,
            "minItems": 2,
            "items": {"anyOf": [{"type": "integer"}, {"type": "string"}]},
        },
        "anything": nothing,
        "odd": nothing,
        "nullable": {"anyOf": [{"type": "string", "enum": ["a"]}, {"type": "null"}]},
        "listed": {"type": "array", "items": nothing},
        "kinds": {"anyOf": [{"type": "string", "minLength": 1}, {"type": "null"}]},
        "more": {"type": "object", "additionalProperties": {"type": "integer"}},
        "none": {"type": "array", "maxItems": 0, "minItems": 0, "items": nothing},
    }


def test_what_is_used_more_than_once_is_defined_once() -> None:
    """Otherwise a schema could grow with the power of its depth."""
    once, twice = schema_of(Doctor), schema_of(dict[str, Twice | list[Twice]])
    assert "$defs" not in once
    assert list(cast("dict[str, object]", twice["$defs"])) == ["Twice", "Leaf"]
    recursive = schema_of(tuple[Node, ...])
    assert list(cast("dict[str, object]", recursive["$defs"])) == ["Node"]
    assert recursive["items"] == {"$ref": "#/$defs/Node"}
