"""JSON Schemas in the part of OpenAPI that every interface of Gemini takes."""

from __future__ import annotations

import json
from typing import Final, TypeAlias, cast

Schema: TypeAlias = "dict[str, object]"

_LIMITS: Final = ("minItems", "maxItems", "minimum", "maximum", "minLength", "maxLength")


class _InexpressibleError(Exception):
    """There is something that Gemini's part of OpenAPI has no words for."""


def gemini_schema(schema: Schema) -> Schema | None:
    """Give a schema in Gemini's form.

    Enums are of strings only there, there is no null but `nullable`, and of the formats of strings
    only `date-time` is taken: what can't be said otherwise goes into the description. What only
    limits the choice (a pattern, an exclusive limit) is left out: it is checked at the call.

    Args:
        schema: in the form common to all providers.

    Returns:
        The schema; None if it has references, or objects of arbitrary names.
    """
    try:
        return _converted(schema)
    except _InexpressibleError:
        return None


def _converted(schema: Schema) -> Schema:
    if "anyOf" in schema:
        return _any_of(schema)
    kind = schema.get("type")
    if not isinstance(kind, str):
        raise _InexpressibleError
    made: Schema = {"type": kind.upper()}
    words = [str(schema["description"])] if "description" in schema else []
    if "enum" in schema:
        values = cast("list[object]", schema["enum"])
        # An empty string in an enum is refused.
        if kind == "string" and all(values):
            made |= {"format": "enum", "enum": list(values)}
        else:
            words.append(f"one of {', '.join(map(json.dumps, values))}")
    elif schema.get("format") == "date-time":
        made["format"] = "date-time"
    elif "format" in schema and not words:
        words.append(f"format: {schema['format']}")
    if words:
        made["description"] = ": ".join(words)
    if kind == "array":
        made["items"] = _part(cast("Schema", schema["items"]), "each item", made)
    if kind == "object":
        properties = cast("dict[str, Schema]", schema.get("properties", {}))
        # Without properties the model gives none.
        if not properties or schema.get("additionalProperties", False) is not False:
            raise _InexpressibleError
        made["properties"] = {name: _part(part, name, made) for name, part in properties.items()}
        made["required"] = list(cast("list[str]", schema.get("required", [])))
        # Without it the names are in the order of the alphabet.
        made["propertyOrdering"] = list(properties)
    return made | {name: schema[name] for name in _LIMITS if name in schema}


def _part(schema: Schema, name: str, whole: Schema) -> Schema:
    """Give a part in Gemini's form; what is said of a choice stands with the whole.

    Vertex AI refuses a schema in which anything stands beside `anyOf`.
    """
    made = _converted(schema)
    if "anyOf" in made and "description" in made:
        words = f"{name}: {made.pop('description')}"
        whole["description"] = "\n".join(
            [*([str(whole["description"])] if "description" in whole else []), words]
        )
    return made


def _any_of(schema: Schema) -> Schema:
    parts = cast("list[Schema]", schema["anyOf"])
    rest = [part for part in parts if part.get("type") != "null"]
    nullable = len(rest) < len(parts)
    made: list[Schema] = []
    for part in map(_converted, rest):
        # A choice in a choice is one.
        made += cast("list[Schema]", part["anyOf"]) if "anyOf" in part else [part]
    if len(made) > 1 and nullable:
        made, nullable = [{**part, "nullable": True} for part in made], False
    only: Schema = made[0] if len(made) == 1 else {"anyOf": made}
    words = [str(each["description"]) for each in (schema, only) if "description" in each]
    if words:
        only = {**only, "description": ": ".join(words)}
    return {**only, "nullable": True} if nullable else only
