"""Hearing of what becomes of jobs: whoever watches one is woken when it may have changed.

The hub hears the events of the jobs that runners of this process claim and end; what other processes write
is found by a look at the journal, for the watched jobs only. Where no runner serves the process, each
watch looks by itself from time to time.
"""

import asyncio
import threading
from dataclasses import replace
from types import TracebackType
from typing import Final

from postlude.compat import running_loop
from postlude.config import Config
from postlude.errors import JobNotFound
from postlude.model.event.jobs import EndsWritten, JobsClaimed, ProgressTold, ProgressWritten
from postlude.model.ids import id_text
from postlude.model.job import JobRecord, Progress
from postlude.model.snapshot import Snapshot
from postlude.model.state import State, Stored
from postlude.stores.loops import call_on
from postlude.stores.protocol import Reading

LOOK_ANYWAY: Final = 5.0
"""Seconds after which a watched job is looked at although nobody has said that it changed."""

BREATH: Final = 0.05
"""Seconds between two pieces of news that are about progress only."""


_HEARD: Final = (JobsClaimed, EndsWritten, ProgressTold, ProgressWritten)
"""What changes a job that is watched; only heard of while there is one."""


class Hub:
    """Knows who watches which jobs of one process.

    Args:
        store: the journal.
        config: how often to look where no runner serves.
    """

    def __init__(self, store: Reading, config: Config) -> None:
        self.watched: dict[bytes, tuple[Subscription, ...]] = {}
        """The watches of each watched job; empty, and so false, nearly always."""
        self._store = store
        self._config = config
        self._lock = threading.Lock()
        self._served = False

    def _hear(self, event: JobsClaimed | EndsWritten | ProgressTold | ProgressWritten) -> None:
        match event:
            case ProgressTold(id, progress):
                for subscription in self.watched.get(id, ()):
                    subscription.wake(progress)
            case JobsClaimed(_, claims):
                for claim in claims:
                    self.note(claim.id)
            case EndsWritten(ids) | ProgressWritten(ids):
                for id in ids:
                    self.note(id)

    def note(self, id: bytes) -> None:
        """Something about a job has been written here. From any thread."""
        for subscription in self.watched.get(id, ()):
            subscription.wake()

    def look(self) -> None:
        """Something about any job may have been written elsewhere. From any thread."""
        if self.watched:
            with self._lock:
                subscriptions = {subscription for group in self.watched.values() for subscription in group}
            for subscription in subscriptions:
                subscription.wake()

    def serve(self, served: bool) -> None:
        """Rely on a runner to tell of changes, or do so no longer."""
        self._served = served
        self.look()

    def subscription(self, id: bytes) -> "Subscription":
        """Return a watch of a job, to be entered on the loop that reads it."""
        return Subscription(self, self._store, id)

    @property
    def patience(self) -> float:
        """Seconds until a watch that nobody has woken looks by itself."""
        return LOOK_ANYWAY if self._served else self._config.poll_every

    @property
    def eager(self) -> float:
        """Seconds until one looks by itself that may not be woken by what it waits for."""
        return self._config.poll_every

    def enter(self, id: bytes, subscription: "Subscription") -> None:
        """Wake a watch when this job changes."""
        with self._lock:
            if not self.watched:
                self._store.events.listen(self._hear, *_HEARD)
            self.watched[id] = (*self.watched.get(id, ()), subscription)

    def leave(self, id: bytes, subscription: "Subscription") -> None:
        """Wake it no more."""
        with self._lock:
            others = tuple(other for other in self.watched.get(id, ()) if other is not subscription)
            if others:
                self.watched[id] = others
            else:
                self.watched.pop(id, None)
                if not self.watched:
                    self._store.events.leave(self._hear)


class Subscription:
    """One reader's eye on one job. Use it as a context manager, on one event loop.

    Args:
        hub: wakes it.
        store: the journal.
        id: the job's id, or one that joined it.
    """

    def __init__(self, hub: Hub, store: Reading, id: bytes) -> None:
        self._hub = hub
        self._store = store
        self._id = id
        self._ids: list[bytes] = []
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._stale = True
        self._live: Progress | None = None
        self._told = False
        self._record: JobRecord | None = None
        self._seen: Snapshot | None = None

    def __enter__(self) -> "Subscription":
        self._enter(self._id)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for id in self._ids:
            self._hub.leave(id, self)

    def wake(self, progress: Progress | None = None) -> None:
        """Look at the job again, or know its progress. From any thread."""
        if progress is None:
            self._stale = True
        else:
            self._live = progress
        if running_loop() is self._loop:
            self._hear()
        elif not self._told:
            self._told = True
            call_on(self._loop, self._hear)

    async def news(self, within: float | None = None) -> JobRecord | None:
        """Return the job, when it is not as it was at the call before; what is brief may be missed.

        Args:
            within: give up after so many seconds, and return None.

        Raises:
            JobNotFound: no job has this id, or no longer.
            JournalUnavailable: the journal cannot be read now.
        """
        until = None if within is None else self._loop.time() + within
        while True:
            if self._live is not None:
                await self._breathe()
            record = self._record
            if record is None or self._stale:
                record = await self._look()
            record = self._with_progress(record)
            seen = Snapshot.of(record)
            if seen != self._seen:
                self._seen = seen
                return record
            if self._stale:
                continue
            if not await self._wait(until):
                return None

    async def _look(self) -> JobRecord:
        self._stale = False  # before the look: what is told meanwhile is not lost
        record = await self._store.get(self._id)
        if record is None:
            raise JobNotFound(f"no job has the id {id_text(self._id)}; it may have been pruned")
        if record.id not in self._ids:
            self._enter(record.id)
            self._stale = True
        if self._record is not None and record.fence != self._record.fence:
            self._live = None  # another attempt's
        self._record = record
        return record

    def _with_progress(self, record: JobRecord) -> JobRecord:
        live, known = self._live, record.progress
        if live is None or record.stored in (Stored.READY, Stored.SCHEDULED, Stored.BLOCKED, Stored.PARKED):
            return record
        return replace(record, progress=live) if known is None or known.at < live.at else record

    async def _wait(self, until: float | None) -> bool:
        """Wait for news; False if `until` came before."""
        patience = self._patience
        left = patience if until is None else until - self._loop.time()
        if left <= 0:
            return False
        self._waiter = self._loop.create_future()
        await asyncio.wait([self._waiter], timeout=min(patience, left))
        if self._waiter.done():
            return True
        if left < patience:
            return False
        self._stale = True
        return True

    @property
    def _patience(self) -> float:
        """Another call may replace a job that has a key and waits: from then on it has that call's id."""
        record = self._record
        may_change = record is not None and record.key is not None and record.state is State.QUEUED
        return self._hub.eager if may_change else self._hub.patience

    async def _breathe(self) -> None:
        """Let pieces of progress come together; anything else is heard at once."""
        until = self._loop.time() + BREATH
        while not self._stale and (left := until - self._loop.time()) > 0:
            self._waiter = self._loop.create_future()
            await asyncio.wait([self._waiter], timeout=left)

    def _hear(self) -> None:
        self._told = False
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _enter(self, id: bytes) -> None:
        self._ids.append(id)
        self._hub.enter(id, self)
