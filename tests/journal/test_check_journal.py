"""The conformance test: every journal of reflow passes it, and none that breaks one rule does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from broken_appends import Correct
from broken_journals import BROKEN

from reflow import MemoryJournal
from reflow.journal import PostgresJournal, SQLiteJournal
from reflow.testing import check_journal

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from broken_appends import Shared
    from postgres_server import Server

pytestmark = pytest.mark.anyio


async def test_memory() -> None:
    """The journal in memory is one."""
    journal = MemoryJournal()
    await check_journal(lambda: journal)


async def test_sqlite(tmp_path: Path) -> None:
    """The journal in a file is one, also behind a path that a URL has to be careful with."""
    await check_journal(lambda: SQLiteJournal(tmp_path / "a b?#%41.db"))


async def test_postgres(postgres: Server) -> None:
    """The journal in PostgreSQL is one."""
    await check_journal(lambda: PostgresJournal(postgres.url))


@pytest.mark.parametrize(("broken", "rule"), BROKEN.values(), ids=BROKEN)
async def test_broken(broken: Callable[[Shared], Correct], rule: str) -> None:
    """Whatever a journal does wrong is found, and named."""
    shared: Shared = {}
    with pytest.raises(AssertionError, match=rule):
        await check_journal(lambda: broken(shared))


async def test_correct() -> None:
    """What the broken ones are made of isn't broken itself."""
    shared: Shared = {}
    await check_journal(lambda: Correct(shared))
    assert not shared
