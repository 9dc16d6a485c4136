"""What the type checkers must say of correct code. Checked by mypy and pyright, never run."""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable
from typing import assert_never, assert_type

import anyio
from opentelemetry.trace import Tracer

from reflow import (
    AnyStep,
    Done,
    Event,
    Failed,
    Flow,
    GoBackError,
    IncludedStep,
    Journal,
    JournalRow,
    LoggingObserver,
    MemoryJournal,
    Observer,
    Outcome,
    Pending,
    Reason,
    Results,
    Run,
    RunState,
    RunStoppedError,
    Skipped,
    Step,
    StepCompleted,
    StepDecorator,
    StepEntered,
    StepState,
    StoredRun,
    Tool,
    ToolCallError,
    Visit,
)
from reflow.diagram import mermaid
from reflow.journal import PostgresJournal, SQLiteJournal, open_journal
from reflow.otel import Tracing
from reflow.router import Router
from reflow.testing import Drive, Recorder, Script, check_flow, check_journal, drive
from reflow.timeline import svg


class Console:
    """Some dependency of steps."""

    async def ask(self, question: str) -> str:
        """Ask."""
        raise NotImplementedError


class Plan(enum.Enum):
    """Some choice."""

    SINGLE = 1
    FAMILY = 2


intake = Flow[Console]("intake")
assert_type(intake, Flow[Console])
assert_type(intake.step("x"), StepDecorator[Console])


@intake.step("the caller's full name")
async def name(visit: Visit[Console]) -> str:
    """Read everything a visit has."""
    assert_type(visit.deps, Console)
    assert_type(visit.number, int)
    assert_type(visit.reason, Reason)
    assert_type(visit.step, AnyStep)
    assert_type(visit.run, Run)
    assert_type(visit.idempotency_key, str)
    assert_type(visit.draft(list[int]), list[int])
    return await visit.deps.ask("Your name?")


assert_type(name, Step[str])


@intake.step("the insurance plan", depends_on=[name])
async def plan(visit: Visit[Console]) -> Plan:
    """Read another step, and what there was before."""
    assert_type(visit[name], str)
    assert_type(visit.get(name), str | None)
    assert_type(visit.get(name, 0), str | int)
    assert_type(visit.get(plan), Plan | None)
    seen: list[object] = []
    seen.append(visit.get(name))
    return Plan.SINGLE


@intake.step("the family members", when=lambda r: r[plan] is Plan.FAMILY, optional=True)
async def members(visit: Visit[Console]) -> list[str]:
    """Leave the visit in each way that never returns; no `return` is missing."""
    match visit.number:
        case 1:
            await visit.go_back(plan, "name")
        case 2:
            visit.skip()
        case _:
            visit.stop("enough")


def valid(value: int) -> int:
    """Validate."""
    return value


@intake.step("a number", validate=valid)
async def number(visit: Visit[object]) -> int:
    """Take a visit with less than this flow has: `Visit` is covariant."""
    return 1


assert_type(number, Step[int])


class Wizard:
    """Steps as methods."""

    flow = Flow("wizard")

    @flow.step("a static one")
    @staticmethod
    async def static(visit: Visit) -> int:
        """Take a visit without deps."""
        assert_type(visit.deps, None)
        return 1

    def __init__(self) -> None:
        """Declare a bound method."""
        self.name = self.flow.step("the name", id="name")(self._name)
        assert_type(self.name, Step[str])

    async def _name(self, visit: Visit[None]) -> str:
        raise NotImplementedError


assert_type(Wizard.static, Step[int])
assert_type(Flow("no deps"), Flow[None])
assert_type(intake.name, str)
assert_type(intake.steps, tuple[AnyStep, ...])


def told(outcome: Outcome[Plan]) -> str:
    """Narrow an outcome until nothing is left."""
    match outcome:
        case Done(value):
            assert_type(value, Plan)
            return value.name
        case Failed(exception):
            assert_type(exception, Exception)
            return str(exception)
        case Skipped():
            return "skipped"
        case Pending(state):
            assert_type(state, StepState)
            return state.value
        case _:
            assert_never(outcome)


def read(results: Results, any_step: AnyStep) -> None:
    """Read results by step."""
    assert_type(results[name], str)
    assert_type(results[plan], Plan)
    assert_type(results.get(members), list[str] | None)
    assert_type(results.get(number, "none"), int | str)
    assert_type(results.outcome(plan), Outcome[Plan])
    assert_type(results.exceptions, ExceptionGroup[Exception] | None)
    assert_type(results[any_step], object)
    assert_type(results.get(any_step), object)
    assert_type(results.outcome(any_step), Outcome[object])
    assert_type(name in results, bool)
    assert_type(len(results), int)
    for step in results:
        assert_type(step, AnyStep)
    results.raise_exceptions()


async def log(event: StepCompleted) -> None:
    """Be called back."""
    assert_type(event.step, str)
    assert_type(event.value, object)


def observe(event: Event) -> None:
    """Observe."""


async def use() -> None:
    """Run, prepare and control."""
    console = Console()
    assert_type(await intake.run(console), Results)
    assert_type(await Flow("no deps").run(), Results)
    kept: list[Event] = []
    observers: list[Observer] = [observe, LoggingObserver(), kept.append]
    run = intake.prepare(console, return_exceptions=True, on_completed=log, observers=observers)
    assert_type(run, Run)
    assert_type(Flow("no deps").prepare(), Run)
    async with anyio.create_task_group() as tg:
        tg.start_soon(run.drive)
    run.go_back(name, "plan")
    run.jump_ahead(name, "plan")
    run.retake()
    run.answer(name, "Ada")
    run.answer(plan, Plan.FAMILY)
    run.skip(members)
    run.stop("enough")
    assert_type(run.steps, tuple[AnyStep, ...])
    assert_type(run.results, Results)
    assert_type(run.active, AnyStep | None)
    assert_type(run.detour, tuple[AnyStep, ...])
    assert_type(run.state, RunState)
    try:
        assert_type(await run.drive(), Results)
    except RunStoppedError as error:
        assert_type(error.reason, str)
        assert_type(error.results, Results)
    except GoBackError as error:
        assert_type(dict(error.refused), dict[str, str])


def offer(run: Run) -> list[str]:
    """Give a language model its tools."""
    assert_type(run.tools(), tuple[Tool, ...])
    results: list[str] = []
    for tool in run.tools(constant=True):
        assert_type(tool.name, str)
        assert_type(tool.description, str)
        assert_type(tool.schema, dict[str, object])
        assert_type(tool.as_openai(), dict[str, object])
        assert_type(tool.as_openai(api="responses"), dict[str, object])
        assert_type(tool.as_anthropic(), dict[str, object])
        assert_type(tool.as_gemini(), dict[str, object])
        try:
            results += [tool.call({"steps": ["name"]}), tool.call('{"step": "name"}')]
        except ToolCallError as error:
            results.append(str(error))
    return results


async def keep(journals: list[Journal]) -> None:
    """Keep runs in journals."""
    with SQLiteJournal("intake.db", synchronous="normal") as sqlite:
        journals.append(sqlite)
    journals += [MemoryJournal(), PostgresJournal("postgresql:///intake", patience=5)]
    journals.append(open_journal("sqlite:///intake.db"))
    for journal in journals:
        run = intake.prepare(Console(), journal=journal, key="call-42", on_change="keep")
        assert_type(run, Run)
        assert_type(await Flow("no deps").run(journal=journal, key="call-42"), Results)
        for stored in await journal.runs():
            assert_type(stored, StoredRun)
            assert_type(stored.state, RunState)
            assert_type(stored.active, str | None)
        for row in await journal.read("call-42"):
            assert_type(row, JournalRow)
        assert_type(svg(await journal.read("call-42")), str)
        assert_type(await journal.forget("call-42"), int)
    await check_journal(MemoryJournal)


address_flow = Flow("address")


@address_flow.step("the street")
async def street(visit: Visit) -> str:
    """Give a text."""
    return "Main Street"


@address_flow.step("the number", depends_on=[street])
async def house(visit: Visit) -> int:
    """Give a number."""
    assert_type(visit[street], str)
    return 7


def make_address(results: Results) -> tuple[str, int]:
    """Build the answer."""
    return results[street], results[house]


household = Flow[bytes]("household")
address = household.include(address_flow, "the address", id="address", build=make_address)
assert_type(address, IncludedStep[tuple[str, int]])
assert_type(address.at(house), Step[int])
assert_type(address.steps, tuple[AnyStep, ...])
home = intake.include(
    household,
    "the home",
    id="home",
    build=lambda results: results[address],
    deps=lambda console: repr(console).encode(),
    depends_on=[plan],
    when=lambda results: results[plan] is Plan.FAMILY,
    validate=lambda value: value,
    optional=True,
)
assert_type(home, IncludedStep[tuple[str, int]])
assert_type(home.at(address), IncludedStep[tuple[str, int]])
assert_type(home.at(address.at(street)), Step[str])
assert_type(home.at(address).at(street), Step[str])
own = intake.include(Flow[Console]("same deps"), "x", id="own", build=len)
assert_type(own, IncludedStep[int])


def included(run: Run, results: Results, steps: list[AnyStep]) -> None:
    """Use included steps as keys."""
    assert_type(results[home], tuple[str, int])
    assert_type(results[home.at(address.at(house))], int)
    assert_type(results.get(home.at(address.at(street))), str | None)
    run.answer(home, ("Main Street", 7))
    run.go_back(home, home.at(address), "home.address.street")
    assert_type([home.at(step) for step in steps], list[AnyStep])


async def watch(tracer: Tracer) -> None:
    """Draw and trace runs."""
    events: list[Event] = []
    observers: list[Observer] = [Tracing(), Tracing(tracer), events.append]
    run = intake.prepare(Console(), observers=observers)
    assert_type(mermaid(run, events=events), str)
    assert_type(mermaid(intake), str)
    assert_type(mermaid(Flow("no deps")), str)
    await Flow("no deps").run(observers=[Tracing()])


def generic(flow: Flow[Console], act: Callable[[Visit[Console]], Awaitable[bytes]]) -> None:
    """Declare in a plain call."""
    assert_type(flow.step("plain")(act), Step[bytes])


def route(run: Run) -> None:
    """Read free text; examples may be for steps of one type, and of several."""
    router = Router(intake, threshold=0.4)
    assert_type(router.route("my name is wrong", active=run.active), tuple[AnyStep, ...])
    assert_type(router.scores("my name is wrong", active=name), dict[AnyStep, float])
    run.go_back(*router.route("my name is wrong"))
    names: dict[AnyStep, list[str]] = {name: ["it is Eve"]}
    Router(intake, examples=names)
    Router(intake, examples={name: ["it is Eve"]})
    Router(intake, examples={name: ["it is Eve"], plan: ("the other one",)})
    Router(Flow("no deps"), examples={step: ["that"] for step in intake.steps})


async def walked(recorder: Recorder) -> None:
    """Test a flow."""
    script = Script().answer(name, "Ada", "Bob").go_back(plan, name).answer(plan, Plan.FAMILY)
    assert_type(script, Script)
    async with drive(intake, Console(), script=script, observers=[recorder]) as d:
        assert_type(d, Drive)
        assert_type(d.run, Run)
        assert_type(d.results, Results)
        assert_type(await d.at(name), StepEntered)
        assert_type(await d.finish(), Results)
    assert_type(d.events, Recorder)
    async with drive(Flow("no deps")) as other:
        assert_type(other, Drive)
    check_flow(intake, Console, answers={name: ["Ada"], plan: list(Plan)})
