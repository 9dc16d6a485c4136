from typing import TypedDict

# What is in them is checked by pydantic, at run time.
class ChatCompletionToolParam(TypedDict): ...
