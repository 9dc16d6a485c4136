"""The router: which steps a text asks to go back to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import accumulate, pairwise, takewhile
from typing import Final, TypeVar, cast, final

import numpy as np

from reflow import AnyStep, Flow, FlowError

from ._model import Model
from ._phrases import BACK, NOBODY, STAY, Phrases, overlap, parts, plain, words

D = TypeVar("D")

# How much a common word adds to a similarity, which is 1 at most.
WORD: Final = 0.2
# The wish to go back is a number around 1 for those who have it, around -1 for those who haven't,
# made a share between 0 and 1 by a logistic curve: its middle, and how steep it is.
MIDDLE: Final = -0.2
STEEPNESS: Final = 4.0
# How much it counts against the wish that a text is closer to a quiet phrase than to a loud one.
CALM: Final = 8.0
# Against fitting the wish to single phrases.
RIDGE: Final = 0.01
# Characters; what is behind them isn't read. More than a minute of talking.
LONGEST: Final = 2000


@final
class Router:
    """Tells from what somebody says which steps they want to go back to.

    Loads the model at the first use in a process (some 20 ms), then reads phrases for every step
    with it (0.2 to 0.3 s per step), so make one router per flow, and keep it. It may be used by
    several threads, and keeps nothing of what people say, nor logs it.

    Args:
        flow: the flow; steps that are added to it later aren't known to the router.
        examples: for some steps, what people say when they want to go back to them, where the
            description doesn't tell: `{guests: ["my brother is coming, too"]}`.
        threshold: how sure it must be, above 0 and at most 1. The default is chosen for few false
            alarms, as taking an ordinary answer for a wish costs a caller more than a wish that
            has to be repeated.

    Raises:
        FlowError: if the flow has no steps, if the examples are for something that isn't a step of
            it or aren't texts, or if the threshold is out of range: everything that is wrong.
        TypeError: if the flow isn't one, the examples aren't a mapping, or the threshold isn't a
            number.
    """

    __slots__ = (
        "_flow",
        "_loud",
        "_model",
        "_named",
        "_quiet",
        "_stay",
        "_steps",
        "_threshold",
        "_topics",
        "_wish",
    )

    def __init__(
        self,
        flow: Flow[D],
        *,
        examples: Mapping[AnyStep, Sequence[str]] | None = None,
        threshold: float = 0.5,
    ) -> None:
        if not isinstance(cast("object", flow), Flow):
            message = f"Router() needs a flow, not {flow!r}"
            raise TypeError(message)
        if not isinstance(cast("object", examples), Mapping | None):
            message = f"examples= must be a mapping of steps to lists of texts, not {examples!r}"
            raise TypeError(message)
        if isinstance(threshold, bool) or not isinstance(cast("object", threshold), int | float):
            message = f"threshold= must be a number, not {threshold!r}"
            raise TypeError(message)
        steps = flow.steps
        given = examples or {}
        faults = [] if steps else ["it has no steps to go back to"]
        for step, texts in given.items():
            faults.extend(_faults(steps, step, texts))
        if not 0 < threshold <= 1:
            faults.append(f"threshold= must be above 0 and at most 1, not {threshold!r}")
        if faults:
            place = f"router for flow {flow.name!r}: "
            many = "several faults:\n  - " if len(faults) > 1 else ""
            raise FlowError(place + many + "\n  - ".join(faults))

        self._flow: Final = flow.name
        self._steps: Final = steps
        self._threshold: Final = threshold
        self._model: Final = _model()
        phrases = [Phrases(step, given.get(step, ())) for step in steps]
        self._topics: Final = [phrase.words for phrase in phrases]
        groups: list[Sequence[str]] = [BACK, STAY, NOBODY]
        for phrase in phrases:
            groups += [phrase.back, phrase.stay, phrase.named, phrase.loud, phrase.quiet]
        # All at once, as that is quicker.
        embedded = self._model.embed([text for group in groups for text in group])
        ends = [*accumulate(map(len, groups), initial=0)]
        back, stay, nobody, *own = (embedded[start:end] for start, end in pairwise(ends))
        named = [np.vstack(both) for both in zip(own[::5], own[2::5], strict=True)]
        # The last is for what names no step, such as "sorry".
        self._named: Final = [*named, np.vstack([stay, nobody])]
        self._stay: Final = own[1::5]
        self._loud: Final = [np.vstack(both) for both in zip(named, own[3::5], strict=True)]
        self._quiet: Final = own[4::5]
        self._wish: Final = _Wish(np.vstack([back, *own[::5]]), np.vstack([stay, *own[1::5]]))

    def route(self, text: str, *, active: AnyStep | None = None) -> tuple[AnyStep, ...]:
        """Give the steps that somebody wants to go back to.

        It computes for some 15 ms, longer for longer texts, and doesn't await anything: where other
        tasks can't wait that long, call it with `anyio.to_thread.run_sync`.
        Whether the steps may be gone back to is for `run.go_back` to say, with the reason.

        Args:
            text: what somebody said or typed, in English; of a long text the first 2000 characters.
            active: the step that is being asked, `run.active`: what is said of it is taken for its
                answer, so it is never among the steps. Without it there are more false alarms.

        Returns:
            The steps in the order in which the text names them; none if it is an ordinary answer, a
            question, or unclear.

        Raises:
            FlowError: if the active step isn't one of this flow.
        """
        return tuple(
            step
            for step, score in self.scores(text, active=active).items()
            if score >= self._threshold
        )

    def scores(self, text: str, *, active: AnyStep | None = None) -> dict[AnyStep, float]:
        """Give how sure it is of each step: for those who choose a threshold.

        Args:
            text: as for `route`.
            active: as for `route`.

        Returns:
            The steps that the text may name, in its order, each with a number from 0 to 1; `route`
            gives those that reach the threshold.

        Raises:
            FlowError: if the active step isn't one of this flow.
        """
        if active is not None and active not in self._steps:
            message = f"router for flow {self._flow!r}: active= is {active!r}, not a step of it"
            raise FlowError(message)
        text = plain(text[:LONGEST])
        if not text:
            return {}
        found: dict[AnyStep, float] = {}
        said = [text, *parts(text)]
        vectors = self._model.embed(said)
        of_all, *wishes = self._wish(vectors)
        for number, (part, wish) in enumerate(zip(said[1:], wishes, strict=True), 1):
            vector = vectors[number]
            close = [float((phrases @ vector).max()) for phrases in self._named]
            shares = [*overlap(part, self._topics), 0.0]
            named = [near + WORD * share for near, share in zip(close, shares, strict=True)]
            best = self._meant(named.index(max(named)), part, active)
            if best == len(self._steps) or self._steps[best] is active:
                continue
            # "My name and my e-mail are wrong": a part may have the wish from the whole, unless
            # it says itself that all is well.
            stays = float((self._stay[best] @ vector).max()) > close[best]
            wished = wish - self._calm(best, vector)
            if not stays:
                wished = max(wished, of_all - self._calm(best, vectors[0]))
            sure = 1 / (1 + math.exp(-STEEPNESS * (wished - MIDDLE)))
            step = self._steps[best]
            found[step] = max(found.get(step, 0.0), min(1.0, max(named)) * sure)
        return found

    def _meant(self, best: int, part: str, active: AnyStep | None) -> int:
        """Give the number of the step that is meant, or of what names no step.

        A flow that is included twice has each description twice, as different only as the ids. If
        no word tells which one is meant, it is the step that is asked, or the closest one to it.
        """
        if active is None or best == len(self._steps):
            return best
        description = self._steps[best].description
        twins = [n for n, step in enumerate(self._steps) if step.description == description]
        shared = frozenset[str].intersection(*(self._topics[twin] for twin in twins))
        telling = words(part) - shared

        def closeness(twin: int) -> tuple[int, bool, int, bool]:
            step = self._steps[twin]
            told = len(telling & self._topics[twin])
            return (told, step is active, _common(step.id, active.id), twin == best)

        return max(twins, key=closeness)

    def _calm(self, number: int, vector: np.ndarray) -> float:
        """Say how much less of a wish it is, as it is closer to what is said to stay."""
        loud = float((self._loud[number] @ vector).max())
        quiet = float((self._quiet[number] @ vector).max())
        return CALM * max(0.0, quiet - loud)


@cache
def _model() -> Model:
    """Give the model, which all routers of a process share."""
    return Model()


@final
class _Wish:
    """Says how much a text is about going back, by a plane that divides two sets of vectors.

    Fitted by least squares, so that it gives 1 for the ones and -1 for the others: on phrases
    about all steps, so what they are about doesn't count.

    Args:
        back: of phrases of those who want to go back.
        stay: of phrases of those who don't.
    """

    def __init__(self, back: np.ndarray, stay: np.ndarray) -> None:
        # Both sets count the same, however many phrases they have.
        weights = np.array([1 / len(back)] * len(back) + [1 / len(stay)] * len(stay))
        aims = np.array([1.0] * len(back) + [-1.0] * len(stay))
        phrases = np.vstack([back, stay]).astype(np.float64)
        self._middle: Final = weights @ phrases / 2
        phrases = phrases - self._middle
        weighted = phrases.T * weights
        self._normal: Final = np.linalg.solve(
            weighted @ phrases + RIDGE * np.eye(phrases.shape[1]), weighted @ aims
        )

    def __call__(self, vectors: np.ndarray) -> list[float]:
        return ((vectors - self._middle) @ self._normal).tolist()


def _common(one: str, other: str) -> int:
    """Say how many parts of two ids, from the left, are the same: they are divided by dots."""
    same = (a == b for a, b in zip(one.split("."), other.split("."), strict=False))
    return sum(1 for _ in takewhile(bool, same))


def _faults(steps: Sequence[AnyStep], step: object, texts: object) -> list[str]:
    """Say what is wrong with the examples for a step."""
    if step not in steps:
        return [f"examples= are for {step!r}, which is not a step of this flow"]
    if isinstance(texts, str) or not isinstance(texts, Sequence):
        return [f"examples= for {step!r} must be a list of texts, not {texts!r}"]
    if not texts:
        return [f"examples= for {step!r} are empty: leave the step out"]
    return [
        f"examples= for {step!r} must be texts that say something, not {text!r}"
        for text in cast("Sequence[object]", texts)
        if not (isinstance(text, str) and text.strip())
    ]
