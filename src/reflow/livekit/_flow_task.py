"""A flow as an agent task."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Generic, TypeAlias, TypeVar, cast, final, overload

from livekit.agents import NOT_GIVEN, AgentTask
from typing_extensions import override

from ._awaiting import Awaiting
from ._conductor import Conductor
from ._result import TaskGroupResult

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Coroutine, Generator, Iterable

    from livekit.agents import ChatContext, FlushSentinel, ModelSettings, NotGivenOr
    from livekit.agents.llm import ChatChunk, Tool

    from reflow import AnyStep, Flow, Journal, Observer, OnChange, OnCompleted, Run

    _Chunk: TypeAlias = ChatChunk | str | FlushSentinel
    # All that LiveKit takes of a node that says something.
    _Said: TypeAlias = (
        AsyncIterable[_Chunk]
        | Coroutine[object, object, AsyncIterable[_Chunk]]
        | Coroutine[object, object, str]
        | Coroutine[object, object, ChatChunk]
        | Coroutine[object, object, None]
    )

D = TypeVar("D")

_INSTRUCTIONS: Final = "You lead the user through several tasks, and the next one begins."


class FlowTask(AgentTask[TaskGroupResult], Generic[D]):
    """Runs a flow inside an `AgentSession`: await it wherever an agent task may be awaited."""

    @overload
    def __init__(
        self: FlowTask[None],
        flow: Flow[None],
        deps: None = None,
        *,
        summarize_chat_ctx: bool = True,
        return_exceptions: bool = False,
        chat_ctx: NotGivenOr[ChatContext] = NOT_GIVEN,
        on_completed: OnCompleted | None = None,
        observers: Iterable[Observer] = (),
        journal: Journal | None = None,
        key: str | None = None,
        on_change: OnChange = "refuse",
    ) -> None: ...
    @overload
    def __init__(
        self,
        flow: Flow[D],
        deps: D,
        *,
        summarize_chat_ctx: bool = True,
        return_exceptions: bool = False,
        chat_ctx: NotGivenOr[ChatContext] = NOT_GIVEN,
        on_completed: OnCompleted | None = None,
        observers: Iterable[Observer] = (),
        journal: Journal | None = None,
        key: str | None = None,
        on_change: OnChange = "refuse",
    ) -> None: ...
    def __init__(
        self,
        flow: Flow[D] | Flow[None],
        deps: D | None = None,
        *,
        summarize_chat_ctx: bool = True,
        return_exceptions: bool = False,
        chat_ctx: NotGivenOr[ChatContext] = NOT_GIVEN,
        on_completed: OnCompleted | None = None,
        observers: Iterable[Observer] = (),
        journal: Journal | None = None,
        key: str | None = None,
        on_change: OnChange = "refuse",
    ) -> None:
        """Make the task; await it in a tool, or in the `on_enter` of an agent.

        Args:
            flow: the flow.
            deps: what its steps reach as `visit.deps`; may be left out where that is None.
            summarize_chat_ctx: replace all that was said by a summary when the flow is complete.
            return_exceptions: collect the failures of steps, conditions and `on_completed` in
                `result.exceptions` and go on, instead of ending with the first one.
            chat_ctx: the conversation so far.
            on_completed: see `Flow.prepare`, as for all that follow.
            observers: plain functions that are told of every event.
            journal: where the run is kept.
            key: under which it is kept.
            on_change: what to do if the flow was declared differently when the run was begun.
        """
        super().__init__(instructions=_INSTRUCTIONS, chat_ctx=chat_ctx)
        observers = tuple(observers)
        conductor = Conductor(
            self, flow.name, lambda: super(FlowTask, self).chat_ctx, summarizes=summarize_chat_ctx
        )
        # Without deps, D is None.
        typed = cast("Flow[D]", flow)
        conductor.prepare = lambda: typed.prepare(
            cast("D", deps),
            return_exceptions=return_exceptions,
            on_completed=on_completed,
            observers=[*observers, conductor.history, conductor.memory, conductor.record],
            journal=journal,
            key=key,
            on_change=on_change,
        )
        conductor.finish = super().complete
        conductor.is_stored = journal is not None
        self._conductor: Final = conductor

    def prepared(self) -> Run:
        """Give the run, to ask things of it: `task.prepared().answer(step, value)`.

        From then on no step can be added.

        Raises:
            FlowError: as `Flow.prepare`.
        """
        return self._conductor.run

    def go_back(self, *steps: AnyStep | str) -> None:
        """Ask for earlier steps again; see `Run.go_back`.

        Args:
            steps: the steps, or their ids.

        Raises:
            GoBackError: as `Run.go_back`.
            RunFinishedError: if the task has ended.
        """
        conductor = self._conductor
        # A request that is refused before the task has begun doesn't begin it.
        (conductor.run if conductor.has_begun else conductor.prepare()).go_back(*steps)

    @override
    def complete(self, result: TaskGroupResult | Exception) -> None:
        """End the task at once, with this instead of what it would give; see `AgentTask.complete`.

        It is `done()` when the step under way was left.

        Args:
            result: the result, or what whoever awaits the task gets raised.

        Raises:
            RuntimeError: if it has ended.
        """
        self._conductor.complete(result)

    @override
    def cancel(self) -> None:
        """End the task at once; whoever awaits it gets a `GroupStoppedError`."""
        self._conductor.stop("it was cancelled")

    @override
    def __await__(self) -> Generator[None, None, TaskGroupResult]:
        """Give its result.

        Raises:
            GroupStoppedError: if it ended before the flow was complete.
            Exception: what a step, a condition or `on_completed` raised.
        """
        # What an asyncio task gets of a coroutine: futures, and None.
        awaitable = cast("Generator[object, None, TaskGroupResult]", super().__await__())
        waiting = _GroupAwaiting(self, awaitable, self._conductor).result().__await__()
        return cast("Generator[None, None, TaskGroupResult]", waiting)

    @property
    @override
    def chat_ctx(self) -> ChatContext:
        """The conversation so far, with the function calls of its steps."""
        return self._conductor.record.completed(super().chat_ctx)

    @override
    async def update_chat_ctx(
        self, chat_ctx: ChatContext, *, exclude_invalid_function_calls: bool = True
    ) -> None:
        """Replace the conversation so far; see `Agent.update_chat_ctx`."""
        await super().update_chat_ctx(
            chat_ctx, exclude_invalid_function_calls=exclude_invalid_function_calls
        )
        self._conductor.record.forget()

    @override
    async def on_enter(self) -> None:
        """Run the flow."""
        await self._conductor.conduct()

    @override
    async def on_exit(self) -> None:
        """End the flow: another agent takes over, or the session closes."""
        self._conductor.stop("another agent has taken over, or the session closes")

    @override
    def llm_node(
        self, chat_ctx: ChatContext, tools: list[Tool], model_settings: ModelSettings
    ) -> _Said:
        """Leave what the user says between two steps to the next one; see `Agent.llm_node`.

        What the program itself asks for, such as a word of thanks in a callback, is said.
        """
        if self._conductor.turns.are_for_a_step(chat_ctx.items):
            return _silence()
        return super().llm_node(chat_ctx, tools, model_settings)


async def _silence() -> None:
    """Say nothing."""


@final
class _LeftError(BaseException):
    """Whoever awaits a group goes on before LiveKit is through."""


@final
class _GroupAwaiting(Awaiting[TaskGroupResult]):
    """Awaits a group."""

    def __init__(
        self,
        group: AgentTask[TaskGroupResult],
        awaitable: Generator[object, None, TaskGroupResult],
        conductor: Conductor,
    ) -> None:
        super().__init__(group, awaitable)
        self._conductor: Final = conductor
        self._is_lost = False

    @override
    async def result(self) -> TaskGroupResult:
        try:
            return await super().result()
        except _LeftError:
            ending = self._conductor.ending
        if isinstance(ending, TaskGroupResult):
            return ending
        raise self._cancelled or cast("Exception", ending)

    @override
    async def before_hand_back(self) -> None:
        floor = self._conductor.floor
        self._is_lost = floor is not None and floor.holder is not self.task

    @override
    async def _wait_for(self, future: asyncio.Future[object] | None) -> None:
        if self._is_lost:
            # LiveKit closes the agent that awaits the group, and waits for its tools before it lets
            # the group end. If one of these awaits the group, they would wait for each other.
            self._is_lost = False
            rest = asyncio.get_running_loop().create_task(self._rest(future))
            _rests.add(rest)
            rest.add_done_callback(_rests.discard)
            raise _LeftError
        await super()._wait_for(future)

    async def _rest(self, future: asyncio.Future[object] | None) -> None:
        with suppress(Exception):
            await self._wait_for(future)
            await self._undisturbed(self._awaitable)


# Held here, as asyncio holds tasks weakly. They end when the tool that awaited the group does.
_rests: Final[set[asyncio.Task[None]]] = set()
