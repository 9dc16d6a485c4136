from collections.abc import AsyncIterable, Callable, Coroutine, Generator
from typing import Generic, Literal, TypeAlias, TypeVar, overload

from . import llm as llm
from .llm import LLM, ChatChunk, RealtimeModel, Tool, Toolset
from .llm import AgentHandoff as AgentHandoff
from .llm import ChatContext as ChatContext
from .llm import ChatItem as ChatItem
from .llm import ChatMessage as ChatMessage
from .llm import FunctionCall as FunctionCall
from .llm import ToolError as ToolError
from .llm import function_tool as function_tool
from .voice import SpeechHandle

_T = TypeVar("_T")
_Userdata = TypeVar("_Userdata")
_Result = TypeVar("_Result")

class NotGiven: ...

NOT_GIVEN: NotGiven
NotGivenOr: TypeAlias = _T | NotGiven

class ModelSettings: ...
class FlushSentinel: ...

class ConversationItemAddedEvent:
    item: ChatMessage | AgentHandoff

class SpeechCreatedEvent:
    speech_handle: SpeechHandle

class AgentSession(Generic[_Userdata]):
    @property
    def current_agent(self) -> Agent: ...
    @property
    def llm(self) -> LLM | RealtimeModel | None: ...
    @property
    def tools(self) -> list[Tool | Toolset]: ...
    @overload
    def on(
        self,
        event: Literal["conversation_item_added"],
        callback: Callable[[ConversationItemAddedEvent], None],
    ) -> object: ...
    @overload
    def on(
        self,
        event: Literal["speech_created"],
        callback: Callable[[SpeechCreatedEvent], None],
    ) -> object: ...
    @overload
    def on(self, event: Literal["close"], callback: Callable[[object], None]) -> object: ...
    @overload
    def off(
        self,
        event: Literal["conversation_item_added"],
        callback: Callable[[ConversationItemAddedEvent], None],
    ) -> None: ...
    @overload
    def off(
        self,
        event: Literal["speech_created"],
        callback: Callable[[SpeechCreatedEvent], None],
    ) -> None: ...
    @overload
    def off(self, event: Literal["close"], callback: Callable[[object], None]) -> None: ...
    def generate_reply(self) -> SpeechHandle: ...
    async def wait_for_idle(self) -> object: ...

class Agent:
    @property
    def chat_ctx(self) -> ChatContext: ...
    @property
    def session(self) -> AgentSession[object]: ...
    @property
    def tools(self) -> list[Tool | Toolset]: ...
    async def update_chat_ctx(
        self, chat_ctx: ChatContext, *, exclude_invalid_function_calls: bool = True
    ) -> None: ...
    async def update_tools(self, tools: list[Tool | Toolset]) -> None: ...
    async def on_enter(self) -> None: ...
    async def on_exit(self) -> None: ...
    def llm_node(
        self, chat_ctx: ChatContext, tools: list[Tool], model_settings: ModelSettings
    ) -> (
        AsyncIterable[ChatChunk | str | FlushSentinel]
        | Coroutine[object, object, AsyncIterable[ChatChunk | str | FlushSentinel]]
        | Coroutine[object, object, str]
        | Coroutine[object, object, ChatChunk]
        | Coroutine[object, object, None]
    ): ...

class AgentTask(Agent, Generic[_Result]):
    def __init__(self, *, instructions: str, chat_ctx: NotGivenOr[ChatContext] = ...) -> None: ...
    def __await__(self) -> Generator[None, None, _Result]: ...
    def cancel(self) -> None: ...
    def complete(self, result: _Result | Exception) -> None: ...
    def done(self) -> bool: ...
