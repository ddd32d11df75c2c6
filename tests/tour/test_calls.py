"""Tour, part 4: what one call sets, and what is refused on the line that asks for it."""

from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest

from postlude import Job, KeyTaken
from postlude.clock import SECOND
from postlude.model.state import Reason, State
from tests.app.serving import becomes, eventually, serving
from tests.tour.conftest import Visiting

pytestmark = pytest.mark.anyio

TO = {"to": "ada@example.org", "tenant": "acme"}


async def jobs_of(mail: ModuleType) -> int:
    return sum(count.jobs for count in await mail.postlude.inspector.counts())


async def one_after(mail: ModuleType, order: int) -> None:
    """Let another job run, so that whatever could have started before it has."""
    job = await mail.postlude.add_task(mail.send_receipt, order, **TO)
    await becomes(mail.postlude, job, State.SUCCEEDED)


async def test_the_call_of_the_tour(mail: ModuleType, visiting: Visiting) -> None:
    async with visiting(mail) as client:
        for _ in range(3):  # one key: one job
            assert (await client.post("/receipts")).json() == {"status": "asked"}
        (status,) = await mail.postlude.inspector.page()
        assert (status.queue, status.priority, status.scheduled) == ("mail", 5, True)
        assert status.due is not None
        assert status.due - status.created == timedelta(seconds=600)

        mail.clock.advance(599)
        await one_after(mail, 8)
        assert mail.post.orders == [8]
        mail.clock.advance(1)

        async def both() -> bool | None:
            return mail.post.orders == [8, 7] or None

        await eventually(both)


async def test_lower_priorities_run_first(mail: ModuleType) -> None:
    add, send = mail.postlude.add_task, mail.send_receipt
    jobs = [
        await add(send.using(priority=priority, queue="one"), priority, **TO) for priority in (5, 0, -5, 5)
    ]
    async with serving(mail.postlude):
        for job in jobs:
            await becomes(mail.postlude, job, State.SUCCEEDED)
    assert mail.post.orders == [-5, 0, 5, 5]


async def test_a_key_is_taken_while_its_job_waits_and_runs(mail: ModuleType) -> None:
    send = mail.send_receipt.using(key="receipt:7")
    async with serving(mail.postlude):
        with mail.post.closed():
            first = await mail.postlude.add_task(send, 7, **TO)
            await becomes(mail.postlude, first, State.RUNNING)
            second = await mail.postlude.add_task(send, 8, **TO)
            assert (await mail.postlude.inspector.get(second.id)).id == first.id
            assert await jobs_of(mail) == 1
        await first.result(timeout=10)
        await second.result(timeout=10)
        third = await mail.postlude.add_task(send, 9, **TO)
        await third.result(timeout=10)
    assert mail.post.orders == [7, 9]


async def test_a_key_is_its_tasks_own(mail: ModuleType) -> None:
    @mail.postlude.task(name="other")  # type: ignore[untyped-decorator]
    async def other() -> None: ...

    await mail.postlude.add_task(mail.send_receipt.using(key="7"), 7, **TO)
    await mail.postlude.add_task(other.using(key="7"))
    assert await jobs_of(mail) == 2


async def test_replace_with_delay_is_a_debounce(mail: ModuleType) -> None:
    later = mail.send_receipt.using(delay=600, key="receipt:7", on_conflict="replace")
    async with serving(mail.postlude):
        job = await mail.postlude.add_task(later, 1, **TO)
        mail.clock.advance(300)
        again = await mail.postlude.add_task(later, 2, **TO)
        mail.clock.advance(400)
        await one_after(mail, 99)
        assert mail.post.orders == [99]
        mail.clock.advance(200)
        await again.result(timeout=10)
        await job.result(timeout=10)
        assert await jobs_of(mail) == 2
    assert mail.post.orders == [99, 2]


async def test_raise_says_that_the_key_is_taken(mail: ModuleType, visiting: Visiting) -> None:
    async with visiting(mail) as client:
        assert (await client.post("/receipts/7/only")).status_code == 200
        assert (await client.post("/receipts/7/only")).status_code == 409
        assert (await client.post("/receipts/8/only")).status_code == 200
        with pytest.raises(KeyTaken):
            await mail.postlude.add_task(
                mail.send_receipt.using(key="receipt:7", on_conflict="raise"), 7, **TO
            )
        assert await jobs_of(mail) == 2


@pytest.mark.parametrize("late", [False, True])
async def test_what_starts_too_late_is_dropped(mail: ModuleType, late: bool) -> None:
    job = await mail.postlude.add_task(mail.send_receipt.using(expires=60), 7, **TO)
    mail.clock.advance(61 if late else 59)
    async with serving(mail.postlude):
        status = await becomes(mail.postlude, job, State.CANCELLED if late else State.SUCCEEDED)
    assert status.reason == (Reason.EXPIRED if late else None)
    assert mail.post.tries == (0 if late else 1)


async def test_at_most_once_is_not_attempted_again(mail: ModuleType) -> None:
    mail.post.errors = [OSError("reset")]
    async with serving(mail.postlude):
        once = mail.send_receipt.using(delivery="at_most_once")
        job = await mail.postlude.add_task(once, 7, **TO)
        status = await becomes(mail.postlude, job, State.FAILED)
    assert (mail.post.tries, len(status.attempts)) == (1, 1)


@pytest.mark.parametrize(("delivery", "again"), [("at_most_once", False), ("at_least_once", True)])
async def test_what_was_running_at_the_end_runs_again_unless_at_most_once(
    mail: ModuleType, delivery: str, again: bool
) -> None:
    async with serving(mail.postlude):
        with mail.post.closed() as release:
            send = mail.send_receipt.using(delivery=delivery)
            job = await mail.postlude.add_task(send, 7, **TO)
            await becomes(mail.postlude, job, State.RUNNING)
            await mail.postlude.drain()
            release.set()
    assert mail.post.left == 1
    async with serving(mail.postlude):
        await becomes(mail.postlude, job, State.SUCCEEDED if again else State.FAILED)
    assert mail.post.tries == (2 if again else 1)


async def test_only_on_failure_outlives_a_request_that_fails(mail: ModuleType, visiting: Visiting) -> None:
    async with visiting(mail) as client:
        assert (await client.post("/payments")).status_code == 402
        await one_after(mail, 99)
        (audit, _) = sorted(await mail.postlude.inspector.page(), key=lambda status: status.seq)
        assert audit.arguments is not None
        assert audit.arguments.named["to"] == "audit@example.org"
        await becomes(mail.postlude, Job(bytes.fromhex(audit.id.replace("-", "")), "", ""), State.SUCCEEDED)
    assert sorted(mail.post.orders) == [1, 99]


async def test_the_result_of_ones_own_job_is_refused_on_that_line(
    mail: ModuleType, visiting: Visiting
) -> None:
    async with visiting(mail) as client:
        answer = await client.post("/impatient", timeout=5)
        assert answer.status_code == 200
        assert "await postlude.add_task" in answer.json()

        async def sent() -> bool | None:
            return mail.post.orders == [7] or None

        await eventually(sent)  # the request has succeeded, and so its job runs


async def test_add_task_of_a_postlude_stores_at_once(mail: ModuleType, visiting: Visiting) -> None:
    async with visiting(mail) as client:
        assert (await client.post("/patient", timeout=5)).status_code == 402
    assert mail.post.orders == [7]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"delay": -1}, "delay=-1"),
        ({"delay": 1, "at": 7}, "at=7"),
        ({"dealy": 1}, "did you mean delay="),
        ({"limit": 1}, "it belongs to @postlude.task"),
        ({"on_conflict": "raise"}, "give key= too"),
    ],
)
async def test_options_that_are_mistaken(mail: ModuleType, options: dict[str, Any], told: str) -> None:
    with pytest.raises(Exception, match="=") as caught:
        mail.send_receipt.using(**options)
    assert told in str(caught.value)


async def test_times_of_calls_are_the_clocks(mail: ModuleType) -> None:
    now = mail.clock.now()
    job = await mail.postlude.add_task(mail.send_receipt.using(delay=timedelta(minutes=1)), 7, **TO)
    status = await mail.postlude.inspector.get(job.id)
    assert status.due is not None
    assert round(status.due.timestamp() * SECOND) == now + 60 * SECOND
