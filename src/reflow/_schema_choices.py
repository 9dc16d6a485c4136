"""One of several, as a language model gives it: members of enums and flags, literals, unions."""

from __future__ import annotations

import re
from enum import Enum
from types import NoneType
from typing import TYPE_CHECKING, Final, cast, get_args

from ._codec_classes import refused
from ._codec_types import literal_text, text_of
from ._schema_values import READERS, read_float
from ._schemas import (
    KINDS,
    MisreadError,
    Reader,
    Schema,
    any_of,
    as_text,
    enumerated,
    exact_object,
    expected,
    misread,
    read_items,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from enum import Flag

    from ._codec_hooks import JSON
    from ._schemas import Part

_MODULES: Final = re.compile(r"(?:[\w<>]+\.)+(?=\w)")


def typed_enum(values: list[JSON]) -> Schema:
    """Give the schema of some values; those of each type are an enum of its own."""
    schemas: list[Schema] = []
    for kind, name in ((str, "string"), (int, "integer"), (float, "number"), (bool, "boolean")):
        if found := [value for value in values if type(value) is kind]:
            schemas.append({"type": name, "enum": found})
    if None in values:
        schemas.append({"type": "null"})
    return any_of(schemas)


def enum_reader(declared: object, _: Part) -> Reader:
    """Give the reader of an enum: a member is given by its name."""
    kind = cast("type[Enum]", declared)
    members = kind.__members__
    if not members:
        raise refused(declared, "it has no members")
    names: list[JSON] = [name for name, member in members.items() if member.name == name]

    def read(given: JSON, /) -> object:
        if type(given) is not str or given not in members:
            raise misread(f"expected one of {enumerated(map(str, names))}")
        return members[given]

    return Reader(typed_enum(names), read)


def flag_reader(declared: object, _: Part) -> Reader:
    """Give the reader of flags: the names of those that are set."""
    kind = cast("type[Flag]", declared)
    members = kind.__members__
    if not members:
        raise refused(declared, "it has no members")

    def read(given: JSON, /) -> object:
        value = kind(0)
        for name in read_items(given):
            if type(name) is not str or name not in members:
                raise misread(f"expected an array with some of {enumerated(members)}")
            value |= members[name]
        return value

    return Reader({"type": "array", "items": typed_enum([*members])}, read)


def literal_reader(declared: object, _: Part) -> Reader:
    """Give the reader of a `Literal`: what JSON has as itself, the rest by name."""
    # With their classes, as 1 and True are equal.
    values: dict[tuple[type, JSON], object] = {}
    others: list[object] = []
    for value in cast("tuple[object, ...]", get_args(declared)):
        if isinstance(value, Enum) or type(value) not in KINDS:
            others.append(value)
        else:
            values[type(value), cast("JSON", value)] = value
    for value in others:
        name = value.name if isinstance(value, Enum) else literal_text(value)
        values[str, literal_text(value) if (str, name) in values else name] = value
    choices = [choice for _, choice in values]

    def read(given: JSON, /) -> object:
        if type(given) is float and given.is_integer():
            given = int(given)
        if type(given) in (list, dict) or (type(given), given) not in values:
            raise misread(f"expected one of {enumerated(map(as_text, choices))}")
        return values[type(given), given]

    return Reader(typed_enum(choices), read)


def union_reader(declared: object, part: Part) -> Reader:
    """Give the reader of a union.

    Where JSON can tell the members apart (a string, a number, an object), a value is given as
    itself, otherwise in an object, under the name of its member's type.
    """
    text = text_of(declared)
    types: dict[str, object] = {}
    for member in cast("tuple[object, ...]", get_args(declared)):
        if types.setdefault(text_of(member), member) is not member:
            raise refused(declared, f"two different types in it are called {text_of(member)}")
    members = {
        name: READERS[NoneType] if name == "None" else part(types[name], f"member of {text}")
        # In the same order in every process; null comes last.
        for name in sorted(types, key=lambda name: (name == "None", name))
    }
    if "float" in members and "int" in members:
        # JSON has one type for both.
        members["float"] = Reader({"type": "number"}, _read_number)
        del members["int"]
    kinds = [reader.kinds for reader in members.values()]
    if _differ(kinds):
        return _plain(list(members.values()))
    return _tagged(members)


def _read_number(given: JSON, /) -> object:
    return given if type(given) is int else read_float(given)


def _differ(kinds: list[frozenset[str]]) -> bool:
    """Whether all kinds are known, and no two members share one."""
    return all(kinds) and sum(map(len, kinds)) == len(frozenset[str]().union(*kinds))


def _plain(members: list[Reader]) -> Reader:
    by_kind = {kind: member for member in members for kind in member.kinds}
    schema = any_of(member.schema for member in members)
    rest = [member for member in members if member is not READERS[NoneType]]
    # It knows best what it expects.
    only = rest[0] if len(rest) == 1 else None

    def read(given: JSON, /) -> object:
        if (member := by_kind.get(KINDS[type(given)], only)) is None:
            raise expected(" or ".join(map(_said, by_kind)), given)
        return member.read(given)

    return Reader(schema, read, frozenset(by_kind))


def _said(kind: str) -> str:
    return {"null": "null", "boolean": "true or false"}.get(kind) or (
        f"an {kind}" if kind in {"array", "object"} else f"a {kind}"
    )


def _tagged(members: Mapping[str, Reader]) -> Reader:
    rest = dict(members)
    nothing = rest.pop("None", None)
    named = _short(rest)
    schemas = [exact_object({name: member.schema}, [name]) for name, member in named.items()]
    schema = any_of([*schemas, {"type": "null"}] if nothing else schemas)

    def read(given: JSON, /) -> object:
        if given is None and nothing:
            return None
        if type(given) is dict and len(given) == 1:
            ((name, inner),) = given.items()
            if name in named:
                try:
                    return named[name].read(inner)
                except MisreadError as error:
                    faults = error.at(f".{name}")
                raise MisreadError(faults)
        raise misread(f"expected an object with one of these names: {', '.join(named)}")

    return Reader(schema, read, frozenset({"object", "null"} if nothing else {"object"}))


def without_modules(declared: object) -> str:
    """Give the text of a type with the plain names of the classes in it."""
    return _MODULES.sub("", text_of(declared))


def _short(members: Mapping[str, Reader]) -> dict[str, Reader]:
    """Leave modules out of the names, unless two would be called the same, or one is in quotes."""
    short = {_MODULES.sub("", name): member for name, member in members.items()}
    quoted = any("'" in name or '"' in name for name in members)
    return dict(members) if quoted or len(short) < len(members) else short
