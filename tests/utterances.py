"""What people say, for the tests of the router: the flows, and the files of utterances."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from reflow import AnyStep, Flow, Visit
from reflow.demo.intake import intake

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

FOLDER = Path(__file__).parent / "router"


async def silent(visit: Visit) -> str:
    """Stand in for a step that is never run."""
    raise AssertionError


def described(name: str, steps: Mapping[str, str]) -> Flow[None]:
    """Make a flow of which only the descriptions of its steps, given by id, matter."""
    flow = Flow[None](name)
    for step_id, description in steps.items():
        flow.step(description, id=step_id)(silent)
    return flow


table = described(
    "table",
    {
        "restaurant": "the restaurant",
        "day": "the day of the visit",
        "time": "the time of arrival",
        "guests": "how many people are coming",
        "seating": "indoors or on the terrace",
        "diet": "allergies and dietary wishes",
        "name": "the name for the reservation",
        "phone": "a phone number to reach the guest",
        "confirmed": "the guest confirms the booking",
    },
)
parcel = described(
    "parcel",
    {
        "sender": "the sender's address",
        "recipient": "the recipient's full name",
        "destination": "the address the parcel goes to",
        "weight": "the weight of the parcel",
        "contents": "what is in the parcel",
        "insured": "the value to insure",
        "pickup": "the day when it is collected",
        "payment": "how the customer pays",
        "confirmed": "the customer agrees to the terms",
    },
)
FLOWS: Mapping[str, Sequence[AnyStep]] = {
    "intake": intake.steps,
    "table": table.steps,
    "parcel": parcel.steps,
}


class Utterance(NamedTuple):
    """What somebody says at a question, and the steps that are meant."""

    flow: str
    active: AnyStep
    targets: tuple[AnyStep, ...]
    text: str

    @property
    def kind(self) -> str:
        """One target, several, or none."""
        return ("none", "one", "several")[min(len(self.targets), 2)]


def utterances(file: str) -> list[Utterance]:
    """Read a file of utterances."""
    read: list[Utterance] = []
    for line in (FOLDER / file).read_text("utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        flow, active, targets, text = map(str.strip, line.split("|"))
        steps = {step.id: step for step in FLOWS[flow]}
        meant = () if targets == "-" else tuple(steps[target] for target in targets.split())
        read.append(Utterance(flow, steps[active], meant, text))
    return read
