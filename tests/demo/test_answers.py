"""What counts as an answer, and the sentence for what doesn't."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest

from reflow.demo.answers import (
    DOCTORS,
    Card,
    Doctor,
    Plan,
    check_birthday,
    check_card,
    check_email,
    check_members,
    check_name,
    check_phone,
    choose,
    parse_birthday,
    parse_card,
    parse_members,
    parse_plan,
    parse_yes,
)

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("read", "text", "answer"),
    [
        (check_name, "Zoë  O'Hara-Smith", "Zoë O'Hara-Smith"),
        (check_name, "李", "李"),
        (check_email, "ada@EXAMPLE.org", "ada@example.org"),
        (check_phone, "+49 (30) 123-45.6/7", "+49301234567"),
        (parse_birthday, "1990-05-17", date(1990, 5, 17)),
        (parse_plan, "2", Plan.COMFORT),
        (parse_plan, "FAM", Plan.FAMILY),
        (parse_members, "Bob, , Eve,", ["Bob", "Eve"]),
        (parse_card, "4111-1111 1111 1111", Card("4111111111111111")),
        (parse_card, "378282246310005", Card("378282246310005")),
        (parse_yes, "Y", True),
    ],
)
def test_good_answers(read: Callable[[str], object], text: str, answer: object) -> None:
    """What people type in good faith is understood."""
    assert read(text) == answer


@pytest.mark.parametrize(
    ("read", "text", "sentence"),
    [
        (check_name, "", "letters, no digits"),
        (check_name, "...", "letters, no digits"),
        (check_name, "R2D2", "letters, no digits"),
        (check_email, "ada", "@-sign"),
        (check_email, "a b@example.org", "@-sign"),
        (check_phone, "12345", "6 to 15 digits"),
        (check_phone, "1234567890123456", "6 to 15 digits"),
        (check_phone, "123456 at home", "6 to 15 digits"),
        (check_phone, "١٢٣٤٥٦", "6 to 15 digits"),
        (parse_birthday, "17 May 1990", "like 1990-05-17"),
        (parse_birthday, "1990-02-30", "like 1990-05-17"),
        (parse_birthday, "1899-12-31", "between 1900 and today"),
        (parse_plan, "gold", "one of 1 basic, 2 comfort, 3 family"),
        (parse_plan, "", "one of 1 basic"),
        (parse_plan, "0", "one of 1 basic"),
        (parse_plan, "a", "one of 1 basic"),
        (parse_members, ",", "at least one name"),
        (parse_members, "Bob, 2", "letters, no digits"),
        (parse_card, "", "number of a card"),
        (parse_card, "4111111111111112", "number of a card"),
        (parse_card, "00000000000", "number of a card"),
        (parse_card, "00000000000000000000", "number of a card"),
        (parse_card, "4111x1111x1111x1111", "number of a card"),
        (parse_card, "٤١١١١١١١١١١١١١١١", "number of a card"),
        (parse_yes, "No", "change what is wrong"),
        (parse_yes, "", "yes or no"),
    ],
)
def test_bad_answers(read: Callable[[str], object], text: str, sentence: str) -> None:
    """What can't be right gets a sentence that says what would be."""
    with pytest.raises(ValueError, match=sentence):
        read(text)


def test_born_in_the_future() -> None:
    """A birthday is not in the future, in whichever time zone."""
    with pytest.raises(ValueError, match="between 1900 and today"):
        check_birthday(date.today() + timedelta(days=2))  # noqa: DTZ011


def test_checks_of_answers_from_elsewhere() -> None:
    """What a program answers is checked as what a person types."""
    assert check_members(["Bob "]) == ["Bob"]
    with pytest.raises(ValueError, match="number of a card") as refused:
        check_card(Card("4111111111111112"))
    assert "4111" not in str(refused.value)


def test_choice_by_part_of_the_text() -> None:
    """A part is enough where only one choice has it."""
    assert choose("snow", DOCTORS[Plan.BASIC]) is Doctor.SNOW
    with pytest.raises(ValueError, match=r"one of 1 Dr\. Blackwell, 2 Dr\. Snow"):
        choose("Dr.", DOCTORS[Plan.BASIC])


def test_card_keeps_its_number_to_itself() -> None:
    """The number of a card isn't in its text, wherever that ends up."""
    assert "4111" not in f"{Card('4111111111111111')!r} {Card('4111111111111111')}"
