"""The journal in PostgreSQL: outages, refusals, and two who write at the same time."""

from __future__ import annotations

import gc
import os
import traceback
from contextlib import closing
from datetime import UTC, timedelta, timezone
from typing import TYPE_CHECKING, LiteralString

import anyio
import anyio.lowlevel
import attrs
import psycopg
import pytest
from journal_worker import MOMENT, row
from psycopg.sql import SQL, Identifier

from reflow import JournalConflictError, JournalError, JournalUnavailableError
from reflow.journal import PostgresJournal, StoredRun

if TYPE_CHECKING:
    from collections.abc import Generator

    from postgres_server import Server

pytestmark = pytest.mark.anyio


@pytest.fixture
def journal(postgres_url: str) -> Generator[PostgresJournal]:
    """Give a journal in a new schema."""
    with PostgresJournal(postgres_url, patience=7) as opened:
        yield opened


def connected(url: str) -> closing[psycopg.Connection]:
    """Connect as somebody else would."""
    return closing(psycopg.connect(url, autocommit=True))


def execute(url: str, statement: LiteralString) -> None:
    """Change the database as somebody would do it by hand."""
    with connected(url) as connection:
        connection.execute(statement)


async def waiting(url: str, running: LiteralString) -> None:
    """Wait until a statement waits for somebody's lock."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ~ %s"
    with connected(url) as connection:
        while connection.execute(query, (running,)).fetchone() == (0,):
            await anyio.lowlevel.checkpoint()


async def test_columns(journal: PostgresJournal, postgres_url: str) -> None:
    """Whoever looks with psql reads one row per event, in plain columns."""
    there = MOMENT.astimezone(timezone(timedelta(hours=-3)))
    await journal.append("call-42", [row(0), attrs.evolve(row(1), active=None, time=there)])
    with connected(postgres_url) as other:
        table = other.execute("SELECT * FROM reflow_journal ORDER BY sequence").fetchall()
    event = '{"event": "RunCompleted"}'
    assert table == [
        ("call-42", 0, "writer", MOMENT, "running", "email", event),
        ("call-42", 1, "writer", MOMENT, "running", None, event),
    ]
    assert [row.time.tzinfo for row in await journal.read("call-42", -1)] == [UTC, UTC]
    assert journal.patience == 7


async def test_looking_makes_nothing(journal: PostgresJournal, postgres_url: str) -> None:
    """Only writing makes tables; whoever has looked before sees what others write then."""
    assert await journal.read("key") == []
    assert await journal.runs() == []
    assert await journal.forget("key") == 0
    with PostgresJournal(postgres_url) as other:
        await other.append("key", [])
        assert await other.read("key") == []
        await other.append("key", [row(0)])
    assert await journal.runs() == [StoredRun("key", row(0).state, "email", MOMENT, 1)]


async def test_restart(journal: PostgresJournal, postgres: Server) -> None:
    """The restart of the server costs an error that may pass, and then all goes on."""
    await journal.append("key", [row(0)])
    postgres.restart()
    with pytest.raises(JournalUnavailableError, match=r"database postgres at .* can't be reached"):
        await journal.append("key", [row(1)])
    assert len(await journal.read("key")) == 1
    await journal.append("key", [row(1)])


async def test_outage(journal: PostgresJournal, postgres: Server) -> None:
    """While the server is away every method says so at once; when it is back they work."""
    await journal.append("key", [row(0)])
    postgres.stop()
    try:
        for _ in range(2):
            for call in (
                journal.append("key", [row(1)]),
                journal.read("key"),
                journal.runs(),
                journal.forget("key"),
            ):
                with pytest.raises(JournalUnavailableError):
                    await call
    finally:
        postgres.start()
    await journal.append("key", [row(1)])
    assert len(await journal.read("key")) == 2


async def test_forget_while_appending(journal: PostgresJournal, postgres_url: str) -> None:
    """A row that comes while its run is being forgotten goes with the others, or is refused."""
    await journal.append("key", [row(number) for number in range(3)])
    with connected(postgres_url) as other, other.transaction():
        # As an append that has locked the row before its own, and hasn't committed.
        other.execute("SELECT FROM reflow_journal WHERE sequence = 2 FOR KEY SHARE")
        other.execute(
            "INSERT INTO reflow_journal SELECT key, 3, writer, time, state, active, event "
            "FROM reflow_journal WHERE sequence = 2"
        )
        async with anyio.create_task_group() as tasks:
            forgotten: list[int] = []

            async def forget() -> None:
                forgotten.append(await journal.forget("key"))

            tasks.start_soon(forget)
            await waiting(postgres_url, "DELETE")
            other.execute("COMMIT")
            other.execute("BEGIN")
    assert forgotten == [4]
    assert await journal.runs() == []


async def test_append_while_forgetting(journal: PostgresJournal, postgres_url: str) -> None:
    """An append waits for who forgets its run, and is refused then: nothing of it is left."""
    await journal.append("key", [row(0)])
    raised: list[JournalError] = []

    async def append() -> None:
        try:
            await journal.append("key", [row(1), row(2)])
        except JournalConflictError as error:
            raised.append(error)

    with connected(postgres_url) as other:
        other.execute("BEGIN")
        other.execute("DELETE FROM reflow_journal")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(append)
            await waiting(postgres_url, "INSERT")
            other.execute("COMMIT")
    assert [str(error).partition(": ")[2] for error in raised] == ["key 'key' has no row before 1"]
    assert await journal.runs() == []


@pytest.mark.parametrize(
    ("user", "database", "said"),
    [
        ("nobody", "postgres", 'role "nobody" does not exist'),
        ("guarded:wrong-password", "postgres", "password authentication failed"),
        ("reflow", "missing", 'database "missing" does not exist'),
    ],
)
async def test_refused(postgres: Server, user: str, database: str, said: str) -> None:
    """What won't pass by waiting is told apart from an outage, without the password."""
    url = postgres.url_of(database, user)
    with connected(postgres.url) as other:
        other.execute("DROP ROLE IF EXISTS guarded")
        other.execute("CREATE ROLE guarded LOGIN PASSWORD 'right-password'")
    with PostgresJournal(url) as journal, pytest.raises(JournalError, match=said) as raised:
        await journal.read("key")
    assert type(raised.value) is JournalError
    assert f"database {database} at" in str(raised.value)
    assert "wrong-password" not in "".join(traceback.format_exception(raised.value))


async def test_too_many_connections(postgres: Server) -> None:
    """A server that has no connection left may have one later."""
    with connected(postgres.url) as other:
        other.execute("DROP ROLE IF EXISTS crowded")
        other.execute("CREATE ROLE crowded LOGIN CONNECTION LIMIT 0")
    crowded = pytest.raises(JournalUnavailableError, match="too many connections")
    with PostgresJournal(postgres.url_of(user="crowded")) as journal, crowded:
        await journal.read("key")


async def test_refused_once(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that takes connections again when the journal asks whether it does is used."""
    connect, errors = psycopg.connect, [psycopg.OperationalError("it is starting")]

    def starting(conninfo: str, *, autocommit: bool) -> psycopg.Connection:
        if errors:
            raise errors.pop()
        return connect(conninfo, autocommit=autocommit)

    monkeypatch.setattr(psycopg, "connect", starting)
    with PostgresJournal(postgres_url) as journal:
        assert await journal.read("key") == []


async def test_no_permission(postgres: Server, postgres_url: str) -> None:
    """Who may not read the table is told so."""
    with PostgresJournal(postgres_url) as journal:
        await journal.append("key", [row(0)])
    schema = postgres_url.rpartition("%3D")[2]
    with connected(postgres.url) as other:
        other.execute("DROP ROLE IF EXISTS stranger")
        other.execute("CREATE ROLE stranger LOGIN")
        other.execute(SQL("GRANT USAGE ON SCHEMA {} TO PUBLIC").format(Identifier(schema)))
    url = postgres_url.replace("//reflow@", "//stranger@")
    with PostgresJournal(url) as journal, pytest.raises(JournalError, match="permission denied"):
        await journal.read("key")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("53100", JournalError),
        ("57P04", JournalError),
        ("22012", JournalError),
        ("57P01", JournalUnavailableError),
        ("57014", JournalUnavailableError),
        ("40001", JournalUnavailableError),
        ("08006", JournalUnavailableError),
        ("23514", JournalConflictError),
    ],
    ids=[
        *("disk full", "database dropped", "another error"),
        *("server stops", "statement ended", "rolled back", "connection broken", "constraint"),
    ],
)
async def test_errors_of_the_server(
    journal: PostgresJournal, postgres_url: str, code: LiteralString, kind: type[JournalError]
) -> None:
    """Whether to try again depends on the server's code; nothing is stored, and all goes on."""
    await journal.append("key", [row(0)])
    execute(
        postgres_url,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE 'the server says why' USING ERRCODE = '{code}'; END $$",
    )
    execute(
        postgres_url,
        "CREATE TRIGGER refuse BEFORE INSERT ON reflow_journal EXECUTE FUNCTION refuse()",
    )
    with pytest.raises(JournalError) as raised:
        await journal.append("key", [row(1)])
    assert type(raised.value) is kind
    execute(postgres_url, "DROP TRIGGER refuse ON reflow_journal")
    assert len(await journal.read("key")) == 1
    await journal.append("key", [row(1)])


async def test_impossible_values(journal: PostgresJournal) -> None:
    """What PostgreSQL can't store is an error of the journal, and the journal works on."""
    with pytest.raises(JournalError, match="NUL or a lone surrogate"):
        await journal.append("a\0b", [row(0)])
    with pytest.raises(JournalError, match="can't store a value"):
        await journal.append("key", [attrs.evolve(row(0), active="\ud800")])
    with pytest.raises(JournalError, match="NUL"):
        await journal.append("key", [attrs.evolve(row(0), active="\0")])
    # A text that compresses badly: an index takes no longer ones.
    long = "".join(chr(0x4E00 + number * 7919 % 20_000) for number in range(2000))
    with pytest.raises(JournalError, match=r"index row size .* exceeds"):
        await journal.append(long, [row(0)])
    await journal.append("key", [row(0)])


async def test_newer_schema(journal: PostgresJournal, postgres_url: str) -> None:
    """What a newer version made isn't touched: an older one would break it."""
    await journal.append("key", [row(0)])
    execute(postgres_url, "UPDATE reflow_journal_version SET version = 2")
    with PostgresJournal(postgres_url) as other:
        for call in (other.read("key"), other.append("key", [row(1)]), other.forget("key")):
            with pytest.raises(JournalError, match=r"has schema 2, .* knows 1: use a newer"):
                await call
    assert len(await journal.read("key")) == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("state = 'asleep'", "row 3 holds what reflow has not written there"),
        ("time = 'infinity'", "row 3 holds"),
        ("time = '4713-01-01 BC'", "row 3 holds"),
        ("time = '12000-01-01'", "row 3 holds"),
        ("sequence = 9", "row 3 is missing"),
        ("key = 'other'", "row 3 is missing"),
    ],
)
async def test_changed_by_hand(
    journal: PostgresJournal, postgres_url: str, change: LiteralString, reason: str
) -> None:
    """Whatever isn't a row is found, with the key and the number: nothing is made up for it."""
    await journal.append("key", [row(number) for number in range(6)])
    execute(postgres_url, f"UPDATE reflow_journal SET {change} WHERE sequence = 3")
    for start in (0, 3):
        with pytest.raises(JournalError, match=f"key 'key': {reason}"):
            await journal.read("key", start)


@pytest.mark.parametrize(
    "change", ["state = 'asleep'", "time = 'infinity'", "time = '0044-03-15 BC'"]
)
async def test_runs_changed_by_hand(
    journal: PostgresJournal, postgres_url: str, change: LiteralString
) -> None:
    """The list of runs makes nothing up either."""
    await journal.append("key", [row(0)])
    execute(postgres_url, f"UPDATE reflow_journal SET {change}")
    with pytest.raises(JournalError, match="key 'key': row 0 holds"):
        await journal.runs()


async def test_forgotten_journal(postgres: Server, postgres_url: str) -> None:
    """Nobody has to close a journal: its connections end when it is gone, without a warning."""
    url = f"{postgres_url}&application_name=forgotten"
    journal = PostgresJournal(url)
    await journal.append("key", [row(0)])
    query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'forgotten'"
    with connected(postgres.url) as other:
        assert other.execute(query).fetchone() == (1,)
        del journal
        gc.collect()
        while other.execute(query).fetchone() != (0,):
            # The server needs a moment to notice.
            await anyio.lowlevel.checkpoint()


async def test_closed(postgres_url: str) -> None:
    """A closed journal says so; closing it again does nothing."""
    for used in (True, False):
        journal = PostgresJournal(postgres_url)
        if used:
            await journal.append("key", [row(0)])
        journal.close()
        journal.close()
        with pytest.raises(JournalError, match=r"database postgres at .* was closed"):
            await journal.read("key")


async def test_after_a_fork(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a child, the parent's connections are neither used nor closed; its own work."""
    journal, unused = PostgresJournal(postgres_url), PostgresJournal(postgres_url)
    await journal.append("key", [row(0)])
    parent = os.getpid()
    with monkeypatch.context() as child:
        child.setattr(os, "getpid", lambda: parent + 1)
        with pytest.raises(JournalError, match="opened before a fork: make another one after it"):
            await journal.read("key")
        assert len(await unused.read("key")) == 1
        unused.close()
        # Through the finalizer's function, as the finalizer itself runs only once.
        journal._database.close()  # noqa: SLF001 - as it says
    await journal.append("key", [row(1)])
    journal.close()
