"""What can't be restored exactly is refused: types, values, and what is stored."""

from __future__ import annotations

import abc
import collections
import dataclasses
import functools
import importlib.resources
import io
import operator
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import Enum, Flag
from pathlib import Path, PosixPath, PurePath, PurePosixPath, PureWindowsPath, WindowsPath
from types import GenericAlias
from typing import (  # noqa: UP035 - the old way to write it
    Annotated,
    Any,
    Generic,
    List,
    Literal,
    Protocol,
    TypeVarTuple,
    Unpack,
    cast,
)
from uuid import UUID
from zoneinfo import ZoneInfo

import attrs
import msgspec
import pydantic
import pytest
import typing_extensions
from codec_answers import (
    Access,
    Account,
    Bits,
    Box,
    Card,
    Colour,
    Counted,
    Doctor,
    Json,
    Level,
    Movie,
    Node,
    Numbers,
    Options,
    Pair,
    Person,
    Plan,
    Point,
    T,
    Untyped,
)
from typing_extensions import override

from reflow._codec import CodecError, UnsupportedTypeError, value_codec

Ts = TypeVarTuple("Ts")


class Text(str):
    """A subclass of str."""

    __slots__ = ()


class Whole(int):
    """A subclass of int."""


class Chief(Doctor):
    """A subclass of a dataclass."""


class Zone(tzinfo):
    """A zone that only this program knows."""

    @override
    def utcoffset(self, when: datetime | None) -> timedelta:
        """Give no offset."""
        return timedelta()

    @override
    def dst(self, when: datetime | None) -> None:
        """Know nothing."""

    @override
    def tzname(self, when: datetime | None) -> str:
        """Give a name."""
        return "here"


class Empty(Flag):
    """Flags without names."""


def without(kind: type, **fields: object) -> object:
    """Make an instance whose `__init__` didn't run."""
    made: object = object.__new__(kind)
    for name, value in fields.items():
        object.__setattr__(made, name, value)
    return made


NOW = datetime(2024, 1, 1, tzinfo=UTC)
VALUES: list[tuple[object, list[object]]] = [
    (None, [0, False, ""]),
    (bool, [0, 1, None, "true"]),
    (str, [b"a", Text("a"), Colour.RED, None]),
    (bytes, ["a", bytearray(b"a"), memoryview(b"a")]),
    (int, [True, 1.0, "1", Whole(1), Level.LOW]),
    (float, [True, "1.0", Decimal(1), Whole(1)]),
    (Decimal, [1, 1.0, "1"]),
    (UUID, ["00000000-0000-0000-0000-000000000005"]),
    (date, [NOW, "2024-01-01"]),
    (
        datetime,
        [
            date(2024, 1, 1),
            NOW.replace(tzinfo=Zone()),
            NOW.replace(tzinfo=timezone(timedelta(hours=1), "Here")),
        ],
    ),
    (time, [NOW, time(1, tzinfo=Zone())]),
    (timedelta, [1, 1.0]),
    (Path, ["a", PurePosixPath("a")]),
    (PurePath, [Path("a")]),
    (Plan, [Colour.RED, "BASIC", 1, without(Plan, _name_="BASIC", _value_=1)]),
    (Colour, ["r", Plan.BASIC]),
    (Access, [1, Bits.ONE]),
    (Literal[1, "a"], [True, 1.0, 2, "b", Text("a"), None, []]),
    (Literal[True], [1, 1.0]),
    (list[int], [(1,), {1}, [1.0], [1, "a"], "1", range(3), collections.UserList([1])]),
    (tuple[int, ...], [[1], ("a",), Point(1)]),
    (tuple[int, str], [(1,), (1, "a", 2), ("a", 1), [1, "a"]]),
    (set[int], [frozenset({1}), {"a"}, [1]]),
    (frozenset[int], [{1}]),
    (
        dict[str, int],
        [
            {1: 1},
            {"a": "b"},
            {Text("a"): 1},
            collections.defaultdict(int),
            collections.OrderedDict(),
            [("a", 1)],
        ],
    ),
    (collections.abc.Sequence[str], ["a", {"a"}, [1]]),
    (collections.abc.Mapping[str, int], [[], {"a": "b"}]),
    (Doctor, [Chief("a"), {"name": "a", "born": None}, Doctor(1), without(Doctor, born=None)]),  # type: ignore[arg-type]  # wrong on purpose
    (Box[int], [Box(item="a"), Box(item=True)]),
    (Node, [Node(1, [Node("a", [])])]),  # type: ignore[arg-type]  # wrong on purpose
    (Person, [Doctor("a"), attrs.evolve(Person("a"), name=1)]),  # type: ignore[arg-type]  # wrong on purpose
    (Point, [(1, 2.0), Point("a"), tuple.__new__(Point, [1])]),  # type: ignore[arg-type]  # wrong on purpose
    (Pair[int], [Pair("a", []), Pair[object](1, ["a"])]),
    (Movie, [{}, {"title": 1}, {"title": "a", "more": 1}, {Text("title"): "a"}, Doctor("a")]),
    (Options, [{"name": "a", "seen": 1}]),
    (Account, [Account.model_construct(owner=1), Doctor("a"), Account.model_construct({"more"})]),
    (Numbers, [Numbers.model_construct(cast("list[int]", ["a"]))]),
    (Card[int], [Card("a", "b"), Counted(count=1)]),
    (pydantic.SecretStr, [pydantic.SecretStr("a"), "a", None]),
    (pydantic.HttpUrl, ["https://example.org", 1]),
    (int | str, [None, 1.0, b"a", True]),
    (list[int] | list[str], [[1, "a"], (1,)]),
    (str | None, [1]),
    (Json, [object(), {1: 1}, [b"a"]]),
]
"""Types, and values that are not of them."""


@pytest.mark.parametrize(
    ("declared", "values"), VALUES, ids=[str(declared) for declared, _ in VALUES]
)
def test_a_value_of_another_type_is_refused(declared: object, values: list[object]) -> None:
    """Better no row than one that comes back as something else."""
    codec = value_codec(declared)
    for value in values:
        with pytest.raises(CodecError):
            codec.encode(value)


STORED: list[tuple[object, list[object]]] = [
    (None, [0, "", []]),
    (bool, [0, 1, "true", None]),
    (str, [1, None, ["a"], ["a", 1], [], ["\ud83d", "a"], ["a", "b"], {}]),
    (bytes, [1, "a", "é", "QQ", "QR==", "QQ==\n"]),
    (int, [True, 1.0, "1", "0x1", "0X8000000000000000", "0x08000000000000000", None, "0xg"]),
    (float, ["1.0", "Infinity", float("nan"), float("inf"), True, None, "0x1"]),
    (Decimal, [1, 1.5, "a", " 1", "1_0", "NAN"]),
    (UUID, [5, "5", "{00000000-0000-0000-0000-000000000005}"]),
    (date, [1, "2024-1-1", "20240101", "2024-01-01T00:00:00", "2024-02-30"]),
    (
        datetime,
        [
            "2024-01-01",
            "2024-01-01 00:00:00",
            "2024-01-01T00:00:00Z",
            "2024-01-01T00:00:00[fold=2]",
            "2024-01-01T00:00:00[pydantic=x]",
            "2024-01-01T00:00:00[microseconds=60000000]",
            "2024-01-01T00:00:00[Nowhere/Never]",
            "2024-01-01T00:00:00+00:00[Europe/Berlin]",
            "2024-01-01T00:00:00[../etc/passwd]",
            "2024-01-01T00:00:00]",
            "2024-01-01T00:00:00[",
        ],
    ),
    (time, ["1", "01:00", "01:00:00Z", "25:00:00", 1]),
    (timedelta, [1, [1, 2], [1.0, 0, 0], [0, -1, 0], [0, 86400, 0], [10**10, 0, 0], "1", ["a"]]),
    (Path, ["a//b", 1, "a/"]),
    (Plan, [1, "UNKNOWN", None, ["BASIC"]]),
    (Colour, ["r"]),
    (Access, [1, "READ", ["READ", "READ"], ["BOTH"], ["NONE"], [8], [None], [1]]),
    (Bits, [[0], ["ONE", 1], [True]]),
    (Literal[1, "a", b"x"], [True, 1.0, "1", "b", None, ["a"], ["b'y'"], [1], [], {}, b"x"]),
    (list[int], [{}, "a", [1.0], ["1"], None, (1,)]),
    (tuple[int, ...], [[None], {}]),
    (tuple[int, str], [[1], [1, "a", 2], ["a", 1], {}, None]),
    (set[int], [[1, 1], ["a"], {}]),
    (dict[str, int], [[], [["a", 1]], [[["a", "b"], 1]], {"a": "b"}, {"a": None}, None, [1]]),
    (dict[int, str], [{}, [[1, "a"], [1, "b"]], [[1]], ["ab"], [["1", "a"]], [[1, 2]]]),
    (Doctor, [{}, {"name": "a"}, {"name": "a", "born": None, "more": 1}, [], None, {1: 2}]),
    (Doctor, [{"name": 1, "born": None}, {"name": "a", "born": "x"}]),
    (Box[int], [{"item": "a", "size": 1}]),
    (Untyped, [{"old": "1"}]),
    (Point, [[1, 2.0], {"x": 1}, {"x": "1", "y": 1.0}]),
    (Movie, [{"year": 1}, {"title": 1}, {"title": "a", "more": 1}, []]),
    (Account, [{}, [], {"fields": {}, "set": [], "private": {}}]),
    (Numbers, [{"fields": {"root": [1]}, "set": ["x"]}, {"fields": {"root": ["a"]}, "set": []}]),
    (Numbers, [{"fields": {"root": [1]}, "set": 1}, {"fields": {"root": [1]}, "set": [1]}]),
    (Numbers, [{"fields": {"root": [1]}, "set": ["root", "root"]}, {"set": []}, "a"]),
    (Card[int], [["card", "1", 2], {"number": 1, "item": 2}]),
    (pydantic.HttpUrl, [1, "example", None, "HTTPS://example.org"]),
    (int | str, [1, "a", None, {}, {"int": "a"}, {"int": 1, "str": "a"}, {"float": 1.0}, [1]]),
    (list[int] | None, ["a", {"list[int]": [1]}]),
    (date | str, [{"datetime.date": "x"}, {1: "a"}]),
]
"""Types, and what is never stored for a value of them."""


@pytest.mark.parametrize(
    ("declared", "rows"), STORED, ids=[f"{i} {row[0]}" for i, row in enumerate(STORED)]
)
def test_what_is_stored_otherwise_is_refused(declared: object, rows: list[object]) -> None:
    """Nothing is made to fit: a row that isn't understood isn't an answer."""
    codec = value_codec(declared)
    for stored in rows:
        with pytest.raises(CodecError):
            codec.decode(stored)


class Abstract(abc.ABC):
    """An abstract class."""

    @abc.abstractmethod
    def act(self) -> None:
        """Act."""


@dataclasses.dataclass
class AbstractFields(Abstract):
    """An abstract class with fields."""

    x: int


class Shape(Protocol):
    """A protocol."""

    def area(self) -> float:
        """Give the area."""
        ...


@dataclasses.dataclass
class WithInitVar:
    """It can't be made of its fields alone."""

    x: int
    scale: dataclasses.InitVar[int]


@dataclasses.dataclass
class WithNew:
    """It is made in a way of its own."""

    x: int

    def __new__(cls, x: int) -> WithNew:  # noqa: PYI034 - not generic
        """Make it."""
        return object.__new__(cls)


@dataclasses.dataclass
class Loose:  # type: ignore[explicit-any] # on purpose
    """Four of its fields can't be stored."""

    good: int
    anything: Any  # type: ignore[explicit-any] # on purpose
    items: list  # type: ignore[type-arg] # on purpose
    later: Nowhere  # type: ignore[name-defined] # noqa: F821
    nested: dict[str, list[object]]


@attrs.define
class Bare:
    """A field without a type."""

    x = attrs.field()  # type: ignore[var-annotated] # on purpose


class Hidden(pydantic.BaseModel):  # type: ignore[explicit-any] # what pydantic makes of it
    """A private attribute without a type."""

    _state = pydantic.PrivateAttr(default=1)


class Unfinished(pydantic.BaseModel):  # type: ignore[explicit-any] # what pydantic makes of it
    """A field of a class that doesn't exist."""

    x: Nowhere  # type: ignore[name-defined] # noqa: F821


class Grown(pydantic.BaseModel, Generic[T]):  # type: ignore[explicit-any] # what pydantic makes of it
    """A generic model."""

    item: T


@dataclasses.dataclass
class Endless(Generic[T]):
    """It holds ever larger types."""

    inner: Endless[list[T]] | None


class Custom:
    """A class of which pydantic thinks that it knows it."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> object:
        """Fail."""
        raise NotImplementedError


Broken = typing_extensions.TypeAliasType(
    "Broken",
    "list[Nowhere]",  # type: ignore[name-defined] # noqa: F821 - on purpose
)
UntypedPair = collections.namedtuple("UntypedPair", "x y")  # noqa: PYI024 - the old way

REFUSED: list[tuple[object, list[str]]] = [
    (object, ["object can't be decoded back: declare what it is"]),
    (Any, ["typing.Any can't be decoded back: declare what it is"]),
    (list, ["list can't be decoded back: say what it holds"]),
    (dict[str, Any], ["dict[...] value: typing.Any can't be decoded back"]),
    (list[object], ["list[...] item: object can't be decoded back: declare what it is"]),
    (tuple[int, object], ["tuple[...] item 1: object can't"]),
    (List, ["list can't be decoded back: say what it holds"]),  # noqa: UP006 - the old way
    (tuple, ["tuple can't be decoded back: say what it holds"]),
    (collections.abc.Sequence, ["collections.abc.Sequence can't be decoded back: say what it"]),
    (Callable[[int], str], ["can't be decoded back"]),
    (Callable, ["can't be decoded back"]),
    (io.TextIOWrapper, ["_io.TextIOWrapper can't be decoded back: declare a type"]),
    (Shape, ["Shape can't be decoded back: it is abstract"]),
    (Abstract, ["Abstract can't be decoded back: it is abstract"]),
    (AbstractFields, ["AbstractFields can't be decoded back: it is abstract"]),
    (T, ["T can't be decoded back: say what it stands for"]),
    (Box, ["codec_answers.Box.item: T can't be decoded back"]),
    (type[int], ["type[int] can't be decoded back"]),
    (Iterable[int], ["can't be decoded back"]),
    (Iterator[int], ["can't be decoded back"]),
    (re.Pattern[str], ["re.Pattern[str] can't be decoded back"]),
    (Text, ["Text can't be decoded back: it is a subclass of str"]),
    (collections.OrderedDict[str, int], ["can't be decoded back"]),
    (tuple[int, *tuple[str, ...]], ["tuple[...] item 1: "]),
    (GenericAlias(tuple, (Unpack[Ts],)), ["tuple[...] item 0: "]),
    (Empty, ["Empty can't be decoded back: it has no members"]),
    (Enum, ["enum.Enum can't be decoded back: it has no members"]),
    (pydantic.BaseModel, ["it can't be looked at: AttributeError"]),
    (WithInitVar, ["WithInitVar can't be decoded back: its __init__ can't be called"]),
    (WithNew, ["WithNew can't be decoded back: it has a `__new__` of its own"]),
    (Bare, ["Bare.x: it has no annotation"]),
    (UntypedPair, ["UntypedPair.x: it has no annotation", "UntypedPair.y: it has no annotation"]),
    (Hidden, ["Hidden._state: it has no annotation"]),
    (Unfinished, ["Unfinished.x: "]),
    (Grown, ["Grown.item: T can't be decoded back"]),
    (Endless[int], ["the type never ends"]),
    (Custom, ["Custom can't be decoded back: pydantic can't either"]),
    (Broken, ["Broken can't be decoded back"]),
    (list[Broken], ["list[...] item: "]),
    ("list[int]", ["can't be decoded back"]),
    (Literal[[]], ["can't be decoded back: it has no hash"]),
    (int | object, ["member of int | object: object can't"]),
    (Annotated[Any, 1], ["typing.Any can't be decoded back"]),
    (
        Loose,
        [
            "Loose.anything: typing.Any can't be decoded back: declare what it is",
            "Loose.items: list can't be decoded back: say what it holds",
            "Loose.later: its annotation 'Nowhere' can't be evaluated: name 'Nowhere' is not",
            "Loose.nested: dict[...] value: list[...] item: object can't be decoded back",
        ],
    ),
]
"""Types that can't be decoded back, and the reasons."""


@pytest.mark.parametrize(
    ("declared", "reasons"), REFUSED, ids=[f"{i} {row[0]}" for i, row in enumerate(REFUSED)]
)
def test_a_type_that_cannot_come_back_is_refused(declared: object, reasons: list[str]) -> None:
    """When the codec is made, not when the first answer is given; with all of the reasons."""
    with pytest.raises(UnsupportedTypeError) as caught:
        value_codec(declared)
    assert len(caught.value.reasons) == len(reasons), caught.value.reasons
    for reason, found in zip(reasons, caught.value.reasons, strict=True):
        assert reason in found
        assert found in str(caught.value)


@pytest.mark.skipif(sys.platform == "win32", reason="there it is the other way round")
def test_a_path_of_another_system_is_refused() -> None:
    """It can't be made on this one."""
    with pytest.raises(UnsupportedTypeError, match=r"a subclass of pathlib\.PurePath"):
        value_codec(WindowsPath)
    assert value_codec(PosixPath).decode("a") == Path("a")


def test_errors_say_where_and_never_quote() -> None:
    """An answer may be private: its place and its type are enough to find it."""
    codec = value_codec(list[tuple[dict[str, list[Node]], int]])
    secret = Node(1, [Node("secret", [])])  # type: ignore[arg-type] # a wrong type
    with pytest.raises(CodecError) as caught:
        codec.encode([({}, 1), ({"secret key": [secret]}, 2)])
    place = "at [1][0][value 0][0].children[0].value"
    assert str(caught.value) == f"{place}: expected int, got str"
    with pytest.raises(CodecError, match=re.escape("at [0][1]: expected int, got str")):
        codec.decode([[{}, "secret"]])
    pairs = value_codec(dict[int, int])
    for stored, place in (([["x", 1]], "[key 0]"), ([[1, 1], [2, "x"]], "[value 1]")):
        with pytest.raises(CodecError, match=re.escape(f"at {place}: expected int, got str")):
            pairs.decode(stored)
    with pytest.raises(CodecError, match=re.escape("at [key 1]: expected int, got str")):
        pairs.encode({1: 1, "secret": 1})


def test_a_subclass_is_refused_with_advice() -> None:
    """It would come back as its base."""
    with pytest.raises(CodecError, match="Chief, a subclass of it: declare a union"):
        value_codec(Doctor).encode(Chief("a"))
    with pytest.raises(CodecError, match=r"expected int, got bool$"):
        value_codec(int).encode(True)


class Mean:
    """It fails however it is looked at."""

    @override
    def __eq__(self, other: object) -> bool:
        """Fail."""
        raise RuntimeError("secret")

    @override
    def __hash__(self) -> int:
        """Fail."""
        raise RuntimeError("secret")


class MeanColour(Enum):
    """An enum whose members can't be hashed."""

    RED = 1

    @override
    def __hash__(self) -> int:
        """Fail once it is made."""
        if hasattr(MeanColour, "armed"):
            raise RuntimeError("secret")
        return 1


def test_whatever_fails_is_a_codec_error_with_its_cause() -> None:
    """The caller has one exception to think of."""
    codec = value_codec(Literal[MeanColour.RED])
    MeanColour.armed = True  # type: ignore[attr-defined] # on purpose
    with pytest.raises(CodecError, match="RuntimeError was raised: see the cause") as caught:
        codec.encode(MeanColour.RED)
    assert isinstance(caught.value.__cause__, RuntimeError)
    with pytest.raises(CodecError):
        value_codec(int).encode(Mean())

    strict = value_codec(Strict)
    value = Strict(1)
    value.x = -1
    stored = strict.encode(value)
    with pytest.raises(CodecError, match="ValueError was raised: see the cause"):
        strict.decode(stored)


def test_a_zone_without_a_key_is_refused() -> None:
    """Nothing says where to find it again."""
    data = importlib.resources.files("tzdata.zoneinfo") / "Europe" / "Berlin"
    for key in (None, "Nowhere/Never"):
        with data.open("rb") as file:
            zone = ZoneInfo.from_file(file, key)
        with pytest.raises(CodecError, match="can't be found by its key"):
            value_codec(datetime).encode(NOW.replace(tzinfo=zone))


def test_a_path_comes_back_or_is_refused() -> None:
    """Some versions of Python write a path as the text of another one."""
    odd = PureWindowsPath("./b:a")
    codec = value_codec(PureWindowsPath)
    if PureWindowsPath(str(odd)) == odd:
        assert codec.decode(codec.encode(odd)) == odd
    else:
        with pytest.raises(CodecError, match="another path"):
            codec.encode(odd)


def test_two_types_of_one_name_make_no_union() -> None:
    """What is stored says which member it is by its name."""

    def local(kind: type) -> type:
        return dataclasses.make_dataclass("Local", [("x", kind)])

    declared = functools.reduce(operator.or_, [local(int), local(str)])
    with pytest.raises(UnsupportedTypeError, match="two different types in it are called"):
        value_codec(declared)


class Strict(msgspec.Struct):
    """A msgspec Struct that refuses what it may become."""

    x: int

    def __post_init__(self) -> None:
        """Accept what is positive."""
        if self.x < 0:
            raise ValueError


@dataclasses.dataclass
class Exhausted:
    """Its `__post_init__` needs too much stack."""

    x: int

    def __post_init__(self) -> None:
        """Fail from 1 on."""
        if self.x:
            raise RecursionError


class ExhaustedModel(pydantic.BaseModel):  # type: ignore[explicit-any] # what pydantic makes of it
    """Its `model_post_init` needs too much stack."""

    x: int

    @override
    def model_post_init(self, context: object, /) -> None:
        """Fail from 1 on."""
        if self.x:
            raise RecursionError


def test_no_init_runs_out_of_stack_unnoticed() -> None:
    """Only what an `__init__` says of its arguments is ignored."""
    for value in (Exhausted(x=0), ExhaustedModel(x=0)):
        codec = value_codec(type(value))
        value.x = 1
        stored = codec.encode(value)
        with pytest.raises(CodecError, match="nested too deeply"):
            codec.decode(stored)
