"""LiveKit's sessions are asyncio's: these tests run on asyncio and uvloop."""

from __future__ import annotations

import sys
from importlib.util import find_spec

import pytest

from reflow.testing import Backend, virtual_asyncio

# The nox sessions `voice` and `voice_lowest` have LiveKit; the others do without these tests.
collect_ignore_glob = [] if find_spec("livekit") else ["test_*.py"]


@pytest.fixture(
    params=[
        pytest.param("asyncio", id="asyncio"),
        pytest.param(
            "uvloop",
            id="uvloop",
            marks=pytest.mark.skipif(sys.platform == "win32", reason="uvloop has no Windows"),
        ),
    ]
)
def anyio_backend(request: pytest.FixtureRequest) -> Backend:
    """Give the backend; on asyncio, time passes only when nothing else can happen."""
    return ("asyncio", {"use_uvloop": True}) if request.param == "uvloop" else virtual_asyncio()
