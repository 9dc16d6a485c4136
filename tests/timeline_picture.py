"""Draws the picture in docs/watching.md: `python tests/timeline_picture.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from stories import intake

from reflow.timeline import svg

PICTURE: Final = Path(__file__).parents[1] / "docs" / "timeline.svg"


def drawn() -> str:
    """Give the picture of an intake in which much happens."""
    return svg(intake().rows)


if __name__ == "__main__":
    PICTURE.write_text(drawn(), "ascii", newline="\n")
