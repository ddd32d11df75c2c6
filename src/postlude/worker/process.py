"""A process that runs the jobs of an application: its lifespan without a server, until it is told to end."""

import asyncio
import os
import signal
import sys
import threading
from contextlib import suppress
from time import monotonic
from typing import Final

from postlude.app.finding import NoApplication, find, trace_of, why_not
from postlude.app.postlude import Postlude
from postlude.app.runnable import checked
from postlude.app.without_server import LifespanFailed, running
from postlude.errors import PostludeError
from postlude.model.event.jobs import EndsWritten
from postlude.model.event.runner import ParentGone
from postlude.model.event.worker import WorkerProcessesKilled, WorkerQueuesUnknown
from postlude.model.job import DEFAULT_QUEUE
from postlude.model.role import become
from postlude.runner.memory_use import resident_bytes
from postlude.telemetry.process import EVENTS
from postlude.telemetry.startup_log import speak_up
from postlude.worker.orders import Orders
from postlude.worker.parent import Parent

NOT_STARTED: Final = 3
"""The exit code of a process whose application cannot be imported or started."""

HUNG: Final = 70
"""The exit code of one that did not come to its end in time, and ended itself."""

LEAVE_WITHIN: Final = 5.0
"""Seconds that the application's shutdown and Python's have after the grace period."""

BEAT_EVERY: Final = 2.0
"""Seconds between two signs of life."""

STOPS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""The signals that let it come to its end; a second one ends it at once."""


def main(orders: Orders, parent: Parent) -> int:
    """Be a worker's process; returns its exit code."""
    become(orders.role)
    try:
        found = find(orders.application, orders.directory)
    except NoApplication as error:
        say(str(error))
        return NOT_STARTED
    except BaseException as error:
        sys.stderr.write(trace_of(error))
        say(why_not(orders.application, error))
        return NOT_STARTED
    try:
        postlude = checked(found)
    except PostludeError as error:
        say(str(error))
        return NOT_STARTED
    speak_up()
    say_unknown(postlude, orders)
    process = Process(postlude, orders, parent)
    try:
        return asyncio.run(process.run())
    except LifespanFailed as error:
        say(f"the application cannot be started, or has not ended well:\n{str(error).rstrip()}")
    except PostludeError as error:
        say(str(error))
    return 1 if process.started else NOT_STARTED


def say_unknown(postlude: Postlude, orders: Orders) -> None:
    """Warn of queues that are perhaps misspelled: jobs may have any, but few have one that nothing names."""
    components = postlude.components
    declared = {task.policy.queue for task in components.registry.declared}
    known = sorted({DEFAULT_QUEUE, *components.queues, *declared})
    if unknown := [name for name in orders.queues if name not in known]:
        EVENTS.emit(WorkerQueuesUnknown(unknown, known))


def say(text: str) -> None:
    """Say why there is no worker."""
    sys.stderr.write(f"postlude worker: {text}\n")
    sys.stderr.flush()


class Process:
    """Runs jobs until it is told to end.

    Args:
        postlude: whose.
        orders: what it was told at its start.
        parent: is told how it is.
    """

    def __init__(self, postlude: Postlude, orders: Orders, parent: Parent) -> None:
        self._postlude = postlude
        self._orders = orders
        self._parent = parent
        self._stopping = asyncio.Event()
        self._jobs = 0
        self._is_due = False
        self.started = False
        """Whether the application has been started."""

    async def run(self) -> int:
        """Run jobs until it is told to end; returns the exit code.

        Raises:
            LifespanFailed: the application's start or end has failed.
            PostludeError: the journal cannot be opened.
        """
        self._loop = asyncio.get_running_loop()
        self._main = asyncio.current_task()
        self._hear_signals()
        self._parent.watch(self._orphaned)
        events = self._postlude.components.store.events
        events.listen(self._count, EndsWritten)
        try:
            async with running(self._postlude):
                self.started = True
                self._say_ready()
                await self._until_told()
                self._parent.say("leaving")
        except asyncio.CancelledError:
            if self._stopping.is_set() and not self.started:  # told to end before it had begun
                return 0
            raise
        return 0

    def _hear_signals(self) -> None:
        for number in STOPS:
            if hasattr(signal, "pthread_kill"):
                self._loop.add_signal_handler(number, self._signalled, number)

    def _signalled(self, number: signal.Signals) -> None:
        if self._stopping.is_set():
            sys.stderr.flush()
            os._exit(128 + number)
        self.stop()

    def stop(self) -> None:
        """Let it come to its end. On the loop."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        timer = threading.Timer(self._postlude.config.grace + LEAVE_WITHIN, self._give_up)
        timer.daemon = True
        timer.start()
        if not self.started and self._main is not None:
            self._main.cancel()

    @staticmethod
    def _give_up() -> None:
        """What hangs is waited for no longer: the claims of its jobs were released, or are others' soon."""
        EVENTS.emit(WorkerProcessesKilled([os.getpid()], hurried=False))
        os._exit(HUNG)

    def _orphaned(self) -> None:
        """The parent is gone. In a thread."""
        with suppress(RuntimeError):  # it has come to its end
            self._loop.call_soon_threadsafe(self._stop_orphaned)

    def _stop_orphaned(self) -> None:
        if not self._stopping.is_set():
            EVENTS.emit(ParentGone())
            self.stop()

    def _say_ready(self) -> None:
        components = self._postlude.components
        queues = components.routing.here.text()
        self._parent.say("ready", grace=self._postlude.config.grace, queues=queues)

    def _count(self, told: EndsWritten) -> None:
        self._jobs += len(told.ids)
        most = self._orders.max_jobs
        if most is not None and self._jobs >= most and not self._is_due:
            self._is_due = True
            self._loop.call_soon_threadsafe(self._due)

    def _due(self) -> None:
        """Another is to take this one's place: the parent says when, since not all should do so at once."""
        if self._parent.exists:
            self._parent.say("due", jobs=self._jobs, memory=resident_bytes())
        else:
            self.stop()

    async def _until_told(self) -> None:
        next_beat = monotonic()
        while not self._stopping.is_set():
            self._beat()
            next_beat += BEAT_EVERY
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), max(0.1, next_beat - monotonic()))

    def _beat(self) -> None:
        memory = resident_bytes()
        most = self._orders.max_memory
        holds = sum(runner.load for runner in self._postlude.components.producer.runners)
        self._parent.say("alive", jobs=self._jobs, memory=memory, holds=holds)
        if most is not None and memory > most and not self._is_due:
            self._is_due = True
            self._due()
