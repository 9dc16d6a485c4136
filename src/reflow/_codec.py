"""Answers as JSON and back, exactly, by the declared type of their step.

Built on cattrs: a converter with a hook or a hook factory for every kind of type, of which none
converts anything. What can't be decoded back is refused: a type when its codec is made, a value
when it is encoded.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from enum import Enum, Flag
from typing import TYPE_CHECKING, Final, Literal, TypeAlias, cast, final, get_origin

import attrs
import cattrs

from . import _codec_choices as choices
from . import _codec_classes as classes
from . import _codec_containers as containers
from . import _codec_pydantic as models
from ._codec_classes import class_of, refused
from ._codec_hooks import JSON as JSON
from ._codec_hooks import CodecError as CodecError
from ._codec_hooks import Hooks
from ._codec_types import Unresolved, canonical, is_union, text_of
from ._codec_types import UnsupportedTypeError as UnsupportedTypeError
from ._codec_types import declared_type as declared_type
from ._codec_values import LEAVES

if TYPE_CHECKING:
    from ._codec_classes import Part
    from ._codec_hooks import Decode, Encode

# Deeper values could be encoded, but perhaps not decoded where more is on the stack.
_DEPTH: Final = 200
# Of these classes cattrs, or the codec, has hooks.
_BASES: Final = (Enum, *LEAVES)


@final
class ValueCodec:
    """Encodes the values of one type as JSON, and decodes them.

    Made by `value_codec`.

    Attributes:
        text: the type as text: the same in every process, whatever the order of a union.
    """

    __slots__ = ("_decode", "_encode", "_recursive", "text")

    def __init__(self, text: str, hooks: Hooks, *, recursive: bool) -> None:
        """Keep the hooks."""
        self.text: Final = text
        self._encode: Final = hooks.encode
        self._decode: Final = hooks.decode
        self._recursive: Final = recursive

    def encode(self, value: object) -> JSON:
        """Give what is to be stored for a value.

        Raises:
            CodecError: if the value is not exactly of the type.
        """
        try:
            stored = self._encode(value)
        except CodecError:
            raise
        except Exception as error:
            raise _raised(error) from error
        if self._recursive and _is_deep(stored):
            raise CodecError(f"it is nested more than {_DEPTH} levels deep")
        return stored

    def decode(self, stored: object) -> object:
        """Give the value for which this was stored.

        Raises:
            CodecError: if nothing of the type is stored so.
        """
        try:
            return self._decode(stored)
        except CodecError:
            raise
        except Exception as error:
            raise _raised(error) from error


def value_codec(declared: object) -> ValueCodec:
    """Make the codec of a type.

    Raises:
        UnsupportedTypeError: if values of the type can't be decoded back; it names all parts of
            the type for which that is so.
    """
    builder = _Builder()
    try:
        kind = canonical(declared)
        hooks = builder.part(kind, "")
        text = text_of(kind)
    except RecursionError:
        raise UnsupportedTypeError(["the type never ends: it holds ever larger types"]) from None
    if builder.reasons:
        raise UnsupportedTypeError(builder.reasons)
    return ValueCodec(text, hooks, recursive=builder.recursive)


def _raised(error: Exception) -> CodecError:
    if isinstance(error, RecursionError):
        return CodecError("it is nested too deeply")
    return CodecError(f"{text_of(type(error))} was raised: see the cause")


def _is_deep(stored: JSON) -> bool:
    level = [stored]
    for _ in range(_DEPTH):
        inner: list[JSON] = []
        for part in level:
            if type(part) is list:
                inner += part
            elif type(part) is dict:
                inner += part.values()
        level = inner
    return bool(level)


@final
class _Builder:
    """Makes the hooks of a type and of its parts, each once, and notes what can't be stored."""

    def __init__(self) -> None:
        self.reasons: Final[dict[str, None]] = {}
        self.recursive = False
        self._places: Final[list[str]] = []
        self._hooks: Final[dict[object, Hooks]] = {}
        self._under_way: Final[set[object]] = set()
        self._made: Final[dict[object, Hooks]] = {}
        # One for each codec: a converter keeps every class that it has seen.
        self._converter: Final = cattrs.Converter(detailed_validation=False)
        # cattrs asks the one first that was registered last.
        for predicate, factory in reversed(_KINDS):
            self._register_factory(predicate, factory)
        for kind, hooks in LEAVES.items():
            self._register(kind, hooks)

    def part(self, declared: object, place: str, /) -> Hooks:
        """Give the hooks of a type that stands at this place in the one before."""
        self._places.append(place)
        try:
            return self._hooks_of(canonical(declared))
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
            self.reasons[": ".join([*places, reason])] = None
        # Never used: no codec is made.
        return Hooks()

    def _hooks_of(self, kind: object) -> Hooks:
        if isinstance(kind, Unresolved):
            raise UnsupportedTypeError([kind.reason])
        try:
            hooks = self._hooks.get(kind)
        except TypeError:
            raise refused(kind, "it has no hash") from None
        if hooks is not None:
            self.recursive |= kind in self._under_way
            return hooks
        hooks = self._hooks[kind] = Hooks()
        self._under_way.add(kind)
        head = class_of(kind)
        if issubclass(head, _BASES) and head not in LEAVES:
            # cattrs would take the hooks of the base: it asks its factories only afterwards.
            factory = next(factory for predicate, factory in _KINDS if predicate(kind))
            self._register(head, factory(kind, self.part))
        hooks.encode = self._converter.get_unstructure_hook(kind)
        hooks.decode = cast("Decode", self._converter.get_structure_hook(kind))
        self._under_way.remove(kind)
        return hooks

    def _register(self, kind: type, hooks: Hooks) -> None:
        self._converter.register_unstructure_hook(kind, hooks.encode)
        self._converter.register_structure_hook(kind, hooks.decode)

    def _register_factory(self, predicate: Predicate, factory: Factory) -> None:
        # cattrs asks for both directions one by one; the parts are to be visited once.
        def made(kind: object) -> Hooks:
            if kind not in self._made:
                self._made[kind] = factory(kind, self.part)
            return self._made[kind]

        def encoder(kind: object) -> Encode:
            return made(kind).encode

        def decoder(kind: object) -> Decode:
            return made(kind).decode

        self._converter.register_unstructure_hook_factory(predicate, encoder)
        self._converter.register_structure_hook_factory(predicate, decoder)


Predicate: TypeAlias = Callable[[object], bool]
Factory: TypeAlias = "Callable[[object, Part], Hooks]"

# What they ask for, and what gives the hooks; the first that applies does.
_KINDS: Final[list[tuple[Predicate, Factory]]] = [
    (lambda declared: is_union(get_origin(declared)), choices.union_hooks),
    (lambda declared: get_origin(declared) is Literal, choices.literal_hooks),
    (lambda declared: issubclass(class_of(declared), Flag), choices.flag_hooks),
    (lambda declared: issubclass(class_of(declared), Enum), choices.enum_hooks),
    (lambda declared: get_origin(declared) in (list, set, frozenset), containers.items_hooks),
    (lambda declared: get_origin(declared) is tuple, containers.tuple_hooks),
    (lambda declared: get_origin(declared) is dict, containers.dict_hooks),
    (lambda declared: get_origin(declared) in choices.CLASSES, containers.abstract_hooks),
    (classes.is_named_tuple, classes.named_tuple_hooks),
    (classes.is_typed_dict, classes.typed_dict_hooks),
    (models.is_model, models.model_hooks),
    (classes.is_struct, classes.struct_hooks),
    (lambda declared: attrs.has(class_of(declared)), classes.attrs_hooks),
    (lambda declared: dataclasses.is_dataclass(class_of(declared)), classes.dataclass_hooks),
    (models.is_pydantic_only, models.adapter_hooks),
    (lambda _: True, choices.unsupported),
]
