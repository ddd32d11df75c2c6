"""Looking at a journal as a whole: its jobs, queues, tasks and processes, and what has happened."""

from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from typing import Final, Unpack
from uuid import UUID

from postlude.jobs.bulk import Which, filter_of, moment_of
from postlude.jobs.inspector import Inspector, JobStatus
from postlude.jobs.statuses import (
    AuditStatus,
    FailureStatus,
    FoundJobs,
    Happened,
    ProcessStatus,
    QueueStatus,
    TaskStatus,
)
from postlude.model.history import ALL_TIME, MINUTE
from postlude.model.state import State
from postlude.stores.protocol import Reading

SEARCHED: Final = 100_000
"""The newest jobs, among which those are looked for that no index tells."""


class Looks:
    """Looks at a journal, waits for no writer, and changes nothing.

    Args:
        store: the journal.
        opened: opens it if nobody has.
        inspector: reads jobs.
    """

    def __init__(self, store: Reading, opened: Callable[[], Awaitable[None]], inspector: Inspector) -> None:
        self._store = store
        self._opened = opened
        self._inspector = inspector

    async def find(
        self, *, before: int | None = None, search_all: bool = False, **which: Unpack[Which]
    ) -> FoundJobs:
        """Return the jobs that are meant, newest first: `find(state=State.FAILED, task=send_receipt)`.

        Without a filter, all. Where no index tells which are meant, the newest 100,000 are searched.

        Args:
            before: `next` of the page before.
            search_all: search all jobs, which takes longer the more there are.
            which: the filter; its `limit` is 50 by default.

        Raises:
            TypeError: there is no such field, or a time has no timezone.
            ValueError: `limit` is below 1.
            PostludeError: several tasks are called so.
            JobNotFound: no task called so has any job.
            JournalUnavailable: the journal cannot be read now.
        """
        limit = which.get("limit", 50)
        if limit < 1:
            raise ValueError(f"limit={limit}: ask for one job or more")
        await self._opened()
        counts = await self._store.counts()
        asked: Which = {**which, "everything": True}
        wanted = filter_of(asked, sorted({count.task for count in counts}), ())
        within = None if search_all else SEARCHED
        records = await self._store.page(replace(wanted, before=before, limit=limit + 1, within=within))
        jobs, more = [self._inspector.read(record) for record in records[:limit]], len(records) > limit
        searched = not (search_all or more) and sum(count.jobs for count in counts) > SEARCHED
        return FoundJobs(jobs, jobs[-1].seq if more else None, SEARCHED if searched else None)

    async def show(self, id: str | UUID) -> JobStatus:
        """Return a job with its arguments, attempts, result and log lines.

        Raises:
            JobNotFound: no job has this id, or it has been pruned, or it is not an id.
            JournalUnavailable: the journal cannot be read now.
        """
        await self._opened()
        return await self._inspector.get(id)

    async def queues(self) -> list[QueueStatus]:
        """Return the queues in which a job has not ended, or that are paused, by name.

        Raises:
            JournalUnavailable: the journal cannot be read now.
        """
        await self._opened()
        return [QueueStatus.of(one) for one in await self._store.queues()]

    async def tasks(self) -> list[TaskStatus]:
        """Return the tasks that have jobs, by name.

        Raises:
            JournalUnavailable: the journal cannot be read now.
        """
        await self._opened()
        paused = {one.name for one in await self._store.paused() if one.kind == "task"}
        found: dict[str, Counter[State]] = {}
        for count in await self._store.counts():
            found.setdefault(count.task, Counter())[count.state] += count.jobs
        return [
            TaskStatus(name, name in paused, {state: jobs[state] for state in State})
            for name, jobs in sorted(found.items())
            if jobs.total()
        ]

    async def processes(self) -> list[ProcessStatus]:
        """Return the processes that run jobs.

        Raises:
            JournalUnavailable: the journal cannot be read now.
        """
        await self._opened()
        return [ProcessStatus.of(one) for one in await self._store.living()]

    async def history(
        self, since: datetime | None = None, until: datetime | None = None, minutes: int = 1
    ) -> list[Happened]:
        """Return what has happened, as sums of each task, queue and outcome; without times, of all time.

        Minutes are kept for 7 days. Job rows are not looked at: it is as quick with a million jobs.

        Args:
            since: from the minute of this moment on; with a timezone.
            until: to the minute of this one; None: until now.
            minutes: how many are added up to one.

        Raises:
            TypeError: a time has no timezone.
            ValueError: `until` is given alone, or `minutes` is below 1.
            JournalUnavailable: the journal cannot be read now.
        """
        if minutes < 1:
            raise ValueError(f"minutes={minutes}: add up one minute or more")
        if since is None and until is not None:
            raise ValueError("until is given alone: say since when, too, or neither for all time")
        first, last = moment_of("since", since), moment_of("until", until)
        await self._opened()
        if first is None:
            return [Happened.of(one) for one in await self._store.history()]
        last = self._store.now() if last is None else last
        bounds = max(ALL_TIME + 1, first // MINUTE), last // MINUTE
        return [Happened.of(one) for one in await self._store.history(*bounds, minutes)]

    async def groups(self, since: datetime | None = None) -> list[FailureStatus]:
        """Return which jobs have failed in the same way; those first that are the most.

        Args:
            since: only what has failed then or later; with a timezone.

        Raises:
            TypeError: the time has no timezone.
            JournalUnavailable: the journal cannot be read now.
        """
        first = moment_of("since", since)
        await self._opened()
        return [FailureStatus.of(one) for one in await self._store.groups(first or 0)]

    async def audit(self, before: int | None = None, limit: int = 50) -> list[AuditStatus]:
        """Return what people have done by the command line and the like, newest first.

        Args:
            before: `number` of the last line of the page before.
            limit: how many at most.

        Raises:
            ValueError: `limit` is below 1.
            JournalUnavailable: the journal cannot be read now.
        """
        if limit < 1:
            raise ValueError(f"limit={limit}: ask for one line or more")
        await self._opened()
        return [AuditStatus.of(one) for one in await self._store.audit(before, limit)]
