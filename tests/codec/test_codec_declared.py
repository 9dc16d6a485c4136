"""The type of a step is what its function is annotated to return, and nothing else of it."""

from __future__ import annotations

import dataclasses
import functools
import sys
import types
from typing import TYPE_CHECKING, Annotated, cast

import pytest
from codec_answers import Doctor

from reflow._codec import UnsupportedTypeError, declared_type, value_codec

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import date


def module(name: str, source: str) -> dict[str, object]:
    """Run source that the oldest Python may not know, without this module's `__future__`."""
    made = sys.modules[name] = types.ModuleType(name)
    exec(compile(source, name, "exec", dont_inherit=True), vars(made))
    return vars(made)


async def plain(visit: date) -> Doctor | None:
    """Name something that isn't there at run time, but not in what it returns."""
    return None


async def annotated() -> Annotated[int, "what it means"]:
    """Say more than the type."""
    return 1


async def missing() -> date:
    """Return what only type checkers know."""
    raise NotImplementedError


async def nested() -> list["Doctor"]:  # noqa: UP037 - a string in a string
    """Return a type with a string in it."""
    raise NotImplementedError


def returning(annotation: object) -> Callable[[], None]:
    """Make a function with this return annotation."""

    def function() -> None:
        _ = plain

    function.__annotations__ = {"return": annotation}
    return function


def test_only_the_return_annotation_is_evaluated() -> None:
    """What a step takes may be imported for type checkers only."""
    assert declared_type(plain) == Doctor | None
    assert declared_type(annotated) == Annotated[int, "what it means"]
    assert declared_type(nested) == list[Doctor]
    assert declared_type(returning(int)) is int
    assert declared_type(returning(None)) is type(None)


ADVICE = "import it outside of `if TYPE_CHECKING`"


def test_what_cannot_be_evaluated_is_refused_with_advice() -> None:
    """The most frequent reason is an import that only type checkers see."""
    with pytest.raises(UnsupportedTypeError) as caught:
        declared_type(missing)
    (reason,) = caught.value.reasons
    assert reason.startswith("its return annotation 'date' can't be evaluated: name 'date' is not")
    assert reason.endswith(ADVICE)
    with pytest.raises(UnsupportedTypeError, match=r"return annotation 'list\[' can't be"):
        declared_type(returning("list["))
    with pytest.raises(UnsupportedTypeError, match="it has no return annotation"):
        declared_type(lambda: 1)


def test_names_of_the_enclosing_function_are_known() -> None:
    """As far as they are used in the step, and have a value yet."""

    class Local:
        """A class that only this function knows."""

    async def early() -> Later:
        return Later()

    with pytest.raises(UnsupportedTypeError, match="name 'Later' is not defined"):
        declared_type(early)

    class Later(Local):
        """A class that is made later."""

    assert declared_type(early) is Later


def test_a_local_class_that_holds_itself_is_known() -> None:
    """Its name stands nowhere but in the function that made it."""

    @dataclasses.dataclass
    class Local:
        """A class that only this function knows."""

        inner: list[Local]

    codec = value_codec(Local)
    assert codec.decode(codec.encode(Local([Local([])]))) == Local([Local([])])


def wraps(
    function: Callable[[date], Awaitable[object]], **changed: object
) -> Callable[[], Awaitable[object]]:
    """Wrap a function as a decorator of another module would."""
    names = module("elsewhere", "int2 = int\nasync def wrapper(): pass")
    wrapper = cast("Callable[[], Awaitable[object]]", names["wrapper"])
    functools.update_wrapper(wrapper, function)
    wrapper.__annotations__ = {**wrapper.__annotations__, **changed}
    return wrapper


def test_the_annotation_of_a_wrapped_function_is_evaluated_where_it_was_written() -> None:
    """In its own module; a wrapper that says something else is taken at its word, in its own."""
    assert declared_type(wraps(plain)) == Doctor | None
    assert declared_type(wraps(plain, **{"return": "int2"})) is int


@pytest.mark.skipif(sys.version_info < (3, 12), reason="a syntax of Python 3.12")
def test_type_parameters_and_aliases_of_new_syntax() -> None:
    """`type` statements and brackets behind names."""
    names = module(
        "newer",
        "import dataclasses\n"
        "type Json = None | int | list[Json] | dict[str, Json]\n"
        "type Pair[T] = tuple[T, T]\n"
        "type Missing = Nowhere\n"
        "@dataclasses.dataclass\n"
        "class Box[T]:\n"
        "    item: 'T'\n"
        "    rest: list['Box[T]']\n"
        "@dataclasses.dataclass\n"
        "class IntBox(Box[int]):\n"
        "    pair: Pair[str]\n"
        "async def step() -> Pair[Box[int]] | IntBox | Json: ...\n"
        "async def generic[T](visit: 'Nowhere') -> 'Box[T]': ...\n"
        "async def missing() -> list[Missing]: ...\n",
    )
    codec = value_codec(declared_type(names["step"]))
    box = cast("Callable[[int, list[object]], object]", names["Box"])
    int_box = cast("Callable[[int, list[object], tuple[str, str]], object]", names["IntBox"])
    for value in (
        (box(1, []), box(2, [box(3, [])])),
        int_box(1, [], ("a", "b")),
        {"a": [None, 1]},
    ):
        assert codec.decode(codec.encode(value)) == value
    assert "tuple[newer.Box[int], newer.Box[int]]" in codec.text
    with pytest.raises(UnsupportedTypeError, match=r"newer.Box\[T\].item: T can't be decoded"):
        value_codec(declared_type(names["generic"]))
    with pytest.raises(UnsupportedTypeError, match=r"newer\.Missing can't be decoded back"):
        value_codec(declared_type(names["missing"]))
