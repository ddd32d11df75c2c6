"""Live: whether anything has changed since a page was written, without a look at the journal."""

import os
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection
from threading import Lock
from typing import Any, Final, TypeVar

from postlude.model.event.jobs import EndsWritten, JobsAdded, JobsClaimed, ProgressWritten
from postlude.stores.protocol import Store
from postlude.stores.signals import Signals

T = TypeVar("T")

FRESH: Final = 1.0
"""Seconds for which what was looked up is shown to others too, also if something changes meanwhile."""

STALE: Final = 15.0
"""Seconds after which it is looked up although nobody has said that anything changed: leases end in silence,
and another process's journal may be heard of late."""

IDLE: Final = 60.0
"""Seconds without a look after which nobody listens any more."""

MOST: Final = 200
"""Answers that are kept."""

MOST_FOR_GOOD: Final = 6
"""Answers that are kept although something changes: each may be some megabytes."""

_HEARD: Final = (JobsClaimed, EndsWritten, ProgressWritten)
"""What happens to many jobs in one write. Not that attempts start: a value would be made for each. That jobs
are added is heard of where no commits are told of: elsewhere it would cost each job 5 %."""

SETTLED: Final = 0.5
"""Seconds after which what was told of can be seen: a commit is told of when it begins."""

SOONEST: Final = 2.0
LATEST: Final = 30.0
"""Seconds after which a page asks again, at least and at most."""

SHARE: Final = 0.02
"""So much of a thread's time the pages of one process may take, all together; then they ask less often."""

OVER: Final = 3.0
"""Seconds over which that is counted."""


class Pace:
    """Says how often pages should ask, by what answering them has cost.

    Args:
        clock: gives seconds that never run backwards.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._began = clock()
        self._spent = 0.0
        self.pause = SOONEST
        """Seconds after which a page asks again."""

    def spent(self, seconds: float) -> None:
        """A page has cost so much of the thread's time."""
        self._spent += seconds
        passed = self._clock() - self._began
        if passed >= OVER:
            wanted = self.pause * self._spent / passed / SHARE
            self.pause = min(LATEST, max(SOONEST, wanted))
            self._began, self._spent = self._clock(), 0.0


class Pulse(Signals):
    """Counts what changes in a journal, while somebody looks.

    Args:
        store: the journal.
        clock: gives seconds that never run backwards.
    """

    def __init__(self, store: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._lock = Lock()
        self._changes = 0
        self._changed = 0.0
        self._commits = os.path.isabs(store.location)  # a file of this machine, whose commits are told of
        self._listens = False
        self._asked = 0.0
        self._token = ""
        self._seen = -1
        self._since = 0.0
        self._kept: OrderedDict[Any, Any] = OrderedDict()
        self._for_good: OrderedDict[Any, Any] = OrderedDict()
        self.pace = Pace(clock)

    def token(self) -> str:
        """Return what is equal as long as nothing has changed that a page could show."""
        now = self._clock()
        with self._lock:
            self._asked = now
            if not self._listens:
                self._listens = True
                self._listen()
                self._renew(now)
            age = now - self._since
            if age >= STALE or (age >= FRESH and self._changes != self._seen):
                self._renew(now)
            return self._token

    def _listen(self) -> None:
        self._store.listen(self)
        if self._commits:
            self._store.events.listen(self._hear, *_HEARD)
            self._store.tell_commits(self._note)
        else:
            self._store.events.listen(self._hear, *_HEARD, JobsAdded)

    def _renew(self, now: float) -> None:
        self._token = secrets.token_urlsafe(9)
        self._seen = self._changes if now - self._changed >= SETTLED else -1
        self._since = now
        self._kept.clear()

    def forget(self) -> None:
        """Somebody has done something here: whoever looks next sees it."""
        with self._lock:
            self._renew(self._clock())

    async def kept(self, key: Any, look: Callable[[], Awaitable[T]]) -> T:
        """Return what was looked up since the last change; else look it up, for all who ask until then."""
        token = self.token()
        if key in self._kept:
            found: T = self._kept[key]
            return found
        found = await look()
        with self._lock:
            if self._token == token:
                self._kept[key] = found
                while len(self._kept) > MOST:
                    self._kept.popitem(last=False)
        return found

    def drop(self, key: Any) -> None:
        """Keep this no longer."""
        with self._lock:
            self._kept.pop(key, None)

    async def for_good(self, key: Any, look: Callable[[], Awaitable[T]]) -> T:
        """Return what does not change any more: looked up once, for all, also after changes."""
        if key in self._for_good:
            self._for_good.move_to_end(key)
            found: T = self._for_good[key]
            return found
        found = self._for_good[key] = await look()
        while len(self._for_good) > MOST_FOR_GOOD:
            self._for_good.popitem(last=False)
        return found

    # -- what is heard, from any thread -----------------------------------------------------------

    def _hear(self, event: object) -> None:
        self._note()

    def _note(self) -> None:
        self._changes += 1
        self._changed = now = self._clock()
        if now - self._asked > IDLE:
            with self._lock:
                listened, self._listens = self._listens, False
                self._kept.clear()
            if listened:
                self._store.leave(self)
                self._store.events.leave(self._hear)
                if self._commits:
                    self._store.untell_commits(self._note)

    def ready(self, queues: Collection[str] | None) -> None:
        """Count it."""
        self._note()

    def due(self, at: int | None) -> None:
        """Count it."""
        self._note()

    def asked(self, runner: int | None) -> None:
        """Count it."""
        self._note()

    def paused(self) -> None:
        """Count it."""
        self._note()

    def schedules(self) -> None:
        """Count it."""
        self._note()

    def changed(self, ids: Collection[bytes] | None) -> None:
        """Count it."""
        self._note()
