"""A process that forks others, which drive the flow and are killed: one life per line of input.

Not a test: `kill_driver` starts it. What it forks from has everything imported, but no thread, no
event loop and no open database, so that a child costs milliseconds and is like any other process.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import sys
import traceback
from typing import TYPE_CHECKING, Final, Protocol, cast, final

import anyio
import attrs
from anyio.lowlevel import checkpoint
from kill_flow import Person, charge, contract, doctor, email, name, plan, summary

from reflow import Done, Failed, JournalConflictError, MemoryJournal, RecoveredFailure
from reflow.journal import PostgresJournal, SQLiteJournal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reflow import Event, Journal, JournalRow, Results, StepCompleted, StoredRun, Visit

# Where a process dies by itself: when the n-th event is told, right before or right after the n-th
# append. NONE is for those who live, or are killed from outside.
EVENT, BEFORE, AFTER, NONE = "event", "before", "after", "none"

# The steps whose answers are texts.
TEXTS: Final = {step.id for step in (name, email, plan, doctor, summary, charge)}


class _Maker(Protocol):
    """Makes an order of what was read."""

    def __call__(self, **fields: object) -> Order: ...


@final
@attrs.frozen
class Order:
    """What a process is to do."""

    url: str
    """Of the journal."""
    key: str
    backend: str
    """asyncio, uvloop or trio."""
    callback: bool
    """Whether the run has an `on_completed`."""
    death: str = NONE
    """Where the process dies by itself."""
    number: int = 0
    """At the how manieth such point."""


def report(*what: object) -> None:
    """Tell the parent, all at once: a line is never cut, whenever death comes."""
    line = json.dumps(what).encode() + b"\n"
    assert len(line) <= 512, "POSIX promises no more than that"
    os.write(1, line)


@final
class Mortal:
    """Dies at its point."""

    def __init__(self, death: str, number: int) -> None:
        """Wait for this one."""
        self._death: Final = death
        self._left = number

    def passes(self, death: str) -> None:
        """A point is reached."""
        if death == self._death:
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


@final
class Deadly:
    """A journal at whose appends a process may die."""

    def __init__(self, journal: Journal, mortal: Mortal) -> None:
        """Pass everything on to the journal."""
        self._journal: Final = journal
        self._mortal: Final = mortal

    @property
    def patience(self) -> float:
        """Pass it on."""
        return self._journal.patience

    async def read(self, key: str, start: int = 0) -> Sequence[JournalRow]:
        """Pass it on."""
        return await self._journal.read(key, start)

    async def append(self, key: str, rows: Sequence[JournalRow]) -> None:
        """Die before it, or after it."""
        self._mortal.passes(BEFORE)
        await self._journal.append(key, rows)
        self._mortal.passes(AFTER)
        report("stored", rows[-1].sequence + 1)

    async def runs(self) -> Sequence[StoredRun]:
        """Pass it on."""
        return await self._journal.runs()

    async def forget(self, key: str) -> int:
        """Pass it on."""
        return await self._journal.forget(key)


def named(event: Mapping[str, object], field: str) -> set[str]:
    """Give the steps that an event names in a field, if it has that."""
    return set(cast("Sequence[str]", event.get(field, ())))


def plain(event: Mapping[str, object]) -> list[object]:
    """Give what is compared of an event: all that is the same as it is told and as it is stored."""
    kind, step = event["event"], event.get("step")
    # Answers of other types are stored as something else, and sensitive ones aren't.
    value = event.get("value") if step in TEXTS else None
    again = named(event, "again") | named(event, "lost") | named(event, "in_doubt")
    # In the first event it is the declaration of the flow.
    asked = again if kind == "Opened" else again | named(event, "steps")
    return [kind, step, event.get("number"), event.get("changed"), sorted(asked), value]


def outcomes(results: Results) -> dict[str, str]:
    """Say what became of every step; of a failure only what every process knows."""
    texts: dict[str, str] = {}
    for step in contract.steps:
        match results.outcome(step):
            case _ if step.sensitive:
                # Asked again by every process, until it is behind the point of no return.
                continue
            case Done(value):
                texts[step.id] = repr(value)
            case Failed(RecoveredFailure(message=message)):
                texts[step.id] = f"failed: {message}"
            case Failed(exception):
                texts[step.id] = f"failed: {exception}"
            case outcome:
                texts[step.id] = repr(outcome)
    return texts


async def live(order: Order) -> None:
    """Drive the flow to its end, if death doesn't come first."""
    url, key = order.url, order.key
    mortal = Mortal(order.death, order.number)

    def begins(visit: Visit[Person]) -> None:
        report("begun", visit.step.id, visit.number, visit.idempotency_key)

    def tell(event: Event) -> None:
        fields = {"event": type(event).__name__, **vars(event)}
        report("told", plain(fields))
        person.remember(fields)
        mortal.passes(EVENT)

    async def called(event: StepCompleted) -> None:
        report("called", event.step)
        await checkpoint()

    person = Person(begins)
    path = url.removeprefix("sqlite:///")
    with PostgresJournal(url) if path == url else SQLiteJournal(path) as journal:
        rows = await journal.read(key)
        for row in rows:
            fields = cast("dict[str, object]", json.loads(row.event))
            report("found", plain(fields))
            person.remember(fields)
        report("read", len(rows))
        try:
            results = await contract.run(
                person,
                journal=Deadly(journal, mortal),
                key=key,
                observers=[tell],
                return_exceptions=True,
                on_completed=called if order.callback else None,
            )
        except JournalConflictError:
            report("conflict")
            return
    report("results", outcomes(results))


def be_born(order: Order) -> None:
    """Live in this process, a child, and leave nothing of its parent's undone or done twice."""
    code = 1
    try:
        trio = order.backend == "trio"
        options = {} if trio else {"use_uvloop": order.backend == "uvloop"}
        anyio.run(live, order, backend="trio" if trio else "asyncio", backend_options=options)
        code = 0
    except BaseException:  # noqa: BLE001 - nothing of it may get to where the parent was
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def warm_up() -> None:
    """Import now what every child would import."""
    for module in ("anyio._backends._asyncio", "anyio._backends._trio", "uvloop", "trio"):
        importlib.import_module(module)
    # Both aren't used, so there is nothing to carry over.
    contract.prepare(Person(lambda _: None), journal=MemoryJournal(), key="none")
    PostgresJournal("postgresql:///none").close()
    gc.collect()
    gc.freeze()


def main() -> None:
    """Fork a child per line of input; say who it is, when it is dead, and how it died.

    It isn't waited for until the next line comes: so its number belongs to nobody else for as long
    as somebody may kill it.
    """
    warm_up()
    while line := sys.stdin.readline():
        order = cast("_Maker", Order)(**json.loads(line))
        alive, holds = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(alive)
            be_born(order)
        os.close(holds)
        report("born", pid)
        # It never writes: this is the end of its process, with all its threads.
        os.read(alive, 1)
        os.close(alive)
        report("dead")
        sys.stdin.readline()
        report("buried", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


if __name__ == "__main__":
    main()
