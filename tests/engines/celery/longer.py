"""What takes longer than the suite has time for: `python -m pytest tests/engines/celery/longer.py`."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from postlude import State
from postlude.model.state import Reason
from tests.engines.celery.site import PATIENCE, Site
from tests.engines.celery.test_workers import begun
from tests.servers.redis import RedisServer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.process,
    pytest.mark.disk,
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),
]


@pytest.fixture
def site(redis: RedisServer, tmp_path: Path) -> Iterator[Site]:
    redis.command("FLUSHALL")
    site = Site(tmp_path, redis.url)
    yield site
    site.close()


async def test_jobs_run_in_a_worker_of_one_thread(site: Site) -> None:
    site.start(pool="solo")
    async with site.serving() as shop:
        jobs = [await shop.postlude.add_task(shop.on_loop, number) for number in range(20)]
        assert await site.results(jobs) == [*range(20)]


async def test_a_job_that_crashes_its_process_is_ended_after_three(site: Site) -> None:
    site.start(concurrency=1)
    async with site.serving() as shop:
        job = await shop.postlude.add_task(shop.poison, 1)
        async with asyncio.timeout(PATIENCE):
            while (status := await job.status()).state is not State.FAILED:
                await asyncio.sleep(0.05)
        assert status.reason is Reason.KILLED
    assert len(site.runs()[1]) == 3


async def test_children_are_killed_before_and_after_they_run_jobs(site: Site) -> None:
    """At any moment: between the message and the claim, in it, and when the end is written."""
    worker = site.start(concurrency=2)
    async with site.serving() as shop:
        await (await shop.postlude.add_task(shop.note, 1000)).result(timeout=PATIENCE)
        jobs = await shop.postlude.add_tasks([shop.note.call(number) for number in range(400)])
        for place in range(5):
            for pid in site.children(worker)[:1]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            await asyncio.sleep(0.15 + 0.05 * place)
        assert await site.results(list(jobs)) == [2 * number for number in range(400)]
    assert site.overlaps() == []


async def test_a_worker_that_is_told_to_end_gives_back_what_takes_longer(site: Site) -> None:
    first = site.start("--grace", "1", concurrency=1)
    async with site.serving() as shop:
        job = await shop.postlude.add_task(shop.takes, 1, 4.0)
        waiting = [await shop.postlude.add_task(shop.note, number) for number in range(2, 6)]
        await begun(site, 1)
        first.send_signal(signal.SIGTERM)
        site.start(concurrency=1)
        assert await asyncio.to_thread(first.wait, 15) == 0
        assert await site.results([job, *waiting]) == [1, 4, 6, 8, 10]
        record = await shop.postlude.components.store.get(job.raw_id)
    assert record is not None
    assert (len(site.runs()[1]), record.failures, record.deaths) == (2, 0, 0)


async def test_children_are_replaced_although_the_application_starts_for_five_seconds(
    redis: RedisServer, tmp_path: Path
) -> None:
    """Celery kills a process whose `worker_process_init` takes longer than four."""
    redis.command("FLUSHALL")
    site = Site(tmp_path, redis.url, starts_for=5.0)
    site.shop._starts_for = 0.0
    site.start("--max-tasks-per-child", "2", concurrency=1)
    try:
        async with site.serving() as shop:
            jobs = [await shop.postlude.add_task(shop.note, number) for number in range(3)]
            assert await site.results(jobs) == [0, 2, 4]
        assert len({pid for runs in site.runs().values() for *_, pid in runs}) == 2
    finally:
        site.close()
