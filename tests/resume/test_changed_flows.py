"""A run that was begun when its flow was declared differently."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from journals import KEY, edited, journal_of, kinds
from support import Log, add, answering, interrupted, last, never

from reflow import (
    Flow,
    FlowChangedError,
    JournalError,
    MemoryJournal,
    RunState,
    StepAnswered,
    Visit,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from reflow import AnyStep

pytestmark = pytest.mark.anyio


class LeftError(Exception):
    """Ends a run."""


async def leave(visit: Visit) -> str:
    """End the run."""
    raise LeftError


async def die(visit: Visit) -> str:
    """End the process."""
    raise KeyboardInterrupt


async def other(visit: Visit) -> str:
    """Answer."""
    return answering(visit)


def given(holds: bool, results: object) -> bool:
    """Say what was given."""
    return holds


async def number(visit: Visit) -> int:
    """Answer with a number."""
    return visit.number


async def left(flow: Flow[None]) -> MemoryJournal:
    """Run a flow that leaves, give what it has stored."""
    journal = MemoryJournal()
    with pytest.raises(LeftError):
        await flow.run(journal=journal, key=KEY)
    return journal


def plain(*names: str) -> Flow[None]:
    """Make a flow of plain steps; the one called `leave` ends the run."""
    flow = Flow("f")
    for name in names:
        add(flow, name, leave if name == "leave" else None)
    return flow


CHANGES: dict[str, tuple[Callable[[Flow[None], AnyStep], object], str]] = {
    "type": (lambda f, a: f.step("b", id="b")(number), "step 'b' was of type str, it is of ty"),
    "sensitive": (
        lambda f, a: f.step("b", id="b", sensitive=True)(other),
        "step 'b' wasn't declared with sensitive=True, it is now",
    ),
    "needs": (
        lambda f, a: f.step("b", id="b", depends_on=[a])(other),
        "step 'b' depended on nothing, it depends on a",
    ),
    "condition": (
        lambda f, a: f.step("b", id="b", when=bool)(other),
        "step 'b' wasn't declared with when=, it is now",
    ),
    "always_ask": (lambda f, a: f.step("b", id="b", always_ask=True)(other), "always_ask=True"),
    "point": (
        lambda f, a: f.step("b", id="b", point_of_no_return=True)(other),
        "point_of_no_return=True",
    ),
    "revisitable": (
        lambda f, a: f.step("b", id="b", revisitable=False)(other),
        "step 'b' wasn't declared with revisitable=False, it is now",
    ),
    "optional": (lambda f, a: f.step("b", id="b", optional=True)(other), "optional=True"),
    "other step": (lambda f, a: f.step("c", id="c")(other), "'b' is gone.*\n.*'c' is new"),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_changes_are_refused(change: str) -> None:
    """Every one that the rows' meaning hangs on, in both directions; nothing is overwritten."""
    declare, difference = CHANGES[change]

    def changed() -> Flow[None]:
        flow = Flow("f")
        declare(flow, add(flow, "a"))
        add(flow, "leave", leave)
        return flow

    before = plain("a", "b", "leave")
    journal = await left(before)
    rows = await journal.read(KEY)
    with pytest.raises(FlowChangedError, match=f"(?s){difference}.*on_change=.keep") as raised:
        await changed().run(journal=journal, key=KEY)
    assert raised.value.differences
    assert all(text in str(raised.value) for text in raised.value.differences)
    assert await journal.read(KEY) == rows
    back = await left(changed())
    with pytest.raises(FlowChangedError):
        await before.run(journal=back, key=KEY)
    # Another order, the same steps.
    with pytest.raises(FlowChangedError, match="the order was a, b, leave, it is b, a, leave"):
        await plain("b", "a", "leave").run(journal=journal, key=KEY)


async def test_another_description_is_no_change() -> None:
    """What the rows mean doesn't hang on it."""
    journal, flow, log = await left(plain("a", "leave")), Flow("f"), Log()
    flow.step("another description", id="a", model_may_answer=True)(other)
    add(flow, "leave")
    await flow.run(journal=journal, key=KEY, observers=[log])
    assert log.visits == ["leave 2 recovered"]


async def test_what_fits_is_kept() -> None:
    """Answers whose step and type still exist; the rest is asked, in the new order."""
    journal, log = await left(plain("a", "b", "c", "leave")), Log()
    flow = Flow("f")
    new = add(flow, "new")
    c = add(flow, "c")
    b = flow.step("b", id="b")(number)
    a = add(flow, "a")
    add(flow, "leave")
    results = await flow.run(journal=journal, key=KEY, on_change="keep", observers=[log])
    assert [results[step] for step in (new, c, b, a)] == ["new1", "c1", 2, "a1"]
    assert log.visits == ["new 1 first", "b 2 recovered", "leave 2 recovered"]
    # From now on the flow is as it is now, with nothing to keep.
    assert (await flow.run(journal=journal, key=KEY))[a] == "a1"
    assert (await journal.runs())[0].state is RunState.COMPLETED


async def test_the_changed_run_can_be_resumed() -> None:
    """Again and again, and changed once more."""
    journal = await left(plain("a", "b", "leave"))
    flow = plain("b", "x", "leave")
    with pytest.raises(LeftError):
        await flow.run(journal=journal, key=KEY, on_change="keep")
    log = Log()
    with pytest.raises(LeftError):
        await flow.run(journal=journal, key=KEY, observers=[log])
    assert log.visits == ["leave 3 recovered"]
    third = plain("x", "a", "b")
    results = await third.run(journal=journal, key=KEY, on_change="keep", observers=[log])
    assert [results[step] for step in results] == ["x1", "a1", "b1"]
    assert log.visits[1:] == ["a 1 first"]


async def test_requests_are_kept() -> None:
    """What was asked for and still exists comes first, also the step that was under way."""
    flow, journal, log = Flow("f"), MemoryJournal(), Log()
    add(flow, "a")

    async def on_detour(visit: Visit) -> str:
        if visit.number == 2:
            raise LeftError
        return answering(visit)

    add(flow, "b", on_detour)
    add(flow, "c")

    async def back(visit: Visit) -> str:
        visit.run.go_back("b", "c", "a")
        await interrupted()

    add(flow, "d", back)
    with pytest.raises(LeftError):
        await flow.run(journal=journal, key=KEY)
    rows = await journal.read(KEY)
    under_way = next(i for i, row in enumerate(rows) if '"StepFailed"' in row.event)
    results = await plain("a", "b", "c", "e").run(
        journal=await journal_of(rows[:under_way]),
        key=KEY,
        on_change="keep",
        observers=[log],
    )
    assert log.visits == ["b 3 recovered", "c 2 requested", "a 2 requested", "e 1 first"]
    assert len(results) == 4


async def test_stale_skipped_and_failed_steps_are_asked() -> None:
    """Only an answer that may be relied on is kept."""
    flow, journal, log = Flow("f"), MemoryJournal(), Log()
    a = add(flow, "a")
    add(flow, "b", depends_on=(a,))
    flow.step("c", id="c", optional=True)(never)
    add(flow, "d", leave)

    async def change(visit: Visit) -> str:
        visit.run.answer(a, "new")
        raise KeyboardInterrupt

    add(flow, "e", change)
    run = flow.prepare(journal=journal, key=KEY, return_exceptions=True)
    run.skip("c")
    with pytest.raises(KeyboardInterrupt):
        await run.drive()
    new = Flow("f")
    for name in "abcdef":
        add(new, name)
    results = await new.run(journal=journal, key=KEY, on_change="keep", observers=[log])
    assert results[new.steps[0]] == "new"
    assert log.entered == ["b", "c", "d", "e", "f"]


async def test_conditions_decide_anew() -> None:
    """A kept answer of a step with a condition counts only if that holds."""
    journal = await left(plain("a", "b", "leave"))
    for holds in (True, False):
        flow = Flow("f")
        add(flow, "a")
        b = flow.step("b", id="b", when=partial(given, holds))(never)
        results = await flow.run(
            journal=await journal_of(await journal.read(KEY)), key=KEY, on_change="keep"
        )
        assert results.get(b) == ("b1" if holds else None)


async def test_the_attempt_goes_on() -> None:
    """The charge that was under way has the same idempotency key in the changed flow."""
    keys: list[str] = []

    def flow(*names: str, dies: bool) -> Flow[None]:
        flow = Flow("f")
        for name in names:
            add(flow, name)

        async def act(visit: Visit) -> str:
            keys.append(visit.idempotency_key)
            if dies:
                await visit.go_back(flow.steps[0]) if visit.number == 1 else visit.stop("x")
            return answering(visit)

        add(flow, "charge", act)
        return flow

    journal = MemoryJournal()
    run = flow("a", dies=True).prepare(journal=journal, key=KEY)
    with pytest.raises(Exception, match="was stopped: x"):
        await run.drive()
    await flow("a", "b", dies=False).run(journal=journal, key=KEY, on_change="keep")
    assert len(keys) == 3
    assert len(set(keys)) == 1


async def test_a_paid_card_is_not_asked_again() -> None:
    """A sensitive answer behind a point of no return is done, as long as that stays one."""
    log = Log()

    def flow(*names: str, final: bool = True) -> Flow[None]:
        flow = Flow("f")
        flow.step("card", id="card", sensitive=True)(other)
        flow.step("pin", id="pin", sensitive=True, point_of_no_return=final)(other)
        flow.step("open", id="open", sensitive=True)(other)
        for name in names:
            add(flow, name, leave if name == "leave" else None)
        return flow

    rows = await (await left(flow("leave"))).read(KEY)
    await flow("x").run(journal=await journal_of(rows), key=KEY, on_change="keep", observers=[log])
    assert log.visits == ["open 2 recovered", "x 1 first"]
    log.clear()
    await flow("x", final=False).run(
        journal=await journal_of(rows), key=KEY, on_change="keep", observers=[log]
    )
    assert log.entered == ["card", "pin", "open", "x"]


async def test_an_answer_that_cant_be_read_any_more_is_asked() -> None:
    """The class has changed, but not its name: only "keep" may drop such an answer."""
    journal = await left(plain("a", "b", "leave"))
    rows = list(await journal.read(KEY))
    done = next(i for i, row in enumerate(rows) if "StepCompleted" in row.event)
    rows[done] = edited(rows[done], value=7)
    log = Log()
    await plain("a", "b", "c").run(
        journal=await journal_of(rows), key=KEY, on_change="keep", observers=[log]
    )
    assert log.entered == ["a", "c"]


async def test_a_complete_run_of_a_changed_flow_goes_on() -> None:
    """What is new is asked."""
    journal, log = MemoryJournal(), Log()
    await plain("a", "b").run(journal=journal, key=KEY)
    await plain("a", "b", "c").run(journal=journal, key=KEY, on_change="keep", observers=[log])
    assert log.visits == ["c 1 first"]
    # The flow as it is now, what is kept of the run, and where it goes on.
    assert (await kinds(journal))[6:12] == [
        *("RunCompleted", "Opened", "StepAnswered", "StepAnswered", "Opened", "RunStarted"),
    ]


@pytest.mark.parametrize("fails", [False, True])
async def test_a_visit_under_way_to_a_step_with_an_answer(*, fails: bool) -> None:
    """It comes first, recovered, with its idempotency key; its good answer is kept meanwhile."""
    keys: list[str] = []

    def flow(*names: str, dies: bool) -> Flow[None]:
        flow = Flow("f")

        async def charge(visit: Visit) -> str:
            keys.append(visit.idempotency_key)
            if visit.number == 2 and dies:
                raise LeftError if fails else KeyboardInterrupt
            return answering(visit)

        a = add(flow, "charge", charge)
        last(flow, a)
        for name in names:
            add(flow, name)
        return flow

    journal, log = MemoryJournal(), Log()
    with pytest.raises((LeftError, KeyboardInterrupt)):
        await flow(dies=True).run(journal=journal, key=KEY)
    await flow("x", dies=False).run(journal=journal, key=KEY, on_change="keep", observers=[log])
    assert log.visits == ["charge 3 recovered", "last 2 resumed", "x 1 first"]
    assert keys[0] != keys[1] == keys[2]


async def test_what_depends_on_an_answer_that_is_lost() -> None:
    """Nobody can say whether the new answer is the same: sensitive, or of another type."""

    def flow(*names: str, retyped: bool = False) -> Flow[None]:
        flow = Flow("f")
        a = flow.step("a", id="a")(number) if retyped else add(flow, "a")
        card = flow.step("card", id="card", sensitive=True)(other)
        flow.step("b", id="b", depends_on=[a])(other)
        flow.step("c", id="c", depends_on=[card])(other)
        flow.step("d", id="d", always_ask=True)(other)
        for name in names:
            add(flow, name, leave if name == "leave" else None)
        return flow

    rows = await (await left(flow("leave"))).read(KEY)
    log = Log()
    changed = flow("x")
    await changed.run(journal=await journal_of(rows), key=KEY, on_change="keep", observers=[log])
    assert log.entered == ["card", "c", "d", "x"]
    log.clear()
    await flow("leave2", retyped=True).run(
        journal=await journal_of(rows), key=KEY, on_change="keep", observers=[log]
    )
    assert log.entered == ["a", "card", "b", "c", "d", "leave2"]
    assert not [event for event in log if isinstance(event, StepAnswered)]


async def test_a_class_that_has_changed() -> None:
    """Its name is the same, and so is the flow: "keep" asks the step again all the same."""
    journal = await left(plain("a", "b", "leave"))
    rows = list(await journal.read(KEY))
    done = next(i for i, row in enumerate(rows) if "StepCompleted" in row.event)
    rows[done] = edited(rows[done], value=7)
    again = plain("a", "b", "leave")
    with pytest.raises(JournalError, match='on_change="keep" asks the step again'):
        await again.run(journal=await journal_of(rows), key=KEY)
    log = Log()
    with pytest.raises(LeftError):
        await again.run(journal=await journal_of(rows), key=KEY, on_change="keep", observers=[log])
    assert log.entered == ["a", "leave"]


async def test_a_visit_that_the_new_order_puts_behind_a_point_of_no_return() -> None:
    """What is paid is paid: the visit that was under way isn't wanted any more."""

    def flow(*names: str, dies: bool) -> Flow[None]:
        flow = Flow("f")

        async def act(visit: Visit) -> str:
            if visit.number == 2 and dies:
                raise KeyboardInterrupt
            return answering(visit)

        for name in names:
            flow.step(name, id=name, point_of_no_return=name == "pay")(act)
        last(flow, flow.steps[1])
        return flow

    journal, log = MemoryJournal(), Log()
    with pytest.raises(KeyboardInterrupt):
        await flow("pay", "a", dies=True).run(journal=journal, key=KEY)
    await flow("a", "pay", dies=False).run(
        journal=journal, key=KEY, on_change="keep", observers=[log]
    )
    assert log.entered == ["last"]


async def test_what_is_confirmed_or_based_on_a_new_step() -> None:
    """The confirmation was of other answers, and so it stays after another change of the flow."""

    def flow(*names: str) -> Flow[None]:
        flow = Flow("f")
        steps = {name: add(flow, name) for name in names}
        needed = [steps["x"]] if "x" in steps else []
        flow.step("b", id="b", depends_on=needed)(other)
        flow.step("confirmed", id="confirmed", always_ask=True)(other)
        add(flow, "leave", leave)
        return flow

    journal, log = await left(flow("a")), Log()
    with pytest.raises(LeftError):
        await flow("a", "x").run(journal=journal, key=KEY, on_change="keep", observers=[log])
    assert log.entered == ["x", "b", "confirmed", "leave"]
    log.clear()


async def test_changed_twice_before_a_new_step_was_asked() -> None:
    """What is based on it isn't forgotten."""

    def flow(*names: str) -> Flow[None]:
        flow = Flow("f")
        for name in names:
            if name == "confirmed":
                flow.step("d", id=name, always_ask=True)(other)
            else:
                add(flow, name.strip("!?"), {"!": leave, "?": die}.get(name[-1]))
        return flow

    journal, log = await left(flow("a", "confirmed", "leave!")), Log()
    with pytest.raises(KeyboardInterrupt):
        await flow("x?", "a", "confirmed").run(journal=journal, key=KEY, on_change="keep")
    changed = flow("x", "a", "confirmed", "end")
    await changed.run(journal=journal, key=KEY, on_change="keep", observers=[log])
    assert log.entered == ["x", "confirmed", "end"]
