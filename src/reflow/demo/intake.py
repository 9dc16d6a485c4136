"""The insurance intake: a flow of nine steps. This is the file to read first."""

from __future__ import annotations

from datetime import date  # noqa: TC003 - a journal needs the types of the steps
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar, final

import attrs

from reflow import Flow, Visit

from .answers import (
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
    menu,
    parse_birthday,
    parse_card,
    parse_members,
    parse_plan,
    parse_yes,
)
from .progress import display

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reflow import Results, Run, Step

    from .commands import Give

T = TypeVar("T")


class Interviewer(Protocol):
    """What the steps talk to: it asks a person, in a terminal or through an agent."""

    async def ask(
        self,
        visit: Visit[object],
        question: str,
        parse: Callable[[str], T],
        *,
        keep: T | None = None,
    ) -> T:
        """Ask until the answer is a good one.

        Args:
            visit: the visit that asks.
            question: the question.
            parse: makes the answer of what the person said, or raises `ValueError` with a sentence
                for them.
            keep: an earlier answer: offered, and kept when nothing else is said.

        Returns:
            The answer.
        """
        ...

    def say(self, text: str) -> None:
        """Tell the person something.

        Args:
            text: what; before the next question.
        """
        ...


intake: Flow[Interviewer] = Flow("intake")


@intake.step("your full name", validate=check_name, model_may_answer=True)
async def name(visit: Visit[Interviewer]) -> str:
    """Ask for the name; on a later visit, offer the one that was given."""
    return await visit.deps.ask(visit, "Your full name?", check_name, keep=visit.get(name))


@intake.step("your e-mail address", validate=check_email, model_may_answer=True)
async def email(visit: Visit[Interviewer]) -> str:
    """Ask for the e-mail address."""
    return await visit.deps.ask(visit, "Your e-mail address?", check_email, keep=visit.get(email))


@intake.step("your phone number", optional=True, validate=check_phone, model_may_answer=True)
async def phone(visit: Visit[Interviewer]) -> str:
    """Ask for the phone number, which may be skipped."""
    question = "Your phone number, or skip?"
    return await visit.deps.ask(visit, question, check_phone, keep=visit.get(phone))


@intake.step("your date of birth", validate=check_birthday, model_may_answer=True)
async def birthday(visit: Visit[Interviewer]) -> date:
    """Ask for the date of birth."""
    question = "Your date of birth (year-month-day)?"
    return await visit.deps.ask(visit, question, parse_birthday, keep=visit.get(birthday))


@intake.step("the insurance plan", model_may_answer=True)
async def plan(visit: Visit[Interviewer]) -> Plan:
    """Ask for the plan."""
    question = f"Which plan: {menu(Plan, ', ')}?"
    return await visit.deps.ask(visit, question, parse_plan, keep=visit.get(plan))


@intake.step(
    "the family members to insure",
    when=lambda results: results[plan] is Plan.FAMILY,
    validate=check_members,
)
async def members(visit: Visit[Interviewer]) -> list[str]:
    """Ask for the family members, but only where the plan is for families."""
    question = "The names of your family members, with commas between?"
    return await visit.deps.ask(visit, question, parse_members, keep=visit.get(members))


@intake.step("the doctor", depends_on=[plan])
async def doctor(visit: Visit[Interviewer]) -> Doctor:
    """Ask for a doctor of the plan; asked again when the plan has changed."""
    choices = DOCTORS[visit[plan]]
    before = visit.get(doctor)
    question = f"Which doctor: {menu(choices, ', ')}?"
    return await visit.deps.ask(
        visit,
        question,
        partial(choose, choices=choices),
        keep=before if before in choices else None,
    )


@intake.step("the number of your credit card", sensitive=True, validate=check_card)
async def card(visit: Visit[Interviewer]) -> Card:
    """Ask for the credit card, whose number is never printed."""
    return await visit.deps.ask(visit, "Your card number?", parse_card, keep=visit.get(card))


@intake.step("whether all of this is right", always_ask=True, point_of_no_return=True)
async def confirmed(visit: Visit[Interviewer]) -> bool:
    """Show everything and ask for consent; asked anew when any answer changes, until given."""
    results = visit.run.results
    visit.deps.say("\nThese are your answers:")
    for step in results:
        answer = display(results[step], sensitive=step.sensitive)
        visit.deps.say(f"  {step.id:10}{answer}")
    return await visit.deps.ask(visit, "Is all of this right (yes, no)?", parse_yes)


def _giver(step: Step[T], parse: Callable[[str], T]) -> Give:
    def give(run: Run, text: str) -> None:
        run.answer(step, parse(text))

    return give


def _give_doctor(run: Run, text: str) -> None:
    chosen = run.results.get(plan)
    if chosen is None:
        message = "The doctors depend on the plan: choose that first."
        raise ValueError(message)
    run.answer(doctor, choose(text, DOCTORS[chosen]))


ANSWERS: Mapping[str, Give] = {
    name.id: _giver(name, check_name),
    email.id: _giver(email, check_email),
    phone.id: _giver(phone, check_phone),
    birthday.id: _giver(birthday, parse_birthday),
    plan.id: _giver(plan, parse_plan),
    members.id: _giver(members, parse_members),
    doctor.id: _give_doctor,
    card.id: _giver(card, parse_card),
}
"""How to answer a step without going there; the confirmation is only given when it is asked."""


@final
@attrs.frozen
class Contract:
    """What the intake is for."""

    name: str
    email: str
    phone: str | None
    birthday: date
    plan: Plan
    members: list[str] | None
    doctor: Doctor
    card: Card | None
    """None when the contract comes from a journal, which keeps no sensitive answers."""


def contract(results: Results) -> Contract:
    """Make the contract of the results: each answer has the type of its step."""
    return Contract(
        name=results[name],
        email=results[email],
        phone=results.get(phone),
        birthday=results[birthday],
        plan=results[plan],
        members=results.get(members),
        doctor=results[doctor],
        card=results.get(card),
    )
