"""The session in which the agent talks with the user, on standard input and output."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, final

import anyio
from livekit.agents import Agent, AgentSession
from rich.text import Text
from typing_extensions import override

from reflow.demo.commands import Commands
from reflow.demo.console import Console, readable
from reflow.demo.intake import ANSWERS, intake
from reflow.demo.keyboard import open_keyboard
from reflow.demo.news import News, left, signed
from reflow.livekit import FlowTask, GroupStoppedError

from ._model import RuleModel
from .desk import Desk
from .wishes import make_reader

if TYPE_CHECKING:
    from collections.abc import Generator
    from typing import TextIO

    from livekit.agents import ConversationItemAddedEvent
    from rich.console import Console as Screen

    from reflow import Journal, Run
    from reflow.demo.intake import Interviewer

    from .wishes import Reader

PROMPT: Final = Text(">", "cyan")
WELCOME: Final = """\
Insurance intake, by an agent of LiveKit whose model follows simple rules. Type help to see what you
can say, for example at any question: oh wait, my e-mail is wrong
"""
HELP: Final = """\
Instead of an answer you can say:
  back                 to go to the step before
  back email name      to go to these steps, in this order, and then return
  answer email a@b.c   to answer or correct another step without going there
  skip                 to leave out what is optional
  oh wait, my e-mail is wrong
  030 123456; back name; answer plan basic
                       several things at once, with semicolons between
Not for the agent: where, help, quit. Enter alone keeps the answer that stands in [brackets].\
"""


@final
class Receptionist(Agent):
    """The agent that the session begins with, and comes back to: it has the intake done.

    Args:
        task: the intake.
        desk: is told when it is over.
    """

    def __init__(self, task: FlowTask[Interviewer], desk: Desk) -> None:
        super().__init__(instructions="You lead callers through an insurance intake.")
        self._task = task
        self._desk = desk
        self.failure: Exception | None = None

    @override
    async def on_enter(self) -> None:
        """Run the flow."""
        try:
            await self._task
        except Exception as error:  # noqa: BLE001 - raised where the session was begun
            self.failure = error
        finally:
            self._desk.hang_up()


async def converse(
    stdin: TextIO | None, screen: Screen, journal: Journal | None = None, key: str | None = None
) -> int:
    """Lead the conversation on standard input and output; give the exit code."""
    with open_keyboard(stdin) as keyboard, only_errors():
        console = Console(keyboard, screen, Commands(intake.steps, ANSWERS))
        return await lead(console, make_reader(), journal, key)


async def lead(
    console: Console, reader: Reader, journal: Journal | None = None, key: str | None = None
) -> int:
    """Lead the conversation.

    Args:
        console: where it takes place.
        reader: reads free text.
        journal: keeps the answers, if they are to be kept.
        key: what they are kept under.

    Returns:
        The exit code: 0 when the contract is confirmed, 1 when it was left before.

    Raises:
        FlowChangedError, JournalError: if the journal can't be used.
    """
    console.say(WELCOME)
    desk, news = Desk(console), News(console)
    task = FlowTask(
        intake, desk, summarize_chat_ctx=False, observers=[desk, news], journal=journal, key=key
    )
    run = news.run = task.prepared()
    receptionist = Receptionist(task, desk)
    # Without the last two, a session of text would look for voices as well.
    session: AgentSession[None] = AgentSession(
        llm=RuleModel(reader), vad=None, turn_handling={"turn_detection": None}
    )

    def spoken(event: ConversationItemAddedEvent) -> None:
        if event.item.type == "message" and event.item.role == "assistant":
            console.say(event.item.text_content or "")

    session.on("conversation_item_added", spoken)
    try:
        await session.start(receptionist)
        await _take_turns(session, console, desk, run)
    finally:
        # Also after Ctrl+C: nothing of the session is left behind.
        with anyio.CancelScope(shield=True):
            await session.aclose()
    match receptionist.failure:
        case None:
            signed(console, run.results, news)
            return 0
        case GroupStoppedError(reason=reason):
            left(console, reason, key)
            return 1
        case failure:
            raise failure


async def _take_turns(session: AgentSession[None], console: Console, desk: Desk, run: Run) -> None:
    """Give the session what the user types, when it is their turn, until all is said."""
    while (question := await desk.listens()) is not None:
        try:
            line = readable(await console.line(PROMPT, hidden=question.step.sensitive))
        except EOFError:
            desk.leave(run, "the input has ended")
            continue
        except ValueError as sentence:
            console.say(str(sentence), style="red")
            continue
        match line.lower():
            case "where":
                console.where(run)
            case "help":
                console.say(HELP)
            case "quit":
                desk.leave(run, "you quit")
            case _:
                await session.generate_reply(user_input=line).wait_for_playout()


@contextmanager
def only_errors() -> Generator[None]:
    """Let what is logged reach standard error only where it is an error."""
    handler = logging.StreamHandler()
    handler.setLevel(logging.ERROR)
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
