"""Random types with random values of them, and random JSON for every type."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from types import GenericAlias
from typing import Literal, TypeAlias, Union
from uuid import UUID
from zoneinfo import ZoneInfo

from codec_answers import (
    EXAMPLES,
    Access,
    Bits,
    Box,
    Colour,
    Doctor,
    Keyed,
    Level,
    Pair,
    Plan,
    same,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from reflow._codec import CodecError, ValueCodec, value_codec

Typed: TypeAlias = tuple[object, st.SearchStrategy[object]]

# All code points, also those that stand for no character.
TEXTS = st.lists(st.integers(0, 0x10FFFF), max_size=4).map(lambda points: "".join(map(chr, points)))
SPLIT = st.lists(st.sampled_from("\ud83d\ude00a"), max_size=5).map("".join)
ZONES = st.one_of(
    st.sampled_from([None, UTC, ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Tokyo")]),
    st.integers(-86_399_999_999, 86_399_999_999).map(
        lambda offset: timezone(timedelta(microseconds=offset))
    ),
)
MOMENTS = st.builds(
    lambda when, zone, fold: when.replace(tzinfo=zone, fold=fold),
    st.datetimes(),
    ZONES,
    st.integers(0, 1),
)
LEAVES: list[Typed] = [
    (None, st.just(None)),
    (bool, st.booleans()),
    (str, st.one_of(TEXTS, SPLIT)),
    (bytes, st.binary(max_size=5)),
    (int, st.one_of(st.integers(), st.integers(2**62, 2**65))),
    (float, st.one_of(st.floats(), st.integers())),
    (Decimal, st.decimals()),
    (UUID, st.integers(0, 2**128 - 1).map(lambda number: UUID(int=number))),
    (datetime, MOMENTS),
    (date, st.datetimes().map(datetime.date)),
    (time, MOMENTS.map(datetime.timetz)),
    (timedelta, st.integers(-(10**18), 10**18).map(lambda us: timedelta(microseconds=us))),
    (Colour, st.sampled_from(list(Colour))),
    (Level, st.sampled_from(list(Level))),
    (Plan, st.sampled_from(list(Plan))),
    (Access, st.integers(0, 3).map(Access)),
    (Bits, st.integers(0, 64).map(Bits)),
    (Literal["a", 1, True, b"a"], st.sampled_from(["a", 1, True, b"a"])),
    (Doctor, st.builds(Doctor, TEXTS)),
]
HASHABLE = [leaf for leaf in LEAVES if leaf[0] not in (Decimal, Doctor)]


def of(kind: type, *arguments: object) -> object:
    """Give a generic type with these arguments."""
    return GenericAlias(kind, arguments)


@st.composite
def types(draw: st.DrawFn, depth: int = 3) -> Typed:
    """Draw a type, and what draws values of it."""
    kind = draw(st.integers(0, 12)) if depth else 0
    if kind <= 2:
        return draw(st.sampled_from(LEAVES))
    declared, values = draw(types(depth - 1))
    lists = st.lists(values, max_size=3)
    key, keys = draw(st.sampled_from(HASHABLE))
    if kind == 3:
        return of(list, declared), lists
    if kind == 4:
        return of(tuple, declared, ...), lists.map(tuple)
    if kind == 5:
        return of(set, key), st.lists(keys, max_size=3).map(set)
    if kind == 6:
        return of(frozenset, key), st.lists(keys, max_size=3).map(frozenset)
    if kind == 7:
        return of(dict, key, declared), st.dictionaries(keys, values, max_size=3)
    if kind == 8:
        return of(Box, declared), st.builds(lambda item: Box(item=item), values)
    if kind == 9:
        return of(Pair, declared), st.builds(Pair, values, lists)
    if kind == 10:
        return of(Keyed, declared), st.builds(lambda item: {"key": item}, values)
    other, others = draw(types(depth - 1))
    if kind == 11:
        return of(tuple, declared, other), st.builds(lambda *both: both, values, others)
    both: object = Union[declared, other, None]  # noqa: UP007 - not known before
    return both, st.one_of(values, others, st.just(None))


@st.composite
def answers(draw: st.DrawFn) -> tuple[object, object]:
    """Draw a type and a value of it."""
    declared, values = draw(types())
    return declared, draw(values)


@settings(max_examples=300, deadline=None)
@given(answers())
def test_every_value_comes_back(answer: tuple[object, object]) -> None:
    """Whatever the type and whatever the value: the same, of the same types."""
    declared, value = answer
    codec = value_codec(declared)
    stored = codec.encode(value)
    text = json.dumps(stored, allow_nan=False)
    assert json.loads(text) == stored
    assert same(codec.decode(json.loads(text)), value)


CODECS = [value_codec(declared) for declared, _ in EXAMPLES]
STORED = [
    codec.encode(value)
    for codec, (_, values) in zip(CODECS, EXAMPLES, strict=True)
    for value in values
]
PLAIN = st.one_of(
    st.just(None), st.booleans(), st.integers(), st.floats(), TEXTS, st.sampled_from(STORED)
)


@st.composite
def documents(draw: st.DrawFn, depth: int = 2) -> object:
    """Draw JSON, with pieces of what is really stored."""
    kind = draw(st.integers(0, 3)) if depth else 0
    if kind <= 1:
        return draw(PLAIN)
    if kind == 2:
        return draw(st.lists(documents(depth - 1), max_size=3))
    return draw(st.dictionaries(TEXTS, documents(depth - 1), max_size=3))


def check(codec: ValueCodec, stored: object) -> None:
    """Decode; what can be decoded is what would be stored."""
    try:
        value = codec.decode(stored)
    except CodecError:
        return
    assert same(codec.decode(codec.encode(value)), value)


@settings(max_examples=100, deadline=None)
@given(documents())
def test_whatever_is_stored_is_a_value_or_a_codec_error(stored: object) -> None:
    """No type makes another exception of it, and none makes what it wouldn't store."""
    for codec in CODECS:
        check(codec, stored)


@settings(max_examples=50, deadline=None)
@given(answers())
def test_whatever_is_encoded_is_stored_or_a_codec_error(answer: tuple[object, object]) -> None:
    """A value of any other type is refused, or is one of this type as well."""
    for codec in CODECS:
        try:
            stored = codec.encode(answer[1])
        except CodecError:
            continue
        assert same(codec.decode(json.loads(json.dumps(stored, allow_nan=False))), answer[1])
