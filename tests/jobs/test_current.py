"""A task that uses `current_job()` is still a function: it can be called where no job runs."""

import asyncio
import threading
from typing import Any

import pytest
from fastapi import BackgroundTasks, FastAPI
from fastapi.testclient import TestClient

from postlude import Postlude, current_job, raise_if_cancelled
from postlude.jobs.current import CurrentJob

pytestmark = pytest.mark.anyio


async def reads(rows: int) -> CurrentJob:
    job = current_job()
    for done in range(1, rows + 1):
        await job.progress(done, rows, "rows")
        raise_if_cancelled()
    return job


def reads_in_a_thread(rows: int) -> CurrentJob:
    job = current_job()
    for done in range(1, rows + 1):
        job.progress(done, rows)
        job.raise_if_cancelled()
    return job


async def test_both_kinds_of_task() -> None:
    postlude = Postlude(store="memory")
    for found in (await postlude.task(reads)(3), postlude.task(reads_in_a_thread)(3), await reads(3)):
        assert (found.detached, found.cancelled, found.attempt) == (True, False, 1)
        assert found.last_progress is not None
        assert (found.last_progress.done, found.last_progress.total) == (3, 3)


async def test_in_a_thread_that_knows_nothing() -> None:
    seen: list[CurrentJob] = []
    thread = threading.Thread(target=lambda: seen.append(reads_in_a_thread(1)))
    thread.start()
    await asyncio.to_thread(thread.join)
    assert seen[0].detached


@pytest.mark.parametrize("store", ["memory", "off"])
def test_a_task_that_runs_in_memory(store: str) -> None:
    app = FastAPI()
    Postlude(app, store=store)
    seen: list[Any] = []

    def task(rows: int) -> None:
        seen.append(reads_in_a_thread(rows).detached)

    @app.post("/")
    async def add(background_tasks: BackgroundTasks) -> None:
        background_tasks.add_task(task, 2)

    TestClient(app).post("/")
    assert seen == [True]


async def test_in_a_job_it_is_the_jobs() -> None:
    postlude = Postlude(store="memory", packages=["tests"])
    seen: list[Any] = []

    @postlude.task
    async def looks() -> None:
        seen.append((current_job().detached, current_job().id, current_job().task))

    await postlude.open()
    await postlude.start()
    job = await postlude.add_task(looks)
    await job.result(5)
    await postlude.drain()
    await postlude.close()
    assert seen == [(False, job.id, job.task)]
