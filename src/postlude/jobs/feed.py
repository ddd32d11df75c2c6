"""One job as this process knows it: read once for each change, for all who subscribe to it.

A feed lives on the loop of one of its subscribers, its home: there it reads the job. When the last
subscriber of that loop has left, it moves to the loop of another.
"""

import asyncio
import threading
import time
from asyncio import AbstractEventLoop, Future, TimerHandle
from collections.abc import Callable
from dataclasses import replace
from typing import Final, NamedTuple

from postlude.compat import running_loop
from postlude.errors import JobNotFound, PostludeError
from postlude.model.ids import id_text
from postlude.model.job import JobRecord, Progress
from postlude.model.snapshot import Snapshot
from postlude.model.state import Stored
from postlude.stores.loops import call_on
from postlude.stores.protocol import Reading
from postlude.stores.reply import Reply

FRESH: Final = 0.05
"""Seconds after a look at a job in which whoever subscribes to it needs no other."""

LOOK_ANYWAY: Final = 5.0
"""Seconds after which a job is looked at although nobody has said that it changed."""

BREATH: Final = 0.05
"""Seconds between two pieces of news that are about progress only."""

_MIND: Final = 10.0
"""Seconds after which a subscriber makes sure that the loop of its feed has not been closed."""

_WAITING: Final = (Stored.READY, Stored.SCHEDULED, Stored.BLOCKED, Stored.PARKED, Stored.PUBLISHED)


class News(NamedTuple):
    """What a feed tells: the job, and what counts as a change of it; or why it could not be read."""

    number: int = 0
    """Counts what was told; 0: nothing yet."""
    record: JobRecord | None = None
    snapshot: Snapshot | None = None
    error: PostludeError | None = None


class _Audience:
    """The subscribers of one loop."""

    __slots__ = ("members", "waiters")

    def __init__(self) -> None:
        self.members = 0
        self.waiters: set[Future[None]] = set()

    def wake(self) -> None:
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(None)


class Feed:
    """What is known of one job that somebody subscribes to.

    Args:
        id: the job's, or one that joined it.
        store: the journal.
        pause: gives the seconds between two looks at it while it is not known which jobs change.
    """

    def __init__(self, id: bytes, store: Reading, pause: Callable[[], float]) -> None:
        self.id = id
        self.news = News()
        self._store = store
        self._pause = pause
        self._lock = threading.Lock()
        self._audiences: dict[AbstractEventLoop, _Audience] = {}
        self._home: AbstractEventLoop | None = None
        self._record: JobRecord | None = None
        self._looked = 0.0
        self._stale = True
        self._awaited = 0
        """The number of the news that somebody waits for, whatever it tells."""
        self._live: Progress | None = None
        self._settle()

    # -- for subscribers, on their loops --------------------------------------------------------

    def enter(self) -> int:
        """Take a subscriber in; returns the number of the first news that is fresh enough for it."""
        loop = asyncio.get_running_loop()
        with self._lock:
            self._audiences.setdefault(loop, _Audience()).members += 1
            if self._home is None:
                self._home = loop
        old = time.monotonic() - self._looked >= FRESH
        if old or self._stale or self.news.error is not None:
            return self.again()
        return max(1, self.news.number)  # the first look may be under way

    def leave(self, loop: AbstractEventLoop) -> bool:
        """Let a subscriber of a loop, which may be gone, go; returns whether it was the last one."""
        with self._lock:
            audience = self._audiences.get(loop)
            if audience is not None:
                audience.members -= 1
                if not audience.members:
                    del self._audiences[loop]
                    if self._home is loop:
                        self._move_out()
            return not self._audiences

    def again(self) -> int:
        """Have the job looked at for a subscriber; returns the number of the news that tells of it."""
        # A look that is under way may not have seen what it is to tell.
        number = self.news.number + (1 if self._reading is None else 2)
        self._awaited = max(self._awaited, number)
        self.changed()
        return number

    async def wait(self, number: int, until: float | None) -> bool:
        """Return when there is other news than that of this number; False if `until` came before."""
        loop = asyncio.get_running_loop()
        audience = self._audiences[loop]
        waiter: Future[None] = loop.create_future()
        audience.waiters.add(waiter)
        try:
            while self.news.number == number:
                left = _MIND if until is None else min(until - loop.time(), _MIND)
                if left <= 0:
                    return False
                await asyncio.wait([waiter], timeout=left)
                self._mind_home()
        finally:
            audience.waiters.discard(waiter)
        return True

    def _mind_home(self) -> None:
        if self._home is not None and self._home.is_closed():
            with self._lock:
                self._audiences.pop(self._home, None)
                self._move_out()

    def _move_out(self) -> None:
        """Live on another loop, if there is one. Under the lock."""
        if self._timer is not None and self._home is running_loop():
            self._timer.cancel()
        self._settle()
        for loop in list(self._audiences):
            self._home = loop
            if call_on(loop, self._look):
                return
            del self._audiences[loop]  # it was closed under its subscribers
        self._home = None

    def _settle(self) -> None:
        """Forget what goes on at the home before."""
        self._reading: Reply[JobRecord | None] | None = None
        self._timer: TimerHandle | None = None
        self._told = self._breathing = False
        self._stale = True

    # -- what is told of the job, from any thread -----------------------------------------------

    def changed(self) -> None:
        """It has changed."""
        self._stale = True
        self._look_at_home(self._look)

    def may_have_changed(self) -> None:
        """Some job has, perhaps this one."""
        self._look_at_home(self._look_soon)

    def progressed(self, progress: Progress) -> None:
        """It runs here, and has said how far it is; the journal may not know yet."""
        self._live = progress
        home = self._home
        if home is not None and not self._breathing:
            self._breathing = True
            if home is running_loop():
                self._breathe()
            else:
                call_on(home, self._breathe)

    def _look_at_home(self, look: Callable[[], None]) -> None:
        home = self._home
        if home is None:
            return
        if home is running_loop():
            look()
        elif not self._told:
            self._told = True  # before it is: it may be over when the call returns
            call_on(home, look)

    # -- at home

    def _look_soon(self) -> None:
        self._told = False
        left = self._looked + self._pause() - time.monotonic()
        if left <= 0 or self._stale:
            self._look()
        else:
            self._look_in(left)

    def _look_in(self, seconds: float) -> None:
        """Look at the job after so many seconds at most."""
        loop = asyncio.get_running_loop()
        if self._timer is None or self._timer.when() > loop.time() + seconds:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = loop.call_later(seconds, self._look)

    def _look(self) -> None:
        self._told = False
        if self._home is not asyncio.get_running_loop():
            return  # it has moved meanwhile
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._stale = True
        if self._reading is None:
            self._read()

    def _read(self) -> None:
        self._stale = False  # before the look: what is told meanwhile is not lost
        self._looked = time.monotonic()
        try:
            self._reading = self._store.get(self.id)
        except PostludeError as error:
            self._reading = Reply.failed(error)
        self._reading.then(self._heard)

    def _heard(self, reply: Reply[JobRecord | None]) -> None:
        if reply is not self._reading:
            return  # of a look at the home before
        self._reading = None
        try:
            self._record = reply.result()
            if self._record is None:
                raise JobNotFound(f"no job has the id {id_text(self.id)}; it may have been pruned")
        except PostludeError as error:
            self._tell(News(self.news.number + 1, error=error))
        else:
            self._compare()
        if self._stale:
            self._read()
        else:
            self._look_in(LOOK_ANYWAY)

    def _compare(self) -> None:
        """Tell what is known of the job, if that has changed."""
        if self._record is None:
            return
        number, _, before, error = self.news
        record = self.informed(self._record)
        snapshot = Snapshot.of(record)
        moved = record.id != self.id  # who subscribes follows it
        if number < self._awaited or snapshot != before or moved or error is not None:
            self._tell(News(number + 1, record, snapshot))
        else:
            self.news = News(number, record, snapshot)

    def informed(self, record: JobRecord) -> JobRecord:
        """Return the job with what it has said here of its progress."""
        live, known = self._live, record.progress
        if live is None or record.stored in _WAITING or record.started is None or live.at < record.started:
            return record  # what is known live is of another attempt
        return replace(record, progress=live) if known is None or known.at < live.at else record

    def _tell(self, news: News) -> None:
        self.news = news
        here = asyncio.get_running_loop()
        for loop, audience in self._audiences.copy().items():
            if loop is here:
                audience.wake()
            else:
                call_on(loop, audience.wake)

    def _breathe(self) -> None:
        """Let pieces of progress come together; anything else is told at once."""
        asyncio.get_running_loop().call_later(BREATH, self._breathed)

    def _breathed(self) -> None:
        self._breathing = False
        if self._home is not asyncio.get_running_loop():
            return
        if self._record is not None and self._record.started is None:
            self._look()  # it was read before its attempt had started, of which this is
        else:
            self._compare()
