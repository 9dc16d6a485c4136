"""Fixtures: each async test runs on asyncio, uvloop and trio; a PostgreSQL server, a browser."""

from __future__ import annotations

import os
import sys
import uuid
from typing import TYPE_CHECKING, Never

import browser as browsers
import postgres_server
import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from reflow.testing import virtual_asyncio, virtual_trio

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

# For the tests of the router, and the processes that they start: where others compute, too, several
# threads only wait for each other. It counts when numpy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


@pytest.fixture(
    params=[
        pytest.param("asyncio", id="asyncio"),
        pytest.param(
            "uvloop",
            id="uvloop",
            marks=pytest.mark.skipif(sys.platform == "win32", reason="uvloop has no Windows"),
        ),
        pytest.param("trio", id="trio"),
    ]
)
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, object]]:
    """Give the backend in the form that the pytest plugin of anyio takes.

    But for uvloop, time passes only when nothing else can happen: a test never really waits.
    """
    if request.param == "uvloop":
        return "asyncio", {"use_uvloop": True}
    return virtual_trio() if request.param == "trio" else virtual_asyncio()


@pytest.fixture
def backend_name(anyio_backend: tuple[str, dict[str, object]]) -> str:
    """Give the name under which anyio knows the backend: asyncio or trio."""
    return anyio_backend[0]


@pytest.fixture(scope="session")
def postgres() -> Generator[postgres_server.Server]:
    """Give a PostgreSQL server of the tests' own.

    Without one to start, the tests that ask for it are skipped; with REFLOW_REQUIRE_POSTGRES=1 in
    the environment they fail, so that a machine that is to run them can't forget it.
    """
    try:
        with postgres_server.running() as server:
            yield server
    except postgres_server.NoServerError as error:
        lacking(error, "REFLOW_REQUIRE_POSTGRES")


def lacking(error: Exception, variable: str) -> Never:
    """Skip the test, or fail it where the environment says that what it needs must be there."""
    if os.environ.get(variable) == "1":
        pytest.fail(str(error))
    pytest.skip(str(error))


@pytest.fixture
def postgres_url(postgres: postgres_server.Server) -> str:
    """Give the URL of a schema on that server that is this test's alone, and empty."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(postgres.url) as connection:
        connection.execute(SQL("CREATE SCHEMA {}").format(Identifier(name)))
    return f"{postgres.url}&options=-csearch_path%3D{name}"


@pytest.fixture(scope="session")
def browser() -> browsers.Browser:
    """Give a real browser; without one the test is skipped.

    Or it fails, with REFLOW_REQUIRE_CHROMIUM=1.
    """
    try:
        return browsers.Browser()
    except browsers.MissingError as error:
        lacking(error, "REFLOW_REQUIRE_CHROMIUM")


@pytest.fixture(scope="session")
def mermaid_script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give Mermaid's own script; without npm to fetch it the test is skipped.

    Or it fails, with REFLOW_REQUIRE_MERMAID=1.
    """
    try:
        return browsers.unpack_mermaid(tmp_path_factory.mktemp("mermaid"))
    except browsers.MissingError as error:
        lacking(error, "REFLOW_REQUIRE_MERMAID")
