"""What asyncio, trio and anyio say about cancellation, and how exceptions are taken apart."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import TYPE_CHECKING, cast, final

import anyio

if TYPE_CHECKING:
    import asyncio


@final
class VisitOver(BaseException):
    """Unwinds a step whose visit was ended from inside; not to be caught by `except Exception`."""

    def __init__(self, visit: object) -> None:
        """Name the visit that is over."""
        super().__init__("this visit is over")
        self.visit = visit


def without_signal(exc: BaseException, visit: object) -> Exception | None:
    """Take the signal that this visit is over out of what its step raised.

    A step's own task groups put the signal into exception groups.

    Returns:
        The exception that is left, if any.

    Raises:
        BaseException: what is left, if it is not an `Exception`: it always propagates.
    """

    def is_signal(part: BaseException) -> bool:
        return isinstance(part, VisitOver) and part.visit is visit

    if is_signal(exc):
        return None
    rest: BaseException | None = exc
    if isinstance(exc, BaseExceptionGroup):
        _, rest = cast("BaseExceptionGroup[BaseException]", exc).split(is_signal)
    if rest is None or isinstance(rest, Exception):
        return rest
    raise rest


def is_only(exc: BaseException, kinds: tuple[type[BaseException], ...]) -> bool:
    """Say whether an exception, or everything in a group, is of these kinds."""
    parts = [exc]
    for part in parts:
        if isinstance(part, BaseExceptionGroup):
            parts += cast("BaseExceptionGroup[BaseException]", part).exceptions
        elif not isinstance(part, kinds):
            return False
    return True


def add_note(exc: BaseException, note: str) -> None:
    """Add a PEP 678 note where the exception's class allows it: frozen ones don't."""
    with suppress(Exception):
        exc.add_note(note)


def asyncio_task(cancelled: type[BaseException]) -> asyncio.Task[object] | None:
    """Give the current asyncio task; None on another backend."""
    if not cancelled.__module__.startswith("asyncio"):
        return None
    # Loaded already, as the loop of this task is running: `import reflow` shall not load it.
    import asyncio  # noqa: PLC0415

    return asyncio.current_task()


def reaches(scope: anyio.CancelScope) -> bool:
    """Say whether cancelling the scope would cancel the caller.

    A deadline is visible exactly where the cancellation of its scope is (trio and anyio,
    `current_effective_deadline`): give the scope one for this moment, and look.
    """
    now, before = anyio.current_time(), anyio.current_effective_deadline()
    if before <= now:
        # Cancelled already: whatever the caller waits for ends at once.
        return True
    probe = now + 3600 if before == math.inf else (now + before) / 2
    scope.deadline = probe
    reached = anyio.current_effective_deadline() == probe
    scope.deadline = math.inf
    return reached
