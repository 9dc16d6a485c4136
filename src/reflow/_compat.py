"""What the oldest supported Python doesn't have yet, without a dependency at run time."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # Every type checker brings these with it; at run time they would only slow the import.
    from typing_extensions import TypeVar
    from typing_extensions import override as override

    # What the steps of a flow depend on; None where nothing is said (PEP 696).
    D = TypeVar("D", default=None)
    D_co = TypeVar("D_co", covariant=True, default=None)
else:
    from typing import TypeVar

    D = TypeVar("D")
    D_co = TypeVar("D_co", covariant=True)

    def override(method):  # noqa: ANN001, ANN202 - typed above
        """Mark a method that overrides another: for type checkers (PEP 698)."""
        return method


if sys.version_info >= (3, 14):
    from annotationlib import Format, get_annotations

    def annotations_of(function: object) -> dict[str, object]:
        """Give a function's annotations; names that aren't defined yet do no harm (PEP 749)."""
        return get_annotations(function, format=Format.FORWARDREF)
else:

    def annotations_of(function: object) -> dict[str, object]:
        """Give a function's annotations as they stand."""
        return dict(getattr(function, "__annotations__", {}))
