"""Flows for `check_flow`: a good one, and those with faults that their authors can make."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Never, TypeAlias, final

import anyio
from anyio.lowlevel import checkpoint
from typing_extensions import override

from reflow import AnyStep, Flow, Visit

if TYPE_CHECKING:
    from collections.abc import Callable

    from reflow.testing import Request

Case: TypeAlias = "tuple[Callable[[], Flow[None]], str, str]"


REQUESTS: tuple[Request, ...] = (
    "go_back",
    "jump_ahead",
    "retake",
    "answer",
    "skip",
    "stop",
    "cancel",
)
"""Everything that may be asked of a run."""


async def one(visit: Visit) -> int:
    """Answer the same each time."""
    return 1


async def number(visit: Visit) -> int:
    """Answer another one each time."""
    await checkpoint()
    return visit.number


def good() -> tuple[Flow[None], list[AnyStep]]:
    """Make a flow of every kind of step."""
    flow = Flow("f")
    a = flow.step("a", id="a", sensitive=True)(number)
    b = flow.step("b", id="b", depends_on=[a], optional=True, validate=valid)(number)
    c = flow.step("c", id="c", when=lambda r: r.get(b, 0) % 2 == 0)(number)
    d = flow.step("d", id="d", always_ask=True, revisitable=False)(number)
    e = flow.step("e", id="e", point_of_no_return=True)(number)
    return flow, [a, b, c, d, e]


def valid(value: int) -> int:
    """Take what isn't negative."""
    if value < 0:
        raise ValueError(value)
    return value


def impure() -> Flow[None]:
    """Make a flow with a condition that depends on more than it reads."""
    flow, counter = Flow("f"), itertools.count()
    a = flow.step("a", id="a")(number)
    flow.step("b", id="b", when=lambda r: (r[a], next(counter) % 2 > 0)[1])(one)
    return flow


def impure_alone() -> Flow[None]:
    """Make a flow with a condition that reads nothing, and wants to be asked each time."""
    flow, counter = Flow("f"), itertools.count()
    flow.step("a", id="a", when=lambda r: next(counter) % 2 == 0)(one)
    return flow


def unnamed_input() -> Flow[None]:
    """Make a flow with a step that reads a stale answer, which it doesn't depend on."""
    flow = Flow("f")
    age = flow.step("age", id="age")(number)
    rate = flow.step("rate", id="rate", depends_on=[age])(number)

    async def offer(visit: Visit) -> int:
        await checkpoint()
        return visit[rate]

    flow.step("offer", id="offer")(offer)
    flow.step("confirmation", id="confirmed", always_ask=True)(number)
    return flow


def unguarded_option() -> Flow[None]:
    """Make a flow with a step that reads an optional one."""
    flow = Flow("f")
    phone = flow.step("phone", id="phone", optional=True)(one)

    async def call(visit: Visit) -> int:
        return visit[phone]

    flow.step("call", id="call", sensitive=True)(call)
    return flow


def raising_condition() -> Flow[None]:
    """Make a flow with a condition that raises."""
    flow = Flow("f")
    a = flow.step("a", id="a")(number)
    flow.step("b", id="b", when=lambda r: 1 // (2 - r[a]) > 0)(one)
    return flow


@final
class Never_:  # noqa: N801 - as `typing.Never` is taken
    """Can't be compared with anything, not even itself."""

    @override
    def __eq__(self, other: object) -> bool:
        raise ValueError

    __hash__ = None  # type: ignore[assignment]  # nothing could find it


@final
class Lopsided:
    """Is equal to what is greater."""

    def __init__(self, size: int) -> None:
        """Set its size."""
        self.size = size

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, Lopsided) and self.size <= other.size

    __hash__ = None  # type: ignore[assignment]  # as above


def never_equal() -> Flow[None]:
    """Make a flow with an answer that isn't equal to itself."""
    flow = Flow("f")

    async def act(visit: Visit) -> Never_:
        return Never_()

    flow.step("a", id="a")(act)
    return flow


def not_a_number() -> Flow[None]:
    """Make a flow with an answer that isn't equal to itself, and can be stored."""
    flow = Flow("f")

    async def act(visit: Visit) -> float:
        return math.nan

    flow.step("a", id="a")(act)
    flow.step("b", id="b")(one)
    return flow


def lopsided() -> Flow[None]:
    """Make a flow with an answer whose `==` depends on the side."""
    flow = Flow("f")

    async def act(visit: Visit) -> Lopsided:
        return Lopsided(visit.number)

    flow.step("a", id="a")(act)
    flow.step("b", id="b")(one)
    return flow


def shared() -> Flow[None]:
    """Make a flow with an answer that another step changes."""
    flow = Flow("f")

    async def act(visit: Visit) -> list[int]:
        return [1]

    a = flow.step("a", id="a")(act)

    async def change(visit: Visit) -> int:
        visit[a].append(2)
        return 1

    flow.step("b", id="b")(change)
    return flow


def waiting() -> Flow[None]:
    """Make a flow with a step that nobody answers."""
    flow = Flow("f")

    async def act(visit: Visit) -> Never:
        while True:
            await anyio.sleep_forever()

    flow.step("a", id="a")(act)
    return flow


def circling() -> Flow[None]:
    """Make a flow with a step that always goes back."""
    flow = Flow("f")
    a = flow.step("a", id="a")(one)

    async def act(visit: Visit) -> int:
        await visit.go_back(a)

    flow.step("b", id="b")(act)
    return flow


def shielded() -> Flow[None]:
    """Make a flow with a step that can't be interrupted while it waits, for ever after that."""
    flow, interrupted = Flow("f"), anyio.CancelScope

    async def act(visit: Visit) -> int:
        try:
            await anyio.sleep(60)
        except anyio.get_cancelled_exc_class():
            with interrupted(shield=True):
                await anyio.sleep_forever()
            raise
        return 1

    flow.step("a", id="a")(act)
    return flow


def swallowing() -> Flow[None]:
    """Make a flow with a step that tries again whatever happens."""
    flow = Flow("f")

    async def act(visit: Visit) -> int:
        while True:
            try:
                await anyio.sleep(60)
            except BaseException:  # noqa: BLE001 - the fault
                continue
            return 1

    flow.step("a", id="a")(act)
    return flow


FAULTS: dict[str, Case] = {
    "impure": (impure, "purity", r"said (True and False|False and True) of .*\('a',\)\n"),
    "impure alone": (impure_alone, "purity", r"\(\); it reads no other step"),
    "unnamed input": (unnamed_input, "failures", "StepFailed.step='offer'.*visit.get"),
    "unguarded option": (unguarded_option, "failures", "StepNotDoneError, sensitive>.*depends_on"),
    "raising condition": (raising_condition, "failures", "ZeroDivisionError.*in_condition=True"),
    "never equal": (never_equal, "equality", "the answer of 'a' isn't equal to itself"),
    "lopsided": (lopsided, "equality", "depending on the side"),
    "shared": (shared, "mutation", "the answer of 'a' was changed in place"),
    "waiting": (waiting, "ending", "step 'a' waits, and nobody answers: give answers="),
    "circling": (circling, "ending", "it asks in circles"),
    "shielded": (shielded, "interruption", "'a' was interrupted, but doesn't leave"),
    "swallowing": (swallowing, "interruption", "a step goes round in circles"),
}
"""By name: the flow, the rule that it breaks, and what the error says."""
