"""Classes of answers that check what they are made of, for the tests of the tools."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date  # noqa: TC003 - pydantic evaluates the annotation
from typing import NamedTuple

import attrs
import msgspec
import pydantic
from typing_extensions import override


class Address(pydantic.BaseModel):  # type: ignore[explicit-any] # what pydantic makes of it
    """A pydantic model."""

    street: str = pydantic.Field(min_length=2)
    zip: int = pydantic.Field(alias="zip_code")
    since: date | None = None

    @pydantic.field_validator("street")
    @classmethod
    def _check(cls, street: str) -> str:
        if street == "nowhere":
            raise ValueError("no such street")
        return street.title()


class Branch(pydantic.BaseModel):  # type: ignore[explicit-any] # what pydantic makes of it
    """A pydantic model that holds itself."""

    name: str
    inner: list[Branch] = []


class Node(msgspec.Struct):
    """A Struct that holds itself."""

    value: int
    next: Node | None = None


@dataclass
class Hashless:
    """It has a hash that fails."""

    value: int

    @override
    def __hash__(self) -> int:
        """Fail."""
        raise RuntimeError


def _upper(text: str) -> str:
    return text.upper()


@attrs.frozen
class Port:
    """An attrs class with a validator and a converter."""

    number: int = attrs.field(validator=attrs.validators.in_(range(1, 65536)))
    name: str = attrs.field(converter=_upper, default="any", alias="label")
    _open: bool = attrs.field(default=True, init=False)


FAULTS: dict[str, Exception] = {"key": KeyError("secret"), "type": TypeError("a type")}


@attrs.frozen
class Strict:
    """It raises what isn't a ValueError."""

    kind: object = attrs.field(init=False)
    value: str | int = attrs.field(validator=attrs.validators.instance_of(str))

    def __attrs_post_init__(self) -> None:
        """Raise."""
        raise FAULTS[str(self.value)]


class SilentError(ValueError):
    """It can't be shown."""

    @override
    def __str__(self) -> str:
        """Fail."""
        raise RuntimeError


FAULTS["silent"] = SilentError()


class Point(NamedTuple):
    """A NamedTuple with a default."""

    x: int
    y: float = 1.5
