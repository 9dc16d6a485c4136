"""Instances of classes, as a language model gives them: objects with what their `__init__` takes.

They are made by their class, so that its converters, validators and `__post_init__` run, as they
do for the code of a step: what a model gives is no more to be trusted than what a person types.
(The journal restores instances past all that: what it holds went through it before.)
"""

from __future__ import annotations

import dataclasses
import inspect
from typing import TYPE_CHECKING, cast

import attrs

from ._codec_classes import attrs_types, class_of, keys_of, refused
from ._codec_types import FieldTypes
from ._schema_containers import read_all
from ._schema_foreign import words_of
from ._schemas import Fault, MisreadError, Reader, exact_object, expected

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from ._codec_hooks import JSON
    from ._schemas import Part


def typed_dict_reader(declared: object, part: Part) -> Reader:
    """Give the reader of a TypedDict."""
    types = FieldTypes(declared)
    names, required = keys_of(declared, types)
    fields = {name: part(types.type(name), _place(declared, name)) for name in names}
    return _object_reader(fields, required, dict)


def named_tuple_reader(declared: object, part: Part) -> Reader:
    """Give the reader of a NamedTuple."""
    kind = class_of(declared)
    names: tuple[str, ...] = getattr(kind, "_fields", ())
    defaults: dict[str, object] = getattr(kind, "_field_defaults", {})
    types = FieldTypes(declared)
    fields = {name: part(types.type(name), _place(declared, name)) for name in names}
    return _object_reader(fields, names - defaults.keys(), _making(kind))


def attrs_reader(declared: object, part: Part) -> Reader:
    """Give the reader of a class that attrs made."""
    fields = attrs.fields(cast("type[attrs.AttrsInstance]", class_of(declared)))
    arguments = {field.alias or field.name: field.name for field in fields if field.init}
    return _class_reader(declared, arguments, attrs_types(declared), part)


def dataclass_reader(declared: object, part: Part) -> Reader:
    """Give the reader of a dataclass."""
    fields = dataclasses.fields(class_of(declared))
    arguments = {field.name: field.name for field in fields if field.init}
    return _class_reader(declared, arguments, FieldTypes(declared).type, part)


def _class_reader(
    declared: object, arguments: Mapping[str, str], type_of: Callable[[str], object], part: Part
) -> Reader:
    """Give the reader of a class whose `__init__` takes fields by these names."""
    kind = class_of(declared)
    if inspect.isabstract(kind) or getattr(kind, "_is_protocol", False):
        raise refused(declared, "it is abstract: declare the union of what it may be")
    try:
        signature = inspect.signature(kind)
    except (TypeError, ValueError):
        raise refused(declared, "nobody knows what its __init__ takes") from None
    fields: dict[str, Reader] = {}
    required: list[str] = []
    for name, parameter in signature.parameters.items():
        if parameter.kind in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}:
            continue
        needed = parameter.default is parameter.empty
        if name in arguments and parameter.kind is not parameter.POSITIONAL_ONLY:
            field = arguments[name]
            fields[name] = part(type_of(field), _place(declared, field))
            required += [name] if needed else []
        elif needed:
            raise refused(declared, f"its __init__ takes {name!r}, which is no field")
    return _object_reader(fields, required, _making(kind))


def _place(declared: object, name: str) -> str:
    return f"{class_of(declared).__name__}.{name}"


def _making(kind: type) -> Callable[[Mapping[str, object]], object]:
    def make(values: Mapping[str, object]) -> object:
        try:
            return kind(**values)
        except Exception as exc:
            reason = f"this is no valid {kind.__name__}"
            raise MisreadError([Fault("", reason, words_of(exc))]) from exc

    return make


def _object_reader(
    fields: Mapping[str, Reader],
    required: Collection[str],
    make: Callable[[Mapping[str, object]], object],
) -> Reader:
    needed = [name for name in fields if name in required]

    def read(given: JSON, /) -> object:
        if type(given) is not dict:
            raise expected(f"an object with {', '.join(fields)}", given)
        faults = [Fault(f".{name}", "missing") for name in needed if name not in given]
        if given.keys() - fields.keys():
            # They are not quoted: whatever a model makes a name of may be private.
            faults.append(Fault("", f"other names than {', '.join(fields)}"))
        known = [(name, f".{name}", fields[name], given[name]) for name in fields if name in given]
        try:
            values = read_all(known)
        except MisreadError as error:
            raise MisreadError([*faults, *error.faults]) from error
        if faults:
            raise MisreadError(faults)
        return make(values)

    schemas = {name: reader.schema for name, reader in fields.items()}
    return Reader(exact_object(schemas, needed), read)
