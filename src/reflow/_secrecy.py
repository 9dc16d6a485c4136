"""What a sensitive step raised may quote its answer: such exceptions show their type only."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

_MARK = "__reflow_sensitive__"


def linked_to(exc: BaseException) -> Iterator[BaseException]:
    """Give the exception, and all that its traceback shows: causes, contexts, members."""
    seen: set[int] = set()
    found: list[BaseException | None] = [exc]
    while found:
        part = found.pop()
        if part is None or id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        found += (part.__cause__, part.__context__)
        if isinstance(part, BaseExceptionGroup):
            found += cast("BaseExceptionGroup[BaseException]", part).exceptions


def conceal(exc: BaseException) -> None:
    """Let nothing but the type show, of this exception and of all that its traceback shows.

    The mark is on the exceptions themselves: they may be raised again much later, in a group or as
    the cause of another one, when the step has long had an answer.
    """
    for part in linked_to(exc):
        # Frozen ones can't be marked; they are known as long as they are recorded.
        with suppress(Exception):
            setattr(part, _MARK, True)


def is_concealed(exc: BaseException) -> bool:
    """Say whether an exception, or a member of its group, was concealed."""
    found: list[BaseException] = [exc]
    for part in found:
        if _has_mark(part):
            return True
        if isinstance(part, BaseExceptionGroup):
            found += cast("BaseExceptionGroup[BaseException]", part).exceptions
    return False


def _has_mark(exc: BaseException) -> bool:
    try:
        return getattr(exc, _MARK, False) is True
    except Exception:  # noqa: BLE001 - whatever its own attribute access raises
        return False
