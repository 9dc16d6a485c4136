"""What can be wrong with an SQLite file: the error says what, and nothing is changed."""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from journal_worker import row

from reflow import JournalError
from reflow.journal import SQLiteJournal

if TYPE_CHECKING:
    from collections.abc import Generator

pytestmark = pytest.mark.anyio
# Of an account without any rights.
NOBODY = 65534


async def refused(journal: SQLiteJournal, reason: str) -> None:
    """See that reading and writing fail for this reason."""
    with journal:
        for call in (journal.read("key"), journal.append("key", [row(0)]), journal.runs()):
            with pytest.raises(JournalError, match=reason):
                await call


def names(folder: Path) -> list[str]:
    """Give the names of the files in a folder."""
    return [file.name for file in folder.iterdir()]


def execute(path: Path, *statements: str) -> None:
    """Change the file as somebody would do it by hand."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


async def test_folder(tmp_path: Path) -> None:
    """A folder is no file."""
    await refused(SQLiteJournal(tmp_path), "can't be opened: it is a folder, not a file")


async def test_no_folder(tmp_path: Path) -> None:
    """Folders aren't made: a path that nobody has heard of is more likely a mistake."""
    path = tmp_path / "missing" / "runs.db"
    await refused(SQLiteJournal(path), r"missing.runs\.db .* its folder doesn't exist; make it")
    assert not path.parent.exists()


async def test_no_database(tmp_path: Path) -> None:
    """A file of another kind is left as it is."""
    path = tmp_path / "letter.txt"
    path.write_text("Dear Ada,\n" * 1000)
    await refused(SQLiteJournal(path), r"letter\.txt: it is not an SQLite database")
    assert path.read_text() == "Dear Ada,\n" * 1000
    assert names(tmp_path) == ["letter.txt"]


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("CREATE TABLE customers (name)", "another program's database: choose another file"),
        ("PRAGMA user_version = 7", "another program's database: choose another file"),
    ],
)
async def test_another_database(tmp_path: Path, statement: str, reason: str) -> None:
    """Another program's database is left as it is."""
    path = tmp_path / "other.db"
    execute(path, statement)
    before = path.read_bytes()
    await refused(SQLiteJournal(path), reason)
    assert path.read_bytes() == before


async def test_newer_schema(tmp_path: Path) -> None:
    """What a newer version made isn't touched: an older one would break it."""
    path = tmp_path / "runs.db"
    with SQLiteJournal(path) as journal:
        await journal.append("key", [row(0)])
    execute(path, "PRAGMA user_version = 2")
    before = path.read_bytes()
    await refused(SQLiteJournal(path), "has schema 2, .* knows 1: use a newer reflow")
    assert path.read_bytes() == before


async def test_damaged(tmp_path: Path) -> None:
    """A damaged file is said to be damaged."""
    path = tmp_path / "runs.db"
    with SQLiteJournal(path) as journal:
        await journal.append("key", [row(number, "x" * 3000) for number in range(20)])
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096 * 5)
    damaged = pytest.raises(JournalError, match=r"runs\.db: the file is damaged: move it away")
    with SQLiteJournal(path) as journal, damaged:
        await journal.read("key")


async def test_no_table(tmp_path: Path) -> None:
    """Any other error of SQLite is one of the journal, with what SQLite says."""
    path = tmp_path / "runs.db"
    with SQLiteJournal(path) as journal:
        await journal.append("key", [row(0)])
        execute(path, "ALTER TABLE reflow_journal RENAME TO renamed")
        with pytest.raises(JournalError, match=r"SQLite refuses .no such table: reflow_journal"):
            await journal.read("key")


async def test_erasing_fails(tmp_path: Path) -> None:
    """Rows that are deleted but not erased are an error: somebody relies on it."""
    path = tmp_path / "runs.db"
    with SQLiteJournal(path) as journal:
        await journal.append("key", [row(number, "x" * 3000) for number in range(20)])
        await journal.append("other", [row(0)])
        # An index whose tree is the table's: VACUUM can't copy it.
        execute(
            path,
            "PRAGMA writable_schema = ON",
            "INSERT INTO sqlite_master VALUES ('table', 'broken', 'broken', 99, 'CREATE TABLE x')",
        )
        with pytest.raises(JournalError, match="20 rows of key 'key' are deleted, but their text"):
            await journal.forget("key")


@pytest.mark.parametrize("replaced", [False, True], ids=["deleted", "replaced"])
async def test_file_taken_away(tmp_path: Path, *, replaced: bool) -> None:
    """Nothing is written to a file that has no name anymore: it would be lost without a word."""
    path = tmp_path / "runs.db"
    with SQLiteJournal(path) as journal:
        await journal.append("key", [row(0)])
        path.rename(tmp_path / "moved")
        if replaced:
            path.touch()
        with pytest.raises(JournalError, match="was deleted or replaced while it was in use"):
            await journal.append("key", [row(1)])


@contextmanager
def without_rights(folder: Path, file: Path, folder_mode: int, file_mode: int) -> Generator[None]:
    """Be an account to which the modes of a file and its folder apply: to root they don't."""
    before = os.geteuid()
    file.chmod(file_mode)
    folder.chmod(folder_mode)
    os.seteuid(before or NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)
        folder.chmod(0o755)
        file.chmod(0o644)


@pytest.mark.skipif(sys.platform == "win32", reason="rights are something else there")
@pytest.mark.parametrize(
    ("file_mode", "folder_mode", "reason"),
    [
        (0o444, 0o777, r"runs\.db: the file, or its folder, is read-only"),
        (0o000, 0o777, r"runs\.db can't be opened: see whether this account may write there"),
        (0o666, 0o555, r"runs\.db: the file, or its folder, is read-only"),
        (0o666, 0o000, r"runs\.db can't be opened: see whether this account may write there"),
    ],
    ids=["file", "unreadable file", "folder", "unreadable folder"],
)
async def test_no_rights(file_mode: int, folder_mode: int, reason: str) -> None:
    """Who may not write is told so, and nothing is changed."""
    # Not in the folder for tests of pytest, which other accounts can't enter.
    with tempfile.TemporaryDirectory() as name:
        folder, path = Path(name), Path(name, "runs.db")
        with SQLiteJournal(path) as journal:
            await journal.append("key", [row(0)])
        with without_rights(folder, path, folder_mode, file_mode):
            with SQLiteJournal(path) as journal, pytest.raises(JournalError, match=reason):
                await journal.append("key", [row(1)])
            # In most cases reading fails, too, which isn't the same as no rows.
            with SQLiteJournal(path) as journal, suppress(JournalError):
                assert len(await journal.read("key")) == 1
        with SQLiteJournal(path) as journal:
            assert await journal.read("key") == [row(0)]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("state = 'sleeping'", "row 3 holds what reflow has not written there"),
        ("state = 7", "row 3 holds"),
        ("time = 'yesterday'", "row 3 holds"),
        ("time = '2024-01-01T00:00:00'", "row 3 holds"),
        ("time = 5.5", "row 3 holds"),
        ("writer = x'ff'", "row 3 holds"),
        ("active = x'ff'", "row 3 holds"),
        ("event = x'7b7d'", "row 3 holds"),
        ("event = CAST(x'ff' AS TEXT)", "row 3 holds"),
        ("sequence = 'three'", "row 3 is missing"),
        ("sequence = 9", "row 3 is missing"),
        ("key = 'other'", "row 3 is missing"),
    ],
)
async def test_changed_by_hand(tmp_path: Path, change: str, reason: str) -> None:
    """Whatever isn't a row is found, with the key and the number: nothing is made up for it."""
    path = tmp_path / "runs.db"
    with SQLiteJournal(path) as journal:
        await journal.append("key", [row(number) for number in range(6)])
        execute(path, f"UPDATE reflow_journal SET {change} WHERE sequence = 3")
        for start in (0, 3):
            with pytest.raises(JournalError, match=f"key 'key': {reason}"):
                await journal.read("key", start)


@pytest.mark.parametrize(
    "change",
    ["state = 'sleeping'", "time = 'today'", "sequence = 'x'", "key = x'ff'", "active = x'ff'"],
)
async def test_runs_changed_by_hand(tmp_path: Path, change: str) -> None:
    """The list of runs makes nothing up either."""
    path = tmp_path / "runs.db"
    with SQLiteJournal(path) as journal:
        await journal.append("key", [row(0)])
        execute(path, f"UPDATE reflow_journal SET {change}")
        with pytest.raises(JournalError, match="holds what reflow has not written there"):
            await journal.runs()
