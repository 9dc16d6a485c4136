"""The flow that is killed: twelve steps, and a person who says the same in whatever process."""

from __future__ import annotations

import enum
from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Never, TypeVar, cast, final

import anyio
from anyio import from_thread, to_thread

from reflow import Flow, Visit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

T = TypeVar("T")

# What is remembered of an event, by its name: what the person has said then.
SAID: Final = {
    "StepCompleted": "completed",
    "StepFailed": "failed",
    "StepSkipped": "skipped",
    "StepAnswered": "answered",
    "GoBackRequested": "asked",
}


@final
class Delivery(enum.Enum):
    """How the contract is delivered."""

    MAIL = "mail"


@final
class Person:
    """Goes by what happened, and not by how often anybody asked.

    So it doesn't matter which process asks: what was said and not stored is said again, and
    nothing else is.

    Args:
        begins: is told of every visit that begins.
    """

    def __init__(self, begins: Callable[[Visit[Person]], None]) -> None:
        self.begins: Final = begins
        self.said: Final[Counter[str]] = Counter()

    def remember(self, event: Mapping[str, object]) -> None:
        """Something happened, in this process or in one before it.

        Args:
            event: the fields of the event, and its name as `event`.
        """
        if (verb := SAID.get(str(event["event"]))) is not None:
            named = cast("Sequence[str]", event.get("steps") or [event.get("step")])
            self.said[" ".join([verb, *named])] += 1

    async def hears(self, visit: Visit[Person]) -> None:
        """Listen to the question, and think: long enough to be killed meanwhile."""
        self.begins(visit)
        await anyio.sleep(0.0003)

    def times(self, visit: Visit[Person]) -> int:
        """Say how many answers the step has had."""
        name = visit.step.id
        return self.said[f"completed {name}"] + self.said[f"answered {name}"]

    async def answers(self, visit: Visit[Person], *answers: T) -> T:
        """Give the next answer to a question; the last one again when there are no more."""
        await self.hears(visit)
        return answers[min(self.times(visit), len(answers) - 1)]


async def interrupted() -> Never:
    """Wait until the visit is interrupted."""
    while True:
        await anyio.sleep_forever()


contract: Flow[Person] = Flow("contract")


@contract.step("the name")
async def name(visit: Visit[Person]) -> str:
    """Give a shorter one first; it is gone back to from a detour."""
    return await visit.deps.answers(visit, "Ada", "Ada Lovelace")


@contract.step("the e-mail address")
async def email(visit: Visit[Person]) -> str:
    """Give wrong ones: it is gone back to, and corrected without being asked."""
    return await visit.deps.answers(visit, "ada@exmaple.org", "ada@example.com")


@contract.step("the phone number", optional=True)
async def phone(visit: Visit[Person]) -> str:
    """Give none."""
    await visit.deps.hears(visit)
    visit.skip()


@contract.step("the plan")
async def plan(visit: Visit[Person]) -> str:
    """Tell early how to deliver; go back once more when this is gone back to."""
    person = visit.deps
    answer = await person.answers(visit, "basic", "comfort")
    if not person.said["answered delivery"]:
        visit.run.answer(delivery, Delivery.MAIL)
        await anyio.sleep(0.0003)
    if person.said["asked plan email"] and not person.said["asked name"]:
        await visit.go_back(name)
    return answer


@contract.step("the members of the family", when=lambda results: results[plan] == "family")
async def members(visit: Visit[Person]) -> list[str]:
    """Give them, once there is a family."""
    return await visit.deps.answers(visit, ["Alan", "Grace"])


@contract.step("the doctor", depends_on=[plan])
async def doctor(visit: Visit[Person]) -> str:
    """Jump ahead at first; later think again about the plan."""
    person = visit.deps
    await person.hears(visit)
    if not person.said["asked survey"]:
        visit.run.jump_ahead(survey)
        await interrupted()
    if visit[plan] == "comfort":
        # The step is based on it: this interrupts.
        visit.run.answer(plan, "family")
        await interrupted()
    return f"the doctor of the {visit[plan]} plan"


@contract.step("the price", depends_on=[plan])
async def price(visit: Visit[Person]) -> Decimal:
    """Fail once: with the next plan it is asked again."""
    await visit.deps.hears(visit)
    if not visit.deps.said["failed price"]:
        message = "no price today"
        raise ConnectionError(message)
    return Decimal("12.50")


@contract.step("whether all is right", always_ask=True)
async def summary(visit: Visit[Person]) -> str:
    """Find two things to be wrong, then another, then nothing."""
    person = visit.deps
    await person.hears(visit)
    if not person.said["asked plan email"]:
        await visit.go_back(plan, email)
    if not person.said["answered email"]:
        visit.run.answer(email, "ada@example.org")
        await interrupted()
    return ", ".join(
        str(visit.get(step)) for step in (name, email, phone, plan, members, doctor, price)
    )


@contract.step("the card", sensitive=True)
async def card(visit: Visit[Person]) -> str:
    """Give what isn't stored."""
    return await visit.deps.answers(visit, "4111")


@contract.step("the charge", point_of_no_return=True)
async def charge(visit: Visit[Person]) -> str:
    """Think about the doctor again before it is too late: another thread does the asking."""
    person = visit.deps
    await person.hears(visit)
    if not person.said["asked doctor"]:
        await to_thread.run_sync(from_thread.run_sync, visit.run.go_back, doctor)
        await interrupted()
    return f"{visit[name]} paid {visit[price]} with {visit[card]}"


@contract.step("the way of delivery")
async def delivery(visit: Visit[Person]) -> Delivery:
    """Is answered early: nobody is asked."""
    raise AssertionError(visit)


@contract.step("the survey")
async def survey(visit: Visit[Person]) -> int:
    """Fail for good."""
    await visit.deps.hears(visit)
    message = "no survey today"
    raise LookupError(message)
