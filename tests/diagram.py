"""Draws the diagrams in docs/step-states.md from the machine's table: `python tests/diagram.py`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from reflow import Opened, StepAnswered, StepFailed, StepSkipped, StepState
from reflow._replay import TRANSITIONS

if TYPE_CHECKING:
    from collections.abc import Iterable

DOCUMENT: Final = Path(__file__).parents[1] / "docs" / "step-states.md"

# Of the table: an event, the state before it, and the state behind it.
Arrow: TypeAlias = tuple[type[object], StepState, StepState]
# In a diagram: its label, the node where it begins, and the one where it ends.
Line: TypeAlias = tuple[str, str, str]


def redrawn(text: str) -> str:
    """Give the document's text with its diagrams drawn anew."""
    arrows = [
        (event, old, new)
        for event, rows in TRANSITIONS.items()
        for old in StepState
        for new in StepState
        # One that leads back to where it begins tells the reader nothing.
        if old is not new and new in rows.get(old, ())
    ]
    # Nobody could read all of them in one diagram.
    requests = [arrow for arrow in arrows if arrow[0] in {StepAnswered, StepSkipped}]
    resumed = [arrow for arrow in arrows if arrow[0] is Opened]
    arrows = [arrow for arrow in arrows if arrow not in requests and arrow not in resumed]
    visits = [arrow for arrow in arrows if StepState.ACTIVE in arrow]
    others = [arrow for arrow in arrows if arrow not in visits]
    diagrams = map(drawn, (each(visits), merged(requests), each(others), each(resumed)))
    blocks = re.compile("^```mermaid$.*?^```$", re.MULTILINE | re.DOTALL)
    return blocks.sub(lambda _: f"```mermaid\n{next(diagrams)}\n```", text)


def label(event: type[object], old: StepState) -> str:
    """Give what is written on an arrow: for `StepsMadeStale` it is "made stale"."""
    if event is StepFailed and old is not StepState.ACTIVE:
        return "condition raised"
    words: list[str] = re.findall("[A-Z][a-z]+", event.__name__)
    return " ".join(word.lower() for word in words if word not in {"Step", "Steps"})


def each(arrows: Iterable[Arrow]) -> list[Line]:
    """Give a line for each arrow."""
    return [(label(event, old), old.value, new.value) for event, old, new in arrows]


def merged(arrows: Iterable[Arrow]) -> list[Line]:
    """Give a single line for what leads from several states to the same one."""
    begins: dict[tuple[str, str], list[str]] = {}
    for name, old, new in each(arrows):
        begins.setdefault((name, new), []).append(old)
    others = len(StepState) - 1
    return [
        (name, "any other" if len(olds) == others else ", ".join(olds), new)
        for (name, new), olds in begins.items()
    ]


def drawn(lines: Iterable[Line]) -> str:
    """Draw the lines; parallel ones are a single one with several labels."""
    labels: dict[tuple[str, str], list[str]] = {}
    ids: dict[str, str] = {}
    for name, *ends in lines:
        old, new = (ids.setdefault(end, re.sub(r"\W+", "_", end)) for end in ends)
        labels.setdefault((old, new), []).append(name)
    text = ["stateDiagram-v2", "direction LR"]
    text += [f'state "{node}" as {name}' for node, name in ids.items() if node != name]
    text += [f"{old} --> {new}: {', '.join(names)}" for (old, new), names in labels.items()]
    return "\n    ".join(text)


if __name__ == "__main__":
    DOCUMENT.write_text(redrawn(DOCUMENT.read_text()))
