"""The end of a worker of Celery's: jobs have their grace period, and nothing that hangs holds it up."""

import os
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic, sleep
from typing import Any, Final

from celery import signals
from celery.worker import state

from postlude.engines.celery.board import Board

IDLE_WITHIN: Final = 5.0
"""Seconds within which a worker that runs nothing ends by itself, if its broker answers."""

EXIT_WITHIN: Final = 3.0
"""Seconds within which it ends when what ran has ended, or was given back."""

LEAVE_WITHIN: Final = 15.0
"""Seconds within which the application's end in a process is waited for."""

TOLD_WITHIN: Final = 0.5
"""Seconds within which a worker hears a signal that all of its processes get, as from systemd."""

LOOK_EVERY: Final = 0.1
"""Seconds between looks whether it is over."""

_OK: Final = 0


class WorkerEnd:
    """Has a worker end when it is told to.

    Celery's own end waits for running jobs however long they take; its cold one for the whole of
    `worker_soft_shutdown_timeout`, although they have ended, and in threads that fails and the worker goes
    on. Both wait for a broker that does not answer.

    Args:
        grace: seconds that running jobs have to end.
        at_last: ends this process where Celery does not; called in another thread, and does not return.

    Attributes:
        told: whether it was told to end.
    """

    def __init__(self, grace: float, at_last: Callable[[], None]) -> None:
        self.told = False
        self._grace = grace
        self._at_last = at_last
        self._hurry = threading.Event()
        self._own = os.getpid()
        self._worker: Any = None
        self._board: Board | None = None
        self._leave: Callable[[], None] | None = None

    def watch(self, worker: Any, board: Board | None, leave: Callable[[], None] | None) -> None:
        """Hear the signals by which it is told, in place of Celery's own.

        Args:
            worker: Celery's.
            board: where its keeper says how many jobs run.
            leave: ends the application in this process; None: it is open in others.
        """
        self._worker, self._board, self._leave = worker, board, leave
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, self._hear)

    def _hear(self, number: int, frame: object) -> None:
        if os.getpid() != self._own:  # of one that was forked just now, which hears it from this one
            return
        if self.told or number == signal.SIGQUIT:
            self._hurry.set()
        if self.told:
            return
        self.told = True
        if self._board is not None:
            self._board.told = True
        threading.Thread(target=self._see_to_it, name="postlude-end", daemon=True).start()
        try:
            signals.worker_shutting_down.send(
                sender=self._worker.hostname, sig=signal.Signals(number).name, how="Warm", exitcode=_OK
            )
        finally:
            state.should_stop = _OK

    def _see_to_it(self) -> None:
        """Let what runs end within its grace, have the rest given back, and end the process."""
        began = monotonic()
        while not self._hurry.wait(LOOK_EVERY):
            past = monotonic() - began
            if past >= self._grace or (past >= IDLE_WITHIN and self._is_idle()):
                break
        if self._leave is not None:
            self._leave()
        else:
            self._end_processes()
        sleep(EXIT_WITHIN)
        self._at_last()

    def _is_idle(self) -> bool:
        return self._board is not None and self._board.busy == 0

    def _end_processes(self) -> None:
        """Have the processes give back what they run, and wait until they have ended."""
        pool = self._worker.pool
        left: set[int] = set()
        with suppress(Exception):  # there are none so far, or not any more
            left = set(pool.info["processes"])
        for pid in left:
            with suppress(Exception):  # it has gone
                pool.terminate_job(pid)  # Celery does not wait for what it ran
        until = monotonic() + LEAVE_WITHIN
        while left and monotonic() < until:
            left = {pid for pid in left if not _has_ended(pid)}
            sleep(LOOK_EVERY)
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _has_ended(pid: int) -> bool:
    """Return whether a process of this one has; it is left to Celery to take note of that."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True
