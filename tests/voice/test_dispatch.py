"""A worker with the agent of the example: a process that gets a job and starts one for it."""

from __future__ import annotations

import signal
import sys

import anyio
import pytest
from dispatcher import dispatching, working
from livekit.protocol.agent import JobStatus

pytestmark = [
    pytest.mark.anyio,
    # In real time: what is waited for happens in other processes.
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),
    pytest.mark.skipif(sys.platform == "win32", reason="other signals there"),
]

# Seconds; more than that is a hang.
HANGS = 60.0

# What the caller says, and who answers.
CONVERSATION = {
    "Ada Lovelace": "GetEmailTask",
    "ada@exmaple.org": "GetPhoneNumberTask",
    "I have no phone": "GetDOBTask",
    "10 December 1985": "AskChoice",
    "family": "AskNames",
    "Byron and Annabella": "AskChoice",
    "Dr. Drew": "AskChoice",
    "Dr. Apgar": "AskCard",
    "4111111111111111": "AskChoice",
    "my e-mail was wrong": "GetEmailTask",
    "ada@example.org": "AskChoice",
    "yes": "Receptionist",
}
CONTRACT = (
    "Contract(name='Ada Lovelace', email='ada@example.org', phone=None, "
    "birthday=datetime.date(1985, 12, 10), plan=<Plan.FAMILY: 'family'>, "
    "members=['Byron', 'Annabella'], doctor='Dr. Apgar')"
)


async def test_a_job_from_its_dispatch_to_its_result() -> None:
    """The agent of the example runs where LiveKit runs it, and the flow gives its results there."""
    with anyio.fail_after(HANGS):
        async with dispatching() as dispatcher, working(dispatcher) as worker:
            call = await dispatcher.dispatch("the-job")
            assert await call.receive_str() == "GetNameTask"
            for said, answers in CONVERSATION.items():
                await call.send_str(said)
                assert await call.receive_str() == answers
            assert await call.receive_str() == f"{CONTRACT} 4111111111111111"
            assert await dispatcher.status("the-job") == JobStatus.JS_SUCCESS
            worker.process.terminate()
            assert await worker.ended() == 0
            assert CONTRACT in worker.printed
            assert "4111" not in worker.printed


@pytest.mark.parametrize("death", [signal.SIGTERM, signal.SIGKILL])
async def test_the_death_of_a_worker(death: signal.Signals) -> None:
    """Whatever ends it in the middle of a conversation: it leaves no process that hangs."""
    with anyio.fail_after(HANGS):
        async with dispatching() as dispatcher, working(dispatcher) as worker:
            call = await dispatcher.dispatch("the-job")
            assert await call.receive_str() == "GetNameTask"
            await call.send_str("Ada Lovelace")
            assert await call.receive_str() == "GetEmailTask"
            worker.process.send_signal(death)
            if death == signal.SIGTERM:
                assert await call.receive_str() == "None None"
            assert await worker.ended() == (0 if death == signal.SIGTERM else -death)
            assert "Traceback" not in worker.printed
