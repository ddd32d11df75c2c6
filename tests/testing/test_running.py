"""Running what is held: on the right event loop, by the real runner, at the times of a hand-turned clock."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from fastapi.testclient import TestClient

from postlude import Postlude, PostludeError
from postlude.model.retry import Fixed, Retry
from postlude.model.state import State
from postlude.testing import Drained, PostludeJobs
from postlude.testing import rounds as rounds_module
from tests.testing import shop
from tests.testing.shop import add_more, app, deliver, fails, postlude, send_receipt, use_mailer


@pytest.fixture
def served() -> Iterator[TestClient]:
    with TestClient(app) as client:
        yield client


@pytest.fixture
async def async_client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        yield client


async def again(text: str) -> None:
    await postlude.add_task(again, text)


def test_jobs_that_jobs_add_run_too(postlude_jobs: PostludeJobs, done: list[str]) -> None:
    TestClient(app).post("/more/3")
    assert postlude_jobs.drain() == Drained(succeeded=4)
    assert done == ["more 3", "more 2", "more 1", "more 0"]
    assert postlude_jobs.drain() == Drained()


def test_jobs_of_one_postlude_that_add_to_another_one(postlude_jobs: PostludeJobs, done: list[str]) -> None:
    others = [Postlude(store="memory", packages=["tests"]) for _ in range(3)]
    for other in others:
        other.blocking.add_task(add_more, 2)
    assert postlude_jobs.drain() == Drained(succeeded=9)


def test_errors_are_recorded_and_raised_if_asked(
    postlude_jobs: PostludeJobs, done: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    client = TestClient(app)
    client.post("/failing", params={"text": "one"})
    assert postlude_jobs.drain() == Drained(failed=1)
    job = postlude_jobs.assert_added(fails, "one")
    assert (job.state, job.error) == (State.FAILED, "ValueError: one")
    assert str(job).endswith("failed after ValueError: one")
    assert "failed, attempt 1" in caplog.text

    client.post("/failing", params={"text": "two"})
    with pytest.raises(ValueError, match="two") as caught:
        postlude_jobs.drain(raise_errors=True)
    assert "fails" in caught.value.__notes__[0]

    client.post("/failing", params={"text": "three"})
    client.post("/failing", params={"text": "four"})
    with pytest.raises(ExceptionGroup) as group:
        postlude_jobs.drain(raise_errors=True)
    assert sorted(map(str, group.value.exceptions)) == ["four", "three"]
    assert postlude_jobs.drain(raise_errors=True) == Drained()


def test_a_retry_waits_for_its_time(postlude_jobs: PostludeJobs, done: list[str]) -> None:
    shop.FAILURES["p"] = 2
    TestClient(app).post("/parcels/p")
    assert postlude_jobs.drain() == Drained(retrying=1)
    assert postlude_jobs.drain() == Drained()
    job = postlude_jobs.assert_added(deliver, "p")
    assert job.due is not None
    assert job.due >= postlude_jobs.now
    assert job.failures == 1
    began = time.monotonic()
    assert postlude_jobs.advance(hours=1) == Drained(succeeded=1)
    assert time.monotonic() - began < 5.0
    assert done == ["deliver p"] * 3


def test_the_clock_steps_from_due_time_to_due_time(postlude_jobs: PostludeJobs) -> None:
    own = Postlude(store="memory", packages=["tests"])
    start, seen = postlude_jobs.now, list[tuple[str, timedelta]]()

    async def note(name: str) -> None:
        seen.append((name, postlude_jobs.now - start))
        raise ConnectionError

    slow = own.task(note, name="slow", retry=Retry(attempts=3, backoff=Fixed(60)))
    own.blocking.add_task(slow, "slow")
    second = Postlude(store="memory", packages=["tests"])
    fast = second.task(note, name="fast", retry=Retry(attempts=3, backoff=Fixed(50)))
    second.blocking.add_task(fast, "fast")
    assert postlude_jobs.advance(minutes=1, seconds=30) == Drained(retrying=2)
    assert postlude_jobs.advance(seconds=10) == Drained(failed=1, retrying=0)
    assert postlude_jobs.advance(days=1) == Drained(failed=1)
    assert sorted(seen[:2]) == [("fast", timedelta(0)), ("slow", timedelta(0))]
    assert seen[2:] == [
        ("fast", timedelta(seconds=50)),
        ("slow", timedelta(seconds=60)),
        ("fast", timedelta(seconds=100)),
        ("slow", timedelta(seconds=120)),
    ]
    assert postlude_jobs.now - start == timedelta(days=1, seconds=100)


def test_the_clock_starts_where_it_is_told() -> None:
    first = datetime(2026, 3, 1, 7, tzinfo=UTC)
    with PostludeJobs(now=first) as jobs:
        assert jobs.now == first
        jobs.advance(days=1, hours=1.5)
        assert jobs.now == first + timedelta(days=1, hours=1.5)
    with pytest.raises(ValueError, match="timezone"):
        PostludeJobs(now=datetime(2026, 3, 1))  # noqa: DTZ001


def test_the_clock_does_not_go_back(postlude_jobs: PostludeJobs) -> None:
    with pytest.raises(PostludeError, match="cannot go back"):
        postlude_jobs.advance(seconds=-1)


def test_jobs_without_an_end_are_told_of(
    postlude_jobs: PostludeJobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds_module, "MOST", 50)
    postlude.blocking.add_task(again, "x")
    with pytest.raises(PostludeError, match="50 attempts ran and jobs are still due"):
        postlude_jobs.drain()


def test_many_jobs(postlude_jobs: PostludeJobs, done: list[str]) -> None:
    for number in range(3000):
        postlude.blocking.add_task(send_receipt, number, "ada")
    assert postlude_jobs.drain() == Drained(succeeded=3000)
    assert len(done) == 3000


def test_jobs_of_one_request_keep_their_order(postlude_jobs: PostludeJobs, done: list[str]) -> None:
    client = TestClient(app)
    for number in range(20):
        client.post("/orders", params={"number": number, "to": "ada"})
    postlude_jobs.drain()
    for number in range(20):
        assert done.index(f"receipt {number} ada") < done.index(f"ledger {number}")


def test_a_job_whose_function_is_gone_is_parked(postlude_jobs: PostludeJobs) -> None:
    own = Postlude(store="memory", packages=["tests"])

    async def later() -> None: ...

    own.blocking.add_task(own.task(later, name="later"))
    registry = own.components.registry
    for names in (registry._by_name, registry._declared):
        names.clear()
    assert postlude_jobs.of(own).drain() == Drained(parked=1)
    assert [job.state for job in postlude_jobs.waiting] == [State.PARKED]


# Event loops


def test_jobs_run_on_the_loop_of_the_lifespan(
    postlude_jobs: PostludeJobs, served: TestClient, done: list[str]
) -> None:
    served.post("/mail")
    assert postlude_jobs.drain(raise_errors=True) == Drained(succeeded=1)


def test_jobs_run_on_the_loop_of_a_lifespan_that_began_before(
    served: TestClient, postlude_jobs: PostludeJobs, done: list[str]
) -> None:
    served.post("/mail")
    assert postlude_jobs.drain(raise_errors=True) == Drained(succeeded=1)


def test_jobs_run_on_the_loop_of_a_lifespan_that_rests_meanwhile(
    postlude_jobs: PostludeJobs, done: list[str]
) -> None:
    """As with an async fixture in a test that is not async."""
    loop = asyncio.new_event_loop()
    shop.MAILER["loop"] = loop
    loop.run_until_complete(postlude.open())
    loop.run_until_complete(postlude.start())
    postlude.blocking.add_task(use_mailer)
    assert postlude_jobs.drain(raise_errors=True) == Drained(succeeded=1)
    loop.run_until_complete(postlude.drain())
    loop.run_until_complete(postlude.close())
    loop.close()


@pytest.mark.anyio
async def test_in_an_async_test(
    postlude_jobs: PostludeJobs, async_client: httpx.AsyncClient, done: list[str]
) -> None:
    response = await async_client.post("/orders", params={"number": 7, "to": "ada"})
    assert response.status_code == 200
    postlude_jobs.assert_added(send_receipt, 7, to="ada")
    assert done == []
    assert await postlude_jobs.drain_async() == Drained(succeeded=2)
    assert done == ["receipt 7 ada", "ledger 7"]


@pytest.mark.anyio
async def test_in_an_async_test_with_a_lifespan(postlude_jobs: PostludeJobs, done: list[str]) -> None:
    shop.MAILER["loop"] = asyncio.get_running_loop()
    await postlude.open()
    await postlude.start()
    await postlude.add_task(use_mailer)
    shop.FAILURES["p"] = 3
    await postlude.add_task(deliver, "p")
    assert await postlude_jobs.drain_async(raise_errors=False) == Drained(succeeded=1, retrying=1)
    assert await postlude_jobs.advance_async(hours=1) == Drained(succeeded=1)
    await postlude.drain()
    await postlude.close()


@pytest.mark.anyio
async def test_an_async_test_whose_lifespan_runs_in_another_thread(
    postlude_jobs: PostludeJobs, done: list[str]
) -> None:
    with TestClient(app) as client:
        client.post("/mail")
        assert await postlude_jobs.drain_async(raise_errors=True) == Drained(succeeded=1)


@pytest.mark.anyio
async def test_a_loop_is_not_blocked(postlude_jobs: PostludeJobs) -> None:
    with pytest.raises(RuntimeError, match=r"await postlude_jobs.drain_async\(\)"):
        postlude_jobs.drain()
    with pytest.raises(RuntimeError, match=r"await postlude_jobs.advance_async\(\)"):
        postlude_jobs.advance(hours=1)


@pytest.mark.anyio
async def test_a_lifespan_on_a_loop_that_cannot_turn_is_told_of(postlude_jobs: PostludeJobs) -> None:
    resting = asyncio.new_event_loop()
    await postlude.open()
    await asyncio.to_thread(resting.run_until_complete, postlude.start())
    await postlude.add_task(use_mailer)
    with pytest.raises(PostludeError, match="lifespan runs on another event loop"):
        await postlude_jobs.drain_async()
    await asyncio.to_thread(resting.run_until_complete, postlude.drain())
    resting.close()


def test_draining_leaves_no_runner_behind(
    postlude_jobs: PostludeJobs, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        TestClient(app).post("/more/1")
        postlude_jobs.drain()
    assert postlude.components.producer.attached is None
    assert caplog.text == ""
