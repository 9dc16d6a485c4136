"""What the oldest supported Python doesn't have yet."""

from __future__ import annotations

import sys

if sys.version_info >= (3, 13):
    from typing import TypeVar as TypeVar
else:
    # PEP 696 (defaults of type variables) came with 3.13.
    from typing_extensions import TypeVar as TypeVar

if sys.version_info >= (3, 12):
    from typing import override as override
else:
    # PEP 698 came with 3.12.
    from typing_extensions import override as override

if sys.version_info >= (3, 14):
    from annotationlib import Format, get_annotations

    def annotations_of(function: object) -> dict[str, object]:
        """Give a function's annotations; names that aren't defined yet do no harm (PEP 749)."""
        return get_annotations(function, format=Format.FORWARDREF)
else:

    def annotations_of(function: object) -> dict[str, object]:
        """Give a function's annotations as they stand."""
        return dict(getattr(function, "__annotations__", {}))


__all__ = ["TypeVar", "annotations_of", "override"]
