"""What LiveKit's server is to a worker, and no more: it registers workers and gives them jobs.

The protocol: a worker connects to `/agent` and registers itself. For each job, it is asked whether
it is available; if so, the job is assigned to it, and it reports how that goes. See
`livekit.protocol.agent`, and `AgentServer` in livekit-agents.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, final

import anyio
from aiohttp import web
from livekit.protocol.agent import Job, JobStatus, ServerMessage, WorkerMessage
from livekit.protocol.models import Room

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

TESTS: Final = Path(__file__).parent
WORKER: Final = TESTS / "voice_worker.py"
PATHS: Final = (TESTS, TESTS.parent / "examples", TESTS.parent / "src")


@final
class Dispatcher:
    """Gives jobs to the worker that registers with it, and talks with what runs there."""

    def __init__(self) -> None:
        self.port = 0
        self._worker: Final[asyncio.Queue[web.WebSocketResponse]] = asyncio.Queue()
        self._messages: Final[asyncio.Queue[WorkerMessage]] = asyncio.Queue()
        self._calls: Final[asyncio.Queue[web.WebSocketResponse]] = asyncio.Queue()
        self._is_over: Final = asyncio.Event()

    async def serve_worker(self, request: web.Request) -> web.WebSocketResponse:
        """Serve the connection of a worker."""
        assert request.headers["Authorization"].startswith("Bearer ")
        websocket = web.WebSocketResponse()
        await websocket.prepare(request)
        async for frame in websocket:
            message = WorkerMessage.FromString(frame.data)
            match message.WhichOneof("message"):
                case "register":
                    answer = ServerMessage()
                    answer.register.worker_id = "the-worker"
                    await websocket.send_bytes(answer.SerializeToString())
                    await self._worker.put(websocket)
                case "availability" | "update_job":
                    await self._messages.put(message)
                case _:
                    # Its load, every other second.
                    pass
        return websocket

    async def serve_call(self, request: web.Request) -> web.WebSocketResponse:
        """Serve the connection of a job, which would be its room."""
        websocket = web.WebSocketResponse()
        await websocket.prepare(request)
        await self._calls.put(websocket)
        await self._is_over.wait()
        return websocket

    async def dispatch(self, job_id: str) -> web.WebSocketResponse:
        """Give a job to the worker, when it is registered; give the connection to what runs."""
        worker = await self._worker.get()
        job = Job(id=job_id, room=Room(sid="the-sid", name="the-room"))
        question = ServerMessage()
        question.availability.job.CopyFrom(job)
        await worker.send_bytes(question.SerializeToString())
        answer = (await self._messages.get()).availability
        assert (answer.job_id, answer.available) == (job_id, True)
        order = ServerMessage()
        order.assignment.job.CopyFrom(job)
        order.assignment.token = "a-token"
        await worker.send_bytes(order.SerializeToString())
        assert await self.status(job_id) == JobStatus.JS_RUNNING
        return await self._calls.get()

    async def status(self, job_id: str) -> JobStatus:
        """Wait for what the worker reports of a job."""
        update = (await self._messages.get()).update_job
        assert (update.job_id, update.error) == (job_id, "")
        return update.status

    def end(self) -> None:
        """Let go of all calls."""
        self._is_over.set()


@asynccontextmanager
async def dispatching() -> AsyncGenerator[Dispatcher]:
    """Serve workers."""
    dispatcher = Dispatcher()
    app = web.Application()
    app.router.add_get("/agent", dispatcher.serve_worker)
    app.router.add_get("/call", dispatcher.serve_call)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        dispatcher.port = int(site.name.rpartition(":")[2])
        yield dispatcher
    finally:
        dispatcher.end()
        await runner.cleanup()


@final
class Worker:
    """A worker, as a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process: Final = process
        self.printed = ""

    async def ended(self) -> int:
        """Wait until it has ended, and all processes that it started; give its exit code.

        They inherit the pipe that they print into: it ends with the last of them.
        """
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            self.printed += line.decode()
        return await self.process.wait()


@asynccontextmanager
async def working(dispatcher: Dispatcher) -> AsyncGenerator[Worker]:
    """Run a worker; whatever is left of it at the end is killed."""
    # Its coverage isn't measured: that takes time, and needs processes that end in peace.
    around = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}
    worker = Worker(
        await asyncio.create_subprocess_exec(
            # At the level below, LiveKit logs what a caller says.
            *(sys.executable, str(WORKER), "dev", "--no-reload", "--log-level", "info"),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
            env={
                **around,
                "PYTHONPATH": os.pathsep.join(map(str, PATHS)),
                "LIVEKIT_URL": f"http://127.0.0.1:{dispatcher.port}",
                "LIVEKIT_API_KEY": "a-key",
                "LIVEKIT_API_SECRET": "a-secret-of-at-least-32-characters",
                # Weights of models that nobody talks to.
                "LIVEKIT_AGENTS_PRELOAD_LOCAL_INFERENCE": "0",
            },
        )
    )
    try:
        yield worker
    finally:
        with suppress(ProcessLookupError), anyio.CancelScope(shield=True):
            os.killpg(worker.process.pid, signal.SIGKILL)
            await worker.ended()
        # For whoever reads the report of a test that failed.
        sys.stdout.write(worker.printed)
