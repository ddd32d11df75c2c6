"""Ending work that runs: because its time is over, or because somebody has asked for it."""

import asyncio
import contextlib
import logging
import math
import threading
from collections.abc import Callable
from contextvars import Context
from typing import Any

import anyio
import pytest

from postlude.jobs.current import CurrentJob
from postlude.model.event import Event
from postlude.model.outcome import SUCCEEDED
from postlude.runner.attempt.work import Stopping, Work
from postlude.runner.executors import timeouts as timeouts
from postlude.runner.executors.loop import LoopExecutor
from postlude.runner.executors.protocol import Executor
from postlude.runner.executors.threads import MOST_HUNG, ThreadExecutor
from postlude.runner.executors.timeouts import Timeouts
from postlude.tasks.codec.payload import Limits
from postlude.tasks.policy import Policy
from postlude.tasks.task import Task
from postlude.telemetry.logging import logged

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is interrupted has not a second, but a moment."""
    monkeypatch.setattr(timeouts, "PATIENCE", 0.02)


class Shop:
    """Both executors of this process with their timeouts, and what they have told."""

    def __init__(self, slots: int = 1) -> None:
        self.seconds: dict[Work, float] = {}
        self.begun: list[Work] = []
        self.ended: list[tuple[Work, Any]] = []
        self.events = logged()
        self.async_ = LoopExecutor(slots, self._begin, self._end)
        self.threads = ThreadExecutor(slots, self._begin, self._end)
        self.timeouts = Timeouts(asyncio.get_running_loop(), self.executor_of, self._end, self.events)

    def executor_of(self, work: Work) -> Executor | None:
        if work.task is None:
            return None
        return self.async_ if work.task.is_async else self.threads

    def run(self, function: Callable[[], Any], seconds: float | None = None, **policy: Any) -> Work:
        work = Work(b"0" * 16, "app:f", "default", b"", 0)
        work.task = Task(function, "app:f", Limits(1024, 10), Policy(**policy))
        work.args, work.kwargs = (), {}
        if seconds is not None:
            self.seconds[work] = seconds
        executor = self.executor_of(work)
        assert executor is not None
        executor.submit(work)
        return work

    def _begin(self, work: Work) -> Context:
        work.current = CurrentJob(work.id, work.name, work.queue, 1)
        if work in self.seconds:
            self.timeouts.limit(work, self.seconds[work])
        self.begun.append(work)
        return Context()

    def _end(self, work: Work, result: Any) -> None:
        work.over = True
        self.timeouts.ended(work)
        self.ended.append((work, result))

    async def until(self, ended: int) -> None:
        await eventually(lambda: len(self.ended) >= ended)

    def results(self, work: Work) -> list[Any]:
        return [result for ended, result in self.ended if ended is work]


async def eventually(look: Callable[[], bool]) -> None:
    with anyio.fail_after(10):
        while not look():
            await asyncio.sleep(0.001)


async def sleep_long() -> None:
    await asyncio.sleep(60)


async def nothing() -> None: ...


class TestTimeouts:
    async def test_what_ends_in_time_is_left_alone(self) -> None:
        shop = Shop()
        work = shop.run(nothing, 60)
        await shop.until(1)
        assert shop.results(work) == [SUCCEEDED]
        assert shop.timeouts.watched == 0
        assert (work.stopping, work.seconds) == (None, 60)

    async def test_who_is_told_is_late_whatever_the_other_clock_says(self) -> None:
        """The loop may wake a moment too early; then the attempt must not end well, and too late, at once."""
        shop = Shop()
        work = shop.run(sleep_long, 0.01)
        assert work.current is not None
        work.current.until = math.inf
        await eventually(lambda: work.stopping is Stopping.TIMEOUT)
        assert work.current.is_late

    async def test_what_awaits_too_long_is_cancelled_there(self, caplog: pytest.LogCaptureFixture) -> None:
        shop = Shop()
        work = shop.run(sleep_long, 0.01)
        await shop.until(1)
        assert isinstance(shop.results(work)[0], asyncio.CancelledError)
        assert work.stopping is Stopping.TIMEOUT
        assert "takes longer than its 0.01 s" in caplog.text
        assert work.current is not None
        assert work.current.cancelled
        await asyncio.sleep(0.05)
        assert len(shop.ended) == 1

    async def test_what_it_does_about_it_is_its_end(self) -> None:
        shop = Shop()

        async def saves() -> str:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                return "saved"
            return ""

        async def breaks() -> None:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                raise ValueError("not now") from None

        saved, broken = shop.run(saves, 0.01), shop.run(breaks, 0.01)
        await shop.until(2)
        assert shop.results(saved)[0].result == b'"saved"'
        assert isinstance(shop.results(broken)[0], ValueError)

    async def test_who_swallows_it_is_left_behind(self) -> None:
        shop, go = Shop(), asyncio.Event()

        async def deaf() -> None:
            while not go.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await go.wait()

        work, following = shop.run(deaf, 0.01), shop.run(nothing)
        await eventually(lambda: work in shop.async_.tasks)
        task = shop.async_.tasks[work]
        await shop.until(2)
        assert shop.results(following) == [SUCCEEDED]
        (result,) = shop.results(work)
        assert isinstance(result, TimeoutError)
        assert not task.done()
        go.set()
        await asyncio.wait([task])
        assert len(shop.results(work)) == 1

    async def test_a_thread_is_replaced_at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nothing ends a thread, so there is nothing to wait for."""
        monkeypatch.setattr(timeouts, "PATIENCE", 60.0)
        shop, go = Shop(), threading.Event()
        work = shop.run(lambda: go.wait(10), 0.01)
        following = shop.run(lambda: None)
        await shop.until(2)
        assert isinstance(shop.results(work)[0], TimeoutError)
        assert shop.results(following) == [SUCCEEDED]
        assert shop.threads.hung == {work}
        go.set()
        await eventually(lambda: not shop.threads.hung)
        await asyncio.sleep(0.01)
        assert len(shop.ended) == 2
        shop.threads.stop()

    async def test_beyond_the_cap_a_place_stays_lost_and_its_attempt_ends_once(self) -> None:
        shop, go = Shop(), threading.Event()
        for count in range(MOST_HUNG + 1):
            shop.run(lambda: go.wait(10), 0.005)
            await shop.until(count + 1)
        assert len(shop.threads.hung) == MOST_HUNG
        assert shop.threads.free == 0
        assert all(isinstance(result, TimeoutError) for _, result in shop.ended)
        go.set()
        await eventually(lambda: not shop.threads.hung and shop.threads.free == 1)
        shop.threads.stop()

    async def test_a_limit_can_be_set_from_a_thread(self) -> None:
        shop, threads = Shop(), list[threading.Thread]()

        def work() -> None:
            threads.append(threading.current_thread())

        made = shop.run(work, 60)
        await shop.until(1)
        assert threads[0] is not threading.current_thread()
        assert made.seconds == 60
        assert shop.timeouts.watched == 0

    async def test_a_limit_that_comes_after_the_end_starts_no_timer(self) -> None:
        shop = Shop()
        work = shop.run(nothing)
        await shop.until(1)
        shop.timeouts.limit(work, 0.001)
        assert shop.timeouts.watched == 0
        await asyncio.sleep(0.02)
        assert (work.stopping, len(shop.ended)) == (None, 1)

    async def test_a_sync_task_in_a_process_has_its_moment_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(timeouts, "PATIENCE", 60.0)
        shop, go = Shop(), threading.Event()
        work = shop.run(lambda: go.wait(10), 0.005, run="process")
        await eventually(lambda: work.stopping is Stopping.TIMEOUT)
        await asyncio.sleep(0.02)
        assert (shop.ended, shop.threads.hung) == ([], set())
        go.set()
        await shop.until(1)
        shop.threads.stop()


class TestCancelling:
    async def test_it_is_cancelled_where_it_awaits(self, caplog: pytest.LogCaptureFixture) -> None:
        shop = Shop()
        work = shop.run(sleep_long)
        await asyncio.sleep(0)
        shop.timeouts.cancel(work)
        assert work.stopping is Stopping.CANCEL
        await shop.until(1)
        assert isinstance(shop.results(work)[0], asyncio.CancelledError)

    async def test_a_thread_hears_of_it_when_it_asks(self) -> None:
        shop, go = Shop(), threading.Event()
        heard: list[Work] = []

        def looks() -> None:
            go.wait(10)
            assert work.current is not None
            try:
                work.current.raise_if_cancelled()
            finally:
                heard.append(work)

        work = shop.run(looks)
        await eventually(lambda: work in shop.begun)
        shop.timeouts.cancel(work)
        await asyncio.sleep(0.05)
        assert shop.ended == []
        go.set()
        await shop.until(1)
        assert heard == [work]
        assert isinstance(shop.results(work)[0], asyncio.CancelledError)
        shop.threads.stop()

    async def test_who_swallows_it_runs_on(self) -> None:
        """Its job is asked to stop, and is running until it has."""
        shop, go = Shop(), asyncio.Event()

        async def deaf() -> None:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(60)
            await go.wait()

        work = shop.run(deaf)
        await asyncio.sleep(0)
        shop.timeouts.cancel(work)
        await asyncio.sleep(0.06)
        assert (shop.ended, list(shop.async_.tasks)) == ([], [work])
        shop.timeouts.cancel(work)  # once is enough
        await asyncio.sleep(0.01)
        assert shop.ended == []
        go.set()
        await shop.until(1)
        assert shop.results(work) == [SUCCEEDED]

    async def test_its_time_ends_also_while_it_is_cancelled(self) -> None:
        shop, go = Shop(), asyncio.Event()

        async def deaf() -> None:
            while not go.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await go.wait()

        work = shop.run(deaf, 0.03)
        await asyncio.sleep(0)
        shop.timeouts.cancel(work)
        await shop.until(1)
        assert work.stopping is Stopping.TIMEOUT
        assert isinstance(shop.results(work)[0], TimeoutError)
        go.set()

    async def test_what_has_ended_or_stops_already_is_not_told(self) -> None:
        shop = Shop()
        work = shop.run(nothing)
        await shop.until(1)
        shop.timeouts.cancel(work)
        assert work.stopping is None
        assert work.current is not None
        assert not work.current.cancelled

    async def test_what_has_no_task_yet_runs_nowhere(self) -> None:
        shop = Shop()
        work = Work(b"0" * 16, "app:f", "default", b"", 0)
        shop.timeouts.cancel(work)
        assert work.stopping is Stopping.CANCEL


async def test_each_work_has_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """They share one timer, which is set anew for one that ends sooner, and after each end."""
    loop, gone = asyncio.get_running_loop(), [0]
    clock = loop.time
    monkeypatch.setattr(loop, "time", lambda: clock() + gone[0])
    shop = Shop(slots=4)
    second, last, first = (shop.run(sleep_long, seconds) for seconds in (30, 3600, 15))
    unlimited = shop.run(sleep_long)
    await eventually(lambda: len(shop.begun) == 4)
    for ended in (1, 2):
        gone[0] += 16
        await shop.until(ended)
    assert ([work for work, _ in shop.ended], shop.timeouts.watched) == ([first, second], 1)
    assert all(work.stopping is Stopping.TIMEOUT for work, _ in shop.ended)
    assert (last.stopping, unlimited.stopping) == (None, None)
    for work in (last, unlimited):
        shop.timeouts.cancel(work)
    await shop.until(4)


async def test_what_goes_wrong_at_one_end_keeps_no_other_from_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shop, told = Shop(slots=2), list[dict[str, Any]]()
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    inner = shop.events.emit

    def breaks(event: Event) -> None:
        monkeypatch.setattr(shop.events, "emit", inner)
        raise ValueError("what nobody has thought of")

    monkeypatch.setattr(shop.events, "emit", breaks)
    works = [shop.run(sleep_long, 0.01), shop.run(sleep_long, 0.01)]
    await shop.until(1)
    assert [type(context["exception"]) for context in told] == [ValueError]
    for work in works:
        shop.timeouts.cancel(work)
    await shop.until(2)


async def test_time_that_is_over_is_not_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a task takes its moment to leave, its loop must not spin."""
    monkeypatch.setattr(timeouts, "PATIENCE", 60.0)
    shop, left = Shop(), asyncio.Event()

    async def leaves_slowly() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await left.wait()

    work = shop.run(leaves_slowly, 0.01)
    await eventually(lambda: work.stopping is Stopping.TIMEOUT)
    assert (shop.timeouts.watched, work.over) == (0, False)
    left.set()
    await shop.until(1)


async def test_nothing_is_kept_of_an_attempt_that_has_ended(caplog: pytest.LogCaptureFixture) -> None:
    """A thousand short jobs with a long timeout leave nothing behind."""
    caplog.set_level(logging.WARNING)
    shop = Shop(slots=4)
    for _ in range(20):
        shop.run(nothing, 0.05)
        shop.run(lambda: None, 0.05)
    await shop.until(40)
    assert shop.timeouts.watched == 0
    await asyncio.sleep(0.08)
    assert len(shop.ended) == 40
    assert not [work for work, _ in shop.ended if work.stopping]
    shop.threads.stop()


class EarlyLoop:
    """A loop that calls a little before the time, as uvloop does."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked: list[float] = []

    def time(self) -> float:
        return self.now

    def call_soon_threadsafe(self, call: Callable[..., None], *args: Any) -> None:
        call(*args)

    def call_at(self, moment: float, call: Callable[..., None], *args: Any) -> Any:
        self.asked.append(moment)
        return asyncio.get_running_loop().call_soon(lambda: None)

    call_later = call_at


async def test_a_loop_that_calls_early_is_not_asked_again() -> None:
    loop: Any = EarlyLoop()
    some = Timeouts(loop, lambda work: None, lambda work, error: None, logged())
    work = Work(b"0" * 16, "app:f", "default", b"", 0)
    some.limit(work, 10.0)
    loop.now = 9.9996
    some._look()
    assert (work.stopping, some.watched, loop.asked[0]) == (Stopping.TIMEOUT, 0, 10.0)
