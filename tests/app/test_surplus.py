"""What a process has claimed and cannot start goes back: to others that have places, and out of the way."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from fastapi import FastAPI

from postlude import Config, Postlude
from postlude.model.job import Hold
from postlude.model.state import State
from postlude.runner import surplus
from tests.app.serving import becomes, eventually, serving
from tests.app.work import LOG, note, note_sync, say

pytestmark = pytest.mark.anyio

FEW = Config(loop_slots=2, threads=2, poll_every=0.02, tune_gc=False)

OPEN = threading.Event()


@pytest.fixture(autouse=True)
def batching(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(surplus, "HELD_FOR", 0.05)
    OPEN.clear()
    yield
    OPEN.set()


async def long_async(text: str) -> None:
    say(text)
    while not OPEN.is_set():
        await asyncio.sleep(0.001)


def long_sync(text: str) -> None:
    say(text)
    OPEN.wait(10)


async def logged(lines: int) -> None:
    async def look() -> bool | None:
        return len(LOG) >= lines or None

    await eventually(look)


def note_released(postlude: Postlude, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return where the jobs are noted that this one gives back."""
    released: list[int] = []
    store = postlude.components.store
    release = store.release

    def noted(runner: int, holds: Sequence[Hold]) -> Any:
        released.extend(hold.seq for hold in holds)
        return release(runner, holds)

    monkeypatch.setattr(store, "release", noted)
    return released


@pytest.mark.disk
@pytest.mark.parametrize(("long", "short"), [(long_async, note), (long_sync, note_sync)])
async def test_short_jobs_do_not_wait_behind_long_ones_while_another_process_idles(
    log: list[str], long: Any, short: Any
) -> None:
    busy, idle = (Postlude(FastAPI(), store="sqlite:///jobs.db", config=FEW) for _ in range(2))
    async with serving(busy):
        for _ in range(2):
            await busy.add_task(long, "long")
        await logged(2)
        jobs = [await busy.add_task(short, "short") for _ in range(4)]
        async with serving(idle):
            for job in jobs:
                await becomes(busy, job, State.SUCCEEDED)
            assert log == ["long"] * 2 + ["short"] * 4
            OPEN.set()


@pytest.mark.disk
async def test_a_chain_that_goes_to_another_process_keeps_its_order(log: list[str]) -> None:
    busy, idle = (Postlude(FastAPI(), store="sqlite:///jobs.db", config=FEW) for _ in range(2))
    async with serving(busy):
        for _ in range(2):
            await busy.add_task(long_async, "long")
        await logged(2)
        producer = busy.components.producer
        works = [producer.prepare(note, (text,), {}) for text in "abcde"]
        await producer.commit(works)
        assert all(work.fence for work in works)
        producer.start(works)
        async with serving(idle):
            await becomes(busy, works[-1].job, State.SUCCEEDED)
            assert log[2:] == list("abcde")
            OPEN.set()


async def test_async_jobs_do_not_wait_behind_sync_ones(location: str, log: list[str]) -> None:
    """In one process: what no thread is free for is out of their way."""
    postlude = Postlude(FastAPI(), store=location, config=FEW)
    async with serving(postlude):
        await postlude.add_tasks([postlude.task(long_sync).call("long") for _ in range(40)])
        await logged(2)
        for _ in range(5):
            await postlude.add_task(note, "short")
        await logged(7)
        assert log == ["long"] * 2 + ["short"] * 5
        OPEN.set()
        await logged(45)


async def test_what_went_back_is_claimed_to_start_and_not_before(
    location: str, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where all are busy, nothing goes to and fro."""
    postlude = Postlude(FastAPI(), store=location, config=FEW)
    released = note_released(postlude, monkeypatch)
    task = postlude.task(long_sync)
    async with serving(postlude):
        await postlude.add_tasks([task.call(str(number)) for number in range(12)])

        async def all_but_two_wait() -> bool | None:
            counts = {count.state: count.jobs for count in await postlude.inspector.counts()}
            return (counts.get(State.RUNNING) == 2 and bool(released)) or None

        await eventually(all_but_two_wait)
        gone = len(released)
        await asyncio.sleep(0.15)
        assert len(released) == gone, "nothing was claimed for which there is no place"
        OPEN.set()
        await logged(12)
    assert sorted(log, key=int) == [str(number) for number in range(12)]
    assert len(released) == len(set(released)), "nothing went back twice"


async def test_who_waits_here_for_a_job_keeps_it_here(location: str, log: list[str]) -> None:
    """The request of a test client: it would wait for nothing."""
    postlude = Postlude(FastAPI(), store=location, config=FEW)
    async with serving(postlude):
        for _ in range(2):
            await postlude.add_task(long_async, "long")
        await logged(2)
        producer = postlude.components.producer
        work = producer.prepare(note, ("short",), {})
        await producer.commit([work])
        producer.start([work])
        waits = asyncio.create_task(producer.settle([work]))
        await asyncio.sleep(0.15)
        assert not waits.done()
        OPEN.set()
        await asyncio.wait_for(waits, 10)
    assert log[2:] == ["short"]
