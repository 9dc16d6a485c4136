"""`python -m reflow`: an insurance intake in the terminal; and commands for flows and journals."""

from __future__ import annotations

import argparse
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final, final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NEEDED = {"email_validator": "email-validator", "rich": "rich"}


@final
class Options(argparse.Namespace):
    """What the command line says."""

    backend: str
    journal: str | None
    key: str | None
    livekit: bool


def main(arguments: list[str] | None = None) -> int:
    """Run the demo, or a command; give the exit code."""
    given = sys.argv[1:] if arguments is None else arguments
    if given and given[0] in COMMANDS:
        try:
            return COMMANDS[given[0]](given[1:])
        except KeyboardInterrupt:
            return 130
    parser = argparse.ArgumentParser(
        "python -m reflow",
        description="An insurance intake in the terminal. At any question you can go back, correct "
        "other answers or see where you are: type help. To see your own flows, to draw your runs, "
        "and to look into their journals: python -m reflow show --help, python -m reflow timeline "
        "--help, python -m reflow journal --help",
        epilog="Exit codes: 0 signed, 1 left early or the journal can't be used, 2 wrong usage, "
        "130 Ctrl+C.",
    )
    parser.add_argument(
        "--backend",
        choices=["asyncio", "trio"],
        default="asyncio",
        help="the event loop to run on (default: %(default)s)",
    )
    parser.add_argument(
        "--journal",
        metavar="URL",
        help="keep the answers there, for example in sqlite:///intake.db, so that the same command "
        "goes on with them after Ctrl+C, or worse; needs --key",
    )
    parser.add_argument(
        "--key", help="what the intake is kept under in the journal, for example call-42"
    )
    parser.add_argument(
        "--livekit",
        action="store_true",
        help="let an agent of LiveKit ask, in text mode: no network, no keys, simple rules instead "
        "of a language model",
    )
    options = parser.parse_args(given, Options())
    if (options.journal is None) != (options.key is None):
        parser.error("--journal and --key go together")
    if options.key == "":
        parser.error("--key must not be empty")
    if options.livekit and options.backend != "asyncio":
        parser.error("--livekit runs on asyncio only")

    needed = dict(NEEDED)
    if options.backend == "trio":
        needed["trio"] = "trio"
    if options.journal is not None:
        needed["cattrs"] = "cattrs"
    if options.livekit:
        needed["livekit.agents"] = "livekit-agents"
    missing = [package for module, package in needed.items() if not found(module)]
    if missing:
        extra = "journal" if missing == ["cattrs"] else "demo"
        if options.livekit:
            extra = "demo,livekit"
        command = f'python -m pip install "reflow[{extra}]"'
        parser.error(f"{', '.join(missing)} not found; run: {command}")
    try:
        # Only now, as it needs what was looked for, and takes its time.
        from .demo.terminal import main as converse  # noqa: PLC0415

        return converse(options.backend, options.journal, options.key, livekit=options.livekit)
    except KeyboardInterrupt:
        return 130


def found(module: str) -> bool:
    """Say whether a module is installed; the packages around it are imported."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def journal(arguments: list[str]) -> int:
    """Look into a journal; give the exit code."""
    # Only now, as the demo needs no journal; and so on.
    from .journal.commands import main as command  # noqa: PLC0415

    return command(arguments)


def show(arguments: list[str]) -> int:
    """Show a flow; give the exit code."""
    from .diagram.commands import main as command  # noqa: PLC0415

    return command(arguments)


def timeline(arguments: list[str]) -> int:
    """Draw a stored run; give the exit code."""
    from .timeline.commands import main as command  # noqa: PLC0415

    return command(arguments)


COMMANDS: Final[Mapping[str, Callable[[list[str]], int]]] = {
    "journal": journal,
    "show": show,
    "timeline": timeline,
}


if __name__ == "__main__":
    sys.exit(main())
