"""How one of several is stored: members of enums and flags, literals, members of unions."""

from __future__ import annotations

import collections.abc as abc
from types import NoneType
from typing import TYPE_CHECKING, Final, Literal, Never, TypeVar, cast, get_args, get_origin

from ._codec_classes import class_of, refused
from ._codec_hooks import JSON, CodecError, Hooks, entries_of, items_of, wrong
from ._codec_pydantic import is_pydantic_only
from ._codec_types import literal_text, text_of
from ._codec_values import LEAVES, PATHS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from enum import Enum, Flag

    from ._codec_classes import Part

CLASSES: Final[Mapping[type, tuple[type, ...]]] = {
    float: (float, int),
    abc.Sequence: (list, tuple),
    abc.MutableSequence: (list,),
    abc.Collection: (list, tuple, set, frozenset),
    abc.Set: (set, frozenset),
    abc.MutableSet: (set,),
    abc.Mapping: (dict,),
    abc.MutableMapping: (dict,),
}
"""The classes of which values are, where that isn't the declared class itself alone."""


def enum_hooks(declared: object, _: Part) -> Hooks:
    """Give the hooks of an enum: a member is stored by its name, its value may be anything."""
    kind, text = cast("type[Enum]", declared), text_of(declared)
    members = kind.__members__
    if not members:
        raise refused(declared, "it has no members")

    def encode(value: object, /) -> JSON:
        if type(value) is not kind:
            raise wrong(text, value)
        name = value.name
        if members.get(name) is not value:
            raise CodecError(f"it is no member of {text}")
        return name

    def decode(stored: object, _: object = None, /) -> object:
        if type(stored) is not str:
            raise wrong("str", stored)
        if stored not in members:
            raise CodecError(f"expected one of {', '.join(members)}")
        return members[stored]

    return Hooks(encode, decode)


def flag_hooks(declared: object, _: Part) -> Hooks:
    """Give the hooks of flags: the names of those that are set, and what is left as a number."""
    kind, text = cast("type[Flag]", declared), text_of(declared)
    if not kind.__members__:
        raise refused(declared, "it has no members")
    bits = {str(flag.name): _bits(flag) for flag in kind}

    def encode(value: object, /) -> JSON:
        if type(value) is not kind:
            raise wrong(text, value)
        rest = _bits(value)
        stored: list[JSON] = []
        for name, bit in bits.items():
            if rest & bit == bit:
                stored.append(name)
                rest &= ~bit
        return [*stored, rest] if rest else stored

    def decode(stored: object, _: object = None, /) -> object:
        number = 0
        for part in items_of(stored):
            if type(part) is str and part in bits:
                number |= bits[part]
            elif type(part) is int:
                number |= part
            else:
                raise CodecError(f"expected some of {', '.join(bits)}")
        try:
            value = kind(number)
        except ValueError:
            raise CodecError(f"there is no such {text}") from None
        if encode(value) != stored:
            raise CodecError(f"no {text} is stored so")
        return value

    return Hooks(encode, decode)


def _bits(flag: Flag) -> int:
    value: int = flag.value
    return value


def literal_hooks(declared: object, _: Part) -> Hooks:
    """Give the hooks of a `Literal`: what JSON can tell apart as itself, the rest by its text."""
    text = text_of(declared)
    # With their classes, as 1 and True are equal.
    stored_as: dict[tuple[type, object], JSON] = {}
    plain: dict[tuple[type, object], object] = {}
    named: dict[str, object] = {}
    values: tuple[object, ...] = get_args(declared)
    for value in values:
        key = type(value), value
        if type(value) in (bool, NoneType) or _is_simple(value):
            stored_as[key] = cast("JSON", value)
            plain[key] = value
        else:
            name = literal_text(value)
            stored_as[key] = [name]
            named[name] = value
    kinds = {kind for kind, _ in stored_as}

    def encode(value: object, /) -> JSON:
        kind = type(value)
        if kind not in kinds:
            raise wrong(text, value)
        if (kind, value) not in stored_as:
            raise CodecError(f"expected {text}, got another {text_of(kind)}")
        return stored_as[kind, value]

    def decode(stored: object, _: object = None, /) -> object:
        kind = type(stored)
        if kind in (bool, int, str, NoneType) and (kind, stored) in plain:
            return plain[kind, stored]
        if kind is list and len(parts := cast("list[object]", stored)) == 1:
            (name,) = parts
            if type(name) is str and name in named:
                return named[name]
        raise CodecError(f"expected {text}, got another {text_of(kind)}")

    return Hooks(encode, decode)


def _is_simple(value: object) -> bool:
    """Whether JSON keeps a string or an integer as it is, in every program."""
    if type(value) is int:
        return value.bit_length() < 64
    return type(value) is str and value.isascii()


def union_hooks(declared: object, part: Part) -> Hooks:
    """Give the hooks of a union.

    A value is stored in an object, under the text of its member's type, whatever the order of the
    members. None is stored as null, and the only other member as itself.
    """
    text = text_of(declared)
    members: dict[str, object] = {}
    for member in get_args(declared):
        if members.setdefault(text_of(member), member) is not member:
            raise refused(declared, f"two different types in it are called {text_of(member)}")
    optional = members.pop("None", None) is not None
    hooks = {name: part(members[name], f"member of {text}") for name in sorted(members)}
    uncertain = [name for name in hooks if is_pydantic_only(members[name])]
    if len(hooks) == 1 and not uncertain:
        (only,) = hooks.values()
        return _optional(only)
    by_class: dict[type, list[str]] = {}
    for name in hooks:
        for kind in _classes(members[name]):
            by_class.setdefault(kind, []).append(name)
    # An int is a float as well, but an int first.
    by_class.get(int, []).sort(key="float".__eq__)
    candidates = {
        kind: [*names, *(name for name in uncertain if name not in names)]
        for kind, names in by_class.items()
    }

    def encode(value: object, /) -> JSON:
        if value is None and optional:
            return None
        names = candidates.get(type(value), uncertain)
        for name in names:
            try:
                return {name: hooks[name].encode(value)}
            except CodecError:
                if len(names) == 1:
                    raise
        raise wrong(text, value) if not names else CodecError(f"no part of {text} takes it")

    def decode(stored: object, _: object = None, /) -> object:
        if stored is None and optional:
            return None
        entries = entries_of(stored)
        if len(entries) == 1:
            ((name, inner),) = entries.items()
            if type(name) is str and name in hooks:
                return hooks[name].decode(inner)
        raise CodecError(f"expected the name of one of {text} and its value")

    return Hooks(encode, decode)


def _optional(only: Hooks) -> Hooks:
    def encode(value: object, /) -> JSON:
        return None if value is None else only.encode(value)

    def decode(stored: object, _: object = None, /) -> object:
        return None if stored is None else only.decode(stored)

    return Hooks(encode, decode)


def _classes(declared: object) -> Iterable[type]:
    """Give the classes of which the values of a type are."""
    if get_origin(declared) is Literal:
        values: tuple[object, ...] = get_args(declared)
        return {type(value) for value in values}
    kind = class_of(declared)
    if dict in kind.__mro__:
        return (dict,)  # a TypedDict is nothing else
    return (PATHS[kind],) if kind in PATHS else CLASSES.get(kind, (kind,))


def unsupported(declared: object, _: object) -> Never:
    """Refuse a type, with advice."""
    kind = class_of(declared)
    bases = [base for base in LEAVES if issubclass(kind, base)]
    if isinstance(declared, TypeVar):
        advice = "say what it stands for, as in Box[int]"
    elif kind in (list, set, frozenset, tuple, dict, *CLASSES):
        advice = "say what it holds, as in list[int]"
    elif getattr(kind, "__abstractmethods__", None) or getattr(kind, "_is_protocol", False):
        advice = "it is abstract: declare the union of what it may be"
    elif bases:
        advice = f"it is a subclass of {text_of(bases[0])}"
    elif declared is object or text_of(declared) == "typing.Any":
        advice = "declare what it is"
    else:
        advice = "declare a type that says what it holds, such as a dataclass"
    raise refused(declared, advice)
