"""Declaring flows and steps; what may not be constructed; what the package shows."""

from __future__ import annotations

import functools
import inspect
import pickle
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from support import add, answering

import reflow
from reflow import (
    AnyStep,
    Done,
    Failed,
    Flow,
    FlowError,
    GoBackError,
    Pending,
    Results,
    Run,
    Skipped,
    Step,
    StepNotDoneError,
    Visit,
)

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def plain(visit: Visit) -> str:
    """Answer."""
    return answering(visit)


def test_a_step_shows_what_was_declared() -> None:
    """The id defaults to the function's name; every option can be read."""
    flow = Flow("f")
    first = flow.step("the first")(plain)
    step = flow.step(
        "the second",
        id="second",
        depends_on=[first],
        when=lambda _: True,
        always_ask=True,
        point_of_no_return=True,
        revisitable=False,
        optional=True,
        sensitive=True,
        model_may_answer=True,
    )(plain)
    assert (first.id, first.description, first.depends_on) == ("plain", "the first", ())
    assert (step.id, step.description, step.depends_on) == ("second", "the second", (first,))
    options = ("always_ask", "point_of_no_return", "optional", "sensitive", "model_may_answer")
    assert [getattr(step, name) for name in options] == [True] * 5
    assert [getattr(first, name) for name in options] == [False] * 5
    assert (step.revisitable, first.revisitable) == (False, True)
    assert (step.conditional, first.conditional) == (True, False)
    assert flow.steps == (first, step)
    assert flow.name == "f"
    assert repr(step) == "<Step 'second' of flow 'f'>"
    assert repr(flow) == "<Flow 'f': plain, second>"


def test_all_faults_of_a_declaration_are_told_at_once() -> None:
    """And the flow is as it was: a faulty step is not half declared."""
    flow, other = Flow("f"), Flow("g")
    foreign = add(other, "x")
    add(flow, "a")

    def not_async(visit: Visit) -> str:
        raise AssertionError

    async def asynchronous(_: object) -> bool:
        raise AssertionError

    with pytest.raises(FlowError) as info:
        flow.step(
            " ",
            id="a",
            depends_on=[foreign, "a"],  # type: ignore[list-item]  # all of this is wrong
            when=asynchronous,  # type: ignore[arg-type]  # as above
            validate=asynchronous,
        )(not_async)  # type: ignore[arg-type]  # as above
    text = str(info.value)
    for fault in (
        "its function must be an `async def`",
        "its id is taken by an earlier step",
        "its description is empty",
        "depends_on names <Step 'x' of flow 'g'>, which is not a step of this flow declared before",
        "depends_on names 'a', which is not a step",
        "when= must be a plain function, not an async one",
        "validate= must be a plain function, not an async one",
    ):
        assert f"step 'a' of flow 'f': {fault}" in text
    assert text.startswith("several faults:\n  - ")
    assert [step.id for step in flow.steps] == ["a"]


async def unannotated(visit: Visit):  # type: ignore[no-untyped-def]  # noqa: ANN201 - the point
    """Say nothing of its type."""


def test_the_return_annotation_is_required() -> None:
    """It is the step's type; one fault is told in one line."""
    with pytest.raises(FlowError) as info:
        Flow("f").step("a")(unannotated)
    assert str(info.value) == (
        "step 'unannotated' of flow 'f': its function needs a return annotation: "
        "it is the step's type"
    )


def test_a_forgotten_call_is_told() -> None:
    """`@flow.step` without parentheses would silently declare nothing."""
    flow = Flow("f")
    with pytest.raises(
        FlowError, match=r"flow 'f': write @flow\.step\(\"what the step is about\"\)"
    ):
        flow.step(plain)  # type: ignore[call-overload]  # it is wrong


def test_what_is_no_step_is_refused_as_a_target() -> None:
    """A list, or None, is an easy mistake; like every bad target it is told with its reason."""
    flow = Flow("f")
    a = add(flow, "a")
    run = flow.prepare()
    with pytest.raises(GoBackError) as info:
        run.jump_ahead([a], None)  # type: ignore[arg-type]  # it is wrong
    assert info.value.refused == {"[<Step 'a' of flow 'f'>]": "not a step", "None": "not a step"}


@pytest.mark.parametrize("depends_on", [7, "ab"])
def test_depends_on_must_be_steps(depends_on: object) -> None:
    """A single step, or ids, are easy mistakes."""
    flow = Flow("f")
    with pytest.raises(FlowError, match="depends_on"):
        flow.step("a", depends_on=depends_on)(plain)  # type: ignore[call-overload]  # it is wrong


def test_an_id_must_not_be_empty() -> None:
    """Something without a name needs to be given one."""

    class Callable_:  # noqa: N801 - next to `Callable`
        async def __call__(self, visit: Visit) -> str:
            raise AssertionError

    with pytest.raises(FlowError, match="its id is empty"):
        Flow("f").step("a", id="")(plain)
    with pytest.raises(
        FlowError, match=r"its function must be an `async def`[\s\S]*its id is empty"
    ):
        Flow("f").step("a")(Callable_())


class Wizard:
    """Steps that are methods."""

    flow = Flow("wizard")

    @flow.step("a static one")
    @staticmethod
    async def static(visit: Visit) -> int:
        """Answer."""
        return visit.number

    def __init__(self) -> None:
        """Declare a bound method as a step."""
        self.mine = Flow("mine")
        self.name = self.mine.step("the name", id="name")(self._name)
        self.same = self.mine.step("the name again")(self._name)

    async def _name(self, visit: Visit) -> str:
        return f"{type(self).__name__} {visit.step.id}"


@pytest.mark.anyio
async def test_methods_can_be_steps() -> None:
    """Bound methods and static methods, as the flow of a class has them."""
    wizard = Wizard()
    results = await wizard.mine.run()
    assert (results[wizard.name], results[wizard.same]) == ("Wizard name", "Wizard _name")
    assert (await Wizard.flow.run())[Wizard.static] == 1


@pytest.mark.anyio
async def test_a_partial_can_be_a_step() -> None:
    """The same function for several steps, with something bound."""
    flow = Flow("f")

    async def ask(question: str, visit: Visit) -> str:
        return f"{question} {visit.step.id}"

    a = flow.step("a", id="a")(functools.partial(ask, "who?"))
    assert (await flow.run())[a] == "who? a"


@pytest.mark.anyio
async def test_deps_reach_the_steps() -> None:
    """What is given to `run` is what `visit.deps` is."""
    flow = Flow[list[str]]("f")

    @flow.step("a")
    async def a(visit: Visit[list[str]]) -> str:
        assert visit.run.active is visit.step is a
        return visit.deps[0]

    assert (await flow.run(["x"]))[a] == "x"
    assert (await flow.prepare(["y"]).drive())[a] == "y"


@pytest.mark.anyio
async def test_a_step_declared_later_is_not_part_of_a_prepared_run() -> None:
    """A run has the steps its flow had when it was prepared."""
    flow = Flow("f")
    a = add(flow, "a")
    run = flow.prepare()
    b = add(flow, "b")
    results = await run.drive()
    assert list(results) == [a]
    with pytest.raises(FlowError, match="not a step of this run"):
        results[b]
    assert list(await flow.run()) == [a, b]


@pytest.mark.anyio
async def test_results_are_iterated_in_flow_order() -> None:
    """Whatever order the steps ran in; only what has an answer is there."""
    flow = Flow("f")
    a, b = add(flow, "a"), add(flow, "b")
    c = flow.step("c", id="c", when=lambda _: False)(plain)
    d = add(flow, "d")
    run = flow.prepare()
    run.jump_ahead(d, b)
    assert (len(run.results), list(run.results)) == (0, [])
    results = await run.drive()
    assert list(results) == [a, b, d]
    assert len(results) == 3
    assert [step in results for step in (a, b, c, d)] == [True, True, False, True]
    assert [results[step] for step in results] == ["a1", "b1", "d1"]
    assert repr(results) == "<Results of 'f': a: done, b: done, c: skipped, d: done>"


@pytest.mark.anyio
async def test_an_answer_may_be_none_or_false() -> None:
    """Falsy answers are answers."""
    flow = Flow("f")

    @flow.step("a")
    async def a(visit: Visit) -> None:
        assert visit.get(a, "default") == "default"

    results = await flow.run()
    assert a in results
    assert results.outcome(a) == Done(None)
    assert results.get(a, "default") is None


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Run, r"flow\.prepare"),
        (Visit, "made by its run"),
        (Results, r"flow\.run"),
        (Step, r"flow\.step"),
        (AnyStep, r"flow\.step"),
    ],
)
def test_what_users_must_not_construct_refuses_it(kind: type[object], message: str) -> None:
    """And says what to use instead."""
    with pytest.raises(TypeError, match=message):
        kind()


@pytest.mark.anyio
async def test_reprs_say_where_things_stand() -> None:
    """What a person sees in a debugger or a log."""
    flow = Flow("f")
    texts: list[str] = []

    async def act(visit: Visit) -> str:
        texts.extend([repr(visit), repr(visit.run)])
        return answering(visit)

    add(flow, "a", act)
    run = flow.prepare()
    assert repr(run) == "<Run of flow 'f': prepared>"
    await run.drive()
    assert texts == ["<Visit 1 of step 'a' of flow 'f'>", "<Run of flow 'f': running, at step 'a'>"]
    assert repr(run) == "<Run of flow 'f': completed>"
    assert repr(Done(1)) == "Done(value=1)"
    assert repr(Failed(ValueError(1))) == "Failed(exception=ValueError(1))"
    secret = Failed(ValueError(1), sensitive=True)
    assert repr(secret) == "Failed(exception=<ValueError, sensitive>)"
    assert repr(Skipped()) == "Skipped()"


def test_outcomes_compare_by_what_they_tell() -> None:
    """Equal if they are of one kind and tell the same; whether it is a secret is no part of it."""
    assert Done(1) == Done(1, sensitive=True)
    assert hash(Done(1)) == hash(Done(1, sensitive=True))
    assert Done(1) != Done(2)
    assert Skipped() == Skipped()
    assert Skipped() not in (Pending(), 1)


def test_errors_survive_pickling() -> None:
    """They cross process boundaries in job queues and test runners."""
    error = pickle.loads(pickle.dumps(GoBackError("no", {"a": "unknown"})))
    assert (str(error), error.refused) == ("no", {"a": "unknown"})
    assert issubclass(StepNotDoneError, LookupError)


def test_the_public_names() -> None:
    """`__all__` is sorted, complete, and its classes show as reflow.X."""
    public = vars(reflow).items()
    names = [n for n, thing in public if not (n.startswith("_") or inspect.ismodule(thing))]
    assert reflow.__all__ == sorted(reflow.__all__)
    assert set(reflow.__all__) == set(names)
    for name in names:
        thing: object = getattr(reflow, name)
        if inspect.isclass(thing):
            assert thing.__module__ == "reflow"
            assert thing.__doc__


def test_the_import_loads_no_more_than_it_needs() -> None:
    """No extra, no event loop and no logging: they are imported when they are used."""
    code = """
import sys, anyio, attrs
before = {*sys.modules}
import reflow
print(*sys.modules.keys() - before)
"""
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()
    others = {name.split(".")[0] for name in loaded} - sys.stdlib_module_names
    assert others == {"reflow"}
    assert {"asyncio", "logging", "uuid", "reflow.demo", "reflow.__main__"}.isdisjoint(loaded)


def test_annotations_of_a_step_are_not_evaluated() -> None:
    """A type that exists only for type checkers is fine at run time."""
    flow = Flow("f")

    async def later(visit: Visit) -> Callable[[], Awaitable[None]]:
        raise AssertionError

    assert flow.step("a")(later).id == "later"
