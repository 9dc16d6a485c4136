"""Virtual time: sleeps and timeouts of any length pass at once, on asyncio and on trio."""

from __future__ import annotations

import asyncio
import math
import selectors
import threading
import time
from typing import TYPE_CHECKING, Final, TypeAlias, TypeVar, TypeVarTuple, final

from ._compat import override

if TYPE_CHECKING:
    from collections.abc import Callable, Container
    from concurrent.futures import Executor

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

Backend: TypeAlias = tuple[str, dict[str, object]]
"""A backend as anyio's pytest plugin takes it from the fixture `anyio_backend`: name, options."""

# While something outside the loop is waited for, it is looked at again after so many seconds: a
# thread that only looked busy must not hold up the time for longer.
_GLANCE: Final = 0.05
# Of the clock of the loops that this one stands in for, in seconds.
_RESOLUTION: Final = time.get_clock_info("monotonic").resolution
# What the threads are called in which asyncio waits for processes, and for its executor's threads.
_WAITERS: Final = ("waitpid-", "(_do_shutdown)")


@final
class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An asyncio event loop whose time passes only when nothing else can happen.

    It begins at 0. When every task waits, it jumps to the next timer instead of waiting for it:
    sleeps of hours pass at once, timeouts fire in their order and on the dot. Computing takes no
    time. But as long as something outside may still move a task, time passes as it does outside:
    while a worker thread (of anyio or of an executor) or a process is at work, or a socket or a
    pipe is waited for. Other threads that call into the loop are not known to it.

    A loop factory, for wherever asyncio or anyio take one::

        anyio.run(main, backend_options={"loop_factory": VirtualTimeLoop})
        asyncio.Runner(loop_factory=VirtualTimeLoop)
    """

    def __init__(self) -> None:
        """Begin at time 0."""
        # Set first: the base class asks for the time.
        self._now = 0.0
        self._jobs = 0
        self._resting: Final[list[asyncio.Future[None]]] = []
        self._watch: Callable[[], object] | None = None
        self._selector_of_time: Final = _Selector(self)
        super().__init__(self._selector_of_time)
        # What the loop itself has registered: its own wake-up.
        self._own: Final = len(self._selector_of_time.get_map())

    @override
    def time(self) -> float:
        """Give the virtual time in seconds."""
        return self._now

    async def rest(self) -> None:
        """Wait until every other task waits for something; no time passes meanwhile."""
        waiter: asyncio.Future[None] = self.create_future()
        self._resting.append(waiter)
        await waiter

    @override
    def run_in_executor(
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        """Run a function in an executor; see `asyncio.loop.run_in_executor`."""
        future = super().run_in_executor(executor, func, *args)
        self._jobs += 1
        future.add_done_callback(self._job_done)
        return future

    def _job_done(self, _: object) -> None:
        self._jobs -= 1

    def _wait(self, timeout: float | None, select: Callable[[float | None], T]) -> T:
        """Do what a selector's `select` does; timers are waited for by turning the clock."""
        if self._watch is not None:
            self._watch()
        events = select(0)
        if events or (timeout is not None and timeout <= 0):
            return events
        if self._resting:
            for waiter in self._resting:
                if not waiter.done():
                    waiter.set_result(None)
            self._resting.clear()
            return events
        if timeout is None:
            # There is no timer: only from outside can anything come.
            return select(None)
        if not self._is_moved_from_outside():
            self._advance(timeout)
            return events
        began = time.monotonic()
        events = select(min(timeout, _GLANCE))
        self._advance(min(timeout, time.monotonic() - began))
        return events

    def _advance(self, seconds: float) -> None:
        self._now += seconds
        if self._now + _RESOLUTION == self._now:
            # After half a year of it: asyncio's timers fire when they are before the time plus the
            # resolution of its clock, which no longer makes a difference then.
            self._now = math.nextafter(self._now, math.inf)

    def _is_moved_from_outside(self) -> bool:
        return (
            self._jobs > 0
            or len(self._selector_of_time.get_map()) > self._own
            or any(_works_for(thread, self) for thread in threading.enumerate())
        )


class _Selector(selectors.DefaultSelector):
    """The platform's selector, except that the loop decides how long to wait."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop: Final = loop

    @override
    def select(  # type: ignore[explicit-any]  # there is one in a SelectorKey
        self, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        return self._loop._wait(timeout, super().select)


def _works_for(thread: threading.Thread, loop: object) -> bool:
    """Say whether a thread is at work for a loop: waits for something, or is anyio's and busy."""
    # anyio has no public way to tell; if these names ever change, a test of this module fails.
    workers: Container[object] = getattr(thread, "workers", ())
    idle: Container[object] = getattr(thread, "idle_workers", ())
    is_busy = thread in workers and thread not in idle
    waits = any(waiter in thread.name for waiter in _WAITERS)
    return waits or (is_busy and getattr(thread, "loop", None) is loop)


def virtual_asyncio() -> Backend:
    """Give asyncio with virtual time, for the fixture `anyio_backend`; see `VirtualTimeLoop`."""
    return "asyncio", {"loop_factory": VirtualTimeLoop}


def virtual_trio() -> Backend:
    """Give trio with virtual time, for the fixture `anyio_backend`.

    The clock is trio's `MockClock(autojump_threshold=0)`, a new one each time. It jumps whenever
    every task waits, also for threads and sockets. Outside of the fixture, give it to `trio.run`:
    before anyio 4.14, `anyio.run` leaves out the options of trio.

    Raises:
        ImportError: if trio isn't installed.
    """
    # Whoever tests on asyncio only needs no trio.
    from trio.testing import MockClock  # noqa: PLC0415

    return "trio", {"clock": MockClock(autojump_threshold=0)}


VIRTUAL_TIME: Final[tuple[Callable[[], Backend], ...]] = (virtual_asyncio, virtual_trio)
"""Both, for a fixture that runs every test on both::

    @pytest.fixture(params=VIRTUAL_TIME)
    def anyio_backend(request):
        return request.param()
"""
