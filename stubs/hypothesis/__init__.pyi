import enum
from collections.abc import Callable, Sequence
from typing import TypeVar, overload

from hypothesis.strategies import SearchStrategy

_A = TypeVar("_A")
_B = TypeVar("_B")
_TestT = TypeVar("_TestT", bound=Callable[[], None])

# Hypothesis itself takes any function and gives a `Callable[..., None]`.
@overload
def given(first: SearchStrategy[_A], /) -> Callable[[Callable[[_A], None]], Callable[[], None]]: ...
@overload
def given(
    first: SearchStrategy[_A], second: SearchStrategy[_B], /
) -> Callable[[Callable[[_A, _B], None]], Callable[[], None]]: ...
def event(value: str) -> None: ...

class HealthCheck(enum.Enum):
    too_slow = ...

class Phase(enum.Enum):
    generate = ...
    shrink = ...

class settings:
    def __init__(
        self,
        *,
        max_examples: int = ...,
        deadline: int | None = ...,
        database: None = ...,
        derandomize: bool = ...,
        phases: Sequence[Phase] = ...,
        suppress_health_check: Sequence[HealthCheck] = ...,
        report_multiple_bugs: bool = ...,
        print_blob: bool = ...,
    ) -> None: ...
    def __call__(self, test: _TestT) -> _TestT: ...
