"""`python -m reflow show`: the steps of a flow as a table, and its diagram."""

from __future__ import annotations

import argparse
import importlib
import operator
import sys
import traceback
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Final, TypeAlias, cast, final

from reflow import Flow
from reflow.journal.commands import put, shown, table

from . import mermaid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from reflow import AnyStep

HEADINGS: Final = ("", "id", "description", "depends on", "options")

# Of a flow only the steps are looked at, whatever they reach as `visit.deps`.
_AnyFlow: TypeAlias = "Flow[object]"


@final
class Options(argparse.Namespace):
    """What the command line says."""

    flow: str
    mermaid: bool


class NotFoundError(Exception):
    """There is no such flow; the text says what there is."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the arguments behind `python -m reflow show` say; give the exit code."""
    parser = argparse.ArgumentParser(
        "python -m reflow show",
        description="Print the steps of a flow, and its diagram as text for Mermaid.",
        epilog="Exit codes: 0 done, 1 standard output can't be written to, 2 wrong usage, or "
        "there is no such flow.",
    )
    parser.add_argument(
        "flow",
        metavar="MODULE:FLOW",
        help="the flow, for example reflow.demo.intake:intake; the module is imported, from the "
        "working directory, too",
    )
    parser.add_argument("--mermaid", action="store_true", help="print nothing but the diagram")
    options = parser.parse_args(arguments, Options())
    try:
        # What the module prints while it is imported is no part of the diagram.
        with redirect_stdout(sys.stderr):
            flow = find(options.flow)
    except NotFoundError as error:
        parser.error(shown(str(error)))
    diagram = mermaid(flow).splitlines()
    return put(diagram if options.mermaid else [*listing(flow), "", *diagram], "show")


def find(path: str) -> _AnyFlow:
    """Import a flow.

    Args:
        path: the module's name, a colon, and the flow's name in it, which may have dots.

    Raises:
        NotFoundError: if the module can't be imported, or if what is named isn't a flow of it.
    """
    name, _, attribute = path.partition(":")
    if not (name and attribute) or name.startswith("."):
        raise NotFoundError(f"{path!r} doesn't say where the flow is: write package.module:flow")
    try:
        module: object = importlib.import_module(name)
    except (Exception, SystemExit) as error:  # a module may do anything
        if isinstance(error, ModuleNotFoundError) and _is_within(name, error.name):
            raise NotFoundError(f"there is no module {error.name!r}") from error
        raise NotFoundError(f"module {name!r} can't be imported: {_told(error)}") from error
    get: Callable[[object], object] = operator.attrgetter(attribute)
    try:
        found = get(module)
    except Exception as error:
        flows = [key for key, value in vars(module).items() if isinstance(value, Flow)]
        known = f"; it has the flows {', '.join(flows)}" if flows else ""
        raise NotFoundError(f"there is no {attribute!r} in module {name!r}{known}") from error
    if not isinstance(found, Flow):
        message = f"{attribute!r} in module {name!r} is not a flow, but of type "
        raise NotFoundError(message + type(found).__name__)
    return cast("_AnyFlow", found)


def listing(flow: _AnyFlow) -> list[str]:
    """Give the lines of a table of the flow's steps."""
    rows: list[tuple[str, ...]] = [HEADINGS]
    for number, step in enumerate(flow.steps, 1):
        inputs = ", ".join(needed.id for needed in step.depends_on)
        cells = (step.id, step.description, inputs or "-", ", ".join(declared(step)) or "-")
        rows.append((str(number), *map(shown, cells)))
    return table(rows)


def declared(step: AnyStep) -> Iterator[str]:
    """Give the options of a step, as they were written, that are not as without saying."""
    if step.conditional:
        yield "when"
    for name in ("optional", "always_ask", "point_of_no_return", "sensitive", "model_may_answer"):
        if getattr(step, name) is True:
            yield name
    if not step.revisitable:
        yield "revisitable=False"


def _is_within(name: str, missing: str | None) -> bool:
    """Say whether what is missing is the module, or a package that it would be in."""
    return missing is not None and f"{name}.".startswith(f"{missing}.")


def _told(error: BaseException) -> str:
    """Say what was raised, and where, on one line."""
    if isinstance(error, SyntaxError) and error.filename:
        # What can't be compiled has no frame; and what Python says of it draws arrows.
        line = f", line {error.lineno}" if error.lineno else ""
        return f"{type(error).__name__}: {error.msg} ({error.filename}{line})"
    place = traceback.extract_tb(error.__traceback__)[-1]
    text = " ".join("".join(traceback.format_exception_only(error)).split())
    if place.filename.startswith("<frozen "):
        # Python's own import: that tells nobody anything.
        return text
    return f"{text} ({place.filename}, line {place.lineno})"
