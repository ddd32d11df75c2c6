"""Where work is executed: the application's event loop, and threads of our own.

A lane starts what fits and keeps the rest, in order. What it keeps can be taken back, by any
thread, until it starts: `deque.popleft` decides who has it.
"""

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from contextvars import Context
from queue import SimpleQueue
from typing import Final, Protocol

from anyio._backends._asyncio import AsyncIOBackend
from anyio._core._eventloop import claim_worker_thread

from postlude.model.outcome import SUCCEEDED, Outcome
from postlude.runner.execution import run_sync
from postlude.runner.work import Work

log = logging.getLogger("postlude.jobs")

MOMENT: Final = 0.001
"""Seconds in which ends of sync jobs, and threads to be woken, gather."""

Ended = Callable[[Work, Outcome | BaseException], None]
Begin = Callable[[Work], None]


class Lane(Protocol):
    """One way of executing work."""

    waiting: deque[Work]

    def submit(self, work: Work) -> None:
        """Start it, now or when there is room. On the loop."""
        ...


class LoopLane:
    """Async functions, as tasks on the application's loop, at most `slots` at once.

    Args:
        slots: how many.
        begin: called as work starts.
        ended: called with how it ended.
    """

    def __init__(self, slots: int, begin: Begin, ended: Ended) -> None:
        self.waiting: deque[Work] = deque()
        self.tasks: dict[Work, asyncio.Task[None]] = {}
        self._slots = slots
        self._begin = begin
        self._ended = ended
        self._loop = asyncio.get_running_loop()

    def submit(self, work: Work) -> None:
        """Start it, now or when there is room."""
        if len(self.tasks) >= self._slots:
            self.waiting.append(work)
        else:
            self._start(work)

    def _start(self, work: Work) -> None:
        self._begin(work)
        # An empty context: nothing of the request, or of the job before, is visible to a job.
        self.tasks[work] = self._loop.create_task(self._run(work), context=Context())

    async def _run(self, work: Work) -> None:
        assert work.task is not None
        assert work.args is not None
        assert work.kwargs is not None
        result: Outcome | BaseException = SUCCEEDED
        try:
            await work.task.function(*work.args, **work.kwargs)
        except BaseException as error:
            result = error  # whatever it is, it must not reach the loop
        del self.tasks[work]
        self._ended(work, result)
        waiting = self.waiting
        while waiting and len(self.tasks) < self._slots:
            try:
                work = waiting.popleft()
            except IndexError:  # taken back
                return
            self._start(work)

    def sweep(self) -> None:
        """Notice tasks that somebody else cancelled before their first step: they told nobody."""
        for work, task in list(self.tasks.items()):
            if task.done():
                del self.tasks[work]
                self._ended(work, asyncio.CancelledError("cancelled before it had begun"))


class ThreadLane:
    """Sync functions, on threads of our own, so that they never use up those that serve endpoints.

    Daemon threads: one that hangs must not keep the process from ending. They count as anyio's
    worker threads, so `anyio.from_thread` works in tasks as it does in FastAPI's.

    Args:
        threads: how many; started as they are needed.
        begin: called as work starts, in the thread.
        ended: called on the loop with how it ended.
    """

    def __init__(self, threads: int, begin: Begin, ended: Ended) -> None:
        self.waiting: deque[Work] = deque()
        self._most = threads
        self._begin = begin
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._threads: list[threading.Thread] = []
        self._idle: deque[None] = deque()
        self._tokens: SimpleQueue[bool] = SimpleQueue()
        self._results: deque[tuple[Work, Outcome | BaseException]] = deque()
        self._waking = False
        self._told = False

    def submit(self, work: Work) -> None:
        """Start it, now or when there is room."""
        self.waiting.append(work)
        if not self._waking:
            self._waking = True
            self._loop.call_soon(self._wake)

    def stop(self) -> None:
        """End the threads that are idle; those that are busy end after their work."""
        for _ in self._threads:
            self._tokens.put(False)

    def _wake(self) -> None:
        """Wake or start one thread; another a moment later, if work still waits then.

        One thread runs a burst of short jobs alone. Waking one for each job costs two changes of
        threads a job, which is more than most such jobs.
        """
        self._waking = False
        if not self.waiting:
            return
        try:
            self._idle.pop()
        except IndexError:
            if len(self._threads) >= self._most:
                return  # all are busy, and take what waits when they are done
            thread = threading.Thread(target=self._serve, name="postlude-worker", daemon=True)
            self._threads.append(thread)
            thread.start()
        else:
            self._tokens.put(True)
        self._waking = True
        self._loop.call_later(MOMENT, self._wake)

    def _serve(self) -> None:
        with claim_worker_thread(AsyncIOBackend, self._loop):
            while True:
                self._run_what_waits()
                self._idle.append(None)
                if self.waiting:
                    # It came after the look and before this thread counted as idle.
                    try:
                        self._idle.pop()
                    except IndexError:
                        pass  # the loop has taken the place: a token is on its way
                    else:
                        continue
                if not self._tokens.get():
                    return

    def _run_what_waits(self) -> None:
        while True:
            try:
                work = self.waiting.popleft()
            except IndexError:
                return
            self._begin(work)
            assert work.task is not None
            result = Context().run(run_sync, work, work.task)
            self._results.append((work, result))
            del work, result
            if not self._told:
                self._told = True
                self._tell()

    def _tell(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._loop.call_later, MOMENT, self._collect)
        except RuntimeError:
            log.warning("a job ended after its event loop had closed; it will run again")

    def _collect(self) -> None:
        self._told = False
        results = self._results
        while results:
            work, result = results.popleft()
            self._ended(work, result)


def take_back(lane: Lane) -> list[Work]:
    """Take everything that a lane has not started. From any thread."""
    taken: list[Work] = []
    waiting = lane.waiting
    while True:
        try:
            taken.append(waiting.popleft())
        except IndexError:
            return taken
