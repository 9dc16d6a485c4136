"""Virtual time: it passes at once, in order and on the dot, and isn't faster than the outside."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import time
from functools import partial

import anyio
import pytest
import trio
from anyio import from_thread, to_thread
from trio.testing import MockClock

from reflow.testing import VIRTUAL_TIME, Backend, VirtualTimeLoop, virtual_asyncio, virtual_trio

pytestmark = pytest.mark.anyio

HOUR = 3600.0


@pytest.fixture(params=VIRTUAL_TIME)
def anyio_backend(request: pytest.FixtureRequest) -> Backend:
    """Give each backend with virtual time, in the way the documentation shows."""
    backend: Backend = request.param()
    return backend


@pytest.fixture
def began() -> float:
    """Say when the test began, outside."""
    return time.monotonic()


async def test_sleeps_pass_at_once(began: float) -> None:
    """In the order of their ends, whoever began first; the clock shows it exactly."""
    woken: list[tuple[str, float]] = []

    async def sleep(name: str, seconds: float) -> None:
        await anyio.sleep(seconds)
        woken.append((name, anyio.current_time() - start))

    start = anyio.current_time()
    async with anyio.create_task_group() as tasks:
        for name, seconds in (("month", 720 * HOUR), ("hour", HOUR), ("moment", 0.5)):
            tasks.start_soon(sleep, name, seconds)
    assert woken == [("moment", 0.5), ("hour", HOUR), ("month", 720 * HOUR)]
    assert time.monotonic() - began < HOUR


async def test_years_pass_too() -> None:
    """Even where a float can't tell two nanoseconds from each other."""
    start = anyio.current_time()
    for _ in range(3):
        await anyio.sleep(365 * 24 * HOUR)
    assert anyio.current_time() - start == pytest.approx(3 * 365 * 24 * HOUR)


async def test_computing_takes_no_time() -> None:
    """So that what a timer is set to doesn't depend on the machine."""
    start = anyio.current_time()
    time.sleep(0.001)  # noqa: ASYNC251 - stands for work
    await anyio.lowlevel.checkpoint()
    assert anyio.current_time() == start


async def test_timeouts_fire_on_the_dot() -> None:
    """Not before what ends in time, and not after what doesn't."""
    with anyio.fail_after(2):
        await anyio.sleep(1.5)
    start = anyio.current_time()
    with pytest.raises(TimeoutError), anyio.fail_after(30):
        await anyio.sleep_forever()
    assert anyio.current_time() - start == 30


async def test_waiting_for_the_others() -> None:
    """What anyio has for tests works."""
    event = anyio.Event()

    async def wait() -> None:
        await anyio.lowlevel.checkpoint()
        await event.wait()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        event.set()


async def test_a_thread(anyio_backend: Backend) -> None:
    """It is waited for in real time, on asyncio also where there is a timer."""
    with anyio.move_on_after(HOUR) as scope:
        thread = to_thread.run_sync(threading.get_ident)
        assert await thread != threading.get_ident()
        await to_thread.run_sync(partial(time.sleep, 0.01), abandon_on_cancel=True)
    assert scope.cancelled_caught == (anyio_backend[0] == "trio")


async def test_a_thread_that_calls_back() -> None:
    """It may use the event loop meanwhile."""

    def call() -> float:
        from_thread.run(anyio.sleep, 0.01)
        return from_thread.run_sync(anyio.current_time)

    start = anyio.current_time()
    assert await to_thread.run_sync(call) - start >= 0.01


@pytest.fixture(params=[subprocess.PIPE, subprocess.DEVNULL], ids=["pipe", "no pipe"])
def output(request: pytest.FixtureRequest) -> int:
    """Give where a process prints to."""
    kind: int = request.param
    return kind


class TestAsyncio:
    """What holds on asyncio only: trio's clock jumps over what comes from outside."""

    @pytest.fixture
    def anyio_backend(self) -> Backend:
        """Give asyncio."""
        return virtual_asyncio()

    async def test_a_process(self, output: int) -> None:
        """It is waited for, whatever is watched of it."""
        program = "import time; time.sleep(0.1); print('done')"
        with anyio.fail_after(HOUR):
            done = await anyio.run_process([sys.executable, "-c", program], stdout=output)
        assert (done.stdout or b"done").strip() == b"done"

    async def test_a_socket(self) -> None:
        """As long as one is waited for, an hour isn't over in a moment."""
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        release = threading.Event()

        def talk() -> None:
            release.wait()
            time.sleep(0.1)
            import socket  # noqa: PLC0415 - this thread stands for another program

            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(b"hello")

        async with listener, anyio.create_task_group() as tasks:
            thread = threading.Thread(target=talk)
            thread.start()

            async def serve(stream: anyio.abc.SocketStream) -> None:
                async with stream:
                    assert await stream.receive() == b"hello"
                tasks.cancel_scope.cancel()

            with anyio.fail_after(HOUR):
                tasks.start_soon(listener.serve, serve)
                release.set()
                await anyio.sleep_forever()
        thread.join()

    async def test_real_time_passes_too(self) -> None:
        """A timer fires although a thread works for longer."""
        go_on = threading.Event()
        with anyio.move_on_after(0.12) as scope:
            await to_thread.run_sync(go_on.wait, abandon_on_cancel=True)
        go_on.set()
        assert scope.cancelled_caught
        await anyio.sleep(HOUR)

    async def test_an_executor(self) -> None:
        """What asyncio itself runs in threads is waited for as well."""
        async with asyncio.timeout(HOUR):
            await asyncio.to_thread(time.sleep, 0.1)
        await anyio.sleep(HOUR)

    async def test_other_threads(self) -> None:
        """What they ask of the loop is done, also when nothing else is to be done."""
        loop, future = asyncio.get_running_loop(), asyncio.Future[None]()

        def call() -> None:
            loop.call_soon_threadsafe(loop.call_later, HOUR, future.set_result, None)

        timer = threading.Timer(0.05, call)
        timer.start()
        await future
        assert loop.time() >= HOUR

    async def test_rest(self) -> None:
        """Every other task waits then, no time has passed, and who was cancelled does no harm."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        turns: list[int] = []

        async def work() -> None:
            for turn in range(30):
                await anyio.lowlevel.checkpoint()
                turns.append(turn)
            await anyio.sleep(1)

        async with anyio.create_task_group() as tasks:
            with anyio.CancelScope() as scope:
                scope.cancel()
                await loop.rest()
            tasks.start_soon(work)
            await loop.rest()
            assert (len(turns), loop.time()) == (30, 0)


def test_each_test_has_a_clock_of_its_own() -> None:
    """Time begins anew."""
    for make in VIRTUAL_TIME:
        for _ in range(2):
            backend, options = make()
            if backend == "trio":
                # By anyio only from 4.14 on.
                clock = options["clock"]
                assert isinstance(clock, MockClock)
                began = trio.run(now_and_later, clock=clock)
            else:
                began = anyio.run(now_and_later, backend_options=options)
            assert began == 0


async def now_and_later() -> float:
    """Say what time it is, and let some pass."""
    now = anyio.current_time()
    await anyio.sleep(HOUR)
    return now


def test_the_ids_of_tests() -> None:
    """Functions name their parameters."""
    assert [make.__name__ for make in (virtual_asyncio, virtual_trio)] == [
        "virtual_asyncio",
        "virtual_trio",
    ]


def test_without_anyio() -> None:
    """The loop is a loop factory for asyncio itself, and is closed by it."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(asyncio.sleep(HOUR))
        loop = runner.get_loop()
    assert loop.is_closed()
