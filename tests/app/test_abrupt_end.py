"""A lifespan that ends without the message that says so."""

import asyncio
import logging
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastapi import FastAPI

from postlude import Config, Postlude
from postlude.model.state import State
from tests.app.serving import EVERY_STORE, becomes
from tests.app.work import LOG, say

pytestmark = pytest.mark.anyio

QUICK = Config(poll_every=0.005, reap_every=0.02, tune_gc=False)


async def until(look: Callable[[], bool]) -> None:
    with anyio.fail_after(20):
        while not look():
            await asyncio.sleep(0.002)


class Life:
    """The lifespan of an application, which can end in every way."""

    def __init__(self, app: FastAPI) -> None:
        self._said: asyncio.Queue[Any] = asyncio.Queue()
        self._told: asyncio.Queue[Any] = asyncio.Queue()
        self._task = asyncio.create_task(
            app({"type": "lifespan", "state": {}}, self._told.get, self._said.put)
        )

    async def start(self) -> "Life":
        self.tell("startup")
        assert (await self._said.get())["type"] == "lifespan.startup.complete"
        return self

    def tell(self, what: str) -> None:
        self._told.put_nowait({"type": f"lifespan.{what}"})

    async def end(self) -> None:
        self.tell("shutdown")
        await self._task

    async def end_abruptly(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])


@EVERY_STORE
async def test_the_runner_ends_and_what_was_set_is_put_back(location: str) -> None:
    before = sys.getswitchinterval()
    app = FastAPI()
    postlude = Postlude(app, store=location)
    life = await Life(app).start()
    assert sys.getswitchinterval() < before
    made = logging.getLogRecordFactory()
    await life.end_abruptly()
    assert logging.getLogRecordFactory() is not made, "records are marked no longer"
    assert postlude.parts.producer.attached is None
    await gone("postlude-heartbeat")
    await asyncio.sleep(0)
    assert "postlude-housekeeping" not in {task.get_name() for task in asyncio.all_tasks()}
    assert sys.getswitchinterval() == pytest.approx(before, abs=2e-6)


async def gone(name: str) -> None:
    for thread in [each for each in threading.enumerate() if each.name == name]:
        await asyncio.to_thread(thread.join, 5)
        assert not thread.is_alive()


@pytest.mark.disk
async def test_so_it_is_when_the_end_comes_while_it_drains(
    folder: Path, log: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """A server's patience may be shorter than the grace period."""
    factory, ended = logging.getLogRecordFactory(), asyncio.Event()
    app = FastAPI()
    postlude = Postlude(app, store="sqlite:///jobs.db", config=QUICK)

    @postlude.task(name="slow")
    async def slow() -> None:
        say("started")
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    life = await Life(app).start()
    job = await postlude.add_task(slow)
    await until(lambda: LOG == ["started"])
    life.tell("shutdown")
    await until(lambda: postlude.parts.producer.attached is None or postlude.parts.producer.attached.draining)
    await life.end_abruptly()
    await asyncio.wait_for(ended.wait(), 5)  # it is told, and what it says then is not written
    await gone("postlude-heartbeat")
    assert logging.getLogRecordFactory() is factory
    life = await Life(app).start()
    await until(lambda: LOG == ["started", "started"])
    assert (await postlude.inspector.get(job.id)).deaths == 0
    await postlude.cancel(job.id)
    await becomes(postlude, job, State.CANCELLED)
    await life.end()
    assert "not written" not in caplog.text


@pytest.mark.disk
async def test_what_waits_for_a_place_does_not_start_any_more(folder: Path, log: list[str]) -> None:
    app = FastAPI()
    postlude = Postlude(app, store="sqlite:///jobs.db", config=Config(threads=1, loop_slots=1, tune_gc=False))
    hold = threading.Event()

    @postlude.task(name="sync")
    def sync(number: int) -> None:
        say(f"sync {number}")
        hold.wait(5)

    @postlude.task(name="async")
    async def asyn(number: int) -> None:
        say(f"async {number}")
        await asyncio.sleep(60 if number == 0 else 0)

    life = await Life(app).start()
    jobs = []
    for number in range(2):
        await postlude.add_task(sync, number)
        jobs.append(await postlude.add_task(asyn, number))
    await until(lambda: sorted(LOG) == ["async 0", "sync 0"])
    await life.end_abruptly()
    hold.set()
    await gone("postlude-worker")  # it has ended its job, and would have taken the next
    for _ in range(10):
        await asyncio.sleep(0)
    assert sorted(LOG) == ["async 0", "sync 0"]
    life = await Life(app).start()
    await until(lambda: LOG.count("async 0") == 2)
    await postlude.cancel(jobs[0].id)
    await life.end()
    assert sorted(LOG) == ["async 0", "async 0", "async 1", "sync 0", "sync 0", "sync 1"]


@pytest.mark.disk
async def test_who_waits_for_a_job_is_let_go(folder: Path, log: list[str]) -> None:
    """A request of a test client waits for its jobs; the next start runs them."""
    app = FastAPI()
    postlude = Postlude(app, store="sqlite:///jobs.db", config=QUICK)

    @postlude.task(name="slow")
    async def slow() -> None:
        say("started")
        await asyncio.sleep(60)

    life = await Life(app).start()
    runner = postlude.parts.producer.attached
    assert runner is not None
    work = postlude.parts.producer.prepare(slow, (), {})
    await postlude.parts.producer.commit([work])
    postlude.parts.producer.start([work])
    waiting = asyncio.create_task(runner.wait_for([work]))
    await until(lambda: LOG == ["started"])
    await life.end_abruptly()
    await asyncio.wait_for(waiting, 5)
    life = await Life(app).start()
    await until(lambda: LOG == ["started", "started"])
    assert (await postlude.inspector.get(work.job.id)).deaths == 0, "it is not charged with this end"
    await postlude.cancel(work.job.id)
    await life.end()


@pytest.mark.disk
async def test_what_was_being_committed_runs_after_the_next_start(folder: Path, log: list[str]) -> None:
    app = FastAPI()
    postlude = Postlude(app, store="sqlite:///jobs.db", config=QUICK)

    @postlude.task(name="quick")
    async def quick() -> None:
        say("ran")

    life = await Life(app).start()
    producer = postlude.parts.producer
    work = producer.prepare(quick, (), {})
    runner = producer.attached
    assert runner is not None
    await producer.commit([work])
    await life.end_abruptly()
    runner.start([work])  # as the request does whose response was on its way
    for _ in range(10):
        await asyncio.sleep(0)
    assert LOG == []
    assert work.written
    life = await Life(app).start()
    await until(lambda: LOG == ["ran"])
    await life.end()
    assert LOG == ["ran"]
