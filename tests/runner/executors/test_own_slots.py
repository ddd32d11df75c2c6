"""Queues that have slots for themselves."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import Mock

import pytest

from postlude import Config, Job, Limit, Local, Postlude, State
from postlude.model.role import SERVER, Role, become
from postlude.runner import surplus
from postlude.runner.attempt.work import Work
from postlude.runner.executors.own_slots import OwnSlots
from postlude.runner.executors.threads import ThreadExecutor
from tests.app.serving import becomes, eventually

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("anyio_backend", ["asyncio"])]

PATIENCE = 10.0


class Shop:
    """An application whose jobs of two queues last until they are let go."""

    def __init__(self, slots: int = 2, **config: Any) -> None:
        self.postlude = Postlude(
            store="memory",
            queues={"own": Local(concurrency=slots)},
            config=Config(tune_gc=False, poll_every=0.01, **config),
        )
        self.running: set[str] = set()
        self.most = 0
        self.let_go = threading.Event()
        self._lock = threading.Lock()
        self._go = asyncio.Event()
        self.on_loop = self.postlude.task(self._on_loop, name="on_loop", queue="own")
        self.in_thread = self.postlude.task(self._in_thread, name="in_thread", queue="own")
        self.other = self.postlude.task(self._in_thread, name="other")
        self.rest = self.postlude.task(self._on_loop, name="rest")

    def enter(self, name: str) -> None:
        with self._lock:
            self.running.add(name)
            self.most = max(self.most, len([one for one in self.running if not one.startswith("other")]))

    def leave(self, name: str) -> None:
        with self._lock:
            self.running.discard(name)

    async def _on_loop(self, name: str) -> None:
        self.enter(name)
        await self._go.wait()
        self.leave(name)

    def _in_thread(self, name: str) -> None:
        self.enter(name)
        assert self.let_go.wait(PATIENCE)
        self.leave(name)

    async def runs(self, *names: str) -> None:
        """Return when exactly these run."""

        async def look() -> bool | None:
            return self.running == set(names) or None

        await eventually(look)

    def free_all(self) -> None:
        self.let_go.set()
        self._go.set()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Postlude]:
        await self.postlude.open()
        await self.postlude.start()
        try:
            yield self.postlude
        finally:
            self.free_all()
            await self.postlude.drain()
            await self.postlude.close()

    async def add(self, task: Any, *names: str) -> list[Job[Any]]:
        return [await self.postlude.add_task(task, name) for name in names]


async def test_async_and_sync_jobs_count_together() -> None:
    shop = Shop(2)
    async with shop.serving():
        jobs = await shop.add(shop.on_loop, "a", "b")
        jobs += await shop.add(shop.in_thread, "c", "d")
        jobs += await shop.add(shop.on_loop, "e")
        await shop.runs("a", "b")
        shop.free_all()
        for job in jobs:
            await becomes(shop.postlude, job, State.SUCCEEDED)
        shop.let_go.clear()
        jobs = await shop.add(shop.in_thread, *"fghi")
        await shop.runs("f", "g")
        shop.let_go.set()
        for job in jobs:
            await becomes(shop.postlude, job, State.SUCCEEDED)
    assert shop.most == 2


async def test_other_queues_take_none_of_them_and_lose_none_to_them() -> None:
    shop = Shop(2, threads=1)
    async with shop.serving():
        await shop.add(shop.other, "other 1", "other 2")
        await shop.runs("other 1")
        await shop.add(shop.in_thread, *"abc")
        await shop.runs("other 1", "a", "b")
        shop.free_all()
    shop = Shop(1, threads=1)
    async with shop.serving():
        await shop.add(shop.in_thread, *"ab")
        await shop.runs("a")
        await shop.add(shop.other, "other")
        await shop.runs("a", "other")


async def test_a_limited_job_is_claimed_though_all_other_slots_are_taken() -> None:
    shop = Shop(2, threads=1)
    limited = shop.postlude.task(shop._in_thread, name="limited", queue="own", limit=Limit(1))
    async with shop.serving():
        await shop.add(shop.other, "other 1", "other 2")
        await shop.runs("other 1")
        await shop.add(limited, "a", "b")
        await shop.runs("other 1", "a")


async def test_one_whose_time_is_over_gives_its_slot_away() -> None:
    shop = Shop(1)
    hangs = shop.postlude.task(shop._in_thread, name="hangs", queue="own", timeout=0.03)
    async with shop.serving():
        (job,) = await shop.add(hangs, "other hangs")
        await shop.add(shop.in_thread, "a", "b")
        await becomes(shop.postlude, job, State.QUEUED)
        await shop.runs("other hangs", "a")
        assert shop.postlude.counters.hung_threads == 1


async def test_one_that_waits_can_be_cancelled_and_one_that_runs_too() -> None:
    shop = Shop(1)
    async with shop.serving() as postlude:
        runs, waits, _ = await shop.add(shop.on_loop, *"abc")
        await shop.runs("a")
        await postlude.cancel(waits.id)
        await becomes(postlude, waits, State.CANCELLED)
        await postlude.cancel(runs.id)
        await becomes(postlude, runs, State.CANCELLED)
        await shop.runs("a", "c")  # it did not come to its last line


async def test_what_is_paused_while_it_waits_goes_back() -> None:
    shop = Shop(1)
    async with shop.serving() as postlude:
        _, waits = await shop.add(shop.in_thread, *"ab")
        await shop.runs("a")
        await postlude.pause("own")
        shop.free_all()
        await shop.runs()
        assert (await postlude.inspector.get(waits.id)).state is State.QUEUED
        await postlude.resume("own")
        await becomes(postlude, waits, State.SUCCEEDED)


async def test_what_waits_too_long_is_left_to_other_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """They have slots of their own."""
    monkeypatch.setattr(surplus, "HELD_FOR", 0.05)
    shop = Shop(1)
    async with shop.serving() as postlude:
        await shop.add(shop.in_thread, *"abc")
        await shop.runs("a")
        (runner,) = postlude.components.producer.runners

        async def given_back() -> bool | None:
            holds = await postlude.components.store.holds(runner.number)
            return len(holds) == 1 or None

        await eventually(given_back)
        runner.executors.sweep()
        (own,) = runner.executors._doors
        assert len(own._inside) == 1


async def test_at_the_end_what_has_no_slot_is_released() -> None:
    shop = Shop(1, grace=0.02)
    await shop.postlude.open()
    await shop.postlude.start()
    jobs = await shop.add(shop.on_loop, *"abc")
    await shop.runs("a")
    await shop.postlude.drain()
    assert [(await shop.postlude.inspector.get(job.id)).state for job in jobs] == [State.QUEUED] * 3
    await shop.postlude.close()


async def test_the_slot_of_one_that_was_taken_back_before_it_began_is_given_to_the_next() -> None:
    """Nothing has ended then: it is noticed when the runner looks around."""
    shop = Shop(1)
    async with shop.serving() as postlude:
        (runner,) = postlude.components.producer.runners
        (own,) = runner.executors._doors
        await shop.add(shop.in_thread, "a")
        await shop.runs("a")
        await shop.add(shop.on_loop, "b")

        async def waits() -> bool | None:
            return bool(own.waiting) or None

        await eventually(waits)
        (next_one,) = own.waiting
        own.running[0].written = True  # as of one that is given back
        runner.executors.sweep()
        assert list(own.waiting) == []
        assert own.running == [next_one]


async def test_jobs_of_one_kind_wait_for_each_other_behind_the_door() -> None:
    """Where they run: each need not be let in when the one before it has ended."""
    shop = Shop(2, threads=8)
    async with shop.serving() as postlude:
        (runner,) = postlude.components.producer.runners
        (own,) = runner.executors._doors
        jobs = await shop.add(shop.in_thread, *"abcd")
        await shop.runs("a", "b")
        assert (list(own.waiting), own.free) == ([], 0)
        jobs += await shop.add(shop.on_loop, *"ef")
        shop.let_go.set()
        await shop.runs("e", "f")
        jobs += await shop.add(shop.in_thread, "g")
        shop.free_all()
        for job in jobs:
            await becomes(shop.postlude, job, State.SUCCEEDED)
    assert shop.most == 2


async def test_a_thread_is_no_place_for_one_more_while_the_loop_has_a_slot() -> None:
    shop = Shop(2, threads=8)
    async with shop.serving() as postlude:
        (runner,) = postlude.components.producer.runners
        (own,) = runner.executors._doors
        await shop.add(shop.in_thread, "a")
        await shop.runs("a")
        await shop.add(shop.on_loop, "b")
        await shop.runs("a", "b")
        await shop.add(shop.in_thread, "c")

        async def waits() -> bool | None:
            return len(own.waiting) == 1 or None

        await eventually(waits)
        await shop.runs("a", "b")


async def test_into_what_has_more_places_than_there_are_slots_works_are_let_in_one_by_one() -> None:
    wide, narrow = ThreadExecutor(9, Mock(), Mock()), ThreadExecutor(1, Mock(), Mock())
    for executor, inside in (wide, 1), (narrow, 3):
        own = OwnSlots(1, lambda work, executor=executor: executor, [narrow])  # type: ignore[misc]
        for name in "abc":
            own.submit(Work(name.encode(), name, "own", b"", 0))
        assert (len(executor.waiting), len(own.waiting)) == (inside, 3 - inside)
        executor.waiting.clear()


async def test_a_worker_that_was_told_how_many_jobs_runs_that_many_of_all_kinds() -> None:
    """Those of a queue with slots of its own come on top."""
    become(Role(worker=True, concurrency=3))
    try:
        shop = Shop(1)
    finally:
        become(SERVER)
    others = [f"other{number}" for number in range(6)]
    async with shop.serving() as postlude:
        (runner,) = postlude.components.producer.runners
        await shop.add(shop.other, *others[:3])
        await shop.add(shop.rest, *others[3:])
        await shop.add(shop.on_loop, "own")
        await shop.runs(*others[:3], "own")
        assert runner.executors.free == (0, 0, 0), "none of any kind has room"
        assert runner.executors.slots["async"][0] == runner.executors.slots["thread"][0] == 3
        assert runner.executors.slots["own"] == (1, 1)
        shop.let_go.set()
        await shop.runs(*others[3:], "own")
