"""Sync functions, on threads of our own, so that they never use up those that serve endpoints."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final

from postlude.compat import worker_thread
from postlude.model.event.jobs import JobHangs, JobReturned
from postlude.model.event.runner import LoopClosed, Missed, Slot, SlotRefused
from postlude.model.outcome import Outcome
from postlude.runner.attempt.execution import run_sync
from postlude.runner.attempt.work import Work
from postlude.runner.executors.protocol import AGAIN_AFTER, Begin, Ended
from postlude.telemetry.events import Events
from postlude.telemetry.logging import logged

MOMENT: Final = 0.001
"""Seconds in which ends of sync jobs, and threads to be woken, gather."""

MOST_HUNG: Final = 4
"""So many times the threads of an executor may hang and be replaced; then their places stay lost."""


class ThreadExecutor:
    """Runs sync functions.

    Daemon threads: one that hangs must not keep the process from ending. They count as anyio's
    worker threads, so `anyio.from_thread` works in tasks as it does in FastAPI's.

    Args:
        threads: how many; started as they are needed.
        begin: called as work starts, in the thread.
        ended: called on the loop with how it ended.
        events: who is told of what happens; by default, the log.
    """

    def __init__(self, threads: int, begin: Begin, ended: Ended, *, events: Events | None = None) -> None:
        self._events = events or logged()
        self.waiting: deque[Work] = deque()
        self.hung: set[Work] = set()
        """Work whose time is over and whose thread still runs it."""
        self.ended_so_far = 0
        self._most = threads
        self._begin = begin
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._threads = 0
        self._idle: deque[None] = deque()
        self._tokens: SimpleQueue[bool] = SimpleQueue()
        # Whoever pops a work has it: its thread when it ends, or the loop that gives its place away.
        self._running: dict[Work, None] = {}
        self._results: deque[tuple[Work, Outcome | BaseException]] = deque()
        self._waking = False
        self._told = self._hurried = False
        """Whether the loop is to collect what has ended: in a moment, and at once."""
        self._refused = False
        """Whether the system has refused the last thread."""

    @property
    def running(self) -> list[Work]:
        """What runs in its places."""
        return list(self._running)

    @property
    def free(self) -> int:
        """How many more could start at once."""
        return max(0, self._most - len(self._running) - len(self.waiting))

    def submit(self, work: Work) -> None:
        """Start it, now or when there is room."""
        self.waiting.append(work)
        if not self._waking:
            self._waking = True
            self._loop.call_soon(self._wake)

    def runs(self, work: Work) -> bool:
        """Whether this has started and has not returned."""
        return work in self._running

    def interrupt(self, work: Work) -> None:
        """Nothing ends a thread from outside; its function asks `raise_if_cancelled`."""

    def abandon(self, work: Work) -> bool:
        """Give its place to another thread, unless too many hang already."""
        if len(self.hung) >= MOST_HUNG * self._most:
            self._events.emit(JobHangs(*work.identity, len(self.hung), False))
            return work in self._running
        if work not in self._running:
            return False
        self.hung.add(work)  # before its place is taken: its thread, ending now, discards it
        try:
            del self._running[work]
        except KeyError:
            self.hung.discard(work)
            return False
        self._threads -= 1
        self._events.emit(JobHangs(*work.identity, len(self.hung), True))
        if self.waiting:
            self._wake()
        return True

    def stop(self) -> None:
        """End the threads that are idle; those that are busy end after their work."""
        for _ in range(self._threads):
            self._tokens.put(False)

    def _wake(self) -> None:
        """Wake or start one thread; another a moment later, if work still waits then.

        One thread runs a burst of short jobs alone. Waking one for each job costs two changes of
        threads a job, which is more than most such jobs.
        """
        again = self._wake_one()
        self._waking = again is not None
        if again is not None:
            self._loop.call_later(again, self._wake)

    def _wake_one(self) -> float | None:
        """Wake or start a thread, if work waits for one.

        Returns:
            the seconds until another may be needed; None: no more can be had, or is wanted.
        """
        if not self.waiting:
            return None
        try:
            self._idle.pop()
        except IndexError:
            if self._threads >= self._most:
                return None  # all are busy, and take what waits when they are done
            return MOMENT if self._start_one() else AGAIN_AFTER
        self._tokens.put(True)
        return MOMENT

    def _start_one(self) -> bool:
        """Start a thread; False if the system has none now."""
        self._threads += 1
        try:
            threading.Thread(target=self._serve, name="postlude-worker", daemon=True).start()
        except RuntimeError as error:
            if not self._refused:
                self._events.emit(SlotRefused(Slot.THREAD, len(self.waiting), error))
            self._refused = True
            self._threads -= 1
            return False
        self._refused = False
        return True

    def _serve(self) -> None:
        with worker_thread(self._loop):
            while self._run_what_waits():
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

    def _run_what_waits(self) -> bool:
        """Run until nothing waits; False if this thread has lost its place meanwhile."""
        while True:
            try:
                work = self.waiting.popleft()
            except IndexError:
                return True
            self._running[work] = None
            context = self._begin(work)
            if context is None:
                self._running.pop(work, None)
                continue
            assert work.task is not None
            result = context.run(run_sync, work, work.task)
            del context
            try:
                del self._running[work]
            except KeyError:
                self.hung.discard(work)
                self._events.emit(JobReturned(*work.identity))
                del result  # an error knows this frame
                return False
            awaited = work.follower is not None or work.waiter is not None
            self._results.append((work, result))
            del work, result
            if awaited:
                if not self._hurried:
                    self._hurried = True
                    self._tell(self._collect_at_once)
            elif not self._told:
                self._told = True
                self._tell(self._loop.call_later, MOMENT, self._collect)

    def _tell(self, call: Callable[..., object], *args: object) -> None:
        try:
            self._loop.call_soon_threadsafe(call, *args)
        except RuntimeError:
            self._events.emit(LoopClosed(Missed.END))

    def _collect_at_once(self) -> None:
        """Let what follows start now, and who waits go on: a moment would be most of the time they take."""
        self._collect()
        self._wake_one()

    def _collect(self) -> None:
        self._told = self._hurried = False
        results = self._results
        try:
            while results:
                work, result = results.popleft()
                self.ended_so_far += 1
                self._ended(work, result)
        finally:
            if results:  # what one of them raises must not keep the others from their ends
                self._loop.call_soon(self._collect)
