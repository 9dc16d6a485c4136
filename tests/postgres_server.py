"""A private PostgreSQL server for the tests: in a folder of its own, on a Unix socket only."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    import pwd
    from collections.abc import Generator

# Where packages put the programs of the server without linking them into a folder on `PATH`: of
# Debian, of Red Hat, of Homebrew (Apple and Intel), and of Postgres.app.
PLACES: Final = (
    ("/", "usr/lib/postgresql/*/bin"),
    ("/", "usr/pgsql-*/bin"),
    ("/", "opt/homebrew/opt/postgresql*/bin"),
    ("/", "usr/local/opt/postgresql*/bin"),
    ("/", "Applications/Postgres.app/Contents/Versions/*/bin"),
)
ADVICE: Final = (
    "needs the programs of a PostgreSQL server (initdb, pg_ctl): "
    "apt-get install postgresql, or brew install postgresql"
)

SETTINGS: Final = """
listen_addresses = ''
max_connections = 100
# Not UTC, as on many servers: times must come back in UTC all the same.
timezone = 'Asia/Kolkata'
log_timezone = 'UTC'
"""
# Whoever asks for the role `guarded` needs a password; all others come in.
ACCESS: Final = """
local all guarded scram-sha-256
local all all trust
"""


class NoServerError(Exception):
    """There is no PostgreSQL server that could be started here; the text says what to install."""


def find_programs() -> Path:
    """Give the folder with `initdb` and `pg_ctl`, of the newest server that is installed.

    Raises:
        NoServerError: if there is none.
    """
    if sys.platform == "win32":
        raise NoServerError("needs Unix sockets")
    on_path = [Path(found).resolve().parent for found in [shutil.which("initdb")] if found]
    elsewhere = chain.from_iterable(Path(root).glob(place) for root, place in PLACES)
    for folder in [*on_path, *sorted(elsewhere, key=_version, reverse=True)]:
        if (folder / "initdb").exists() and (folder / "pg_ctl").exists():
            return folder
    raise NoServerError(ADVICE)


def _version(folder: Path) -> tuple[int, ...]:
    digits = "".join(sign if sign.isdigit() else " " for sign in str(folder))
    return tuple(map(int, digits.split()))


def find_account() -> pwd.struct_passwd | None:
    """Give the account to run the server as; None for this one. It refuses to run as root.

    Raises:
        NoServerError: if this is root, and there is no other account that it could be.
    """
    if os.geteuid() != 0:
        return None
    # Only here: there is none on Windows, where this module is imported, too.
    from pwd import getpwnam  # noqa: PLC0415

    for name in ("postgres", "nobody"):
        try:
            return getpwnam(name)
        except KeyError:
            continue
    raise NoServerError("needs an account named postgres, as PostgreSQL doesn't run as root")


@final
class Server:
    """A PostgreSQL server that can be stopped and started."""

    def __init__(self, programs: Path, folder: Path, account: pwd.struct_passwd | None) -> None:
        """Take where everything is; see `running`."""
        self._programs: Final = programs
        self._folder: Final = folder
        self._account: Final = account

    @property
    def url(self) -> str:
        """The URL of the database to test in."""
        return self.url_of()

    def url_of(self, database: str = "postgres", user: str = "reflow") -> str:
        """Give the URL of a database for a user, who may be `name:password`."""
        return f"postgresql://{user}@/{database}?host={self._folder}"

    def make(self) -> None:
        """Make a new cluster; the administrator is called reflow, as `postgres` isn't needed."""
        self._run(
            *("initdb", "--pgdata", str(self._folder / "data"), "--username", "reflow"),
            *("--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync"),
        )
        data = self._folder / "data"
        with (data / "postgresql.conf").open("a") as settings:
            settings.write(f"{SETTINGS}unix_socket_directories = '{self._folder}'\n")
        (data / "pg_hba.conf").write_text(ACCESS)

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        self._control("start", "--log", str(self._folder / "log"))

    def stop(self) -> None:
        """Stop it in the usual way: it ends all connections (AdminShutdown)."""
        self._control("stop", "--mode", "fast")

    def restart(self) -> None:
        """Stop it and start it."""
        self.stop()
        self.start()

    def _control(self, *arguments: str) -> None:
        self._run("pg_ctl", "--pgdata", str(self._folder / "data"), "--wait", *arguments)

    def _run(self, program: str, *arguments: str) -> None:
        # Not with pipes: the server inherits them, and they would never end.
        with tempfile.TemporaryFile("w+") as printed:
            command = [str(self._programs / program), *arguments]
            account = self._account
            done = subprocess.run(
                command,
                check=False,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                user=None if account is None else account.pw_uid,
                group=None if account is None else account.pw_gid,
                extra_groups=None if account is None else [],
            )
            if done.returncode:
                printed.seek(0)
                raise RuntimeError(f"{program} failed with {done.returncode}: {printed.read()}")


@contextmanager
def running() -> Generator[Server]:
    """Start a new server, and stop and delete it in the end.

    Raises:
        NoServerError: if that can't be done here.
    """
    programs, account = find_programs(), find_account()
    # Not in the folder for tests of pytest, which other accounts can't enter; and not in a deep
    # one: the path of a Unix socket may have about 100 characters.
    short = "/tmp" if Path("/tmp").is_dir() else None
    with tempfile.TemporaryDirectory(prefix="reflow-", dir=short) as folder:
        if account is not None:
            os.chown(folder, account.pw_uid, account.pw_gid)
        server = Server(programs, Path(folder), account)
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.stop()
