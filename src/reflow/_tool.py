"""A tool for a language model, in the forms that the providers of models take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, cast, final

from ._compat import override

if TYPE_CHECKING:
    from collections.abc import Callable

Schema: TypeAlias = "dict[str, object]"
"""A JSON Schema."""

# How OpenAI's two interfaces want a tool.
OpenAIForm: TypeAlias = Literal["chat", "responses"]


@final
class Tool:
    """Something that a language model may call to steer a run; made by `run.tools()`.

    It is bound to the visit that it was made in: `call` honours a call during that visit and the
    one that follows it. An older one is refused, since it answers a question that is long past.
    """

    __slots__ = ("_act", "_description", "_flow", "_name", "_schema")

    _act: Callable[[object], str]
    _description: str
    _flow: str
    _name: str
    _schema: Schema

    def __init__(self) -> None:
        """Refuse.

        Raises:
            TypeError: always.
        """
        raise TypeError("tools are made by a run: use run.tools()")

    @property
    def name(self) -> str:
        """What the model calls it: `go_back`, `answer` or `skip`."""
        return self._name

    @property
    def description(self) -> str:
        """What the model is told of it; never longer than 1,024 characters, OpenAI's limit."""
        return self._description

    @property
    def schema(self) -> Schema:
        """The JSON Schema of its arguments: each time a new dictionary.

        It uses what all providers understand: `type`, `enum`, `properties`, `required`,
        `additionalProperties`, `items`, `anyOf`, and the usual limits. `$defs` and `$ref` are only
        there for types that hold themselves or are used more than once.
        """
        return copied(self._schema)

    def call(self, arguments: object) -> str:
        """Do what the model asks for.

        Args:
            arguments: what the provider hands over: a mapping, or the text of a JSON object. Any
                other value is allowed here, and refused like all that makes no sense.

        Returns:
            A sentence for the model that says what happened.

        Raises:
            ToolCallError: if the arguments make no sense, if what they ask for isn't possible now,
                if the tool is too old, or if the run has ended. The message is for the model, and
                nothing has changed.
            FlowError: if called in another thread than the event loop's: that is a fault of the
                program, which no model can mend.
        """
        return self._act(arguments)

    def as_openai(self, *, api: OpenAIForm = "chat") -> Schema:
        """Give the tool as OpenAI's client takes it in `tools=[...]`.

        Args:
            api: "chat": for Chat Completions, which many other providers speak, too. "responses":
                for the Responses API.

        Returns:
            A new dictionary. Strict mode is off: it takes no objects of arbitrary names, and what
            a model gives is checked anyway.

        Raises:
            ValueError: if there is no such interface.
        """
        told: Schema = {
            "name": self._name,
            "description": self._description,
            "parameters": self.schema,
        }
        if api not in {"chat", "responses"}:
            message = f'api= must be "chat" or "responses", not {api!r}'
            raise ValueError(message)
        if api == "chat":
            return {"type": "function", "function": told}
        # Here strict mode is on unless one says otherwise.
        return {"type": "function", **told, "strict": False}

    def as_anthropic(self) -> Schema:
        """Give the tool as Anthropic's client takes it in `tools=[...]`: a new dictionary."""
        return {
            "name": self._name,
            "description": self._description,
            "input_schema": self.schema,
        }

    def as_gemini(self) -> Schema:
        """Give the tool as Google's client takes it in `function_declarations=[...]`.

        Returns:
            A new dictionary, with `parameters` where Gemini's part of OpenAPI can express them,
            which every Gemini interface takes; otherwise (answers that hold themselves, or objects
            of arbitrary names) with `parametersJsonSchema`, which the Live API may not take.
        """
        # Only those who use Gemini need it.
        from ._tool_gemini import gemini_schema  # noqa: PLC0415

        told: Schema = {"name": self._name, "description": self._description}
        if (schema := gemini_schema(self._schema)) is not None:
            return {**told, "parameters": schema}
        return {**told, "parametersJsonSchema": self.schema}

    @override
    def __repr__(self) -> str:
        """Name the tool and the flow."""
        return f"<Tool {self._name!r} of flow {self._flow!r}>"


def make_tool(
    flow: str, name: str, description: str, schema: Schema, act: Callable[[object], str]
) -> Tool:
    """Make a tool.

    Args:
        flow: the flow's name.
        name: the tool's name.
        description: what the model is told.
        schema: of the arguments; it isn't changed, nor given away.
        act: is called with the arguments.
    """
    tool = object.__new__(Tool)
    tool._flow = flow
    tool._name = name
    tool._description = description
    tool._schema = schema
    tool._act = act
    return tool


def copied(schema: Schema) -> Schema:
    """Give a copy all the way down; whoever gets it may change it."""
    return {name: _copied(part) for name, part in schema.items()}


def _copied(part: object) -> object:
    if isinstance(part, dict):
        return copied(cast("Schema", part))
    return [*map(_copied, cast("list[object]", part))] if isinstance(part, list) else part
