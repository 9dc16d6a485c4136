"""Kills processes, starts others in their place, and watches that nothing gets lost by that."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Final, TypeAlias, cast, final

import anyio
import attrs
from kill_child import NONE, named, plain

from reflow import MemoryJournal
from reflow.journal import open_journal

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

    from kill_child import Order

    from reflow import JournalRow

CHILD: Final = Path(__file__).with_name("kill_child.py")
# Seconds in which a process that lives does something; a run that hangs is a failure.
HANGS: Final = 60.0

Told: TypeAlias = "list[object]"


@final
@attrs.frozen
class Fate:
    """When a process dies; by default at its end."""

    death: str = NONE
    """Where it dies by itself."""
    number: int = 0
    """At the how manieth such point."""
    after_bytes: int | None = None
    """Killed from outside, when it has written so much."""
    after_seconds: float | None = None
    """Killed from outside, so long after it was ordered."""


@final
@attrs.frozen
class Life:
    """What a process has said, and how it ended."""

    lines: list[list[object]]
    exit_code: int
    size: int
    """In bytes."""
    seconds: float

    @property
    def killed(self) -> bool:
        """Whether it was killed."""
        return self.exit_code == -signal.SIGKILL


@final
class Nursery:
    """Where processes are born; see `kill_child`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        """Take the process that forks them."""
        self._process: Final = process

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()

    def live(self, order: Order, fate: Fate) -> Life:
        """Let a process live, and die; give what it said."""
        assert self._process.stdout is not None
        out = self._process.stdout.fileno()
        said = attrs.asdict(order) | {"death": fate.death, "number": fate.number}
        self._say(json.dumps(said))
        lines: list[list[object]] = []
        heard, size, pid, began = b"", 0, 0, monotonic()
        code: int | None = None
        due = fate.after_bytes, fate.after_seconds
        while code is None:
            limit, deadline = due
            wait = HANGS if deadline is None or not pid else began + deadline - monotonic()
            chunk = b""
            if select.select([out], [], [], max(0.0, wait))[0]:
                # No more than may be read, so that it is killed close to where it should be.
                chunk = os.read(out, 4096 if limit is None else min(4096, max(1, limit - size)))
                assert chunk, "the nursery is gone"
                heard, size = heard + chunk, size + len(chunk)
            else:
                assert deadline is not None, "a process hangs"
            *whole, heard = heard.split(b"\n")
            for line in whole:
                match cast("list[object]", json.loads(line)):
                    case ["born", int(number)]:
                        pid = number
                    case ["dead"]:
                        # From now on it must not be killed: its number may be another's.
                        due = None, None
                        self._say("")
                    case ["buried", int(number)]:
                        code = number
                    case report:
                        lines.append(report)
            limit, deadline = due
            if pid and (
                (limit is not None and size >= limit)
                or (deadline is not None and monotonic() - began >= deadline)
            ):
                os.kill(pid, signal.SIGKILL)
                due = None, None
        return Life(lines, code, size, monotonic() - began)


@contextmanager
def nursery() -> Generator[Nursery]:
    """Start a process that forks others."""
    # What is killed writes down no coverage, and measuring it would only take time.
    env = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    command = [sys.executable, str(CHILD)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, env=env) as process:
        yield Nursery(process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait() == 0


@final
class Run:
    """A run, over the deaths of the processes that drive it.

    Attributes:
        lives: what these said.
        told: the events, as they were told and as they must be stored.
        results: what came out in the end.
    """

    def __init__(self, born_in: Nursery, order: Order) -> None:
        """Nothing is driven yet."""
        self._nursery: Final = born_in
        self._order: Final = order
        self.lives: Final[list[Life]] = []
        self.told: list[Told] = []
        self.results: dict[str, str] | None = None
        # How many of the events are known to be stored: no death may undo them.
        self._stored = 0
        # What was told by those whose last events may be stored, or not. PostgreSQL may store them
        # when the process that sent them is dead, and the next one has read already.
        self._tellings: list[list[Told]] = [[]]
        # The idempotency key of each visit that began.
        self._keys: dict[tuple[str, int], str] = {}

    @property
    def kills(self) -> int:
        """How many of the processes were killed."""
        return sum(life.killed for life in self.lives)

    @property
    def writes(self) -> int:
        """How often something was stored."""
        return sum(line[0] == "stored" for life in self.lives for line in life.lines)

    def live(self, fate: Fate) -> Life:
        """Let the next process drive it; check what that does."""
        life = self._nursery.live(self._order, fate)
        self.lives.append(life)
        assert life.exit_code in {0, -signal.SIGKILL}
        told, settled, wrote = list[Told](), set[str](), False
        for what, *said in life.lines:
            match what, said:
                case (("found" | "told"), [list(event)]):
                    told.append(cast("Told", event))
                    settle(settled, told[-1])
                case "read", [int(count)]:
                    assert self._stored <= count == len(told), "what was stored is gone"
                    assert any(told == telling[:count] for telling in self._tellings)
                    self._stored = count
                case "stored", [int(count)]:
                    assert self._stored < count <= len(told)
                    self._stored, wrote = count, True
                case "called", [str(step)]:
                    assert self._stored == len(told), f"called for {step} before it was stored"
                case "begun", [str(step), int(number), str(key)]:
                    assert self._stored == len(told), f"{step} begun before all was stored"
                    assert step not in settled, f"{step} is visited again"
                    assert self._keys.setdefault((step, number), key) == key
                case "results", [dict(results)]:
                    assert self._stored == len(told), "over before all was stored"
                    self.results = cast("dict[str, str]", results)
                case _:
                    # Who was dead had sent something that wasn't stored yet when this one read.
                    assert what == "conflict"
        self.told = told
        self._tellings = [told] if wrote else [*self._tellings, told]
        return life

    def check(self) -> None:
        """Check the run against what the journal holds in the end, row by row."""
        rows = anyio.run(_read, self._order.url, self._order.key)
        assert [row.sequence for row in rows] == [*range(len(rows))]
        events = [cast("dict[str, object]", json.loads(row.event)) for row in rows]
        assert [plain(event) for event in events] == self.told
        assert [event["event"] for event in events].count("RunCompleted") == 1
        self._check_reasons(events)
        current: dict[str, str] = {}
        used: set[str] = set()
        for event in events:
            step = str(event.get("step"))
            key = self._keys.get((step, cast("int", event.get("number", 0))))
            if event["event"] == "StepEntered" and key is not None:
                assert key not in used, "another attempt, the same key"
                assert current.setdefault(step, key) == key, "the same attempt, another key"
            elif event["event"] in {"StepCompleted", "StepAnswered"} and step in current:
                used.add(current.pop(step))

    @staticmethod
    def _check_reasons(events: Sequence[dict[str, object]]) -> None:
        """See that a step knows when its last visit, or its sensitive answer, was lost."""
        active: set[str] = set()
        lost: set[str] = set()
        for event in events:
            step = str(event.get("step"))
            match event["event"]:
                case "Opened":
                    lost |= active | named(event, "again") | named(event, "lost")
                    active.clear()
                case "StepEntered":
                    assert (event["reason"] == "recovered") == (step in lost), step
                    lost.discard(step)
                    active = {step}
                case "StepCompleted" | "StepFailed" | "StepSkipped" | "StepInterrupted":
                    active.discard(step)
                case "StepAnswered":
                    active.discard(step)
                    lost.discard(step)
                case _:
                    pass


async def _read(url: str, key: str) -> Sequence[JournalRow]:
    journal = open_journal(url)
    assert not isinstance(journal, MemoryJournal)
    with journal:
        return await journal.read(key)


def settle(settled: set[str], event: Told) -> None:
    """Keep which steps have an outcome that nobody and nothing has asked anew since."""
    kind, step, _, _, named_again, _ = event
    again = cast("list[str]", named_again)
    if kind in {"StepCompleted", "StepFailed", "StepSkipped", "StepAnswered"}:
        settled.add(str(step))
    assert kind != "Opened" or set(again) <= {"card"}, "asked again, although it was stored"
    settled.difference_update(again)
