"""The demo as a process of its own: its command line, and a terminal for it."""

from __future__ import annotations

import os
import sys

import pexpect


def command(backend: str, *arguments: str) -> list[str]:
    """Give what starts the program; every warning counts as an error."""
    # Not `-X dev`: asyncio would name callbacks that took a tenth of a second, on a busy machine.
    python = [sys.executable, "-X", "faulthandler", "-W", "error"]
    return [*python, "-m", "reflow", "--backend", backend, *arguments]


def terminal(backend: str, *arguments: str, **env: str) -> pexpect.spawn:
    """Run the program on a terminal of 80 columns."""
    program, *rest = command(backend, *arguments)
    environment = {**os.environ, "TERM": "xterm", **env}
    return pexpect.spawn(program, rest, 20, encoding="utf-8", env=environment, dimensions=(24, 80))
