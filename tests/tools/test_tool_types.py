"""The types of answers that a model can give, and those that it can't."""

from __future__ import annotations

from dataclasses import InitVar, dataclass, field, make_dataclass
from enum import Enum, Flag
from typing import Generic, Literal, Never, Protocol, TypeVar

import codec_answers as c
import msgspec
import pydantic
import pytest
from tool_flows import Plan, step_of
from typing_extensions import override

from reflow import Flow, FlowError
from reflow._codec_types import UnsupportedTypeError
from reflow._schema import Readers
from reflow._schemas import MisreadError

T = TypeVar("T")


@dataclass
class TakesMore:
    """Its `__init__` takes what is no field."""

    value: int
    extra: InitVar[int]


@dataclass
class TakesLess:
    """Its `__init__` takes what is no field, but need not get it."""

    value: int = field(init=False)
    given: int = 0
    extra: InitVar[int] = 5

    def __post_init__(self, extra: int) -> None:
        """Use it."""
        self.value = extra


@dataclass(init=False)
class Own:
    """It has an `__init__` of its own."""

    value: int

    def __init__(self, *values: int, value: int, **more: int) -> None:
        """Take whatever."""
        self.value = value + len(values) + len(more)


class Empty(Enum):
    """An enum without members."""


class EmptyFlags(Flag):
    """Flags without members."""


class Unhashable(type):
    """A class of it has no hash."""

    __hash__ = None  # type: ignore[assignment] # that is the point


class Lost(metaclass=Unhashable):
    """It has no hash."""


@dataclass
class Hidden:
    """Nobody knows what it takes."""

    __signature__ = "none"
    value: int


class Refusing(type):
    """A class of it can't be looked at."""

    @override
    def __hash__(cls) -> int:
        """Fail."""
        raise RuntimeError


class Looked(metaclass=Refusing):
    """It can't be looked at."""


@dataclass
class Broken:
    """Its field is of a type that isn't there."""

    value: nowhere  # type: ignore[name-defined] # noqa: F821 - that is the point


class Odd:
    """A class that only its author knows."""


class Custom(pydantic.BaseModel, arbitrary_types_allowed=True):  # type: ignore[explicit-any] # pydantic's
    """A pydantic model with a field that pydantic can't describe."""

    odd: Odd


class CustomStruct(msgspec.Struct):
    """A Struct with a field that msgspec can't describe."""

    odd: Odd


@dataclass
class Generous(Generic[T]):
    """It holds ever larger types."""

    value: Generous[list[T]] | None


class Abstract(Protocol):
    """An abstract class."""


@dataclass
class AbstractData(Abstract, Protocol):
    """An abstract dataclass."""

    value: int


@pytest.mark.parametrize(
    ("declared", "reason"),
    [
        (object, "object can't be decoded back: declare what it is"),
        (list, "say what it holds, as in list[int]"),
        (dict[str, complex], "dict[...] value: complex can't be decoded back"),
        (TakesMore, "its __init__ takes 'extra', which is no field"),
        (AbstractData, "it is abstract"),
        (Custom, "pydantic can't describe it"),
        (CustomStruct, "msgspec can't describe it"),
        (Generous[int], "the type never ends"),
        (Empty, "it has no members"),
        (EmptyFlags, "it has no members"),
        (list[Odd] | tuple[Odd, Odd], "declare a type that says what it holds"),
        (T, "say what it stands for, as in Box[int]"),
        (Broken, "Broken.value: its annotation 'nowhere' can't be evaluated"),
        (list[Literal[1]] | list[Literal[True]], None),
        (Lost, "it has no hash"),
        (Looked, "it can't be looked at: RuntimeError"),
        (Hidden, "nobody knows what its __init__ takes"),
    ],
)
def test_types_that_no_model_can_give(declared: object, reason: str | None) -> None:
    """Each says which part of it can't, and why."""
    readers = Readers()
    if reason is None:
        readers.reader(declared)
        return
    for _ in range(2):
        with pytest.raises(UnsupportedTypeError) as info:
            readers.reader(declared)
        assert reason in str(info.value)
    # What has failed leaves nothing behind.
    assert readers.reader(list[c.Doctor]).read([{"name": "Who"}]) == [c.Doctor("Who")]


def test_classes_get_what_their_init_takes() -> None:
    """Also one that someone has written, or that takes more than there are fields."""
    readers = Readers()
    reader = readers.reader(TakesLess)
    assert reader.read({"given": 1}) == TakesLess(1)
    assert readers.reader(Own).read({"value": 1}) == Own(value=1)
    with pytest.raises(MisreadError, match="other names than given"):
        reader.read({"extra": 1})


def test_two_types_with_the_same_name_cannot_stand_in_one_union() -> None:
    """A model couldn't say which it means."""
    one, other = (make_dataclass("Same", [("value", int)]) for _ in range(2))
    with pytest.raises(UnsupportedTypeError, match="two different types in it are called"):
        Readers().reader(one | other)


def test_a_type_that_is_never_answered_by_a_model_may_be_anything() -> None:
    """Only the steps that were declared so need a type that a model can give."""
    flow = Flow("f")

    @flow.step("odd")
    async def odd(visit: object) -> Never:
        raise AssertionError

    step_of(flow, Plan, "plan")
    assert len(flow.prepare().tools()) == 2
    step_of(flow, Odd, "more")
    with pytest.raises(FlowError, match="step 'more' of flow 'f' can't be answered by a model"):
        flow.prepare().tools()
