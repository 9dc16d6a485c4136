"""What must not type-check. Each ignore is needed: an unused one is an error in both checkers."""

from __future__ import annotations

from reflow import (
    Done,
    Flow,
    IncludedStep,
    MemoryJournal,
    Outcome,
    Results,
    Run,
    Step,
    Visit,
)
from reflow.testing import Script

plain = Flow("plain")
with_deps = Flow[int]("with deps")


@plain.step("a")
async def a(visit: Visit) -> str:
    """Answer with a str."""
    visit.deps = None  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]  # read-only
    visit.number = 2  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]  # read-only
    return "a"


@with_deps.step("b")
async def b(visit: Visit[int]) -> int:
    """Answer with an int."""
    return visit.deps


def answers(run: Run) -> None:
    """Give answers of another type than the step's: `Step` is invariant."""
    run.answer(a, 1)  # type: ignore[misc]  # pyright: ignore[reportArgumentType]  # not a str
    run.answer(b, "1")  # type: ignore[misc]  # pyright: ignore[reportArgumentType]  # not an int
    run.go_back(1)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # no step
    wider: Step[object] = a  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # invariant
    run.answer(wider, 1)


async def missing() -> None:
    """Leave out the deps of a flow that has some, or give some of another type."""
    await with_deps.run()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # no deps
    with_deps.prepare()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # no deps
    with_deps.prepare("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # not an int
    plain.run()  # type: ignore[unused-coroutine]  # pyright: ignore[reportUnusedCoroutine]  # not awaited


async def keep() -> None:
    """Keep a run in what is no journal, or say something else than what to do on a change."""
    journal = MemoryJournal()
    await plain.run(journal="intake.db", key="a")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]  # no journal
    await plain.run(journal=journal, key=42)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]  # no str
    plain.prepare(journal=journal, key="a", on_change="ask")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]  # neither


@plain.step("c")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # another flow's visit
async def c(visit: Visit[int]) -> int:
    """Take a visit of a flow with other deps."""
    return visit.deps


@plain.step("d")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # not async
def d(visit: Visit) -> int:
    """Answer without being async."""
    return 1


def check(value: int) -> int:
    """Validate an int."""
    return value


@plain.step("e", validate=check)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a str, not an int
async def e(visit: Visit) -> str:
    """Answer with a type that `validate` isn't made for."""
    return "e"


def offer(run: Run) -> None:
    """Change a tool, or ask for it in the form of nobody."""
    for tool in run.tools():
        tool.name = "back"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]  # read-only
        tool.as_openai(api="completions")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # no such form


def read(results: Results, outcome: Outcome[str]) -> None:
    """Take an answer for what it isn't, or an outcome for an answer."""
    number: int = results[a]  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # a str
    text: str = results.get(a)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # or None
    print(outcome.value)  # type: ignore[union-attr]  # pyright: ignore[reportAttributeAccessIssue,reportUnknownMemberType,reportUnknownArgumentType]  # not only Done
    results["a"]  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType,reportCallIssue]  # no step
    if isinstance(outcome, Done):
        outcome.value = "b"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]  # frozen
    print(number, text)


def count(results: Results) -> int:
    """Build an answer."""
    return len(results)


included = with_deps.include(plain, "i", id="i", build=count)
text: Step[str] = included  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # its type is what is built
deeper: Step[int] = included.at(a)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # of another type
plain.include(with_deps, "n", id="n", build=count)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # needs deps
plain.include(with_deps, "o", id="o", build=count, deps=lambda _: "x")  # type: ignore[arg-type, return-value]  # pyright: ignore[reportArgumentType, reportCallIssue]  # other deps
with_deps.include(plain, "p", id="p", build=lambda step: step.id)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownLambdaType, reportUnknownMemberType]  # results
IncludedStep[int]().at("a")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # no step
Script().answer(a, 1)  # type: ignore[misc]  # pyright: ignore[reportArgumentType]  # not a str
