"""What an attempt had in its hands is gone when it has ended: nothing is left to the garbage collector."""

import gc
import logging
import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi import BackgroundTasks, FastAPI
from fastapi.testclient import TestClient

from postlude import Fixed, Job, Postlude, Retry
from postlude.errors import JobCancelled, JobFailed
from tests.app import freed
from tests.app.serving import EAGER, eventually, serving

pytestmark = pytest.mark.anyio

WAYS = [freed.on_loop, freed.in_thread, freed.filled, freed.filled_in_thread]
ENDINGS = [
    "returned",
    "failed",
    "chained",
    "retried",
    "discarded",
    "snoozed",
    "cancelled",
    "late",
    "swallowed",
]


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    """Nothing may need it; and no handler of the tests keeps the records of what was raised."""
    logging.disable(logging.CRITICAL)
    gc.disable()
    freed.GO.clear()
    freed.STARTED.clear()
    yield
    freed.GO.set()
    gc.enable()
    logging.disable(logging.NOTSET)
    freed.ALIVE.clear()


async def nothing_is_left() -> None:
    async def look() -> bool | None:
        return None if freed.ALIVE else True

    try:
        await eventually(look, 2)
    except TimeoutError:
        raise AssertionError(sorted(cargo.of for cargo in freed.ALIVE)) from None


async def ended(job: Job[Any], how: str) -> None:
    async def started() -> bool | None:
        return freed.STARTED.is_set() or None

    if how == "cancelled":
        await eventually(started)
        await job.cancel()
    try:
        await job.result(timeout=10)
    except (JobFailed, JobCancelled):
        assert how not in ("returned", "retried", "snoozed")
    else:
        assert how in ("returned", "retried", "snoozed")
    freed.GO.set()


@pytest.mark.parametrize("how", ENDINGS)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: str(way.__name__))
async def test_nothing_of_an_attempt_is_left(way: Callable[..., Any], how: str) -> None:
    app = FastAPI()
    postlude = Postlude(app, store="memory", config=EAGER)
    task = postlude.task(
        name="way",
        retry=Retry(2 if how == "retried" else 1, Fixed(0)),
        timeout=0.02 if how in ("late", "swallowed") else None,
    )(way)
    async with serving(postlude):
        await ended(await postlude.add_task(task, how, freed.Cargo("of the call")), how)
        await nothing_is_left()


@pytest.mark.parametrize("how", ["returned", "failed"])
async def test_nor_of_one_that_others_have_followed(how: str) -> None:
    """Plain functions of one request run in order."""
    app = FastAPI()
    Postlude(app, store="memory")

    @app.post("/")
    def add(tasks: BackgroundTasks) -> None:
        for _ in range(3):
            tasks.add_task(freed.on_loop, how, freed.Cargo("of the call"))

    with TestClient(app) as client:
        assert client.post("/").status_code == 200
        await nothing_is_left()


@pytest.mark.parametrize("how", ["returned", "failed", "discarded"])
@pytest.mark.parametrize("way", [freed.on_loop, freed.in_thread, freed.filled, freed.filled_in_thread])
async def test_nor_where_no_runner_serves(way: Callable[..., Any], how: str) -> None:
    """Jobs run inside the request then."""
    app = FastAPI()
    postlude = Postlude(app, store="memory")
    task = postlude.task(name="way", retry=Retry(attempts=1))(way)

    @app.post("/")
    def add(tasks: BackgroundTasks) -> None:
        tasks.add_task(task, how, freed.Cargo("of the call"))

    assert TestClient(app).post("/").status_code == 200
    await nothing_is_left()


@pytest.mark.disk
async def test_each_lifespan_gives_back_its_descriptors() -> None:
    """On one loop, as a suite of tests or a host that reloads has it."""
    postlude = Postlude(FastAPI(), store="sqlite:///jobs.db")
    task = postlude.task(name="end")(freed.end)
    counts = []
    for _ in range(20):
        async with serving(postlude):
            await (await postlude.add_task(task, "returned")).result(timeout=5)
        counts.append(len(os.listdir("/dev/fd")))
    assert len(set(counts[1:])) == 1
