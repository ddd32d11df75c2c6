"""Hours pass, by clocks that are turned, in this process and in those of the workers."""

import asyncio
from collections.abc import Iterator
from math import log2
from pathlib import Path

import pytest

from postlude import State
from postlude.engines.celery.inbox import TASK
from postlude.model.event.broker import JobsPublished
from postlude.runner.duties import outbox
from tests.engines.celery.shop import QUEUE
from tests.engines.celery.site import PATIENCE, Site
from tests.servers.redis import RedisServer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.process,
    pytest.mark.disk,
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),
]

HOUR = 3600


@pytest.fixture
def site(redis: RedisServer, tmp_path: Path) -> Iterator[Site]:
    redis.command("FLUSHALL")
    site = Site(tmp_path, redis.url, turned=True)
    yield site
    site.close()


def in_redis(redis: RedisServer) -> tuple[bytes, bytes]:
    """Return how many messages wait, and how many a worker has that it has not acknowledged."""
    return redis.command("LLEN", QUEUE).strip(), redis.command("HLEN", "unacked").strip()


async def test_a_message_that_comes_ten_times_and_an_hour_late_is_one_run(site: Site) -> None:
    site.start(concurrency=2)
    async with site.serving() as shop:
        job = await shop.postlude.add_task(shop.takes, 1, 1.0)
        for _ in range(10):
            shop.engine.app.send_task(TASK, [job.id], queue=QUEUE)
        assert await job.result(timeout=PATIENCE) == 1
        site.turn(HOUR)
        await asyncio.sleep(1.1)  # until the workers see it
        shop.engine.app.send_task(TASK, [job.id], queue=QUEUE)
        assert await (await shop.postlude.add_task(shop.note, 2)).result(timeout=PATIENCE) == 4
    assert len(site.runs()[1]) == 1


async def test_a_job_that_is_due_in_two_hours_runs_once(redis: RedisServer, site: Site) -> None:
    """Redis gives a message to another worker that is not acknowledged for an hour."""
    for _ in range(2):
        site.start(concurrency=1)
    async with site.serving() as shop:
        add = shop.postlude.add_task
        job = await add(shop.note.using(delay=2 * HOUR), 1)
        assert await (await add(shop.note, 2)).result(timeout=PATIENCE) == 4
        shop.engine.app.send_task(TASK, [job.id], queue=QUEUE)  # as of a publisher that is mad
        assert await (await add(shop.note, 3)).result(timeout=PATIENCE) == 6
        site.turn(1.5 * HOUR)
        assert await (await add(shop.note, 4)).result(timeout=PATIENCE) == 8
        assert (await job.status()).state is State.QUEUED
        async with asyncio.timeout(PATIENCE):  # a message is acknowledged beside its job
            while in_redis(redis) != (b":0", b":0"):
                await asyncio.sleep(0.05)
        assert (await job.status()).state is State.QUEUED, "it waits in the journal"
        site.turn(2 * HOUR + 1)
        assert await job.result(timeout=PATIENCE) == 2
        site.turn(4 * HOUR)
        assert await (await add(shop.note, 5)).result(timeout=PATIENCE) == 10
    assert {number: len(runs) for number, runs in site.runs().items()} == dict.fromkeys(range(1, 6), 1)


async def test_jobs_of_ten_minutes_ahead_make_no_storm_of_messages(
    redis: RedisServer, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await no_storm(redis, site, 20, monkeypatch)


async def no_storm(redis: RedisServer, site: Site, jobs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten at once, of ten minutes each; after 1, 2, 4 ... minutes the journal suspects a message to be lost.

    Or sooner, when it looks in the moment in which a slot is free; but always less and less often.
    """
    monkeypatch.setattr(outbox, "LOOK_EVERY", 0.05)
    told: list[JobsPublished] = []
    async with site.serving() as shop:
        shop.postlude.components.store.events.listen(told.append, JobsPublished)
        site.start(concurrency=10, pool="threads")
        added = await shop.postlude.add_tasks([shop.lasts.call(number, 600.0) for number in range(jobs)])
        async with asyncio.timeout(PATIENCE):
            while len(site.runs()) < 10:
                await asyncio.sleep(0.05)
        minutes = 0
        while (await added[-1].status()).state is not State.SUCCEEDED:
            minutes += 1
            assert minutes < 5 * jobs
            site.turn(60 * minutes)
            await asyncio.sleep(0.15)
        assert await site.results(list(added)) == [*range(jobs)]
    assert {number: len(runs) for number, runs in site.runs().items()} == dict.fromkeys(range(jobs), 1)
    sent = sum(one.jobs for one in told)
    assert jobs < sent <= jobs + (jobs - 10) * int(log2(minutes + 1) + 2)
