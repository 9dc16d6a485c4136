"""Telling the observers of a run, and its journal, what happens."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from ._machine import Machine

if TYPE_CHECKING:
    import contextvars
    from collections.abc import Callable, Iterable

    from ._events import Event
    from ._plan import Plan
    from ._recording import Recording

Observer: TypeAlias = "Callable[[Event], object]"
"""A plain function that is told of every event; what it returns is ignored.

If it has a method `origin(flow: str) -> str`, that is called when a run with a journal is begun,
with the name of the flow, before any event. The text that it gives is kept in `Opened.origin`, for
the observers of every `drive()` that goes on with the run. Of several observers the first that
gives one counts.
"""


class Observing:
    """The part of a run that tells what happens."""

    __slots__ = (
        *("_context", "_copy_context", "_delivering", "_machine", "_observers", "_recording"),
    )

    _machine: Machine
    _observers: tuple[Observer, ...]
    # What is stored of this run, if it has a journal.
    _recording: Recording | None
    _delivering: bool
    # A copy of the context that drive() runs in, for events of requests from other tasks.
    _context: contextvars.Context | None
    _copy_context: Callable[[], contextvars.Context] | None

    def _set_up(
        self, plan: Plan, observers: Iterable[Observer], recording: Recording | None
    ) -> None:
        self._observers = tuple(observers)
        self._recording = recording
        # What is asked before the run begins is kept even if nobody is told: see `resume`.
        self._machine = Machine(plan, [])
        self._delivering = False
        self._context = None
        self._copy_context = None

    def _deliver(self) -> None:
        """Tell the observers what happened, in order, each event to all of them."""
        log = self._machine.log
        if not log or self._delivering:
            return
        self._delivering = True
        try:
            while log:
                event = log.pop(0)
                if self._recording is not None:
                    self._recording.note(self._machine, event)
                for observer in self._observers:
                    try:
                        observer(event)
                    except Exception as exc:  # noqa: BLE001 - a fault of the observer, not the run's
                        self._switch_off(observer, exc)
        finally:
            self._delivering = False

    def _deliver_here(self) -> None:
        """Tell the observers, and remember this context for what others will ask."""
        if self._copy_context is None:
            # Every event loop imports it, but `import reflow` shall be quick.
            import contextvars  # noqa: PLC0415

            self._copy_context = contextvars.copy_context
        self._context = self._copy_context()
        self._deliver()

    def _origin(self) -> str:
        """Give what the observers want those to know that go on with this run."""
        for observer in self._observers:
            ask: object = getattr(observer, "origin", None)
            if not callable(ask):
                continue
            try:
                text: object = ask(self._machine.plan.flow)
            except Exception as exc:  # noqa: BLE001 - a fault of the observer, not the run's
                self._switch_off(observer, exc)
                continue
            if text and isinstance(text, str):
                return text
        return ""

    def _switch_off(self, observer: Observer, failure: Exception) -> None:
        # Imported when needed: most runs never log, and `import reflow` shall be quick.
        import logging  # noqa: PLC0415

        logging.getLogger("reflow").error(
            "observer %r of flow %r raised, it is switched off for this run",
            observer,
            self._machine.plan.flow,
            exc_info=failure,
        )
        self._observers = tuple(other for other in self._observers if other is not observer)
