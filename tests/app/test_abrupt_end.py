"""A lifespan that ends without the message that says so."""

import asyncio
import logging
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from postlude import Config, Job, Postlude
from postlude.model.state import State
from postlude.runner import finisher as ends
from tests.app.serving import EVERY_STORE, becomes, eventually
from tests.app.work import LOG, say

pytestmark = pytest.mark.anyio

QUICK = Config(poll_every=0.005, reap_every=0.02, tune_gc=False)

OTHERS: set[threading.Thread] = set()
"""Threads that were there before the test: other tests leave some hanging, on purpose."""


@pytest.fixture(autouse=True)
def others() -> None:
    OTHERS.clear()
    OTHERS.update(threading.enumerate())


async def logged(*lines: str) -> None:
    """Return once the log has these lines."""

    async def look() -> bool | None:
        return sorted(LOG) == sorted(lines) or None

    await eventually(look)


class Shop:
    """An application with a task that takes long."""

    def __init__(self) -> None:
        self.app = FastAPI()
        self.postlude = Postlude(self.app, store="sqlite:///jobs.db", config=QUICK)
        self.left = asyncio.Event()
        """Set when the task has been told to end."""
        self.slow = self.postlude.task(self._slow, name="slow")

    async def _slow(self) -> None:
        say("started")
        try:
            await asyncio.sleep(60)
        finally:
            self.left.set()

    async def run_again(self, job: Job[Any]) -> None:
        """Start; the job runs again, uncharged, and is cancelled; end."""
        life = await Life(self.app).start()
        await logged("started", "started")
        assert (await self.postlude.inspector.get(job.id)).deaths == 0, "it is charged with no end"
        await self.postlude.cancel(job.id)
        await becomes(self.postlude, job, State.CANCELLED)
        await life.end()


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
    assert postlude.components.producer.attached is None
    await gone("postlude-heartbeat")
    await asyncio.sleep(0)
    assert "postlude-housekeeping" not in {task.get_name() for task in asyncio.all_tasks()}
    assert sys.getswitchinterval() == pytest.approx(before, abs=2e-6)


async def gone(name: str) -> None:
    for thread in [each for each in threading.enumerate() if each.name == name and each not in OTHERS]:
        await asyncio.to_thread(thread.join, 5)
        assert not thread.is_alive()


@pytest.mark.disk
async def test_so_it_is_when_the_end_comes_while_it_drains(
    folder: Path, log: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """A server's patience may be shorter than the grace period."""
    factory, shop = logging.getLogRecordFactory(), Shop()
    life = await Life(shop.app).start()
    runner = shop.postlude.components.producer.attached
    assert runner is not None
    job = await shop.postlude.add_task(shop.slow)
    await logged("started")
    life.tell("shutdown")

    async def drains() -> bool | None:
        return runner.draining or None

    await eventually(drains)
    await life.end_abruptly()
    await asyncio.wait_for(shop.left.wait(), 5)
    await gone("postlude-heartbeat")
    assert logging.getLogRecordFactory() is factory
    await shop.run_again(job)
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
    await logged("async 0", "sync 0")
    await life.end_abruptly()
    hold.set()
    await gone("postlude-worker")  # it has ended its job, and would have taken the next
    for _ in range(10):
        await asyncio.sleep(0)
    assert sorted(LOG) == ["async 0", "sync 0"]
    life = await Life(app).start()

    async def runs_again() -> bool | None:
        return LOG.count("async 0") == 2 or None

    await eventually(runs_again)
    await postlude.cancel(jobs[0].id)
    await life.end()
    assert sorted(LOG) == ["async 0", "async 0", "async 1", "sync 0", "sync 0", "sync 1"]


@pytest.mark.disk
async def test_who_waits_for_a_job_is_let_go(folder: Path, log: list[str]) -> None:
    """A request of a test client waits for its jobs; the next start runs them."""
    shop = Shop()
    life = await Life(shop.app).start()
    producer = shop.postlude.components.producer
    runner = producer.attached
    assert runner is not None
    work = producer.prepare(shop.slow, (), {})
    await producer.commit([work])
    producer.start([work])
    waiting = asyncio.create_task(runner.wait_for([work]))
    await logged("started")
    await life.end_abruptly()
    await asyncio.wait_for(waiting, 5)
    await shop.run_again(work.job)


@pytest.mark.disk
async def test_no_end_is_written_any_more(
    folder: Path, log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that waits for company goes with its runner; a closed journal is not offered it for ever."""
    monkeypatch.setattr(ends, "GATHER", 60.0)
    app = FastAPI()
    postlude = Postlude(app, store="sqlite:///jobs.db", config=QUICK)

    @postlude.task(name="quick")
    async def quick() -> None:
        say("ran")

    life = await Life(app).start()
    runner = postlude.components.producer.attached
    assert runner is not None
    await postlude.add_task(quick)
    await logged("ran")
    await life.end_abruptly()
    await asyncio.wait_for(runner.idle(), 5)
    monkeypatch.undo()
    life = await Life(app).start()
    await logged("ran", "ran")
    await life.end()


@pytest.mark.disk
async def test_what_is_committed_and_not_started_runs_after_the_next_start(
    folder: Path, log: list[str]
) -> None:
    app = FastAPI()
    postlude = Postlude(app, store="sqlite:///jobs.db", config=QUICK)

    @postlude.task(name="quick")
    async def quick() -> None:
        say("ran")

    life = await Life(app).start()
    producer = postlude.components.producer
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
    await logged("ran")
    await life.end()
    assert LOG == ["ran"]
