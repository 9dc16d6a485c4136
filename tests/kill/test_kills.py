"""Processes are killed while they drive a run, and others go on with it: nothing gets lost.

By default some sixty of them in each database; with REFLOW_KILLS=full in the environment over three
hundred in each database on every event loop, many of them at random moments.
"""

from __future__ import annotations

import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from itertools import count, cycle, islice, product
from random import Random
from typing import TYPE_CHECKING, Final, cast, final

import psycopg
import pytest
from kill_child import AFTER, BEFORE, EVENT, Order
from kill_driver import Fate, Nursery, Run, nursery
from psycopg import sql

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence
    from pathlib import Path

    from postgres_server import Server

FULL: Final = os.environ.get("REFLOW_KILLS") == "full"
# So many processes die at the same time.
PARALLEL: Final = 2
# After so many deaths a run is left in peace: else chance alone may keep it from its end.
MOST: Final = 40
# So many are killed at random moments, in each place.
RANDOM: Final = 160

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")


@final
class Place:
    """A database and an event loop.

    Attributes:
        unkilled: what a run is like that nothing happens to, without `on_completed` and with it.
        kills: how many processes were killed here.
    """

    def __init__(self, nurseries: Sequence[Nursery], urls: Sequence[str], backend: str) -> None:
        """Take where the processes come from, and a database for each of them."""
        self._nurseries: Final = nurseries
        self._urls: Final = urls
        self._backend: Final = backend
        self._keys: Final = count()
        self.kills = 0
        self.unkilled: Final = [self._end(0, [], callback=called) for called in (False, True)]

    def drive(self, runs: Iterable[Iterable[Fate]], *, callback: bool = False) -> None:
        """Drive runs to their ends, some at the same time, and check each of them.

        Args:
            runs: how the processes of each run die; the one after them may live.
            callback: whether the runs have an `on_completed`.
        """
        everything = list(runs)

        def share(i: int) -> list[Run]:
            return [self._end(i, fates, callback=callback) for fates in everything[i::PARALLEL]]

        with ThreadPoolExecutor(PARALLEL) as threads:
            for run in (run for runs in threads.map(share, range(PARALLEL)) for run in runs):
                assert run.results == self.unkilled[callback].results
                self.kills += run.kills

    def _end(self, i: int, fates: Iterable[Fate], *, callback: bool) -> Run:
        key = f"{self._backend}-{next(self._keys)}"
        run = Run(self._nurseries[i], Order(self._urls[i], key, self._backend, callback=callback))
        for fate in fates:
            if run.results is None:
                run.live(fate)
        while run.results is None:
            # If its server was late to store what somebody sent who is dead, it takes another.
            assert run.live(Fate()).lines[-1][0] in {"conflict", "results"}
        run.check()
        return run


@pytest.fixture(scope="module")
def nurseries() -> Generator[list[Nursery]]:
    """Start what the processes are forked from."""
    with ExitStack() as stack:
        yield [stack.enter_context(nursery()) for _ in range(PARALLEL)]


@pytest.fixture
def place(
    request: pytest.FixtureRequest, nurseries: list[Nursery], tmp_path: Path
) -> Generator[Place]:
    """Give the place that the test is to run in; print how many were killed there."""
    database, backend = cast("tuple[str, str]", request.param)
    if database == "sqlite":
        # One for each, so that a process finds the file as the killed one left it.
        urls = [f"sqlite:///{tmp_path}/{i}.db" for i in range(PARALLEL)]
    else:
        server = cast("Server", request.getfixturevalue("postgres"))
        # Not in a database where other tests are.
        name = re.sub(r"\W+", "_", request.node.name)
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        urls = [server.url_of(name)] * PARALLEL
    place = Place(nurseries, urls, backend)
    yield place
    print(place.kills, "killed")  # noqa: T201 - shown by `pytest -rP`


def at(*places: tuple[str, str]) -> pytest.MarkDecorator:
    """Run a test in these places; in all there are where there is time for that."""
    everywhere = product(["sqlite", "postgres"], ["asyncio", "uvloop", "trio"])
    chosen = list(everywhere) if FULL else places
    return pytest.mark.parametrize("place", chosen, ids="-".join, indirect=True)


@at(("sqlite", "asyncio"))
def test_at_every_event(place: Place) -> None:
    """Also between what happened and the moment when that is stored."""
    events = len(place.unkilled[False].told)
    place.drive([Fate(EVENT, number)] for number in range(1, events + 1))
    assert place.kills == events > 60


@at(("postgres", "trio"))
def test_at_every_write(place: Place) -> None:
    """Right after it, and right before it."""
    # Without much time: after it, as right before it is at an event, too.
    for death, callback in product([AFTER, BEFORE], [False, True]) if FULL else [(AFTER, False)]:
        kills, writes = place.kills, place.unkilled[callback].writes
        place.drive(([Fate(death, n)] for n in range(1, writes + 1)), callback=callback)
        assert place.kills - kills == writes > 20


@at(("sqlite", "uvloop"), ("postgres", "asyncio"))
def test_again_and_again(place: Place) -> None:
    """Every process of a run dies: none has the time for more than three writes."""
    # The first write only opens the run again, and the second one may do no more than say that the
    # card was given, which nobody keeps.
    deaths = islice(cycle([AFTER, BEFORE]), MOST)
    fates = [Fate(death, 2 + i % 3) for i, death in enumerate(deaths)]
    for callback in (False, True):
        kills = place.kills
        place.drive([fates], callback=callback)
        assert place.kills - kills > 10


@pytest.mark.skipif(not FULL, reason="takes its time: REFLOW_KILLS=full")
@at(("sqlite", "trio"))
def test_at_any_moment(place: Place) -> None:
    """From outside, so that it hits whatever there is: a start, a step, a transaction."""
    (life,) = place.unkilled[False].lives
    random = Random(0)

    def fate() -> Fate:
        if random.random() < 0.5:
            return Fate(after_bytes=random.randrange(1, life.size))
        return Fate(after_seconds=random.uniform(0, life.seconds))

    while place.kills < RANDOM:
        place.drive([[fate() for _ in range(MOST)] for _ in range(2 * PARALLEL)])
