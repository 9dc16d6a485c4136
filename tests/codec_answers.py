"""Types of answers with examples of each, and a comparison that is stricter than `==`."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import (
    Collection,
    Mapping,
    MutableMapping,
    MutableSequence,
    MutableSet,
    Sequence,
)
from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag, IntEnum, IntFlag, StrEnum, auto
from ipaddress import IPv4Address, IPv6Interface
from pathlib import Path, PurePath, PurePosixPath, PureWindowsPath
from typing import (
    Annotated,
    ClassVar,
    Final,
    Generic,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Optional,
    Required,
    TypedDict,
    TypeVar,
    Union,
    cast,
)
from uuid import UUID
from zoneinfo import ZoneInfo

import attrs
import msgspec
import pydantic
import typing_extensions
from typing_extensions import override

T = TypeVar("T")
UserId = NewType("UserId", int)
BERLIN = ZoneInfo("Europe/Berlin")


class Plan(Enum):
    """An enum whose values no JSON could hold."""

    BASIC = (b"", None)
    FAMILY = frozenset({1})
    OTHER_NAME = BASIC


class Colour(StrEnum):
    """An enum of strings."""

    RED = "r"
    GREEN = "g"


class Level(IntEnum):
    """An enum of numbers."""

    LOW = 1
    HIGH = 2


class Access(Flag):
    """Flags, two of them with a common name."""

    READ = auto()
    WRITE = auto()
    BOTH = READ | WRITE


class Bits(IntFlag):
    """Flags that keep the bits that they don't know."""

    ONE = 1
    FOUR = 4


@dataclasses.dataclass
class Doctor:
    """A plain dataclass."""

    name: str
    born: date | None = None
    kind: ClassVar[object] = None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Box(Generic[T]):
    """A generic dataclass that can't be changed, with a field that isn't given."""

    item: T
    size: int = dataclasses.field(init=False, default_factory=int)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ListBox(Box[list[T]], Generic[T]):
    """It uses the type variable of its base for something else."""

    other: T


@dataclasses.dataclass
class Node:
    """It holds itself."""

    value: int
    children: list[Node]
    parent: Optional[Node] = None  # noqa: UP045 - the old way to write it


@dataclasses.dataclass
class Logbook:
    """Its `__post_init__` changes what it was given."""

    lines: list[str]
    total: int = 0

    def __post_init__(self) -> None:
        """Add a line, and something that is no field."""
        self.lines.append("made")
        self.total += 1
        self.made_by = "init"


@dataclasses.dataclass
class Spoilt:
    """Its `__post_init__` puts something in that isn't of the type."""

    lines: list[str]

    def __post_init__(self) -> None:
        """Add what is no line."""
        cast("list[object]", self.lines).append(1)


@dataclasses.dataclass
class Parsed:
    """Its `__post_init__` fails when it is given what it made."""

    when: date

    def __post_init__(self) -> None:
        """Take a text for the date."""
        self.when = date.fromisoformat(str(self.when).removeprefix("on "))
        if self.when.year == 1:
            raise ValueError("too early")


@attrs.define
class Person:
    """An attrs class with a private name and an alias."""

    _name: str
    age: int = attrs.field(alias="years", default=1, validator=attrs.validators.instance_of(int))
    greeting: str = attrs.field(init=False, default="hello")


def _double(number: int) -> int:
    return number * 2


def _split(text: str) -> list[str]:
    return text.split(",")


@attrs.frozen(kw_only=True)
class Doubled(Generic[T]):
    """Its converter must not run a second time."""

    number: int = attrs.field(converter=_double)
    pieces: list[str] = attrs.field(converter=_split)
    item: T


@attrs.define(slots=False)
class Untyped:
    """An attrs class whose types stand elsewhere."""

    old = attrs.field(type=int)


class Point(NamedTuple):
    """A plain NamedTuple."""

    x: int
    y: float = 0.0


class Pair(NamedTuple, Generic[T]):
    """A generic NamedTuple."""

    left: T
    right: list[T]


class Movie(TypedDict):
    """A TypedDict with keys that may be missing."""

    title: str
    year: NotRequired[int]


class Options(TypedDict, total=False):
    """A TypedDict with keys that must be there."""

    name: Required[str]
    tags: Annotated[list[str], []]
    seen: typing_extensions.ReadOnly[bool]


class Keyed(TypedDict, Generic[T]):
    """A generic TypedDict."""

    key: T


class KeyedMore(Keyed[list[T]], Generic[T]):
    """A generic TypedDict that gives its base something else."""

    more: T


class KeyedAnew(Keyed[list[T]], Generic[T]):
    """A generic TypedDict that says anew what its base says."""

    key: dict[str, T]  # type: ignore[misc] # Python itself allows it


class Account(pydantic.BaseModel):  # type: ignore[explicit-any] # what pydantic makes of it
    """A pydantic model with aliases, constraints and private state."""

    model_config = pydantic.ConfigDict(frozen=True)

    owner: str = pydantic.Field(alias="holder", default="nobody")
    email: pydantic.EmailStr | None = None
    age: Annotated[int, pydantic.Field(ge=0)] = 0
    site: pydantic.HttpUrl | None = None
    doctors: list[Doctor] = []
    since: pydantic.AwareDatetime | None = None
    _visits: int = 0

    @property
    def visits(self) -> int:
        """How often it was visited."""
        return self._visits

    def visit(self) -> None:
        """Visit it."""
        self._visits += 1

    @pydantic.field_validator("owner")
    @classmethod
    def _shout(cls, value: str) -> str:
        return value + "!"


class Crate(pydantic.BaseModel, Generic[T]):  # type: ignore[explicit-any] # what pydantic makes of it
    """A generic pydantic model."""

    item: T


class Open(pydantic.BaseModel, extra="allow"):  # type: ignore[explicit-any] # what pydantic makes of it
    """A pydantic model that takes more than its fields."""

    x: int


class Numbers(pydantic.RootModel[list[int]]):  # type: ignore[explicit-any] # what pydantic makes of it
    """A pydantic model of something that is no object."""


class Noted(pydantic.BaseModel):  # type: ignore[explicit-any] # what pydantic makes of it
    """A pydantic model that changes itself."""

    notes: list[str]

    @override
    def model_post_init(self, context: object, /) -> None:
        """Add a note."""
        self.notes.append("made")


class Picky(pydantic.BaseModel):  # type: ignore[explicit-any] # what pydantic makes of it
    """A pydantic model that doesn't accept what it may become."""

    word: str

    @override
    def model_post_init(self, context: object, /) -> None:
        """Accept one word only."""
        if self.word != "a":
            raise RuntimeError


class Card(msgspec.Struct, Generic[T], frozen=True, tag="card", array_like=True):
    """A generic msgspec Struct."""

    number: Annotated[str, msgspec.Meta(min_length=1)]
    item: T


class Counted(msgspec.Struct, kw_only=True):
    """A msgspec Struct that changes itself."""

    count: int

    def __post_init__(self) -> None:
        """Count."""
        self.count += 1


class Final_(NamedTuple):  # noqa: N801 - `Final` is taken
    """Qualifiers and annotations that say nothing of the type."""

    user: UserId


@dataclasses.dataclass
class Constant:
    """A field that is never assigned again."""

    value: Final[int] = 1


Json = typing_extensions.TypeAliasType(
    "Json", "bool | int | float | str | list[Json] | dict[str, Json] | None"
)
Tree = typing_extensions.TypeAliasType("Tree", "T | list[Tree[T]]", type_params=(T,))
Names = typing_extensions.TypeAliasType("Names", list[str])
Outer = typing_extensions.TypeAliasType("Outer", "list[Inner]")
Inner = typing_extensions.TypeAliasType("Inner", "Outer | int")


def _unspoilt() -> Spoilt:
    instance = Spoilt([])
    instance.lines = ["a"]
    return instance


def _parsed(instance: Parsed, when: date) -> Parsed:
    instance.when = when
    return instance


EXAMPLES: list[tuple[object, list[object]]] = [
    (None, [None]),
    (bool, [True, False]),
    (str, ["", "é", "\0", "\ud800", "\ud83d\ude00", "a\ud83d\ude00\ud83d\ude00b", "\U0001f600"]),
    (bytes, [b"", bytes(range(256))]),
    (int, [0, -1, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 10**5000]),
    (float, [0.0, -0.0, 1.5, math.inf, -math.inf, math.nan, -math.nan, 5e-324, 7, 10**400]),
    (
        Decimal,
        [
            Decimal(text)
            for text in ("0", "-0", "1E+5", "100000", "1.10", "NaN123", "-sNaN", "-Inf")
        ],
    ),
    (UUID, [UUID(int=5)]),
    (
        datetime,
        [
            datetime(2024, 1, 1),  # noqa: DTZ001 - without a zone
            datetime(2024, 10, 27, 2, 30, fold=1),  # noqa: DTZ001 - without a zone
            datetime(2024, 1, 1, 1, 2, 3, 4, tzinfo=UTC),
            datetime(2024, 1, 1, tzinfo=timezone(-timedelta(hours=3, seconds=1, microseconds=5))),
            datetime(2024, 1, 1, tzinfo=timezone(timedelta(microseconds=-5))),
            datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN),
            datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN, fold=1),
            datetime(2024, 3, 31, 2, 30, tzinfo=BERLIN),
        ],
    ),
    (date, [date(2024, 2, 29)]),
    (time, [time(1, 2, 3, 4), time(2, tzinfo=BERLIN, fold=1), time(2, tzinfo=UTC)]),
    (timedelta, [timedelta(), -timedelta(microseconds=1), timedelta.max]),
    (IPv4Address, [IPv4Address("1.2.3.4")]),
    (IPv6Interface, [IPv6Interface("fe80::1%eth0/64")]),
    (Path, [Path("a/b"), Path()]),
    (PurePath, [PurePath("a/../b")]),
    (PurePosixPath, [PurePosixPath("//a"), PurePosixPath("\ud83d\ude00")]),
    (PureWindowsPath, [PureWindowsPath("C:a\\b")]),
    (Plan, [Plan.BASIC, Plan.FAMILY]),
    (Colour, list(Colour)),
    (Level, list(Level)),
    (Access, [Access(0), Access.READ, Access.BOTH]),
    (Bits, [Bits(0), Bits.ONE, Bits(7), Bits(64)]),
    (
        Literal["a", "é", 1, True, None, b"x", Colour.RED],  # noqa: PYI061 - the other way to write it
        ["a", "é", 1, True, None, b"x", Colour.RED],
    ),
    (Literal[False, 0, -(10**30)], [False, 0, -(10**30)]),
    (list[int], [[], [1, 2]]),
    (list[Annotated[int, []]], [[1]]),
    (tuple[int, ...], [(), (1,)]),
    (tuple[()], [()]),
    (tuple[int, str], [(1, "a")]),
    (set[str], [set(), {"a", "b"}]),
    (frozenset[float], [frozenset({math.nan, float("nan")})]),
    (dict[str, int], [{}, {"b": 1, "a": 2}, {"\ud83d\ude00": 1, "\U0001f600": 2}]),
    (dict[tuple[int, ...], list[str]], [{(1, 2): ["a"]}, {}]),
    (dict[Colour | None, bool], [{Colour.RED: True, None: False}]),
    (Sequence[int], [[1], (1,)]),
    (MutableSequence[int], [[1]]),
    (AbstractSet[int], [{1}, frozenset({1})]),
    (MutableSet[int], [{1}]),
    (Collection[int], [[1], (1,), {1}, frozenset({1})]),
    (Mapping[str, int], [{"a": 1}]),
    (MutableMapping[int, int], [{1: 1}]),
    (Doctor, [Doctor("Who"), Doctor("Who", date(1963, 11, 23))]),
    (Box[int], [Box(item=1)]),
    (Box[Box[str | None]], [Box(item=Box(item=None))]),
    (ListBox[int], [ListBox(item=[1], other=2)]),
    (Node, [Node(1, [Node(2, [], Node(3, []))])]),
    (Logbook, [Logbook(["a"])]),
    (list[Logbook], [[Logbook([])]]),
    (Spoilt, [_unspoilt()]),
    (Parsed, [Parsed(date(2024, 1, 1)), _parsed(Parsed(date(2024, 1, 1)), date(1, 1, 1))]),
    (Person, [Person("Ada"), Person("Ada", years=36)]),
    (Doubled[str], [Doubled(number=4, pieces="a,b", item="c")]),
    (Untyped, [Untyped(1)]),
    (Point, [Point(1), Point(1, math.inf)]),
    (Pair[str], [Pair("a", ["b"])]),
    (Movie, [{"title": "x"}, {"year": 1, "title": "x"}]),
    (Options, [{"name": "x"}, {"seen": True, "tags": ["a"], "name": "x"}]),
    (Keyed[date], [{"key": date(2024, 1, 1)}]),
    (KeyedMore[int], [{"key": [1], "more": 1}]),
    (KeyedAnew[int], [{"key": {"a": 1}}]),
    (
        Account,
        [
            Account(holder="Ada", email="ada@example.org", age=3),
            Account.model_validate({"since": "2024-01-01T00:00:00+05:30"}),
            Account(site=pydantic.HttpUrl("https://example.org"), doctors=[Doctor("Who")]),
        ],
    ),
    (Crate[date], [Crate[date](item=date(2024, 1, 1))]),
    (Open, [Open(x=1)]),
    (Numbers, [Numbers([1, 2])]),
    (Noted, [Noted(notes=["a"])]),
    (pydantic.HttpUrl, [pydantic.HttpUrl("https://example.org/a?b=c")]),
    (pydantic.ByteSize, [pydantic.ByteSize(5)]),
    (pydantic.IPvAnyAddress, [IPv4Address("1.2.3.4")]),
    (pydantic.PastDate, [date(2000, 1, 1)]),
    (Card[int], [Card("1", 2)]),
    (Counted, [Counted(count=1)]),
    (Final_, [Final_(UserId(1))]),
    (Constant, [Constant(2)]),
    (Optional[str], [None, "a"]),  # noqa: UP045 - the old way to write it
    (Union[date, datetime], [date(2024, 1, 1), datetime(2024, 1, 1)]),  # noqa: DTZ001, UP007 - likewise
    (bool | int, [True, 1, 0, False]),
    (float | int, [1, 1.0, 10**400, math.nan]),
    (str | date, ["2024-01-01", date(2024, 1, 1)]),
    (list[int] | list[str], [[], [1], ["a"]]),
    (Literal[1] | int | None, [1, 2, None]),  # noqa: PYI051 - both members may be found
    (Point | Movie | Doctor | Account, [Point(1), {"title": "x"}, Doctor("Who"), Account()]),
    (Box[int] | Box[str], [Box(item=1), Box(item="a")]),
    (Movie | Options, [{"title": "x"}, {"name": "x"}]),
    (pydantic.HttpUrl | None, [None, pydantic.HttpUrl("https://example.org")]),
    (pydantic.IPvAnyAddress | int, [IPv4Address("1.2.3.4"), 3]),
    (Path | str | None, [Path("a"), "a", None]),
    (Json, [None, {"a": [1, 2.5, {"b": None}], "c": True}, [[[]]]]),
    (Tree[date], [date(2024, 1, 1), [[date(2024, 1, 1)], []]]),
    (Names, [["a"]]),
    (Outer, [[1, [[2]]]]),
    (list[Inner], [[1, [1]]]),
]
"""Types, and for each some values that are stored and restored."""


def same(left: object, right: object) -> bool:
    """Whether two values are the same all the way down: types, order, zones, signs, NaN."""
    if type(left) is not type(right):
        return False
    match left, right:
        case float(), float():
            return repr(left) == repr(right) and math.copysign(1, left) == math.copysign(1, right)
        case Decimal(), Decimal():
            return left.as_tuple() == right.as_tuple()
        case datetime() | time(), datetime() | time():
            plain = left.replace(tzinfo=None), right.replace(tzinfo=None)
            return plain[0] == plain[1] and left.fold == right.fold and left.tzinfo == right.tzinfo
        case set() | frozenset(), set() | frozenset():
            others = list(right)
            found = [any(same(one, other) for other in others) for one in left]
            return all(found) and len(left) == len(right)
        case list() | tuple(), list() | tuple():
            return len(left) == len(right) and all(map(same, left, right))
        case dict(), dict():
            return same(list(left.items()), list(right.items()))
        case _:
            parts = _parts(left)
            return same(parts, _parts(right)) if parts else left == right


def _parts(value: object) -> dict[str, object]:
    """Give the fields of an object, and what else is compared of it."""
    if dataclasses.is_dataclass(value) or attrs.has(type(value)):
        names = [*getattr(value, "__dataclass_fields__", ()), *getattr(value, "__slots__", ())]
        return {name: getattr(value, name, None) for name in names if name != "kind"}
    if isinstance(value, msgspec.Struct):
        return {name: getattr(value, name) for name in value.__struct_fields__}
    if isinstance(value, pydantic.BaseModel):
        private: object = value.__pydantic_private__
        return {**vars(value), " set": value.model_fields_set, " private": private}
    return {}
