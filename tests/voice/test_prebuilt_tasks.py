"""LiveKit's own tasks as steps, with going back among them."""

from __future__ import annotations

import json
from datetime import date

import pytest
from livekit.agents.beta.workflows import (
    GetCreditCardTask,
    GetDOBTask,
    GetEmailTask,
    GetNameTask,
    GetPhoneNumberTask,
)
from sessions import Conversation, conversation

from reflow.livekit import TaskGroup, TaskGroupResult

pytestmark = pytest.mark.anyio


async def says(talk: Conversation[TaskGroupResult], tool: str, **arguments: object) -> None:
    """Let the model call one of the prebuilt tasks' tools."""
    await talk.session.wait_for_idle()
    assert tool in [tool.id for tool in talk.session.current_agent.tools], tool
    await talk.say(f"{tool} {json.dumps(arguments)}")


async def test_they_are_steps_like_any_other() -> None:
    """Each keeps its result while another is asked again; a native group inside is left, too."""
    group = TaskGroup(summarize_chat_ctx=False)
    name = group.step(
        lambda: GetNameTask(last_name=True), id="name", description="the caller's name"
    )
    email = group.step(GetEmailTask, id="email", description="the e-mail address")
    phone = group.step(GetPhoneNumberTask, id="phone", description="the phone number")
    born = group.step(GetDOBTask, id="born", description="the date of birth")
    card = group.step(GetCreditCardTask, id="card", description="the card", sensitive=True)
    async with conversation(lambda: group) as talk:
        await says(talk, "update_name", first_name="Ada", last_name="Byron")
        await says(talk, "update_email_address", email="ada@example.org")
        await says(talk, "update_phone_number", phone_number="+15550001111")
        await says(talk, "out_of_scope", task_ids=["email", "name"])
        await says(talk, "update_email_address", email="ada@example.com")
        await says(talk, "update_name", first_name="Ada", last_name="Lovelace")
        await says(talk, "update_dob", year=1980, month=12, day=10)
        await says(talk, "update_card_number", card_number="4242424242424242")
        await talk.until_asked("expiration date")
        await says(talk, "update_expiration_date", expiration_month=4, expiration_year=35)
        # From inside the group that the task nests.
        group.go_back(phone)
        await talk.until_asked("phone")
        await says(talk, "update_phone_number", phone_number="+15550002222")
        await talk.until_asked("card number")
        await says(talk, "update_card_number", card_number="4242424242424242")
        await talk.until_asked("expiration date")
        await says(talk, "update_expiration_date", expiration_month=4, expiration_year=35)
        await talk.until_asked("security code")
        await says(talk, "update_security_code", security_code="123")
        await talk.until_asked("name")
        await says(talk, "update_name", first_name="Ada", last_name="Lovelace")
        result = await talk.outcome()
    assert (result[name].first_name, result[name].last_name) == ("Ada", "Lovelace")
    assert result[email].email_address == "ada@example.com"
    assert result[phone].phone_number == "+15550002222"
    assert result[born].date_of_birth == date(1980, 12, 10)
    assert result[card].card_number == "4242424242424242"
