"""The benchmark of voice agents runs; what it measures is not judged here: tests know no time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).parents[2] / "benchmarks" / "voice.py"


def test_the_benchmark_runs() -> None:
    """A change of the library must not break what nobody runs every day."""
    sizes = ("--sizes", "2", "--histories", "0", "10", "--turns", "1")
    done = subprocess.run(
        [sys.executable, BENCH, *sizes], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "ours : native" in done.stdout
