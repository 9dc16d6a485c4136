"""The benchmarks run; what they measure is not judged here, since tests know no time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parents[1] / "benchmarks" / "bench.py"


def test_every_benchmark_runs() -> None:
    """A change of the library must not break what nobody runs every day."""
    sizes = ("--sizes", "2", "10", "--turns", "1", "--runs", "10", "--rows", "10", "20")
    done = subprocess.run(
        [sys.executable, "-W", "error", str(BENCH), "--backends", "asyncio", *sizes],
        check=False,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    for title in (
        *("ns per step", "ns per go-back", "bytes per waiting run", "time to import"),
        *("per append of two rows", "resuming a run", "µs per step", "ms per run.tools()"),
    ):
        assert title in done.stdout
