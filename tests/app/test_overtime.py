"""An attempt that is over its time has timed out, whatever its function does with that."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from fastapi import Depends, FastAPI

from postlude import Fixed, Postlude, Retry
from postlude.model.state import State
from tests.app.serving import EAGER, becomes, serving

pytestmark = pytest.mark.anyio

GO = threading.Event()
COMMITTED: list[str] = []


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    GO.clear()
    COMMITTED.clear()
    yield
    GO.set()


async def session() -> Any:
    yield
    COMMITTED.append("committed")


async def suppresses() -> str:
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(60)
    return "late"


async def goes_on() -> str:
    try:
        await asyncio.sleep(60)
    except BaseException:
        await asyncio.sleep(0.01)
    return "late"


async def in_a_group() -> str:
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(60))
    except BaseException:
        return "late"
    return "never"


async def keeps_the_loop() -> str:
    time.sleep(0.05)
    return "late"


def in_thread() -> str:
    GO.wait(0.05)
    return "late"


async def filled(it: None = Depends(session)) -> str:
    return await suppresses()


async def filled_and_keeps_the_loop(it: None = Depends(session)) -> str:
    return await keeps_the_loop()


def filled_in_thread(it: None = Depends(session)) -> str:
    return in_thread()


WAYS = [
    suppresses, goes_on, in_a_group, keeps_the_loop, in_thread,
    filled, filled_and_keeps_the_loop, filled_in_thread,
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS, ids=lambda way: str(way.__name__))
async def test_what_it_returns_after_its_time_does_not_count(way: Callable[..., Any]) -> None:
    postlude = Postlude(FastAPI(), store="memory", config=EAGER)
    retry = Retry(attempts=2, backoff=Fixed(0), on=TimeoutError)
    task = postlude.task(name="way", timeout=0.02, retry=retry)(way)
    async with serving(postlude):
        status = await becomes(postlude, await postlude.add_task(task), State.FAILED)
    assert status.attempt == 2
    assert "TimeoutError: the attempt took longer than 0.02 s" in str(status.error)
    assert COMMITTED == []


async def test_a_thread_that_was_in_time_is_not_late_because_the_loop_is(
    caplog: pytest.LogCaptureFixture,
) -> None:
    postlude = Postlude(FastAPI(), store="memory")
    returned = threading.Event()

    def quick() -> str:
        returned.set()
        return "in time"

    task = postlude.task(name="quick", timeout=0.05, retry=Retry(attempts=1))(quick)
    async with serving(postlude):
        job = await postlude.add_task(task)
        while not returned.is_set():
            await asyncio.sleep(0)
        time.sleep(0.1)
        assert await job.result(timeout=5) == "in time"
    assert "takes longer" not in caplog.text


async def test_what_returns_although_it_was_asked_to_stop_has_succeeded() -> None:
    """Its work is done; only time makes it void."""
    postlude = Postlude(FastAPI(), store="memory")
    begun = asyncio.Event()

    async def finishes() -> str:
        begun.set()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        return "done"

    async with serving(postlude):
        job = await postlude.add_task(postlude.task(name="finishes")(finishes))
        await begun.wait()
        await job.cancel()
        assert await job.result(timeout=5) == "done"
