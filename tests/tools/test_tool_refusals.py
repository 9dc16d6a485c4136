"""What a model is told of a value that is no answer of the step."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum
from typing import Literal, cast
from uuid import UUID

import codec_answers as c
import pydantic
import pytest
from tool_answers import Address, Hashless, Node, Point, Port, SilentError, Strict
from tool_flows import refusal, step_of, tool

from reflow import Flow, ToolCallError

ALL = "expected an object with number, label, got null"
REFUSED: list[tuple[object, object, str]] = [
    (None, 0, "expected null, got a number"),
    (bool, 1, "expected true or false, got a number"),
    (bool, "true", "expected true or false, got a string"),
    (str, 1, "expected a string, got a number"),
    (str, ["a", "b"], "expected a string, got an array"),
    (int, True, "expected an integer, got true or false"),
    (int, "1", "expected an integer, got a string"),
    (int, 1.5, "expected an integer, got another number"),
    (int, 1e300, "expected an integer, got another number"),
    (float, "inf", "expected a number, got a string"),
    (float, 10**400, "the number is too large"),
    (Decimal, "NaN", "expected a decimal number such as 12.50, got another string"),
    (Decimal, "1.2.3", "expected a decimal number such as 12.50, got another string"),
    (Decimal, None, "expected a decimal number such as 12.50, got null"),
    (UUID, "4111", "expected a UUID, got another string"),
    (date, "31.5.2024", "expected a date as YYYY-MM-DD, got another string"),
    (date, 20240531, "expected a date as YYYY-MM-DD, got a number"),
    (timedelta, "P", "expected an ISO 8601 duration such as PT1H30M, got another string"),
    (timedelta, "PT", "expected an ISO 8601 duration such as PT1H30M, got another string"),
    (timedelta, 10**400, "expected an ISO 8601 duration such as PT1H30M, got another number"),
    (bytes, "a b", "expected bytes in Base64, got another string"),
    (c.Plan, "family", "expected one of BASIC, FAMILY"),
    (c.Plan, ["FAMILY"], "expected one of BASIC, FAMILY"),
    (Enum("Many", [f"M{i}" for i in range(99)]), "x", "M28, M29, and 69 more"),
    (c.Access, ["RUN"], "expected an array with some of READ, WRITE, BOTH"),
    (c.Access, [1], "expected an array with some of READ, WRITE, BOTH"),
    (c.Access, "READ", "expected an array, got a string"),
    (Literal["ä", 1], True, 'expected one of "ä", 1'),
    (Literal["ä", 1], ["ä"], 'expected one of "ä", 1'),
    (list[int], {"a": 1}, "expected an array, got an object"),
    (list[int], "[1", "expected an array, got a string"),
    (list[int], "[1, NaN]", "expected an array, got a string"),
    (list[int], "1", "expected an array, got a string"),
    (list[int], [1, "a", None], "at [1]: expected an integer, got a string; at [2]: expected"),
    (list[str], [1] * 12, "at [9]: expected a string, got a number; and 2 more"),
    (tuple[int, str], [1], "expected 2 items, got 1"),
    (tuple[int, str], ["a", 1], "at [0]: expected an integer, got a string; at [1]: expected a"),
    (dict[str, int], [], "expected an object, got an array"),
    (dict[str, int], {"4111": "a"}, "at [value 0]: expected an integer, got a string"),
    (dict[int, int], [1], "at [0]: expected an object with key and value"),
    (dict[int, int], [{"key": "a", "value": None}], "at [0].key: expected an integer"),
    (dict[int, int], [{"key": 1, "value": 2}] * 2, "a key stands there twice"),
    (set[c.Box[list[int]]], [{"item": []}], "one of the values has no hash"),
    (int | str, [], "expected a number or a string, got an array"),
    (bool | None, "x", "expected true or false, got a string"),
    (bool | str | None, 1, "expected true or false or a string or null, got a number"),
    (list[int] | dict[str, int], 1, "expected an object or an array, got a number"),
    (str | date, "a", "expected an object with one of these names: date, str"),
    (str | date, {"time": "a"}, "expected an object with one of these names: date, str"),
    (set[Hashless], [{"value": 1}], "it can't be read (RuntimeError)"),
    (str | date, {"date": "a"}, "at .date: expected a date as YYYY-MM-DD, got another string"),
    (c.Doctor, {"nam": "Who", "born": 1}, "at .name: missing; other names than name, born"),
    (c.Doctor, {"nam": "Who", "born": 1}, "at .born: expected a date as YYYY-MM-DD, got a number"),
    (c.Doctor, {"nam": "Who", "name": "Who"}, "other names than name, born"),
    (c.Doctor, {}, "at .name: missing"),
    (Port, None, ALL),
    (Port, {"number": 0}, "this is no valid Port: 'number' must be in range(1, 65536)"),
    (list[Port], [{"number": 0}], "at [0]: this is no valid Port"),
    (Strict, {"value": 1}, "this is no valid Strict: 'value' must be <class 'str'>"),
    (Strict, {"value": "key"}, "this is no valid Strict: KeyError"),
    (Strict, {"value": "silent"}, "this is no valid Strict: SilentError"),
    (Strict, {"value": "type"}, "this is no valid Strict: a type"),
    (Point, {"y": 1}, "at .x: missing"),
    (Address, {"street": "nowhere", "zip_code": "x"}, "zip_code: Input should be a valid integer"),
    (Address, {"street": "nowhere", "zip_code": 1}, "street: Value error, no such street"),
    (list[Address], [{}], "at [0]: this is no valid Address: street: Field required"),
    (c.Noted, {"notes": ["\ud800"]}, "this is no valid Noted: Invalid JSON"),
    (c.Picky, {"word": "b"}, "this is no valid Picky: RuntimeError"),
    (Node, {"value": "x"}, "this is no valid Node: Expected `int`, got `str` - at `$.value`"),
    (pydantic.HttpUrl, "x", "Url: Input should be a valid URL"),
]


@pytest.mark.parametrize(("declared", "given", "said"), REFUSED)
def test_what_is_refused(declared: object, given: object, said: str) -> None:
    """The model is told what was wrong and where, all of it at once."""
    flow = Flow("f")
    step = step_of(flow, cast("type[object]", declared))
    run = flow.prepare()
    told = refusal(tool(run, "answer"), {"step": "value", "value": given})
    assert told.startswith("Nothing was done: not an answer of step 'value': ")
    assert said in told
    assert "4111" not in told
    assert step not in run.results


def positive(number: int) -> int:
    """Check a number."""
    if number == 7:
        raise KeyError(number)
    if number == 8:
        raise SilentError
    if number == 9:
        raise ValueError
    if number == 10:
        raise ValueError("Ten is too many.")
    if number < 0:
        raise ValueError(f"{number} is not positive")
    return number + 1


def test_the_steps_own_check_has_the_last_word() -> None:
    """What it returns is kept; what it says reaches the model; a defect of it is no crash."""
    flow = Flow("f")
    step = step_of(flow, int, "value", positive)
    run = flow.prepare()
    answer = tool(run, "answer")
    answer.call({"step": "value", "value": 1})
    assert run.results[step] == 2
    refused = "Nothing was done: not an answer of step 'value': "
    for value, reason in {
        -1: "-1 is not positive",
        7: "it could not be checked (KeyError)",
        8: "it is not valid",
        9: "it is not valid",
        10: "Ten is too many",
    }.items():
        with pytest.raises(ToolCallError) as info:
            answer.call({"step": "value", "value": value})
        assert str(info.value) == f"{refused}{reason}."
        assert isinstance(info.value.__cause__, ValueError | KeyError)
    assert run.results[step] == 2


@dataclass
class Secret:
    """It quotes its value when it refuses it."""

    number: str

    def __post_init__(self) -> None:
        """Refuse."""
        if self.number.startswith("0"):
            raise ValueError(f"{self.number} begins with 0")


def test_nothing_of_a_sensitive_answer_reaches_a_text() -> None:
    """Neither the error's, nor that of what caused it, nor what the model is told."""
    flow = Flow("f")

    def check(secret: Secret) -> Secret:
        if secret.number.startswith("1"):
            raise ValueError(f"{secret.number} begins with 1")
        if secret.number.startswith("2"):
            raise KeyError(secret.number)
        return secret

    @flow.step("the card", sensitive=True, model_may_answer=True, validate=check)
    async def card(visit: object) -> Secret:
        raise AssertionError

    run = flow.prepare()
    answer = tool(run, "answer")
    for given in (
        *({"number": "04111"}, {"number": "14111"}, {"number": "24111"}, {"4111": "4111"}),
        *("4111", 4111, [4111], '{"number": "04111"}'),
    ):
        with pytest.raises(ToolCallError) as info:
            answer.call({"step": "card", "value": given})
        assert (info.value.__cause__, info.value.__context__) == (None, None)
        assert "4111" not in "".join(traceback.format_exception(info.value))
    with pytest.raises(ToolCallError) as info:
        answer.call('{"step": "card", "value": "4111')
    assert (info.value.__cause__, info.value.__context__) == (None, None)
    assert "4111" not in answer.call({"step": "card", "value": {"number": "4111"}})
    assert run.results[card] == Secret("4111")
