"""Running an event loop that can be left although a task in it can't be cancelled."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar, final

import anyio

from ._clocks import VirtualTimeLoop
from ._compat import override

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

# Turns of the event loop in which nothing happens: more than any step takes that does something.
_LIMIT: Final = 50_000


@final
class AbandonedError(BaseException):
    """The event loop was left, with everything in it."""


@final
class Guard:
    """Watches over an event loop: leaves it when something in there goes round in circles."""

    def __init__(self) -> None:
        """Begin with nothing to complain of."""
        self._turns = 0

    def calm(self) -> None:
        """Something has happened: it isn't going round in circles."""
        self._turns = 0

    def abandon(self) -> None:
        """Leave the event loop at its next turn."""
        self._turns = _LIMIT

    def turn(self) -> None:
        """Count a turn of the event loop.

        Raises:
            AbandonedError: if it is time to leave it.
        """
        self._turns += 1
        if self._turns > _LIMIT:
            raise AbandonedError


def run_guarded(main: Callable[[], Awaitable[T]], backend: str, guard: Guard) -> T:
    """Run an async function in an event loop with virtual time.

    Raises:
        AbandonedError: if the guard said so. No cancellation can end a task that swallows it, or
            that waits in a shielded section: the only way out is not to run the loop any more.
    """
    return (_run_trio if backend == "trio" else _run_asyncio)(main, guard)


def _run_asyncio(main: Callable[[], Awaitable[T]], guard: Guard) -> T:
    def make_loop() -> VirtualTimeLoop:
        loop = VirtualTimeLoop()
        loop._watch = guard.turn
        return loop

    return anyio.run(main, backend_options={"loop_factory": make_loop})


def _run_trio(main: Callable[[], Awaitable[T]], guard: Guard) -> T:
    # Only whoever has trio gets here.
    from trio import TrioInternalError  # noqa: PLC0415
    from trio.abc import Instrument  # noqa: PLC0415
    from trio.testing import MockClock  # noqa: PLC0415

    clock = MockClock(autojump_threshold=0)

    class Watch(Instrument):
        @override
        def before_io_wait(self, timeout: float) -> None:  # noqa: ARG002 - trio's
            try:
                guard.turn()
            except AbandonedError as exc:
                # An instrument that raises is only switched off; without a clock trio gives up.
                clock.current_time = partial(_fail, exc)  # type: ignore[method-assign]  # on purpose

    options = {"clock": clock, "instruments": [Watch()]}
    try:
        return anyio.run(main, backend="trio", backend_options=options)
    except TrioInternalError as exc:
        raise (exc if exc.__cause__ is None else exc.__cause__) from None


def _fail(error: AbandonedError) -> float:
    raise error
