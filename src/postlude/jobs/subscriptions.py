"""Hearing of what becomes of jobs: whoever subscribes to one is woken when it has changed.

The hub hears the events of the jobs that runners of this process claim and end, and the store's signals of
all else. What it is that has changed is found by a look at the journal, for those jobs only that somebody
subscribes to (`postlude.jobs.feed`).
"""

import asyncio
import threading
from asyncio import AbstractEventLoop
from collections.abc import Collection
from types import TracebackType
from typing import Final

from postlude.errors import PostludeError
from postlude.jobs.feed import Feed
from postlude.model.event.jobs import EndsWritten, JobsClaimed, ProgressTold, ProgressWritten
from postlude.model.job import JobRecord
from postlude.model.snapshot import Snapshot
from postlude.stores.protocol import Reading
from postlude.stores.signals import Signals

PAUSE: Final = 0.001
LONGEST_PAUSE: Final = 5.0
"""Seconds between looks at a job while it is not known which change: for each that is subscribed to, and in
all at most."""


_HEARD: Final = (JobsClaimed, EndsWritten, ProgressTold, ProgressWritten)
"""What changes a job; only heard of while somebody subscribes to one."""


class Hub(Signals):
    """Knows which jobs are subscribed to in one process.

    Args:
        store: the journal.
    """

    def __init__(self, store: Reading) -> None:
        self.watched: dict[bytes, Feed] = {}
        """The feed of each job that somebody subscribes to; empty, and so false, nearly always."""
        self._store = store
        self._lock = threading.Lock()

    def _hear(self, event: JobsClaimed | EndsWritten | ProgressTold | ProgressWritten) -> None:
        match event:
            case ProgressTold(id, progress):
                feed = self.watched.get(id)
                if feed is not None:
                    feed.progressed(progress)
            case JobsClaimed(_, claims):
                for claim in claims:
                    self.note(claim.id)
            case EndsWritten(ids) | ProgressWritten(ids):
                for id in ids:
                    self.note(id)

    def note(self, id: bytes) -> None:
        """Something about a job has been written here. From any thread."""
        feed = self.watched.get(id)
        if feed is not None:
            feed.changed()

    def look(self) -> None:
        """Something about any job may have been written elsewhere. From any thread."""
        if self.watched:
            for feed in self._feeds():
                feed.may_have_changed()

    def _feeds(self) -> list[Feed]:
        with self._lock:
            return list(self.watched.values())

    def changed(self, ids: Collection[bytes] | None) -> None:
        """Some jobs have changed, in this process or another. From any thread."""
        if ids is None:
            self.look()
        else:
            for id in ids:
                self.note(id)

    def informed(self, record: JobRecord) -> JobRecord:
        """Return a job with what it has said of its progress in this process, if somebody listens to it."""
        feed = self.watched.get(record.id)
        return record if feed is None else feed.informed(record)

    def subscription(self, id: bytes) -> "Subscription":
        """Return a subscription to a job, to be entered on the loop that reads it."""
        return Subscription(self, id)

    @property
    def pause(self) -> float:
        """Seconds between two looks at a job while it is not known which jobs change."""
        return min(PAUSE * len(self.watched), LONGEST_PAUSE)

    def enter(self, id: bytes) -> tuple[Feed, int]:
        """Have a job's feed, until `leave`; returns it, and the number of the first news to read."""
        with self._lock:
            feed = self.watched.get(id)
            if not self.watched:
                self._store.events.listen(self._hear, *_HEARD)
                self._store.listen(self)
            if feed is None:
                feed = self.watched[id] = Feed(id, self._store, lambda: self.pause)
            number = feed.enter()
        return feed, number

    def leave(self, feed: Feed, loop: AbstractEventLoop) -> None:
        """Need it no longer on this loop."""
        with self._lock:
            if feed.leave(loop):
                self.watched.pop(feed.id, None)
                if not self.watched:
                    self._store.events.leave(self._hear)
                    self._store.leave(self)


class Subscription:
    """One reader's eye on one job. Use it as a context manager, on one event loop.

    Args:
        hub: has the job's feed.
        id: the job's id, or one that joined it.
    """

    def __init__(self, hub: Hub, id: bytes) -> None:
        self._hub = hub
        self._id = id
        self._feed: Feed | None = None
        self._loop = asyncio.get_running_loop()
        self._needs = 0
        """The number of the first news that it may read."""
        self._seen: Snapshot | None = None
        self._failed = False

    def __enter__(self) -> "Subscription":
        self._feed, self._needs = self._hub.enter(self._id)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._feed is not None:
            self._hub.leave(self._feed, self._loop)
            self._feed = None

    async def news(self, within: float | None = None) -> JobRecord | None:
        """Return the job, when it is not as it was at the call before; what is brief may be missed.

        Args:
            within: give up after so many seconds, and return None.

        Raises:
            JobNotFound: no job has this id, or no longer.
            JournalUnavailable: the journal cannot be read now.
        """
        until = None if within is None else self._loop.time() + within
        assert self._feed is not None, "enter it first"
        if self._failed:
            self._failed, self._needs = False, self._feed.again()
        while True:
            number, record, snapshot, error = self._feed.news
            if number >= self._needs:
                if error is not None:
                    self._failed = True
                    raise _own(error)
                assert record is not None
                if record.id != self._feed.id:
                    self._follow(record.id)
                    continue
                if snapshot != self._seen:
                    self._seen = snapshot
                    return record
            if not await self._feed.wait(number, until):
                return None

    def _follow(self, id: bytes) -> None:
        """Subscribe to the job that stands for this one, or that has another id now."""
        assert self._feed is not None
        before = self._feed
        self._feed, self._needs = self._hub.enter(id)
        self._hub.leave(before, self._loop)


def _own(error: PostludeError) -> PostludeError:
    """Return an error that others are told too, for one of them to raise: each adds its own traceback."""
    own = type(error).__new__(type(error), *error.args)
    own.__dict__.update(error.__dict__)
    own.__cause__ = error.__cause__
    return own
