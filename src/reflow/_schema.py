"""What a language model may give for a step: the JSON Schema of a type, and what reads it.

One for each type of the codec, in the form that comes natural to a model: dates and durations as
ISO 8601 has them, fields with a default may be left out, objects are made by their classes.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from enum import Enum, Flag
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, final, get_origin

import attrs

from . import _codec_choices as stored
from . import _schema_choices as choices
from . import _schema_classes as classes
from . import _schema_containers as containers
from . import _schema_foreign as foreign
from ._codec_classes import class_of, is_named_tuple, is_struct, is_typed_dict, refused
from ._codec_pydantic import is_model, is_pydantic_only
from ._codec_types import Unresolved, UnsupportedTypeError, canonical, is_union, text_of
from ._model_json import inner_json
from ._schema_values import READERS
from ._schemas import REFERENCE, Definitions, Part, Reader

if TYPE_CHECKING:
    from ._codec_hooks import JSON


@final
class Readers:
    """Makes the readers of types, each once, with definitions that they share.

    Attributes:
        definitions: what their schemas refer to.
    """

    __slots__ = ("_made", "_places", "_reasons", "_under_way", "definitions")

    def __init__(self) -> None:
        """Begin without any."""
        self.definitions: Final = Definitions()
        self._made: dict[object, Reader] = {}
        self._under_way: Final[set[object]] = set()
        self._reasons: Final[dict[str, None]] = {}
        self._places: Final[list[str]] = []

    def reader(self, declared: object) -> Reader:
        """Make the reader of a type.

        Raises:
            UnsupportedTypeError: if nobody knows how a model could give values of the type; it
                names all parts of it for which that is so.
        """
        # Most types are classes. (Any other, and classes of odd metaclasses, may have no hash.)
        plain = isinstance(declared, type) and type(declared).__hash__ is type.__hash__
        if plain and (known := self._made.get(declared)) is not None:
            return known
        before = len(self._made)
        self._reasons.clear()
        try:
            reader = self._part(declared, "")
        except RecursionError:
            self._reasons["the type never ends: it holds ever larger types"] = None
            self._places.clear()
            self._under_way.clear()
        else:
            if not self._reasons:
                return reader
        # Among those that were made since are some of which parts are missing.
        self._made = dict(itertools.islice(self._made.items(), before))
        raise UnsupportedTypeError(self._reasons)

    def _part(self, declared: object, place: str, /) -> Reader:
        """Give the reader of a type that stands at this place in the one before."""
        self._places.append(place)
        try:
            return self._reader_of(canonical(declared))
        except RecursionError:
            raise
        except UnsupportedTypeError as error:
            reasons = error.reasons
        except Exception as error:  # noqa: BLE001 - a class may be made so that anything fails
            reasons = (f"it can't be looked at: {text_of(type(error))}: {error}",)
        finally:
            places = [place for place in self._places if place]
            self._places.pop()
        for reason in reasons:
            self._reasons[": ".join([*places, reason])] = None
        # Never used: the type is refused.
        return Reader()

    def _reader_of(self, kind: object) -> Reader:
        if isinstance(kind, Unresolved):
            raise UnsupportedTypeError([kind.reason])
        try:
            reader = self._made.get(kind)
        except TypeError:
            raise refused(kind, "it has no hash") from None
        if reader is not None:
            if kind in self._under_way and not reader.schema:
                # It holds itself.
                reader.schema["$ref"] = self._reference(kind)
            return reader
        # Its schema is filled in when it is known; who holds it has it by then.
        reader = self._made[kind] = Reader()
        is_object = any(predicate(kind) for predicate in _OBJECTS)
        if is_object:
            reader.schema["$ref"] = self._reference(kind)
            reader.kinds = frozenset({"object"})
        self._under_way.add(kind)
        try:
            made = self._make(kind)
        finally:
            self._under_way.discard(kind)
        reader.kinds = made.kinds
        reader.read = _lenient(made)
        reference = reader.schema.get("$ref")
        if isinstance(reference, str):
            self.definitions.schemas[reference.removeprefix(REFERENCE)] = made.schema
        else:
            reader.schema.update(made.schema)
        return reader

    def _reference(self, kind: object) -> str:
        return REFERENCE + self.definitions.reserve(choices.without_modules(kind))

    def _make(self, kind: object) -> Reader:
        if (leaf := READERS.get(class_of(kind))) is not None and get_origin(kind) is None:
            return leaf
        if is_model(kind) or is_pydantic_only(kind):
            return foreign.pydantic_reader(kind, self.definitions)
        if is_struct(kind):
            return foreign.struct_reader(kind, self.definitions)
        make = next(factory for predicate, factory in _KINDS if predicate(kind))
        return make(kind, self._part)


def _lenient(made: Reader) -> Callable[[JSON], object]:
    """Let an array or an object also be given as its text: some models do that."""
    if "string" in made.kinds or not made.kinds & {"array", "object"}:
        return made.read

    def read(given: JSON, /) -> object:
        return made.read(inner_json(given) if type(given) is str else given)

    return read


Predicate: TypeAlias = Callable[[object], bool]
Factory: TypeAlias = Callable[[object, Part], Reader]

_OBJECTS: Final[list[Predicate]] = [
    is_named_tuple,
    is_typed_dict,
    is_model,
    is_struct,
    lambda declared: attrs.has(class_of(declared)),
    lambda declared: dataclasses.is_dataclass(class_of(declared)),
]
# What they ask for, and what gives the reader; the first that applies does.
_KINDS: Final[list[tuple[Predicate, Factory]]] = [
    (lambda declared: is_union(get_origin(declared)), choices.union_reader),
    (lambda declared: get_origin(declared) is Literal, choices.literal_reader),
    (lambda declared: issubclass(class_of(declared), Flag), choices.flag_reader),
    (lambda declared: issubclass(class_of(declared), Enum), choices.enum_reader),
    (lambda declared: get_origin(declared) in (list, set, frozenset), containers.items_reader),
    (lambda declared: get_origin(declared) is tuple, containers.tuple_reader),
    (lambda declared: get_origin(declared) is dict, containers.dict_reader),
    (lambda declared: get_origin(declared) in stored.CLASSES, containers.abstract_reader),
    (is_named_tuple, classes.named_tuple_reader),
    (is_typed_dict, classes.typed_dict_reader),
    (lambda declared: attrs.has(class_of(declared)), classes.attrs_reader),
    (lambda declared: dataclasses.is_dataclass(class_of(declared)), classes.dataclass_reader),
    (lambda _: True, stored.unsupported),
]
