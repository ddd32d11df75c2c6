"""Tour, part 4: a task's policy holds for its jobs."""

import asyncio
from smtplib import SMTPException
from types import ModuleType

import pytest

from postlude.jobs.inspector import JobStatus
from postlude.model.state import State
from tests.app.serving import becomes, eventually, serving
from tests.journals import skip_where_leases_run_by_a_clock_that_jumps

pytestmark = pytest.mark.anyio


async def waits_again(mail: ModuleType, id: str, failures: int) -> JobStatus:
    """Return a job that waits for another attempt after so many failures."""

    async def look() -> JobStatus | None:
        status: JobStatus = await mail.postlude.inspector.get(id)
        return status if status.retrying and len(status.attempts) == failures else None

    return await eventually(look)


async def reaches(value: int, mail: ModuleType, what: str) -> None:
    async def look() -> bool | None:
        return getattr(mail.post, what) >= value or None

    await eventually(look)


async def succeeded(mail: ModuleType) -> int:
    counts = await mail.postlude.inspector.counts()
    return sum(count.jobs for count in counts if count.state == State.SUCCEEDED)


async def test_a_direct_call_runs_here_and_now(mail: ModuleType) -> None:
    async with serving(mail.postlude):
        await mail.here_and_now()
        assert mail.post.sent == [(7, "ada@example.org", "acme")]
        assert await mail.postlude.inspector.page() == []


async def test_a_direct_call_raises_what_the_function_raises(mail: ModuleType) -> None:
    mail.post.errors = [SMTPException("busy")]
    with pytest.raises(SMTPException):
        await mail.here_and_now()
    assert mail.post.tries == 1


async def test_jobs_wait_in_the_queue_that_the_task_names(mail: ModuleType) -> None:
    async with serving(mail.postlude):
        job = await mail.postlude.add_task(mail.send_receipt, 7, to="ada@example.org", tenant="acme")
        status = await becomes(mail.postlude, job, State.SUCCEEDED)
    assert (job.queue, status.queue) == ("mail", "mail")
    assert mail.post.sent == [(7, "ada@example.org", "acme")]


async def test_attempts_follow_after_waits_that_grow(mail: ModuleType, journal: str) -> None:
    skip_where_leases_run_by_a_clock_that_jumps(journal)
    mail.post.errors = [SMTPException(f"busy {number}") for number in range(1, 9)]
    async with serving(mail.postlude):
        job = await mail.postlude.add_task(mail.send_receipt, 7, to="ada@example.org", tenant="acme")
        for failures in range(1, 8):
            status = await waits_again(mail, job.id, failures)
            assert status.due is not None
            wait = (status.due - status.attempts[-1].finished).total_seconds()
            assert 0 <= wait <= min(300, 2 ** (failures - 1))
            assert status.error == f"smtplib.SMTPException: busy {failures}"
            mail.clock.advance(wait)
        status = await becomes(mail.postlude, job, State.FAILED)
    assert [attempt.number for attempt in status.attempts] == list(range(1, 9))
    assert (mail.post.tries, mail.post.sent) == (8, [])


@pytest.mark.parametrize(
    ("error", "attempts"), [(SMTPException("busy"), 2), (ConnectionError("reset"), 2), (ValueError("no"), 1)]
)
async def test_only_what_on_names_is_followed_by_another_attempt(
    mail: ModuleType, error: Exception, attempts: int
) -> None:
    mail.post.errors = [error]
    async with serving(mail.postlude):
        job = await mail.postlude.add_task(mail.send_receipt, 7, to="ada@example.org", tenant="acme")
        if attempts == 2:
            await waits_again(mail, job.id, 1)
            mail.clock.advance(1)
        await becomes(mail.postlude, job, State.SUCCEEDED if attempts == 2 else State.FAILED)
    assert mail.post.tries == attempts


async def test_an_attempt_that_takes_too_long_ends(mail: ModuleType) -> None:
    assert mail.send_receipt.policy.timeout == 30
    async with serving(mail.postlude):
        with mail.post.closed():
            hasty = mail.send_receipt.using(timeout=0.05)
            job = await mail.postlude.add_task(hasty, 7, to="ada@example.org", tenant="acme")
            status = await waits_again(mail, job.id, 1)  # a TimeoutError is an OSError: on= covers it
            assert status.error is not None
            assert "0.05" in status.error
        mail.clock.advance(1)
        await becomes(mail.postlude, job, State.SUCCEEDED)
    assert (mail.post.tries, mail.post.left, len(mail.post.sent)) == (2, 1, 1)


async def test_so_many_run_at_once_for_each_tenant(mail: ModuleType) -> None:
    add, send = mail.postlude.add_task, mail.send_receipt
    async with serving(mail.postlude):
        with mail.post.closed():
            jobs = [await add(send, number, to="ada@example.org", tenant="acme") for number in range(9)]
            jobs += [await add(send, number, to="bob@example.org", tenant="globex") for number in range(2)]
            await reaches(6, mail, "tries")
            assert mail.post.busy == {"acme": 4, "globex": 2}
        for job in jobs:
            await becomes(mail.postlude, job, State.SUCCEEDED)
    assert mail.post.most == {"acme": 4, "globex": 2}


async def test_so_many_start_within_a_minute(mail: ModuleType) -> None:
    calls = [mail.send_receipt.call(n, to="ada@example.org", tenant=f"t{n}") for n in range(105)]
    async with serving(mail.postlude):
        await mail.postlude.add_tasks(calls)

        async def has_sent(number: int) -> None:
            async def look() -> bool | None:
                return await succeeded(mail) >= number or None

            await eventually(look)
            assert len(mail.post.sent) == number

        await has_sent(100)
        mail.clock.advance(1.2)  # one each 0.6 s
        await has_sent(102)
        mail.clock.advance(60)
        await has_sent(105)


async def test_a_job_that_waits_for_its_tenants_others_keeps_nobody_else_waiting(mail: ModuleType) -> None:
    add, send = mail.postlude.add_task, mail.send_receipt
    async with serving(mail.postlude):
        with mail.post.closed("acme"):
            for number in range(20):
                await add(send, number, to="ada@example.org", tenant="acme")
            job = await add(send, 99, to="bob@example.org", tenant="globex")
            await becomes(mail.postlude, job, State.SUCCEEDED)
            assert mail.post.orders == [99]
        await reaches(21, mail, "tries")


async def test_what_a_call_sets_does_not_change_the_task(mail: ModuleType) -> None:
    mail.send_receipt.using(timeout=1, queue="other", priority=9)
    policy = mail.send_receipt.policy
    assert (policy.timeout, policy.queue, policy.priority) == (30, "mail", 0)
    assert asyncio.iscoroutinefunction(mail.send_receipt.using(delay=1))
