"""A voice agent for an insurance: whoever calls may correct any answer at any moment.

The models are served by LiveKit. With the keys of a project in LIVEKIT_URL, LIVEKIT_API_KEY and
LIVEKIT_API_SECRET, talk to it in the terminal: python examples/voice_intake.py console
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from typing import TypeVar

from livekit.agents import (
    Agent,
    AgentServer,
    AgentSession,
    AgentTask,
    CloseEvent,
    JobContext,
    ToolError,
    cli,
    function_tool,
)
from livekit.agents.beta.workflows import GetDOBTask, GetEmailTask, GetNameTask, GetPhoneNumberTask
from typing_extensions import override

from reflow import Visit
from reflow.livekit import GroupStoppedError, TaskGroup, run_task

T = TypeVar("T")


class Plan(StrEnum):
    """The insurance plans."""

    BASIC = "basic"
    COMFORT = "comfort"
    FAMILY = "family"


DOCTORS = {
    Plan.BASIC: ("Dr. Blackwell", "Dr. Snow"),
    Plan.COMFORT: ("Dr. Blackwell", "Dr. Drew", "Dr. Snow"),
    Plan.FAMILY: ("Dr. Apgar", "Dr. Blackwell"),
}


@dataclass(frozen=True)
class Contract:
    """What the call is for."""

    name: str
    email: str
    phone: str | None
    birthday: date
    plan: Plan
    members: list[str] | None
    doctor: str
    card: str = field(repr=False)


class Ask(AgentTask[T]):
    """Asks for one thing; its tools record the answer."""

    def __init__(self, question: str) -> None:
        super().__init__(
            instructions=f"You are on the phone, and responsible for this only: {question} "
            "Record the answer with your tool as soon as you have it. Don't invent anything."
        )
        self.question = question

    @override
    async def on_enter(self) -> None:
        await self.session.generate_reply(instructions=self.question).wait_for_playout()


class AskChoice(Ask[T]):
    """Asks for one of several."""

    def __init__(self, what: str, choices: Iterable[T]) -> None:
        self.choices = {str(choice): choice for choice in choices}
        super().__init__(f"Ask for {what}: {', '.join(self.choices)}.")

    @function_tool
    async def record_choice(self, choice: str) -> None:
        """Record what the caller has chosen, exactly as it was offered."""
        if choice not in self.choices:
            raise ToolError(f"Only these can be chosen: {', '.join(self.choices)}.")
        self.complete(self.choices[choice])


class AskNames(Ask[list[str]]):
    """Asks for several names."""

    @function_tool
    async def record_names(self, names: list[str]) -> None:
        """Record all the names, when the caller has no more of them."""
        self.complete(names)


class AskCard(Ask[str]):
    """Asks for a credit card."""

    @function_tool
    async def record_card(self, number: str) -> None:
        """Record the digits of the card's number. Never repeat them."""
        if not (number.isdecimal() and 12 <= len(number) <= 19):
            raise ToolError("The number of a card has 12 to 19 digits: ask again.")
        self.complete(number)


async def ask_phone(visit: Visit[None]) -> str:
    """Ask for the phone number; whoever doesn't want to give it needn't."""
    try:
        return (await run_task(GetPhoneNumberTask())).phone_number
    except ToolError:
        visit.skip()


class Receptionist(Agent):
    """Takes a call, from the first question to the goodbye."""

    def __init__(self) -> None:
        super().__init__(instructions="You are the receptionist of an insurance company.")
        self.contract: Contract | None = None

    @override
    async def on_enter(self) -> None:
        goodbye = "Say that the contract is signed, thank the caller and say goodbye."
        try:
            self.contract = await self.intake()
        except ToolError as declined:
            goodbye = f"Say that there can be no contract without this, and goodbye: {declined}"
        except GroupStoppedError:
            return  # The caller has hung up; the error has what was answered until then.
        await self.session.generate_reply(instructions=goodbye).wait_for_playout()
        self.session.shutdown()

    async def intake(self) -> Contract:
        """Ask for everything that a contract needs; each result has the type of its step."""
        group = TaskGroup(summarize_chat_ctx=False)
        name = group.step(lambda: GetNameTask(last_name=True), id="name", description="the name")
        email = group.step(GetEmailTask, id="email", description="the e-mail address")
        phone = group.step(ask_phone, id="phone", description="the phone number", optional=True)
        birthday = group.step(GetDOBTask, id="birthday", description="the date of birth")
        plan = group.step(lambda: AskChoice("the plan", Plan), id="plan", description="the plan")
        members = group.step(
            lambda: AskNames("Ask for the names of all family members to insure."),
            id="members",
            description="the family members to insure",
            when=lambda results: results[plan] is Plan.FAMILY,
        )

        async def ask_doctor(visit: Visit[None]) -> str:
            return await run_task(AskChoice("the family doctor", DOCTORS[visit[plan]]))

        # Asked again when the plan has changed.
        doctor = group.step(ask_doctor, id="doctor", description="the doctor", depends_on=[plan])
        # Nothing that is said about it stays in the conversation.
        card = group.step(
            lambda: AskCard("Ask for the number of the credit card to be charged."),
            id="card",
            description="the credit card",
            sensitive=True,
        )

        async def confirm(visit: Visit[None]) -> str:
            answers = visit.run.results
            known = {step.id: answers[step] for step in answers if not step.sensitive}
            return await run_task(AskChoice(f"consent to all of this: {known}", ["yes"]))

        # Asked again when anything has changed; once given, nothing can be changed any more.
        group.step(
            confirm,
            id="consent",
            description="the consent to everything",
            always_ask=True,
            point_of_no_return=True,
        )
        results = await group
        return Contract(
            name=f"{results[name].first_name} {results[name].last_name}",
            email=results[email].email_address,
            phone=results.get(phone),
            birthday=results[birthday].date_of_birth,
            plan=results[plan],
            members=results.get(members),
            doctor=results[doctor],
            card=results[card],
        )


def new_session() -> AgentSession[None]:
    """Choose the models."""
    return AgentSession(
        stt="deepgram/nova-3",
        llm="openai/gpt-4.1-mini",
        tts="cartesia/sonic-3:9626c31c-bec5-4cca-baa8-f8ba9e84c8bc",
    )


server = AgentServer()


@server.rtc_session()
async def take_call(job: JobContext) -> None:
    """Take a call; LiveKit runs this in a process of its own for each."""
    session, receptionist = new_session(), Receptionist()

    def hang_up(_: CloseEvent) -> None:
        logging.getLogger("voice_intake").info("This came of it: %s", receptionist.contract)
        job.shutdown("the call is over")

    session.on("close", hang_up)
    await session.start(receptionist, room=job.room)


if __name__ == "__main__":
    cli.run_app(server)
