"""`celery_app.control.revoke` with a job's id, as Flower's buttons do it."""

import asyncio

import pytest

from postlude import Job, State
from tests.engines.celery.site import PATIENCE, Site
from tests.engines.celery.test_workers import begun

pytestmark = [
    pytest.mark.slow,
    pytest.mark.process,
    pytest.mark.disk,
    pytest.mark.anyio,
    pytest.mark.parametrize("anyio_backend", ["asyncio"]),
]

LONG = 60.0


@pytest.fixture(params=["redis", "rabbitmq"])
def site(request: pytest.FixtureRequest) -> Site:
    site = request.getfixturevalue(f"at_{request.param}")
    assert isinstance(site, Site)
    return site


async def until(job: Job[int], state: State) -> None:
    async with asyncio.timeout(PATIENCE):
        while (await job.status()).state is not state:
            await asyncio.sleep(0.02)


async def test_a_job_that_waits_is_cancelled_when_its_message_comes(site: Site) -> None:
    site.start(concurrency=1)
    async with site.serving() as shop:
        long = await shop.postlude.add_task(shop.takes, 1, 2.0)
        await begun(site, 1)
        revoked = await shop.postlude.add_task(shop.note, 2)
        other = await shop.postlude.add_task(shop.note, 3)
        await asyncio.to_thread(shop.engine.app.control.revoke, revoked.id)
        assert await site.results([long, other]) == [1, 6]
        await until(revoked, State.CANCELLED)
        (line,) = await shop.postlude.components.store.audit()
        assert (line.actor, line.act, line.meant) == ("celery:revoke", "cancel", revoked.id)
        assert await shop.postlude.retry(revoked.id)
        assert await revoked.result(timeout=PATIENCE) == 4
    assert {number: len(runs) for number, runs in site.runs().items()} == dict.fromkeys((1, 2, 3), 1)


async def test_a_job_that_runs_goes_on_and_is_not_tried_again(at_redis: Site) -> None:
    """As Celery has it: what has begun is not ended, without `terminate`."""
    at_redis.start(concurrency=1)
    async with at_redis.serving() as shop:
        job = await shop.postlude.add_task(shop.takes, 1, 1.0)
        await begun(at_redis, 1)
        await asyncio.to_thread(shop.engine.app.control.revoke, job.id)
        assert await job.result(timeout=PATIENCE) == 1


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL", "SIGQUIT"])
async def test_a_job_that_is_terminated_is_cancelled(site: Site, how: str) -> None:
    site.start(concurrency=1)
    async with site.serving() as shop:
        job = await shop.postlude.add_task(shop.sleeps, 1, LONG)
        await begun(site, 1)
        await asyncio.to_thread(shop.engine.app.control.revoke, job.id, terminate=True, signal=how)
        await until(job, State.CANCELLED)
        assert await (await shop.postlude.add_task(shop.note, 2)).result(timeout=PATIENCE) == 4
    assert len(site.runs()[1]) == 1


async def test_a_process_that_is_terminated_by_celerys_own_command(at_redis: Site) -> None:
    at_redis.start_plain("--concurrency", "1")
    async with at_redis.serving() as shop:
        job = await shop.postlude.add_task(shop.takes, 1, LONG)
        await begun(at_redis, 1)
        await asyncio.to_thread(shop.engine.app.control.revoke, job.id, terminate=True)
        await until(job, State.CANCELLED)
        assert await (await shop.postlude.add_task(shop.note, 2)).result(timeout=PATIENCE) == 4
    assert len(at_redis.runs()[1]) == 1
