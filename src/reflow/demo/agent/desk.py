"""What the steps talk to: an agent, who puts each question in a task of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Generic, TypeVar, cast, final

import anyio
from livekit.agents import AgentTask, ToolError, function_tool
from livekit.agents.llm import ToolFlag
from typing_extensions import override

from reflow import GoBackRequested, StepAnswered, StepSkipped, StepsMadeStale
from reflow.livekit import run_task

from .rules import instructions

if TYPE_CHECKING:
    from collections.abc import Callable

    from livekit.agents import llm

    from reflow import AnyStep, Event, Run, Visit
    from reflow.demo.console import Console

T = TypeVar("T")


@final
class Question(AgentTask[T], Generic[T]):
    """Asks one question.

    Args:
        step: the step that asks.
        words: the question, behind whatever is to be said before it.
        parse: makes the answer, or raises `ValueError` with a sentence for the user.
        keep: an earlier answer, if it may be kept.
        asked: is told when the question was put.
    """

    def __init__(
        self,
        step: AnyStep,
        words: str,
        parse: Callable[[str], T],
        keep: T | None,
        asked: Callable[[Question[object]], None],
    ) -> None:
        tools: list[llm.Tool | llm.Toolset] = [self._recording(parse)]
        if keep is not None:
            tools.append(self._keeping(keep))
        super().__init__(instructions=instructions(step.id, step.description, words), tools=tools)
        self.step: Final = step
        self._asked: Final = asked

    @override
    async def on_enter(self) -> None:
        """Put the question."""
        await self.session.generate_reply(instructions="Ask now.").wait_for_playout()
        self._asked(cast("Question[object]", self))

    def _recording(self, parse: Callable[[str], T]) -> llm.Tool:
        async def record(raw_arguments: dict[str, object]) -> None:
            try:
                answer = parse(str(raw_arguments.get("text", "")))
            except ValueError as sentence:
                raise ToolError(str(sentence)) from None
            self.complete(answer)

        return function_tool(
            record,
            raw_schema={
                "name": "record",
                "description": "Note what the user answers to the question.",
                "parameters": {
                    "type": "object",
                    "properties": {"text": {"type": "string", "description": "The answer."}},
                    "required": ["text"],
                    "additionalProperties": False,
                },
            },
            flags=ToolFlag.IGNORE_ON_ENTER,
        )

    def _keeping(self, answer: T) -> llm.Tool:
        async def keep(raw_arguments: dict[str, object]) -> None:  # noqa: ARG001 - LiveKit's signature
            self.complete(answer)

        return function_tool(
            keep,
            raw_schema={
                "name": "keep",
                "description": "Let the answer stand that the user gave before.",
                "parameters": {"type": "object", "properties": {}, "additionalProperties": False},
            },
            flags=ToolFlag.IGNORE_ON_ENTER,
        )


@final
class Desk:
    """The interviewer of the steps; it knows whose turn it is.

    Args:
        console: makes the words of the questions.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._said: list[str] = []
        self._question: Question[object] | None = None
        self._over = False
        self._change = anyio.Event()

    async def ask(
        self,
        visit: Visit[object],
        question: str,
        parse: Callable[[str], T],
        *,
        keep: T | None = None,
    ) -> T:
        """Ask in an agent task; see `intake.Interviewer`."""
        words = [*self._said, self._console.prompt(visit, question, keep).plain]
        self._said.clear()
        return await run_task(Question(visit.step, "\n".join(words), parse, keep, self._asked))

    def say(self, text: str) -> None:
        """Say something with the next question."""
        self._said.append(text)

    async def listens(self) -> Question[object] | None:
        """Wait until it is the user's turn.

        Returns:
            What they are asked; None when the conversation is over.
        """
        while not self._over:
            if self._question is not None and not self._question.done():
                return self._question
            self._change = anyio.Event()
            await self._change.wait()
        return None

    def leave(self, run: Run, reason: str) -> None:
        """Stop the run, on behalf of the user.

        Args:
            run: the run.
            reason: why.
        """
        self._question = None
        run.stop(reason)

    def hang_up(self) -> None:
        """Expect no question any more."""
        self._over = True
        self._change.set()

    def __call__(self, event: Event) -> None:
        """Take note of what ends a question without an answer to it; an observer of the run."""
        match event:
            case GoBackRequested():
                self._question = None
            case StepAnswered(step) | StepSkipped(step):
                self._is_over(step)
            case StepsMadeStale(_, steps, in_doubt):
                self._is_over(*steps, *in_doubt)
            case _:
                pass

    def _is_over(self, *steps: str) -> None:
        """Forget the question, if it is of one of these steps."""
        if self._question is not None and self._question.step.id in steps:
            self._question = None

    def _asked(self, question: Question[object]) -> None:
        self._question = question
        self._change.set()
