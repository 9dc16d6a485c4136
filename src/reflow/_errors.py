"""The errors of reflow: one small tree, by who is at fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class ReflowError(Exception):
    """The base of every error that reflow itself raises."""


class FlowError(ReflowError):
    """The author of the flow did something that can't work.

    Raised for a faulty declaration (all faults of it at once), for a `when=` that reads a step
    declared at or after its own, for a key of another flow, for a second `run.drive()`, and for
    using a visit outside of it.
    """


class GoBackError(ReflowError):
    """A request (to go back, to jump ahead, to answer, to skip) was refused; nothing changed.

    Attributes:
        refused: why each bad target was refused, by step id, in the order requested. Empty when
            the request as a whole made no sense (no target at all).
    """

    refused: Mapping[str, str]

    def __init__(self, message: str, refused: Mapping[str, str] | None = None) -> None:
        """Keep the reasons beside the sentence that is made of them."""
        super().__init__(message)
        self.refused = dict(refused or {})


class ToolCallError(ReflowError):
    """A call of a tool of `run.tools()` made no sense, or came too late; nothing changed.

    The message is a sentence for the model, that it can act on. It doesn't quote what the model
    gave; of a step that isn't sensitive it may hold what `validate=` or the class of the answer
    said about it.
    """


class RunFinishedError(ReflowError):
    """A request came after the run had ended; nothing changed.

    Whoever listens for commands beside a run handles this one: a command may always arrive in
    the moment the run has just ended.
    """


class StepNotDoneError(ReflowError, LookupError):
    """A step was read that has no answer to read: the message says which one and why."""


class StepFailedError(StepNotDoneError):
    """A step was read that failed: its own exception is the `__cause__`."""


class MachineError(ReflowError):
    """An event that is impossible in the state the machine is in; the state is unchanged.

    A defect of reflow, or of rows that were tampered with: never of a flow or of a request.
    """


class JournalError(ReflowError):
    """The journal could not be read or written, or what it holds can't be used.

    What the run had done in memory is still there (`run.results`), but what the message names is
    not stored. Nothing that was stored is changed; prepare another run with the same key to go on
    from there.
    """


class JournalConflictError(JournalError):
    """Someone else wrote to this key: another process has resumed the run, or deleted its rows.

    Nothing was written. The run in this process is over; the other one goes on.
    """


class JournalUnavailableError(JournalError):
    """The journal can't be reached for now, and whether the last write took place may be unknown.

    What a journal's methods raise for an outage that may pass: the run reads its rows back and
    tries again, for as long as the journal's `patience` says.
    """


class FlowChangedError(FlowError):
    """The run to go on with is of this flow, but the flow was declared differently then.

    If it is in a journal, prepare with `on_change="keep"` to keep the answers whose step and type
    still exist.

    Attributes:
        differences: what has changed, a sentence each.
    """

    differences: tuple[str, ...]

    def __init__(self, message: str, differences: Iterable[str]) -> None:
        """Keep the differences beside the sentence that is made of them."""
        super().__init__(message)
        self.differences = tuple(differences)


class RecoveredFailure(Exception):  # noqa: N818 - it stands for an exception of any name
    """A failure that happened in another process, as the journal kept it.

    Attributes:
        type: the module and qualified name of the exception's class.
        message: what `str()` gave of it; empty for a sensitive step, whose failures may quote
            the answer.
        traceback: the traceback as text, with its causes; empty for a sensitive step.
    """

    type: str
    message: str
    traceback: str

    def __init__(self, type: str, message: str, traceback: str) -> None:  # noqa: A002 - as above
        """Keep what is known of the exception."""
        super().__init__(f"{type}: {message}" if message else type)
        self.type = type
        self.message = message
        self.traceback = traceback


def listed(faults: Iterable[str]) -> str:
    """Join several faults into one message, one to a line where there is more than one."""
    lines = list(faults)
    return lines[0] if len(lines) == 1 else "\n  - ".join(["several faults:", *lines])
