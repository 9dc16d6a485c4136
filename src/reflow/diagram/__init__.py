"""Diagrams of flows and runs, as text for Mermaid (https://mermaid.js.org)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar, assert_never

from reflow import Done, Failed, Flow, IncludedStep, Pending, Run, RunState, Skipped, StepState

from ._way import Way

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from reflow import AnyStep, Event, Outcome

__all__ = ["mermaid", "state_of"]

D = TypeVar("D")

# How much of a text fits on a node; Mermaid wraps it.
_ID_LIMIT: Final = 60
_DESCRIPTION_LIMIT: Final = 160
# How many visits of a step are named.
_VISITS_SHOWN: Final = 4
# What stands for itself inside of a quoted label. Everything else is written as its number.
_PLAIN: Final = frozenset(" .,-_()/?!'…")
# What begins something although it is written as a number, because Mermaid reads that too early:
# formulas ($$), the ends of lines (\n), icons (fa:), and what it makes of numbers itself.
_SPLIT: Final = frozenset("$\\:\ufb02¶")

# How a step in this state is drawn, and called. The colours differ for the colour-blind, too
# (Okabe and Ito, https://jfly.uni-koeln.de/color/), and the words say the same.
_STATES: Final = {
    StepState.PENDING: ("fill:#ffffff,stroke:#767676,color:#1b1f24", "to come"),
    StepState.ACTIVE: ("fill:#bfe0f7,stroke:#0072b2,stroke-width:3px,color:#1b1f24", "asked now"),
    StepState.DONE: ("fill:#d3f0e3,stroke:#009e73,color:#1b1f24", "done"),
    StepState.FAILED: ("fill:#fbd7c5,stroke:#d55e00,stroke-width:2px,color:#1b1f24", "failed"),
    StepState.SKIPPED: ("fill:#ececec,stroke:#a0a0a0,color:#57606a", "skipped"),
    StepState.STALE: ("fill:#fdeebf,stroke:#b77f00,color:#1b1f24", "stale, asked again"),
    StepState.IN_DOUBT: ("fill:#f7e1ef,stroke:#b5588f,color:#1b1f24", "condition to be evaluated"),
}
_OPTIONAL: Final = "stroke-dasharray:6 4"
_FINAL: Final = "stroke-width:5px"
_WENT_BACK: Final = "stroke:#b5588f,stroke-width:2px"


def mermaid(flow: Flow[D] | Run, *, events: Iterable[Event] = ()) -> str:
    """Draw a flow, or a run of it, as a flowchart for Mermaid.

    Solid arrows are the order of the steps; dotted ones lead from a step to those that run again
    when its answer changes. A hexagon is a step with a condition, a double border one that is
    asked again after any change, a dashed border one that may be skipped, a thick border and arrow
    a point of no return. The steps of an included flow stand in a frame, before the step that
    builds their answer. Of a run each step has its state, by colour and in words, and what was
    asked for by going back has its place in the order.

    A run keeps no history. What an observer was told of it, given as `events`, shows the way so
    far: the visits, numbered in order; the arrows of those who went back; and what the conditions
    have read.

    No answer is ever in it. Mermaid draws up to 500 arrows and 50,000 characters, unless its
    `maxEdges` and `maxTextSize` say otherwise.

    Args:
        flow: the flow, or the run, which may be at any point.
        events: what happened in the run, in order; steps of other flows in it are ignored.

    Returns:
        The text of the diagram, which ends in a newline.
    """
    steps = flow.steps
    names = {step.id: f"s{i}" for i, step in enumerate(steps)}
    way = Way(events, names)
    run = flow if isinstance(flow, Run) else None
    lines = ["flowchart TD", f'start(["<div>{_text(_beginning(flow), _ID_LIMIT)}</div>"])']
    frames = _frames(steps)
    for step in steps:
        for included, title in frames.get(step, ()):
            lines.append(f'subgraph {names[included.id]}_in ["{title}"]')
        if _inside(step):
            lines.append("end")
        lines.append(_node(step, names[step.id], run, way))
    lines.append('finish(["end"])')
    arrows = [*_order(steps, names), *_inputs(steps, names, way)]
    backs = [
        f'{names[old]} -- "went back{f", {count} times" if count > 1 else ""}" --> {names[new]}'
        for (old, new), count in way.backs.items()
    ]
    lines += [*arrows, *backs, *_classes(steps, names, run)]
    if backs:
        numbers = ",".join(map(str, range(len(arrows), len(arrows) + len(backs))))
        lines.append(f"linkStyle {numbers} {_WENT_BACK}")
    return "\n    ".join(lines) + "\n"


def state_of(run: Run, step: AnyStep) -> StepState:
    """Say where a step of the run stands.

    Raises:
        FlowError: if the step is not one of the run's.
    """
    outcome: Outcome[object] = run.results.outcome(step)
    if step is run.active:
        return StepState.ACTIVE
    match outcome:
        case Done():
            return StepState.DONE
        case Failed():
            return StepState.FAILED
        case Skipped():
            return StepState.SKIPPED
        case Pending(state=state):
            return state
        case _:
            assert_never(outcome)


def _beginning(flow: Flow[D] | Run) -> str:
    if isinstance(flow, Run):
        return "start" if flow.state is RunState.PREPARED else flow.state.value
    return flow.name


def _node(step: AnyStep, name: str, run: Run | None, way: Way) -> str:
    """Draw a step: its id, what it is about, and what there is to know of it."""
    text = [f"<b>{_text(step.id, _ID_LIMIT)}</b>", _text(step.description, _DESCRIPTION_LIMIT)]
    remarks = [*_remarks(step)]
    if numbers := way.visits.get(step.id):
        shown = ["…"] * (len(numbers) > _VISITS_SHOWN) + [*map(str, numbers[-_VISITS_SHOWN:])]
        remarks.append(f"visited as no. {', '.join(shown)}")
    text += [f"<i>{remark}</i>" for remark in remarks]
    if run is not None:
        state = _STATES[state_of(run, step)][1]
        if step in run.detour:
            state += f", no. {run.detour.index(step) + 1} of the detour"
        text.append(f"<b>{state}</b>")
    left, right = "[", "]"
    if step.conditional:
        left, right = "{{", "}}"
    elif step.always_ask:
        left, right = "[[", "]]"
    # Some versions take text for Markdown, unless it is in a block of HTML.
    return f'{name}{left}"<div>{"<br/>".join(text)}</div>"{right}'


def _remarks(step: AnyStep) -> Iterator[str]:
    """Say in words what was declared."""
    if step.conditional:
        yield "if its condition holds"
    if step.optional:
        yield "may be skipped"
    if step.always_ask:
        yield "asked again after any change"
    if not step.revisitable:
        yield "nobody goes back to it"
    if step.sensitive:
        yield "sensitive"
    if step.model_may_answer:
        yield "the model may answer"
    if step.point_of_no_return:
        yield "point of no return"


def _order(steps: tuple[AnyStep, ...], names: dict[str, str]) -> Iterator[str]:
    """Draw the arrows from each step to the next; thick where nobody comes back over them."""
    before, arrow = "start", "-->"
    for step in steps:
        yield f"{before} {arrow} {names[step.id]}"
        before, arrow = names[step.id], "==>" if step.point_of_no_return else "-->"
    yield f"{before} {arrow} finish"


def _frames(steps: tuple[AnyStep, ...]) -> dict[AnyStep, list[tuple[AnyStep, str]]]:
    """Give the frames that begin before a step, the outermost first, with their titles."""
    frames: dict[AnyStep, list[tuple[AnyStep, str]]] = {}
    for step in reversed(steps):
        if inside := _inside(step):
            title = f"<div>{_text(step.id, _ID_LIMIT)}</div>"
            frames.setdefault(inside[0], []).append((step, title))
    return frames


def _inside(step: AnyStep) -> tuple[AnyStep, ...]:
    return step.steps if isinstance(step, IncludedStep) else ()


def _inputs(steps: tuple[AnyStep, ...], names: dict[str, str], way: Way) -> Iterator[str]:
    """Draw what each step, and each condition as far as it is known, goes by.

    Except for what a frame shows: what is built goes by all inside, and all inside by what the
    included step depends on.
    """
    shown: dict[AnyStep, frozenset[AnyStep]] = {}
    for step in reversed(steps):
        if inside := frozenset(_inside(step)):
            own = frozenset(step.depends_on) - inside
            shown[step] = shown.get(step, frozenset()) | inside
            shown |= dict.fromkeys(inside, own)
    for step in steps:
        for needed in step.depends_on:
            if needed not in shown.get(step, ()):
                yield f'{names[needed.id]} -. "if changed" .-> {names[step.id]}'
        for read in way.read.get(step.id, ()):
            yield f'{names[read]} -. "condition" .-> {names[step.id]}'


def _classes(steps: tuple[AnyStep, ...], names: dict[str, str], run: Run | None) -> Iterator[str]:
    """Give the colours of the states, and the borders; only those that are used."""
    groups: dict[str, tuple[str, list[str]]] = {}
    for step in steps:
        if run is not None:
            state = state_of(run, step)
            style = _STATES[state][0]
            groups.setdefault(f"is_{state.name.lower()}", (style, []))[1].append(names[step.id])
        if step.optional:
            groups.setdefault("optional", (_OPTIONAL, []))[1].append(names[step.id])
        if step.point_of_no_return:
            groups.setdefault("final", (_FINAL, []))[1].append(names[step.id])
    for name, (style, members) in groups.items():
        yield f"classDef {name} {style}"
        yield f"class {','.join(members)} {name}"


def _text(text: str, limit: int) -> str:
    """Give a text as it must stand in a label: on one line, not too long, nothing of it syntax."""
    words = " ".join(text.split())
    if len(words) > limit:
        words = f"{words[: limit - 1]}…"
    return "".join(map(_sign, words))


def _sign(sign: str) -> str:
    """Give a character as it must stand in a label.

    The numbers are Mermaid's entity codes: https://mermaid.js.org/syntax/flowchart.html
    """
    if (sign.isalnum() or sign in _PLAIN) and sign not in _SPLIT:
        return sign
    code = f"#{ord(sign) if sign.isprintable() else 0xFFFD};"
    return f"{code}<wbr>" if sign in _SPLIT else code
