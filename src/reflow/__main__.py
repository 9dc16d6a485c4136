"""`python -m reflow`: an insurance intake in the terminal; `python -m reflow journal`: journals."""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec
from typing import final

NEEDED = {"email_validator": "email-validator", "rich": "rich"}


@final
class Options(argparse.Namespace):
    """What the command line says."""

    backend: str


def main(arguments: list[str] | None = None) -> int:
    """Run the demo, or the command for journals; give the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    if given[:1] == ["journal"]:
        return journal(given[1:])
    parser = argparse.ArgumentParser(
        "python -m reflow",
        description="An insurance intake in the terminal. At any question you can go back, correct "
        "other answers or see where you are: type help. To look into the journals of your own "
        "runs: python -m reflow journal --help",
        epilog="Exit codes: 0 signed, 1 left early, 2 wrong usage, 130 Ctrl+C.",
    )
    parser.add_argument(
        "--backend",
        choices=["asyncio", "trio"],
        default="asyncio",
        help="the event loop to run on (default: %(default)s)",
    )
    options = parser.parse_args(given, Options())

    needed = NEEDED if options.backend == "asyncio" else {**NEEDED, "trio": "trio"}
    missing = [package for module, package in needed.items() if find_spec(module) is None]
    if missing:
        parser.error(f"{', '.join(missing)} not found; run: python -m pip install 'reflow[demo]'")
    try:
        # Only now, as it needs what was looked for, and takes its time.
        from .demo.terminal import main as converse  # noqa: PLC0415

        return converse(options.backend)
    except KeyboardInterrupt:
        return 130


def journal(arguments: list[str]) -> int:
    """Run the command for journals; give its exit code."""
    # Only now, as the demo needs no journal.
    from .journal.commands import main as command  # noqa: PLC0415

    try:
        return command(arguments)
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
