"""What the oldest supported Python doesn't have yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import TypeVar
    from typing_extensions import override as override

    # What the steps of a flow depend on, as `Flow` has it.
    D = TypeVar("D", default=None)
else:
    from typing import TypeVar

    D = TypeVar("D")

    def override(method):  # noqa: ANN001, ANN202 - typed above
        """Mark a method that overrides another: for type checkers (PEP 698)."""
        return method
