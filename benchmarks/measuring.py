"""How the benchmarks measure, and how they print what they found.

Variants that are compared run in turn in one process (A B C, B C A, ...), so that whatever else
the machine does hits all of them; what is compared is the median of the ratios within a turn, never
a ratio of times from different moments. Times are CPU time, since nothing here waits for anything
but itself. The garbage collector runs before every sample and, as in `timeit`, not during it.
"""

from __future__ import annotations

import argparse
import functools
import gc
import platform
import statistics
from importlib.metadata import version
from time import process_time_ns
from typing import TYPE_CHECKING, TypeVar

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
    from typing import TypeAlias

    Sample: TypeAlias = Callable[[], Awaitable[int]]
    """Does something and gives the nanoseconds that it took."""

K = TypeVar("K")


class Options(argparse.Namespace):
    """What can be said on the command line of every benchmark."""

    backends: list[str]
    sizes: list[int]
    turns: int
    runs: int
    rows: list[int]


def options(description: str | None) -> Options:
    """Read the command line; every benchmark takes the same options, used or not."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--backends", nargs="+", default=["asyncio", "trio"], choices=["asyncio", "trio"])
    add("--sizes", nargs="+", type=int, default=[10, 100, 1_000, 10_000], help="steps of a flow")
    add("--turns", type=int, default=25, help="how often every variant is measured")
    add("--runs", type=int, default=100_000, help="how many runs wait at the same time")
    add("--rows", nargs="+", type=int, default=[10, 1_000, 100_000], help="rows of a kept run")
    return parser.parse_args(namespace=Options())


def timed(function: Callable[[], Awaitable[object]], times: int) -> Sample:
    """Make a sample of so many calls to an async function."""

    async def sample() -> int:
        begun = process_time_ns()
        for _ in range(times):
            await function()
        return process_time_ns() - begun

    return sample


def in_turn(samples: Mapping[K, Callable[[], int]], turns: int) -> dict[K, list[int]]:
    """Take every sample once a turn, each turn beginning with another one; drop the first turn."""
    keys = list(samples)
    taken: dict[K, list[int]] = {key: [] for key in keys}
    for turn in range(turns + 1):
        at = turn % len(keys)
        for key in keys[at:] + keys[:at]:
            gc.collect()
            gc.disable()
            taken[key].append(samples[key]())
            gc.enable()
    return {key: times[1:] for key, times in taken.items()}


def on(backend: str, samples: Mapping[K, Sample]) -> dict[K, Callable[[], int]]:
    """Give every sample an event loop, a new one each time."""
    return {
        key: functools.partial(anyio.run, sample, backend=backend)
        for key, sample in samples.items()
    }


def ratio(numerators: Sequence[float], denominators: Sequence[float]) -> float:
    """Give the median of the ratios of samples that were taken in the same turn."""
    return statistics.median(a / b for a, b in zip(numerators, denominators, strict=True))


def judged(measured: float, target: float) -> str:
    """Put what was measured beside its target."""
    shown = f"{measured:.2f}" if target < 100 else f"{measured:,.0f}"
    return f"{shown} (at most {target:,}{'' if measured <= target else ', MISSED'})"


def print_table(title: str, head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table, its first column to the left and the others to the right."""
    lines = [head, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * width for width in widths])
    print(f"\n{title}\n")
    for first, *others in lines:
        cells = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        print("  ".join([first.ljust(widths[0]), *cells]))


def print_versions(*packages: str) -> None:
    """Print what the figures depend on."""
    named = (f"{package} {version(package)}" for package in packages)
    python = f"{platform.python_implementation()} {platform.python_version()}"
    print(python, *named, sep=", ")
