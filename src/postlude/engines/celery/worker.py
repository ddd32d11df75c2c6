"""Celery's worker: it starts the application in each of its processes that run jobs."""

import asyncio
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from celery import Celery, signals
from celery.apps.worker import Worker

from postlude.engines.celery.inbox import Inbox, inbox_of
from postlude.engines.protocol import Serve
from postlude.model.event.broker import EngineFailed
from postlude.model.queues import only
from postlude.model.role import Role
from postlude.telemetry.process import EVENTS

NOT_STARTED: Final = 3
"""The exit code of a process in which the application cannot be started."""

PAUSE: Final = 1.0
"""Seconds until such a process ends: Celery replaces it at once."""

LEAVE_WITHIN: Final = 15.0
"""Seconds within which the application's end in a process is waited for."""

_WORKERS: Final = "postlude_workers"


class Workers:
    """What an application of Celery's needs to know of ours, where it is a worker.

    Args:
        app: the application of Celery's.
    """

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._inbox: Inbox = inbox_of(app)
        self._serves: dict[str, Serve] = {}
        self._child: _Child | None = None
        self._lock = threading.Lock()
        self._role: Role | None = None
        self._prefork = False
        signals.worker_init.connect(self._begins, weak=False)
        signals.worker_process_init.connect(self._forked, weak=False)
        signals.worker_ready.connect(self._ready, weak=False)
        signals.worker_process_shutdown.connect(self._ends, weak=False)
        signals.worker_shutdown.connect(self._ends, weak=False)

    @classmethod
    def of(cls, app: Celery) -> "Workers":
        """Return those of an application of Celery's."""
        found: Workers | None = app.__dict__.get(_WORKERS)
        if found is None:
            found = app.__dict__[_WORKERS] = cls(app)
        return found

    def serve(self, queues: Sequence[str], serve: Serve) -> None:
        """These queues are of an application that is started so."""
        self._serves.update(dict.fromkeys(queues, serve))

    def _begins(self, sender: Any = None, **_: Any) -> None:
        """A worker begins, in its own process: nothing of the application is opened before it forks."""
        if not isinstance(sender, Worker) or sender.app is not self._app:
            return  # another's; or one inside a process that has started the application itself
        consumed = set(self._app.amqp.queues.consume_from)
        queues = sorted(consumed & self._serves.keys())
        self._prefork = _pool_of(sender).endswith("prefork:TaskPool")
        slots = 1 if self._prefork else int(sender.concurrency or 1)
        # Celery has waited for what runs when a process of its ends: what is left then is given back.
        self._role = Role(True, only(set(queues)), slots, grace=0.0, told=True)
        self._inbox.begin = self._start

    def _forked(self, **_: Any) -> None:
        """A process that runs jobs begins. Must return within four seconds, or Celery kills it: so the
        application starts beside it."""
        if self._role is None:
            return
        with suppress(ValueError):  # a thread's
            signal.signal(signal.SIGTERM, self._told_to_end)
        self._start()

    def _ready(self, **_: Any) -> None:
        """It takes messages. In threads nothing else begins the application, which may be who publishes."""
        if not self._prefork:
            self._start()

    def _start(self) -> None:
        with self._lock:
            if self._child is None and self._role is not None:
                serves = {id(serve): serve for serve in self._serves.values()}
                self._child = _Child(list(serves.values()), self._role)
                self._child.start()

    def _ends(self, **_: Any) -> None:
        with self._lock:
            child, self._child = self._child, None
        if child is not None:
            self._inbox.begin = None
            child.stop(LEAVE_WITHIN)

    def _told_to_end(self, number: int, frame: object) -> None:
        """A cold shutdown: the jobs that run here are given back."""
        threading.Thread(target=self._leave, daemon=True).start()

    def _leave(self) -> None:
        self._ends()
        os._exit(0)


class _Child:
    """The application's lifespan, in a thread with a loop that lives as long as the process.

    Args:
        serves: start it.
        role: what the process is for it.
    """

    def __init__(self, serves: Sequence[Serve], role: Role) -> None:
        self._serves = serves
        self._role = role
        self._loop: asyncio.AbstractEventLoop | None = None
        self._over: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._main, name="postlude", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, within: float) -> None:
        loop, over = self._loop, self._over
        if loop is not None and over is not None:
            with suppress(RuntimeError):  # it has ended
                loop.call_soon_threadsafe(over.set)
        if threading.current_thread() is not self._thread:
            self._thread.join(within)

    def _main(self) -> None:
        try:
            asyncio.run(self._live())
        except BaseException as error:
            EVENTS.emit(EngineFailed(error))
            sys.stderr.flush()
            time.sleep(PAUSE)
            os._exit(NOT_STARTED)

    async def _live(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        (serve,) = self._serves
        async with serve(self._role):
            await self._over.wait()


def _pool_of(worker: Any) -> str:
    pool = worker.pool_cls
    return pool if isinstance(pool, str) else f"{pool.__module__}:{pool.__qualname__}"
