"""The server that the tests start: where it can't be, they say what to install."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import postgres_server
import pytest

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs Unix sockets")


def test_no_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without PostgreSQL the reason names the package."""
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(postgres_server, "PLACES", ())
    with pytest.raises(postgres_server.NoServerError, match="apt-get install postgresql"):
        postgres_server.find_programs()


def test_no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root without another account can't start it; everybody else can as who they are."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    def unknown(name: str) -> pwd.struct_passwd:
        raise KeyError(name)

    monkeypatch.setattr(pwd, "getpwnam", unknown)
    with pytest.raises(postgres_server.NoServerError, match="account named postgres"):
        postgres_server.find_account()
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert postgres_server.find_account() is None


@pytest.mark.parametrize(
    ("required", "outcome"),
    [("0", "1 skipped"), ("1", "1 error")],
    ids=["not required", "required"],
)
def test_required(required: str, outcome: str) -> None:
    """Without it tests are skipped; where it is required they fail, so that nobody forgets it."""
    test = Path(__file__).with_name("test_check_journal.py")
    script = (
        "import sys, pytest, postgres_server; postgres_server.PLACES = (); "
        "sys.exit(pytest.main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [
            *(sys.executable, "-c", script, f"{test}::test_postgres", "-k", "asyncio"),
            *("-p", "no:cacheprovider"),
        ],
        check=False,
        capture_output=True,
        text=True,
        env={
            **os.environ,
            "PATH": "",
            "PYTHONPATH": str(test.parents[1]),
            "REFLOW_REQUIRE_POSTGRES": required,
        },
    )
    assert outcome in done.stdout
    assert "apt-get install postgresql" in done.stdout
