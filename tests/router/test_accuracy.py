"""How often the router is right, by kind: not less than the document says.

On sentences that were written down before the router was made.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest
from utterances import parcel, table, utterances

from reflow.demo.intake import intake
from reflow.router import Router

DOCUMENT = Path(__file__).parents[2] / "docs" / "free-text.md"
ROW = re.compile(r"^\| (\w+) .*\| (\d+) of (\d+) \| (\d+) of (\d+) \|$", re.MULTILINE)
KINDS = {"one": "one", "several": "several", "an": "none"}
# Other processors round otherwise, which may change what is close to the threshold.
MARGIN = {"one": 2, "several": 1, "none": 1}


@pytest.fixture(scope="module")
def routers() -> dict[str, Router]:
    """Give a router for each flow."""
    return {"intake": Router(intake), "table": Router(table), "parcel": Router(parcel)}


@pytest.mark.parametrize(("column", "file"), [(0, "utterances.txt"), (1, "held_out.txt")])
def test_accuracy(routers: dict[str, Router], column: int, file: str) -> None:
    """Of each kind so many are exactly right, as the document says, but for rounding."""
    right: Counter[str] = Counter()
    number: Counter[str] = Counter()
    wrong: list[str] = []
    for said in utterances(file):
        found = routers[said.flow].route(said.text, active=said.active)
        number[said.kind] += 1
        right[said.kind] += found == said.targets
        if found != said.targets:
            wrong.append(f"{[step.id for step in found]} for {said.text!r}")
    rows: list[tuple[str, str, str, str, str]] = ROW.findall(DOCUMENT.read_text("utf-8"))
    documented = {
        KINDS[row[0]]: (int(row[1 + 2 * column]), int(row[2 + 2 * column])) for row in rows
    }
    assert {kind: total for kind, (_, total) in documented.items()} == number
    assert documented.keys() == MARGIN.keys()
    for kind, (hits, _) in documented.items():
        assert right[kind] >= hits - MARGIN[kind], wrong


@pytest.mark.parametrize(
    ("file", "one", "several", "none"),
    [("utterances.txt", 30, 20, 40), ("held_out.txt", 20, 14, 30)],
)
def test_there_is_enough_to_measure_with(file: str, one: int, several: int, none: int) -> None:
    """No kind is measured with a handful of sentences."""
    kinds = Counter(said.kind for said in utterances(file))
    assert kinds["one"] >= one
    assert kinds["several"] >= several
    assert kinds["none"] >= none
