"""How values without parts are stored: strings, numbers, times, paths, members of enums."""

from __future__ import annotations

import base64
import math
import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
)
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from types import NoneType
from typing import TYPE_CHECKING, Final, TypeVar, cast
from uuid import UUID

from ._codec_hooks import JSON, CodecError, Hooks, items_of, strings, wrong
from ._codec_times import read_datetime, read_time, write_datetime, write_time
from ._codec_types import text_of

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

# What databases and other languages take for an integer; json itself would fail beyond some
# thousand digits.
_LARGE: Final = 2**63
# In JSON a high surrogate before a low one is a single character.
_SPLIT: Final = re.compile("(?<=[\ud800-\udbff])(?=[\udc00-\udfff])")


def _encode_none(value: object, /) -> JSON:
    if value is not None:
        raise wrong("None", value)
    return None


def _decode_none(stored: object, _: object = None, /) -> object:
    return _encode_none(stored)


def _encode_bool(value: object, /) -> JSON:
    if type(value) is not bool:
        raise wrong("bool", value)
    return value


def _decode_bool(stored: object, _: object = None, /) -> object:
    return _encode_bool(stored)


def encode_str(value: object, /) -> JSON:
    """Store a string: as itself, or in pieces where JSON would join two surrogates."""
    if type(value) is not str:
        raise wrong("str", value, str)
    if value.isascii() or not _SPLIT.search(value):
        return value
    return [*_SPLIT.split(value)]


def _pieces(stored: object) -> list[str]:
    return cast("list[str]", stored) if type(stored) is list else []


def decode_str(stored: object, _: object = None, /) -> str:
    """Restore a string."""
    if type(stored) is str:
        return stored
    pieces = _pieces(stored)
    if pieces and strings(pieces) and encode_str(value := "".join(pieces)) == pieces:
        return value
    raise wrong("str", stored)


def _encode_int(value: object, /) -> JSON:
    if type(value) is not int:
        raise wrong("int", value, int)
    return value if -_LARGE <= value < _LARGE else hex(value)


def _decode_int(stored: object, _: object = None, /) -> object:
    if type(stored) is int:
        return stored
    if type(stored) is str and re.fullmatch("-?0x[0-9a-f]+", stored):
        value = int(stored, 16)
        if _encode_int(value) == stored:
            return value
    raise wrong("int", stored)


_SPECIAL: Final = frozenset({"inf", "-inf", "nan", "-nan"})


def _encode_float(value: object, /) -> JSON:
    if type(value) is float:
        if math.isfinite(value):
            return value
        sign = "-" if math.copysign(1.0, value) < 0 else ""
        return sign + ("nan" if math.isnan(value) else "inf")
    # Where a float is declared, type checkers accept an int.
    if type(value) is int:
        return _encode_int(value)
    raise wrong("float", value, float)


def _decode_float(stored: object, _: object = None, /) -> object:
    if type(stored) is float and math.isfinite(stored):
        return stored
    if type(stored) is str and stored in _SPECIAL:
        return float(stored)
    try:
        return _decode_int(stored)
    except CodecError:
        raise wrong("float", stored) from None


def _encode_timedelta(value: object, /) -> JSON:
    if type(value) is not timedelta:
        raise wrong("datetime.timedelta", value, timedelta)
    return [value.days, value.seconds, value.microseconds]


def _decode_timedelta(stored: object, _: object = None, /) -> object:
    parts = items_of(stored)
    if [*map(type, parts)] == [int, int, int]:
        days, seconds, microseconds = cast("list[int]", parts)
        try:
            value = timedelta(days, seconds, microseconds)
        except OverflowError:
            raise CodecError("no timedelta is as long") from None
        if _encode_timedelta(value) == parts:
            return value
    raise CodecError("expected the days, seconds and microseconds of a timedelta")


def _textual(kind: type[T], write: Callable[[T], str], read: Callable[[str], T]) -> Hooks:
    """Give the hooks of a class whose instances are stored as text."""
    name = text_of(kind)

    def encode(value: object, /) -> JSON:
        if type(value) is not kind:
            raise wrong(name, value, kind)
        return encode_str(write(value))

    def decode(stored: object, _: object = None, /) -> object:
        text = decode_str(stored)
        try:
            value = read(text)
            if type(value) is kind and write(value) == text:
                return value
        except Exception:  # noqa: BLE001 - a parser may raise anything, and quote the text
            pass
        raise CodecError(f"expected the text of a {name}, got another one")

    return Hooks(encode, decode)


def _write_bytes(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _write_decimal(value: Decimal) -> str:
    # Whether the exponent is written in capitals depends on the context.
    return str(value).replace("e", "E")


def _path_hooks(declared: type[PurePath], kind: type[PurePath]) -> Hooks:
    def write(value: PurePath) -> str:
        text = str(value)
        if kind(text) != value:
            raise CodecError("its text stands for another path")
        return text

    hooks = _textual(kind, write, kind)
    plain = hooks.encode

    def encode(value: object, /) -> JSON:
        if type(value) is not kind:
            raise wrong(text_of(declared), value, declared)
        return plain(value)

    return Hooks(encode, hooks.decode)


_ADDRESSES: Final[tuple[type, ...]] = (
    *(IPv4Address, IPv4Interface, IPv4Network),
    *(IPv6Address, IPv6Interface, IPv6Network),
)

LEAVES: Final[dict[type, Hooks]] = {
    NoneType: Hooks(_encode_none, _decode_none),
    bool: Hooks(_encode_bool, _decode_bool),
    str: Hooks(encode_str, decode_str),
    int: Hooks(_encode_int, _decode_int),
    float: Hooks(_encode_float, _decode_float),
    timedelta: Hooks(_encode_timedelta, _decode_timedelta),
    bytes: _textual(bytes, _write_bytes, base64.b64decode),
    Decimal: _textual(Decimal, _write_decimal, Decimal),
    UUID: _textual(UUID, str, UUID),
    date: _textual(date, date.isoformat, date.fromisoformat),
    datetime: _textual(datetime, write_datetime, read_datetime),
    time: _textual(time, write_time, read_time),
    **{kind: _textual(kind, str, kind) for kind in _ADDRESSES},
}
"""The hooks of classes without parts, by class."""

PATHS: Final[dict[type, type[PurePath]]] = {
    # What they make is of the class of this system.
    PurePath: type(PurePath()),
    Path: type(Path()),
    PurePosixPath: PurePosixPath,
    PureWindowsPath: PureWindowsPath,
    type(Path()): type(Path()),
}
"""The classes of paths that can be made on this system, with the class of what they make."""

LEAVES.update({declared: _path_hooks(declared, kind) for declared, kind in PATHS.items()})
