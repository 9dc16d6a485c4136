"""What a waiting run costs in memory, against the hand-written loop waiting in the same place.

So many runs of a flow of ten steps wait in the fifth one for the same event, each in a task of its
own, all in one task group; in another process as many hand-written loops do the same. Either needs
a task to live in, so the difference is what reflow adds: the run, its machine and its results, a
visit, the frames of two more coroutines.

"resident" (Linux only) is by how much the process grew, with what the allocator rounds up and what
was not collected yet. "traced" is what `tracemalloc` counts: every byte that was asked for and not
given back, the same on every machine; it makes everything slow, and as the bytes per run don't
depend on the number of runs, a tenth of them is enough.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import tracemalloc
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
from anyio.lowlevel import checkpoint
from by_hand import in_order
from measuring import judged, options, print_table

from reflow import Flow

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from measuring import Options

TARGET = 2_500
STEPS, WAITS_AT = 10, 4
STATM = Path("/proc/self/statm")


def traced() -> int:
    """Give what was allocated and not given back, in bytes."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def resident() -> int:
    """Give what the process occupies, in bytes."""
    return int(STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


METERS = {"resident": resident, "traced": traced} if STATM.exists() else {"traced": traced}


async def weigh(variant: str, meter: str, runs: int) -> float:
    """Let runs wait, and give the bytes that each of them occupies."""
    release = anyio.Event()
    waiting = 0

    async def answer(_: object) -> int:
        return 1

    async def wait(_: object) -> int:
        nonlocal waiting
        waiting += 1
        await release.wait()
        return 1

    steps = [answer] * STEPS
    steps[WAITS_AT] = wait
    flow = Flow("waiting")
    for i, step in enumerate(steps):
        flow.step("a number", id=f"s{i}")(step)

    def start() -> Coroutine[object, object, object]:
        return in_order(steps) if variant == "by hand" else flow.run()

    async def all_runs(number: int) -> float:
        nonlocal waiting
        waiting = 0
        before = METERS[meter]()
        async with anyio.create_task_group() as tasks:
            for _ in range(number):
                tasks.start_soon(start)
            while waiting < number:
                await checkpoint()
            occupied = METERS[meter]() - before
            release.set()
        return occupied / number

    await all_runs(1)
    release = anyio.Event()
    if meter == "traced":
        tracemalloc.start()
    return await all_runs(runs)


def weigh_on(backend: str, variant: str, meter: str, runs: int) -> float:
    """Weigh in the process that this is called in."""
    return anyio.run(weigh, variant, meter, runs, backend=backend)


def main(chosen: Options) -> None:
    """Weigh every variant in a process of its own, one after the other."""
    processes = ProcessPoolExecutor(
        1, mp_context=multiprocessing.get_context("spawn"), max_tasks_per_child=1
    )
    rows = []
    with processes:
        for backend in chosen.backends:
            for meter in METERS:
                runs = chosen.runs if meter == "resident" else max(1, chosen.runs // 10)
                hand, ours = (
                    processes.submit(weigh_on, backend, variant, meter, runs).result()
                    for variant in ("by hand", "reflow")
                )
                figures = (f"{runs:,}", f"{hand:,.0f}", f"{ours:,.0f}")
                rows.append([f"{backend}, {meter}", *figures, judged(ours - hand, TARGET)])
    head = ["", "runs", "by hand", "reflow", "reflow - by hand"]
    print_table("bytes per waiting run", head, rows)


if __name__ == "__main__":
    main(options(__doc__))
