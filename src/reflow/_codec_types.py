"""What an annotation says: evaluated, in one form for each type, and as a text."""

from __future__ import annotations

import builtins
import datetime as dt
import inspect
import sys
import types
from enum import Enum
from types import MappingProxyType, NoneType, UnionType
from typing import (
    TYPE_CHECKING,
    Annotated,
    Final,
    Literal,
    NewType,
    Protocol,
    Union,
    Unpack,
    cast,
    final,
    get_args,
    get_origin,
    get_type_hints,
)

from ._compat import annotations_of
from ._errors import listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# They say how a field is used, not what is in it. ReadOnly is younger than the oldest Python.
_QUALIFIERS: Final = frozenset({"ClassVar", "Final", "NotRequired", "ReadOnly", "Required"})
# What pydantic only validates by: the values are of these types.
_VALIDATED: Final[Mapping[str, type]] = {
    "pydantic.networks.EmailStr": str,
    "pydantic.types.AwareDatetime": dt.datetime,
    "pydantic.types.FutureDate": dt.date,
    "pydantic.types.FutureDatetime": dt.datetime,
    "pydantic.types.NaiveDatetime": dt.datetime,
    "pydantic.types.PastDate": dt.date,
    "pydantic.types.PastDatetime": dt.datetime,
}
_NOTHING: Final[Mapping[object, object]] = MappingProxyType({})


class UnsupportedTypeError(TypeError):
    """Answers of a type can't be stored and read back.

    Attributes:
        reasons: every part of the type that can't, with where it stands and why.
    """

    reasons: tuple[str, ...]

    def __init__(self, reasons: Iterable[str]) -> None:
        """Keep the reasons beside the message that is made of them."""
        self.reasons = tuple(reasons)
        super().__init__(listed(self.reasons))


class Alias(Protocol):
    """What `type X = ...` makes; typing_extensions has a class of its own for it."""

    __name__: str
    __module__: str
    __type_params__: tuple[object, ...]
    __value__: object


def declared_type(function: object) -> object:
    """Give the type that a step's function says it returns.

    Only this annotation is evaluated: the others may name what only type checkers import.

    Args:
        function: the function itself, without what binds it.

    Raises:
        UnsupportedTypeError: if there is no return annotation, or it can't be evaluated.
    """
    inner = inspect.unwrap(cast("types.FunctionType", function))
    annotations = annotations_of(function)
    if "return" not in annotations:
        raise UnsupportedTypeError(["it has no return annotation"])
    annotation = annotations["return"]
    # A wrapper mostly carries a copy of the annotation that was written in another module.
    owner = inner if annotations_of(inner).get("return") is annotation else function
    code: types.CodeType | None = getattr(owner, "__code__", None)
    cells: tuple[types.CellType, ...] = getattr(owner, "__closure__", None) or ()
    names: dict[str, object] = _parameters(owner)
    for name, cell in zip(code.co_freevars if code else (), cells, strict=True):
        try:
            names[name] = cell.cell_contents
        except ValueError:
            # The name is assigned after the function was made: not yet, here.
            continue
    try:
        return evaluate(annotation, getattr(owner, "__globals__", {}), names)
    except UnsupportedTypeError as error:
        reasons = [f"its return annotation {reason}" for reason in error.reasons]
        raise UnsupportedTypeError(reasons) from error.__cause__


def evaluate(
    annotation: object, globalns: dict[str, object], localns: Mapping[str, object]
) -> object:
    """Evaluate an annotation, with every string in it.

    Raises:
        UnsupportedTypeError: if that is impossible; the reason begins with the annotation.
    """
    found = annotation
    if isinstance(found, str):
        # Mostly it is the name of a class, which is looked up a dozen times quicker than evaluated.
        found = localns.get(found, globalns.get(found, vars(builtins).get(found)))
    if isinstance(found, type) and get_origin(found) is None:
        return found
    # A class, as what may stand in classes only (Final, Required) is evaluated too.
    holder = type("Holder", (), {"__annotations__": {"it": annotation}})
    try:
        hints: dict[str, object] = get_type_hints(
            holder, globalns, dict(localns), include_extras=True
        )
    except Exception as error:
        written: object = getattr(annotation, "__forward_arg__", annotation)
        quoted = repr(written) if isinstance(written, str) else f"'{text_of(written)}'"
        reason = f"{quoted} can't be evaluated: {error}"
        if isinstance(error, NameError):
            reason += "; import it outside of `if TYPE_CHECKING`"
        raise UnsupportedTypeError([reason]) from error
    return hints["it"]


def canonical(annotation: object, solved: Mapping[object, object] = _NOTHING) -> object:
    """Give a type the form that it shares with every annotation that means the same.

    `Annotated`, `NewType` and qualifiers are left out, type variables replaced, unions flattened,
    aliases expanded: only one that is defined by itself remains, below the outermost level. What
    can't be stored is left as it is.

    Args:
        annotation: the annotation, evaluated.
        solved: what the type variables stand for.
    """
    return _canonical(annotation, solved, nested=False)


def _canonical(annotation: object, solved: Mapping[object, object], *, nested: bool) -> object:
    origin = _origin(annotation)
    arguments: tuple[object, ...] = get_args(annotation)
    if annotation is None:
        return NoneType
    if isinstance(annotation, NewType):
        supertype: object = annotation.__supertype__
        return _canonical(supertype, solved, nested=nested)
    if origin is Annotated or _is_qualifier(origin):
        return _canonical(arguments[0], solved, nested=nested)
    if (alias := _alias(annotation)) is not None:
        return _expanded(annotation, alias, solved, nested=nested)
    if is_union(origin):
        members = [_canonical(member, solved, nested=nested) for member in arguments]
        return Union[tuple(members)]  # noqa: UP007 - there is no other way to write it
    if origin is Literal and any(value is None for value in arguments):
        rest = tuple(value for value in arguments if value is not None)
        return Union[None, Literal[rest]] if rest else NoneType  # noqa: UP007 - as above
    if origin is None or origin is Literal:
        if isinstance(annotation, type):
            return _VALIDATED.get(f"{annotation.__module__}.{annotation.__qualname__}", annotation)
        return solved.get(annotation, annotation) if _hashable(annotation) else annotation
    if not hasattr(annotation, "__args__"):
        return origin  # `typing.List` without its items is `list`
    if (head := _class(origin)) is None:
        return annotation
    inner = tuple(_canonical(argument, solved, nested=True) for argument in arguments)
    generic = types.GenericAlias(head, inner)
    # Without this `tuple[int, *tuple[str, ...]]` would look like `tuple[int, tuple[str, ...]]`.
    return Unpack[generic] if getattr(annotation, "__unpacked__", False) else generic


def _origin(annotation: object) -> object:
    # As an object: type checkers know of fewer origins than there are.
    return get_origin(annotation)


def _class(origin: object) -> type | None:
    return origin if isinstance(origin, type) else None


def is_union(origin: object) -> bool:
    """Whether this is the origin of a union, written in either way."""
    return origin is Union or origin is UnionType


def _expanded(
    annotation: object, alias: Alias, solved: Mapping[object, object], *, nested: bool
) -> object:
    arguments = tuple(
        _canonical(argument, solved, nested=True) for argument in get_args(annotation)
    )
    try:
        if not (nested and _reaches(_value(alias), alias, set())):
            inner = dict(zip(alias.__type_params__, arguments, strict=False))
            return _canonical(_value(alias), inner, nested=nested)
    except UnsupportedTypeError:
        return annotation
    return types.GenericAlias(cast("type", alias), arguments) if arguments else annotation


def _reaches(annotation: object, alias: Alias, seen: set[int]) -> bool:
    """Whether an alias stands in an annotation, or in an alias that does."""
    inner = _alias(annotation)
    if inner is alias:
        return True
    parts: list[object] = list(get_args(annotation))
    if inner is not None and id(inner) not in seen:
        seen.add(id(inner))
        parts.append(_value(inner))
    return any(_reaches(part, alias, seen) for part in parts)


def _alias(annotation: object) -> Alias | None:
    head: object = get_origin(annotation) or annotation
    return cast("Alias", head) if type(head).__name__ == "TypeAliasType" else None


def _value(alias: Alias) -> object:
    """Give what an alias stands for.

    Raises:
        UnsupportedTypeError: if it can't be evaluated.
    """
    try:
        value = alias.__value__
    # Only the aliases of Python 3.12 and newer are evaluated late.
    except Exception as error:  # pragma: no cover - so 3.11 alone never gets here
        raise UnsupportedTypeError([f"{error}"]) from error
    module = sys.modules.get(alias.__module__)
    return evaluate(value, vars(module) if module else {}, {alias.__name__: alias})


def _is_qualifier(origin: object) -> bool:
    return not isinstance(origin, type) and getattr(origin, "_name", None) in _QUALIFIERS


def qualifiers(annotation: object) -> set[str]:
    """Give the names of the qualifiers around a field's type."""
    found: set[str] = set()
    origin = get_origin(annotation)
    while origin is Annotated or _is_qualifier(origin):
        found.add(str(getattr(origin, "_name", None)))
        annotation = get_args(annotation)[0]
        origin = get_origin(annotation)
    return found


def _hashable(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def text_of(declared: object) -> str:
    """Give a canonical type as text: the same in every process, whatever the order of a union."""
    if declared is NoneType:
        return "None"
    if declared is Ellipsis:
        return "..."
    origin, arguments = get_origin(declared), get_args(declared)
    if is_union(origin):
        return " | ".join(sorted(map(text_of, arguments)))
    if origin is Literal:
        return f"Literal[{', '.join(sorted(map(literal_text, arguments)))}]"
    generic: dict[str, object] = getattr(declared, "__pydantic_generic_metadata__", {})
    if origin is None and generic.get("args"):
        # pydantic makes a class of its own for every `Box[int]`, whose name leaves modules out.
        origin, arguments = generic["origin"], cast("tuple[object, ...]", generic["args"])
        arguments = tuple(map(canonical, arguments))
    if origin is not None:
        return f"{text_of(origin)}[{', '.join(map(text_of, arguments)) or '()'}]"
    name = getattr(declared, "__qualname__", None) or getattr(declared, "__name__", None)
    if name is None or not (isinstance(declared, type) or _alias(declared)):
        return str(name or declared)
    # Where a class is really defined is pathlib's own affair, and differs between its versions.
    module = str(declared.__module__).replace("pathlib._local", "pathlib")
    return str(name) if module == "builtins" else f"{module}.{name}"


def literal_text(value: object) -> str:
    """Give the text of one value of a `Literal`."""
    if isinstance(value, Enum):
        return f"{text_of(type(value))}.{value.name}"
    # Only up to some thousand digits are written in decimal.
    return hex(value) if type(value) is int and value.bit_length() > 64 else repr(value)


@final
class Unresolved:
    """Stands for a type that could not be found out."""

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        """Keep why."""
        self.reason: Final = reason


@final
class FieldTypes:
    """The types of a class's fields, with what its type variables stand for."""

    __slots__ = ("_layers", "_typed_dict")

    def __init__(self, declared: object) -> None:
        """Collect the annotations of the class, which may be generic, and of its bases."""
        solved = _solved(declared)
        head = next(iter(solved))
        # A TypedDict has all annotations of its bases, but doesn't inherit from them.
        self._typed_dict: Final = type(head).__name__ == "_TypedDictMeta"
        bases = list(solved) if self._typed_dict else head.__mro__
        self._layers: Final = [
            (base, annotations_of(base), solved.get(base, _NOTHING)) for base in bases
        ]

    def __contains__(self, name: str) -> bool:
        return any(name in annotations for _, annotations, _ in self._layers)

    def written(self, name: str) -> object:
        """Give a field's annotation, evaluated, with its qualifiers; `Unresolved` if impossible."""
        return self._evaluated(name)[0]

    def type(self, name: str) -> object:
        """Give a field's canonical type; `Unresolved` if impossible."""
        annotation, solved = self._evaluated(name)
        return canonical(annotation, solved)

    def _evaluated(self, name: str) -> tuple[object, Mapping[object, object]]:
        layers = [layer for layer in self._layers if name in layer[1]]
        if not layers:
            return Unresolved("it has no annotation"), _NOTHING
        base, annotations, solved = layers[0]
        annotation = annotations[name]
        if self._typed_dict:
            for base_too, annotations_too, solved_too in layers[1:]:
                if annotations_too[name] == annotation:
                    base, solved = base_too, solved_too
        module = sys.modules.get(base.__module__)
        known: dict[str, object] = dict(vars(module)) if module else {}
        if "<locals>" in base.__qualname__:
            known[base.__name__] = base
        names = dict(vars(base)) | _parameters(base)
        try:
            # Names of the module go first: in the class, a field's default has the field's name.
            return evaluate(annotation, names, known), solved
        except UnsupportedTypeError as error:
            return Unresolved(f"its annotation {error}"), _NOTHING


def _parameters(owner: object) -> dict[str, object]:
    """Give the type parameters that stand in brackets behind the name, from Python 3.12 on."""
    parameters: tuple[object, ...] = getattr(owner, "__type_params__", ())
    return {str(getattr(parameter, "__name__", "")): parameter for parameter in parameters}


def _solved(declared: object) -> dict[type, dict[object, object]]:
    """Give what the type variables of a class and of its bases stand for."""
    head = cast("type", get_origin(declared) or declared)
    parameters: tuple[object, ...] = getattr(head, "__parameters__", ())
    mine: dict[object, object] = dict(zip(parameters, get_args(declared), strict=False))
    found = {head: mine}
    written: tuple[object, ...] = head.__dict__.get("__orig_bases__", ())
    for base in (*written, *head.__bases__):
        origin = get_origin(base) or base
        if isinstance(origin, type) and origin.__module__ != "typing":
            for other, solved in _solved(canonical(base, mine)).items():
                found.setdefault(other, solved)
    return found
