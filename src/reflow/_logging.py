"""An observer that writes a run's events to the standard library's logging."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast, final

import attrs

from . import _events as e

if TYPE_CHECKING:
    import logging

_WARNINGS = (e.RunFailed, e.StepFailed, e.CallbackFailed, e.CleanupFailed, e.RequestsDropped)
# Fields that hold an answer, or may quote one.
_PRIVATE = frozenset({"value", "exception", "sensitive"})


@final
class LoggingObserver:
    """Writes the events of a run to `logging.getLogger("reflow")`, or to a logger of yours.

    Every event is a line at INFO, failures and dropped requests at WARNING, with ids, visit
    numbers and reasons, and of an exception its type. Answers, and the texts of exceptions, which
    may quote them, are written at DEBUG only, and those of sensitive steps never.
    """

    __slots__ = ("_logger", "_prefix")

    def __init__(self, logger: logging.Logger | None = None, *, prefix: str = "") -> None:
        """Take the logger, and what tells this run's lines from those of others.

        Args:
            logger: where to write; `logging.getLogger("reflow")` by default.
            prefix: put before every line, for example the id of the call.
        """
        import logging  # noqa: PLC0415 - `import reflow` shall be quick, and not everyone logs

        self._logger = logger or logging.getLogger("reflow")
        self._prefix = f"{prefix}: " if prefix else ""

    def __call__(self, event: e.Event) -> None:
        """Write one event."""
        log = self._logger.warning if isinstance(event, _WARNINGS) else self._logger.info
        fields = attrs.asdict(event, recurse=False)
        public = [
            f"{name}={_text(value)}" for name, value in fields.items() if name not in _PRIVATE
        ]
        if (exception := fields.get("exception")) is not None:
            public.append(f"exception={type(exception).__name__}")
        log("%s%s", self._prefix, " ".join([type(event).__name__, *public]))
        if not _PRIVATE.isdisjoint(fields):
            self._logger.debug("%s%r", self._prefix, event)


def _text(value: object) -> str:
    if isinstance(value, e.Reason):
        return value.value
    if isinstance(value, tuple):
        return ",".join(map(str, cast("tuple[object, ...]", value)))
    return str(value)
