"""Where work is executed."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from contextvars import Context
from functools import partial
from typing import Any

import anyio
import pytest

from postlude.model.outcome import SUCCEEDED
from postlude.runner.attempt.work import Work
from postlude.runner.executors.loop import LoopExecutor
from postlude.runner.executors.protocol import take_back, take_one_back
from postlude.runner.executors.side_threads import SideThreads
from postlude.runner.executors.threads import MOST_HUNG, ThreadExecutor
from postlude.tasks.codec.payload import Limits
from postlude.tasks.policy import Policy
from postlude.tasks.task import Task
from postlude.telemetry.logging import logged

pytestmark = pytest.mark.anyio
LIMITS = Limits(1024, 10)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def work(function: Callable[[], Any]) -> Work:
    made = Work(b"0" * 16, "app:f", "default", b"", 0)
    made.task = Task(function, "app:f", LIMITS, Policy())
    made.args, made.kwargs = (), {}
    return made


class Seen:
    """What an executor has told."""

    def __init__(self) -> None:
        self.begun: list[Work] = []
        self.ended: list[tuple[Work, Any]] = []

    def begin(self, work: Work) -> Context:
        self.begun.append(work)
        return Context()

    def end(self, work: Work, result: Any) -> None:
        self.ended.append((work, result))

    async def until(self, count: int) -> None:
        with anyio.fail_after(10):
            while len(self.ended) < count:
                await asyncio.sleep(0.001)


async def nothing() -> None: ...


async def test_what_does_not_fit_waits_and_starts_in_order() -> None:
    seen, go, order = Seen(), asyncio.Event(), list[int]()

    async def wait(number: int) -> None:
        order.append(number)
        await go.wait()

    executor = LoopExecutor(2, seen.begin, seen.end)
    for number in range(5):
        executor.submit(work(partial(wait, number)))
    await asyncio.sleep(0)
    assert (order, len(executor.waiting)) == ([0, 1], 3)
    go.set()
    await seen.until(5)
    assert order == [0, 1, 2, 3, 4]


async def test_a_job_cancelled_before_its_first_step_is_told_by_the_sweep() -> None:
    seen = Seen()
    executor = LoopExecutor(2, seen.begin, seen.end)
    executor.submit(lost := work(nothing))
    (task,) = executor.tasks.values()
    task.cancel()
    await asyncio.wait([task])
    assert seen.ended == []
    executor.sweep()
    assert [ended for ended, _ in seen.ended] == [lost]
    assert isinstance(seen.ended[0][1], asyncio.CancelledError)
    assert not executor.tasks


async def test_what_a_job_raises_is_an_ending() -> None:
    seen = Seen()

    async def leave() -> None:
        raise SystemExit(3)

    executor = LoopExecutor(2, seen.begin, seen.end)
    executor.submit(work(leave))
    await seen.until(1)
    assert isinstance(seen.ended[0][1], SystemExit)


async def test_a_burst_of_short_sync_jobs_needs_one_thread() -> None:
    seen, threads = Seen(), set[int]()
    executor = ThreadExecutor(8, seen.begin, seen.end)
    for _ in range(200):
        executor.submit(work(lambda: threads.add(threading.get_ident())))
    await seen.until(200)
    assert [result for _, result in seen.ended] == [SUCCEEDED] * 200
    assert len(threads) <= 2
    executor.stop()


class Scarce:
    """A system that refuses some threads, and then has enough.

    Args:
        refusals: how many are refused.
        only: the names of the threads that are.
    """

    def __init__(self, patch: pytest.MonkeyPatch, refusals: int, only: str) -> None:
        self.refusals = refusals
        start = threading.Thread.start

        def scarce(thread: threading.Thread) -> None:
            if thread.name == only and self.refusals:
                self.refusals -= 1
                raise RuntimeError("can't start new thread")
            start(thread)

        patch.setattr(threading.Thread, "start", scarce)


async def test_sync_jobs_wait_while_the_system_has_no_thread(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("postlude.runner.executors.threads.AGAIN_AFTER", 0.01)
    system = Scarce(monkeypatch, 3, "postlude-worker")
    seen, together = Seen(), threading.Barrier(2, timeout=10)
    executor = ThreadExecutor(2, seen.begin, seen.end)
    for _ in range(2):
        executor.submit(work(lambda: (together.wait(), None)[1]))
    await seen.until(2)
    assert [result for _, result in seen.ended] == [SUCCEEDED] * 2
    assert system.refusals == 0
    assert [record.message for record in caplog.records if "no thread" in record.message] == [
        "no thread can be started for the 2 sync jobs that wait; it is tried again: can't start new thread"
    ]
    executor.stop()


async def test_a_sync_job_with_dependencies_waits_for_its_thread(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("postlude.runner.executors.side_threads.AGAIN_AFTER", 0.01)
    system = Scarce(monkeypatch, 2, "postlude-beside")
    assert await SideThreads(1, logged()).call(work(lambda: None), lambda: 7) == 7
    assert system.refusals == 0
    assert [record.message for record in caplog.records] == [
        "no thread can be started for a sync job; it is tried again: can't start new thread"
    ]


async def test_one_that_waits_for_its_thread_can_be_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    Scarce(monkeypatch, 1000, "postlude-beside")
    beside, ran = SideThreads(1, logged()), list[int]()
    task = asyncio.ensure_future(beside.call(work(lambda: None), lambda: ran.append(1)))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not ran


async def test_what_one_end_raises_keeps_no_other_from_its_own() -> None:
    """Several are collected at once; the loop is told of what went wrong."""
    seen, told, go = Seen(), list[Any](), threading.Event()

    def end(work: Work, result: Any) -> None:
        seen.end(work, result)
        if len(seen.ended) == 1:
            raise ValueError("the first")

    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context["exception"]))
    executor = ThreadExecutor(1, seen.begin, end)
    for _ in range(3):
        executor.submit(work(go.wait))
    await asyncio.sleep(0)  # its thread starts
    go.set()
    await seen.until(3)
    assert [str(error) for error in told] == ["the first"]
    executor.stop()


async def test_a_thread_that_comes_back_gives_up_the_place_that_replaced_its_own() -> None:
    beside, go = SideThreads(1, logged()), threading.Event()
    hanging = work(lambda: None)
    first = asyncio.ensure_future(beside.call(hanging, lambda: go.wait(10)))
    with anyio.fail_after(10):
        while not beside._running:
            await asyncio.sleep(0)
    beside.abandon(hanging)
    running: list[int] = []

    def run() -> None:
        running.append(1)
        most.append(len(running))
        go.wait(10)
        time.sleep(0.005)
        running.pop()

    most: list[int] = []
    others = [asyncio.ensure_future(beside.call(work(lambda: None), run)) for _ in range(3)]
    with anyio.fail_after(10):
        while not running:
            await asyncio.sleep(0.001)
    go.set()
    await asyncio.gather(first, *others)
    assert most == [1, 1, 1]
    assert beside.hung == set()


async def test_sync_jobs_that_take_long_run_beside_each_other() -> None:
    seen, together = Seen(), threading.Barrier(8, timeout=10)
    executor = ThreadExecutor(8, seen.begin, seen.end)
    for _ in range(8):
        executor.submit(work(lambda: (together.wait(), None)[1]))
    await seen.until(8)
    assert [result for _, result in seen.ended] == [SUCCEEDED] * 8
    executor.stop()


async def test_no_more_threads_than_allowed_and_the_rest_can_be_taken_back() -> None:
    seen, go = Seen(), threading.Event()
    executor = ThreadExecutor(2, seen.begin, seen.end)
    for _ in range(5):
        executor.submit(work(go.wait))
    with anyio.fail_after(10):
        while len(seen.begun) < 2:
            await asyncio.sleep(0.001)
    assert len(take_back(executor)) == 3
    go.set()
    await seen.until(2)
    executor.stop()


async def test_threads_that_idle_take_what_comes_later() -> None:
    seen = Seen()
    executor = ThreadExecutor(1, seen.begin, seen.end)
    for count in range(1, 50):
        executor.submit(work(lambda: None))
        await seen.until(count)
    executor.stop()


async def test_a_sync_job_that_returns_a_coroutine_has_failed() -> None:
    seen = Seen()
    executor = ThreadExecutor(1, seen.begin, seen.end)
    executor.submit(work(lambda: nothing()))
    await seen.until(1)
    assert isinstance(seen.ended[0][1], TypeError)
    executor.stop()


async def test_from_thread_works_in_sync_jobs() -> None:
    seen, told = Seen(), list[str]()

    async def tell() -> None:
        told.append("on the loop")

    executor = ThreadExecutor(1, seen.begin, seen.end)
    executor.submit(work(lambda: anyio.from_thread.run(tell)))
    await seen.until(1)
    assert (told, seen.ended[0][1]) == (["on the loop"], SUCCEEDED)
    executor.stop()


async def deaf(until: asyncio.Event) -> str:
    """Swallows its cancellation."""
    while not until.is_set():
        with contextlib.suppress(asyncio.CancelledError):
            await until.wait()
    return "after all"


async def test_the_place_of_a_job_cancelled_before_its_first_step_is_taken() -> None:
    seen = Seen()
    executor = LoopExecutor(1, seen.begin, seen.end)
    executor.submit(lost := work(nothing))
    executor.submit(following := work(nothing))
    task = executor.tasks[lost]
    task.cancel()
    await asyncio.wait([task])
    executor.sweep()
    await seen.until(2)
    assert [ended for ended, _ in seen.ended] == [lost, following]


@pytest.mark.parametrize(
    ("kind", "event"),
    [(LoopExecutor, asyncio.Event), (ThreadExecutor, threading.Event)],
    ids=["loop", "threads"],
)
async def test_how_many_more_could_start(kind: Any, event: Any) -> None:
    seen, go = Seen(), event()
    executor = kind(2, seen.begin, seen.end)
    free = [executor.free]
    for _ in range(3):
        executor.submit(work(go.wait))
        free.append(executor.free)
    assert free == [2, 1, 0, 0]
    go.set()
    await seen.until(3)
    assert executor.free == 2
    if kind is ThreadExecutor:
        executor.stop()


async def test_what_must_not_begin_takes_no_place() -> None:
    seen = Seen()

    def refuse_first(work: Work) -> Context | None:
        context = seen.begin(work)
        return None if len(seen.begun) == 1 else context

    for executor in (LoopExecutor(1, refuse_first, seen.end), ThreadExecutor(1, refuse_first, seen.end)):
        seen.begun.clear()
        seen.ended.clear()
        function = nothing if isinstance(executor, LoopExecutor) else lambda: None
        executor.submit(work(function))
        executor.submit(second := work(function))
        await seen.until(1)
        assert seen.ended == [(second, SUCCEEDED)]
        assert executor.free == 1
        if isinstance(executor, ThreadExecutor):
            executor.stop()


async def test_one_that_waits_can_be_taken_back_and_no_other() -> None:
    seen, go = Seen(), asyncio.Event()
    executor = LoopExecutor(1, seen.begin, seen.end)
    works = [work(go.wait) for _ in range(3)]
    for each in works:
        executor.submit(each)
    assert [take_one_back(executor, each) for each in (works[0], works[1], works[1])] == [False, True, False]
    go.set()
    await seen.until(2)
    assert [ended for ended, _ in seen.ended] == [works[0], works[2]]


async def test_an_interrupted_job_is_cancelled_where_it_awaits() -> None:
    seen, go = Seen(), asyncio.Event()
    executor = LoopExecutor(1, seen.begin, seen.end)
    executor.submit(stopped := work(go.wait))
    executor.interrupt(work(nothing))  # of which it knows nothing
    await asyncio.sleep(0)
    executor.interrupt(stopped)
    await seen.until(1)
    assert isinstance(seen.ended[0][1], asyncio.CancelledError)


async def test_the_place_of_a_deaf_job_is_given_away_and_its_late_end_ignored() -> None:
    seen, go = Seen(), asyncio.Event()
    executor = LoopExecutor(1, seen.begin, seen.end)
    executor.submit(left := work(partial(deaf, go)))
    executor.submit(following := work(nothing))
    await asyncio.sleep(0)
    task = executor.tasks[left]
    executor.interrupt(left)
    await asyncio.sleep(0.01)
    assert (executor.tasks, seen.ended) == ({left: task}, [])
    assert executor.abandon(left)
    assert not executor.abandon(left)
    await seen.until(1)
    go.set()
    await asyncio.wait([task])
    assert [ended for ended, _ in seen.ended] == [following]
    assert executor.free == 1


async def test_the_place_of_a_hung_thread_is_given_away_and_its_late_end_ignored(
    caplog: pytest.LogCaptureFixture,
) -> None:
    seen, go, entered = Seen(), threading.Event(), threading.Event()

    def hang() -> None:
        entered.set()
        go.wait(10)

    executor = ThreadExecutor(1, seen.begin, seen.end)
    assert not executor.abandon(work(hang))
    executor.submit(left := work(hang))
    executor.submit(following := work(lambda: None))
    await asyncio.to_thread(entered.wait, 10)
    executor.interrupt(left)  # nothing ends a thread
    assert executor.abandon(left)
    assert not executor.abandon(left)
    assert executor.hung == {left}
    await seen.until(1)
    assert executor.free == 1
    go.set()
    with anyio.fail_after(10):
        while executor.hung:
            await asyncio.sleep(0.001)
    await asyncio.sleep(0.01)
    assert [ended for ended, _ in seen.ended] == [following]
    assert "hangs in its thread, which nothing can end" in caplog.text
    assert "has come to an end after all" in caplog.text
    executor.submit(work(lambda: None))
    await seen.until(2)
    executor.stop()


async def test_only_so_many_hung_threads_are_replaced(caplog: pytest.LogCaptureFixture) -> None:
    seen, go = Seen(), threading.Event()
    executor = ThreadExecutor(1, seen.begin, seen.end)
    works = [work(lambda: (go.wait(10), None)[1]) for _ in range(MOST_HUNG + 1)]
    for count, each in enumerate(works, 1):
        executor.submit(each)
        with anyio.fail_after(10):
            while len(seen.begun) < count:
                await asyncio.sleep(0.001)
        assert executor.abandon(each)
    assert executor.hung == set(works[:-1])
    assert f"{MOST_HUNG} threads hang: the place of job " in caplog.text
    executor.submit(following := work(lambda: None))
    await asyncio.sleep(0.02)
    assert following not in seen.begun
    go.set()
    await seen.until(2)
    # That of the last one is told, for whoever listens has heard of no other place.
    assert [ended for ended, _ in seen.ended] == [works[-1], following]
    assert not executor.abandon(works[-1])
    with anyio.fail_after(10):
        while executor.hung:
            await asyncio.sleep(0.001)
    executor.stop()
