"""What a runner does with schedules, on a journal in memory and a clock that is turned by hand."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import pytest

from postlude import Config, Postlude, current_job
from postlude.clock import SECOND, ManualClock
from postlude.errors import JournalUnavailable
from postlude.model.cron import every
from postlude.model.schedule import Schedule
from postlude.runner.duties.hearing import Hearing
from postlude.stores.memory import MemoryStore
from postlude.stores.protocol import NewRunner
from postlude.stores.reply import Reply

pytestmark = pytest.mark.anyio
START = 1_767_225_600


class Shop:
    """An application whose jobs tell what they are."""

    def __init__(self, config: Config | None = None) -> None:
        self.clock = ManualClock()
        self.store = MemoryStore(self.clock)
        self.postlude = Postlude(store=self.store, clock=self.clock, config=config)
        self.seen: list[tuple[str | None, datetime | None]] = []
        self.ran = asyncio.Event()

        async def tick() -> None:
            job = current_job()
            self.seen.append((job.schedule, job.scheduled_for))
            self.ran.set()

        self.tick = self.postlude.task(tick, name="tick")

    async def until(self, fact: Callable[[], bool]) -> None:
        """Return when it is so: the clock of the loop goes on."""
        async with asyncio.timeout(10):
            while not fact():
                await asyncio.sleep(0.01)

    async def turn(self, seconds: float) -> None:
        """Turn the clock, and let the runner look."""
        self.clock.advance(seconds)
        self.store.declare([]).result()  # a signal: runners look at the time when something is told


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    shop = Shop(Config(poll_every=0.02, lease=1000.0))  # the clock is turned by more than a lease
    yield shop
    await shop.postlude.drain()
    await shop.postlude.close()


async def begin(shop: Shop) -> None:
    await shop.postlude.open()
    await shop.postlude.start()
    await shop.until(lambda: bool(shop.store.living().result()))


async def test_a_due_time_becomes_a_job_that_knows_it(shop: Shop) -> None:
    shop.postlude.cron("* * * * *", name="minutely")(shop.tick)
    await begin(shop)
    await shop.until(lambda: bool(shop.store.schedules().result()))
    await shop.turn(60)
    await shop.until(lambda: bool(shop.seen))
    assert shop.seen == [("minutely", datetime.fromtimestamp(START + 60, UTC))]
    (status,) = await shop.postlude.schedules()
    assert status.last is not None
    assert (status.last.due, status.next) == (
        datetime.fromtimestamp(START + 60, UTC), datetime.fromtimestamp(START + 120, UTC)
    )  # fmt: skip


async def test_times_that_were_missed_are_told(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    shop.postlude.every(60, name="minutely")(shop.tick)
    shop.store.declare_schedules(None, shop.postlude.book.application, shop.postlude.book.schedules).result()
    shop.clock.advance(330)  # nobody is there
    with caplog.at_level(logging.WARNING):
        await begin(shop)
        await shop.until(lambda: bool(shop.seen))
    assert "schedule minutely: due times that passed while no process was there: 4" in caplog.text
    assert len(shop.seen) == 1  # the last one is late by half a minute only, and stands for the others


async def test_a_release_whose_schedules_are_superseded_says_so_and_takes_over_in_the_end(
    shop: Shop, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("postlude.runner.duties.loop.DECLARE_EVERY", 0.0)
    shop.postlude.every(60, name="old")(shop.tick)
    application, old = shop.postlude.book.application, shop.postlude.book.schedules
    new = [Schedule("new", "app:new", "default", every(60), "UTC", "once", SECOND, b"{}", "{}")]
    shop.store.declare_schedules(None, application, old).result()
    other = shop.store.enlist(NewRunner("", 1000.0)).result().runner
    shop.store.declare_schedules(other, application, new).result()
    with caplog.at_level(logging.INFO):
        await begin(shop)
        await shop.until(lambda: "those of a newer release are in force" in caplog.text)
        assert [one.name for one in await shop.postlude.schedules()] == ["new"]
        shop.store.retire(other, draining=True).result()
        await shop.until(lambda: "in force, as this release declares them: 1" in caplog.text)
    assert [one.name for one in await shop.postlude.schedules()] == ["old"]


async def test_a_journal_that_fails_is_asked_again(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.postlude.every(60)(shop.tick)
    fire, failures = shop.store.fire, [JournalUnavailable("no"), JournalUnavailable("no")]

    def failing() -> object:
        return Reply.failed(failures.pop()) if failures else fire()

    monkeypatch.setattr(shop.store, "fire", failing)
    await begin(shop)
    await shop.until(lambda: bool(shop.store.schedules().result()))
    await shop.turn(60)
    await shop.until(lambda: not failures)
    await shop.turn(0.1)
    await shop.until(lambda: bool(shop.seen))


async def test_a_process_that_leaves_schedules_to_others_does_nothing_of_theirs() -> None:
    shop = Shop(Config(schedules=False, poll_every=0.02))
    shop.postlude.every(60)(shop.tick)
    shop.store.declare_schedules(None, "shop", shop.postlude.book.schedules).result()
    await begin(shop)
    await shop.turn(60)
    job = await shop.postlude.add_task(shop.tick)  # all that is done before is done before this
    await job.result(timeout=10)
    assert shop.seen == [(None, None)]
    assert [one.application for one in await shop.postlude.schedules()] == ["shop"]
    await shop.postlude.drain()
    await shop.postlude.close()


async def test_nor_does_what_is_due_there_wake_it(monkeypatch: pytest.MonkeyPatch) -> None:
    turns: list[None] = []
    begin_turn = Hearing.begin

    def counted(self: Hearing) -> None:
        turns.append(None)
        begin_turn(self)

    monkeypatch.setattr(Hearing, "begin", counted)
    shop = Shop(Config(schedules=False, poll_every=10, lease=1000.0))
    shop.postlude.every(60)(shop.tick)
    await begin(shop)
    shop.store.declare_schedules(None, "shop", shop.postlude.book.schedules).result()
    shop.clock.advance(60)
    await asyncio.sleep(0.05)  # in which a loop that does not wait turns hundreds of times
    assert len(turns) < 20
    await shop.postlude.drain()
    await shop.postlude.close()


async def test_an_application_without_schedules_writes_nothing_of_them(shop: Shop) -> None:
    await begin(shop)
    await (await shop.postlude.add_task(shop.tick)).result(timeout=10)
    assert shop.store._sets.get(shop.postlude.book.application, {}) == {}
