"""What Celery's workers bring: the one task of ours, and the application's loop that it hands jobs to."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError
from time import sleep
from typing import Any, Final
from uuid import UUID

from celery import Celery

from postlude.engines.protocol import Run
from postlude.errors import JournalUnavailable
from postlude.model.refusal import Refused

TASK: Final = "postlude.run"
"""The name of the task that has a job run."""

AGAIN: Final = 0.5
LATEST: Final = 5.0
"""Seconds until a journal that cannot be written is asked again: the first pause, and the longest."""

_INBOX: Final = "postlude_inbox"


class Inbox:
    """Where the task hands in jobs: to what the application's lifespan in this process runs them with."""

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._run: Run | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._running = 0
        self.begin: Callable[[], None] | None = None
        """Starts the application in this process, if nobody has; None: somebody else does."""

    def open(self, run: Run, loop: asyncio.AbstractEventLoop) -> None:
        """The application has started: hand jobs to `run`, on its loop."""
        with self._lock:
            self._run, self._loop, self._closed = run, loop, False
            self._lock.notify_all()

    def shut(self) -> None:
        """It has ended: no job begins."""
        with self._lock:
            self._run, self._closed = None, True
            self._lock.notify_all()

    async def close(self, grace: float | None) -> None:
        """It ends: no job begins; returns when none runs here, or after so many seconds (None: only then)."""
        self.shut()
        await asyncio.to_thread(self._idle, grace)

    def _idle(self, within: float | None) -> None:
        with self._lock:
            self._lock.wait_for(lambda: not self._running, within)

    def take(self, name: str) -> None:
        """Run a job, in a thread or process of Celery's; returns when its attempt has ended, or is refused.

        Waits while the application starts, and while the journal cannot be written: nobody else has the
        message.
        """
        pause = AGAIN
        while (running := self._enter()) is not None:
            run, loop = running
            try:
                asyncio.run_coroutine_threadsafe(_awaited(run, [UUID(name).bytes]), loop).result()
                return
            except JournalUnavailable:
                sleep(pause)
                pause = min(2 * pause, LATEST)
            except (CancelledError, RuntimeError):  # the loop has ended
                return
            finally:
                with self._lock:
                    self._running -= 1
                    self._lock.notify_all()

    def _enter(self) -> tuple[Run, asyncio.AbstractEventLoop] | None:
        """Return who runs jobs, when there is one; None: not any more."""
        if self.begin is not None:
            self.begin()
        with self._lock:
            while self._run is None and not self._closed:
                self._lock.wait()
            if self._run is None or self._loop is None:
                return None
            self._running += 1
            return self._run, self._loop


async def _awaited(run: Run, ids: Sequence[bytes]) -> Sequence[Refused]:
    return await run(ids)


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
        "rate_limit": None, "store_errors_even_if_ignored": False, "typing": False, "shared": False,
    }  # fmt: skip

    @app.task(**options)
    def run(id: str) -> None:
        inbox.take(id)

    return inbox
