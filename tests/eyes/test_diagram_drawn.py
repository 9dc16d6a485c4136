"""Diagrams as the real Mermaid draws them, in a real browser."""

from __future__ import annotations

import json
import random
import unicodedata
from typing import TYPE_CHECKING, cast

import pytest
from addresses import household
from support import Log, last, never

from reflow import Flow, Step
from reflow.demo.intake import intake
from reflow.diagram import mermaid

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from browser import Browser

SCRIPT = """
mermaid.initialize({startOnLoad: false, securityLevel: "strict"});
const drawn = [];
for (const text of %s) {
    const {svg} = await mermaid.render(`drawn${drawn.length}`, text);
    const place = document.createElement("div");
    document.body.append(place);
    place.innerHTML = svg;
    const nodes = [...place.querySelectorAll("g.node")].map(node => ({
        id: node.id.replace(/.*flowchart-(\\w+)-\\d+$/, "$1"),
        words: (node.querySelector(".nodeLabel") ?? node).innerText,
        width: node.getBoundingClientRect().width,
    }));
    const arrows = place.querySelectorAll("path.flowchart-link").length;
    drawn.push({nodes, arrows, faults: place.querySelectorAll(".error-icon").length});
    place.remove();
}
return drawn;
"""


def draw(browser: Browser, script: Path, diagrams: Sequence[str]) -> list[dict[str, object]]:
    """Draw diagrams; give what is in them."""
    body = f'<script src="{script.as_uri()}"></script>'
    drawn = browser.evaluate(body, SCRIPT % json.dumps(diagrams).replace("</", "<\\/"))
    return cast("list[dict[str, object]]", drawn)


def words_of(drawn: dict[str, object]) -> dict[str, list[str]]:
    """Give the lines of each node, as a person reads them."""
    nodes = cast("list[dict[str, str]]", drawn["nodes"])
    return {
        node["id"]: [" ".join(line.split()) for line in node["words"].split("\n") if line.strip()]
        for node in nodes
    }


def test_the_intake(browser: Browser, mermaid_script: Path) -> None:
    """Every step is there, with what was declared, and every arrow."""
    (drawn,) = draw(browser, mermaid_script, [mermaid(intake)])
    assert drawn["faults"] == 0
    words = words_of(drawn)
    assert words["start"] == ["intake"]
    assert words["s0"] == ["name", "your full name", "the model may answer"]
    text = "the family members to insure"
    assert words["s5"][:1] == ["members"]
    assert " ".join(words["s5"][1:]) == f"{text} if its condition holds"
    assert " ".join(words["s8"]) == (
        "confirmed whether all of this is right asked again after any change point of no return"
    )
    # One more than there are steps for the order, and one for what the doctor depends on.
    assert drawn["arrows"] == len(intake.steps) + 1 + 1


@pytest.mark.anyio
async def test_a_run(browser: Browser, mermaid_script: Path) -> None:
    """States and the way so far are drawn, whatever the run is at."""
    flow, log = Flow("f"), Log()
    a = flow.step("a", id="a", optional=True)(never)
    flow.step("b", id="b", when=lambda r: r.get(a) is None, always_ask=True)(never)
    last(flow, a)
    run = flow.prepare(observers=[log], return_exceptions=True)
    before = mermaid(run)
    await run.drive()
    drawn = draw(browser, mermaid_script, [before, mermaid(run, events=log)])
    assert [diagram["faults"] for diagram in drawn] == [0, 0]
    assert words_of(drawn[0])["s0"][-1] == "to come"
    assert words_of(drawn[1])["start"] == ["completed"]
    assert words_of(drawn[1])["s0"][-1] == "failed"
    # The order, what the condition read, and one who went back.
    assert drawn[1]["arrows"] == 4 + 1 + 1


AWKWARD = [
    'say "hello"',
    "a[b] (c) {d} <e> |f|",
    "<b>bold</b><script>alert(1)</script><br>",
    "&amp; &#35; #quot; #35; &lt;",
    "end",
    "style: #ff0000; classDef x:#a;",
    "%%{init: {}}%% %% comment",
    "`code` **bold** _it_ *x* snake_case_id __init__",
    "1. first",
    "- item",
    "# heading",
    "semi;colon; a-->b --- c",
    "back\\slash \\n",
    "fa:fa-car $$x^2$$",
    "ﬂ°°35¶ß ßtraße Ünï 日本語 العربية 🎉",
    "click callback href",
    "https://example.org/?a=b&c=d",
    "{{x}} {%y%} ${z}",
    "---\ntitle: x\n---",
    "o x @{ shape: rect }",
]


def described(texts: Sequence[str]) -> Flow[None]:
    """Make a flow whose steps are called, and are about, these texts."""
    flow = Flow(texts[0])
    before: list[Step[str]] = []
    for i, text in enumerate(texts):
        before = [flow.step(text, id=f"{i} {text}", depends_on=before[-1:])(never)]
    return flow


def check(browser: Browser, script: Path, flows: Sequence[Flow[None]]) -> None:
    """Draw flows; see that every node says what it is to say."""
    drawn = draw(browser, script, [mermaid(flow) for flow in flows])
    for flow, diagram in zip(flows, drawn, strict=True):
        assert diagram["faults"] == 0
        words = words_of(diagram)
        for i, step in enumerate(flow.steps):
            # Lines are broken where there is room, inside of words, too.
            said = "".join("".join(words[f"s{i}"]).split())
            assert said == "".join(f"{step.id}{step.description}".split())


def test_any_text(browser: Browser, mermaid_script: Path) -> None:
    """What would be syntax is drawn as it was written."""
    check(browser, mermaid_script, [described(AWKWARD)])


@pytest.mark.parametrize("seed", [1, 2])
def test_random_texts(browser: Browser, mermaid_script: Path, seed: int) -> None:
    """Whatever it is, the diagram can be drawn, and says it."""
    chance = random.Random(seed)
    # Rather of what may be syntax. Nothing that takes no room, and spaces are one space.
    signs = [
        chr(code) for code in range(33, 0x3000) if unicodedata.category(chr(code))[0] in "LNPS"
    ]
    weights = [50 if ord(sign) < 127 else 1 for sign in signs]
    flows = [
        described(
            ["".join(chance.choices(signs, weights, k=chance.randint(1, 40))) for _ in "12345"]
        )
        for _ in range(30)
    ]
    check(browser, mermaid_script, flows)


def test_a_long_flow(browser: Browser, mermaid_script: Path) -> None:
    """A flow of a hundred steps with long descriptions is within what Mermaid takes."""
    flow = Flow("long")
    for i in range(100):
        flow.step("words and more words " * 100, id="x" * 100 + str(i))(never)
    (drawn,) = draw(browser, mermaid_script, [mermaid(flow)])
    assert drawn["faults"] == 0
    assert drawn["arrows"] == 101
    nodes = cast("list[dict[str, float]]", drawn["nodes"])
    assert max(node["width"] for node in nodes) < 700


def test_mermaid_draws_the_frames(browser: Browser, mermaid_script: Path) -> None:
    """The real one, without a fault, and with every step."""
    (drawn,) = draw(browser, mermaid_script, [mermaid(household())])
    assert drawn["faults"] == 0
    words = words_of(drawn)
    assert words["s2"][0] == "home.address.street"
    assert len(words) == 9
