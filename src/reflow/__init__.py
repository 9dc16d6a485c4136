"""Flows of interactive steps that can be gone back to, with typed answers, on asyncio and trio."""

from ._declaring import StepDecorator as StepDecorator
from ._errors import FlowChangedError as FlowChangedError
from ._errors import FlowError as FlowError
from ._errors import GoBackError as GoBackError
from ._errors import JournalConflictError as JournalConflictError
from ._errors import JournalError as JournalError
from ._errors import JournalUnavailableError as JournalUnavailableError
from ._errors import MachineError as MachineError
from ._errors import RecoveredFailure as RecoveredFailure
from ._errors import ReflowError as ReflowError
from ._errors import RunFinishedError as RunFinishedError
from ._errors import StepFailedError as StepFailedError
from ._errors import StepNotDoneError as StepNotDoneError
from ._errors import ToolCallError as ToolCallError
from ._events import AnswerSuperseded as AnswerSuperseded
from ._events import CallbackFailed as CallbackFailed
from ._events import CleanupFailed as CleanupFailed
from ._events import ConditionEvaluated as ConditionEvaluated
from ._events import Event as Event
from ._events import GoBackRequested as GoBackRequested
from ._events import Opened as Opened
from ._events import Reason as Reason
from ._events import RequestsDropped as RequestsDropped
from ._events import RunCancelled as RunCancelled
from ._events import RunCompleted as RunCompleted
from ._events import RunFailed as RunFailed
from ._events import RunStarted as RunStarted
from ._events import RunStopped as RunStopped
from ._events import StepAnswered as StepAnswered
from ._events import StepCompleted as StepCompleted
from ._events import StepEntered as StepEntered
from ._events import StepFailed as StepFailed
from ._events import StepInterrupted as StepInterrupted
from ._events import StepSkipped as StepSkipped
from ._events import StepsMadeStale as StepsMadeStale
from ._flow import Flow as Flow
from ._flow import OnChange as OnChange
from ._journal import Journal as Journal
from ._journal import JournalRow as JournalRow
from ._journal import MemoryJournal as MemoryJournal
from ._journal import StoredRun as StoredRun
from ._logging import LoggingObserver as LoggingObserver
from ._observing import Observer as Observer
from ._requests import OnCompleted as OnCompleted
from ._results import Done as Done
from ._results import Failed as Failed
from ._results import Outcome as Outcome
from ._results import Pending as Pending
from ._results import Results as Results
from ._results import RunStoppedError as RunStoppedError
from ._results import Skipped as Skipped
from ._run import Run as Run
from ._run import Visit as Visit
from ._states import RunState as RunState
from ._states import StepState as StepState
from ._step import AnyStep as AnyStep
from ._step import IncludedStep as IncludedStep
from ._step import Step as Step
from ._tool import Tool as Tool

__all__ = [
    "AnswerSuperseded",
    "AnyStep",
    "CallbackFailed",
    "CleanupFailed",
    "ConditionEvaluated",
    "Done",
    "Event",
    "Failed",
    "Flow",
    "FlowChangedError",
    "FlowError",
    "GoBackError",
    "GoBackRequested",
    "IncludedStep",
    "Journal",
    "JournalConflictError",
    "JournalError",
    "JournalRow",
    "JournalUnavailableError",
    "LoggingObserver",
    "MachineError",
    "MemoryJournal",
    "Observer",
    "OnChange",
    "OnCompleted",
    "Opened",
    "Outcome",
    "Pending",
    "Reason",
    "RecoveredFailure",
    "ReflowError",
    "RequestsDropped",
    "Results",
    "Run",
    "RunCancelled",
    "RunCompleted",
    "RunFailed",
    "RunFinishedError",
    "RunStarted",
    "RunState",
    "RunStopped",
    "RunStoppedError",
    "Skipped",
    "Step",
    "StepAnswered",
    "StepCompleted",
    "StepDecorator",
    "StepEntered",
    "StepFailed",
    "StepFailedError",
    "StepInterrupted",
    "StepNotDoneError",
    "StepSkipped",
    "StepState",
    "StepsMadeStale",
    "StoredRun",
    "Tool",
    "ToolCallError",
    "Visit",
]

# Public classes show as reflow.X, whatever module they were written in.
for _public in list(globals().values()):
    if isinstance(_public, type):
        _public.__module__ = __name__
