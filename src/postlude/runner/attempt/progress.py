"""How far jobs say that they are: told at once to who watches here, to the journal twice a second."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from postlude.jobs.current import CurrentJob
from postlude.model.event.jobs import ProgressTold, ProgressWritten
from postlude.model.event.runner import JobName, LoopClosed, Missed
from postlude.model.job import ProgressNote
from postlude.runner.attempt.work import Work
from postlude.stores.protocol import Store

EVERY: Final = 0.5
"""Seconds between two writes of one job's progress."""


class Reports:
    """The progress of one runner's jobs.

    Args:
        store: the journal.
        held: the works that the runner holds.
    """

    def __init__(self, store: Store, held: Callable[[], Iterable[Work]]) -> None:
        self._store = store
        self._events = store.events
        self._held = held
        self._loop = asyncio.get_running_loop()
        self._dirty: dict[CurrentJob, None] = {}
        self._armed = False

    def report(self, current: CurrentJob) -> None:
        """A job has said how far it is. From any thread."""
        if ProgressTold in self._events.heard and current.last_progress is not None:
            self._events.emit(ProgressTold(current.raw_id, current.last_progress))
        self._dirty[current] = None
        if not self._armed:
            self._armed = True
            try:
                self._loop.call_soon_threadsafe(self._loop.call_later, EVERY, self._write)
            except RuntimeError:
                self._events.emit(LoopClosed(Missed.PROGRESS, JobName(current.raw_id, current.task)))

    def last(self, work: Work) -> None:
        """A job ends: write what it said last. On the loop."""
        current = work.current
        if current is None or current.last_progress is None:
            return
        if self._dirty.pop(current, self) is None:
            self._tell([work])

    def _write(self) -> None:
        self._armed = False
        dirty, self._dirty = self._dirty, {}
        self._tell([work for work in self._held() if work.current in dirty])

    def _tell(self, works: Sequence[Work]) -> None:
        notes = [
            ProgressNote(work.seq, work.fence, work.current.last_progress)
            for work in works
            if work.current is not None and work.current.last_progress is not None
        ]
        if notes:
            # Not waited for: progress that the journal does not take is told again, or is past.
            self._store.progress(notes).then(lambda reply: self._told(works))

    def _told(self, works: Sequence[Work]) -> None:
        """Who has begun to watch meanwhile finds the progress in the journal now."""
        if ProgressWritten in self._events.heard:
            self._events.emit(ProgressWritten([work.id for work in works]))
