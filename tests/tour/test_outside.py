"""Tour, part 7: jobs outside of requests, and what operators do with them."""

import asyncio
from types import ModuleType

import pytest

from postlude import JobFailed, JobNotFound
from postlude.model.job import Cancel
from postlude.model.state import State
from tests.app.serving import becomes, eventually, serving
from tests.journals import skip_where_leases_run_by_a_clock_that_jumps
from tests.tour.preamble import many

pytestmark = pytest.mark.anyio

TO = {"to": "ada@example.org", "tenant": "acme"}


async def count(mail: ModuleType) -> int:
    return sum(counts.jobs for counts in await mail.postlude.inspector.counts())


async def test_add_and_wait_for_the_result(mail: ModuleType) -> None:
    async with serving(mail.postlude):
        await asyncio.wait_for(mail.add_and_wait(), 10)
        assert mail.post.sent == [(7, "ada@example.org", "acme")]


async def test_waiting_for_a_result_has_an_end(mail: ModuleType) -> None:
    async with serving(mail.postlude):
        with mail.post.closed():
            job = await mail.postlude.add_task(mail.send_receipt, 7, **TO)
            with pytest.raises(TimeoutError):
                await job.result(timeout=0.05)
        assert await job.result(timeout=10) is None


async def test_the_result_of_a_job_that_has_failed(mail: ModuleType) -> None:
    mail.post.errors = [ValueError("no such order")]
    async with serving(mail.postlude):
        job = await mail.postlude.add_task(mail.send_receipt, 7, **TO)
        with pytest.raises(JobFailed, match="ValueError: no such order"):
            await job.result(timeout=10)


@pytest.mark.parametrize("atomic", [False, True])
async def test_add_many(mail: ModuleType, atomic: bool) -> None:
    jobs = await mail.add_many(atomic=atomic)
    assert len({job.id for job in jobs}) == len(many) == await count(mail) == 1001
    first, last = [await mail.postlude.inspector.get(job.id) for job in (jobs[0], jobs[-1])]
    assert first.arguments is not None
    assert first.arguments.named == {"order": 1, "to": "1@example.org", "tenant": "tenant-1"}
    assert last.seq - first.seq == 1000


async def test_many_that_are_added_run(mail: ModuleType, journal: str) -> None:
    skip_where_leases_run_by_a_clock_that_jumps(journal)
    async with serving(mail.postlude):
        await mail.add_many()

        async def look() -> bool | None:
            mail.clock.advance(60)
            return len(mail.post.sent) == len(many) or None

        await eventually(look, 20)
    assert sorted(mail.post.sent) == many


async def test_atomic_has_a_bound(mail: ModuleType) -> None:
    with pytest.raises(ValueError, match="10000"):
        await mail.postlude.add_tasks((mail.send_receipt.call(1, **TO) for _ in range(10_001)), atomic=True)
    assert await count(mail) == 0


async def test_from_sync_code(mail: ModuleType) -> None:
    async with serving(mail.postlude):
        with pytest.raises(RuntimeError):
            mail.add_from_sync_code()
        await asyncio.to_thread(mail.add_from_sync_code)

        async def sent() -> bool | None:
            return mail.post.orders == [7] or None

        await eventually(sent)


async def test_cancel_retry_and_pause(mail: ModuleType) -> None:
    send = mail.send_receipt
    job = await mail.postlude.add_task(send.using(delay=600), 7, **TO)
    await mail.cancel_retry_and_pause(job)
    assert (await mail.postlude.inspector.get(job.id)).state is State.QUEUED
    async with serving(mail.postlude):
        other = await mail.postlude.add_task(send.using(queue="other"), 8, **TO)
        await other.result(timeout=10)
        assert mail.post.orders == [8]
        assert await mail.postlude.resume("mail")
        mail.clock.advance(600)
        await job.result(timeout=10)
    assert mail.post.orders == [8, 7]


async def test_cancel_what_waits_and_what_has_ended(mail: ModuleType) -> None:
    job = await mail.postlude.add_task(mail.send_receipt, 7, **TO)
    assert await mail.postlude.cancel(job.id) is Cancel.CANCELLED
    assert await mail.postlude.cancel(job.id) is Cancel.TOO_LATE
    with pytest.raises(JobNotFound):
        await mail.postlude.cancel("0199a0a0-0000-7000-8000-000000000000")
    async with serving(mail.postlude):
        await becomes(mail.postlude, job, State.CANCELLED)
    assert mail.post.tries == 0


async def test_cancel_what_runs(mail: ModuleType) -> None:
    async def tried() -> bool | None:
        return bool(mail.post.tries) or None

    async with serving(mail.postlude):
        with mail.post.closed():
            job = await mail.postlude.add_task(mail.send_receipt, 7, **TO)
            await eventually(tried)
            assert await mail.postlude.cancel(job.id) is Cancel.ASKED
            await becomes(mail.postlude, job, State.CANCELLED)
    assert (mail.post.left, mail.post.sent) == (1, [])


async def test_retry_what_has_failed(mail: ModuleType) -> None:
    mail.post.errors = [ValueError("a mistake of ours")]
    async with serving(mail.postlude):
        job = await mail.postlude.add_task(mail.send_receipt, 7, **TO)
        assert await mail.postlude.retry(job.id) is False
        await becomes(mail.postlude, job, State.FAILED)
        assert await mail.postlude.retry(job.id) is True
        await job.result(timeout=10)
    assert mail.post.orders == [7]


async def test_pause_a_task_alone(mail: ModuleType) -> None:
    async with serving(mail.postlude):
        assert await mail.postlude.pause(task=mail.send_receipt)
        assert await mail.postlude.pause(task=mail.send_receipt) is False
        job = await mail.postlude.add_task(mail.send_receipt, 7, **TO)
        assert (await mail.postlude.inspector.get(job.id)).state is State.QUEUED
        assert await mail.postlude.resume(task=mail.send_receipt)
        await job.result(timeout=10)
