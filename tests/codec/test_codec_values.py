"""What is stored comes back exactly."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from decimal import Decimal, localcontext
from pathlib import Path
from typing import (  # noqa: UP035 - the old way to write it
    Annotated,
    List,
    Literal,
    Optional,
    TypedDict,
    cast,
)

import pydantic
import pytest
from codec_answers import (
    EXAMPLES,
    Account,
    Box,
    Colour,
    Crate,
    Doctor,
    Json,
    Logbook,
    Movie,
    Names,
    Open,
    Picky,
    Plan,
    Tree,
    UserId,
    same,
)

from reflow._codec import CodecError, value_codec


class Pair(TypedDict):
    """A TypedDict."""

    a: int
    b: int


def stored(declared: object, value: object) -> object:
    """Store a value as text, and give what is read of that."""
    return json.loads(json.dumps(value_codec(declared).encode(value), allow_nan=False))


@pytest.mark.parametrize(
    ("declared", "values"), EXAMPLES, ids=[str(declared) for declared, _ in EXAMPLES]
)
def test_every_example_comes_back(declared: object, values: list[object]) -> None:
    """Values and types are the same all the way down."""
    codec = value_codec(declared)
    for value in values:
        back = codec.decode(stored(declared, value))
        assert same(back, value), (back, value)
        # A second time gives the same: nothing was changed by being stored.
        assert same(codec.decode(stored(declared, back)), value)


def test_what_init_makes_beside_the_fields_exists() -> None:
    """An object is usable, though its fields were set behind its back."""
    codec = value_codec(Logbook)
    back = codec.decode(codec.encode(Logbook(["a"])))
    assert isinstance(back, Logbook)
    assert back.made_by == "init"
    assert back.lines == ["a", "made"]
    assert back.total == 1


def test_an_init_that_fails_loses_nothing() -> None:
    """Neither the model's fields nor what pydantic keeps beside them."""
    codec = value_codec(Picky)
    model = Picky(word="a")
    model.word = "b"
    back = codec.decode(codec.encode(model))
    assert same(back, model)
    assert back == model


def test_a_model_keeps_what_was_set_and_its_private_state() -> None:
    """Both are part of what pydantic compares, and are in no field."""
    codec = value_codec(Account)
    account = Account(holder="Ada", age=3)
    account.visit()
    back = codec.decode(codec.encode(account))
    assert isinstance(back, Account)
    assert back == account
    assert back.owner == "Ada!"
    assert back.model_fields_set == {"owner", "age"}
    assert back.visits == 1


def test_the_order_of_keys_is_kept() -> None:
    """Whoever shows a dict shows it as the step made it."""
    for declared in (dict[str, int], dict[Literal["a", "b"], int], Pair):
        back = value_codec(declared).decode(stored(declared, {"b": 1, "a": 2}))
        assert list(cast("dict[object, object]", back)) == ["b", "a"]


def test_an_enum_member_is_found_by_any_of_its_names() -> None:
    """A renamed member is still read where the old name stays as another one."""
    assert value_codec(Plan).encode(Plan.OTHER_NAME) == "BASIC"
    assert value_codec(Plan).decode("OTHER_NAME") is Plan.BASIC


def test_numbers_that_other_programs_would_round_are_text() -> None:
    """Only what 64 bits hold is a JSON number; so no limit of Python's is ever reached."""
    codec = value_codec(int)
    assert codec.encode(2**63 - 1) == 2**63 - 1
    assert codec.encode(2**63) == "0x8000000000000000"


def test_decimals_do_not_depend_on_the_context() -> None:
    """Neither in how they are written, nor in how they are read."""
    codec = value_codec(Decimal)
    value = Decimal("1.23456E+50")
    with localcontext(prec=2, capitals=0):
        stored_value = codec.encode(value)
        assert stored_value == "1.23456E+50"
        assert same(codec.decode(stored_value), value)


def test_a_recursive_value_may_be_deep_but_not_endless() -> None:
    """What could not be read back on a fuller stack is refused when it is stored."""
    codec = value_codec(Json)
    for depth, fits in ((90, True), (110, False), (100_000, False)):
        value: list[object] = []
        for _ in range(depth):
            value = [value]
        if fits:
            assert codec.decode(codec.encode(value)) == value
        else:
            with pytest.raises(CodecError, match="nested"):
                codec.encode(value)
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(CodecError, match="nested too deeply"):
        codec.encode(endless)
    endless[0] = {"list[codec_answers.Json]": endless}
    with pytest.raises(CodecError, match="nested too deeply"):
        codec.decode(endless[0])


def test_extra_fields_of_a_model_are_refused() -> None:
    """No annotation says what they are."""
    with pytest.raises(CodecError, match="doesn't name"):
        value_codec(Open).encode(Open.model_validate({"x": 1, "y": 2}))


SCRIPT = """
import sys
sys.path[:0] = sys.argv[1:]
from typing import Literal
from codec_answers import Colour, Doctor, Movie
from reflow._codec import value_codec
print(value_codec(Doctor | Movie | set[Literal["b", "a", Colour.RED]] | None | int).text)
"""


def test_the_text_of_a_type_is_the_same_in_every_process() -> None:
    """A run is resumed by another process, which compares the texts."""
    texts = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT, *sys.path],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(texts) == 1


def test_importing_the_codec_imports_neither_pydantic_nor_msgspec() -> None:
    """Who doesn't use them doesn't wait for them."""
    code = "import sys, reflow._codec as c; c.value_codec(int | None); print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    assert not {"pydantic", "msgspec"} & set(result.stdout.split())


TEXTS: list[tuple[object, str]] = [
    (None, "None"),
    (str, "str"),
    (list[Doctor], "list[codec_answers.Doctor]"),
    (Doctor | Movie, "codec_answers.Doctor | codec_answers.Movie"),
    (Movie | Doctor, "codec_answers.Doctor | codec_answers.Movie"),
    (Optional[str], "None | str"),  # noqa: UP045 - the old way to write it
    (str | None, "None | str"),
    (List[int], "list[int]"),  # noqa: UP006 - the old way to write it
    (tuple[()], "tuple[()]"),
    (tuple[int, ...], "tuple[int, ...]"),
    (
        Literal["b", 1, None, Colour.RED],  # noqa: PYI061 - the other way to write it
        "Literal['b', 1, codec_answers.Colour.RED] | None",
    ),
    (Literal[2**70], "Literal[0x400000000000000000]"),
    (Box[Annotated[UserId, "x"]], "codec_answers.Box[int]"),
    (Crate[Doctor], "codec_answers.Crate[codec_answers.Doctor]"),
    (Path, "pathlib.Path"),
    (list[Json], "list[codec_answers.Json]"),
    (list[Tree[int]], "list[codec_answers.Tree[int]]"),
    (list[Names], "list[list[str]]"),
    (Sequence[int], "collections.abc.Sequence[int]"),
    (pydantic.EmailStr, "str"),
]


@pytest.mark.parametrize(("declared", "text"), TEXTS, ids=range(len(TEXTS)))
def test_the_text_of_a_type_is_one_for_all_that_mean_the_same(declared: object, text: str) -> None:
    """It is what is compared when a run is resumed, and it names a union's members."""
    assert value_codec(declared).text == text
