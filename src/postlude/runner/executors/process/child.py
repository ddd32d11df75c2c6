"""The other process: takes one job at a time, runs it in its main thread, and answers.

A second thread hears what the parent says. When the parent is gone the process ends at once,
whatever it is doing: the jobs of a dead parent are given to others, and would run twice.
"""

import faulthandler
import importlib
import logging
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from queue import SimpleQueue
from types import FrameType
from typing import Any, Final, NoReturn

from postlude.jobs.current import CurrentJob
from postlude.model.job import Progress
from postlude.runner.attempt.logs import LogKeeper
from postlude.runner.executors.process.attempt import attempt
from postlude.runner.executors.process.lifeline import Lifeline
from postlude.runner.executors.process.messages import Hello, RunJob, Step, boot_of, pack, unpack
from postlude.runner.memory_use import resident_bytes

STEP_EVERY: Final = 0.1
"""Seconds between two reports of how far a job is."""

_USUAL: Final[dict[int, Any]] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
}
"""The signals that are the parent's affair, and what they do elsewhere."""


def main(fd: int, parent: int, line: int) -> None:
    """Serve a parent until it says that it is enough, or is gone.

    Args:
        fd: the socket to it.
        parent: its process id.
        line: by which what jobs have started ends with it.
    """
    lifeline = Lifeline(line, parent, group=_leads())
    os.set_inheritable(fd, False)
    connection = Connection(fd)
    # A process that a task forks must not keep the socket open after this one has died.
    os.register_at_fork(after_in_child=connection.close)
    # Ctrl-C, and a supervisor that signals all processes of a service, are the parent's affair: it
    # lets jobs end within its grace. Handlers, because programs that a task starts would inherit SIG_IGN.
    for number in _USUAL:
        signal.signal(number, _leave_it_to_the_parent)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _USUAL)
    os.register_at_fork(after_in_child=_hear_signals_again)
    if not faulthandler.is_enabled():
        with suppress(Exception):  # there may be no stderr
            faulthandler.enable()
    Child(connection, lifeline).serve()


class Child:
    """This process's side of the conversation."""

    def __init__(self, connection: Connection, lifeline: Lifeline) -> None:
        self._connection = connection
        self._lifeline = lifeline
        self._sending = threading.Lock()
        self._orders: SimpleQueue[tuple[RunJob, bytes] | None] = SimpleQueue()
        self._current: CurrentJob | None = None
        self._number = self._stop = -1

    def serve(self) -> None:
        """Run jobs until the parent says that it is enough."""
        _, body = unpack(self._connection.recv_bytes())
        boot = boot_of(body)
        threading.Thread(target=self._hear, name="postlude-parent", daemon=True).start()
        _prepare(boot)
        self._send(pack("ready"))
        while (taken := self._orders.get()) is not None:
            self._run(*taken, boot.caps.error)
            del taken

    def _run(self, order: RunJob, payload: bytes, max_error: int) -> None:
        self._send(pack("taken"))
        reporter = _Reporter(self)
        current = CurrentJob(
            bytes.fromhex(order.id), order.task, order.queue, order.attempt, reporter, order.opts
        )
        self._number, self._current = order.number, current
        current.cancelled = self._stop == order.number
        self._lifeline.all_together()
        answer, result = attempt(order, payload, current, max_error)
        self._lifeline.alone()
        self._current = None
        if current.cancelled:
            _end_what_jobs_started()
        reporter.flush()
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):
                stream.flush()  # it may die with the next job
        answer = answer._replace(lines=current.lines or (), resident=resident_bytes())
        self._send(pack("ended", answer), result)

    def _hear(self) -> None:
        """Take what the parent says. In a thread of its own."""
        with suppress(EOFError, OSError):
            while True:
                kind, body = unpack(self._connection.recv_bytes())
                match kind:
                    case "job":
                        self._orders.put((RunJob(*body), self._connection.recv_bytes()))
                    case "stop":
                        self._stop = body
                        current = self._current
                        if current is not None and self._number == body:
                            current.cancelled = True
                    case "leave":
                        self._orders.put(None)
                        return  # it has its own time to end
        if self._current is None:
            os._exit(0)  # what jobs that ended well have left may stay
        _end_all(0)

    def report(self, step: Step) -> None:
        """Tell the parent how far the job is."""
        self._send(pack("progress", step))

    def _send(self, message: bytes, raw: bytes | None = None) -> None:
        try:
            with self._sending:
                self._connection.send_bytes(message)
                if raw is not None:
                    self._connection.send_bytes(raw)
        except OSError:  # the parent is gone, or the task has closed the socket: nobody would hear the answer
            _end_all(1)


class _Reporter:
    """Tells the parent how far a job is, not more often than it wants to know."""

    def __init__(self, child: Child) -> None:
        self._child = child
        self._lock = threading.Lock()
        self._next = 0.0
        self._untold: Progress | None = None
        self._over = False

    def __call__(self, current: CurrentJob) -> None:
        with self._lock:
            self._untold = current.last_progress
            if time.monotonic() >= self._next and not self._over:
                self._tell()

    def flush(self) -> None:
        """Tell what is not told yet; nothing after that."""
        with self._lock:
            self._tell()
            self._over = True

    def _tell(self) -> None:
        step, self._untold = self._untold, None
        if step is not None:
            self._child.report(Step(step.done, step.total, step.message))
            self._next = time.monotonic() + STEP_EVERY


def _prepare(boot: Hello) -> None:
    sys.argv[:] = boot.argv
    for name, level in boot.levels.items():
        logging.getLogger(name).setLevel(level)
    caps = boot.caps
    LogKeeper(keep=caps.lines > 0, max_lines=caps.lines, max_chars=caps.chars).start()
    if boot.module is not None:
        # The job that needs it says what was wrong, if it still is.
        with suppress(Exception, SystemExit):
            importlib.import_module(boot.module)


def _leave_it_to_the_parent(number: int, frame: FrameType | None) -> Any: ...


def _hear_signals_again() -> None:
    """In a process that a task has forked: `multiprocessing.Pool` ends those by a signal, and waits."""
    for number, usual in _USUAL.items():
        if signal.getsignal(number) is _leave_it_to_the_parent:
            signal.signal(number, usual)


def _end_what_jobs_started() -> None:
    """End the programs that a job which was asked to stop has left in this process's group.

    By SIGTERM, which means nothing to this process itself. Those of jobs before it end, too: nobody
    knows whose they are.
    """
    if _leads():
        os.killpg(0, signal.SIGTERM)


def _leads() -> bool:
    """Whether the group is this process's own: of it and what its jobs have started."""
    return os.getpgrp() == os.getpid()


def _end_all(code: int) -> NoReturn:
    """End this process at once, and what its jobs have started."""
    if _leads():
        os.killpg(0, signal.SIGKILL)
    os._exit(code)
