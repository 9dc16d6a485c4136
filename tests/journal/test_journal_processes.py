"""Several processes with one journal: they wait for each other, and one wins where one may."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest
from journal_processes import workers

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no RLIMIT_FSIZE there")
PROCESSES = 20
DUELS = 200


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of a journal that nobody has made yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/fresh.db"
    return str(request.getfixturevalue("postgres_url"))


def test_all_begin_at_once(url: str) -> None:
    """Making the tables succeeds, whoever else does it at that moment; no row is lost."""
    with workers(url, PROCESSES) as working:
        for number, worker in enumerate(working):
            worker.tell("append", f"run {number}", 0, 100)
        assert [worker.error() for worker in working] == [None] * PROCESSES
        for number in range(PROCESSES):
            assert working[number - 1].ask("read", f"run {number}") == 1


def test_two_on_one_key(url: str) -> None:
    """Of two processes that append the same row exactly one succeeds, the other has a conflict."""
    with workers(url, 2) as pair:
        for number in range(DUELS):
            # In turns, so that it isn't always the same one that was told first.
            for worker in pair if number % 2 else reversed(pair):
                worker.tell("append", "key", number, 100)
            errors = [worker.error() for worker in pair]
            (conflict,) = [error[0] for error in errors if error is not None]
            assert conflict == "JournalConflictError"
        assert pair[0].ask("read", "key") == DUELS


def test_full_disk(tmp_path: Path) -> None:
    """Without room for a row it isn't stored, the error says so, and with room all goes on."""
    with workers(f"sqlite:///{tmp_path}/full.db", 1) as (worker,):
        assert worker.ask("append", "key", 0, 100) is None
        assert worker.ask("limit", 100_000) is None
        worker.tell("append", "key", 1, 200_000)
        error = worker.error()
        assert error is not None
        kind, text = error
        assert kind == "JournalError"
        assert "full.db: the disk " in text
        assert "full" in text.partition("the disk")[2]
        assert worker.ask("read", "key") == 1
        assert worker.ask("limit", -1) is None
        assert worker.ask("append", "key", 1, 200_000) is None
        assert worker.ask("read", "key") == 2
