"""A journal by its URL: the right one, or a sentence that says what a URL looks like."""

from __future__ import annotations

import subprocess
import sys
import traceback
from typing import TYPE_CHECKING

import pytest

from reflow import JournalError, MemoryJournal
from reflow.journal import PostgresJournal, SQLiteJournal, open_journal

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///runs.db", "runs.db"),
        ("sqlite:///folder/a b%41#.db", "folder/a b%41#.db"),
        ("sqlite:////var/runs.db", "/var/runs.db"),
    ],
)
def test_sqlite(url: str, path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three slashes begin a relative path, four an absolute one; it stays the same file."""
    monkeypatch.chdir(tmp_path)
    journal = open_journal(url)
    monkeypatch.chdir("/")
    assert isinstance(journal, SQLiteJournal)
    assert journal.path == tmp_path / path


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:secret@db.example.org:5433/runs",
        "postgres://db.example.org",
        "postgresql:///runs?host=/var/run/postgresql",
        "postgresql://",
    ],
)
def test_postgres(url: str) -> None:
    """Both names are one; nothing is connected yet."""
    assert isinstance(open_journal(url), PostgresJournal)


def test_memory() -> None:
    """A journal in memory is another one each time."""
    first, second = open_journal("memory:"), open_journal("memory:")
    assert isinstance(first, MemoryJournal)
    assert first is not second
    # As those that need it, so that a program doesn't have to tell them apart.
    with open_journal("memory:") as journal:
        assert isinstance(journal, MemoryJournal)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "runs.db",
        "sqlite:",
        "sqlite://",
        "sqlite:///",
        "sqlite://runs.db",
        "sqlite:///:memory:",
        "sqlite:///runs.db?mode=ro",
        "memory",
        "mysql://ada:secret@localhost/runs",
        "postgresql+psycopg://ada:secret@localhost/runs",
    ],
)
def test_others(url: str) -> None:
    """Whatever else is refused with the forms there are, and without what may be a password."""
    with pytest.raises(
        JournalError, match=r"a journal's URL is sqlite:///relative\.db, "
    ) as raised:
        open_journal(url)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://ada:secret@[::1/runs",
        "postgresql://ada:sec@ret@localhost/runs",
        "postgresql://ada:7/secret@localhost/runs",
        "postgresql://ada:secret/ret@localhost/runs",
        "postgresql://ada:secret@localhost:port/runs",
        "postgresql://ada:secret@localhost/runs?surprise=1",
    ],
)
def test_bad_postgres(url: str) -> None:
    """A URL that PostgreSQL doesn't understand isn't shown: there is a password in it."""
    with pytest.raises(JournalError, match="%40 for an @ in the password") as raised:
        open_journal(url)
    assert "sec" not in "".join(traceback.format_exception(raised.value))


def test_without_psycopg(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who hasn't psycopg is told what to install."""
    monkeypatch.delitem(sys.modules, "reflow.journal._postgres", raising=False)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(JournalError, match=r"pip install 'reflow\[postgres\]'") as raised:
        open_journal("postgresql://localhost/runs")
    assert isinstance(raised.value.__cause__, ImportError)


def test_imports() -> None:
    """`import reflow` loads no journal of a database, and `import reflow.journal` no psycopg."""
    script = (
        "import sys, reflow; assert not [m for m in sys.modules if 'reflow.journal' in m]; "
        "import reflow.journal; assert not [m for m in sys.modules if 'psycopg' in m]"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
