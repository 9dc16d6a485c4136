"""A process that works with a journal on command: one JSON list per line, one answer per line.

Not a test: `journal_processes` starts it.
"""

from __future__ import annotations

import json
import resource
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, cast

import anyio

from reflow import JournalError, JournalRow, RunState
from reflow.journal import open_journal

if TYPE_CHECKING:
    from reflow import Journal

MOMENT = datetime(2024, 5, 17, 12, 30, 15, 123_456, tzinfo=UTC)


def row(number: int, event: str = '{"event": "RunCompleted"}') -> JournalRow:
    """Give a row."""
    return JournalRow(number, "writer", MOMENT, RunState.RUNNING, "email", event)


async def work(journal: Journal, command: str, *arguments: object) -> object:
    """Do one command."""
    match command, arguments:
        case "append", (str(key), int(number), int(size)):
            await journal.append(key, [row(number, json.dumps("x" * size))])
            return None
        case "read", (str(key),):
            return len(await journal.read(key))
        case "limit", (int(size),):
            # No file may become larger: as on a full disk. Python ignores the signal (SIGXFSZ).
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (size if size >= 0 else hard, hard))
            return None
        case _:
            raise ValueError(command)


async def main(url: str) -> None:
    """Do commands until there are no more."""
    journal = open_journal(url)
    print('"ready"', flush=True)  # noqa: T201 - a pipe is what others wait at
    # Nothing else runs on this event loop that could be kept waiting.
    for line in sys.stdin:
        command, *arguments = cast("list[object]", json.loads(line))
        try:
            answer = await work(journal, str(command), *arguments)
        except JournalError as error:
            answer = [type(error).__name__, str(error)]
        print(json.dumps(answer), flush=True)  # noqa: T201 - likewise


if __name__ == "__main__":
    anyio.run(main, sys.argv[1])
