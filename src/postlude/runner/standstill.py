"""Jobs that wait for jobs: where they take all places, what they wait for cannot start."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from postlude.model.event.runner import SlotsTaken
from postlude.model.state import Stored
from postlude.runner.attempt.work import Work
from postlude.runner.executors.pool import ExecutorPool
from postlude.runner.executors.protocol import Executor
from postlude.stores.protocol import Store

AFTER: Final = 5.0
"""Seconds for which the same jobs take all places of an executor, and wait, until that is told."""

LOOKED_AT: Final = 50
"""Jobs that are waited for and looked at."""

_QUEUED: Final = (Stored.READY, Stored.BLOCKED, Stored.PUBLISHED)


class Standstill:
    """Notices it, and warns once.

    Args:
        executors: the executors.
        store: what is waited for is looked up there.
        full: whether the runner holds as many jobs as it may.
    """

    def __init__(self, executors: ExecutorPool, store: Store, full: Callable[[], bool]) -> None:
        self._executors = executors
        self._full = full
        self._store = store
        self._loop = asyncio.get_running_loop()
        self._since: dict[Executor, tuple[frozenset[Work], float]] = {}
        self._told: set[Executor] = set()

    async def look(self) -> None:
        """Look at each executor; from time to time, on the loop."""
        now, full = self._loop.time(), self._full()
        for executor, setting in self._executors.settings.items():
            works = _all_wait(executor, full=full)
            before, since = self._since.get(executor, (None, now))
            if works != before:
                self._told.discard(executor)
                since = now
            self._since[executor] = works, since
            if works and now - since >= AFTER and executor not in self._told:
                waiters = await self._queued(works)
                if waiters:
                    self._told.add(executor)
                    self._warn(works, waiters, "ahead" if executor.free else setting)

    async def _queued(self, works: Iterable[Work]) -> set[str]:
        """Return the tasks of the jobs that these wait for, and that have not started."""
        ids = dict.fromkeys(id for work in works if work.current is not None for id in work.current.waits)
        records = [await self._store.get(id) for id in list(ids)[:LOOKED_AT]]
        return {
            record.task
            for record in records
            if record is not None
            and (
                (record.stored in _QUEUED and record.reason is None)
                or (record.stored is Stored.RUNNING and record.started is None)
            )
        }

    def _warn(self, works: Iterable[Work], waiters: set[str], setting: str) -> None:
        waiting = sorted(work.name for work in works)
        self._store.events.emit(SlotsTaken(setting, waiting, sorted(waiters)))


def _all_wait(executor: Executor, *, full: bool) -> frozenset[Work]:
    """Return the works that an executor runs, if they take all of its places and all wait for jobs."""
    works = frozenset() if executor.free and not full else frozenset(executor.running)
    return works if all(work.current is not None and work.current.waits for work in works) else frozenset()
