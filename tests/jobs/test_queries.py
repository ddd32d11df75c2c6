"""Waiting for what jobs return: `await job.result()`."""

import asyncio
import logging
from collections.abc import Awaitable, Iterator
from typing import Any
from uuid import UUID, uuid4

import anyio.from_thread
import httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from postlude import Config, Job, JobNotFound, JournalUnavailable, Postlude
from postlude.errors import InvalidResult, JobCancelled, JobFailed, ResultDropped, WaitsForItself
from postlude.fastapi import BackgroundTasks
from postlude.model.job import Cancel
from postlude.model.snapshot import Snapshot
from postlude.model.state import State
from tests.app import returning, work
from tests.app.returning import Report
from tests.app.serving import becomes, serving

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def batching() -> Iterator[None]:
    returning.GATE.clear()
    yield
    returning.GATE.set()


@pytest.mark.parametrize("function", [returning.report, returning.report_sync])
@pytest.mark.parametrize("declared", [True, False])
async def test_it_is_what_the_function_returned(function: Any, declared: bool, location: str) -> None:
    postlude = Postlude(store=location)
    if declared:
        function = postlude.task(function)
    async with serving(postlude):
        result = await (await postlude.add_task(function, 3)).result(timeout=10)
    assert type(result) is Report
    assert result.orders == 3


async def test_every_one_who_waits_hears_it(location: str) -> None:
    postlude = Postlude(store=location)
    async with serving(postlude):
        job = await postlude.add_task(returning.waits)
        waits = [asyncio.create_task(job.result(timeout=10)) for _ in range(20)]
        await asyncio.sleep(0.05)
        returning.GATE.set()
        assert await asyncio.gather(*waits) == ["done"] * 20
        assert await job.result(timeout=0.5) == "done", "also who asks later"
        assert not postlude.components.hub.watched


async def test_nothing_is_a_result_too(location: str) -> None:
    postlude = Postlude(store=location)
    async with serving(postlude):
        assert await (await postlude.add_task(returning.nothing)).result(timeout=10) is None  # type: ignore[func-returns-value]


async def test_a_job_that_fails(location: str) -> None:
    postlude = Postlude(store=location)
    async with serving(postlude):
        job = await postlude.add_task(returning.breaks, "no")
        with pytest.raises(JobFailed, match=r"^ValueError: no$"):
            await job.result(timeout=10)


async def test_a_job_that_is_cancelled(location: str) -> None:
    postlude = Postlude(store=location)
    job = await postlude.add_task(returning.nothing)
    waiting = asyncio.create_task(job.result(timeout=10))
    await asyncio.sleep(0.05)
    assert await job.cancel() is Cancel.CANCELLED
    with pytest.raises(JobCancelled, match="cancelled"):
        await asyncio.wait_for(waiting, 0.2)
    assert await job.cancel() is Cancel.TOO_LATE
    await postlude.close()


async def test_a_running_job_that_is_cancelled(location: str) -> None:
    postlude = Postlude(store=location)
    async with serving(postlude):
        job = await postlude.add_task(returning.waits)
        await becomes(postlude, job, State.RUNNING)
        assert await job.cancel() is Cancel.ASKED
        with pytest.raises(JobCancelled):
            await job.result(timeout=10)


async def test_a_job_that_gives_up(location: str) -> None:
    postlude = Postlude(store=location)
    async with serving(postlude):
        job = await postlude.add_task(returning.gives_up)
        with pytest.raises(JobCancelled, match=r"^discarded: .*not worth it"):
            await job.result(timeout=10)


async def test_a_result_that_is_dropped(location: str, caplog: pytest.LogCaptureFixture) -> None:
    postlude = Postlude(store=location, config=Config(max_result=100))
    declared = postlude.task(returning.anything)
    large = postlude.task(returning.a_lot)
    async with serving(postlude):
        for job in (
            await postlude.add_task(declared),
            await postlude.add_task(declared),
            await postlude.add_task(large, 99),
        ):
            with pytest.raises(ResultDropped, match=job.task):
                await job.result(timeout=10)
        assert len(await (await postlude.add_task(large, 98)).result(timeout=10)) == 98
    said = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert len([text for text in said if "is not kept" in text]) == 2


async def test_it_waits_no_longer_than_it_is_told(location: str) -> None:
    postlude = Postlude(store=location)
    async with serving(postlude):
        job = await postlude.add_task(returning.waits)
        with pytest.raises(TimeoutError, match=job.id):
            await job.result(timeout=0.05)
        returning.GATE.set()
        assert await job.result(timeout=10) == "done"


@pytest.mark.disk
async def test_a_handle_by_id() -> None:
    postlude = Postlude(store="sqlite:///jobs.db")
    async with serving(postlude):
        job = await postlude.add_task(returning.report, 3)
        await job.result(timeout=10)
    other = Postlude(store="sqlite:///jobs.db")
    for id in (job.id, UUID(job.id)):
        found = await other.job(id)
        assert (found.id, found.task, found.queue) == (job.id, "tests.app.returning:report", "default")
        assert found == job
        assert type(await found.result()) is Report
    for unknown in (str(uuid4()), "nonsense"):
        with pytest.raises(JobNotFound):
            await other.job(unknown)
    await other.close()


@pytest.mark.disk
async def test_of_an_unknown_task_it_is_json() -> None:
    postlude = Postlude(store="sqlite:///jobs.db")
    declared = postlude.task(returning.report, name="shop:report")
    async with serving(postlude):
        job = await postlude.add_task(declared, 3)
        await job.result(timeout=10)
    other = Postlude(store="sqlite:///jobs.db")
    assert await (await other.job(job.id)).result() == {"orders": 3, "names": ["Ada", "Bob"]}
    await other.close()


@pytest.mark.disk
async def test_a_result_that_fits_no_longer() -> None:
    postlude = Postlude(store="sqlite:///jobs.db")
    async with serving(postlude):
        job = await postlude.add_task(postlude.task(returning.report, name="shop:report"), 3)
        await job.result(timeout=10)
    other = Postlude(store="sqlite:///jobs.db")
    other.task(work.note, name="shop:report")
    with pytest.raises(InvalidResult, match="shop:report"):
        await (await other.job(job.id)).result()
    await other.close()


@pytest.mark.disk
async def test_the_journal_cannot_be_read() -> None:
    postlude = Postlude(store="sqlite:///jobs.db")
    async with serving(postlude):
        job = await postlude.add_task(returning.waits)
        waiting = asyncio.create_task(job.result())
        await asyncio.sleep(0.05)
        postlude.components.store.close()
        postlude.components.hub.look()
        with pytest.raises(JournalUnavailable):
            await asyncio.wait_for(waiting, 5)
        postlude.components.store.open()
        returning.GATE.set()


def an_application(postlude: Postlude) -> FastAPI:
    app = FastAPI()

    @app.post("/asks")
    async def asks(tasks: BackgroundTasks) -> dict[str, str]:
        job = tasks.add_task(returning.report, 3)
        said = {}
        for name, question in questions(job).items():
            with pytest.raises(WaitsForItself) as raised:
                await question
            said[name] = str(raised.value)
        return said

    @app.post("/sync")
    def from_a_thread(tasks: BackgroundTasks) -> str:
        job = tasks.add_task(returning.report, 3)
        with pytest.raises(WaitsForItself):
            anyio.from_thread.run(job.result)
        return "told"

    @app.post("/stores")
    async def stores(tasks: BackgroundTasks) -> int:
        tasks.add_task(returning.nothing)
        job = await postlude.add_task(returning.report, 3)
        return (await job.result(timeout=10)).orders

    @app.post("/spawns")
    async def spawns(tasks: BackgroundTasks) -> None:
        job = tasks.add_task(returning.report, 3)
        app.state.waiting = asyncio.get_running_loop().create_task(later(job))

    postlude.install(app)
    return app


def questions(job: Job[Any]) -> dict[str, Awaitable[Any]]:
    return {
        "result": job.result(),
        "status": job.status(),
        "progress": job.progress(),
        "cancel": job.cancel(),
        "changes": anext(aiter(job.changes())),
    }


async def later(job: Job[Report]) -> int:
    while True:
        try:
            return (await job.result(timeout=10)).orders
        except WaitsForItself:
            await asyncio.sleep(0.001)


async def test_a_request_cannot_wait_for_itself(location: str) -> None:
    postlude = Postlude(store=location)
    transport = httpx.ASGITransport(app=an_application(postlude))
    async with serving(postlude), httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        said = (await client.post("/asks")).json()
        assert said.keys() == {"result", "status", "progress", "cancel", "changes"}
        assert all("wait for itself" in text for text in said.values())
        assert (await client.post("/sync")).json() == "told"
        assert (await client.post("/stores")).json() == 3


async def test_what_a_request_spawns_can_wait(location: str) -> None:
    postlude = Postlude(store=location)
    app = an_application(postlude)
    transport = httpx.ASGITransport(app=app)
    async with serving(postlude), httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        for _ in range(10):
            assert (await client.post("/spawns")).status_code == 200
            assert await app.state.waiting == 3


async def test_a_request_that_fails_stores_nothing_to_wait_for(location: str) -> None:
    postlude = Postlude(store=location)
    app = FastAPI()
    kept: list[Job[Any]] = []

    @app.post("/")
    async def fails(tasks: BackgroundTasks) -> None:
        kept.append(tasks.add_task(returning.nothing))
        raise RuntimeError("no")

    postlude.install(app)
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with serving(postlude), httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert (await client.post("/")).status_code == 500
        with pytest.raises(JobNotFound):
            await kept[0].result()


def test_without_a_lifespan(location: str) -> None:
    postlude = Postlude(store=location)
    app = FastAPI()

    @app.post("/")
    async def add(tasks: BackgroundTasks) -> str:
        return tasks.add_task(returning.report, 3).id

    @app.get("/{id}")
    async def result(id: str) -> int:
        return int((await (await postlude.job(id)).result(timeout=10)).orders)

    postlude.install(app)
    client = TestClient(app)
    assert client.get(f"/{client.post('/').json()}").json() == 3
    asyncio.run(postlude.close())


async def test_off_outside_of_requests() -> None:
    postlude = Postlude(store="off")
    job = await postlude.add_task(returning.report, 3)
    assert await job.result() == Report(orders=3, names=("Ada", "Bob"))
    assert await job.status() == Snapshot(State.SUCCEEDED, 1)
    assert [change.state for change in [c async for c in job.changes()]] == [State.SUCCEEDED]
    assert await job.cancel() is Cancel.TOO_LATE
    failed = await postlude.add_task(returning.breaks, "no")
    with pytest.raises(JobFailed, match="ValueError: no"):
        await failed.result()
    assert (await failed.status()).error == "ValueError: no"
    assert await (await asyncio.to_thread(postlude.blocking.add_task, returning.a_lot, 2)).result() == "xx"


async def test_off_in_a_request() -> None:
    postlude = Postlude(store="off")
    app = FastAPI()

    @app.post("/")
    async def add(tasks: BackgroundTasks) -> str:
        job = tasks.add_task(returning.report, 3)
        for question in questions(job).values():
            with pytest.raises(JobNotFound):
                await question
        return job.id

    postlude.install(app)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert (await client.post("/")).status_code == 200
