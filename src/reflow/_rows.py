"""Events to the texts of a journal's rows and back, by the types of the steps."""

from __future__ import annotations

import json
import traceback
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias, cast, final

import attrs

from . import _events as e
from ._codec import CodecError, UnsupportedTypeError, declared_type, value_codec
from ._errors import FlowError, RecoveredFailure, listed
from ._fingerprint import Fingerprint, Stored, fingerprint_of, read_fingerprint
from ._secrecy import linked_to
from ._states import LOST
from ._step import IncludedStep, options_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ._codec import ValueCodec
    from ._plan import Plan

FORMAT: Final = 1
"""The version of the rows' format; a newer one is refused."""

_Codecs: TypeAlias = "Mapping[str, ValueCodec | None]"
_Reader: TypeAlias = "Callable[[object], object]"
_Private: TypeAlias = "Callable[[BaseException], bool]"

_EVENTS: Final[Mapping[str, type[e.Event]]] = {
    kind.__name__: kind
    for kind in (
        *(e.Opened, e.RunStarted, e.RunCompleted, e.RunFailed, e.RunCancelled, e.RunStopped),
        *(e.StepEntered, e.StepCompleted, e.StepFailed, e.StepSkipped, e.StepInterrupted),
        *(e.StepAnswered, e.AnswerSuperseded, e.CleanupFailed, e.CallbackFailed),
        *(e.GoBackRequested, e.ConditionEvaluated, e.StepsMadeStale, e.RequestsDropped),
    )
}
_JSON: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


class _Maker(Protocol):
    """Makes an event of its fields."""

    def __call__(self, **fields: object) -> e.Event: ...


@final
class Rows:
    """Writes and reads the rows of one flow."""

    __slots__ = ("built", "codecs", "fingerprint")

    def __init__(self, plan: Plan) -> None:
        """Make the codecs of the steps' types; sensitive steps have none.

        Raises:
            FlowError: naming every step whose answers could not be read back.
        """
        codecs: dict[str, ValueCodec | None] = {}
        faults: list[str] = []
        # Making one takes about a millisecond, and many steps are of the same few classes. (What is
        # not a class, like list[int], may have no hash.)
        made: dict[type, ValueCodec] = {}
        built: set[str] = set()
        for step in plan.steps:
            if step.sensitive:
                codecs[step.id] = None
                continue
            try:
                declared = declared_type(options_of(step).typed_by)
                codec = made.get(declared) if isinstance(declared, type) else None
                codecs[step.id] = codec = codec or value_codec(declared)
                if isinstance(declared, type):
                    made[declared] = codec
            except UnsupportedTypeError as exc:
                if isinstance(step, IncludedStep):
                    # Needn't be kept: it is built again from the answers inside.
                    codecs[step.id] = None
                    built.add(step.id)
                    continue
                place = f"step {step.id!r} of flow {plan.flow!r} can't be kept in a journal"
                faults.extend(f"{place}: {reason}" for reason in exc.reasons)
        if faults:
            raise FlowError(listed(faults))
        self.codecs: Final[_Codecs] = codecs
        # The included steps whose answers are built again, not stored.
        self.built: Final = frozenset(built)
        texts = {name: codec.text for name, codec in codecs.items() if codec is not None}
        self.fingerprint: Final = fingerprint_of(plan, texts)

    def check(self, step: str, value: object, *, given: bool) -> None:
        """See whether an answer can be kept.

        Args:
            step: the step's id.
            value: the answer.
            given: whether it was given from outside: then it can't be built again.

        Raises:
            CodecError: if it isn't of the step's type, in every part of it.
            UnsupportedTypeError: if no answer of the step can be kept, only what it is built of.
        """
        if (codec := self.codecs[step]) is not None:
            codec.encode(value)
        elif given and step in self.built:
            raise UnsupportedTypeError(["build= isn't annotated with a type that can be stored"])

    def write(self, event: e.Event, private: _Private, *, fresh: bool = False) -> str:
        """Give the text of an event's row.

        Args:
            event: the event.
            private: says whether an exception is the failure of a sensitive step.
            fresh: write the flow's fingerprint, too: rows before this one don't count any more.

        Raises:
            CodecError: if the event holds an answer that isn't of its step's type.
        """
        data: Stored = {"event": type(event).__name__}
        sensitive = bool(getattr(event, "sensitive", False))
        for name in _FIELDS[type(event)]:
            value: object = getattr(event, name)
            if name == "value":
                if not isinstance(event, e.StepCompleted | e.StepAnswered):
                    continue  # an answer that doesn't count
                if (codec := self.codecs[event.step]) is None:
                    continue
                data[name] = codec.encode(value)
            elif isinstance(value, BaseException):
                linked = any(map(private, linked_to(value)))
                data[name] = _failure(value, hidden=sensitive or private(value), linked=linked)
            elif name == "origin" and not value:
                continue  # most runs have none
            else:
                data[name] = value.value if isinstance(value, e.Reason) else value
        if fresh:
            data |= {"format": FORMAT, "flow": self.fingerprint.flow}
            data["steps"] = self.fingerprint.stored()
        return _JSON.encode(data)


def parse(text: str) -> tuple[Stored, Fingerprint | None]:
    """Read a row's JSON, and the fingerprint in it, if there is one.

    Raises:
        ValueError: if it is none of this format's.
    """
    parsed: object = json.loads(text)
    if not isinstance(parsed, dict):
        message = "it is not an object"
        raise ValueError(message)  # noqa: TRY004 - like every other damage of a row
    data = cast("Stored", parsed)
    if "format" not in data:
        return data, None
    if data.pop("format") != FORMAT:
        message = f"it was written in another format than {FORMAT}: by a newer reflow?"
        raise ValueError(message)
    flow = _text(data.pop("flow", None))
    return data, read_fingerprint(flow, data.pop("steps", None))


def decode(data: Stored, codecs: _Codecs, *, lenient: bool = False) -> e.Event:
    """Make the event of what `parse` gave.

    Args:
        data: what stood in the row.
        codecs: those of the steps.
        lenient: take answers that can't be read as lost: the flow has changed since.

    Raises:
        ValueError: if that is not what stands there.
    """
    kind = _EVENTS.get(str(data.get("event")))
    if kind is None:
        message = f"there is no event {data.get('event')!r}"
        raise ValueError(message)
    step = data.get("step")
    codec = codecs.get(step) if isinstance(step, str) else None
    fields: dict[str, object] = {}
    kept = 1
    try:
        for name, reader in _FIELDS[kind].items():
            if name == "origin":
                fields[name] = reader(data.get(name, ""))
                kept += name in data
            elif name != "value":
                fields[name] = reader(data[name])
                kept += 1
            elif kind is e.AnswerSuperseded or (codec is None and not lenient):
                fields[name] = LOST
                kept += name in data  # stored when the step's type was known
            else:
                fields[name] = _answer(data.get(name, LOST), codec, lenient=lenient)
                kept += name in data
    except KeyError as exc:
        message = f"it has no {exc.args[0]!r}"
        raise ValueError(message) from exc
    except CodecError as exc:
        message = (
            f"the answer of step {step!r} can't be read: {exc} (if its class has changed, "
            'on_change="keep" asks the step again)'
        )
        raise ValueError(message) from exc
    if len(data) != kept:
        message = f"there is something in it that doesn't belong to a {kind.__name__}"
        raise ValueError(message)
    # Every field was read by its own type's reader.
    return cast("_Maker", kind)(**fields)


def _answer(stored: object, codec: ValueCodec | None, *, lenient: bool) -> object:
    if lenient and (codec is None or stored is LOST):
        return LOST
    try:
        # Without a codec it is lenient.
        return cast("ValueCodec", codec).decode(stored)
    except CodecError:
        if lenient:
            return LOST
        raise


def _failure(exc: BaseException, *, hidden: bool, linked: bool) -> Stored:
    """Give what is kept of an exception: of a hidden one only what it was."""
    if isinstance(exc, RecoveredFailure):
        return {"type": exc.type, "message": exc.message, "traceback": exc.traceback}
    kind = type(exc)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    text = message = ""
    if not hidden:
        # An exception may be made so that it can't be shown, or be nested too deeply.
        with suppress(Exception):
            told = traceback.TracebackException.from_exception(exc)
            message = str(told)
            # Its causes, or the members of its group, may be hidden ones.
            text = "" if linked else "".join(told.format())
    return {"type": f"{module}{kind.__qualname__}", "message": message, "traceback": text}


# The readers of fields, by the type that the event's class declares.


def _text(stored: object) -> str:
    if isinstance(stored, str):
        return stored
    raise _damaged("a text", stored)


def _number(stored: object) -> int:
    if isinstance(stored, int) and not isinstance(stored, bool):
        return stored
    raise _damaged("a number", stored)


def _truth(stored: object) -> bool:
    if isinstance(stored, bool):
        return stored
    raise _damaged("true or false", stored)


def _names(stored: object) -> tuple[str, ...]:
    return tuple(map(_text, _list(stored, "a list of ids")))


def _list(stored: object, wanted: str) -> list[object]:
    if isinstance(stored, list):
        return cast("list[object]", stored)
    raise _damaged(wanted, stored)


def _visits(stored: object) -> tuple[tuple[str, int, int], ...]:
    visits: list[tuple[str, int, int]] = []
    for item in _list(stored, "a list of visits"):
        parts = _list(item, "a list of visits")
        if len(parts) != 3:
            raise _damaged("a list of visits", item)
        visits.append((_text(parts[0]), _number(parts[1]), _number(parts[2])))
    return tuple(visits)


def _recovered(stored: object) -> RecoveredFailure:
    if not isinstance(stored, dict):
        raise _damaged("a failure", stored)
    data = cast("Stored", stored)
    if data.keys() != {"type", "message", "traceback"}:
        raise _damaged("a failure", data)
    return RecoveredFailure(*(_text(data[name]) for name in ("type", "message", "traceback")))


def _damaged(wanted: str, stored: object) -> ValueError:
    return ValueError(f"expected {wanted}, got {type(stored).__name__}")


def _optional(reader: _Reader) -> _Reader:
    return lambda stored: None if stored is None else reader(stored)


_READERS: Final[Mapping[str, _Reader]] = {
    "str": _text,
    "int": _number,
    "bool": _truth,
    "bool | None": _optional(_truth),
    "tuple[str, ...]": _names,
    "tuple[tuple[str, int, int], ...]": _visits,
    "Reason": lambda stored: e.Reason(_text(stored)),
    "Exception": _recovered,
    "BaseException": _recovered,
    "Exception | None": _optional(_recovered),
    "object": lambda stored: stored,  # an answer: read by its step's codec
}


# The fields of each event that are stored, with what reads them.
_FIELDS: Final[Mapping[type[object], Mapping[str, _Reader]]] = {
    kind: {
        field.name: _READERS[str(field.type)]
        for field in attrs.fields(kind)
        if field.name != "sensitive"
    }
    for kind in _EVENTS.values()
}
