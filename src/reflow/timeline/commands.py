"""`python -m reflow timeline`: draw a stored run as an SVG picture."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, final

import anyio

from reflow import JournalError
from reflow.journal.commands import opened, put, shown

from . import svg

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reflow import Journal, JournalRow


@final
class Options(argparse.Namespace):
    """What the command line says."""

    url: str
    key: str
    output: str | None


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments behind `python -m reflow timeline` say; give the exit code."""
    parser = argparse.ArgumentParser(
        "python -m reflow timeline",
        description="Draw a run that is kept in a journal as an SVG picture: its visits as bars, "
        "going back as arrows. Answers are not in it. Web browsers show it.",
        epilog="Exit codes: 0 done, 1 no such key, or the journal or the file can't be used, "
        "2 wrong usage.",
    )
    parser.add_argument(
        "url",
        metavar="URL",
        help="sqlite:///relative.db, sqlite:////absolute/path.db or "
        "postgresql://user@host/database",
    )
    parser.add_argument("key", metavar="KEY", help="the key of the run")
    parser.add_argument(
        "-o", "--output", metavar="FILE", help="write the picture there, not to standard output"
    )
    options = parser.parse_args(arguments, Options())
    try:
        with opened(options.url) as journal:
            picture = svg(anyio.run(stored, journal, options.key))
        if options.output is not None:
            Path(options.output).write_text(picture, "ascii", newline="\n")
            return 0
    except (JournalError, OSError) as error:
        print(f"python -m reflow timeline: {shown(str(error))}", file=sys.stderr)  # noqa: T201 - as commands do
        return 1
    return put(picture.splitlines(), "timeline")


async def stored(journal: Journal, key: str) -> Sequence[JournalRow]:
    """Give the rows of a run.

    Raises:
        JournalError: if there is no such run.
    """
    rows = await journal.read(key)
    if not rows:
        raise JournalError(f"there is no run with the key {key!r}")
    return rows
