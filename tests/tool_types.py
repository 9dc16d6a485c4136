"""Random types of answers, with values of them and how a model would say these."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from types import GenericAlias
from typing import (
    TYPE_CHECKING,
    Final,
    Generic,
    Literal,
    NamedTuple,
    TypedDict,
    TypeVar,
    Union,
    cast,
)
from uuid import UUID

import attrs
from codec_answers import Access, Colour, Plan
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

    from reflow._codec_hooks import JSON

T = TypeVar("T")


class Typed(NamedTuple):
    """A type, what draws values of it, and how a model would say one."""

    declared: object
    values: st.SearchStrategy[object]
    say: Callable[[object], JSON]


@dataclass
class Box(Generic[T]):
    """A generic dataclass."""

    item: T


@attrs.frozen(weakref_slot=False)
class Pair(Generic[T]):
    """A generic attrs class with a private name."""

    _left: T
    right: list[T] = attrs.field(alias="more")


class Keyed(TypedDict, Generic[T]):
    """A generic TypedDict."""

    key: T


class Row(NamedTuple, Generic[T]):
    """A generic NamedTuple."""

    cell: T


def plain(value: object) -> JSON:
    """Say what is JSON already."""
    return cast("JSON", value)


def iso(value: object) -> JSON:
    """Say a time."""
    return cast("date", value).isoformat()


def duration(value: object) -> JSON:
    """Say a duration."""
    amount = cast("timedelta", value)
    return f"{'-' if amount < timedelta() else ''}P{abs(amount.days)}D"


TEXT: Final = st.lists(st.integers(0, 0xD7FF), max_size=4).map(
    lambda points: "".join(map(chr, points))
)
# ISO 8601 doesn't say which of two equal times is meant.
MOMENTS: Final = st.datetimes().map(lambda moment: moment.replace(fold=0))
LEAVES: Final[list[Typed]] = [
    Typed(None, st.just(None), plain),
    Typed(bool, st.booleans(), plain),
    Typed(str, TEXT, plain),
    Typed(int, st.integers(), plain),
    Typed(float, st.integers(-(10**6), 10**6).map(lambda number: number / 8), plain),
    Typed(Decimal, st.integers().map(Decimal), str),
    Typed(UUID, st.integers(0, 2**128 - 1).map(lambda number: UUID(int=number)), str),
    Typed(bytes, st.binary(max_size=5), lambda it: base64.b64encode(cast("bytes", it)).decode()),
    Typed(datetime, MOMENTS, iso),
    Typed(date, MOMENTS.map(datetime.date), iso),
    Typed(time, MOMENTS.map(datetime.time), iso),
    Typed(timedelta, st.integers(-999, 999).map(timedelta), duration),
    Typed(Colour, st.sampled_from(list(Colour)), lambda it: cast("Colour", it).name),
    Typed(Plan, st.sampled_from(list(Plan)), lambda it: cast("Plan", it).name),
    Typed(
        Access, st.integers(0, 3).map(Access), lambda it: [str(f.name) for f in cast("Access", it)]
    ),
    Typed(Literal["a", "ä", 1, True], st.sampled_from(["a", "ä", 1, True]), plain),
]
HASHABLE: Final = [leaf for leaf in LEAVES if leaf.declared not in (bool, float)]


def of(kind: type, *arguments: object) -> object:
    """Give a generic type with these arguments."""
    return GenericAlias(kind, arguments)


def listed(inner: Typed) -> Callable[[object], JSON]:
    """Say what holds some values."""
    return lambda it: [inner.say(item) for item in cast("list[object]", it)]


def keyed(key: Typed, inner: Typed) -> Callable[[object], JSON]:
    """Say a dict."""

    def say(value: object) -> JSON:
        held = cast("dict[object, object]", value)
        if key.declared is str:
            return {cast("str", name): inner.say(item) for name, item in held.items()}
        return [{"key": key.say(name), "value": inner.say(item)} for name, item in held.items()]

    return say


def attribute(inner: Typed, name: str) -> Callable[[object], JSON]:
    """Say an object with one field."""
    return lambda it: {name: inner.say(getattr(it, name))}


@st.composite
def types(draw: st.DrawFn, depth: int = 3) -> Typed:
    """Draw a type."""
    kind = draw(st.integers(0, 12)) if depth else 0
    if kind <= 2:
        return draw(st.sampled_from(LEAVES))
    inner = draw(types(depth - 1))
    lists = st.lists(inner.values, max_size=3)
    key = draw(st.sampled_from(HASHABLE))
    if kind == 3:
        return Typed(of(list, inner.declared), lists, listed(inner))
    if kind == 4:
        return Typed(of(tuple, inner.declared, ...), lists.map(tuple), listed(inner))
    if kind == 5:
        sets = st.lists(key.values, max_size=3).map(set)
        return Typed(of(set, key.declared), sets, listed(key))
    if kind == 6:
        dicts = st.dictionaries(key.values, inner.values, max_size=3)
        return Typed(of(dict, key.declared, inner.declared), dicts, keyed(key, inner))
    if kind == 7:
        return Typed(of(Box, inner.declared), inner.values.map(Box), attribute(inner, "item"))
    if kind == 8:
        return Typed(of(Row, inner.declared), inner.values.map(Row), attribute(inner, "cell"))
    if kind == 9:
        say_all = listed(inner)
        pairs: st.SearchStrategy[object] = st.builds(Pair, inner.values, lists)
        return Typed(
            of(Pair, inner.declared),
            pairs,
            lambda it: {
                "left": inner.say(getattr(it, "_left", None)),
                "more": say_all(cast("Pair[object]", it).right),
            },
        )
    if kind == 10:
        dicts = inner.values.map(lambda item: {"key": item})
        say_key = lambda it: {"key": inner.say(cast("Keyed[object]", it)["key"])}  # noqa: E731 - as the others
        return Typed(of(Keyed, inner.declared), dicts, say_key)
    if kind == 11:
        other = draw(types(depth - 1))
        both = st.builds(lambda *items: items, inner.values, other.values)

        def say_both(value: object) -> JSON:
            one, two = cast("tuple[object, object]", value)
            return [inner.say(one), other.say(two)]

        return Typed(of(tuple, inner.declared, other.declared), both, say_both)
    optional: object = Union[inner.declared, None]  # noqa: UP007 - not known before
    values = st.one_of(inner.values, st.just(None))
    return Typed(optional, values, lambda it: None if it is None else inner.say(it))


@st.composite
def answers(draw: st.DrawFn) -> tuple[object, object, JSON]:
    """Draw a type, a value of it, and what a model would say."""
    typed = draw(types())
    value = draw(typed.values)
    return typed.declared, value, typed.say(value)
