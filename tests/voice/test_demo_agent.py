"""The intake as an agent of LiveKit leads it: a real session, in text mode, with a person."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import anyio
import pytest
from livekit.agents import function_tool
from livekit.agents.llm import ChatContext
from person import ANSWERED, CARD, Person

from reflow import Flow, JournalError, Visit
from reflow.demo.agent.conversation import HELP, lead, only_errors
from reflow.demo.agent.model import reply_to
from reflow.demo.agent.rules import Call, Heard, instructions, react
from reflow.demo.agent.wishes import by_words
from reflow.demo.intake import intake
from reflow.demo.news import UNKEPT
from reflow.journal import MemoryJournal

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.anyio
WISH = "oh wait, my e-mail is wrong"


async def interview(
    *lines: str, journal: MemoryJournal | None = None
) -> tuple[int, str, Sequence[str]]:
    """Run the intake with a person who leaves when the lines are typed.

    Returns:
        The exit code, all that was printed, and the ids of the steps as they were asked.
    """
    before = asyncio.all_tasks()
    with Person(*lines) as person:
        person.leaves()
        code = await lead(person.console, by_words, journal, None if journal is None else "key")
        # Nothing of the session is left behind.
        assert asyncio.all_tasks() == before
        return code, person.sees, person.asked


async def test_straight(caplog: pytest.LogCaptureFixture) -> None:
    """Every question is asked once, the results are typed; the card is in no text and no log."""
    with caplog.at_level(logging.DEBUG):
        code, sees, asked = await interview(*ANSWERED, "yes")
    assert code == 0
    assert asked == [step.id for step in intake.steps if step.id != "members"]
    assert sees.endswith("""\
Signed. The typed results:
  name: str = 'Ada Lovelace'
  email: str = 'ada@example.org'
  phone: str | None = None
  birthday: date = datetime.date(1990, 12, 10)
  plan: Plan = <Plan.COMFORT: 'comfort'>
  members: list[str] | None = None
  doctor: Doctor = <Doctor.DREW: 'Dr. Drew'>
  card: Card | None = Card(number=<set>)
""")
    assert "These are your answers:\n  name      Ada Lovelace\n" in sees
    assert "1111" not in sees + caplog.text


async def test_a_family() -> None:
    """A question that depends on an answer is asked where it applies."""
    lines = [*ANSWERED[:4], "3", "Bob, Eve", "apgar", CARD, "yes"]
    code, sees, asked = await interview(*lines)
    assert code == 0
    assert "members" in asked
    assert "members: list[str] | None = ['Bob', 'Eve']" in sees


async def test_back() -> None:
    """Going back keeps the requested order, offers what there was, and returns."""
    lines = [*ANSWERED[:3], "back email, name", "", "Eve", "back", "back name", "", ""]
    code, sees, asked = await interview(*lines, *ANSWERED[3:], "yes")
    assert code == 0
    steps = ["email", "name", "birthday", "email", "name", "email", "birthday"]
    assert asked[:11] == ["name", "email", "phone", "birthday", *steps]
    assert "(2/9) Your e-mail address? [ada@example.org]\n" in sees
    assert "(1/9) Your full name? [Eve]\n" in sees
    assert "name: str = 'Eve'" in sees


async def test_in_their_own_words() -> None:
    """Free text goes back, to several steps in the order in which it names them."""
    both = "hang on, my e-mail is wrong, and the name isn't right"
    lines = [*ANSWERED[:4], both, "a@b.org", "Eve", *ANSWERED[4:], "yes"]
    code, sees, asked = await interview(*lines)
    assert code == 0
    assert asked[4:8] == ["plan", "email", "name", "plan"]
    assert "email: str = 'a@b.org'" in sees


async def test_several_things_at_once() -> None:
    """An answer, a way back and answers to other questions in one turn: all of them count."""
    lines = [
        "Ada; answer email ada@example.org; answer plan 2",
        "030 123456; back name",
        "Eve; back email",
        "",
        *ANSWERED[3:4],
        *ANSWERED[5:],
        "yes",
    ]
    code, sees, asked = await interview(*lines)
    assert code == 0
    assert asked == ["name", "phone", "name", "email", "birthday", "doctor", "card", "confirmed"]
    assert "name: str = 'Eve'\n  email: str = 'ada@example.org'\n  phone: str | None = '03" in sees


async def test_one_of_several_is_refused() -> None:
    """The others count, the refusal is said, and the question that is over isn't asked again."""
    code, sees, asked = await interview("Ada; answer email nonsense", "a@b.org")
    assert code == 1
    assert asked == ["name", "email", "phone"]
    assert "Nothing was done: not an answer of step 'email'" in sees


async def test_a_correction_asks_the_doctor_again() -> None:
    """What depends on a corrected answer is asked again, and nothing else."""
    code, sees, asked = await interview(*ANSWERED, "answer plan basic", "snow", "yes")
    assert code == 0
    assert asked[-4:] == ["card", "confirmed", "doctor", "confirmed"]
    assert (
        "Noted: plan is basic.\nplan has changed, so this is asked again: doctor, confirmed.\n"
        in sees
    )
    assert "doctor: Doctor = <Doctor.SNOW: 'Dr. Snow'>" in sees


async def test_a_correction_of_what_is_asked() -> None:
    """A question that depends on a corrected answer begins anew, or is dropped."""
    change = ["answer plan family", "answer plan basic"]
    _, sees, asked = await interview(*ANSWERED[:5], *change, "snow")
    assert asked[5:] == ["doctor", "members", "doctor", "card"]
    assert "Which doctor: 1 Dr. Blackwell, 2 Dr. Snow?" in sees


async def test_a_wish_asks_the_doctor_again() -> None:
    """Likewise when the plan is chosen anew."""
    wish = "actually, I'd like another plan"
    code, _, asked = await interview(*ANSWERED, wish, "basic", "snow", "yes")
    assert code == 0
    assert asked[-4:] == ["confirmed", "plan", "doctor", "confirmed"]


async def test_bad_answers() -> None:
    """A bad answer gets its sentence, and the question again; of the card without the number."""
    wrong = CARD.replace("4", "5")
    lines = ["", "Ada", "nobody", *ANSWERED[1:-1], wrong, CARD, "no", "yes"]
    code, sees, asked = await interview(*lines)
    assert code == 0
    for step in ("name", "email", "card", "confirmed"):
        assert asked.count(step) == 2
    assert "Please type a name: letters, no digits.\n(1/9) Your full name?\n" in sees
    assert "That is not the number of a card: please check its 12 to 19 digits.\n" in sees
    assert "1111" not in sees


async def test_the_card_is_for_nobody_else() -> None:
    """What is typed at the sensitive question is an answer, whatever it sounds like."""
    _, _, asked = await interview(*ANSWERED[:-1], WISH)
    assert asked[-2:] == ["card", "card"]


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("back", "There is no step before this one."),
        ("back plan", "You can go back to: nothing yet."),
        ("skip", "Only what is optional can be left out, and as long as it is open."),
        ("answer", "Which step? Type: answer STEP TEXT. The steps: name, email, phone, birthday, "),
        ("answer plan gold", "Please choose one of 1 basic, 2 comfort, 3 family."),
    ],
)
async def test_what_cannot_be_done(line: str, sentence: str) -> None:
    """The person is told, and asked again; nothing that was said with it is done."""
    _, sees, asked = await interview(f"Ada; {line}")
    assert asked == ["name", "name"]
    assert f"{sentence}" in sees


async def test_skipping_another_step() -> None:
    """The question that is asked stays the same."""
    _, _, asked = await interview("skip phone", "answer name Ada", ANSWERED[1])
    assert asked == ["name", "name", "email", "birthday"]


async def test_what_is_not_for_the_agent() -> None:
    """Help, the list and what can't be read are the terminal's matter; quitting ends it."""
    code, sees, asked = await interview("help", "where", "\x1b[A", "x" * 2000, "Ada", "QUIT")
    assert code == 1
    assert asked == ["name", "email"]
    assert HELP in sees
    assert ">  1  name       asked now" in sees
    assert "There are characters in that line that can't be read" in sees
    assert "That is too long" in sees
    assert sees.endswith("\nLeft early, nothing was signed: you quit.\n")


async def test_end_of_input() -> None:
    """The group of tasks is stopped, and that is said."""
    code, sees, _ = await interview("Ada")
    assert code == 1
    assert sees.endswith("\nLeft early, nothing was signed: the input has ended.\n")


@pytest.mark.parametrize("lines", [[], ["Ada", "ada@example.org", "back name"]])
async def test_cancelled(lines: list[str]) -> None:
    """Cancellation ends the session, at whatever question; no task is left."""
    before = asyncio.all_tasks()
    with Person(*lines) as person:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lead, person.console, by_words)
            await person.waits_for("? [Ada]\n" if lines else "full name?\n")
            tasks.cancel_scope.cancel()
        assert asyncio.all_tasks() == before


async def test_kept_in_a_journal() -> None:
    """Another session goes on where the first one was left; the card is asked again."""
    journal = MemoryJournal()
    code, sees, _ = await interview(*ANSWERED, journal=journal)
    assert code == 1
    assert sees.endswith("has ended. Your answers are kept: the same command goes on with them.\n")
    code, sees, asked = await interview(CARD, "yes", journal=journal)
    assert code == 0
    assert asked == ["card", "confirmed"]
    assert "Welcome back, Ada Lovelace!" in sees
    assert UNKEPT in sees
    code, sees, asked = await interview(journal=journal)
    assert (code, asked) == (0, [])
    assert "This is signed already:" in sees


async def test_a_failure_is_raised() -> None:
    """What ends the flow, other than leaving it, is raised where the session was begun."""
    journal = MemoryJournal()
    other = Flow("other")

    @other.step("something else")
    async def something(visit: Visit[None]) -> str:
        return ""

    await other.run(journal=journal, key="key")
    with pytest.raises(JournalError):
        await interview(journal=journal)


async def test_only_what_can_be_gone_back_to() -> None:
    """A wish for what wasn't asked yet is taken for the answer."""
    heard = Heard(WISH, "name", {"out_of_scope": ["plan"]})
    assert await react(heard, by_words) == [Call("record", {"text": WISH})]


async def test_other_tools() -> None:
    """A tool that takes no steps disturbs nobody."""

    @function_tool
    async def other() -> None:
        """Do something else."""

    context = ChatContext.empty()
    context.add_message(role="system", content=instructions("name", "your name", "Name?"))
    context.add_message(role="user", content="Ada")
    assert await reply_to(context, [other], by_words) == [Call("record", {"text": "Ada"})]


async def test_only_errors_are_logged(capsys: pytest.CaptureFixture[str]) -> None:
    """What LiveKit has to say besides doesn't disturb the conversation."""
    with only_errors():
        logging.getLogger("livekit.agents").warning("noise")
        logging.getLogger("livekit.agents").error("trouble")
    assert capsys.readouterr().err == "trouble\n"
