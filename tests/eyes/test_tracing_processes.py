"""Traces of a run over several processes, and without anything that makes spans."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest
from support import Log, add

from reflow import Flow, MemoryJournal, Opened, RunStarted
from reflow.otel import Tracing

PROGRAM = Path(__file__).parents[1] / "traced_process.py"


def spans_of(path: Path, what: str) -> list[dict[str, object]]:
    """Run the process; give the spans that it made."""
    command = [sys.executable, str(PROGRAM), str(path), what]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == (what == "die"), done.stderr
    assert done.stderr == ""
    return cast("list[dict[str, object]]", json.loads(done.stdout))


def test_a_resumed_run_links_to_the_first_process(tmp_path: Path) -> None:
    """Though that died before its span could end: its visits are there, below what is linked."""
    (first,) = spans_of(tmp_path / "runs.db", "die")
    assert first["name"] == "visit name"
    visit, run = spans_of(tmp_path / "runs.db", "live")
    assert visit["name"] == "visit email"
    assert run["name"] == "run intake"
    assert visit["parent"] == run["ids"]
    assert run["parent"] is None
    assert run["links"] == [first["parent"]]


@pytest.mark.anyio
async def test_without_an_sdk() -> None:
    """Then nothing is traced, and nothing else is different."""
    flow, log, journal = Flow("f"), Log(), MemoryJournal()
    add(flow, "a")
    await flow.run(observers=[Tracing(), log], journal=journal, key="k")
    (opened,) = log.of(Opened)
    assert isinstance(opened, Opened)
    assert opened.origin == ""
    assert log[1] == RunStarted("f")
