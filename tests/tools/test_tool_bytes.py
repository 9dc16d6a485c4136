"""The bytes are the same in every process, and nothing is imported that isn't needed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


def ran(source: str, **env: str) -> str:
    """Run a program of its own."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", source],
        check=True,
        capture_output=True,
        text=True,
        cwd=TESTS,
        env={**os.environ, **env},
    )
    return done.stdout


def test_the_bytes_are_the_same_in_every_process() -> None:
    """Prompt caches depend on it; sets of strings have another order in every process."""
    source = """
import asyncio, json
import codec_answers as c
from tool_flows import intake, step_of
from reflow import Flow, Visit
flow = intake()
for i, (declared, _) in enumerate(c.EXAMPLES):
    step_of(flow, declared, f"s{i}")
run = flow.prepare()
told = []
def tell(run):
    for constant in (False, True):
        for tool in run.tools(constant=constant):
            told.append([tool.as_openai(), tool.as_anthropic(), tool.as_gemini()])
tell(run)
@(other := intake()).step("the end")
async def end(visit: Visit) -> int:
    tell(visit.run)
    return 1
asyncio.run(other.prepare().drive())
print(json.dumps(told))
"""
    texts = {ran(source, PYTHONHASHSEED=seed) for seed in ("0", "1", "2", "4711", "random")}
    assert len(texts) == 1
    assert len(texts.pop()) > 20_000


@pytest.mark.parametrize("answerable", [False, True])
def test_tools_need_no_extra(answerable: bool) -> None:
    """Anyio and attrs are enough; and who doesn't ask for tools doesn't load them."""
    names = ["go_back", "answer", "skip"] if answerable else ["go_back", "skip"]
    ran(f"""
import sys
for name in ("cattrs", "pydantic", "msgspec"):
    sys.modules[name] = None
from reflow import Flow, Visit
before = set(sys.modules)
assert "reflow._tools" not in before
assert "json" not in before or "anyio" in before
flow = Flow("f")
@flow.step("a", model_may_answer={answerable}, optional=True)
async def a(visit: Visit) -> list[int]:
    return [1]
run = flow.prepare()
tools = run.tools()
assert [tool.name for tool in tools] == {names}
tools[1].call({{"step": "a", "value": [7]}} if {answerable} else {{"step": "a"}})
assert run.results.get(a) == ([7] if {answerable} else None)
assert tools[0].as_gemini() and tools[0].as_openai() and tools[0].as_anthropic()
""")
