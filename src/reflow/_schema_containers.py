"""Values that hold others, as a language model gives them: lists, tuples, sets, dicts."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, TypeVar, cast, get_args

from ._codec_choices import CLASSES
from ._codec_classes import class_of
from ._codec_types import text_of
from ._schema_choices import without_modules
from ._schemas import (
    Fault,
    MisreadError,
    Reader,
    any_of,
    exact_object,
    expected,
    misread,
    read_items,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ._codec_hooks import JSON
    from ._schemas import Part, Schema

K = TypeVar("K")


def read_all(parts: Iterable[tuple[K, str, Reader, JSON]]) -> dict[K, object]:
    """Read the parts of a value, and tell all that is wrong with them together.

    Args:
        parts: of each the key, the place, the reader, and what was given.
    """
    values: dict[K, object] = {}
    faults: list[Fault] = []
    for key, place, reader, given in parts:
        try:
            values[key] = reader.read(given)
        except MisreadError as error:
            faults += error.at(place)
    if faults:
        raise MisreadError(faults)
    return values


def items_reader(declared: object, part: Part) -> Reader:
    """Give the reader of a list, a set, a frozenset or a tuple of any length."""
    kind = class_of(declared)
    text = text_of(kind)
    item = part(get_args(declared)[0], f"{text}[...] item")
    make = cast("Callable[[Iterable[object]], object]", kind)

    def read(given: JSON, /) -> object:
        items = enumerate(read_items(given))
        values = read_all((i, f"[{i}]", item, value) for i, value in items)
        return hashed(make, values.values())

    return Reader({"type": "array", "items": item.schema}, read)


def hashed(make: Callable[[Iterable[object]], object], values: Iterable[object]) -> object:
    """Put values into a container that may need their hashes."""
    try:
        return make(values)
    except TypeError:
        fault = misread("one of the values has no hash")
    raise fault


def tuple_reader(declared: object, part: Part) -> Reader:
    """Give the reader of a tuple; the order of its types is told in words."""
    arguments = get_args(declared)
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return items_reader(declared, part)
    readers = [part(item, f"tuple[...] item {i}") for i, item in enumerate(arguments)]
    schemas = [reader.schema for reader in readers]

    def read(given: JSON, /) -> object:
        items = read_items(given)
        if len(items) != len(readers):
            raise misread(f"expected {len(readers)} items, got {len(items)}")
        pairs = enumerate(zip(readers, items, strict=True))
        values = read_all((i, f"[{i}]", reader, item) for i, (reader, item) in pairs)
        return tuple(values.values())

    schema: Schema = {
        "type": "array",
        "items": any_of(schemas) if schemas else {"type": "string"},
        "minItems": len(schemas),
        "maxItems": len(schemas),
    }
    texts = [*map(without_modules, arguments)]
    if len({*texts}) > 1:
        # The order can't be said otherwise.
        schema["description"] = f"in this order: {', '.join(texts)}"
    return Reader(schema, read)


def dict_reader(declared: object, part: Part) -> Reader:
    """Give the reader of a dict: an object where keys are strings, otherwise keys and values."""
    key_type, value_type = get_args(declared)
    key, item = part(key_type, "dict[...] key"), part(value_type, "dict[...] value")

    def read_object(given: JSON, /) -> object:
        if type(given) is not dict:
            raise expected("an object", given)
        # By number: the names may be private.
        parts = enumerate(given.items())
        return read_all((name, f"[value {i}]", item, value) for i, (name, value) in parts)

    def read_pairs(given: JSON, /) -> object:
        pairs: list[tuple[object, object]] = []
        faults: list[Fault] = []
        for i, pair in enumerate(read_items(given)):
            if type(pair) is not dict or pair.keys() != {"key", "value"}:
                faults.append(Fault(f"[{i}]", "expected an object with key and value"))
                continue
            try:
                parts = read_all(
                    (name, f"[{i}].{name}", reader, pair[name])
                    for name, reader in (("key", key), ("value", item))
                )
            except MisreadError as error:
                faults += error.faults
            else:
                pairs.append((parts["key"], parts["value"]))
        if faults:
            raise MisreadError(faults)
        keys = hashed(frozenset, (held for held, _ in pairs))
        if len(cast("frozenset[object]", keys)) < len(pairs):
            raise misread("a key stands there twice")
        return dict(pairs)

    if key_type is str:
        return Reader({"type": "object", "additionalProperties": item.schema}, read_object)
    pair = exact_object({"key": key.schema, "value": item.schema}, ["key", "value"])
    return Reader({"type": "array", "items": pair}, read_pairs)


def abstract_reader(declared: object, part: Part) -> Reader:
    """Give the reader of a `Sequence` and the like: an array becomes a list, and so on."""
    kind = CLASSES[class_of(declared)][0]
    return part(types.GenericAlias(kind, get_args(declared)), "")
