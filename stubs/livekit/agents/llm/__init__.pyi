import enum
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import TracebackType
from typing import Literal, Self, TypeAlias

from typing_extensions import override

class ChatMessage:
    id: str
    type: Literal["message"]
    role: _ChatRole
    created_at: float
    extra: dict[str, object]
    def __init__(self, *, role: _ChatRole, content: list[str]) -> None: ...
    @property
    def text_content(self) -> str | None: ...
    def model_copy(self, *, update: Mapping[str, object] | None = ...) -> Self: ...

_ChatRole: TypeAlias = Literal["developer", "system", "user", "assistant"]

class FunctionCall:
    id: str
    type: Literal["function_call"]
    call_id: str
    name: str
    arguments: str
    created_at: float

class FunctionCallOutput:
    id: str
    type: Literal["function_call_output"]
    call_id: str
    name: str
    output: str
    created_at: float

class AgentHandoff:
    id: str
    type: Literal["agent_handoff"]
    created_at: float

class AgentConfigUpdate:
    id: str
    type: Literal["agent_config_update"]
    created_at: float

ChatItem: TypeAlias = (
    ChatMessage | FunctionCall | FunctionCallOutput | AgentHandoff | AgentConfigUpdate
)

class ChatContext:
    def __init__(self, items: list[ChatItem]) -> None: ...
    @classmethod
    def empty(cls) -> ChatContext: ...
    @property
    def items(self) -> list[ChatItem]: ...
    def add_message(
        self,
        *,
        role: _ChatRole,
        content: str,
        created_at: float = ...,
        extra: dict[str, object] = ...,
    ) -> ChatMessage: ...
    def copy(self) -> ChatContext: ...
    def insert(self, item: ChatItem | Sequence[ChatItem]) -> None: ...

class Tool(ABC):
    @property
    @abstractmethod
    def id(self) -> str: ...

class Toolset:
    @property
    def tools(self) -> Sequence[Tool | Toolset]: ...

class ToolFlag(enum.Flag):
    IGNORE_ON_ENTER = ...

class ToolError(Exception):
    def __init__(self, message: str) -> None: ...

class RawFunctionTool(Tool):
    @property
    @override
    def id(self) -> str: ...

def function_tool(
    f: Callable[[dict[str, object]], Awaitable[str]],
    *,
    raw_schema: dict[str, object],
    flags: ToolFlag = ...,
) -> RawFunctionTool: ...

class CollectedResponse:
    text: str

class LLMStream(ABC):
    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None: ...
    async def collect(self) -> CollectedResponse: ...

class LLM(ABC):
    @abstractmethod
    def chat(self, *, chat_ctx: ChatContext) -> LLMStream: ...

class RealtimeModel: ...
class ChatChunk: ...
