"""The members of a union are told apart by their types' names."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Literal

import pytest
from codec_answers import Box, Colour, Doctor, Movie, Options, Point

from reflow._codec import CodecError, value_codec

NOW = datetime(2024, 1, 1, tzinfo=UTC)
ROWS: list[tuple[object, object, object]] = [
    (str | None, None, None),
    (str | None, "a", "a"),
    (int | str, "a", {"str": "a"}),
    (bool | int, True, {"bool": True}),
    (bool | int, 1, {"int": 1}),
    (float | int, 1, {"int": 1}),
    (float | str, 1, {"float": 1}),
    (date | datetime, date(2024, 1, 1), {"datetime.date": "2024-01-01"}),
    (date | datetime, NOW, {"datetime.datetime": "2024-01-01T00:00:00+00:00"}),
    (date | str, "2024-01-01", {"str": "2024-01-01"}),
    (list[int] | list[str], ["1"], {"list[str]": ["1"]}),
    (list[int] | list[str], [], {"list[int]": []}),
    (Literal[1] | int, 1, {"Literal[1]": 1}),  # noqa: PYI051 - the member is found by its value
    (Literal[1] | int, 2, {"int": 2}),  # noqa: PYI051 - likewise
    (Literal["a", None] | int, None, None),  # noqa: PYI061 - the other way to write it
    (Colour | str, Colour.RED, {"codec_answers.Colour": "RED"}),
    (Movie | Options, {"name": "a"}, {"codec_answers.Options": {"name": "a"}}),
    (Point | tuple[int, ...], (1, 2), {"tuple[int, ...]": [1, 2]}),
    (Box[int] | Box[str], Box(item="a"), {"codec_answers.Box[str]": {"item": "a", "size": 0}}),
    (Sequence[int] | str, (1,), {"collections.abc.Sequence[int]": {"tuple[int, ...]": [1]}}),
    (list[int | None], [1, None], [1, None]),
]


@pytest.mark.parametrize(("declared", "value", "stored"), ROWS, ids=range(len(ROWS)))
def test_a_member_is_stored_by_name(declared: object, value: object, stored: object) -> None:
    """These are what other versions of the program have written."""
    codec = value_codec(declared)
    assert codec.encode(value) == stored
    back = codec.decode(stored)
    assert back == value
    assert type(back) is type(value)


def test_the_order_of_the_members_is_nothing() -> None:
    """`A | B` is `B | A`: a step may be declared either way, and read what the other wrote."""
    left, right = value_codec(Doctor | Movie | None), value_codec(None | Movie | Doctor)
    assert left.text == right.text == "None | codec_answers.Doctor | codec_answers.Movie"
    assert right.decode(left.encode(Doctor("a"))) == Doctor("a")
    assert left.encode({"title": "a"}) == right.encode({"title": "a"})


def test_an_error_in_the_only_member_that_fits_is_told_as_it_is() -> None:
    """With its place; where several members might fit, none of their errors is the one."""
    with pytest.raises(CodecError, match=r"^at \[1\]: expected int, got str$"):
        value_codec(list[int] | str).encode([1, "a"])
    with pytest.raises(CodecError, match=r"^no part of list\[int\] \| list\[str\] takes it$"):
        value_codec(list[int] | list[str]).encode([1, "a"])
    with pytest.raises(CodecError, match=r"^expected int \| str, got bytes$"):
        value_codec(int | str).encode(b"a")
