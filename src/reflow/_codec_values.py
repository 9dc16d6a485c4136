"""How values without parts are stored: strings, numbers, times, paths, members of enums."""

from __future__ import annotations

import base64
import math
import re
from datetime import date, datetime, time, timedelta, timezone
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
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, TypeVar, cast, final
from uuid import UUID
from zoneinfo import ZoneInfo

from ._codec_types import text_of
from ._compat import override

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import tzinfo

T = TypeVar("T")

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"
"""What `json.dumps` takes, also with `allow_nan=False`, and `json.loads` gives back unchanged."""

# What databases and other languages take for an integer; json itself would fail beyond some
# thousand digits.
_LARGE: Final = 2**63
# In JSON a high surrogate before a low one is a single character.
_SPLIT: Final = re.compile("(?<=[\ud800-\udbff])(?=[\udc00-\udfff])")
_OFFSET: Final = "microseconds="
_MARKED: Final = re.compile(r"([^\[]*)(\[fold=1\])?(?:\[([^\[\]]+)\])?")


class CodecError(ValueError):
    """A value is not of the type, or what is stored isn't. The value is not quoted."""

    def __init__(self, reason: str) -> None:
        """Keep the reason; whoever knows where it stands adds the place."""
        super().__init__(reason)
        self._places: list[str] = []

    def at(self, place: str) -> CodecError:
        """Add the place, in what holds it, of what the error is about."""
        self._places.append(place)
        return self

    @override
    def __str__(self) -> str:
        """Say where, and what."""
        reason = super().__str__()
        return f"at {''.join(reversed(self._places))}: {reason}" if self._places else reason


class Encode(Protocol):
    """A hook that stores: refuses what is not exactly of its type."""

    def __call__(self, value: object, /) -> JSON:
        """Give what is stored for the value.

        Raises:
            CodecError: if the value isn't of the type.
        """
        ...


class Decode(Protocol):
    """A hook that restores; cattrs passes the type as well, which every hook knows."""

    def __call__(self, stored: object, declared: object = None, /) -> object:
        """Give the value for what is stored.

        Raises:
            CodecError: if no value of the type is stored so.
        """
        ...


@final
class Hooks:
    """How values of one type are stored and restored.

    They may be filled in later: a class may hold itself.
    """

    __slots__ = ("decode", "encode")

    encode: Encode
    decode: Decode

    def __init__(self, encode: Encode | None = None, decode: Decode | None = None) -> None:
        """Take the hooks, or wait for them."""
        self.encode = encode or (lambda value, /: self.encode(value))
        self.decode = decode or (lambda stored, declared=None, /: self.decode(stored, declared))


def wrong(expected: str, value: object, declared: type = NoneType) -> CodecError:
    """Say that a value is of another class than it should be."""
    kind = type(value)
    reason = f"expected {expected}, got {text_of(kind)}"
    if declared in kind.__mro__ and kind is not bool:
        reason += ", a subclass of it: declare a union, it would come back as another class"
    return CodecError(reason)


def items_of(stored: object) -> list[object]:
    """Give the items of a stored list.

    Raises:
        CodecError: if it is none.
    """
    if type(stored) is not list:
        raise wrong("list", stored)
    return cast("list[object]", stored)


def entries_of(stored: object) -> dict[object, object]:
    """Give the keys and values of a stored object, or of a dict.

    Raises:
        CodecError: if it is none.
    """
    if type(stored) is not dict:
        raise wrong("dict", stored, dict)
    return cast("dict[object, object]", stored)


def strings(values: Iterable[object]) -> bool:
    """Whether all of these are strings, not of a subclass."""
    return all(type(value) is str for value in values)


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


def _marks(zone: tzinfo | None, fold: int) -> str:
    """Give what the ISO format leaves out: which of two equal times, and the zone's name."""
    mark = "[fold=1]" if fold else ""
    if type(zone) is timezone:
        offset = zone.utcoffset(None)
        if zone.tzname(None) != timezone(offset).tzname(None):
            raise CodecError("its timezone has a name of its own, which can't be stored")
        if offset.microseconds:
            mark += f"[{_OFFSET}{offset // timedelta.resolution}]"
    elif type(zone) is ZoneInfo:
        # A zone that was read from a file has none, or one that stands for nothing.
        key = cast("str | None", zone.key)
        try:
            ZoneInfo(key or "")
        except Exception:  # noqa: BLE001 - a key may be wrong in many ways
            raise CodecError("its ZoneInfo can't be found by its key") from None
        mark += f"[{key}]"
    elif zone is not None:
        raise CodecError(f"its zone is a {text_of(type(zone))}, not a timezone or a ZoneInfo")
    return mark


def _is_marked(zone: tzinfo | None) -> bool:
    """Whether the zone is not written as ISO does.

    The offset of a place may change with the next edition of the time zone database; and what is
    smaller than a second is not always read as it was written.
    """
    if type(zone) is timezone:
        return bool(zone.utcoffset(None).microseconds)
    return zone is not None


def _write_datetime(value: datetime) -> str:
    zone = value.tzinfo
    if zone is None and not value.fold:
        return value.isoformat()
    marks = _marks(zone, value.fold)
    return (value.replace(tzinfo=None) if _is_marked(zone) else value).isoformat() + marks


def _write_time(value: time) -> str:
    marks = _marks(value.tzinfo, value.fold)
    return (value.replace(tzinfo=None) if _is_marked(value.tzinfo) else value).isoformat() + marks


def _unmarked(text: str) -> tuple[str, int, tzinfo | None]:
    """Give what ISO reads, and what it leaves out."""
    if (match := _MARKED.fullmatch(text)) is None:
        raise ValueError
    plain, fold, name = cast("tuple[str, str | None, str | None]", match.groups())
    zone: tzinfo | None = None
    if name is not None and name.startswith(_OFFSET):
        zone = timezone(int(name.removeprefix(_OFFSET)) * timedelta.resolution)
    elif name is not None:
        zone = ZoneInfo(name)
    return plain, 1 if fold else 0, zone


def _read_datetime(text: str) -> datetime:
    plain, fold, zone = _unmarked(text)
    value = datetime.fromisoformat(plain).replace(fold=fold)
    return value.replace(tzinfo=zone) if zone else value


def _read_time(text: str) -> time:
    plain, fold, zone = _unmarked(text)
    value = time.fromisoformat(plain).replace(fold=fold)
    return value.replace(tzinfo=zone) if zone else value


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
    datetime: _textual(datetime, _write_datetime, _read_datetime),
    time: _textual(time, _write_time, _read_time),
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
