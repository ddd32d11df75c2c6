"""Sync functions that have dependencies: called in threads, while their tasks wait on the loop."""

import asyncio
import logging
import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import Any

from anyio import CapacityLimiter
from anyio._backends._asyncio import AsyncIOBackend
from anyio._core._eventloop import claim_worker_thread

from postlude.runner.thread_lane import MOST_HUNG
from postlude.runner.work import Work

log = logging.getLogger("postlude.jobs")


class Beside:
    """Calls functions in threads beside one event loop.

    Daemon threads, one for each call: one that hangs must not keep the process from ending. They
    count as anyio's worker threads, so `anyio.from_thread` works in them.

    Args:
        threads: how many at once.
    """

    def __init__(self, threads: int) -> None:
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
                return await _end_of(_start(function))
            finally:
                self._running.discard(work)
                if work in self.hung:
                    self.hung.discard(work)
                    limiter.total_tokens -= 1
                    log.warning("job %s has come to an end after all, long after its time was over", work)

    def abandon(self, work: Work) -> None:
        """Give its thread's place away, unless too many hang already. On the loop."""
        if self._limiter is None or work not in self._running:
            return
        if len(self.hung) >= MOST_HUNG * self._threads:
            log.error("%d threads hang: the place of job %s is not replaced", len(self.hung), work)
            return
        self.hung.add(work)
        self._limiter.total_tokens += 1
        log.error("job %s hangs in its thread, which nothing can end; its place is replaced", work)


def _start(function: Callable[[], Any]) -> "asyncio.Future[Any]":
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()
    context = copy_context()

    def settle(value: Any, error: BaseException | None) -> None:
        if isinstance(error, StopIteration):  # no future takes it
            error = RuntimeError("the function raised StopIteration")
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(error)

    def run() -> None:
        value: Any = None
        raised: BaseException | None = None
        with claim_worker_thread(AsyncIOBackend, loop):
            try:
                value = context.run(function)
            except BaseException as error:
                raised = error
        try:
            loop.call_soon_threadsafe(settle, value, raised)
        except RuntimeError:
            log.warning("a job ended after its event loop had closed; it will run again")

    threading.Thread(target=run, name="postlude-beside", daemon=True).start()
    return future


async def _end_of(future: "asyncio.Future[Any]") -> Any:
    """Wait for a thread. Being cancelled does not end it: its function is told by `raise_if_cancelled`."""
    while not future.done():
        try:
            await asyncio.wait([future])
        except asyncio.CancelledError:
            continue
    return future.result()
