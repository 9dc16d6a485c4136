"""A stored run as a picture: what was asked when, and where somebody went back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._drawing import Drawing
from ._story import read

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reflow import JournalRow

__all__ = ["svg"]


def svg(rows: Sequence[JournalRow]) -> str:
    """Draw a stored run as an SVG picture.

    Each step has a lane, in the order of the flow, and its visits are bars on it, with their
    numbers. Colour and shape say how a visit ended; arrows lead from where somebody went back to
    the steps asked for. Where a process took over from another there is a dashed line. The time
    axis is in proportion as far as that can be read: a visit of a moment has a bar all the same,
    and a long pause is cut short, which shows. Pointing at anything tells more of it.

    The same rows give the same text. Answers, and the texts of exceptions, are never in it. Of
    very long runs the end is drawn, the last 4,000 things that happened.

    Args:
        rows: all rows of the run, as `await journal.read(key)` gives them.

    Returns:
        The picture: an SVG document, in ASCII.

    Raises:
        JournalError: if there are no rows, or if one of them is damaged, or was written by a
            newer reflow.
    """
    return Drawing(read(rows)).svg()
