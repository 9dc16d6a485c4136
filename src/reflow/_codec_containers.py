"""How values that hold others are stored: lists, tuples, sets, dicts."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Union, cast, get_args

from ._codec_choices import CLASSES
from ._codec_classes import class_of
from ._codec_hooks import JSON, CodecError, Hooks, entries_of, items_of, strings, wrong
from ._codec_types import text_of

if TYPE_CHECKING:
    from ._codec_classes import Part


def items_hooks(declared: object, part: Part) -> Hooks:
    """Give the hooks of a list, a set, a frozenset or a tuple of any length."""
    kind, text = class_of(declared), text_of(class_of(declared))
    item = part(get_args(declared)[0], f"{text}[...] item")

    def encode(value: object, /) -> JSON:
        if type(value) is not kind:
            raise wrong(text, value, kind)
        stored: list[JSON] = []
        try:
            stored.extend(map(item.encode, cast("list[object]", value)))
        except CodecError as error:
            error.at(f"[{len(stored)}]")
            raise
        return stored

    def decode(stored: object, _: object = None, /) -> object:
        values = _decoded(stored, item)
        if kind is list:
            return values
        made = kind(values)
        if len(made) != len(values):
            raise CodecError("an item stands there twice")
        return made

    return Hooks(encode, decode)


def _decoded(stored: object, item: Hooks) -> list[object]:
    values: list[object] = []
    try:
        values.extend(map(item.decode, items_of(stored)))
    except CodecError as error:
        error.at(f"[{len(values)}]")
        raise
    return values


def tuple_hooks(declared: object, part: Part) -> Hooks:
    """Give the hooks of a tuple."""
    arguments = get_args(declared)
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        return items_hooks(declared, part)
    items = [part(item, f"tuple[...] item {i}") for i, item in enumerate(arguments)]

    def checked(value: object, kind: type) -> list[object]:
        if type(value) is not kind:
            raise wrong(kind.__name__, value, kind)
        parts = list(cast("list[object]", value))
        if len(parts) != len(items):
            raise CodecError(f"expected {len(items)} items, got {len(parts)}")
        return parts

    def encode(value: object, /) -> JSON:
        stored: list[JSON] = []
        parts = checked(value, tuple)
        try:
            for item, part in zip(items, parts, strict=True):
                stored.append(item.encode(part))
        except CodecError as error:
            error.at(f"[{len(stored)}]")
            raise
        return stored

    def decode(stored: object, _: object = None, /) -> object:
        values: list[object] = []
        parts = checked(stored, list)
        try:
            for item, part in zip(items, parts, strict=True):
                values.append(item.decode(part))
        except CodecError as error:
            error.at(f"[{len(values)}]")
            raise
        return tuple(values)

    return Hooks(encode, decode)


def dict_hooks(declared: object, part: Part) -> Hooks:
    """Give the hooks of a dict: an object where the keys are strings, otherwise pairs."""
    key_type, value_type = get_args(declared)
    key, item = part(key_type, "dict[...] key"), part(value_type, "dict[...] value")

    def encode(value: object, /) -> JSON:
        held = entries_of(value)
        keys: list[JSON] = []
        values: list[JSON] = []
        try:
            keys.extend(map(key.encode, held))
            values.extend(map(item.encode, held.values()))
        except CodecError as error:
            # By number: the keys may be private.
            done = len(values)
            error.at(f"[value {done}]" if len(keys) == len(held) else f"[key {len(keys)}]")
            raise
        if key_type is str and strings(keys):
            return dict(zip(cast("list[str]", keys), values, strict=True))
        return [list(pair) for pair in zip(keys, values, strict=True)]

    def decode(stored: object, _: object = None, /) -> object:
        keys: list[object] = []
        values: list[object] = []
        pairs = _pairs(stored, plain=key_type is str)
        try:
            for stored_key, stored_value in pairs:
                keys.append(key.decode(stored_key))
                values.append(item.decode(stored_value))
        except CodecError as error:
            done = len(values)
            error.at(f"[value {done}]" if len(keys) > done else f"[key {done}]")
            raise
        made = dict(zip(keys, values, strict=True))
        if len(made) != len(keys):
            raise CodecError("a key stands there twice")
        return made

    return Hooks(encode, decode)


def _pairs(stored: object, *, plain: bool) -> list[tuple[object, object]]:
    """Give the keys and values of what was stored for a dict."""
    if plain and type(stored) is dict:
        return list(cast("dict[object, object]", stored).items())
    pairs: list[tuple[object, object]] = []
    for pair in items_of(stored):
        parts = items_of(pair)
        if len(parts) != 2:
            raise CodecError("expected pairs of a key and its value")
        pairs.append((parts[0], parts[1]))
    if plain and strings(key for key, _ in pairs):
        raise CodecError("expected dict, got list: every key could stand in an object")
    return pairs


def abstract_hooks(declared: object, part: Part) -> Hooks:
    """Give the hooks of a `Sequence` and the like: those of what its values may be."""
    arguments = get_args(declared)
    concrete = [
        types.GenericAlias(kind, (*arguments, ...) if kind is tuple else arguments)
        for kind in CLASSES[class_of(declared)]
    ]
    return part(Union[tuple(concrete)], "")  # noqa: UP007 - there is no other way to write it
