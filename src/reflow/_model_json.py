"""JSON that a language model gives, or what a client library made of it: plain and not huge."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from ._codec_hooks import JSON

# No answer of a model comes near these, and nothing below has to be afraid of what does.
_DEEPEST: Final = 100
_MOST: Final = 100_000
_LONGEST: Final = 5_000_000


class NoJSONError(Exception):
    """What was given is no JSON, or none that can be used: the message says why."""


def plain_json(given: object) -> JSON:
    """Give JSON as built-in types, whatever mappings and sequences a client library made of it.

    Args:
        given: anything at all.

    Raises:
        NoJSONError: if it can't be said in JSON, or is too much.
    """
    try:
        return _Copier().copy(given, 0)
    except NoJSONError:
        raise
    except Exception:  # noqa: BLE001 - the methods of a strange object may raise anything
        fault = NoJSONError("it is not JSON")
    # Out of the block: what was raised may quote what was given.
    raise fault


def parsed_json(text: str) -> JSON:
    """Give what a JSON text says.

    Raises:
        NoJSONError: if it says nothing, or nothing that can be used.
    """
    if len(text) > _LONGEST:
        raise NoJSONError("it is too long")
    try:
        given: object = json.loads(text, object_pairs_hook=_object)
    except NoJSONError:
        raise
    except Exception:  # noqa: BLE001 - too deep, too many digits, no JSON at all
        fault = NoJSONError("it is not valid JSON")
    else:
        return plain_json(given)
    # Out of the block: the error holds the whole text.
    raise fault


def inner_json(text: str) -> JSON:
    """Give the array or the object that stands in a string; the string, if there is none."""
    if text.lstrip()[:1] in {"[", "{"}:
        try:
            return parsed_json(text)
        except NoJSONError:
            return text
    return text


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise NoJSONError("a name stands twice in one object")
    return made


class _Copier:
    """Copies, and counts what it has copied."""

    def __init__(self) -> None:
        self._left = _MOST

    def copy(self, given: object, depth: int) -> JSON:
        self._left -= 1
        if self._left < 0:
            raise NoJSONError("it is too large")
        if depth > _DEEPEST:
            raise NoJSONError("it is nested too deeply")
        # The methods of the classes themselves: a subclass may have others.
        if given is None or given is True or given is False:
            return given
        if isinstance(given, str):
            return str.__str__(given)
        if isinstance(given, int):
            return int.__int__(given)
        if isinstance(given, float):
            return self._number(float.__float__(given))
        if isinstance(given, Mapping):
            return self._entries(cast("Mapping[object, object]", given), depth)
        if isinstance(given, Sequence) and not isinstance(given, bytes | bytearray | memoryview):
            return [self.copy(item, depth + 1) for item in cast("Sequence[object]", given)]
        raise NoJSONError("it is not JSON")

    def _number(self, number: float) -> float:
        if not math.isfinite(number):
            raise NoJSONError("there is a number in it that is not finite")
        return number

    def _entries(self, given: Mapping[object, object], depth: int) -> dict[str, JSON]:
        made: dict[str, JSON] = {}
        for name in given:
            if not isinstance(name, str):
                raise NoJSONError("a name in it is not a string")
            made[str.__str__(name)] = self.copy(given[name], depth + 1)
        return made
