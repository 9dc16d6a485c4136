"""What helps to test flows, and journals: runs walked step by step, scripts, virtual time.

Nothing here is imported by `import reflow`, and importing it needs nothing that reflow doesn't.
"""

from __future__ import annotations

from ._checking import check_flow as check_flow
from ._clocks import VIRTUAL_TIME as VIRTUAL_TIME
from ._clocks import Backend as Backend
from ._clocks import VirtualTimeLoop as VirtualTimeLoop
from ._clocks import virtual_asyncio as virtual_asyncio
from ._clocks import virtual_trio as virtual_trio
from ._driving import Drive as Drive
from ._driving import NotReachedError as NotReachedError
from ._driving import drive as drive
from ._journals import check_journal as check_journal
from ._moves import Request as Request
from ._recorder import Recorder as Recorder
from ._rules import FlowCheckError as FlowCheckError
from ._script import Script as Script
from ._script import ScriptError as ScriptError

__all__ = [
    "VIRTUAL_TIME",
    "Backend",
    "Drive",
    "FlowCheckError",
    "NotReachedError",
    "Recorder",
    "Request",
    "Script",
    "ScriptError",
    "VirtualTimeLoop",
    "check_flow",
    "check_journal",
    "drive",
    "virtual_asyncio",
    "virtual_trio",
]

# Public classes show as reflow.testing.X, whatever module they were written in.
for _public in (
    Drive,
    FlowCheckError,
    NotReachedError,
    Recorder,
    Script,
    ScriptError,
    VirtualTimeLoop,
):
    _public.__module__ = __name__
