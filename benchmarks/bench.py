"""What reflow costs against hand-written code: every benchmark, one after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import go_back
import imports
import journal
import memory
import steps
import tools
from measuring import options, print_versions

if TYPE_CHECKING:
    from measuring import Options


def main(chosen: Options) -> None:
    """Print every table."""
    print_versions("anyio", "attrs", "cattrs", "trio")
    for benchmark in (steps, go_back, journal, tools, memory, imports):
        benchmark.main(chosen)


if __name__ == "__main__":
    main(options(__doc__))
