"""Running an event loop that can be left although a task in it can't be cancelled."""

from __future__ import annotations

import contextvars
import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING, Final, final

import anyio

from ._clocks import VirtualTimeLoop
from ._compat import override

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

# Turns of the event loop in which nothing happens: more than any step takes that does something.
_LIMIT: Final = 20_000


@final
class AbandonedError(Exception):
    """The event loop was left, with everything in it."""


@final
class Guard:
    """Runs an event loop, and leaves it when something in there goes round in circles.

    A task that swallows its cancellation, or waits in a shielded section, can't be ended; nor can
    its event loop. So that runs in a thread of its own, which is left standing where it is.
    """

    def __init__(self) -> None:
        """Begin with nothing to complain of."""
        self._turns = 0
        self._outcome: Final[SimpleQueue[BaseException | None]] = SimpleQueue()

    def calm(self) -> None:
        """Something has happened: it isn't going round in circles."""
        self._turns = 0

    def abandon(self) -> None:
        """Leave the event loop at its next turn."""
        self._turns = _LIMIT

    def run(self, main: Callable[[], Awaitable[None]], backend: str) -> None:
        """Run an async function in an event loop with virtual time.

        Raises:
            AbandonedError: if the event loop was left.
            BaseException: what the function raises.
        """

        def run() -> None:
            try:
                if backend == "trio":
                    self._run_on_trio(main)
                else:
                    options = {"loop_factory": self._make_loop}
                    anyio.run(main, backend=backend, backend_options=options)
            except BaseException as exc:  # noqa: BLE001 - raised where the outcome is waited for
                self._outcome.put(exc)
            else:
                self._outcome.put(None)

        context = contextvars.copy_context()
        threading.Thread(target=context.run, args=(run,), daemon=True).start()
        outcome = self._outcome.get()
        if outcome is not None:
            raise outcome

    def _turn(self) -> None:
        self._turns += 1
        if self._turns > _LIMIT:
            self._outcome.put(AbandonedError())
            # For good. Unwinding it would run code of the task that can't be ended.
            threading.Event().wait()

    def _make_loop(self) -> VirtualTimeLoop:
        loop = VirtualTimeLoop()
        loop._watch = self._turn
        return loop

    def _run_on_trio(self, main: Callable[[], Awaitable[None]]) -> None:
        # Only whoever has trio gets here. Not by `anyio.run`: before anyio 4.14 it leaves out the
        # options of trio, the clock among them.
        import trio  # noqa: PLC0415
        from trio.testing import MockClock  # noqa: PLC0415

        turn = self._turn

        class Watch(trio.abc.Instrument):
            @override
            def before_io_wait(self, timeout: float) -> None:  # noqa: ARG002 - trio's
                turn()

        trio.run(main, clock=MockClock(autojump_threshold=0), instruments=[Watch()])
