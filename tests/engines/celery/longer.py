"""What takes longer than the suite has time for: `python -m pytest tests/engines/celery/longer.py`."""

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path

import pytest
from kombu.connection import Connection

from postlude import State
from postlude.model.state import Reason
from tests.engines.celery.deaths import WORKER
from tests.engines.celery.memory import MIB, capped
from tests.engines.celery.shop import QUEUE
from tests.engines.celery.site import PATIENCE, Site
from tests.engines.celery.test_clocks import HOUR, in_redis, no_storm
from tests.engines.celery.test_workers import begun, die_everywhere
from tests.servers.rabbitmq import RabbitMQServer
from tests.servers.redis import RedisServer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.process,
    pytest.mark.disk,
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),
]


async def test_jobs_run_in_a_worker_of_one_thread(site: Site) -> None:
    site.start(pool="solo")
    async with site.serving() as shop:
        jobs = [await shop.postlude.add_task(shop.on_loop, number) for number in range(20)]
        assert await site.results(jobs) == [*range(20)]


async def test_workers_are_killed_before_while_and_after_they_run_jobs(site: Site) -> None:
    async def go_on_starting() -> None:
        while True:
            worker = site.start(concurrency=1)
            await asyncio.to_thread(worker.wait)

    starting = asyncio.create_task(go_on_starting())
    try:
        await die_everywhere(site, WORKER)
    finally:
        starting.cancel()
        site.close()


async def test_a_job_that_there_is_no_memory_for_is_ended_after_three(site: Site) -> None:
    with capped(64 * MIB) as cap:
        site.start(concurrency=1)
        async with site.serving() as shop:
            job = await shop.postlude.add_task(shop.hungry, 1, str(cap.processes))
            other = await shop.postlude.add_task(shop.note, 2)
            async with asyncio.timeout(PATIENCE):
                while (status := await job.status()).state is not State.FAILED:
                    await asyncio.sleep(0.05)
            assert status.reason is Reason.KILLED
            assert await other.result(timeout=PATIENCE) == 4
        assert len(site.runs()[1]) == 3
        assert cap.killed() == 3


async def test_children_are_killed_at_any_moment(site: Site) -> None:
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


@pytest.mark.parametrize("pool", ["prefork", "threads"])
async def test_a_worker_is_told_to_end_while_its_broker_answers_nobody(
    rabbitmq: RabbitMQServer, tmp_path: Path, pool: str
) -> None:
    """Celery's own end waits for its answer."""
    site = Site(tmp_path, rabbitmq.url)
    worker = site.start(pool=pool)
    try:
        async with site.serving() as shop:
            assert await (await shop.postlude.add_task(shop.note, 1)).result(timeout=PATIENCE) == 2
            rabbitmq.signal(signal.SIGSTOP)
            try:
                await asyncio.sleep(12)  # its heartbeats have missed it
                worker.send_signal(signal.SIGTERM)
                assert await asyncio.to_thread(worker.wait, 40) == 0
            finally:
                rabbitmq.signal(signal.SIGCONT)
    finally:
        site.close()


async def test_children_are_replaced_although_the_application_takes_six_seconds_to_start(
    redis: RedisServer, tmp_path: Path
) -> None:
    """Celery kills a process whose `worker_process_init` takes longer than four."""
    redis.command("FLUSHALL")
    site = Site(tmp_path, redis.url, starts_for=6.0)
    site.start("--max-tasks-per-child", "2", concurrency=1)
    try:
        async with site.serving() as shop:
            jobs = [await shop.postlude.add_task(shop.note, number) for number in range(3)]
            assert await site.results(jobs) == [0, 2, 4]
        assert len({pid for runs in site.runs().values() for *_, pid in runs}) == 2
    finally:
        site.close()


async def test_a_job_waits_in_a_worker_for_longer_than_redis_waits_for_an_acknowledgement(
    redis: RedisServer, tmp_path: Path
) -> None:
    """Kombu gives another worker a message that one has had for an hour: the job's, and a second time."""
    redis.command("FLUSHALL")
    site = Site(tmp_path, redis.url, turned=True)
    site.start(concurrency=1)
    try:
        async with site.serving() as shop:
            long = await shop.postlude.add_task(shop.lasts, 1, 2.5 * HOUR)
            await begun(site, 1)
            behind = await shop.postlude.add_task(shop.note, 2)
            async with asyncio.timeout(PATIENCE):
                while in_redis(redis) != (b":0", b":1"):
                    await asyncio.sleep(0.05)
            site.turn(2 * HOUR)
            site.start(concurrency=1)
            assert await behind.result(timeout=PATIENCE) == 4
            site.turn(3 * HOUR)
            assert await long.result(timeout=PATIENCE) == 1
            assert await (await shop.postlude.add_task(shop.note, 3)).result(timeout=PATIENCE) == 6
        assert {number: len(runs) for number, runs in site.runs().items()} == dict.fromkeys((1, 2, 3), 1)
    finally:
        site.close()


async def test_a_hundred_jobs_of_ten_minutes_ahead_make_no_storm_of_messages(
    redis: RedisServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis.command("FLUSHALL")
    site = Site(tmp_path, redis.url, turned=True)
    try:
        await no_storm(redis, site, 100, monkeypatch)
    finally:
        site.close()


async def test_a_job_runs_for_longer_than_twenty_seconds_that_rabbitmq_waits_for_an_acknowledgement(
    rabbitmq: RabbitMQServer, tmp_path: Path
) -> None:
    site = Site(tmp_path, rabbitmq.url)
    worker = site.start(concurrency=1)
    try:
        async with site.serving() as shop:
            job = await shop.postlude.add_task(shop.takes, 1, 45.0)
            assert await job.result(timeout=PATIENCE) == 1
            assert await (await shop.postlude.add_task(shop.note, 2)).result(timeout=PATIENCE) == 4
            worker.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(worker.wait, 15) == 0
        assert len(site.runs()[1]) == 1
        assert "PRECONDITION" not in site.log()
    finally:
        site.close()


async def test_a_worker_takes_from_a_quorum_queue_that_was_there(
    rabbitmq: RabbitMQServer, tmp_path: Path
) -> None:
    """Celery learns that it is one when it has consumed it as if it were none, and begins once more."""
    with Connection(rabbitmq.url) as connection:
        channel = connection.channel()
        channel.queue_delete(QUEUE)
        channel.queue_declare(QUEUE, durable=True, auto_delete=False, arguments={"x-queue-type": "quorum"})
    site = Site(tmp_path, rabbitmq.url)
    site.start(concurrency=1)
    try:
        async with site.serving() as shop:
            jobs = [await shop.postlude.add_task(shop.note, number) for number in range(20)]
            assert await site.results(jobs) == [*range(0, 40, 2)]
    finally:
        site.close()
        rabbitmq.control("delete_queue", QUEUE)
