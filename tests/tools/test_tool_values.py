"""What a model may give as an answer, by the type of the step."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from ipaddress import IPv4Address, IPv6Interface
from pathlib import PurePosixPath
from typing import Literal, cast
from uuid import UUID

import codec_answers as c
import pydantic
import pytest
from tool_answers import Address, Branch, Node, Point, Port
from tool_flows import step_of, tool

from reflow import Flow

ACCEPTED: list[tuple[object, object, object]] = [
    (None, None, None),
    (bool, True, True),
    (int, 3, 3),
    (int, 3.0, 3),
    (int, 10**400, 10**400),
    (float, 3, 3.0),
    (float, 1.5, 1.5),
    (Decimal, "12.50", Decimal("12.50")),
    (Decimal, 12, Decimal(12)),
    (Decimal, 0.1, Decimal("0.1")),
    (UUID, "{00000000-0000-0000-0000-000000000005}", UUID(int=5)),
    (datetime, "2024-05-31T14:05:00Z", datetime(2024, 5, 31, 14, 5, tzinfo=UTC)),
    (datetime, "2024-05-31 14:05", datetime(2024, 5, 31, 14, 5)),  # noqa: DTZ001 - without a zone
    (
        datetime,
        "2024-05-31T14:05:00+02:00",
        datetime(2024, 5, 31, 14, 5, tzinfo=timezone(timedelta(hours=2))),
    ),
    (date, "2024-05-31", date(2024, 5, 31)),
    (time, "14:05", time(14, 5)),
    (timedelta, "PT1H30M", timedelta(hours=1.5)),
    (timedelta, "-P1W2DT3H4M5.5S", -timedelta(9, 5.5, hours=3, minutes=4)),
    (timedelta, "P1,5D", timedelta(1.5)),
    (timedelta, 90, timedelta(seconds=90)),
    (timedelta, 0.5, timedelta(seconds=0.5)),
    (bytes, "AAE=", b"\0\1"),
    (IPv4Address, "192.0.2.1", IPv4Address("192.0.2.1")),
    (IPv6Interface, "2001:db8::1/64", IPv6Interface("2001:db8::1/64")),
    (PurePosixPath, "a/./b", PurePosixPath("a/b")),
    (c.Plan, "FAMILY", c.Plan.FAMILY),
    (c.Plan, "OTHER_NAME", c.Plan.BASIC),
    (c.Level, "HIGH", c.Level.HIGH),
    (c.Access, [], c.Access(0)),
    (c.Access, ["WRITE", "READ", "READ"], c.Access.BOTH),
    (Literal["a", 1, True] | None, 1, 1),
    (Literal["a", 1, True] | None, 1.0, 1),
    (Literal["a", 1, True] | None, True, True),
    (Literal["a", 1, True] | None, None, None),
    (Literal[c.Colour.RED, b"x"], "RED", c.Colour.RED),
    (Literal[c.Colour.RED, b"x"], "b'x'", b"x"),
    (Literal[c.Colour.RED, "RED"], "RED", "RED"),
    (Literal[c.Colour.RED, "RED"], "codec_answers.Colour.RED", c.Colour.RED),
    (list[int], [1, 2.0], [1, 2]),
    (list[int], "[1, 2]", [1, 2]),
    (tuple[int, ...], [1], (1,)),
    (tuple[int, str], [1, "a"], (1, "a")),
    (tuple[()], [], ()),
    (set[str], ["a", "a"], {"a"}),
    (frozenset[str], ["a"], frozenset("a")),
    (dict[str, int], {"a": 1}, {"a": 1}),
    (dict[int, str], [{"key": 1, "value": "a"}], {1: "a"}),
    (Sequence[int], [1], [1]),
    (Collection[int], [1], [1]),
    (AbstractSet[int], [1], {1}),
    (Mapping[str, int], {"a": 1}, {"a": 1}),
    (str | None, None, None),
    (str | None, "null", "null"),
    (int | str | list[int] | None, "[1]", "[1]"),
    (int | list[int] | None, "[1]", [1]),
    (float | int, 1, 1),
    (float | int | None, 1.5, 1.5),
    (bool | int, True, True),
    (str | date, {"date": "2024-05-31"}, date(2024, 5, 31)),
    (str | date | None, {"str": "2024-05-31"}, "2024-05-31"),
    (str | date | None, None, None),
    (Literal["a.b"] | str, {"Literal['a.b']": "a.b"}, "a.b"),  # noqa: PYI051 - both are found
    (c.Doctor, {"name": "Who"}, c.Doctor("Who")),
    (c.Doctor, '{"name": "Who"}', c.Doctor("Who")),
    (c.Doctor | str, {"name": "Who"}, c.Doctor("Who")),
    (c.Box[int], {"item": 1}, c.Box(item=1)),
    (c.Node, {"value": 1, "children": [{"value": 2, "children": []}]}, None),
    (c.Logbook, {"lines": ["a"]}, c.Logbook(["a"])),
    (Port, {"number": 80, "label": "web"}, Port(80, "web")),
    (Point, {"x": 1}, Point(1)),
    (c.Movie, {"title": "x"}, {"title": "x"}),
    (c.Options, {"name": "x", "tags": []}, {"name": "x", "tags": []}),
    (
        Address,
        {"street": "main", "zip_code": "12", "since": "2024-05-31"},
        Address(street="main", zip_code=12, since=date(2024, 5, 31)),
    ),
    (list[Address | None], [None], [None]),
    (Branch, {"name": "a", "inner": [{"name": "b"}]}, Branch(name="a", inner=[Branch(name="b")])),
    (Branch | None, None, None),
    (Node | None, {"value": 1, "next": {"value": 2}}, Node(1, Node(2))),
    (c.Counted, {"count": 1}, c.Counted(count=1)),
    (pydantic.HttpUrl | None, "https://example.org", pydantic.HttpUrl("https://example.org")),
    (c.Json, {"a": [1, 2.5, {"b": None}], "c": True}, {"a": [1, 2.5, {"b": None}], "c": True}),
    (c.Tree[date], [["2024-05-31"], []], [[date(2024, 5, 31)], []]),
]


@pytest.mark.parametrize(("declared", "given", "value"), ACCEPTED)
def test_what_is_read(declared: object, given: object, value: object) -> None:
    """What comes natural to a model, in more than one way where more than one is usual."""
    flow = Flow("f")
    step = step_of(flow, cast("type[object]", declared))
    run = flow.prepare()
    tool(run, "answer").call({"step": "value", "value": given})
    answer = run.results[step]
    if declared is c.Node:
        assert isinstance(answer, c.Node)
        assert answer.children == [c.Node(2, [])]
    else:
        assert (type(answer), answer) == (type(value), value)
