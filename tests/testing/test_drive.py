"""Walking a run: to a step, to its end; and what is said where it doesn't get there."""

from __future__ import annotations

from typing import TYPE_CHECKING, final

import anyio
import pytest
from support import add, interrupted, never

from reflow import (
    Flow,
    FlowError,
    MemoryJournal,
    Reason,
    RunState,
    RunStoppedError,
    Skipped,
    StepAnswered,
    StepCompleted,
    StepEntered,
    Visit,
)
from reflow.testing import Drive, NotReachedError, Recorder, Script, ScriptError, drive

if TYPE_CHECKING:
    from reflow import Event, Run

pytestmark = pytest.mark.anyio


@final
class Person:
    """Is asked, and answers when the test says so."""

    def __init__(self) -> None:
        """Begin without a question."""
        self.answer = ""
        self._typed = anyio.Event()

    async def ask(self) -> str:
        """Wait for an answer."""
        self._typed = anyio.Event()
        await self._typed.wait()
        return self.answer

    def types(self, answer: str) -> None:
        """Answer the latest question."""
        self.answer = answer
        self._typed.set()


intake = Flow[Person]("intake")


@intake.step("the name")
async def name(visit: Visit[Person]) -> str:
    """Ask for the name."""
    return await visit.deps.ask()


@intake.step("the e-mail")
async def email(visit: Visit[Person]) -> str:
    """Ask for the e-mail."""
    return await visit.deps.ask()


@intake.step("the plan", depends_on=[email], optional=True)
async def plan(visit: Visit[Person]) -> str:
    """Ask for the plan."""
    return await visit.deps.ask()


async def test_a_walk() -> None:
    """From step to step, back, and to the end."""
    person = Person()
    async with drive(intake, person) as d:
        assert d.run.state is RunState.PREPARED
        visit = await d.at(name)
        assert visit == StepEntered("name", 1, Reason.FIRST)
        person.types("Ada")
        await d.at(email)
        person.types("ada@exmaple.org")
        await d.at("plan")
        d.run.go_back(email)
        assert (await d.at(email)).reason is Reason.REQUESTED
        assert d.results[name] == "Ada"
        person.types("ada@example.org")
        assert (await d.at(plan)).number == 2
        person.types("basic")
        results = await d.finish()
    assert results[email] == "ada@example.org"
    assert d.events.entered == ["name", "email", "plan", "email", "plan"]
    assert repr(d) == "<Drive of <Run of flow 'intake': completed>>"


async def test_answers_given_before_the_run_begins() -> None:
    """Nothing has happened when the block begins."""
    async with drive(intake, Person()) as d:
        d.run.answer(name, "Ada")
        await d.at(email)
        d.run.answer(plan, "basic")
        await d.at(email)
    assert [event.step for event in d.events.of(StepAnswered)] == ["name", "plan"]


async def test_a_run_that_isnt_over_is_cancelled_when_the_block_is_left() -> None:
    """But first everything happens that happens by itself."""
    person = Person()
    async with drive(intake, person) as d:
        await d.at(name)
        person.types("Ada")
    assert (d.run.state, d.events.entered) == (RunState.CANCELLED, ["name", "email"])


async def test_a_retake_isnt_reached_before_it_begins() -> None:
    """Asked for a step where it is about to be left, `at` waits for the next visit."""
    person = Person()
    async with drive(intake, person) as d:
        await d.at(name)
        d.run.retake()
        assert (await d.at(name)).number == 2


async def test_at_waits_until_a_shielded_visit_is_left() -> None:
    """Whatever it is interrupted by: a request, or an answer that it is based on."""
    flow = Flow("f")
    a = add(flow, "a")

    async def stubborn(visit: Visit) -> str:
        if visit.number == 3:
            await seen.wait()
            return "b"
        with anyio.CancelScope(shield=True):
            await anyio.sleep(0.01)
        return await interrupted()

    seen = anyio.Event()
    b = flow.step("b", id="b", depends_on=[a])(stubborn)
    async with drive(flow) as d:
        await d.at(b)
        d.run.answer(a, "another")
        assert (await d.at(b)).number == 2
        d.run.go_back(a)
        assert (await d.at(b)).number == 3
        seen.set()
        await d.finish()


async def test_time_passes_while_the_run_is_elsewhere() -> None:
    """A step that sleeps isn't where the run rests for good."""
    flow = Flow("f")

    async def sleepy(visit: Visit) -> str:
        await anyio.sleep(0.05)
        return "a"

    async def waiting(visit: Visit) -> str:
        return await interrupted()

    a, b = add(flow, "a", sleepy), add(flow, "b", waiting)
    async with drive(flow) as d:
        await d.at(b)
        assert d.results[a] == "a"


async def test_a_step_that_isnt_reached() -> None:
    """The error says where the run is, what it did, and how each step stands."""
    async with drive(intake, Person(), patience=0.05) as d:
        d.run.answer(name, "Ada")
        with pytest.raises(NotReachedError) as raised:
            await d.at(plan)
        d.run.jump_ahead(plan)
        first, *others = str(raised.value).splitlines()
        where = "it waits at step 'email', and nobody moves it"
        assert first == f"the run doesn't come to rest at step 'plan': {where}"
        assert others == [
            "<Results of 'intake': name: done, email: active, plan: pending>",
            "  RunStarted(flow='intake')",
            "  StepAnswered(step='name', value='Ada', changed=False)",
            "  StepEntered(step='email', number=1, reason=<Reason.FIRST: 'first'>)",
        ]
        match = "doesn't complete: it waits at step 'email'.*\nto come first: plan\n"
        with pytest.raises(NotReachedError, match=match):
            await d.finish()


async def test_a_run_that_waits_between_two_steps() -> None:
    """It is in nobody's visit, but in `on_completed`."""
    flow = Flow("f")
    for letter in "abcdefgh":
        add(flow, letter)

    async def call_back(event: StepCompleted) -> None:
        if event.step == "h":
            await interrupted()

    async with drive(flow, on_completed=call_back, patience=0.05) as d:
        with pytest.raises(NotReachedError, match=r"it is running, between two(.|\n)*\n\.\.\.\n"):
            await d.finish()


async def test_a_run_that_is_over() -> None:
    """Nobody waits for a step of it."""
    flow = Flow("f")
    a = add(flow, "a")
    async with drive(flow) as d:
        with pytest.raises(NotReachedError, match="it is over: completed"):
            await d.at(a)
        await d.finish()


async def test_a_step_of_another_flow() -> None:
    """It is the test's fault, and said at once."""
    other = add(Flow("g"), "name")
    async with drive(intake, Person()) as d:
        for wrong in (other, "nome"):
            with pytest.raises(FlowError, match=r"(<Step 'name' of flow 'g'>|'nome') is not a ste"):
                await d.at(wrong)


def failing() -> tuple[Flow[None], Exception]:
    """Make a flow whose step raises."""
    flow, failure = Flow("f"), ValueError("a")

    async def act(visit: Visit) -> str:
        raise failure

    add(flow, "a", act)
    return flow, failure


async def test_a_failure_is_raised_where_the_test_waits() -> None:
    """Itself, not in a group; and not once more when the block is left."""
    flow, failure = failing()
    async with drive(flow) as d:
        with pytest.raises(ValueError, match="a") as raised:
            await d.at("a")
        assert raised.value is failure
        with pytest.raises(NotReachedError, match="it is over: failed"):
            await d.finish()


async def test_a_failure_is_raised_when_the_block_is_left() -> None:
    """If the test didn't wait for anything."""
    flow, failure = failing()
    with pytest.raises(ValueError, match="a") as raised:
        async with drive(flow):
            pass
    assert raised.value is failure


async def test_what_the_test_raises_comes_first() -> None:
    """It is no group either, and has a note on what became of the run."""
    with pytest.raises(KeyError) as raised:  # noqa: PT012 - the block is what is tested
        async with drive(failing()[0]) as d:
            await d.rest()
            raise KeyError
    assert raised.value.__notes__ == [
        "before that, the run had ended with RunFailed(exception=ValueError('a'))"
    ]


async def test_the_note_says_what_the_script_is_lacking() -> None:
    """Also where the run itself has not failed."""
    flow = Flow("f")
    a = add(flow, "a", never)
    with pytest.raises(KeyError) as raised:  # noqa: PT012 - as above
        async with drive(flow, script=Script().answer(a, "1", "2")) as d:
            await d.rest()
            raise KeyError
    (note,) = raised.value.__notes__
    assert note.startswith("before that, the run had ended with ScriptError: the run is complete")


async def test_a_stop() -> None:
    """Whoever waits for the end gets the error that `drive` raises."""
    async with drive(intake, Person()) as d:
        await d.at(name)
        d.run.stop("enough")
        with pytest.raises(RunStoppedError) as raised:
            await d.finish()
    assert raised.value.reason == "enough"


async def test_cancellation_from_outside() -> None:
    """Goes through the block, and through the run in it."""
    with anyio.move_on_after(0.05) as scope:
        async with drive(intake, Person(), patience=1000) as d:
            await d.finish()
    assert scope.cancelled_caught
    assert d.run.state is RunState.CANCELLED


async def test_all_options_of_prepare() -> None:
    """They are passed on."""
    flow, failure = failing()
    journal, told = MemoryJournal(), Recorder()
    driving = drive(
        flow,
        return_exceptions=True,
        observers=[told],
        journal=journal,
        key="k",
        on_change="keep",
    )
    async with driving as d:
        results = await d.finish()
    assert results.exceptions is not None
    assert results.exceptions.exceptions == (failure,)
    assert told == d.events
    assert len(await journal.read("k")) == len(told)


async def test_it_cant_be_constructed() -> None:
    """A drive belongs to its block."""
    with pytest.raises(TypeError, match="async with drive"):
        Drive()


async def test_a_script() -> None:
    """Steps are answered one visit after the other, without their functions."""
    script = Script().answer(name, "Ada").answer(email, "ada@exmaple.org", "ada@example.org")
    script.go_back(plan, email).skip(plan)
    for _ in range(2):
        async with drive(intake, Person(), script=script) as d:
            results = await d.finish()
        assert results[email] == "ada@example.org"
        assert results.outcome(plan) == Skipped()
        assert d.events.visits[2:] == ["plan 1 first", "email 2 requested", "plan 2 resumed"]
    assert repr(script) == "<Script: 1 for 'name', 2 for 'email', 2 for 'plan'>"


async def test_a_script_lets_a_visit_take_place() -> None:
    """An action that doesn't end the visit leaves it to the step."""
    person = Person()
    script = Script().do(name, lambda run: None, lambda run: run.answer(name, "Bob"))
    script.answer(email, "a@b.c")
    async with drive(intake, person, script=script) as d:
        await d.at(name)
        person.types("Ada")
        await d.at(plan)
        d.run.go_back(name)
        await d.at(plan)
        assert d.results[name] == "Bob"


async def test_a_script_with_something_left_over() -> None:
    """What wasn't used is said by step, but not what it is."""
    flow = Flow("f")
    a, b = add(flow, "a", never), add(flow, "b", never)
    script = Script().answer(a, "1", "2", "3").answer(b, "1")
    match = "the run is complete, but its script has something left over: 2 for 'a'$"
    with pytest.raises(ScriptError, match=match):
        async with drive(flow, script=script) as d:
            await d.finish()


async def test_a_script_that_is_too_short() -> None:
    """A visit more than it has answers."""
    script = Script().answer(name, "Ada").go_back(email, name).answer(email, "a@b.c")
    match = r"nothing left for visit 2 of step 'name' \(requested\)"
    with pytest.raises(ScriptError, match=match):
        async with drive(intake, Person(), script=script) as d:
            await d.at(plan)


async def test_a_script_that_is_refused() -> None:
    """What a scripted answer or request raises is raised in the test, with the place."""

    def check(value: int) -> int:
        raise ValueError(value)

    flow = Flow("f")

    async def act(visit: Visit) -> int:
        raise AssertionError

    a = flow.step("a", id="a", validate=check)(act)
    with pytest.raises(ValueError, match="7") as raised:
        async with drive(flow, script=Script().answer(a, 7)):
            pass
    assert raised.value.__notes__ == ["from the script, for visit 1 of step 'a' (first)"]


async def test_a_script_for_another_flow() -> None:
    """It is refused before anything begins."""
    script = Script().answer(add(Flow("g"), "x"), "1")
    with pytest.raises(ScriptError, match=r"flow doesn't have: <Step 'x' of flow 'g'>"):
        drive(intake, Person(), script=script)


async def test_another_observer_answers_first() -> None:
    """Then the script keeps what it has for the next visit."""
    runs: list[Run] = []

    def answer(event: Event) -> None:
        if isinstance(event, StepEntered) and event.step == "name" and event.number == 1:
            runs[0].answer(name, "Bob")

    script = Script().answer(name, "Ada").answer(email, "x").go_back(plan, name).skip(plan)
    async with drive(intake, Person(), script=script, observers=[answer]) as d:
        runs.append(d.run)
        assert (await d.finish())[name] == "Ada"


def test_a_recorder() -> None:
    """It is a list of events, says what tests ask, and prints no sensitive answer."""
    recorder = Recorder()
    recorder(StepEntered("a", 1, Reason.FIRST))
    recorder(StepCompleted("a", 1, "secret", changed=False, sensitive=True))
    recorder(StepEntered("b", 2, Reason.STALE))
    assert recorder.entered == ["a", "b"]
    assert recorder.visits == ["a 1 first", "b 2 stale"]
    assert recorder.completed == ["a"]
    assert recorder.of(StepCompleted) == recorder[1:2]
    assert repr(recorder).splitlines() == [
        "<Recorder, 3 events>",
        "  StepEntered(step='a', number=1, reason=<Reason.FIRST: 'first'>)",
        "  StepCompleted(step='a', number=1, value=<sensitive>, changed=False)",
        "  StepEntered(step='b', number=2, reason=<Reason.STALE: 'stale'>)",
    ]
