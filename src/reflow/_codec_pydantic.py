"""How pydantic's models are stored, and the types that only pydantic knows.

pydantic is never imported here: without it in the program, there is nothing of it to store.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, cast

from ._codec_classes import class_of, fields_hooks, object_hooks, refused
from ._codec_hooks import JSON, CodecError, Hooks, entries_of, items_of, strings, wrong
from ._codec_types import FieldTypes, canonical, text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pydantic import BaseModel, TypeAdapter

    from ._codec_classes import Part

# What a model keeps beside its fields.
_STATE = ("__pydantic_extra__", "__pydantic_fields_set__", "__pydantic_private__")


def is_model(declared: object) -> bool:
    """Whether a type is a pydantic model; there is none unless the program imports pydantic."""
    base: type | None = getattr(sys.modules.get("pydantic"), "BaseModel", None)
    return base is not None and issubclass(class_of(declared), base)


def is_pydantic_only(declared: object) -> bool:
    """Whether a type is one that pydantic validates, and only pydantic knows how."""
    kind = class_of(declared)
    if "pydantic" not in sys.modules or is_model(declared):
        return False
    return hasattr(kind, "__get_pydantic_core_schema__") or kind.__module__.startswith("pydantic")


def model_hooks(declared: object, part: Part) -> Hooks:
    """Give the hooks of a pydantic model: its fields, which of them were set, and what is private.

    Neither validators nor serializers run: what was validated once is restored as it was.
    """
    kind = cast("type[BaseModel]", class_of(declared))
    kind.model_rebuild(raise_errors=False)
    known = kind.model_fields
    # pydantic has solved the type variables of its generic models.
    solved = {name: canonical(field.annotation) for name, field in known.items()}
    fields = fields_hooks(declared, known, solved.__getitem__, part)
    hidden = kind.__private_attributes__
    private = fields_hooks(declared, hidden, FieldTypes(declared).type, part, ())

    def taken(model: object) -> dict[str, object]:
        value = cast("BaseModel", model)
        if value.__pydantic_extra__ or not value.model_fields_set <= known.keys():
            raise CodecError(f"it has fields that {text_of(kind)} doesn't name")
        return {
            "fields": {name: getattr(value, name) for name in known},
            "private": value.__pydantic_private__ or {},
            "set": sorted(value.model_fields_set),
        }

    def encode(value: object, /) -> JSON:
        parts = cast("dict[str, object]", value)
        chosen = cast("list[JSON]", parts["set"])
        stored: dict[str, JSON] = {"fields": fields.encode(parts["fields"]), "set": chosen}
        if hidden:
            stored["private"] = private.encode(parts["private"])
        return stored

    def decode(stored: object, _: object = None, /) -> object:
        names = ["fields", "set", "private"] if hidden else ["fields", "set"]
        parts = entries_of(stored)
        if parts.keys() != set(names):
            raise CodecError(f"expected a dict of {', '.join(names)}")
        chosen = items_of(parts["set"])
        if not strings(chosen) or len(known.keys() & set(chosen)) != len(chosen):
            raise CodecError("other fields are set than there are")
        return {
            "fields": fields.decode(parts["fields"]),
            "private": private.decode(parts.get("private", {})),
            "set": chosen,
        }

    def make(values: Mapping[str, object]) -> object:
        try:
            # Not validated; it gives private attributes their defaults, and `model_post_init` runs.
            return kind.model_construct(
                _fields_set=None, **cast("dict[str, object]", values["fields"])
            )
        except (MemoryError, RecursionError):
            raise
        except Exception:  # noqa: BLE001 - as for every class: the fields are set all the same
            made = kind.__new__(kind)
            made.__setstate__({**dict.fromkeys(_STATE), "__dict__": {}})
            return made

    def assign(made: object, values: Mapping[str, object]) -> None:
        # As pydantic's own `__setstate__` does; a frozen model refuses its own attributes.
        attributes = vars(made) | cast("dict[str, object]", values["fields"])
        object.__setattr__(made, "__dict__", attributes)
        object.__setattr__(made, "__pydantic_fields_set__", set(cast("list[str]", values["set"])))
        if hidden or not kind.__pydantic_root_model__:
            private_values = values["private"] if hidden else None
            object.__setattr__(made, "__pydantic_private__", private_values)
        if kind.model_config.get("extra") == "allow":
            object.__setattr__(made, "__pydantic_extra__", {})

    hooks = Hooks(encode, decode)
    return object_hooks(declared, taken, hooks, make, assign, runs_code=True)


def adapter_hooks(declared: object, _: Part) -> Hooks:
    """Give the hooks of a type that only pydantic knows: as JSON, checked to come back."""
    make: Callable[[object], TypeAdapter[object]] = sys.modules["pydantic"].TypeAdapter
    try:
        adapter = make(declared)
    except Exception as error:
        raise refused(declared, "pydantic can't either") from error

    def restored(stored: JSON) -> object:
        try:
            return adapter.validate_json(json.dumps(stored, allow_nan=False))
        except ValueError:
            # Without pydantic's error, which quotes what is stored.
            raise CodecError(f"expected what pydantic stores for {text_of(declared)}") from None

    def encode(value: object, /) -> JSON:
        try:
            stored: JSON = json.loads(adapter.dump_json(value, warnings="error"))
        except ValueError:
            raise wrong(text_of(declared), value) from None
        same = restored(stored)
        if type(same) is not type(value) or same != value:
            reason = f"what pydantic stores for {text_of(declared)} doesn't give it back"
            raise CodecError(reason)
        return stored

    def decode(stored: object, _: object = None, /) -> object:
        value = restored(cast("JSON", stored))
        if encode(value) != stored:
            raise CodecError(f"expected what pydantic stores for {text_of(declared)}")
        return value

    return Hooks(encode, decode)
