"""One fixture for every backend: each async test runs on asyncio, on uvloop and on trio."""

from __future__ import annotations

import sys

import pytest
from trio.testing import MockClock


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
    """Give the backend in the form that the pytest plugin of anyio takes."""
    if request.param == "trio":
        # Time passes only when nothing else can happen: a test never really waits.
        return "trio", {"clock": MockClock(autojump_threshold=0)}
    return "asyncio", {"use_uvloop": request.param == "uvloop"}


@pytest.fixture
def backend_name(anyio_backend: tuple[str, dict[str, object]]) -> str:
    """Give the name under which anyio knows the backend: asyncio or trio."""
    return anyio_backend[0]
