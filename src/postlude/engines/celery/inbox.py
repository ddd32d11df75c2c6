"""What Celery's workers bring: the one task of ours, and what runs jobs here, which they are handed to."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from math import inf
from time import monotonic
from typing import Any, Final
from uuid import UUID

from celery import Celery

from postlude.engines.protocol import Hands, Run
from postlude.errors import JournalUnavailable
from postlude.model.refusal import Over, Refusal

TASK: Final = "postlude.run"
"""The name of the task that has a job run."""

AGAIN: Final = 0.5
LATEST: Final = 5.0
"""Seconds until a journal that cannot be written is asked again: the first pause, and the longest."""

LOOK_EVERY: Final = 1.0
"""Seconds between looks whether the loop that a job was handed to has closed."""

PLACE_FOR: Final = 1.0
"""Seconds for which a call lasts at most in place of another: the message that Celery has for this process
already waits for it, and another process may be free."""

_INBOX: Final = "postlude_inbox"


class OneByOne:
    """The `Hands` of a `Run` that has none: nothing is handed over before what was has ended.

    Args:
        run: runs jobs.
        loop: where.
    """

    ahead = 0

    def __init__(self, run: Run, loop: asyncio.AbstractEventLoop) -> None:
        self._run = run
        self._loop = loop

    def hand(self, id: bytes, over: Over) -> None:
        """Have a job run, in a task of the loop."""
        try:
            self._loop.call_soon_threadsafe(self._begin, id, over)
        except RuntimeError:  # it has closed
            over(Refusal.BURIED)

    def _begin(self, id: bytes, over: Over) -> None:
        task = self._loop.create_task(self._one(id))
        task.add_done_callback(lambda task: over(None if task.cancelled() else task.exception()))

    async def _one(self, id: bytes) -> None:
        await self._run([id])


class Inbox:
    """Where the task hands in jobs: to what the application's lifespan in this process runs them with."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._hands: Hands | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.exact = False
        """Whether each call of the task lasts as long as its job, also where jobs are short, because the
        worker that this process is of was started so."""
        self._exact = False
        self._closed = False
        self._held = 0
        """How many jobs have been handed over and are not over."""
        self._waiting = 0
        """How many calls wait for that."""
        self.begin: Callable[[], None] | None = None
        """Starts the application in this process, if nobody has; None: somebody else does."""

    def open(self, run: Run, loop: asyncio.AbstractEventLoop, *, exact: bool = False) -> None:
        """The application has started: hand jobs to `run`, on its loop.

        Args:
            run: runs them.
            loop: its.
            exact: each call of the task lasts as long as its job, also where jobs are short.
        """
        with self._lock:
            self._hands = run if isinstance(run, Hands) else OneByOne(run, loop)
            self._loop, self._exact, self._closed = loop, exact or self.exact, False
            self._lock.notify_all()

    def shut(self) -> None:
        """It has ended: no job begins."""
        with self._lock:
            self._hands, self._closed = None, True
            self._lock.notify_all()

    async def close(self, grace: float | None) -> None:
        """It ends: no job begins; returns when none runs here, or after so many seconds (None: only then)."""
        self.shut()
        await asyncio.to_thread(self.idle, grace)

    def idle(self, within: float | None = None, in_vain: Callable[[], bool] = lambda: False) -> None:
        """Wait until all jobs that were handed over are over.

        Args:
            within: for so many seconds; None: until then.
            in_vain: whether it is not waited for any longer.
        """
        until = inf if within is None else monotonic() + within
        with self._lock:
            while self._held and not (self._loop is None or self._loop.is_closed()):
                if (left := until - monotonic()) <= 0 or in_vain():
                    break
                self._lock.wait(min(left, LOOK_EVERY))

    def take(self, name: str) -> None:
        """Have a job run, in a thread or process of Celery's.

        Returns when its attempt has ended, or is refused; sooner, while no more jobs are under way than end
        in a moment. So short jobs are claimed together. When one of them is long after all, another call
        lasts in place of its own, for a while: so few messages come here that others can run.
        Waits while the application starts, and while the journal cannot be written: nobody else has the
        message.
        """
        id = UUID(name).bytes
        if self.begin is not None:
            self.begin()
        with self._lock:
            while self._hands is None and not self._closed:
                self._lock.wait()
            hands, loop = self._hands, self._loop
            if hands is None or loop is None:
                return
            self._held += 1
            waits = self._exact or self._held > hands.ahead
            self._waiting += waits
        call = _Call(self, hands, loop, id)
        try:
            call.hand()
            if waits:
                self._wait(call, hands, loop)
        finally:
            with self._lock:
                self._waiting -= waits

    def _wait(self, call: "_Call", hands: Hands, loop: asyncio.AbstractEventLoop) -> None:
        until = inf
        with self._lock:
            while not (self._may_return(call, hands) or loop.is_closed()):
                if call.over:
                    until = min(until, monotonic() + PLACE_FOR)
                if (left := until - monotonic()) <= 0:
                    break
                self._lock.wait(min(left, LOOK_EVERY))
        if call.error is not None:
            raise call.error

    def _may_return(self, call: "_Call", hands: Hands) -> bool:
        """Whether a call that waits may. Each job under way has a call that lasts, unless jobs are short."""
        if self._exact:
            return call.over
        return self._held <= hands.ahead or (call.over and self._held < self._waiting)

    def is_closed(self) -> bool:
        """Whether no job begins any more."""
        return self._closed

    def left(self) -> None:
        """One that was handed over is over."""
        with self._lock:
            self._held -= 1
            if self._waiting or not self._held:
                self._lock.notify_all()


class _Call:
    """A job that has been handed over.

    Args:
        inbox: by this.
        hands: to these.
        loop: theirs.
        id: of the job.
    """

    __slots__ = ("_hands", "_id", "_inbox", "_loop", "_pause", "error", "over")

    def __init__(self, inbox: Inbox, hands: Hands, loop: asyncio.AbstractEventLoop, id: bytes) -> None:
        self._inbox, self._hands, self._loop, self._id = inbox, hands, loop, id
        self._pause = AGAIN
        self.over = False
        self.error: BaseException | None = None

    def hand(self) -> None:
        """Hand it over."""
        self._hands.hand(self._id, self._answered)

    def _answered(self, answer: Refusal | BaseException | None) -> None:
        """It is over; or the journal cannot be written, and it is handed over again after a pause."""
        if isinstance(answer, JournalUnavailable):
            if self._inbox.is_closed():  # the journal has it published again
                self._end()
                return
            pause, self._pause = self._pause, min(2 * self._pause, LATEST)
            with suppress(RuntimeError):  # it has closed
                self._loop.call_soon_threadsafe(self._loop.call_later, pause, self.hand)
                return
        elif isinstance(answer, Exception):
            self.error = answer
        self._end()

    def _end(self) -> None:
        self.over = True
        self._inbox.left()


def inbox_of(app: Celery) -> Inbox:
    """Return the inbox of an application of Celery's, which gets the task with it."""
    found: Inbox | None = app.__dict__.get(_INBOX)
    if found is not None:
        return found
    inbox = Inbox()
    app.__dict__[_INBOX] = inbox

    # Acknowledged when it begins: late acknowledgement ends the whole worker when a job runs for longer than
    # RabbitMQ's `consumer_timeout`. What is lost with a process in between is published again.
    options: dict[str, Any] = {
        "name": TASK, "acks_late": False, "ignore_result": True, "track_started": False, "max_retries": 0,
        "rate_limit": 0, "store_errors_even_if_ignored": False, "typing": False, "shared": False,
    }  # fmt: skip

    @app.task(**options)
    def run(id: str) -> None:
        inbox.take(id)

    return inbox
