"""The types of the intake's answers, and how they are made of what a person typed.

A `parse_...` takes the text, a `check_...` the answer itself, so that it serves as the step's
`validate=`, too. Both give the answer or raise `ValueError` with a sentence for the person.
"""

from __future__ import annotations

import enum
import re
from datetime import date, datetime
from typing import TYPE_CHECKING, Final, TypeVar, final

import attrs
from email_validator import validate_email

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

T = TypeVar("T")


@final
class Plan(enum.StrEnum):
    """The insurance plans."""

    BASIC = "basic"
    COMFORT = "comfort"
    FAMILY = "family"


@final
class Doctor(enum.StrEnum):
    """The doctors one can be a patient of."""

    APGAR = "Dr. Apgar"
    BLACKWELL = "Dr. Blackwell"
    DREW = "Dr. Drew"
    SNOW = "Dr. Snow"


@final
@attrs.frozen
class Card:
    """A credit card."""

    number: str = attrs.field(repr=lambda _: "<set>")


DOCTORS: Final[dict[Plan, tuple[Doctor, ...]]] = {
    Plan.BASIC: (Doctor.BLACKWELL, Doctor.SNOW),
    Plan.COMFORT: (Doctor.BLACKWELL, Doctor.DREW, Doctor.SNOW),
    Plan.FAMILY: (Doctor.APGAR, Doctor.BLACKWELL),
}
"""The doctors of each plan."""


def check_name(name: str) -> str:
    """Take a name as it is, but for superfluous spaces."""
    name = " ".join(name.split())
    if not any(map(str.isalpha, name)) or any(map(str.isdigit, name)):
        message = "Please type a name: letters, no digits."
        raise ValueError(message)
    return name


def check_email(address: str) -> str:
    """Take an address that is written as it should be; nobody is asked whether it exists."""
    return validate_email(address, check_deliverability=False).normalized


def check_phone(number: str) -> str:
    """Take a number as people write it, and leave only its digits and the leading plus."""
    plain = re.sub(r"[ ()/.-]", "", number)
    if not re.fullmatch(r"\+?[0-9]{6,15}", plain):
        message = "A phone number has 6 to 15 digits. You can also type skip."
        raise ValueError(message)
    return plain


def check_birthday(day: date) -> date:
    """Take a day on which somebody alive can have been born."""
    if not date(1900, 1, 1) <= day <= datetime.now().astimezone().date():
        message = "The date of birth must be between 1900 and today."
        raise ValueError(message)
    return day


def parse_birthday(text: str) -> date:
    """Read a date."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        message = "Please type the date as year-month-day, like 1990-05-17."
        raise ValueError(message) from None
    return check_birthday(day)


def check_members(names: Iterable[str]) -> list[str]:
    """Take one name or more."""
    checked = [check_name(name) for name in names]
    if not checked:
        message = "Please type at least one name."
        raise ValueError(message)
    return checked


def parse_members(text: str) -> list[str]:
    """Read names with commas between them."""
    return check_members(name for name in text.split(",") if name.strip())


def check_card(card: Card) -> Card:
    """Take a card whose number has a right check digit (Luhn)."""
    digits = [int(digit) for digit in reversed(card.number) if digit in "0123456789"]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]
    if not len(card.number) == len(digits) in range(12, 20) or sum(digits[::2] + doubled) % 10:
        # Without the number: this ends up on a screen.
        message = "That is not the number of a card: please check its 12 to 19 digits."
        raise ValueError(message)
    return card


def parse_card(text: str) -> Card:
    """Read a number as it is printed on cards."""
    return check_card(Card(re.sub(r"[ -]", "", text)))


def choose(text: str, choices: Sequence[T]) -> T:
    """Read a choice: its number, its text or any part of that which only it has."""
    if text in map(str, range(1, len(choices) + 1)):
        return choices[int(text) - 1]
    found = [choice for choice in choices if text and text.lower() in str(choice).lower()]
    if len(found) != 1:
        message = f"Please choose one of {menu(choices, ', ')}."
        raise ValueError(message)
    return found[0]


def menu(choices: Iterable[object], between: str) -> str:
    """Number the choices."""
    return between.join(f"{number} {choice}" for number, choice in enumerate(choices, 1))


def parse_plan(text: str) -> Plan:
    """Read a plan."""
    return choose(text, list(Plan))


def parse_yes(text: str) -> bool:
    """Read a consent: no is not an answer but the wish to change something."""
    if text.lower() in {"n", "no"}:
        message = "Then change what is wrong, for example: back email. Or quit."
        raise ValueError(message)
    if text.lower() not in {"y", "yes"}:
        message = "Please type yes or no."
        raise ValueError(message)
    return True
