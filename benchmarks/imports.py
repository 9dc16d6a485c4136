"""What `import reflow` costs, against importing the two packages that it needs anyway.

Every statement runs in a fresh interpreter, in turn, with its bytecode cached, as it is everywhere
but right after an installation. "net": without what the start of a bare interpreter took in the
same turn. The whole process is what someone feels who starts a small program.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from tempfile import TemporaryDirectory
from time import perf_counter_ns
from typing import TYPE_CHECKING

from measuring import in_turn, judged, options, print_table, ratio

if TYPE_CHECKING:
    from collections.abc import Callable

    from measuring import Options

TARGET = 1.3
BARE, NEEDED, OURS = "pass", "import anyio, attrs", "import reflow"


def starting(statement: str, cache: str) -> Callable[[], int]:
    """Make a sample of one fresh interpreter."""
    env = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": cache}

    def sample() -> int:
        begun = perf_counter_ns()
        subprocess.run([sys.executable, "-c", statement], check=True, env=env)
        return perf_counter_ns() - begun

    return sample


def main(chosen: Options) -> None:
    """Measure, and print the table."""
    with TemporaryDirectory() as cache:
        samples = {statement: starting(statement, cache) for statement in (BARE, NEEDED, OURS)}
        whole = in_turn(samples, chosen.turns)
    net = {
        statement: [a - b for a, b in zip(times, whole[BARE], strict=True)]
        for statement, times in whole.items()
    }
    rows = [
        [
            statement,
            *(f"{statistics.median(times[statement]) / 1e6:.1f}" for times in (net, whole)),
            *(f"{ratio(times[statement], times[NEEDED]):.2f}" for times in (net, whole)),
        ]
        for statement in samples
    ]
    rows[-1][3] = judged(ratio(net[OURS], net[NEEDED]), TARGET)
    head = ["", "ms, net", "ms, whole process", "ratio, net", "ratio, whole process"]
    print_table("time to import", head, rows)


if __name__ == "__main__":
    main(options(__doc__))
