"""The worker of `examples/voice_intake.py`, but for its models and its room; see `test_dispatch`.

No job can join a room without a media server. So a websocket is the room: what the caller says
comes over it, and who answers goes back; at the end, what came of the call.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final, final

import voice_intake
from aiohttp import ClientSession
from livekit.agents import AgentSession, cli, get_job_context
from livekit.agents.voice.io import TextOutput
from sessions import Call, ScriptedModel
from typing_extensions import override

if TYPE_CHECKING:
    from aiohttp import ClientWebSocketResponse
    from livekit.agents import Agent, JobProcess
    from sessions import Reply, Turn

# What the caller says, and what the model makes of it.
SCRIPT: Final[dict[str, Call]] = {
    "Ada Lovelace": Call("update_name", {"first_name": "Ada", "last_name": "Lovelace"}),
    "ada@exmaple.org": Call("update_email_address", {"email": "ada@exmaple.org"}),
    "ada@example.org": Call("update_email_address", {"email": "ada@example.org"}),
    "I have no phone": Call("decline_phone_number_capture", {"reason": "has none"}),
    "10 December 1985": Call("update_dob", {"year": 1985, "month": 12, "day": 10}),
    "family": Call("record_choice", {"choice": "family"}),
    "Byron and Annabella": Call("record_names", {"names": ["Byron", "Annabella"]}),
    "Dr. Apgar": Call("record_choice", {"choice": "Dr. Apgar"}),
    "Dr. Drew": Call("record_choice", {"choice": "Dr. Drew"}),
    "4111111111111111": Call("record_card", {"number": "4111111111111111"}),
    "yes": Call("record_choice", {"choice": "yes"}),
    "my e-mail was wrong": Call("out_of_scope", {"task_ids": ["email"]}),
}


def reply(turn: Turn) -> Reply:
    """Be the model."""
    return SCRIPT.get(turn.said, "I see.")


@final
class Said(TextOutput):
    """Tells the caller who speaks, in place of what is said."""

    def __init__(self, session: AgentSession[None], websocket: ClientWebSocketResponse) -> None:
        super().__init__(label="websocket", next_in_chain=None)
        self._session: Final = session
        self._websocket: Final = websocket

    @override
    async def capture_text(self, text: str) -> None:
        await self._websocket.send_str(type(self._session.current_agent).__name__)

    @override
    def flush(self) -> None:
        pass


@final
class RoomlessSession(AgentSession[None]):
    """A session that talks over a websocket."""

    @override
    async def start(self, agent: Agent, **options: object) -> None:  # type: ignore[override]  # the room is one of the options
        assert isinstance(agent, voice_intake.Receptionist)
        http = ClientSession()
        websocket = await http.ws_connect(f"{os.environ['LIVEKIT_URL']}/call")
        self.output.transcription = Said(self, websocket)
        await super().start(agent)
        listening = asyncio.create_task(self._listen(websocket))

        async def end() -> None:
            listening.cancel()
            await websocket.send_str(f"{agent.contract} {agent.contract and agent.contract.card}")
            await http.close()

        get_job_context().add_shutdown_callback(end)

    async def _listen(self, websocket: ClientWebSocketResponse) -> None:
        async for message in websocket:
            _speech = self.generate_reply(user_input=str(message.data))


def new_session() -> AgentSession[None]:
    """Choose the model."""
    model = ScriptedModel(reply)
    return RoomlessSession(llm=model, vad=None, turn_handling={"turn_detection": None})


def set_up(_: JobProcess) -> None:
    """Prepare a process for its job."""
    voice_intake.new_session = new_session


if __name__ == "__main__":
    voice_intake.server.setup_fnc = set_up
    cli.run_app(voice_intake.server)
