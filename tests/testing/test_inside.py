"""What tasks do that run in a test: add and await others, use dependencies, processes and results."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, Request
from fastapi.testclient import TestClient

from postlude import Postlude
from postlude.engines.local import Local
from postlude.model.limits import Rate
from postlude.model.state import State
from postlude.testing import Drained, PostludeJobs

OPEN: list[str] = []
"""What the lifespan has opened."""


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    OPEN.append("open")
    yield
    OPEN.clear()


def pool(request: Request) -> str:
    return f"{OPEN[0]} {request.app.title}"


app = FastAPI(title="shop", lifespan=lifespan)
postlude = Postlude(app, store="memory", packages=["tests"], queues={"slow": Local(rate=Rate(2, per=60))})
SEEN: list[Any] = []


@postlude.task(name="inside.double")
async def double(number: int) -> int:
    return number * 2


@postlude.task(name="inside.asks")
async def asks(number: int) -> int:
    job = await postlude.add_task(double, number)
    return await job.result(timeout=20) + 1


@postlude.task(name="inside.injected")
async def injected(pool: str = Depends(pool)) -> None:
    SEEN.append(pool)


@postlude.task(name="inside.annotated")
async def annotated(number: int, pool: Annotated[str, Depends(pool)]) -> None: ...


@postlude.task(name="inside.square", run="process")
def square(number: int) -> int:
    return number * number


@postlude.task(name="inside.slow", queue="slow")
async def slow() -> None: ...


@app.post("/injected")
async def add(tasks: BackgroundTasks) -> None:
    tasks.add_task(injected)


def test_a_task_that_waits_for_another_ones_result(postlude_jobs: PostludeJobs) -> None:
    postlude.blocking.add_task(asks, 4)
    assert postlude_jobs.drain(raise_errors=True) == Drained(succeeded=2)
    assert [job.result for job in postlude_jobs.added()] == [9, 8]


def test_dependencies_see_what_the_lifespan_has_opened(postlude_jobs: PostludeJobs) -> None:
    SEEN.clear()
    with TestClient(app) as client:
        client.post("/injected")
        postlude_jobs.drain(raise_errors=True)
        app.dependency_overrides[pool] = lambda: "other"
        client.post("/injected")
        postlude_jobs.drain(raise_errors=True)
        app.dependency_overrides.clear()
    assert SEEN == ["open shop", "other"]
    assert postlude_jobs.assert_added(injected).state is State.SUCCEEDED


def test_what_depends_fills_is_no_part_of_a_call(postlude_jobs: PostludeJobs) -> None:
    postlude.blocking.add_task(annotated, 7)  # type: ignore[call-overload]
    postlude_jobs.assert_added(annotated, 7)
    postlude_jobs.assert_added(annotated, number=7)
    postlude_jobs.assert_not_added(annotated, 8)
    with pytest.raises(AssertionError, match="number is 7, not 8"):
        postlude_jobs.assert_added(annotated, 8)


@pytest.mark.process
def test_a_task_of_the_process_pool(postlude_jobs: PostludeJobs) -> None:
    postlude.blocking.add_task(square, 7)
    assert postlude_jobs.drain(raise_errors=True) == Drained(succeeded=1)
    assert postlude_jobs.assert_added(square, 7).result == 49


def test_the_rate_of_a_queue(postlude_jobs: PostludeJobs) -> None:
    for _ in range(5):
        postlude.blocking.add_task(slow)
    assert postlude_jobs.drain() == Drained(succeeded=2)
    assert postlude_jobs.advance(seconds=61).jobs in (2, 3)
    assert postlude_jobs.advance(minutes=2).jobs in (0, 1)
    assert postlude_jobs.waiting == []
