"""What can't be read is never guessed at, and never overwritten."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import anyio
import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from journals import KEY, Passing, edited, journal_of
from support import add, last
from typing_extensions import override

from reflow import Flow, FlowChangedError, FlowError, JournalError, MemoryJournal, RunState, Visit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reflow import JournalRow

pytestmark = pytest.mark.anyio


def a_flow() -> Flow[None]:
    """Make a flow in which much happens."""
    flow = Flow("f")
    a = add(flow, "a")

    async def count(visit: Visit) -> int:
        return 7

    flow.step("b", id="b", when=lambda r: r[a] != "", depends_on=[a])(count)

    async def fail(visit: Visit) -> str:
        raise ValueError

    add(flow, "c", fail)
    last(flow, a)
    return flow


async def rows_of_a_run() -> Sequence[JournalRow]:
    """Give the rows of a run that is nearly complete."""
    journal = MemoryJournal()
    await a_flow().run(journal=journal, key=KEY, return_exceptions=True)
    return (await journal.read(KEY))[:-1]


def at(rows: Sequence[JournalRow], kind: str) -> int:
    """Give the number of the first row of an event."""
    return next(i for i, row in enumerate(rows) if json.loads(row.event)["event"] == kind)


DAMAGES: dict[str, tuple[str, Callable[[JournalRow], JournalRow], str]] = {
    "not JSON": (
        "StepEntered",
        lambda row: attrs.evolve(row, event=row.event[:-5]),
        "Unterminated",
    ),
    "no object": ("StepEntered", lambda row: attrs.evolve(row, event="[1]"), "not an object"),
    "too deep": ("StepEntered", lambda row: attrs.evolve(row, event="[" * 10**6), "recursion"),
    "no event": ("StepEntered", lambda row: edited(row, event=None), "no event None"),
    "strange event": ("StepEntered", lambda row: edited(row, event="Str"), "no event 'Str'"),
    "no step": ("StepEntered", lambda row: edited(row, step=None), "it has no 'step'"),
    "strange step": ("StepEntered", lambda row: edited(row, step="z"), "there is no step 'z'"),
    "listed step": (
        "StepEntered",
        lambda row: edited(row, step=["a"]),
        "expected a text, got list",
    ),
    "more": ("StepEntered", lambda row: edited(row, more=1), "something in it that doesn't"),
    "number": ("StepEntered", lambda row: edited(row, number="1"), "expected a number, got str"),
    "truth as number": (
        "StepEntered",
        lambda row: edited(row, number=True),
        "expected a number, got bool",
    ),
    "other number": ("StepEntered", lambda row: edited(row, number=5), "not this visit's turn"),
    "reason": ("StepEntered", lambda row: edited(row, reason="why not"), "not a valid Reason"),
    "no answer": ("StepCompleted", lambda row: edited(row, value=None), "can't be read"),
    "answer": ("StepCompleted", lambda row: edited(row, value=7), "step 'a' can't be read: .*str"),
    "changed": (
        "StepCompleted",
        lambda row: edited(row, changed=1),
        "expected true or false, got int",
    ),
    "failure": (
        "StepFailed",
        lambda row: edited(row, exception="x"),
        "expected a failure, got str",
    ),
    "no failure": (
        "StepFailed",
        lambda row: edited(row, exception={}),
        "expected a failure, got dict",
    ),
    "names": (
        "GoBackRequested",
        lambda row: edited(row, steps="a"),
        "expected a list of ids, got str",
    ),
    "no name": ("GoBackRequested", lambda row: edited(row, steps=[1]), "expected a text, got int"),
    "format": ("Opened", lambda row: edited(row, format=2), "another format than 1: by a newer"),
    "no format": ("Opened", lambda row: edited(row, format=None), "doesn't belong|what flow"),
    "flow": ("Opened", lambda row: edited(row, flow=1), "expected a text, got int"),
    "steps": ("Opened", lambda row: edited(row, steps=7), "its list of steps is damaged"),
    "step list": ("Opened", lambda row: edited(row, steps=[{"id": 1}]), "damaged at number 0"),
    "step twice": (
        "Opened",
        lambda row: edited(row, steps=[{"id": "a", "type": "str"}] * 2),
        "damaged at number 1",
    ),
    "visits": ("Opened", lambda row: edited(row, visits=[["a", 1]]), "expected a list of visits"),
    "no visits": ("Opened", lambda row: edited(row, visits=7), "expected a list of visits"),
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_damaged_rows(damage: str) -> None:
    """The error names key, row and reason, and the journal is left as it was."""
    kind, change, reason = DAMAGES[damage]
    rows = list(await rows_of_a_run())
    number = at(rows, kind)
    rows[number] = change(rows[number])
    journal = await journal_of(rows)
    match = f"key 'call-42' can't be resumed, its row {number} is damaged: .*({reason})"
    with pytest.raises(JournalError, match=f"(?s){match}") as raised:
        await a_flow().run(journal=journal, key=KEY, return_exceptions=True)
    assert type(raised.value) is JournalError
    assert list(await journal.read(KEY)) == rows


class Holey(Passing):
    """Gives rows that a database can have lost."""

    def __init__(self, rows: Sequence[JournalRow]) -> None:
        """Hold these rows."""
        super().__init__(MemoryJournal())
        self.rows = rows

    @override
    async def read(self, key: str, start: int = 0) -> Sequence[JournalRow]:
        """Give them."""
        return self.rows


@pytest.mark.parametrize("missing", [0, 3])
async def test_missing_rows(missing: int) -> None:
    """A row that is gone is not overlooked."""
    rows = [row for row in await rows_of_a_run() if row.sequence != missing]
    with pytest.raises(JournalError, match=f"its row {missing} is damaged: it is missing, row"):
        await a_flow().run(journal=Holey(rows), key=KEY)


async def test_rows_of_another_flow() -> None:
    """A key that two flows use is a mistake, not a change."""
    flow, journal = Flow("other"), MemoryJournal()
    add(flow, "a")
    await flow.run(journal=journal, key=KEY)
    with pytest.raises(JournalError, match="the key holds one of 'other'"):
        await a_flow().run(journal=journal, key=KEY)
    with pytest.raises(JournalError, match="the key holds one of 'other'"):
        await a_flow().run(journal=journal, key=KEY, on_change="keep")


async def test_what_follows_the_end() -> None:
    """A run that is complete isn't opened again."""
    journal = MemoryJournal()
    await a_flow().run(journal=journal, key=KEY, return_exceptions=True)
    rows = list(await journal.read(KEY))
    opened = attrs.evolve(edited(rows[0], format=None, flow=None, steps=None), sequence=len(rows))
    with pytest.raises(JournalError, match="the run is complete"):
        await a_flow().run(journal=Holey([*rows, opened]), key=KEY)


async def test_again_for_a_closed_step() -> None:
    """An opened run can't undo a point of no return."""
    flow, journal = Flow("f"), MemoryJournal()

    async def pay(visit: Visit) -> str:
        return "paid"

    flow.step("pay", id="pay", point_of_no_return=True)(pay)
    await flow.run(journal=journal, key=KEY)
    rows = list(await journal.read(KEY))[:-1]
    opened = edited(rows[0], format=None, flow=None, steps=None, again=["pay"])
    with pytest.raises(JournalError, match="step 'pay' is closed"):
        await flow.run(journal=Holey([*rows, attrs.evolve(opened, sequence=len(rows))]), key=KEY)


JUNK: list[object] = [
    *(None, True, False, 0, 1, -1, 10**30, 1.5, "", "a", "b", "last", "f", "value", "requested"),
    *([], ["a"], [["a", 1, 1]], [[]], {}, {"id": "a", "type": "str"}, {"type": "x"}, [{}], [None]),
]


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_any_edit(which: int, what: int) -> None:
    """Whatever somebody writes into a row: the run goes on from it, or one kind of error."""

    async def main() -> None:
        rows = list(await rows_of_a_run())
        number = which % len(rows)
        fields = sorted(json.loads(rows[number].event))
        field, junk = fields[which // len(rows) % len(fields)], JUNK[what % len(JUNK)]
        event = json.loads(rows[number].event) | {field: junk}
        rows[number] = attrs.evolve(rows[number], event=json.dumps(event))
        journal = await journal_of(rows)
        try:
            await a_flow().run(journal=journal, key=KEY, return_exceptions=True)
        except (JournalError, FlowChangedError):
            assert list(await journal.read(KEY)) == rows
        else:
            assert (await journal.runs())[0].state is RunState.COMPLETED

    anyio.run(main)


BAD: dict[str, tuple[Callable[[], dict[str, object]], str]] = {
    "no key": (lambda: {"journal": MemoryJournal()}, "journal= and key= go together"),
    "no journal": (lambda: {"key": KEY}, "journal= and key= go together"),
    "empty key": (lambda: {"journal": MemoryJournal(), "key": ""}, "a text that isn't empty"),
    "number": (lambda: {"journal": MemoryJournal(), "key": 7}, "a text that isn't empty, not 7"),
    "on_change": (lambda: {"on_change": "ask"}, 'must be "refuse" or "keep", not \'ask\''),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_options(name: str) -> None:
    """They are found when the run is prepared."""
    options, match = BAD[name]
    with pytest.raises(FlowError, match=match):
        a_flow().prepare(**options())  # type: ignore[call-overload]  # what is tested


def test_types_that_cant_be_kept() -> None:
    """All such steps are named at once; a sensitive one stores nothing, so any type will do."""
    flow = Flow("f")

    @flow.step("anything")
    async def anything(visit: Visit) -> object:
        raise AssertionError

    @flow.step("a list of anything")
    async def things(visit: Visit) -> list[object]:
        raise AssertionError

    @flow.step("a secret", sensitive=True)
    async def secret(visit: Visit) -> object:
        raise AssertionError

    add(flow, "fine")
    with pytest.raises(FlowError) as raised:
        flow.prepare(journal=MemoryJournal(), key=KEY)
    text = str(raised.value)
    assert "step 'anything' of flow 'f' can't be kept in a journal" in text
    assert "step 'things' of flow 'f' can't be kept in a journal" in text
    assert "secret" not in text
    assert "fine" not in text
