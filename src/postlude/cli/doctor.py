"""What keeps the jobs of a journal from running, as far as it can be seen from outside of its processes."""

import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from postlude.cli.text import counted
from postlude.messages.quoting import cut, listed
from postlude.model.job import JobFilter
from postlude.model.state import State
from postlude.stores.protocol import LivingRunner, Looking, QueueState

LONG: Final = timedelta(minutes=10)
"""A job that has been ready for so long is told of."""

LEAST_FREE: Final = 200 * 1024 * 1024
"""Bytes of disk below which that is told."""

LONG_WAL: Final = 256 * 1024 * 1024
"""Bytes of a WAL beyond which that is told."""

LOOKED_AT: Final = 1000
"""Parked jobs whose reasons are counted."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Finding(NamedTuple):
    """Something that is not as it should be."""

    code: str
    says: str
    remedy: str


def findings(journal: Looking, now: datetime) -> list[Finding]:
    """Return what was found, worst first.

    Raises:
        JournalUnavailable: the journal cannot be read now.
    """
    queues, living = journal.queues().wait(), journal.living().wait()
    return [
        *_of_processes(queues, living),
        *_of_queues(queues, living, now),
        *_of_parked_jobs(journal),
        *_of_files(journal),
    ]


def _of_processes(queues: list[QueueState], living: list[LivingRunner]) -> Iterator[Finding]:
    waiting = sum(one.ready + one.scheduled + one.blocked for one in queues)
    serving = [one for one in living if one.serves]
    if not serving:  # what runs is of processes that have died, but for what requests run themselves
        waiting += max(0, sum(one.running for one in queues) - sum(one.holds for one in living))
    if waiting and not serving:
        yield Finding(
            "nobody-runs",
            f"{counted(waiting)} to run, and no process runs jobs",
            "start the application's server",
        )
    unserved = [
        one.name for one in queues if one.ready and serving and not any(one.name in r.queues for r in serving)
    ]
    if unserved:
        yield Finding(
            "queue-unserved",
            f"no process runs the jobs of {listed(unserved)}",
            "start a process that takes them, or let jobs have another queue",
        )
    for one in living:
        if one.deaf is not None:
            yield Finding(
                "worker-deaf",
                f"the worker of Celery's on {cut(one.host)}, process {one.pid}, was given nothing for "
                f"{one.deaf:.0f} s although its broker has messages for {listed(sorted(one.queues.names))}",
                "start it afresh (`postlude celery worker` does that by itself, after --deaf-after seconds)",
            )
    releases = sorted({one.release for one in serving})
    if len(releases) > 1:
        yield Finding(
            "two-releases",
            f"processes of {len(releases)} releases run side by side",
            "that is as it should be while a new one is rolled out; else end those of the older one",
        )


def _of_queues(queues: list[QueueState], living: list[LivingRunner], now: datetime) -> Iterator[Finding]:
    for queue in queues:
        if queue.paused and queue.ready:
            yield Finding(
                "paused",
                f"queue {cut(queue.name)} is paused, with {counted(queue.ready)} ready in it",
                f"postlude resume --queue {cut(queue.name)}",
            )
        elif queue.ready and queue.oldest is not None and living:
            age = now - _EPOCH - timedelta(microseconds=queue.oldest)
            if age > LONG:
                yield Finding(
                    "waits-long",
                    f"in queue {cut(queue.name)} a job has waited {round(age.total_seconds() / 60):,} min",
                    f"postlude jobs --state running --queue {cut(queue.name)} shows what takes its place",
                )


def _of_parked_jobs(journal: Looking) -> Iterator[Finding]:
    parked = journal.page(JobFilter(states=(State.PARKED,), limit=LOOKED_AT)).wait()
    reasons = Counter(record.reason.value if record.reason is not None else "unknown" for record in parked)
    more = ", or more," if len(parked) == LOOKED_AT else ""
    for reason, jobs in reasons.most_common():
        tasks = sorted({record.task for record in parked if record.reason and record.reason.value == reason})
        yield Finding(
            "parked",
            f"{counted(jobs)}{more} parked ({reason}), of {listed(tasks)}",
            "postlude jobs --state parked; they run when a release that they fit is started",
        )


def _of_files(journal: Looking) -> Iterator[Finding]:
    path = Path(journal.location)
    if not path.is_absolute() or not path.exists():
        return  # it is in no file of this machine
    free = shutil.disk_usage(path.parent).free
    if free < LEAST_FREE:
        yield Finding(
            "disk-full",
            f"{free // 1024**2:,} MiB are free for the journal; when it is full, requests get 503",
            f"make room in {cut(str(path.parent))}",
        )
    wal = path.with_name(f"{path.name}-wal")
    size = wal.stat().st_size if wal.exists() else 0
    if size > LONG_WAL:
        yield Finding(
            "long-wal",
            f"the WAL has {size // 1024**2:,} MiB: a program keeps a transaction of the journal open",
            "end it (the log names its process); the WAL is folded then",
        )
