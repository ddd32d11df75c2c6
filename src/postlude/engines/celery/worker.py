"""Celery's worker: it starts the application in each of its processes that run jobs."""

import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from math import inf
from time import monotonic
from typing import Any, Final
from uuid import UUID

from celery import Celery, signals
from celery.apps.worker import Worker
from celery.worker import state

from postlude.engines.celery.board import Board
from postlude.engines.celery.child import Above, Child
from postlude.engines.celery.ending import LEAVE_WITHIN, WorkerEnd
from postlude.engines.celery.fitting import counts_calls, pool_of, refuse_pool, refuse_unfit
from postlude.engines.celery.inbox import TASK, Inbox, inbox_of
from postlude.engines.celery.keeper import NEVER, Beside, Ending, Keeper, main
from postlude.engines.celery.steps import beat_step, end_step
from postlude.engines.protocol import Oversee, Serve
from postlude.model.queues import only
from postlude.model.role import Role

KEEPER_WITHIN: Final = 5.0
"""Seconds within which the keeper's end is waited for."""

LOOK_EVERY: Final = 0.2
"""Seconds between looks whether a worker that is told to end has been told so once more."""

_WORKERS: Final = "postlude_workers"
_SINGLE: Final = ("prefork", "solo")
_MAY_BE_COLD: Final = (signal.SIGTERM, signal.SIGQUIT)
"""Signals of whose cold end Celery tells afterwards."""


class Workers:
    """What an application of Celery's needs to know of ours, where it is a worker.

    Args:
        app: the application of Celery's.
    """

    ending: Ending = NEVER
    """When it ends because it is deaf."""
    end: WorkerEnd | None = None
    """How it ends; None: by Celery's own rules."""
    beside: Sequence[Beside] = ()
    """What its keeper does beside."""

    def __init__(self, app: Celery) -> None:
        self._app = app
        self._oversee: Oversee | None = None
        self._board: Board | None = None
        """None: this is no worker."""
        self._begun = (-1, -1)
        """The ends of the pipe by which processes tell the keeper that they run jobs."""
        self._untold: list[bytes] = []
        """Lines that the pipe had no room for."""
        self._keeper: int | None = None
        self._own = 0
        """The worker's own process."""
        app.steps["worker"].add(end_step(self.signals_set))
        app.steps["consumer"].add(beat_step(self.beat))
        self._inbox: Inbox = inbox_of(app)
        self._serves: dict[str, Serve] = {}
        self._child: Child | None = None
        self._lock = threading.Lock()
        self._role: Role | None = None
        self._prefork = self._solo = False
        self._looks = False
        """Whether it looks how it is to end."""
        signals.worker_init.connect(self._begins, weak=False)
        signals.worker_process_init.connect(self._forked, weak=False)
        signals.worker_ready.connect(self._ready, weak=False)
        signals.task_received.connect(self._received, weak=False)
        signals.task_revoked.connect(self._revoked, weak=False)
        signals.worker_shutting_down.connect(self._told_to_end, weak=False)
        signals.worker_process_shutdown.connect(self._ends, weak=False)
        signals.worker_shutdown.connect(self._ends, weak=False)

    @classmethod
    def of(cls, app: Celery) -> "Workers":
        """Return those of an application of Celery's."""
        found: Workers | None = app.__dict__.get(_WORKERS)
        if found is None:
            found = app.__dict__[_WORKERS] = cls(app)
        return found

    def serve(self, queues: Sequence[str], serve: Serve, oversee: Oversee) -> None:
        """These queues are of an application that is started so, and kept a row for so."""
        self._serves.update(dict.fromkeys(queues, serve))
        self._oversee = oversee

    @property
    def was_deaf(self) -> bool:
        """Whether the worker was told to end because it was deaf."""
        return self._board is not None and self._board.ended

    def _begins(self, sender: Any = None, **_: Any) -> None:
        """A worker begins, in its own process: nothing of the application is opened before it forks."""
        if not isinstance(sender, Worker) or sender.app is not self._app:
            return  # another's; or one inside a process that has started the application itself
        try:
            refuse_pool(pool_of(sender))
            refuse_unfit(self._app)
        except ValueError as error:  # Celery logs what else a handler raises, and goes on
            raise SystemExit(str(error)) from error
        consumed = set(self._app.amqp.queues.consume_from)
        queues = sorted(consumed & self._serves.keys())
        self._prefork, self._solo = (pool_of(sender).endswith(f"{name}:TaskPool") for name in _SINGLE)
        # A process of Celery's has one call at a time, whatever `concurrency` is; so has a solo worker.
        single = self._prefork or self._solo
        slots = 1 if single else int(sender.concurrency or 1)
        if not single:
            # Its threads would ask the broker for more after a reconnect, and read each other's answers.
            self._app.conf.worker_enable_prefetch_count_reduction = False
        # Celery has waited for what runs when a process of its ends: what is left then is given back.
        self._role = Role(True, only(set(queues)), slots, grace=0.0, told=True)
        self._inbox.begin = self._start
        self._inbox.exact = counts_calls(sender)
        self._own = os.getpid()
        self._board, self._begun = Board(), os.pipe()
        for end in self._begun:
            os.set_blocking(end, False)
        self._keep()

    def signals_set(self, worker: Any) -> None:
        """Celery hears signals, in the worker's own process."""
        if self.end is not None:
            self.end.watch(worker, self._board, None if self._prefork else self._leave)
        elif self._prefork:
            for number in _MAY_BE_COLD:
                self._hear_before(number, signal.getsignal(number))

    def _hear_before(self, number: int, theirs: Any) -> None:
        def hear(number: int, frame: object) -> None:
            self._told_to_end()
            theirs(number, frame)

        signal.signal(number, hear)

    def _keep(self) -> None:
        """Fork the keeper, while nothing of the application is open in this process."""
        board, oversee, role = self._board, self._oversee, self._role
        if board is None or oversee is None or role is None:
            return
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid:
            self._keeper = pid
            return
        names = sorted(role.queues.names)
        main(lambda: Keeper(self._app, names, oversee, board, self._begun[0], self.ending, self.beside))

    def beat(self, room: int) -> None:
        """Tell how many messages there are, and that so many are done at once; see that the keeper lives."""
        if self._board is None:
            return
        self._board.held, self._board.room = len(state.reserved_requests), room
        self._board.beaten = inf if self._solo else monotonic()
        self._tell()
        if self._keeper is not None and os.waitpid(self._keeper, os.WNOHANG) != (0, 0):
            self._keeper = None
            self._board.busy = -1
            if self._prefork:  # else the application is open in this process
                self._keep()

    def _received(self, sender: Any = None, **_: Any) -> None:
        """A message has come, in the worker's own process."""
        if self._board is not None:
            self._board.heard, self._board.held = monotonic(), len(state.reserved_requests) + 1

    def _revoked(self, sender: Any = None, request: Any = None, **_: Any) -> None:
        """Its workers were told by `revoke` not to run a task, or to end its process; in the worker's own.

        A job's messages would be thrown away, and it would wait: so it is cancelled.
        """
        id = getattr(request, "id", None)
        if self._board is None or sender is None or sender.name != TASK or id not in state.revoked:
            return
        state.revoked.discard(id)  # it may be run again
        self._untold.append(f"{UUID(id)}\n".encode())
        self._tell()

    def _tell(self) -> None:
        with suppress(BlockingIOError):
            while self._untold:
                os.write(self._begun[1], self._untold[0])
                del self._untold[0]

    def _forked(self, **_: Any) -> None:
        """A process that runs jobs begins. Must return within four seconds, or Celery kills it: so the
        application starts beside it."""
        if self._role is None:
            return
        self._start()

    def _ready(self, **_: Any) -> None:
        """It takes messages. In threads nothing else begins the application, which may be who publishes."""
        if not self._prefork:
            self._start()

    def _start(self) -> None:
        with self._lock:
            if self._child is None and self._role is not None:
                serves = {id(serve): serve for serve in self._serves.values()}
                self._child = Child(list(serves.values()), self._role, self._inbox, self._above())
                self._child.start()

    def _above(self) -> "Above | None":
        if self._board is None:
            return None
        return Above(self._board, self._begun[1], follows=self._prefork)

    def _told_to_end(self, **_: Any) -> None:
        """Celery's own thread waits for its processes from now on, and they hear no signal of its."""
        if self._board is not None and self._prefork and os.getpid() == self._own and not self._looks:
            self._looks = True
            threading.Thread(target=self._hear_of_cold, name="postlude-cold", daemon=True).start()

    def _hear_of_cold(self) -> None:
        while not _is_cold():
            time.sleep(LOOK_EVERY)
        assert self._board is not None
        self._board.cold = True

    def _is_in_vain(self) -> bool:
        return _is_cold() or (self._board is not None and self._board.cold)

    def _ends(self, exitcode: int | None = None, **_: Any) -> None:
        """A process ends. If warmly, Celery has waited for its calls, and here what they have handed over is
        waited for."""
        try:
            if self._child is not None and (exitcode or 0) >= 0 and not _is_cold():
                self._inbox.shut()
                self._inbox.idle(in_vain=self._is_in_vain)
        finally:
            self._leave()

    def _leave(self) -> None:
        with self._lock:
            child, self._child = self._child, None
        if child is not None:
            self._inbox.begin = None
            child.stop(LEAVE_WITHIN)
        if os.getpid() == self._own:
            self.dismiss()

    def dismiss(self) -> None:
        """Have the keeper end, and wait for it; Celery tells of a warm shutdown only."""
        keeper, self._keeper = self._keeper, None
        if keeper is None:
            return
        if self._board is not None:
            self._board.dismissed = True
        with suppress(ProcessLookupError):
            os.kill(keeper, signal.SIGTERM)
        until = monotonic() + KEEPER_WITHIN
        with suppress(ChildProcessError):
            while os.waitpid(keeper, os.WNOHANG) == (0, 0):
                if monotonic() > until:
                    os.kill(keeper, signal.SIGKILL)
                time.sleep(0.02)


def _is_cold() -> bool:
    """Return whether a worker ends without waiting for what runs."""
    return state.should_terminate not in (None, False)
