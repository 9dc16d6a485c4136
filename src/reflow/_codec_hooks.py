"""What stores and restores the values of one type, and what it says when it can't."""

from __future__ import annotations

from types import NoneType
from typing import TYPE_CHECKING, Protocol, TypeAlias, cast, final

from ._codec_types import text_of
from ._compat import override

if TYPE_CHECKING:
    from collections.abc import Iterable

JSON: TypeAlias = "bool | int | float | str | list[JSON] | dict[str, JSON] | None"
"""What `json.dumps` takes, also with `allow_nan=False`, and `json.loads` gives back unchanged."""


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
