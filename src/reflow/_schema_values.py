"""Values without parts, as a language model gives them: more than one way to write them is read."""

from __future__ import annotations

import base64
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
from types import NoneType
from typing import TYPE_CHECKING, Final
from uuid import UUID

from ._codec_values import PATHS
from ._schemas import KINDS, Reader, Schema, expected, misread

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._codec_hooks import JSON
# Beyond this not every float is the integer that was meant.
_EXACT: Final = 2**53
_AMOUNT: Final = r"\d{1,12}(?:[.,]\d{1,9})?"
_DURATION: Final = re.compile(
    rf"(?P<sign>[+-])?P(?!$)(?:(?P<weeks>{_AMOUNT})W)?(?:(?P<days>{_AMOUNT})D)?"
    rf"(?:T(?!$)(?:(?P<hours>{_AMOUNT})H)?(?:(?P<minutes>{_AMOUNT})M)?"
    rf"(?:(?P<seconds>{_AMOUNT})S)?)?",
    re.ASCII,
)


def read_none(given: JSON, /) -> None:
    """Read null."""
    if given is not None:
        raise expected("null", given)


def read_bool(given: JSON, /) -> bool:
    """Read true or false."""
    if type(given) is not bool:
        raise expected("true or false", given)
    return given


def read_str(given: JSON, /) -> str:
    """Read a string."""
    if type(given) is not str:
        raise expected("a string", given)
    return given


def read_int(given: JSON, /) -> int:
    """Read an integer; some providers make `3.0` of every `3`."""
    if type(given) is int:
        return given
    if type(given) is float and given.is_integer() and abs(given) <= _EXACT:
        return int(given)
    if type(given) is float:
        raise misread("expected an integer, got another number")
    raise expected("an integer", given)


def read_float(given: JSON, /) -> float:
    """Read a number."""
    if type(given) is not int and type(given) is not float:
        raise expected("a number", given)
    try:
        value = float(given)
    except OverflowError:
        raise misread("the number is too large") from None
    return value


def _reader(
    read: Callable[[str | int | float], object],
    what: str,
    written_as: str | None = None,
    *,
    numbers: bool = False,
) -> Reader:
    """Give the reader of a class whose instances are given as text.

    Args:
        read: makes an instance, or raises anything.
        what: what the text is, for the model.
        written_as: the format of that name in JSON Schema.
        numbers: whether numbers are read, too.
    """

    def read_text(given: JSON, /) -> object:
        if type(given) is str or (numbers and (type(given) is int or type(given) is float)):
            try:
                return read(given)
            except Exception:  # noqa: BLE001 - a parser may raise anything, and quote the text
                fault = misread(f"expected {what}, got another {KINDS[type(given)]}")
        else:
            fault = expected(what, given)
        # Out of the block: whatever the parser raised is no part of it.
        raise fault

    schema: Schema = {"type": "string", "description": what}
    return Reader(schema if written_as is None else {**schema, "format": written_as}, read_text)


def _textual(read: Callable[[str], object], what: str, written_as: str | None = None) -> Reader:
    return _reader(lambda given: read(str(given)), what, written_as)


def _decimal(given: str | float) -> Decimal:
    value = Decimal(str(given))
    if not value.is_finite():
        raise ValueError
    return value


def _duration(given: str | float) -> timedelta:
    if not isinstance(given, str):
        return timedelta(seconds=given)
    if (match := _DURATION.fullmatch(given)) is None:
        raise ValueError
    parts = {
        name: float((found or "0").replace(",", "."))
        for name, found in match.groupdict().items()
        if name != "sign"
    }
    value = timedelta(**parts)
    return -value if match["sign"] == "-" else value


def _bytes(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


READERS: Final[dict[type, Reader]] = {
    NoneType: Reader({"type": "null"}, read_none),
    bool: Reader({"type": "boolean"}, read_bool),
    str: Reader({"type": "string"}, read_str),
    int: Reader({"type": "integer"}, read_int),
    float: Reader({"type": "number"}, read_float),
    Decimal: _reader(_decimal, "a decimal number such as 12.50", numbers=True),
    timedelta: _reader(_duration, "an ISO 8601 duration such as PT1H30M", "duration", numbers=True),
    date: _textual(date.fromisoformat, "a date as YYYY-MM-DD", "date"),
    datetime: _textual(
        datetime.fromisoformat,
        "an ISO 8601 date and time such as 2024-05-31T14:05:00, with an offset if it is known",
    ),
    time: _textual(time.fromisoformat, "an ISO 8601 time such as 14:05:00"),
    UUID: _textual(UUID, "a UUID", "uuid"),
    bytes: _textual(_bytes, "bytes in Base64"),
    IPv4Address: _textual(IPv4Address, "an IPv4 address", "ipv4"),
    IPv6Address: _textual(IPv6Address, "an IPv6 address", "ipv6"),
    IPv4Interface: _textual(IPv4Interface, "an IPv4 interface such as 192.0.2.1/24"),
    IPv6Interface: _textual(IPv6Interface, "an IPv6 interface such as 2001:db8::1/64"),
    IPv4Network: _textual(IPv4Network, "an IPv4 network such as 192.0.2.0/24"),
    IPv6Network: _textual(IPv6Network, "an IPv6 network such as 2001:db8::/64"),
    **{declared: _textual(kind, "a path in a file system") for declared, kind in PATHS.items()},
}
"""The readers of classes without parts, by class."""
