"""What a stored run must know of its flow's declaration, and how two of them differ."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Never, TypeAlias, cast, final

import attrs

from ._plan import Plan
from ._step import AnyStep, Step, StepOptions, make_step, options_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Stored: TypeAlias = "dict[str, object]"

# What a step was declared with that the order of a run goes by, as it is called in a row.
_FLAGS: Final = {
    "conditional": "when=",
    "always_ask": "always_ask=True",
    "point_of_no_return": "point_of_no_return=True",
    "not_revisitable": "revisitable=False",
    "optional": "optional=True",
    "sensitive": "sensitive=True",
}


@final
@attrs.frozen
class StepPrint:
    """What a stored run must know of one step."""

    id: str
    type: str
    """The canonical text of its type; empty for a sensitive step, which stores no answers."""
    depends_on: tuple[str, ...] = ()
    flags: frozenset[str] = frozenset()
    inside: int = 0
    """How many steps, right before it, are inside it: of a step that is an included flow."""


@final
@attrs.frozen
class Fingerprint:
    """What a stored run must know of its flow: rows only mean something together with it.

    Beside the ids, their order and their types that is what the order of a run goes by: of a
    condition only that there is one, since what it returned is in the rows.
    """

    flow: str
    steps: tuple[StepPrint, ...]

    def stored(self) -> list[Stored]:
        """Give the steps as they stand in a row; what is usual is left out."""
        stored: list[Stored] = []
        for step in self.steps:
            data: Stored = {"id": step.id, "type": step.type}
            if step.depends_on:
                data["depends_on"] = list(step.depends_on)
            if step.inside:
                data["inside"] = step.inside
            stored.append(data | dict.fromkeys(filter(step.flags.__contains__, _FLAGS), True))
        return stored

    def plan(self) -> Plan:
        """Make the tables of the flow as it was declared then; its steps can't be run."""
        steps: dict[str, AnyStep] = {}
        for step in self.steps:
            flags = step.flags
            options = StepOptions(
                flow=self.flow,
                id=step.id,
                description="",
                function=_gone,
                depends_on=tuple(steps[needed] for needed in step.depends_on),
                conditions=((0, _gone),) if "conditional" in flags else (),
                always_ask="always_ask" in flags,
                point_of_no_return="point_of_no_return" in flags,
                revisitable="not_revisitable" not in flags,
                optional="optional" in flags,
                sensitive="sensitive" in flags,
                inside=step.inside,
            )
            made: Step[object] = make_step(options, Step)
            steps[step.id] = made
        return Plan(self.flow, tuple(steps.values()))

    def differences(self, now: Fingerprint) -> list[str]:
        """Say, a sentence each, what has changed from this declaration to another."""
        if self == now:
            return []
        before_by_id = {step.id: step for step in self.steps}
        now_by_id = {step.id: step for step in now.steps}
        found = [] if self.flow == now.flow else [f"the flow was {self.flow!r}, it is {now.flow!r}"]
        found += [f"step {name!r} is gone" for name in before_by_id if name not in now_by_id]
        found += [f"step {name!r} is new" for name in now_by_id if name not in before_by_id]
        order_before = [name for name in before_by_id if name in now_by_id]
        order_now = [name for name in now_by_id if name in before_by_id]
        if order_before != order_now:
            found.append(f"the order was {', '.join(order_before)}, it is {', '.join(order_now)}")
        for name in order_now:
            found += _step_differences(before_by_id[name], now_by_id[name])
        return found


def _step_differences(before: StepPrint, now: StepPrint) -> list[str]:
    place = f"step {now.id!r}"
    found: list[str] = []
    if before.type and now.type and before.type != now.type:
        found.append(f"{place} was of type {before.type}, it is of type {now.type}")
    if before.depends_on != now.depends_on:
        texts = [", ".join(names) or "nothing" for names in (before.depends_on, now.depends_on)]
        found.append(f"{place} depended on {texts[0]}, it depends on {texts[1]}")
    if before.inside != now.inside:
        found.append(f"{place} included {before.inside} steps, it includes {now.inside}")
    for flag, option in _FLAGS.items():
        if flag in before.flags - now.flags:
            found.append(f"{place} was declared with {option}, it isn't any more")
        elif flag in now.flags - before.flags:
            found.append(f"{place} wasn't declared with {option}, it is now")
    return found


def fingerprint_of(plan: Plan, types: Mapping[str, str]) -> Fingerprint:
    """Take the fingerprint of a plan, given the texts of its steps' types."""

    def flags(step: AnyStep) -> Iterable[str]:
        options = options_of(step)
        told = {
            "conditional": step.conditional,
            "always_ask": options.always_ask,
            "point_of_no_return": options.point_of_no_return,
            "not_revisitable": not options.revisitable,
            "optional": options.optional,
            "sensitive": options.sensitive,
        }
        return (flag for flag, set_ in told.items() if set_)

    return Fingerprint(
        plan.flow,
        tuple(
            StepPrint(
                step.id,
                types.get(step.id, ""),
                tuple(plan.names[i] for i in plan.inputs[plan.positions[step]]),
                frozenset(flags(step)),
                options_of(step).inside,
            )
            for step in plan.steps
        ),
    )


def read_fingerprint(flow: str, stored: object) -> Fingerprint:
    """Read what `stored` gave.

    Raises:
        ValueError: if that is not what stands there.
    """
    steps: dict[str, StepPrint] = {}
    for item in _listed(stored):
        data = cast("Stored", item) if isinstance(item, dict) else {}
        name, type_, needed = data.get("id"), data.get("type"), data.get("depends_on", [])
        inside = data.get("inside", 0)
        flags = data.keys() - {"id", "type", "depends_on", "inside"}
        needs = [other for other in _listed(needed) if isinstance(other, str) and other in steps]
        if (
            not (isinstance(name, str) and isinstance(type_, str))
            or name in steps
            or not isinstance(inside, int)
            or not 0 <= inside <= len(steps)
            or len(needs) != len(_listed(needed))
            or not flags <= _FLAGS.keys()
            or any(data[flag] is not True for flag in flags)
        ):
            message = f"its list of steps is damaged at number {len(steps)}"
            raise ValueError(message)
        steps[name] = StepPrint(name, type_, tuple(needs), frozenset(flags), inside)
    return Fingerprint(flow, tuple(steps.values()))


def _listed(stored: object) -> list[object]:
    if not isinstance(stored, list):
        message = "its list of steps is damaged"
        raise ValueError(message)  # noqa: TRY004 - like every other damage of a row
    return cast("list[object]", stored)


def _gone(_: Never) -> Never:
    """Stand in for the functions of a declaration that is no more."""
    raise AssertionError  # pragma: no cover - never called: it makes the tables complete
