"""Hearing of what becomes of a job: `async for snapshot in job.changes()`, and the hub behind it."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from postlude import Config, Job, JobNotFound, Postlude
from postlude.jobs import feed
from postlude.jobs.subscriptions import Hub
from postlude.model.event.jobs import ProgressTold
from postlude.model.job import Cancel, JobRecord, Progress
from postlude.model.snapshot import Snapshot
from postlude.model.state import State
from postlude.runner.attempt import progress as reports
from postlude.stores.protocol import Store
from postlude.stores.reply import Reply
from tests.app import returning
from tests.app.serving import EAGER, eventually, serving

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def batching() -> Iterator[None]:
    returning.GATE.clear()
    yield
    returning.GATE.set()


class CountingStore:
    """A real store that counts how often it is asked for a job."""

    def __init__(self, store: Store) -> None:
        self.looks = 0
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def get(self, id: bytes) -> Reply[JobRecord | None]:
        self.looks += 1
        return self._store.get(id)


@asynccontextmanager
async def collecting(job: Job[Any]) -> AsyncIterator[list[Snapshot]]:
    """Collect the changes of a job; at the end, it must have ended."""
    seen: list[Snapshot] = []

    async def collect() -> None:
        async for snapshot in job.changes():
            seen.append(snapshot)  # noqa: PERF401 (seen while it grows)

    task = asyncio.create_task(collect())
    yield seen
    await asyncio.wait_for(task, 10)


def states(seen: list[Snapshot]) -> list[State]:
    return [a.state for a, b in zip(seen, [None, *seen], strict=False) if b is None or a.state is not b.state]


async def test_from_its_place_in_the_queue_to_its_end(location: str) -> None:
    postlude = Postlude(store=location)
    job = await postlude.add_task(returning.waits, 3)
    async with collecting(job) as seen:
        await eventually(lambda: _when(bool(seen)))
        await asyncio.sleep(0.02)
        assert seen == [Snapshot(State.QUEUED, 1)]
        async with serving(postlude):
            await eventually(lambda: _when(seen[-1].progress is not None and seen[-1].progress.done == 3))
            returning.GATE.set()
            assert await job.result(timeout=10) == "done"
            await eventually(lambda: _when(seen[-1].ended))
    assert states(seen) == [State.QUEUED, State.RUNNING, State.SUCCEEDED]
    assert not postlude.components.hub.watched


async def _when(condition: bool) -> bool | None:
    return condition or None


async def test_progress_is_heard_before_the_journal_has_it(
    location: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "EVERY", 60)
    postlude = Postlude(store=location)
    async with serving(postlude):
        job = await postlude.add_task(returning.waits)
        async with collecting(job) as seen:
            await eventually(lambda: _when(bool(seen)))
            late = await postlude.add_task(returning.waits, 4)
            async with collecting(late) as steps:
                await eventually(lambda: _when(any(s.progress and s.progress.done == 4 for s in steps)))
                assert steps[-1].progress is not None
                assert steps[-1].progress[:3] == (4, 4, "steps")
                returning.GATE.set()
    assert [snapshot.progress for snapshot in seen] == [None] * len(seen)


async def test_a_sync_task_is_heard_from_its_thread(location: str) -> None:
    postlude = Postlude(store=location)
    async with serving(postlude):
        job = await postlude.add_task(returning.waits_in_thread)
        async with collecting(job) as seen:
            await eventually(lambda: _when(any(s.progress and s.progress.done == 1 for s in seen)))
            assert not seen[-1].ended
            returning.GATE.set()
    assert await job.progress() is not None


async def test_a_failure_and_a_cancelling(location: str) -> None:
    postlude = Postlude(store=location)
    async with serving(postlude):
        failed = [s async for s in (await postlude.add_task(returning.breaks, "no")).changes()]
        assert failed[-1] == Snapshot(State.FAILED, 1, error="ValueError: no")
        job = await postlude.add_task(returning.waits)
        async with collecting(job) as seen:
            await eventually(lambda: _when(bool(seen) and seen[-1].state is State.RUNNING))
            assert await job.cancel() is Cancel.ASKED
    assert seen[-1].state is State.CANCELLED


async def test_an_ended_job_has_one(location: str) -> None:
    postlude = Postlude(store=location)
    async with serving(postlude):
        job = await postlude.add_task(returning.nothing)
        await job.result(timeout=10)
        assert [s.state async for s in job.changes()] == [State.SUCCEEDED]


async def test_who_stops_listening_is_forgotten(location: str) -> None:
    postlude = Postlude(store=location)
    job = await postlude.add_task(returning.nothing)
    async for _ in job.changes():
        assert postlude.components.hub.watched
        break
    await eventually(lambda: _when(not postlude.components.hub.watched))
    waiting = asyncio.create_task(job.result())
    await eventually(lambda: _when(bool(postlude.components.hub.watched)))
    waiting.cancel()
    await eventually(lambda: _when(not postlude.components.hub.watched))
    await postlude.close()


async def test_a_joined_call_hears_of_the_job_that_stands_for_it(location: str) -> None:
    postlude = Postlude(store=location)
    task = postlude.task(returning.waits)
    async with serving(postlude):
        await postlude.add_task(task.using(key="a"))
        second = await postlude.add_task(task.using(key="a"))
        waiting = asyncio.create_task(second.result(timeout=10))
        await asyncio.sleep(0.05)
        returning.GATE.set()
        started = time.monotonic()
        assert await waiting == "done"
        assert time.monotonic() - started < 2, "sooner than it would have looked by itself"
        assert (await postlude.job(second.id)).id == second.id


async def test_a_job_that_is_pruned_meanwhile() -> None:
    postlude = Postlude(store="memory")
    await postlude.open()
    hub = postlude.components.hub
    job = await postlude.add_task(returning.nothing)
    with hub.subscription(job.raw_id) as subscription:
        assert await subscription.news() is not None
        assert await subscription.news(within=0.01) is None
    with hub.subscription(bytes(16)) as subscription, pytest.raises(JobNotFound):
        await subscription.news()
    assert not hub.watched


async def test_inside_a_process_nobody_looks_again_and_again() -> None:
    postlude = Postlude(store="memory", config=EAGER)
    store = CountingStore(postlude.components.store)
    postlude.components.hub._store = store
    async with serving(postlude):
        job = await postlude.add_task(returning.waits)
        waiting = asyncio.create_task(job.result())
        await asyncio.sleep(0.1)
        assert store.looks <= 3
        returning.GATE.set()
        started = time.monotonic()
        assert await waiting == "done"
        assert time.monotonic() - started < 2, "sooner than it would have looked by itself"
        assert store.looks <= 5


async def test_where_nobody_watches_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    postlude = Postlude(store="memory", config=EAGER)
    store = CountingStore(postlude.components.store)
    postlude.components.hub._store = store
    async with serving(postlude):
        for _ in range(20):
            await postlude.add_task(returning.waits_sync, 0)
        await asyncio.sleep(0.05)
    assert store.looks == 0


def test_a_watch_is_woken_on_its_own_loop() -> None:
    postlude = Postlude(store="memory")
    job: list[Job[Any]] = []
    heard: list[Any] = []
    watching = threading.Event()

    async def serve() -> None:
        async with serving(postlude):
            job.append(await postlude.add_task(returning.waits, 2))
            while not watching.is_set():
                await asyncio.sleep(0.01)
            returning.GATE.set()
            await job[0].result(timeout=10)
            await eventually(lambda: _when(bool(heard)))

    async def listen() -> None:
        watching.set()
        heard.append(await job[0].result(timeout=10))

    server = threading.Thread(target=lambda: asyncio.run(serve()))
    server.start()
    while not job:
        time.sleep(0.01)
    asyncio.run(listen())
    server.join(10)
    assert heard == ["done"]


def test_a_loop_that_has_closed_harms_nobody() -> None:
    postlude = Postlude(store="memory")
    hub: Hub = postlude.components.hub

    async def leave_it() -> None:
        hub.subscription(bytes(16)).__enter__()

    asyncio.run(leave_it())
    hub.note(bytes(16))
    postlude.components.store.events.emit(ProgressTold(bytes(16), Progress(1, None, None, 0)))
    hub.look()


async def test_what_nobody_tells_is_found_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "LOOK_ANYWAY", 0.03)
    postlude = Postlude(store="memory", config=Config(poll_every=5))
    await postlude.open()
    job = await postlude.add_task(returning.nothing)
    waiting = asyncio.create_task(job.result())
    await asyncio.sleep(0.01)
    postlude.components.store.leave(postlude.components.hub)
    await postlude.components.store.cancel([job.raw_id])
    done, _ = await asyncio.wait([waiting], timeout=1)
    assert done
    assert isinstance(waiting.exception(), Exception)


WORKER = """
import asyncio, sys, time
from postlude import Postlude
from tests.app import returning
async def main():
    postlude = Postlude(store="sqlite:///jobs.db", packages=["tests"])
    await postlude.open()
    await postlude.start()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    returning.GATE.set()
    print(time.time(), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await postlude.drain()
    await postlude.close()
asyncio.run(main())
"""


@asynccontextmanager
async def another_process() -> AsyncIterator[subprocess.Popen[str]]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'src'}"}
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.disk
@pytest.mark.process
@pytest.mark.parametrize("served", [True, False], ids=["with a runner here", "without"])
async def test_another_process_runs_it(served: bool) -> None:
    """It is heard of within half a second, and the journal is not asked more than four times a second."""
    postlude = Postlude(store="sqlite:///jobs.db", config=Config(loop_slots=1))
    store = CountingStore(postlude.components.store)
    postlude.components.hub._store = store
    await postlude.open()
    async with another_process() as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert await asyncio.to_thread(process.stdout.readline) == "ready\n"
        job = await postlude.add_task(returning.waits, 2)
        async with collecting(job) as seen:
            await eventually(lambda: _when(bool(seen) and seen[-1].state is State.RUNNING))
            if served:
                await postlude.start()
            store.looks, started = 0, time.monotonic()
            await asyncio.sleep(1)
            process.stdin.write("\n")
            process.stdin.flush()
            ended = float(await asyncio.to_thread(process.stdout.readline))
            assert await job.result(timeout=10) == "done"
            assert time.time() - ended < 1
            assert store.looks <= 3 + 2 * 4.5 * (time.monotonic() - started)
        assert any(snapshot.progress is not None for snapshot in seen)
        process.communicate("\n", timeout=20)
    if served:
        await postlude.drain()
    await postlude.close()
