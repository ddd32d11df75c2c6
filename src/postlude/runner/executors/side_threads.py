"""Sync functions that have dependencies: called in threads, while their tasks wait on the loop."""

import asyncio
import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

from anyio import CapacityLimiter

from postlude.compat import worker_thread
from postlude.model.event.jobs import JobHangs, JobReturned
from postlude.model.event.runner import LoopClosed, Missed, Slot, SlotRefused
from postlude.runner.attempt.work import Work
from postlude.runner.executors.protocol import AGAIN_AFTER
from postlude.runner.executors.threads import MOST_HUNG
from postlude.telemetry.events import Events


class SideThreads:
    """Calls functions in threads beside one event loop.

    Daemon threads, one for each call: one that hangs must not keep the process from ending. They
    count as anyio's worker threads, so `anyio.from_thread` works in them.

    Args:
        threads: how many at once.
        events: who is told of what happens.
    """

    def __init__(self, threads: int, events: Events) -> None:
        self._events = events
        self.hung: set[Work] = set()
        """Work whose time is over and whose thread still runs it."""
        self._threads = threads
        self._limiter: CapacityLimiter | None = None
        self._running: set[Work] = set()

    async def call(self, work: Work, function: Callable[[], Any]) -> Any:
        """Call it, and wait for its end, also when cancelled: it uses what its dependencies have opened."""
        limiter = self._limiter = self._limiter or CapacityLimiter(self._threads)
        async with limiter:
            self._running.add(work)
            try:
                return await (await _started(function, self._events)).end()
            finally:
                self._running.discard(work)
                if work in self.hung:
                    self.hung.discard(work)
                    limiter.total_tokens -= 1
                    self._events.emit(JobReturned(*work.identity))

    def abandon(self, work: Work) -> None:
        """Give its thread's place away, unless too many hang already. On the loop."""
        if self._limiter is None or work not in self._running:
            return
        if len(self.hung) >= MOST_HUNG * self._threads:
            self._events.emit(JobHangs(*work.identity, len(self.hung), False))
            return
        self.hung.add(work)
        self._limiter.total_tokens += 1
        self._events.emit(JobHangs(*work.identity, len(self.hung), True))


async def _started(function: Callable[[], Any], events: Events) -> "_Call":
    """Start a call; where the system has no thread for it now, it waits until there is one."""
    refused = False
    while True:
        call = _Call(function, events)
        try:
            call.start()
        except RuntimeError as error:
            if not refused:
                events.emit(SlotRefused(Slot.SIDE_THREAD, 1, error))
            refused = True
            await asyncio.sleep(AGAIN_AFTER)
        else:
            return call


class _Call:
    """A call in a thread of its own, and its end, which can be had once.

    Nothing else holds what was raised: an error knows the frames that it came through, and those below
    them, so whatever they hold must not hold it.
    """

    def __init__(self, function: Callable[[], Any], events: Events) -> None:
        self._events = events
        self._function = function
        self._context = copy_context()
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._value: Any = None
        self._error: BaseException | None = None

    def start(self) -> None:
        """Start it.

        Raises:
            RuntimeError: the system has no thread.
        """
        threading.Thread(target=self._run, name="postlude-beside", daemon=True).start()

    async def end(self) -> Any:
        """Wait for it. Being cancelled does not end it: its function is told by `raise_if_cancelled`."""
        while not self._over.done():
            try:
                await asyncio.wait([self._over])
            except asyncio.CancelledError:
                continue
        error, self._error = self._error, None
        if error is None:
            return self._value
        try:
            raise error
        finally:
            del error

    def _run(self) -> None:
        with worker_thread(self._loop):
            try:
                self._value = self._context.run(self._function)
            except StopIteration:  # no coroutine may raise it
                self._error = RuntimeError("the function raised StopIteration")
            except BaseException as error:
                self._error = error
        try:
            self._loop.call_soon_threadsafe(self._over.set_result, None)
        except RuntimeError:
            self._events.emit(LoopClosed(Missed.END))
