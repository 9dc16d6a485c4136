"""JSON Schemas of what a language model may give, put together and told in a few words.

They use the part of JSON Schema that the providers of models have in common: an array always has
`items`, an enum its `type`, and there is no `oneOf`, `const` or `prefixItems`.
"""

from __future__ import annotations

import json
import re
from types import NoneType
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeAlias, cast, final

from ._compat import override

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ._codec_hooks import JSON

Schema: TypeAlias = "dict[str, object]"

REFERENCE: Final = "#/$defs/"
# So long, in characters, are a few words at most.
_LONGEST: Final = 300
# So many names stand in a sentence.
_NAMED: Final = 30
# So many faults are told of one value.
_MOST: Final = 10


class Fault(NamedTuple):
    """Something that is wrong with a value."""

    place: str
    """Where, in the value."""
    reason: str
    """What; nothing of the value is quoted."""
    words: str = ""
    """What the author's code said about it, which may quote the value."""


class MisreadError(Exception):
    """What a model gave is no value of the type."""

    faults: tuple[Fault, ...]

    def __init__(self, faults: Iterable[Fault]) -> None:
        """Keep the faults."""
        super().__init__()
        self.faults = tuple(faults)

    def at(self, place: str) -> Iterable[Fault]:
        """Give the faults as those of what holds the value at this place."""
        return [fault._replace(place=f"{place}{fault.place}") for fault in self.faults]

    def told(self, *, words: bool) -> str:
        """Say what is wrong, and where.

        Args:
            words: with what the author's code said about it.
        """
        texts: list[str] = []
        for fault in self.faults[:_MOST]:
            text = f"at {fault.place}: {fault.reason}" if fault.place else fault.reason
            texts.append(f"{text}: {fault.words}" if words and fault.words else text)
        if (more := len(self.faults) - _MOST) > 0:
            texts.append(f"and {more} more")
        return "; ".join(texts)

    @override
    def __str__(self) -> str:
        """Say what is wrong, and where, but not in the author's words."""
        return self.told(words=False)


def misread(reason: str, words: str = "") -> MisreadError:
    """Make the error for one fault of the value as a whole."""
    return MisreadError([Fault("", reason, words)])


def expected(what: str, value: object) -> MisreadError:
    """Make the error for a value of another kind."""
    return misread(f"expected {what}, got {_SAID.get(type(value), 'something else')}")


def read_items(given: JSON) -> list[JSON]:
    """Give the items of an array."""
    if type(given) is not list:
        raise expected("an array", given)
    return given


KINDS: Final[Mapping[type, str]] = {
    NoneType: "null",
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}
"""What JSON tells apart, by the class that it is read as."""
_SAID: Final[Mapping[type, str]] = {
    **{kind: f"a {name}" for kind, name in KINDS.items()},
    NoneType: "null",
    bool: "true or false",
    list: "an array",
    dict: "an object",
}


class Read(Protocol):
    """Makes a value of the JSON that a model gave."""

    def __call__(self, given: JSON, /) -> object:
        """Give the value.

        Raises:
            MisreadError: if there is none.
        """
        ...


@final
class Reader:
    """How values of one type look as JSON that a model gives, and how they are read.

    It may be filled in later: a type may hold itself.
    """

    __slots__ = ("kinds", "read", "schema")

    kinds: frozenset[str]
    """Which of `KINDS` the JSON is of; empty where that isn't known."""
    read: Read
    schema: Schema

    def __init__(
        self,
        schema: Schema | None = None,
        read: Read | None = None,
        kinds: frozenset[str] = frozenset(),
    ) -> None:
        """Take all, or wait for them; the schema's type says of what kind it is."""
        self.schema = {} if schema is None else schema
        self.read = read or (lambda given, /: self.read(given))
        self.kinds = kinds or kinds_of(self.schema)


def kinds_of(schema: Schema) -> frozenset[str]:
    """Give the kinds of JSON that the values of a schema are of; none if that isn't plain."""
    if "anyOf" in schema:
        parts = [kinds_of(part) for part in cast("list[Schema]", schema["anyOf"])]
        return frozenset[str]().union(*parts) if all(parts) else frozenset()
    kind = str(schema.get("type", ""))
    return frozenset({"number" if kind == "integer" else kind} - {""})


class Part(Protocol):
    """Gives the reader of a part of a type; what can't be read is noted with its place."""

    def __call__(self, declared: object, place: str, /) -> Reader:
        """Give the reader."""
        ...


def as_text(value: JSON) -> str:
    """Give the text of JSON for a model, who reads all alphabets."""
    return json.dumps(value, ensure_ascii=False)


def enumerated(names: Iterable[str]) -> str:
    """Join names, not more than a sentence can bear."""
    names = list(names)
    more = len(names) - _NAMED
    return ", ".join([*names[:_NAMED], f"and {more} more"] if more > 0 else names)


@final
class Definitions:
    """The schemas that references lead to, by name.

    Attributes:
        schemas: the schemas.
    """

    __slots__ = ("_taken", "schemas")

    def __init__(self) -> None:
        """Begin without any."""
        self.schemas: Final[dict[str, Schema]] = {}
        self._taken: Final[set[str]] = set()

    def reserve(self, wanted: str) -> str:
        """Give a name like the wanted one that is free, and fit for every provider."""
        plain = re.sub(r"[^0-9A-Za-z_]+", "_", wanted).strip("_")[:50] or "type"
        name, number = plain, 1
        while name in self._taken:
            number += 1
            name = f"{plain}_{number}"
        self._taken.add(name)
        return name


def any_of(schemas: Iterable[Schema]) -> Schema:
    """Give the schema of what is of at least one of these; without any, it may be anything."""
    different: dict[str, Schema] = {}
    for schema in schemas:
        parts = cast("list[Schema]", schema["anyOf"]) if schema.keys() == {"anyOf"} else [schema]
        for part in parts:
            different.setdefault(json.dumps(part), part)
    found = list(different.values())
    if not found:
        return {}
    return {"anyOf": found} if len(found) > 1 else found[0]


def described(schema: Schema, text: str) -> Schema:
    """Give the schema with a description, before the one that it has."""
    if "$ref" in schema:
        # Some look at nothing beside a reference.
        return {"description": text, "anyOf": [schema]}
    before = schema.get("description")
    return {**schema, "description": f"{text}: {before}" if before else text}


def exact_object(properties: Mapping[str, Schema], required: Iterable[str]) -> Schema:
    """Give the schema of an object with these names and no others."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(required),
        "additionalProperties": False,
    }


def rebuilt(schema: Schema, change: Callable[[Schema], Schema]) -> Schema:
    """Give a schema of the same form, with other parts."""
    made: Schema = {}
    for keyword, part in schema.items():
        if keyword == "properties":
            parts = cast("dict[str, Schema]", part)
            made[keyword] = {name: change(inner) for name, inner in parts.items()}
        elif keyword == "anyOf":
            made[keyword] = [change(inner) for inner in cast("list[Schema]", part)]
        elif keyword in {"items", "additionalProperties"} and isinstance(part, dict):
            made[keyword] = change(cast("Schema", part))
        else:
            made[keyword] = part
    return made


def referred(schema: Schema) -> str | None:
    """Give the name that a schema refers to, if it is a reference."""
    reference = schema.get("$ref")
    return reference.removeprefix(REFERENCE) if isinstance(reference, str) else None


def complete(schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """Give the schema with all that it refers to; what is used only once stands in its place.

    A schema that holds itself is used twice at least: by itself, and by what holds it.
    """
    uses: dict[str, int] = {}

    def count(part: Schema) -> Schema:
        if (name := referred(part)) is not None:
            uses[name] = uses.get(name, 0) + 1
            if uses[name] == 1:
                count(definitions[name])
        return rebuilt(part, count)

    def inlined(part: Schema) -> Schema:
        name = referred(part)
        if name is not None and uses[name] == 1:
            return inlined(definitions[name])
        made = rebuilt(part, inlined)
        choices = cast("list[Schema]", made.get("anyOf", []))
        if len(choices) == 1 and "$ref" not in choices[0]:
            # It stood for a reference, with a description.
            return described(choices[0], str(made["description"]))
        return made

    count(schema)
    made = inlined(schema)
    if shared := [name for name, times in uses.items() if times > 1]:
        made["$defs"] = {name: rebuilt(definitions[name], inlined) for name in shared}
    return made


def brief(schema: Schema, definitions: Mapping[str, Schema]) -> str:
    """Say in a few words what is of a schema: the fewer, the more there is to say."""
    texts = [_Brief(definitions).say(schema, depth) for depth in (2, 1, 0)]
    return next((text for text in texts if len(text) <= _LONGEST), f"{texts[-1][:_LONGEST]}...")


@final
class _Brief:
    """Says it to some depth, and nothing twice of what holds itself."""

    def __init__(self, definitions: Mapping[str, Schema]) -> None:
        self._definitions: Final = definitions
        self._under_way: Final[list[str]] = []

    def say(self, schema: Schema, depth: int) -> str:
        if (name := referred(schema)) is not None:
            if name in self._under_way:
                return str(self._definitions[name].get("type", "the same"))
            self._under_way.append(name)
            text = self.say(self._definitions[name], depth)
            self._under_way.pop()
            return text
        if "anyOf" in schema:
            parts = cast("list[Schema]", schema["anyOf"])
            return " or ".join(dict.fromkeys(self.say(part, depth) for part in parts))
        if "enum" in schema:
            told = [*map(as_text, cast("list[JSON]", schema["enum"]))]
            return told[0] if len(told) == 1 else f"one of {', '.join(told)}"
        kind = str(schema.get("type", "any JSON"))
        if kind == "object":
            return self._object(schema, depth - 1) if depth else kind
        detail = schema.get("description") or schema.get("format")
        if kind == "array" and depth:
            kind = f"array of {self.say(cast('Schema', schema['items']), depth - 1)}"
        return f"{kind} ({detail})" if detail else kind

    def _object(self, schema: Schema, depth: int) -> str:
        properties = cast("dict[str, Schema]", schema.get("properties", {}))
        others = schema.get("additionalProperties")
        if not properties and isinstance(others, dict):
            return f"object of {self.say(cast('Schema', others), depth)} by name"
        required = cast("list[str]", schema.get("required", []))
        parts = (
            f"{name}{'' if name in required else '?'}: {self.say(part, depth)}"
            for name, part in properties.items()
        )
        return f"object {{{', '.join(parts)}}}"
