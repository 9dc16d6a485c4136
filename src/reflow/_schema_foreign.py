"""What pydantic and msgspec describe and read themselves: models, and types of pydantic's own.

Neither is ever imported here: without them in the program, there is nothing of theirs to read.
"""

from __future__ import annotations

import json
import operator
import sys
import warnings
from typing import TYPE_CHECKING, Final, cast, get_args

from ._codec_classes import class_of, refused
from ._schema_choices import typed_enum
from ._schemas import REFERENCE, Reader, Schema, any_of, described, kinds_of, misread, referred

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pydantic import TypeAdapter, ValidationError

    from ._codec_hooks import JSON
    from ._schemas import Definitions

# So many faults are told of one value.
_MOST: Final = 10
# What is taken over as it is.
_KEPT: Final = (
    *("format", "pattern", "minLength", "maxLength", "required"),
    *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minItems", "maxItems"),
)


def pydantic_reader(declared: object, definitions: Definitions) -> Reader:
    """Give the reader of a pydantic model, or of a type that only pydantic knows."""
    make: Callable[[object], TypeAdapter[object]] = sys.modules["pydantic"].TypeAdapter
    try:
        adapter = make(declared)
        with warnings.catch_warnings():
            # A default that JSON can't express is none that a model needs to know.
            warnings.simplefilter("ignore")
            schema: Mapping[str, object] = adapter.json_schema()
    except Exception as exc:
        raise refused(declared, f"pydantic can't describe it: {type(exc).__name__}") from exc

    def read(given: JSON, /) -> object:
        try:
            return adapter.validate_json(json.dumps(given))
        except Exception as exc:  # noqa: BLE001 - a validator may raise anything
            words = words_of(exc)
        raise misread(f"this is no valid {class_of(declared).__name__}", words)

    return _reader(schema, definitions, read)


def struct_reader(declared: object, definitions: Definitions) -> Reader:
    """Give the reader of a msgspec Struct."""
    msgspec = sys.modules["msgspec"]
    kind, arguments = declared, cast("tuple[object, ...]", get_args(declared))
    if arguments:
        # Old versions only know what the class itself gives for `Card[int]`.
        subscript = cast("Callable[[object, object], object]", operator.getitem)
        kind = subscript(class_of(declared), arguments)
    try:
        schema: Mapping[str, object] = msgspec.json.schema(kind)
    except Exception as exc:
        raise refused(declared, f"msgspec can't describe it: {exc}") from exc
    decoder: Callable[[bytes], object] = msgspec.json.Decoder(kind).decode

    def read(given: JSON, /) -> object:
        try:
            return decoder(json.dumps(given).encode())
        except Exception as exc:  # noqa: BLE001 - a `__post_init__` may raise anything
            words = words_of(exc)
        raise misread(f"this is no valid {class_of(declared).__name__}", words)

    return _reader(schema, definitions, read)


def words_of(exc: Exception) -> str:
    """Give what an exception says that is meant for whoever gave the value."""
    if type(exc).__module__ == "pydantic_core._pydantic_core" and isinstance(exc, ValueError):
        # Without what was given, which pydantic quotes.
        found = cast("ValidationError", exc).errors(
            include_url=False, include_context=False, include_input=False
        )
        return "; ".join(_told(fault["loc"], fault["msg"]) for fault in found[:_MOST])
    # These say that the value is wrong; any other is a defect, which a model can do nothing about.
    # (What msgspec raises was no ValueError once.)
    if isinstance(exc, ValueError | TypeError) or type(exc).__module__ == "msgspec":
        try:
            # attrs puts its field, and the value, behind the sentence.
            parts: list[object] = [*exc.args]
            plain = type(exc) in (ValueError, TypeError) and len(parts) > 1
            return str(parts[0] if plain else exc)
        except Exception:  # noqa: BLE001 - it may be made so that it can't be shown
            return type(exc).__name__
    return type(exc).__name__


def _told(location: Iterable[int | str], message: str) -> str:
    place = ".".join(map(str, location))
    return f"{place}: {message}" if place else message


def _reader(
    schema: Mapping[str, object], definitions: Definitions, read: Callable[[JSON], object]
) -> Reader:
    given = cast("Mapping[str, object]", schema.get("$defs", {}))
    names = {name: definitions.reserve(name) for name in given}
    for name, part in given.items():
        definitions.schemas[names[name]] = _common(part, names)
    made = _common(schema, names)
    root = made
    while isinstance(root.get("$ref"), str):
        root = definitions.schemas[str(referred(root))]
    return Reader(made, read, kinds_of(root))


def _common(given: object, names: Mapping[str, str]) -> Schema:
    """Bring a schema into the form that all providers understand; what they don't is left out."""
    schema: Mapping[str, object] = {}
    if isinstance(given, dict):
        schema = cast("Mapping[str, object]", given)
    if isinstance(reference := schema.get("$ref"), str):
        made: Schema = {"$ref": REFERENCE + names[reference.removeprefix(REFERENCE)]}
    else:
        made = _plain(schema, names)
    return described(made, str(schema["description"])) if "description" in schema else made


def _plain(schema: Mapping[str, object], names: Mapping[str, str]) -> Schema:
    values: object = [schema["const"]] if "const" in schema else schema.get("enum")
    choices: object = schema.get("anyOf", schema.get("oneOf", schema.get("allOf")))
    kind = schema.get("type")
    if isinstance(kind, list):
        kinds = cast("list[object]", kind)
        choices = [{"type": each} if each == "null" else {**schema, "type": each} for each in kinds]
    if isinstance(values, list):
        return typed_enum(cast("list[JSON]", values))
    if isinstance(choices, list):
        return any_of(_common(choice, names) for choice in cast("list[object]", choices))
    if not isinstance(kind, str):
        return {}
    kept = {name: schema[name] for name in _KEPT if name in schema}
    return {"type": kind, **kept, **_parts(schema, names)}


def _parts(schema: Mapping[str, object], names: Mapping[str, str]) -> Schema:
    made: Schema = {}
    if schema["type"] == "object":
        properties = cast("Mapping[str, object]", schema.get("properties", {}))
        if properties:
            made["properties"] = {name: _common(part, names) for name, part in properties.items()}
        others = schema.get("additionalProperties")
        made |= {} if others is None else {"additionalProperties": _or_bool(others, names)}
    elif schema["type"] == "array":
        items = cast("list[object]", schema.get("prefixItems", []))
        items = [*items, *([schema["items"]] if schema.get("items") else [])]
        anything: Schema = {}
        made["items"] = any_of(_common(item, names) for item in items) if items else anything
    return made


def _or_bool(given: object, names: Mapping[str, str]) -> object:
    return given if isinstance(given, bool) else _common(given, names)
