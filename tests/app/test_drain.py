"""What an orderly end writes and what it gives back."""

import asyncio
import os
import socket
import threading
from collections.abc import Sequence

import pytest

from postlude import Config, Postlude
from postlude.clock import SystemClock
from postlude.errors import JournalUnavailable
from postlude.model.job import Added, NewJob
from postlude.model.state import State
from postlude.stores.memory.store import MemoryStore
from postlude.stores.reply import Reply
from postlude.stores.values import Deed

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.parametrize("location", ["memory", pytest.param("sqlite", marks=pytest.mark.disk)])
async def test_what_ended_just_before_the_grace_period_did_is_not_run_again(
    location: str, tmp_path: object, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("POSTLUDE_STORE", raising=False)
    store = "memory" if location == "memory" else f"sqlite:///{tmp_path}/jobs.db"
    postlude = Postlude(store=store, config=Config(grace=0.0))
    ran, never = asyncio.Event(), asyncio.Event()

    @postlude.task(name="quick")
    async def quick() -> None:
        ran.set()

    @postlude.task(name="slow")
    async def slow() -> None:
        await never.wait()

    await postlude.open()
    await postlude.start()
    held = await postlude.add_task(slow)
    ended = await postlude.add_task(quick)
    await ran.wait()
    await postlude.drain()
    assert (await postlude.inspector.get(ended.id)).state is State.SUCCEEDED
    assert (await postlude.inspector.get(held.id)).state is State.QUEUED
    await postlude.close()
    assert f"the grace period is over, 1 job released: slow ({held.id})" in caplog.text


@pytest.mark.parametrize("location", ["memory", pytest.param("sqlite", marks=pytest.mark.disk)])
@pytest.mark.parametrize("in_thread", [False, True])
async def test_an_attempt_that_is_given_up_leaves_a_trace(
    location: str, in_thread: bool, tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits leaves none."""
    monkeypatch.delenv("POSTLUDE_STORE", raising=False)
    store = "memory" if location == "memory" else f"sqlite:///{tmp_path}/jobs.db"
    postlude = Postlude(store=store, config=Config(grace=0.0, loop_slots=1, threads=1))
    began, may_end = threading.Event(), threading.Event()

    async def slow() -> None:
        began.set()
        await asyncio.Event().wait()

    def slow_in_thread() -> None:
        began.set()
        may_end.wait(10)

    task = postlude.task(name="slow")(slow_in_thread if in_thread else slow)
    await postlude.open()
    await postlude.start()
    jobs = [await postlude.add_task(task) for _ in range(2)]
    while not began.is_set():
        await asyncio.sleep(0.001)
    await postlude.drain()
    running, waiting = [await postlude.inspector.get(job.id) for job in jobs]
    await postlude.close()
    may_end.set()
    assert [line.attempt for line in running.logs] == [1]
    assert f"its process ({os.getpid()} on {socket.gethostname()}) released it" in running.logs[0].message
    assert (running.state, running.attempts) == (State.QUEUED, ())
    assert waiting.logs == ()


@pytest.mark.parametrize(("jobs", "named"), [(1, "1 job: slow ("), (7, "7 jobs: slow (")])
async def test_an_end_says_first_what_it_waits_for(
    jobs: int, named: str, caplog: pytest.LogCaptureFixture
) -> None:
    postlude = Postlude(store="memory", config=Config(grace=60))
    may_end, running = asyncio.Event(), asyncio.Semaphore(0)

    @postlude.task(name="slow")
    async def slow() -> None:
        running.release()
        await may_end.wait()

    await postlude.open()
    await postlude.start()
    for _ in range(jobs):
        await postlude.add_task(slow)
        await running.acquire()
    caplog.clear()
    with caplog.at_level("INFO", "postlude"):
        draining = asyncio.create_task(postlude.drain())
        while "waiting up to" not in caplog.text:
            await asyncio.sleep(0)
        assert not draining.done()
        may_end.set()
        await draining
        await postlude.close()
        await postlude.open()
        await postlude.start()
        await postlude.drain()  # nothing runs: nothing is said
    await postlude.close()
    (told,) = [message for message in caplog.messages if "waiting" in message]
    assert told.startswith(f"waiting up to 60 s (Config.grace) for {named}")
    assert told.endswith(" and 2 more") is (jobs == 7)


class SlowStore(MemoryStore):
    """Stores at once, and answers when the test says."""

    def __init__(self) -> None:
        super().__init__(SystemClock())
        self.fails = False
        self._open: list[tuple[Reply[list[Added]], Reply[list[Added]]]] = []

    def add(
        self,
        jobs: Sequence[NewJob],
        *,
        claim_for: int | None = None,
        budget: float | None = None,
        by: Deed | None = None,
    ) -> Reply[list[Added]]:
        stored: Reply[list[Added]]
        if self.fails:
            stored = Reply.failed(JournalUnavailable("the disk is full"))
        else:
            stored = super().add(jobs, claim_for=claim_for, budget=budget, by=by)
        told: Reply[list[Added]] = Reply.here()
        self._open.append((told, stored))
        return told

    def answer(self) -> None:
        for told, stored in self._open:
            told.resolve(stored.value, stored.error)
            told.deliver()


async def nothing() -> None:
    pass


@pytest.mark.parametrize("what", ["runs", "waits in its queue", "was refused"])
async def test_it_waits_for_what_is_being_stored(what: str) -> None:
    store = SlowStore()
    postlude = Postlude(store=store)
    await postlude.open()
    await postlude.start()
    producer = postlude.components.producer
    if what == "waits in its queue":
        await postlude.pause(queue="default")
    store.fails = what == "was refused"
    work = producer.prepare(nothing, (), {})
    request = asyncio.create_task(producer.commit([work]))
    while not store._open:
        await asyncio.sleep(0)
    request.cancel()
    draining = asyncio.create_task(postlude.drain())
    for _ in range(10):
        await asyncio.sleep(0)
    assert not draining.done()
    store.answer()
    await asyncio.wait_for(draining, 5)
    if what == "was refused":
        assert await postlude.inspector.page() == []
    else:
        state = (await postlude.inspector.get(work.job.id)).state
        assert state is (State.SUCCEEDED if what == "runs" else State.QUEUED)
    await postlude.close()


async def test_what_is_stored_after_an_abrupt_end_does_not_start() -> None:
    store = SlowStore()
    postlude = Postlude(store=store)
    await postlude.open()
    await postlude.start()
    producer = postlude.components.producer
    runner = producer.attached
    assert runner is not None
    work = producer.prepare(nothing, (), {})
    request = asyncio.create_task(producer.commit([work]))
    while not store._open:
        await asyncio.sleep(0)
    runner.abandon()
    store.answer()
    await request
    assert producer.start([work])
    for _ in range(10):
        await asyncio.sleep(0)
    assert work.written, "who waits for it is let go"
    assert not work.over
    await postlude.close()
