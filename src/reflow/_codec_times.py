"""Dates and times as text, with all that ISO 8601 leaves out."""

from __future__ import annotations

import re
import sys
from datetime import datetime, time, timedelta, timezone
from typing import TYPE_CHECKING, Final, cast
from zoneinfo import ZoneInfo

from ._codec_hooks import CodecError
from ._codec_types import text_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

_OFFSET: Final = "microseconds="
_PYDANTIC: Final = "pydantic="
_MARKED: Final = re.compile(r"([^\[]*)(\[fold=1\])?(?:\[([^\[\]]+)\])?")


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
    elif zone is not None and _kind(zone) is _pydantic_zone():
        # Its offsets are whole seconds, whatever it is asked about.
        mark += f"[{_PYDANTIC}{_seconds(zone)}]"
    elif zone is not None:
        raise CodecError(f"its zone is a {text_of(type(zone))}, not a timezone or a ZoneInfo")
    return mark


def _pydantic_zone() -> Callable[[int], tzinfo] | None:
    """Give the class of the zones that pydantic makes, if the program has imported it."""
    made: Callable[[int], tzinfo] | None
    made = getattr(sys.modules.get("pydantic_core"), "TzInfo", None)
    return made


def _seconds(zone: tzinfo) -> int:
    return (zone.utcoffset(None) or timedelta()) // timedelta(seconds=1)


def _kind(zone: tzinfo) -> object:
    return type(zone)


def _is_marked(zone: tzinfo | None) -> bool:
    """Whether the zone is not written as ISO does.

    The offset of a place may change with the next edition of the time zone database; and what is
    smaller than a second is not always read as it was written.
    """
    if type(zone) is timezone:
        return bool(zone.utcoffset(None).microseconds)
    return zone is not None


def write_datetime(value: datetime) -> str:
    """Give the text of a datetime."""
    zone = value.tzinfo
    if zone is None and not value.fold:
        return value.isoformat()
    marks = _marks(zone, value.fold)
    return (value.replace(tzinfo=None) if _is_marked(zone) else value).isoformat() + marks


def write_time(value: time) -> str:
    """Give the text of a time."""
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
    elif name is not None and name.startswith(_PYDANTIC):
        make = _pydantic_zone()
        zone = make(int(name.removeprefix(_PYDANTIC))) if make else None
    elif name is not None:
        zone = ZoneInfo(name)
    return plain, 1 if fold else 0, zone


def read_datetime(text: str) -> datetime:
    """Give the datetime of a text.

    If it is none, this raises any exception, or gives the datetime of another text.
    """
    plain, fold, zone = _unmarked(text)
    value = datetime.fromisoformat(plain).replace(fold=fold)
    return value.replace(tzinfo=zone) if zone else value


def read_time(text: str) -> time:
    """Give the time of a text; as `read_datetime`."""
    plain, fold, zone = _unmarked(text)
    value = time.fromisoformat(plain).replace(fold=fold)
    return value.replace(tzinfo=zone) if zone else value
