"""The intake on a scripted console: what is asked, in which order, and what comes of it."""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import date
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio.lowlevel import checkpoint
from person import ANSWERED, CARD, Person
from support import Log

from reflow import Flow, LoggingObserver, Results, RunFinishedError, RunStoppedError, Visit
from reflow.demo.answers import Card, Doctor, Plan
from reflow.demo.console import Console
from reflow.demo.intake import Contract, contract, email, intake, members, name, phone

if TYPE_CHECKING:
    from collections.abc import Iterable

    from reflow import Observer

pytestmark = pytest.mark.anyio


async def interview(person: Person, observers: Iterable[Observer] = ()) -> Results:
    """Run the intake with a person."""
    return await intake.run(person.console, observers=observers)


async def test_straight_through() -> None:
    """Whoever just answers is asked every question once, and gets typed answers."""
    with Person(*ANSWERED[:2], "(030) 123-456", *ANSWERED[3:], "yes") as person:
        results = await interview(person)
    assert contract(results) == Contract(
        name="Ada Lovelace",
        email="ada@example.org",
        phone="030123456",
        birthday=date(1990, 12, 10),
        plan=Plan.COMFORT,
        members=None,
        doctor=Doctor.DREW,
        card=Card("4111111111111111"),
    )
    assert person.asked == [step.id for step in intake.steps if step is not members]


async def test_at_a_terminal() -> None:
    """Where the terminal ends the lines, nobody else does; and it is said what won't show."""
    with Person(*ANSWERED, "yes", echoes=True) as person:
        await interview(person)
    assert person.sees.startswith("(1/9) Your full name? (2/9) Your e-mail address? (3/9)")
    assert "(8/9) Your card number? (not shown) " in person.sees


async def test_members_only_for_a_family() -> None:
    """The members are asked for where the plan is for families."""
    with Person(*ANSWERED[:4], "3", "Bob,  Eve Lovelace,", "1", CARD, "y") as person:
        results = await interview(person)
    assert results[members] == ["Bob", "Eve Lovelace"]


async def test_bad_input_is_asked_again() -> None:
    """Bad input gets its sentence and the same question, and costs nothing else."""
    with Person("", *ANSWERED[:1], "ada@example", *ANSWERED[1:], "perhaps", "yes") as person:
        await interview(person)
    assert person.asked[:4] == ["name", "name", "email", "email"]
    assert person.asked[-2:] == ["confirmed", "confirmed"]
    assert "Please type a name" in person.sees
    assert "It should have a period." in person.sees
    assert "Please type yes or no." in person.sees


async def test_back_offers_the_earlier_answer() -> None:
    """Going back offers what was answered, Enter keeps it, and the interrupted step resumes."""
    with Person("Ada", "ada@example.org", "back", "", *ANSWERED[2:], "yes") as person:
        results = await interview(person)
    assert person.asked[:5] == ["name", "email", "phone", "email", "phone"]
    assert "(2/9) Your e-mail address? [ada@example.org]" in person.sees
    assert results[email] == "ada@example.org"


async def test_back_to_several() -> None:
    """Several steps are gone back to in the order in which they were typed."""
    with Person(*ANSWERED[:4], "back email, name", "", "", *ANSWERED[4:], "yes") as person:
        await interview(person)
    assert person.asked[4:8] == ["plan", "email", "name", "plan"]


async def test_back_passes_over_what_was_skipped() -> None:
    """The step before is the one that was answered last, not one that was skipped."""
    with Person(*ANSWERED[:3], "back", "", *ANSWERED[3:], "yes") as person:
        await interview(person)
    assert person.asked[3:6] == ["birthday", "email", "birthday"]


async def test_back_is_refused() -> None:
    """What can't be gone back to is named, and the question put again."""
    with Person("back", "back plan", "back nowhere", *ANSWERED, "yes") as person:
        await interview(person)
    assert person.asked[:4] == ["name"] * 4
    assert "There is no step before this one." in person.sees
    assert "Not possible: plan is not visited yet." in person.sees
    assert "There is no such step. The steps: name, email," in person.sees


async def test_answer_early() -> None:
    """A step that was answered early is not asked, the active one goes on."""
    early = ["answer phone 030 123456", "answer members Eve"]
    with Person(*early, *ANSWERED[:2], *ANSWERED[3:], "yes") as person:
        results = await interview(person)
    assert person.asked[:5] == ["name", "name", "name", "email", "birthday"]
    assert results[phone] == "030123456"
    # Asked of families only, so this answer doesn't count.
    assert results.get(members) is None


async def test_answer_the_active_step() -> None:
    """The active step takes its answer as a command, too: even one that reads like a command."""
    with Person("Answer name Quit", *ANSWERED[1:], "yes") as person:
        results = await interview(person)
    assert results[name] == "Quit"
    assert person.asked[:2] == ["name", "email"]


async def test_correction_asks_only_what_went_stale() -> None:
    """A new plan asks for the doctor again, and for a new confirmation, but nothing else."""
    correction = ["answer plan basic", "blackwell", "yes"]
    with Person(*ANSWERED, *correction) as person:
        await interview(person)
    assert person.asked[-3:] == ["confirmed", "doctor", "confirmed"]
    # Dr. Drew isn't to be had with this plan.
    assert "(7/9) Which doctor: 1 Dr. Blackwell, 2 Dr. Snow? \n" in person.sees


async def test_stale_doctor_is_offered_while_valid() -> None:
    """The doctor of the plan before is offered where the new plan has that doctor, too."""
    correction = ["answer doctor blackwell", "answer plan basic", "", "yes"]
    with Person(*ANSWERED, *correction) as person:
        results = await interview(person)
    assert "2 Dr. Snow? [Dr. Blackwell]" in person.sees
    assert contract(results).doctor is Doctor.BLACKWELL


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        ("answer", "Which step? Type: answer STEP TEXT. The steps: name,"),
        ("answer nothing at all", "Which step? Type: answer STEP TEXT. The steps: name,"),
        ("answer email", "@-sign"),
        ("answer card 4111 1111 1111 1112", "That is not the number of a card"),
        ("answer doctor Snow", "The doctors depend on the plan"),
        ("answer confirmed yes", "confirmed can only be answered at its own question."),
        ("skip", "Not possible: name is not optional."),
        ("skip anything", "There is no such step."),
    ],
)
async def test_refused_commands(command: str, sentence: str) -> None:
    """A command that can't be obeyed says why, and the question is put again."""
    with Person(command, *ANSWERED, "yes") as person:
        await interview(person)
    assert person.asked[:3] == ["name", "name", "email"]
    assert sentence in person.sees


async def test_skipped_by_name_and_answered_after_all() -> None:
    """What is optional can be skipped before it is asked, and answered later."""
    with Person("skip phone", *ANSWERED[:2], *ANSWERED[3:], "answer phone 123456", "y") as person:
        results = await interview(person)
    assert "phone" not in person.asked
    assert results[phone] == "123456"


async def test_no_is_a_wish_to_change_something() -> None:
    """Whoever doesn't confirm is told how to go on, and sees every correction in the summary."""
    with Person(*ANSWERED, "no", "back email", "a@b.example.org", "yes") as person:
        await interview(person)
    assert person.asked[-4:] == ["confirmed", "confirmed", "email", "confirmed"]
    assert "Then change what is wrong" in person.sees
    assert "  email     a@b.example.org\n" in person.sees


async def test_where_and_help() -> None:
    """The list and the help are printed on the way, at 80 columns, and the question again."""
    with Person("Ada", "where", "help", *ANSWERED[1:], "yes") as person:
        await interview(person)
    assert person.asked[:4] == ["name", "email", "email", "email"]
    assert "✓  1  name       done       Ada" in person.sees
    assert "answer email a@b.c" in person.sees
    assert max(map(len, person.sees.splitlines())) <= 80


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("x" * 1001, "up to 1000 characters"),
        ("x" * 100_000, "up to 1000 characters"),
        ("\x1b[D", "can't be read"),
        ("\x00", "can't be read"),
    ],
)
async def test_unreadable_lines(line: str, sentence: str) -> None:
    """A line that nobody can have meant is refused without being shown."""
    with Person(line, *ANSWERED, "yes") as person:
        results = await interview(person)
    assert sentence in person.sees
    assert line not in person.sees
    assert results[name] == "Ada Lovelace"


async def test_leaving() -> None:
    """The end of the input, and quit, stop the run and say why."""
    with Person("Ada") as person:
        person.leaves()
        with pytest.raises(RunStoppedError, match="the input has ended") as ended:
            await interview(person)
    assert ended.value.results[name] == "Ada"
    with Person("quit") as person, pytest.raises(RunStoppedError, match="you quit"):
        await interview(person)


@pytest.mark.parametrize("digits", ["4111 1111 1111 1111", "4111-1111-1111-1111"])
async def test_card_number_appears_nowhere(digits: str, caplog: pytest.LogCaptureFixture) -> None:
    """The number of the card, or of a mistyped one, is in no output, event, log or repr."""
    caplog.set_level(logging.DEBUG, "reflow")
    log = Log()
    typed = [
        digits[:-1] + "2",
        f"answer card {digits}",
        "back card",
        "",
        f"answer {digits}",
        f"back {digits}",
        f"answer card {digits}",
        "where",
        "yes",
    ]
    with Person(*ANSWERED[:-1], *typed) as person:
        results = await interview(person, [log, LoggingObserver()])
    assert contract(results).card == Card("4111111111111111")
    assert "  card      set\n" in person.sees
    assert "Your card number? [set]" in person.sees
    for text in (person.sees, caplog.text, repr(list(log)), repr(results), repr(contract(results))):
        assert "1111" not in text


async def test_another_task_interrupts_the_prompt() -> None:
    """A go-back takes effect at once while the prompt waits for the keyboard."""
    with Person("Ada", "ada@example.org") as person:
        run = intake.prepare(person.console)

        async def interrupt() -> None:
            await person.waits_for("(3/9)")
            run.go_back(name)
            # Nothing was typed since.
            await person.waits_for("[Ada]")
            person.types("Bea", *ANSWERED[2:], "yes")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(interrupt)
            await run.drive()
    assert person.asked[:5] == ["name", "email", "phone", "name", "phone"]
    assert run.results[name] == "Bea"


@pytest.mark.parametrize("moment", range(8))
async def test_no_line_is_lost(moment: int) -> None:
    """A line that is typed about when the prompt is interrupted answers that prompt or the next.

    The moments are turns of the event loop between the line and the go-back.
    """
    taken: list[str] = []

    def take(line: str) -> str:
        taken.append(line)
        return line

    flow = Flow[Console]("two lines")

    @flow.step("the first line")
    async def first(visit: Visit[Console]) -> str:
        return await visit.deps.ask(visit, "One?", take)

    @flow.step("the second line")
    async def second(visit: Visit[Console]) -> str:
        return await visit.deps.ask(visit, "Two?", take)

    with Person("a", flow=flow) as person:
        run = flow.prepare(person.console)

        async def interrupt() -> None:
            await person.waits_for("Two?")
            person.types("b")
            for _ in range(moment):
                await checkpoint()
            with suppress(RunFinishedError):
                run.go_back(first)
            person.types("c", "d")

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(interrupt)
            await run.drive()
    assert taken == list("abcd")[: len(taken)]
    assert len(taken) > 1
