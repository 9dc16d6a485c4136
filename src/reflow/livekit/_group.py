"""A task group with the interface of LiveKit's."""

from __future__ import annotations

import inspect
from typing import (
    TYPE_CHECKING,
    Self,
    TypeAlias,
    TypeVar,
    cast,
    final,
    get_args,
    get_origin,
    overload,
)

import attrs
from livekit.agents import NOT_GIVEN, AgentTask
from typing_extensions import get_original_bases, get_type_hints

from reflow import Flow, FlowError, Visit

from ._conductor import run_task
from ._flow_task import FlowTask

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable

    from livekit.agents import ChatContext, NotGivenOr

    from reflow import AnyStep, Journal, Observer, OnChange, Results, Step, StepCompleted

    OnTaskCompleted: TypeAlias = "Callable[[TaskCompletedEvent], Coroutine[None, None, None]]"

T = TypeVar("T")


@final
@attrs.frozen
class TaskCompletedEvent:
    """A step of a task group is done."""

    agent_task: AgentTask[object]
    """The task that gave the result; of a step that is a plain function: the group."""
    task_id: str
    # It may be that of a sensitive step.
    result: object = attrs.field(repr=False)


class TaskGroup(FlowTask[None]):
    """Runs several agent tasks in order, and goes back to some of them when the user wants to.

    A drop-in for `livekit.agents.beta.workflows.TaskGroup`: await it in a tool, or in the
    `on_enter` of an agent.
    """

    def __init__(
        self,
        *,
        summarize_chat_ctx: bool = True,
        return_exceptions: bool = False,
        chat_ctx: NotGivenOr[ChatContext] = NOT_GIVEN,
        on_task_completed: OnTaskCompleted | None = None,
        observers: Iterable[Observer] = (),
        journal: Journal | None = None,
        key: str | None = None,
        on_change: OnChange = "refuse",
    ) -> None:
        """Begin a group without steps.

        Args:
            summarize_chat_ctx: replace all that was said by a summary when the group is done.
            return_exceptions: collect failures in `result.exceptions` (and, of steps, in
                `result.task_results`) and go on, instead of ending with the first one.
            chat_ctx: the conversation so far.
            on_task_completed: an async function that is called with a `TaskCompletedEvent` after
                every completed visit, before the next step begins.
            observers: plain functions that are told of every event; see `Flow.prepare`, as for
                all that follow.
            journal: where the run is kept.
            key: under which it is kept.
            on_change: what to do if the group was declared differently when the run was begun.
        """
        self._declared: Flow[None] = Flow("task_group")
        self._on_task_completed = on_task_completed
        # By id: the task of the latest visit.
        self._tasks: dict[str, AgentTask[object]] = {}
        super().__init__(
            self._declared,
            summarize_chat_ctx=summarize_chat_ctx,
            return_exceptions=return_exceptions,
            chat_ctx=chat_ctx,
            on_completed=None if on_task_completed is None else self._tell,
            observers=observers,
            journal=journal,
            key=key,
            on_change=on_change,
        )

    async def _tell(self, event: StepCompleted) -> None:
        task = self._tasks.get(event.step, cast("AgentTask[object]", self))
        on_task_completed = cast("OnTaskCompleted", self._on_task_completed)
        await on_task_completed(TaskCompletedEvent(task, event.step, event.value))

    def add(self, task_factory: Callable[[], AgentTask[T]], *, id: str, description: str) -> Self:
        """Add a step, and return the group; see `step`, which gives a typed key instead.

        Args:
            task_factory: makes the task of each visit.
            id: unique in the group.
            description: what the step is about, read by language models. As in LiveKit's group it
                may be empty: the id stands for it.

        Raises:
            FlowError: as `step`.
        """
        self.step(task_factory, id=id, description=description or id)
        return self

    @overload
    def step(
        self,
        task_factory: Callable[[], AgentTask[T]],
        *,
        id: str,
        description: str,
        depends_on: Iterable[AnyStep] = (),
        when: Callable[[Results], bool] | None = None,
        always_ask: bool = False,
        point_of_no_return: bool = False,
        revisitable: bool = True,
        optional: bool = False,
        sensitive: bool = False,
        validate: Callable[[T], T] | None = None,
        model_may_answer: bool = False,
    ) -> Step[T]: ...
    @overload
    def step(
        self,
        task_factory: Callable[[Visit[None]], Awaitable[T]],
        *,
        id: str,
        description: str,
        depends_on: Iterable[AnyStep] = (),
        when: Callable[[Results], bool] | None = None,
        always_ask: bool = False,
        point_of_no_return: bool = False,
        revisitable: bool = True,
        optional: bool = False,
        sensitive: bool = False,
        validate: Callable[[T], T] | None = None,
        model_may_answer: bool = False,
    ) -> Step[T]: ...
    def step(
        self,
        task_factory: Callable[[], AgentTask[T]] | Callable[[Visit[None]], Awaitable[T]],
        *,
        id: str,
        description: str,
        depends_on: Iterable[AnyStep] = (),
        when: Callable[[Results], bool] | None = None,
        always_ask: bool = False,
        point_of_no_return: bool = False,
        revisitable: bool = True,
        optional: bool = False,
        sensitive: bool = False,
        validate: Callable[[T], T] | None = None,
        model_may_answer: bool = False,
    ) -> Step[T]:
        """Declare the next step.

        Args:
            task_factory: makes the task of each visit, a new one each time: the class of the tasks,
                a `lambda`, a function. Or an async function that gets the `Visit` and is the step
                itself; where it talks with the user, it does so with `run_task`.
            id: unique in the group.
            description: what the step is about, read by people and by language models.
            depends_on: steps declared before; when the outcome of one of them changes, this step
                runs again.
            when: a pure function of the results that says whether the step is wanted; see
                `Flow.step`.
            always_ask: run the step again whenever the outcome of any step before it changes.
            point_of_no_return: once done, the step and all before it are closed.
            revisitable: whether the step may be gone back to.
            optional: whether it may be skipped; the model gets a tool `skip`.
            sensitive: keep the result, and what is said and called in the step, out of every text,
                the group's conversation and its summary.
            validate: applied to results given from outside: returns the value to keep or raises
                `ValueError`.
            model_may_answer: whether the model may give the result by a tool `answer`, whichever
                step is under way. The type of the result is read from the class of the tasks, or
                from what the factory is annotated to return.

        Returns:
            The typed key of the result.

        Raises:
            FlowError: naming everything that is wrong with the declaration; if the group has
                begun; if the model may answer, and nothing says the type of the result.
        """
        if self._conductor.has_begun:
            raise FlowError(f"step {id!r}: the task group has begun, nothing can be added")
        if inspect.iscoroutinefunction(task_factory):
            function = cast("Callable[[Visit[None]], Awaitable[T]]", task_factory)
        else:
            function = self._asking(task_factory, id)
            if model_may_answer and function.__annotations__["return"] is object:
                raise FlowError(
                    f"step {id!r}: model_may_answer=True needs the type of its result; annotate "
                    "what the factory returns, or give the class of its tasks"
                )
        declare = self._declared.step(
            description,
            id=id,
            depends_on=depends_on,
            when=when,
            always_ask=always_ask,
            point_of_no_return=point_of_no_return,
            revisitable=revisitable,
            optional=optional,
            sensitive=sensitive,
            validate=cast("Callable[[T], T]", validate),
            model_may_answer=model_may_answer,
        )
        return declare(function)

    def _asking(
        self,
        task_factory: Callable[[], AgentTask[T]] | Callable[[Visit[None]], Awaitable[T]],
        id: str,
    ) -> Callable[[Visit[None]], Awaitable[T]]:
        takes_visit = _takes_visit(task_factory)

        async def ask(visit: Visit[None]) -> T:
            if takes_visit:
                made = cast("Callable[[Visit[None]], Awaitable[T]]", task_factory)(visit)
                if not isinstance(made, AgentTask):
                    return await made
                task: AgentTask[T] = made
            else:
                task = cast("Callable[[], AgentTask[T]]", task_factory)()
            self._tasks[id] = cast("AgentTask[object]", task)
            return await run_task(task)

        ask.__annotations__["return"] = _result_type(task_factory)
        return ask


def _takes_visit(task_factory: Callable[[], object] | Callable[[Visit[None]], object]) -> bool:
    """Say whether a factory takes the visit: whether there is something that it must be given."""
    try:
        parameters = inspect.signature(task_factory).parameters.values()
    except ValueError:
        # It is written in another language.
        return False
    return any(
        parameter.default is parameter.empty
        and parameter.kind in {parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD}
        for parameter in parameters
    )


def _result_type(made_by: object) -> object:
    """Give the type of what the tasks of a factory are completed with; object if nobody says."""
    made: object = get_origin(made_by) or made_by
    if not isinstance(made, type):
        try:
            hint = get_type_hints(made_by).get("return")
        except Exception:  # noqa: BLE001 - whatever its annotations are, they don't say it
            return object
        return object if hint is None else _result_type(hint)
    if made is AgentTask:
        (result,) = get_args(made_by) or (object,)
        return result
    for base in get_original_bases(made):
        origin = get_origin(base) or base
        if isinstance(origin, type) and issubclass(origin, AgentTask):
            # What its own type parameters stand for, passed on to the base.
            known = dict(zip(_parameters(made), get_args(made_by), strict=False))
            wanted = _parameters(base) if origin is not base else ()
            return _result_type(
                base[tuple(known.get(p, object) for p in wanted)] if wanted else base
            )
    return object


def _parameters(generic: object) -> tuple[object, ...]:
    return cast("tuple[object, ...]", getattr(generic, "__parameters__", ()))
