"""When a worker of Celery's counts as deaf, and when it does not: a wrong word ends one that works."""

import os
import signal
from collections.abc import Callable
from math import inf
from typing import Any, cast

import pytest
from celery import Celery

from postlude.clock import ManualClock
from postlude.config import Config
from postlude.engines.celery import keeper
from postlude.engines.celery.board import Board
from postlude.engines.celery.brokers import Lying
from postlude.engines.celery.keeper import DEAF_AFTER, HANGS_AFTER, LIVE_WHILE, QUIET, Ending, Keeper
from postlude.model.event.broker import WorkerDeaf, WorkerHears
from postlude.model.ids import IdSource
from postlude.model.job import NewJob
from postlude.model.queues import only
from postlude.runner.parenthood import Parenthood
from postlude.stores.memory import MemoryStore
from postlude.stores.protocol import Kind, NewRunner

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]


class Site:
    """A worker's board, its broker, and its row in a journal."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, ending: Ending) -> None:
        self.seconds = 1000.0
        self.broker: dict[str, Lying] | Exception = {}
        self.killed: list[int] = []
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock)
        self.told: list[object] = []
        self.store.events.listen(self.told.append, WorkerDeaf)
        self.store.events.listen(self.told.append, WorkerHears)
        self.parent = Parenthood(self.store, Config(lease=1e6), self.clock, only({"q"}))
        self.board = Board()
        self.board.room, self.board.heard, self.board.beaten = 2, self.seconds, inf
        monkeypatch.setattr(keeper, "monotonic", lambda: self.seconds)
        monkeypatch.setattr(keeper, "look", self._look)
        monkeypatch.setattr(os, "kill", lambda pid, number: self.killed.append(number))
        self.keeper = Keeper(cast(Celery, None), ["q"], cast(Any, None), self.board, 0, ending)

    def _look(self, app: object, queues: object) -> dict[str, Lying]:
        if isinstance(self.broker, Exception):
            raise self.broker
        return self.broker

    async def begin(self) -> None:
        await self.parent.begin()
        now = self.clock.now()
        self.store.add([NewJob(IdSource().new(now), "t", "q", b'{"a":[],"k":{}}', now)]).result()
        self.store.publish("q", 9, patience=60).result()
        self.broker = {"q": Lying(1, 1)}

    async def listen(self, after: float = 0.0) -> float | None:
        """Let time pass and look; returns for how long the worker has been deaf."""
        self.seconds += after
        await self.keeper._listen(cast(Any, self.parent))
        return self.keeper.deaf

    async def row(self) -> float | None:
        self.clock.advance(1)
        number, hears = await self.parent.number(), self.parent._lease.hears
        self.store.renew(number, hears=hears).result()  # as its heartbeat does
        return next(one.deaf for one in self.store.living().result() if one.slots == 0)


Make = Callable[..., Site]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Make:
    return lambda ending=keeper.NEVER: Site(monkeypatch, ending)


async def test_what_the_broker_has_does_not_come(make: Make) -> None:
    site = make()
    await site.begin()
    assert await site.listen(QUIET) is None
    assert await site.listen(DEAF_AFTER - 1) is None
    assert await site.row() is None
    await site.listen(1)
    assert await site.listen() == DEAF_AFTER
    assert site.store.ready_ids("q", 9).result() != [], "to be published again"
    assert site.told == [WorkerDeaf(["q"], DEAF_AFTER, False)]
    assert await site.row() is not None
    assert site.keeper.live
    assert not site.keeper.ready
    site.broker = {}  # others have taken it, which says nothing of this worker
    assert await site.listen(LIVE_WHILE) == DEAF_AFTER + LIVE_WHILE
    assert not site.keeper.live
    site.board.heard = site.seconds
    assert await site.listen() is None
    assert await site.row() is None
    assert site.told[1:] == [WorkerHears(["q"])]
    assert site.killed == []


async def test_its_loop_hangs_with_messages_that_it_has_taken(make: Make) -> None:
    """What it has said of its room is not true any more."""
    site = make()
    await site.begin()
    site.board.held, site.board.beaten = site.board.room, site.seconds
    assert await site.listen(HANGS_AFTER) is None
    assert await site.listen(DEAF_AFTER) == DEAF_AFTER
    assert site.told == [WorkerDeaf(["q"], DEAF_AFTER, False)]


def busy(site: Site) -> None:
    site.board.held = site.board.room


def new(site: Site) -> None:
    site.board.room = 0


def empty(site: Site) -> None:
    site.broker = {"q": Lying(0, 1)}


def away(site: Site) -> None:
    site.broker = ConnectionRefusedError()


def heard(site: Site) -> None:
    site.board.heard = site.seconds


def nothing_out(site: Site) -> None:
    site.store.withdraw(only({"q"})).result()


@pytest.mark.parametrize("why", [busy, new, empty, away, heard, nothing_out])
async def test_there_is_nothing_to_hear(make: Make, why: Callable[[Site], None]) -> None:
    site = make(Ending(15.0, 5.0))
    await site.begin()
    await site.listen(QUIET)
    await site.listen(DEAF_AFTER - 1)
    why(site)
    assert await site.listen(0.5) is None
    await site.begin()  # from here on it should hear: all begins anew
    site.board.held, site.board.room = 0, 2
    assert await site.listen(QUIET) is None
    assert await site.listen(DEAF_AFTER - 1) is None
    assert site.told == []
    assert site.killed == []


async def test_it_ends_and_is_killed_if_it_does_not(make: Make) -> None:
    site = make(Ending(20.0, 5.0))
    await site.begin()
    await site.listen(QUIET)
    await site.listen(19.0)
    assert (site.killed, site.board.ended) == ([], False)
    await site.listen(1.0)
    assert (site.killed, site.board.ended) == ([signal.SIGTERM], True)
    assert site.told[-1] == WorkerDeaf(["q"], 20.0, True)
    await site.listen(5.0)
    assert site.killed == [signal.SIGTERM]
    await site.listen(1.0)
    assert site.killed == [signal.SIGTERM, signal.SIGKILL]


async def test_its_children_are_those_below_it(make: Make) -> None:
    site = make()
    await site.begin()
    number = await site.parent.number()
    below = NewRunner("r", 1e6, Kind.ENGINE, only({"q"}), 1, number)
    child = site.store.enlist(below).result().runner
    site.store.enlist(NewRunner("r", 1e6)).result()
    assert [one.number for one in await site.parent.children(pid=0)] == [child]
    assert len(await site.parent.children(pid=os.getpid())) == 2, "without processes it runs jobs itself"


async def test_buried_it_enlists_again(make: Make) -> None:
    site = make()
    await site.begin()
    number = await site.parent.number()
    site.store.retire(number, draining=True).result()
    site.parent._lease.lost = True
    assert await site.parent.number() > number
    await site.parent.end()
