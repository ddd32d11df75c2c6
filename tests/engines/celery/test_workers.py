"""Celery's own worker, in processes: how jobs run there, and what its end and its deaths mean for them."""

import asyncio
import os
import signal
import time

import pytest

from postlude import State
from postlude.model.state import Reason
from tests.engines.celery.deaths import CHILD
from tests.engines.celery.memory import MIB, capped
from tests.engines.celery.shop import QUEUE
from tests.engines.celery.site import PATIENCE, Site
from tests.servers.rabbitmq import RabbitMQServer
from tests.servers.redis import RedisServer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.process,
    pytest.mark.disk,
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),
]


async def begun(site: Site, number: int, times: int = 1) -> int:
    """Return the process that has begun a job so often, when one has."""
    async with asyncio.timeout(PATIENCE):
        while len(runs := site.runs().get(number, [])) < times:
            await asyncio.sleep(0.02)
    return runs[times - 1][2]


@pytest.mark.parametrize("pool", ["prefork", "threads"])
async def test_sync_and_async_jobs_run_in_every_pool(site: Site, pool: str) -> None:
    site.start(pool=pool)
    async with site.serving() as shop:
        add = shop.postlude.add_task
        jobs = [
            await add(task, number) for task in (shop.note, shop.on_loop, shop.flaky) for number in range(20)
        ]
        assert await site.results(jobs) == [2 * number for number in range(20)] + 2 * [*range(20)]
        status = await jobs[30].status()
        assert status.progress is not None
        assert status.progress.message == "done"
    assert {pid for runs in site.runs().values() for *_, pid in runs if runs} - {os.getpid()}, "elsewhere"


@pytest.mark.parametrize("pool", ["prefork", "threads"])
async def test_a_worker_alone_publishes_what_it_runs(site: Site, pool: str) -> None:
    """Whoever has added the job is gone."""
    postlude = site.shop.postlude
    job = await postlude.add_task(site.shop.note, 1)
    site.start(pool=pool)
    assert await job.result(timeout=PATIENCE) == 2
    await postlude.close()


async def test_celerys_own_command_is_a_worker_too(site: Site) -> None:
    site.start_plain("--concurrency", "1", "--pool", "threads")
    async with site.serving() as shop:
        assert await (await shop.postlude.add_task(shop.on_loop, 1)).result(timeout=PATIENCE) == 1


async def test_a_thousand_async_jobs_meet_their_own_loop(at_rabbitmq: Site) -> None:
    at_rabbitmq.start()
    async with at_rabbitmq.serving() as shop:
        jobs = await shop.postlude.add_tasks([shop.on_loop.call(number) for number in range(1000)])
        assert await at_rabbitmq.results(jobs) == list(range(1000))
    assert {number: len(runs) for number, runs in at_rabbitmq.runs().items() if number} == dict.fromkeys(
        range(1, 1000), 1
    )


RUNS = {"before": 1, "claimed": 1, "during": 2, "ended": 2, "written": 1}
"""How often a job begins in all whose process dies there once."""


async def die_everywhere(site: Site, how: str) -> None:
    """Let processes die at each place, and see that each job ends all the same."""
    async with site.serving() as shop:
        await shop.postlude.pause(QUEUE)
        jobs = [await shop.postlude.add_task(shop.doomed, number) for number in range(len(RUNS))]
        for job, place in zip(jobs, RUNS, strict=True):
            shop.deaths.await_at(job.id, place, how)
        others = [await shop.postlude.add_task(shop.note, number) for number in range(10, 40)]
        await shop.postlude.resume(QUEUE)
        assert await site.results([*jobs, *others]) == [*range(len(RUNS)), *range(20, 80, 2)]
        async with asyncio.timeout(PATIENCE):
            while shop.deaths.left():  # the last one is killed after its end is written
                await asyncio.sleep(0.02)
    assert [len(site.runs()[number]) for number in range(len(RUNS))] == [*RUNS.values()]
    assert site.overlaps() == []


async def test_children_are_killed_before_while_and_after_they_run_jobs(site: Site) -> None:
    site.start(concurrency=2)
    await die_everywhere(site, CHILD)


async def test_children_that_there_is_no_memory_for_are_killed_before_while_and_after_they_run_jobs(
    site: Site,
) -> None:
    with capped(64 * MIB) as cap:
        site.start(concurrency=2)
        await die_everywhere(site, str(cap.processes))
        async with asyncio.timeout(PATIENCE):
            while cap.killed() < len(RUNS):
                await asyncio.sleep(0.02)


async def test_a_worker_is_killed_while_it_runs_a_job(site: Site) -> None:
    first = site.start(concurrency=1)
    async with site.serving() as shop:
        job = await shop.postlude.add_task(shop.takes, 1, 1.5)
        waiting = [await shop.postlude.add_task(shop.note, number) for number in range(2, 30)]
        await begun(site, 1)
        os.killpg(first.pid, signal.SIGKILL)
        first.wait(10)
        site.start(concurrency=1)
        assert await site.results([job, *waiting]) == [1, *(2 * number for number in range(2, 30))]
    assert len(site.runs()[1]) == 2


async def test_a_job_that_crashes_its_process_is_ended_after_three(site: Site) -> None:
    site.start(concurrency=1)
    async with site.serving() as shop:
        job = await shop.postlude.add_task(shop.poison, 1)
        async with asyncio.timeout(PATIENCE):
            while (status := await job.status()).state is not State.FAILED:
                await asyncio.sleep(0.05)
        assert status.reason is Reason.KILLED
    assert len(site.runs()[1]) == 3


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_worker_that_is_told_to_end_lets_short_jobs_end(site: Site, pool: str, number: int) -> None:
    """All of its processes are, as by systemd and at a terminal; it does not wait for its whole grace."""
    worker = site.start("--grace", "60", pool=pool)
    async with site.serving() as shop:
        job = await shop.postlude.add_task(shop.takes, 1, 1.0)
        await begun(site, 1)
        os.killpg(worker.pid, number)
        assert await job.result(timeout=PATIENCE) == 1
        assert await asyncio.to_thread(worker.wait, 15) == 0
    assert len(site.runs()[1]) == 1
    assert "closed" in (site.folder / "said").read_text(), "the application's own end has run"


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
async def test_a_worker_that_is_told_to_end_gives_back_what_takes_longer(site: Site, pool: str) -> None:
    first = site.start("--grace", "1", concurrency=1, pool=pool)
    async with site.serving() as shop:
        job = await shop.postlude.add_task(shop.takes, 1, 4.0)
        waiting = [await shop.postlude.add_task(shop.note, number) for number in range(2, 6)]
        await begun(site, 1)
        first.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(first.wait, 15) == 0
        site.start(concurrency=1)
        assert await site.results([job, *waiting]) == [1, 4, 6, 8, 10]
        record = await shop.postlude.components.store.get(job.raw_id)
    assert record is not None
    assert (len(site.runs()[1]), record.failures, record.deaths) == (2, 0, 0)


@pytest.mark.parametrize("pool", ["prefork", "threads", "solo"])
async def test_a_worker_that_is_told_to_end_waits_for_what_celerys_calls_have_handed_over(
    site: Site, pool: str
) -> None:
    """A long one among short ones, whose call has returned: to Celery nothing runs."""
    first = site.start("--grace", "60", concurrency=1, pool=pool)
    async with site.serving() as shop:
        add = shop.postlude.add_tasks
        jobs = await add([shop.note.call(number) for number in range(2, 402)])
        jobs += await add([shop.takes.call(1, 1.5)])
        jobs += await add([shop.note.call(number) for number in range(402, 602)])
        await begun(site, 1)
        first.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(first.wait, 30) == 0
        site.start(concurrency=1)
        expected = [2 * number for number in range(2, 602)]
        assert sorted(await site.results(jobs)) == sorted([1, *expected])
    assert {number: len(runs) for number, runs in site.runs().items() if number and len(runs) != 1} == {}


@pytest.mark.parametrize("pool", ["prefork", "threads"])
async def test_what_was_handed_over_behind_a_long_job_runs_elsewhere(site: Site, pool: str) -> None:
    site.start(concurrency=1, pool=pool)
    site.start(concurrency=1, pool=pool)
    async with site.serving() as shop:
        add = shop.postlude.add_tasks
        jobs = await add([shop.note.call(number) for number in range(2, 402)])
        long = await add([shop.takes.call(1, 8.0)])
        jobs += await add([shop.note.call(number) for number in range(402, 602)])
        assert await site.results(jobs) == [2 * number for number in range(2, 602)]
        assert (await long[0].status()).state is State.RUNNING
        assert await site.results(long) == [1]


async def test_a_job_runs_for_longer_than_rabbitmq_waits_for_an_acknowledgement(
    at_rabbitmq: Site, rabbitmq: RabbitMQServer
) -> None:
    rabbitmq.control("eval", "application:set_env(rabbit, consumer_timeout, 2000).")
    worker = at_rabbitmq.start(concurrency=1)
    try:
        async with at_rabbitmq.serving() as shop:
            job = await shop.postlude.add_task(shop.takes, 1, 5.0)
            assert await job.result(timeout=PATIENCE) == 1
            assert await (await shop.postlude.add_task(shop.note, 2)).result(timeout=PATIENCE) == 4
        assert worker.poll() is None
        assert len(at_rabbitmq.runs()[1]) == 1
        assert "PRECONDITION" not in at_rabbitmq.log()
    finally:
        rabbitmq.control("eval", "application:set_env(rabbit, consumer_timeout, 20000).")


@pytest.mark.parametrize(("pool", "reduces"), [("prefork", True), ("threads", False)])
async def test_threads_do_not_ask_for_more_after_a_reconnect(
    at_rabbitmq: Site, pool: str, reduces: bool
) -> None:
    """Two of them read from one connection then, and wait for ever for what the other has read."""
    at_rabbitmq.start(pool=pool)
    async with at_rabbitmq.serving() as shop:
        assert await (await shop.postlude.add_task(shop.note, 1)).result(timeout=PATIENCE) == 2
        inspected = shop.engine.app.control.inspect(timeout=5.0)
        (conf,) = (await asyncio.to_thread(inspected.conf)).values()
    assert conf.get("worker_enable_prefetch_count_reduction", True) is reduces


@pytest.mark.parametrize("breaks", [False, True])
async def test_while_the_broker_is_away_jobs_are_added_as_ever(
    redis: RedisServer, site: Site, breaks: bool
) -> None:
    """Its worker reconnects, or it is started afresh where Celery ends with an error as it reconnects."""
    worker = site.start(concurrency=1, breaks=breaks)
    async with site.serving() as shop:
        assert await (await shop.postlude.add_task(shop.note, 1)).result(timeout=PATIENCE) == 2
        redis.stop()
        try:
            since = time.monotonic()
            jobs = [await shop.postlude.add_task(shop.note, number) for number in range(2, 52)]
            assert time.monotonic() - since < 5.0
        finally:
            redis.start()
        assert await site.results(jobs) == [2 * number for number in range(2, 52)]
    assert ("it has broken off" in site.log()) is breaks
    worker.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(worker.wait, 15) == 0
