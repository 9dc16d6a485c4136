"""`python -m reflow journal`: look into a journal, and delete from it what has to go."""

from __future__ import annotations

import argparse
import json
import os
import sys
from contextlib import contextmanager
from datetime import UTC
from typing import TYPE_CHECKING, Final, cast, final

import anyio

from reflow import JournalError

from . import MemoryJournal, SQLiteJournal, open_journal

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator, Iterable, Sequence
    from datetime import datetime

    from . import Journal, JournalRow

HEADINGS: Final = ("key", "state", "active", "last event", "rows")


@final
class Options(argparse.Namespace):
    """What the command line says."""

    url: str
    key: str = ""
    run: Callable[[Journal, str], Coroutine[object, object, Iterable[str]]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments behind `python -m reflow journal` say; give the exit code."""
    parser = argparse.ArgumentParser(
        "python -m reflow journal",
        description="Look into a journal of runs, or delete a run from it.",
        epilog="Exit codes: 0 done, 1 no such key or the journal can't be used, 2 wrong usage.",
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    for run, name, help_ in (
        (list_runs, "list", "list the runs: where each stands, the last one first"),
        (show_run, "show", "print the events of a run, one to a line"),
        (forget_run, "forget", "delete a run, for example because a person asks for it"),
    ):
        command = commands.add_parser(name, help=help_, description=f"{help_.capitalize()}.")
        command.add_argument(
            "url",
            metavar="URL",
            help="sqlite:///relative.db, sqlite:////absolute/path.db or "
            "postgresql://user@host/database",
        )
        if run is not list_runs:
            command.add_argument("key", metavar="KEY", help="the key of the run")
        command.set_defaults(run=run)
    options = parser.parse_args(arguments, Options())
    try:
        with opened(options.url) as journal:
            lines = anyio.run(options.run, journal, options.key)
    except (JournalError, OSError) as error:
        print(f"python -m reflow journal: {shown(str(error))}", file=sys.stderr)  # noqa: T201 - as commands do
        return 1
    return put(lines, "journal")


def put(lines: Iterable[str], command: str) -> int:
    """Print lines for this command of `python -m reflow`; give the exit code."""
    try:
        print(*map(encodable, lines), sep="\n", flush=True)  # noqa: T201 - likewise
    except OSError as error:
        # Without this, Python would try once more at its end
        # (https://docs.python.org/3/library/signal.html#note-on-sigpipe).
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        # Nobody reads on, like `head` after ten lines: nobody wants to know of that, either.
        if not isinstance(error, BrokenPipeError):
            text = f"python -m reflow {command}: standard output: {shown(str(error))}"
            print(text, file=sys.stderr)  # noqa: T201 - likewise
        return 1
    return 0


def table(rows: Sequence[Sequence[str]], *, right: bool = False) -> list[str]:
    """Give the lines of a table.

    Args:
        rows: the cells, row by row, the headings first.
        right: whether the last column is set flush right, as numbers are.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            [
                *map(str.ljust, cells[:-1], widths),
                cells[-1].rjust(widths[-1]) if right else cells[-1],
            ]
        )
        for cells in rows
    ]


@contextmanager
def opened(url: str) -> Generator[Journal]:
    """Open a journal that is there.

    Raises:
        JournalError: if it isn't: a journal that nobody wrote to is more likely a wrong path.
    """
    journal = open_journal(url)
    if isinstance(journal, MemoryJournal):
        yield journal
        return
    with journal:
        if isinstance(journal, SQLiteJournal) and not journal.path.exists():
            raise JournalError(f"there is no file {journal.path}")
        yield journal


async def list_runs(journal: Journal, _: str) -> Iterable[str]:
    """Give the lines of a table of all runs."""
    rows: list[tuple[str, ...]] = [HEADINGS]
    for run in await journal.runs():
        moment = moment_of(run.time, "seconds")
        rows.append(
            (shown(run.key), run.state.value, shown(run.active or "-"), moment, str(run.rows))
        )
    return table(rows, right=True)


async def show_run(journal: Journal, key: str) -> Iterable[str]:
    """Give the lines of a run's events.

    Raises:
        JournalError: if there is no such run.
    """
    rows = await journal.read(key)
    if not rows:
        raise JournalError(f"there is no run with the key {key!r}")
    width = len(str(rows[-1].sequence))
    return [line_of(row, width) for row in rows]


async def forget_run(journal: Journal, key: str) -> Iterable[str]:
    """Delete a run, and give a line that says so.

    Raises:
        JournalError: if there is no such run.
    """
    deleted = await journal.forget(key)
    if not deleted:
        raise JournalError(f"there is no run with the key {key!r}")
    return [f"{deleted} rows deleted"]


def line_of(row: JournalRow, width: int) -> str:
    """Give the line of a row."""
    moment = moment_of(row.time, "milliseconds")
    return f"{row.sequence:{width}}  {moment}  {shown(row.writer[:8]):8}  {event_of(row.event)}"


def event_of(text: str) -> str:
    """Give the kind of an event and its fields; what isn't an event as it stands."""
    try:
        event: object = json.loads(text)
    except (ValueError, RecursionError):
        return shown(text)
    if not isinstance(event, dict):
        return shown(text)
    fields = dict(cast("dict[str, object]", event))
    kind = str(fields.pop("event", "?"))
    return shown(" ".join([kind, *(f"{name}={value_of(value)}" for name, value in fields.items())]))


def value_of(value: object) -> str:
    """Give a field of an event."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def moment_of(time: datetime, precision: str) -> str:
    """Give a time as text, in UTC."""
    return time.astimezone(UTC).isoformat(" ", precision).removesuffix("+00:00") + "Z"


def shown(text: str) -> str:
    """Give a text that stays on its line, and does nothing to a terminal."""
    if text.isprintable():
        return text
    return "".join(
        sign if sign.isprintable() else sign.encode("unicode_escape").decode() for sign in text
    )


def encodable(line: str) -> str:
    """Give a line that standard output can take: with numbers for characters that it hasn't."""
    encoding = sys.stdout.encoding or "utf-8"
    return line.encode(encoding, "backslashreplace").decode(encoding)
