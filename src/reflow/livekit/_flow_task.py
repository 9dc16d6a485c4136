"""A flow as an agent task."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, Generic, TypeVar, cast, final, overload

import anyio
from livekit.agents import NOT_GIVEN, AgentTask, ChatContext
from typing_extensions import override

from reflow import Flow, FlowError, RunStoppedError

from ._awaiting import Awaiting
from ._context import History, calls_since, told
from ._floor import Floor, StepAwaiting
from ._result import GroupStoppedError, TaskGroupResult, make_result
from ._steering import tools_of
from ._summary import summarized

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable

    from livekit.agents import FunctionTool, ModelSettings, NotGivenOr
    from livekit.agents.llm import Tool

    from reflow import AnyStep, Journal, Observer, OnChange, OnCompleted, Run

T = TypeVar("T")
D = TypeVar("D")

_log: Final = logging.getLogger("reflow.livekit")
_group: Final[ContextVar[FlowTask[object] | None]] = ContextVar("reflow.livekit group")

_INSTRUCTIONS: Final = "You lead the user through several tasks; at the moment the next one begins."


class FlowTask(AgentTask[TaskGroupResult], Generic[D]):
    """Runs a flow inside an `AgentSession`: await it like any agent task."""

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
        flow: Flow[D],
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
        super().__init__(instructions=_INSTRUCTIONS, chat_ctx=chat_ctx)
        self._flow: Final = flow
        self._summarize: Final = summarize_chat_ctx
        self._history: Final = History()

        def prepare() -> Run:
            return flow.prepare(
                cast("D", deps),
                return_exceptions=return_exceptions,
                on_completed=on_completed,
                observers=[*observers, self._history],
                journal=journal,
                key=key,
                on_change=on_change,
            )

        self._make_run: Final = prepare
        self._run: Run | None = None
        self._scope: Final = anyio.CancelScope()
        self._stopped: str | None = None
        self._floor: Floor | None = None
        self._ending: TaskGroupResult | Exception | None = None
        self._step: tuple[AgentTask[object], str | None] | None = None
        self._heard: str | None = None

    def run_of(self) -> Run:
        if self._run is None:
            self._run = self._make_run()
        return self._run

    def go_back(self, *steps: AnyStep | str) -> None:
        self.run_of().go_back(*steps)

    @property
    @override
    def chat_ctx(self) -> ChatContext:
        """The conversation so far, with the function calls of the steps."""
        context = super().chat_ctx
        if self._step is None or not self._step[0].done():
            return context
        # LiveKit takes over what is said in a step when its task hands back, but no calls: it reads
        # this property then.
        task, last = self._step
        calls = calls_since(task.chat_ctx.items, last)
        if calls:
            context = ChatContext([*context.items])
            context.insert(calls)
        return context

    @override
    def cancel(self) -> None:
        self._stop("it was cancelled")

    def _stop(self, why: str) -> None:
        if self.done():
            return
        if self._stopped is None:
            self._stopped = why
        self._scope.cancel()
        if self._floor is None:
            self.complete(self._stopped_error())

    def _stopped_error(self) -> GroupStoppedError:
        why = self._stopped or "it was cancelled"
        active = self.run_of().active
        at = "" if active is None else f" at step {active.id!r}"
        message = f"the task group of flow {self._flow.name!r} was stopped{at}: {why}"
        return GroupStoppedError(message, why, make_result(self.run_of()))

    @override
    def __await__(self) -> Generator[None, None, TaskGroupResult]:
        # A coroutine of asyncio yields futures, or None.
        awaitable = cast("Generator[object, None, TaskGroupResult]", super().__await__())
        waiting = _GroupAwaiting(self, awaitable).result().__await__()
        return cast("Generator[None, None, TaskGroupResult]", waiting)

    @override
    async def on_enter(self) -> None:
        if self.done():
            return
        run = self.run_of()
        _group.set(self)
        self._floor = Floor(self, self.session)
        try:
            with self._floor, self._scope:
                await run.drive()
                result = make_result(run)
                if self._summarize:
                    await self._summarized(result)
                self._ending = result
        except RunStoppedError as error:
            self._stopped = error.reason
            self._ending = self._stopped_error()
            self._ending.__cause__ = error
        except Exception as error:  # noqa: BLE001 - raised to whoever awaits the group
            self._ending = error
        finally:
            if self._ending is None:
                self._ending = self._stopped_error()
            if not self.done():
                self.complete(self._ending)

    async def _summarized(self, result: TaskGroupResult) -> None:
        try:
            await summarized(self)
        except Exception as error:
            _log.exception("the conversation of %r could not be summarized", self._flow)
            result._summary_failure = error

    @override
    async def on_exit(self) -> None:
        self._stop("another agent has taken over, or the session closes")

    @override
    async def llm_node(
        self, chat_ctx: ChatContext, tools: list[Tool], model_settings: ModelSettings
    ) -> None:
        """Say nothing between two steps: the next one answers what the user says."""

    async def run_step(self, task: AgentTask[T]) -> T:
        floor = self._floor
        assert floor is not None
        visit = self.run_of().visit
        assert visit is not None
        if await floor.is_closing():
            await self._leave("the session is closing")
        runs = [self.run_of(), *(f.group.run_of() for f in floor.around())]
        await task.update_tools([*task.tools, *tools_of(runs)])
        await task.update_chat_ctx(told(self.chat_ctx, self._history.note(visit)))
        items = task.chat_ctx.items
        given = task.chat_ctx.copy() if visit.step.sensitive else None
        self._step = task, items[-1].id if items else None
        awaiting = StepAwaiting(task, task.__await__(), floor, given)
        try:
            return await awaiting.result()
        except Exception:
            if floor.is_lost():
                await self._leave("another agent has taken over")
            if await floor.is_closing():
                await self._leave("the session is closing")
            raise
        finally:
            self._step = None

    async def _leave(self, why: str) -> None:
        self._stop(why)
        await anyio.sleep_forever()


@final
class _Left(BaseException):
    """Whoever awaits a group goes on before LiveKit has done all it does then."""


@final
class _GroupAwaiting(Awaiting[TaskGroupResult]):
    def __init__(self, group: FlowTask[D], awaitable: Generator[object, None, TaskGroupResult]) -> None:
        super().__init__(group, awaitable)
        self._group: Final = group
        self._is_lost = False

    async def result(self) -> TaskGroupResult:
        try:
            return await super().result()
        except _Left:
            pass
        ending = self._group._ending
        assert ending is not None
        if isinstance(ending, Exception):
            raise self._cancelled or ending
        return ending

    async def _wait_for(self, future: asyncio.Future[object] | None) -> None:
        if self._is_lost and self._is_handing_back:
            task = asyncio.get_running_loop().create_task(self._rest(future))
            _rests.add(task)
            task.add_done_callback(_rests.discard)
            raise _Left
        await super()._wait_for(future)

    async def _rest(self, future: asyncio.Future[object] | None) -> None:
        self._is_lost = False
        with suppress(Exception):
            await self._wait_for(future)
            await self._undisturbed(self._awaitable)

    async def before_hand_back(self) -> None:
        floor = self._group._floor
        self._is_lost = floor is not None and floor.session.current_agent is not self.task


_rests: Final[set[asyncio.Task[None]]] = set()


async def run_task(task: AgentTask[T]) -> T:
    group = _group.get()
    if group is None:
        raise FlowError("run_task must be called by a step of a FlowTask or TaskGroup")
    return await group.run_step(task)
