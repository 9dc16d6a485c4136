"""How instances of classes with fields are stored: by the names and the types of the fields.

An object is restored with exactly the fields that were stored. Its `__init__` runs first, so that
whatever else the object keeps exists; then the fields are set past every converter, validator and
`frozen`. What `__init__` raises is ignored where the fields can be set without it: it is given
what it once made, and may not understand that. A class whose `__init__` can't be called with its
fields alone, or that has a `__new__` of its own, is refused: nobody knows what else it keeps.
"""

from __future__ import annotations

import dataclasses
import inspect
import sys
from typing import TYPE_CHECKING, Protocol, cast, get_origin

import attrs

from ._codec_hooks import JSON, CodecError, Hooks, entries_of, strings, wrong
from ._codec_types import FieldTypes, UnsupportedTypeError, canonical, qualifiers, text_of
from ._compat import annotations_of

if TYPE_CHECKING:
    import types
    from collections.abc import Callable, Iterable, Mapping

    class Part(Protocol):
        """Gives the hooks of a part of a type; what can't be stored is noted with its place."""

        def __call__(self, declared: object, place: str, /) -> Hooks:
            """Give the hooks."""
            ...


def class_of(declared: object) -> type:
    """Give the class of a canonical type, which may be generic; `object` if it has none."""
    head: object = get_origin(declared) or declared
    return head if isinstance(head, type) else object


def is_named_tuple(declared: object) -> bool:
    """Whether a type is a NamedTuple, or one of `collections` without types."""
    kind = class_of(declared)
    return hasattr(kind, "_fields") and tuple in kind.__mro__


def is_typed_dict(declared: object) -> bool:
    """Whether a type is a TypedDict, that of typing or that of typing_extensions."""
    return type(class_of(declared)).__name__ == "_TypedDictMeta"


def is_struct(declared: object) -> bool:
    """Whether a type is a msgspec Struct."""
    base: type | None = getattr(sys.modules.get("msgspec"), "Struct", None)
    return base is not None and issubclass(class_of(declared), base)


def typed_dict_hooks(declared: object, part: Part) -> Hooks:
    """Give the hooks of a TypedDict; the order of its keys is kept."""
    types = FieldTypes(declared)
    names, required = keys_of(declared, types)
    fields = fields_hooks(declared, names, types.type, part, required)
    encode_fields = fields.encode

    def encode(value: object, /) -> JSON:
        stored = encode_fields(value)
        if not strings(cast("dict[object, object]", value)):
            raise CodecError("one of its keys is of a subclass of str")
        return stored

    return Hooks(encode, fields.decode)


def keys_of(declared: object, types: FieldTypes) -> tuple[list[str], set[str]]:
    """Give the keys of a TypedDict, and which of them must be there."""
    head = class_of(declared)
    always: frozenset[str] = getattr(head, "__required_keys__", frozenset())
    names = list(annotations_of(head))
    required: set[str] = set()
    for name in names:
        # In a string a qualifier has escaped those who made the class.
        said = qualifiers(types.written(name)) & {"Required", "NotRequired"}
        if said == {"Required"} or (not said and name in always):
            required.add(name)
    return names, required


def named_tuple_hooks(declared: object, part: Part) -> Hooks:
    """Give the hooks of a NamedTuple."""
    kind, text = class_of(declared), text_of(declared)
    names: tuple[str, ...] = getattr(kind, "_fields", ())
    fields = fields_hooks(declared, names, FieldTypes(declared).type, part)
    # It leaves out a `__new__` of its own, which may change them.
    make: Callable[[list[object]], object] = getattr(kind, "_make", tuple)

    def encode(value: object, /) -> JSON:
        if type(value) is not kind:
            raise wrong(text, value, kind)
        parts = cast("tuple[object, ...]", value)
        if len(parts) != len(names):
            raise CodecError(f"expected {len(names)} fields, got {len(parts)}")
        return fields.encode(dict(zip(names, parts, strict=True)))

    def decode(stored: object, _: object = None, /) -> object:
        values = cast("dict[str, object]", fields.decode(stored))
        return make([values[name] for name in names])

    return Hooks(encode, decode)


def attrs_hooks(declared: object, part: Part) -> Hooks:
    """Give the hooks of a class that attrs made."""
    fields = attrs.fields(cast("type[attrs.AttrsInstance]", class_of(declared)))
    type_of = attrs_types(declared)
    arguments = {field.name: field.alias or field.name for field in fields if field.init}
    runs_code = any(field.converter or field.validator for field in fields)
    names = [field.name for field in fields]
    hooks = fields_hooks(declared, names, type_of, part)
    return _plain_hooks(declared, names, hooks, arguments, runs_code=runs_code)


def attrs_types(declared: object) -> Callable[[str], object]:
    """Give what says the types of the fields of a class that attrs made."""
    fields = attrs.fields(cast("type[attrs.AttrsInstance]", class_of(declared)))
    types = FieldTypes(declared)
    # `attr.ib(type=...)` says the type elsewhere than in an annotation.
    elsewhere = {field.name: field.type for field in fields if field.type is not None}

    def type_of(name: str) -> object:
        use = name in elsewhere and name not in types
        return canonical(elsewhere[name]) if use else types.type(name)

    return type_of


def dataclass_hooks(declared: object, part: Part) -> Hooks:
    """Give the hooks of a dataclass."""
    fields = dataclasses.fields(class_of(declared))
    arguments = {field.name: field.name for field in fields if field.init}
    names = [field.name for field in fields]
    hooks = fields_hooks(declared, names, FieldTypes(declared).type, part)
    return _plain_hooks(declared, names, hooks, arguments, runs_code=False)


def struct_hooks(declared: object, part: Part) -> Hooks:
    """Give the hooks of a msgspec Struct."""
    kind = class_of(declared)
    names: tuple[str, ...] = getattr(kind, "__struct_fields__", ())
    hooks = fields_hooks(declared, names, FieldTypes(declared).type, part)
    # The one way past `frozen`: a Struct refuses `object.__setattr__`.
    set_field: Callable[[object, str, object], None] = sys.modules["msgspec"].structs.force_setattr

    def make(values: Mapping[str, object]) -> object:
        # There is no object without its `__init__` here: what that raises has to be raised.
        return kind(**values)

    def assign(made: object, values: Mapping[str, object]) -> None:
        for name, value in values.items():
            set_field(made, name, value)

    runs_code = hasattr(kind, "__post_init__")
    return object_hooks(declared, _taking(names), hooks, make, assign, runs_code=runs_code)


def _plain_hooks(
    declared: object,
    names: Iterable[str],
    fields: Hooks,
    arguments: Mapping[str, str],
    *,
    runs_code: bool,
) -> Hooks:
    """Give the hooks of a class whose `__init__` takes fields by these names."""
    kind = class_of(declared)
    initialize: Callable[[object], None] = getattr(kind, "__init__", object.__init__)
    if getattr(kind, "__new__", None) is not object.__new__:
        raise refused(declared, "it has a `__new__` of its own, or that of a built-in class")
    try:
        inspect.signature(initialize).bind(None, **dict.fromkeys(arguments.values()))
    except TypeError as error:
        reason = f"its __init__ can't be called with its fields alone: {error}"
        raise refused(declared, reason) from None
    # What dataclasses and attrs generate is in no file.
    code: types.CodeType | None = getattr(initialize, "__code__", None)
    runs_code = runs_code or code is None or not code.co_filename.startswith("<")
    callbacks = ("__post_init__", "__attrs_pre_init__", "__attrs_post_init__")
    runs_code = runs_code or any(hasattr(kind, callback) for callback in callbacks)

    new = cast("Callable[[type], object]", object.__new__)

    def make(values: Mapping[str, object]) -> object:
        made: object = new(kind)
        try:
            initialize(made, **{arguments[name]: values[name] for name in arguments})
        except (MemoryError, RecursionError):
            raise
        except Exception:  # noqa: BLE001 - see the module's docstring
            return made
        return made

    def assign(made: object, values: Mapping[str, object]) -> None:
        for name, value in values.items():
            object.__setattr__(made, name, value)

    return object_hooks(declared, _taking(names), fields, make, assign, runs_code=runs_code)


def _taking(names: Iterable[str]) -> Callable[[object], dict[str, object]]:
    names = tuple(names)
    return lambda value: {name: getattr(value, name) for name in names}


def object_hooks(
    declared: object,
    taken: Callable[[object], dict[str, object]],
    fields: Hooks,
    make: Callable[[Mapping[str, object]], object],
    assign: Callable[[object, Mapping[str, object]], None],
    *,
    runs_code: bool,
) -> Hooks:
    """Give the hooks of a class whose instances keep their fields as attributes."""
    kind, text = class_of(declared), text_of(declared)
    if inspect.isabstract(kind) or getattr(kind, "_is_protocol", False):
        raise refused(declared, "it is abstract: declare the union of what it may be")
    encode_fields, decode_fields = fields.encode, fields.decode

    def encode(value: object, /) -> JSON:
        if type(value) is not kind:
            raise wrong(text, value, kind)
        try:
            fields = taken(value)
        except AttributeError as error:
            raise CodecError(f"a field of this {text} is not set") from error
        return encode_fields(fields)

    def decode(stored: object, _: object = None, /) -> object:
        values = cast("dict[str, object]", decode_fields(stored))
        made = make(values)
        assign(made, values)
        if runs_code and not unchanged(made, stored):
            # It changed a list that it was given, say: the fields are those that were stored.
            assign(made, cast("dict[str, object]", decode_fields(stored)))
        return made

    def unchanged(made: object, stored: object) -> bool:
        try:
            return encode(made) == stored
        except CodecError:
            return False

    return Hooks(encode, decode)


def fields_hooks(
    declared: object,
    names: Iterable[str],
    type_of: Callable[[str], object],
    part: Part,
    required: Iterable[str] | None = None,
) -> Hooks:
    """Give the hooks of a dict from names to fields, of which some may be missing."""
    text = text_of(declared)
    hooks = {name: part(type_of(name), f"{text}.{name}") for name in names}
    needed = frozenset(hooks if required is None else required)

    def checked(value: object) -> dict[str, object]:
        fields = cast("dict[str, object]", entries_of(value))
        if fields.keys() != hooks.keys():
            if missing := needed - fields.keys():
                raise CodecError(f"missing: {', '.join(sorted(missing))}")
            # They are not named: what else stands there may be private.
            if unknown := len(fields.keys() - hooks.keys()):
                raise CodecError(f"{unknown} more than the names of {text}")
        return fields

    def encode(value: object, /) -> JSON:
        stored: dict[str, JSON] = {}
        name = ""
        fields = checked(value)
        try:
            for name, field in fields.items():
                stored[name] = hooks[name].encode(field)
        except CodecError as error:
            error.at(f".{name}")
            raise
        return stored

    def decode(stored: object, _: object = None, /) -> object:
        values: dict[str, object] = {}
        name = ""
        fields = checked(stored)
        try:
            for name, field in fields.items():
                values[name] = hooks[name].decode(field)
        except CodecError as error:
            error.at(f".{name}")
            raise
        return values

    return Hooks(encode, decode)


def refused(declared: object, reason: str) -> UnsupportedTypeError:
    """Say why a type can't be stored."""
    return UnsupportedTypeError([f"{text_of(declared)} can't be decoded back: {reason}"])
