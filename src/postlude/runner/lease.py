"""A process's membership among the runners of a journal: its number, its lease, its marks.

The lease is renewed from a thread, because the event loop may hang while the process lives.
"""

import asyncio
import os
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import Protocol

from postlude.clock import SECOND, Clock
from postlude.config import Config
from postlude.errors import PostludeError
from postlude.model.event.runner import (
    HeartbeatFailed,
    JobName,
    LeaseLost,
    LeaseUnrenewed,
    LoopStalled,
    RejoinFailed,
    StallLimitReached,
)
from postlude.model.job import Hold
from postlude.stores.loops import call_on
from postlude.stores.protocol import Marks, NewRunner, Store


class Watched(Protocol):
    """The runner that a heartbeat watches: it runs on a loop that may hang."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop."""
        ...

    def give_back(self) -> int:
        """Release what has not started; called from the heartbeat's thread while the loop hangs."""
        ...

    @property
    def thread(self) -> int:
        """The thread that the loop runs in."""
        ...

    def on_loop(self) -> JobName | None:
        """Return which job the loop is running; None: none of a job."""
        ...


class Lease:
    """A runner's row in the journal, kept alive by a thread.

    Args:
        store: the journal.
        config: lease and renewal.
        clock: the boot clock measures stalls.
        new: what the journal is told of it.
    """

    def __init__(self, store: Store, config: Config, clock: Clock, new: NewRunner) -> None:
        self._store = store
        self._events = store.events
        self._config = config
        self._clock = clock
        self._new = new
        self.runner: int
        """Its number in the journal; from `join` on."""
        self.marks: Marks
        """Where it notes what it starts; from `join` on."""
        self.lost = False
        """Whether the journal has buried it, and nobody was to be told."""
        self.hears: bool | None = None
        """Of the parent of an engine's worker: whether it hears its broker; None: it has none."""
        self._watched: Watched | None = None
        self._lost: Callable[[], None] | None = None
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._asked: int | None = None
        """Since when the loop has owed a turn; None: it owes none."""
        self._stalled_since: int | None = None

    async def join(self) -> None:
        """Enlist; again, after the journal has buried this runner."""
        self.runner, self.marks = await self._store.enlist(self._new)

    async def rejoin(self, joined: Callable[[], None]) -> None:
        """Enlist again, and tell; if that fails, the heartbeat will find this runner lost once more."""
        try:
            await self.join()
        except PostludeError as error:
            self._events.emit(RejoinFailed(error))
        else:
            joined()

    def keep(self, watched: Watched | None, lost: Callable[[], None] | None) -> None:
        """Start renewing.

        Args:
            watched: whose loop is watched, if it has one of its own.
            lost: called on that loop when the membership has been lost.
        """
        self._watched, self._lost = watched, lost
        self._thread = threading.Thread(target=self._beat, name="postlude-heartbeat", daemon=True)
        self._thread.start()

    async def leave(self, holds: Sequence[Hold], *, draining: bool) -> int:
        """Stop renewing, release these claims and retire; returns how many claims were given up."""
        self.stop()
        # Asked for in one turn, so that both are one write.
        released = self._store.release(self.runner, holds)
        retired = self._store.retire(self.runner, draining=draining)
        return await released + await retired

    def stop(self) -> None:
        """Stop renewing."""
        self._stop.set()

    # -- the thread ---------------------------------------------------------------------------

    def _beat(self) -> None:
        while not self._stop.wait(self._config.renew_every):
            try:
                self._renew()
                self._look_at_loop()
            except PostludeError as error:
                self._events.emit(LeaseUnrenewed(error))
            except BaseException as error:
                self._events.emit(HeartbeatFailed(error))

    def _renew(self) -> None:
        runner = self.runner
        try:
            kept = self._store.renew(runner, hears=self.hears).wait(self._config.lease)
        except TimeoutError:
            self._events.emit(LeaseUnrenewed(None))
            return
        if kept or self._stop.is_set() or runner != self.runner:
            return
        self._events.emit(LeaseLost())
        if self._watched is not None and self._lost is not None:
            call_on(self._watched.loop, self._lost)
        else:
            self.lost = True

    def _look_at_loop(self) -> None:
        watched = self._watched
        if watched is None:
            return
        since = self._asked
        if since is None:  # not since its last turn: a renewal may have waited for the journal meanwhile
            self._asked = self._clock.boot()
            call_on(watched.loop, self._turned)
            return
        stalled = self._clock.boot() - since
        if stalled < self._config.lease * SECOND:
            return
        if self._stalled_since != since:
            self._stalled_since = since
            released = watched.give_back()
            stack = _stack(watched.thread)
            self._events.emit(LoopStalled(stalled / SECOND, watched.on_loop(), released, stack))
        if stalled >= self._config.stall_limit * SECOND and self._config.on_stall == "exit":
            self._events.emit(StallLimitReached())
            os._exit(70)

    def _turned(self) -> None:
        self._asked = None


def _stack(thread: int) -> str:
    frame = sys._current_frames().get(thread)
    if frame is None:
        return ""
    return "".join(traceback.format_stack(frame))
