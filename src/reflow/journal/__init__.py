"""Journals that outlive the process: in an SQLite file, or in a PostgreSQL database."""

from __future__ import annotations

from reflow import Journal as Journal
from reflow import JournalError
from reflow import JournalRow as JournalRow
from reflow import MemoryJournal as MemoryJournal
from reflow import StoredRun as StoredRun

from .postgres import PostgresJournal as PostgresJournal
from .sqlite import SQLiteJournal as SQLiteJournal

__all__ = [
    "Journal",
    "JournalRow",
    "MemoryJournal",
    "PostgresJournal",
    "SQLiteJournal",
    "StoredRun",
    "open_journal",
]


def open_journal(url: str) -> MemoryJournal | PostgresJournal | SQLiteJournal:
    """Give the journal that a URL names; nothing is opened yet.

    Args:
        url: one of

            - `sqlite:///relative.db`, `sqlite:////absolute/path.db`: the path is taken as it
              stands, without percent-encoding, and without parameters behind a `?`;
            - `postgresql://user:password@host/database` or `postgres://...`; a Unix socket is
              `postgresql:///database?host=/folder/of/the/socket`;
            - `memory:`, another one each time.

    Raises:
        JournalError: if it is none of these, or if psycopg is needed and not installed.
    """
    scheme, _, path = url.partition(":///")
    if scheme == "sqlite" and path and path != ":memory:" and "?" not in path:
        return SQLiteJournal(path)
    if url.startswith(("postgresql://", "postgres://")):
        return PostgresJournal(url)
    if url == "memory:":
        return MemoryJournal()
    # Not what was given: there may be a password in it.
    message = (
        "a journal's URL is sqlite:///relative.db, sqlite:////absolute/path.db, "
        "postgresql://user:password@host/database or memory:"
    )
    raise JournalError(message)
