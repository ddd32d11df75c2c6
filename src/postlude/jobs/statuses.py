"""What looking at a journal as a whole gives people: queues, tasks, processes, and what has happened.

Times are dates in UTC, ids are texts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from postlude.clock import SECOND
from postlude.jobs.inspector import JobStatus, time_of
from postlude.model.failure import FailureGroup
from postlude.model.history import ALL_TIME, MINUTE, Sum
from postlude.model.ids import id_text
from postlude.model.queues import Queues
from postlude.model.state import State
from postlude.stores.protocol import LivingRunner, QueueState
from postlude.stores.values import AuditLine


@dataclass(frozen=True, slots=True)
class FoundJobs:
    """What a look for jobs has found."""

    jobs: list[JobStatus]
    """Newest first, without attempts, results and log lines."""
    next: int | None
    """`before` of the next page; None: there is none."""
    searched: int | None
    """Only so many of the newest jobs were searched, and there are more; None: all that are meant are found,
    or the page is full."""


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """How much waits and runs in one queue. Numbers are jobs."""

    name: str
    paused: bool
    ready: int
    scheduled: int
    blocked: int
    running: int
    parked: int
    oldest: datetime | None
    """When the one was added that has been ready, or waits for others, the longest."""
    retrying: int = 0
    """Of those that are scheduled, how many have failed before, and wait for another attempt."""

    @classmethod
    def of(cls, one: QueueState) -> "QueueStatus":
        """Read one as the journal gave it."""
        told = one._asdict()
        return cls(**told | {"oldest": None if one.oldest is None else time_of(one.oldest)})


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """How many jobs one task has."""

    name: str
    paused: bool
    jobs: Mapping[State, int]
    """In each state, also in those in which there are none."""


@dataclass(frozen=True, slots=True)
class ProcessStatus:
    """A process that runs jobs, as far as can be seen from here."""

    kind: str
    host: str
    pid: int
    since: datetime
    release: str
    queues: Queues
    slots: int | None
    """How many jobs it runs at once; None: it does not say."""
    holds: int
    """How many jobs it has claimed and not ended."""
    deaf: float | None = None
    """For how long what its broker has for it has not reached it, of a worker of Celery's. Seconds; None: it
    hears, or has no broker."""

    @classmethod
    def of(cls, one: LivingRunner) -> "ProcessStatus":
        """Read one as the journal gave it."""
        since = time_of(one.since)
        return cls(
            one.kind, one.host, one.pid, since, one.release, one.queues, one.slots, one.holds, one.deaf
        )


@dataclass(frozen=True, slots=True)
class Happened:
    """What has happened in a minute, or in several, to the jobs of one task and queue, of one outcome."""

    since: datetime | None
    """The minute, or the first of them; None: ever."""
    task: str
    queue: str
    outcome: str
    """How attempts have ended, or jobs without one; `added`: jobs that came."""
    n: int
    """How often that was."""
    ran: float
    """For how long those attempts have run, all together. Seconds."""
    waited: float
    """For how long their jobs had waited for their first attempt, all together. Seconds."""
    runs: tuple[int, ...]
    """How many of them have run for so long: one number for each bucket of `model.history.RUN`."""
    waits: tuple[int, ...]
    """How many of their jobs have waited for so long: one number for each bucket of `model.history.WAIT`."""

    @classmethod
    def of(cls, one: Sum) -> "Happened":
        """Read one as the journal gave it."""
        since = None if one.minute == ALL_TIME else time_of(one.minute * MINUTE)
        spent = one.ran / SECOND, one.waited / SECOND
        return cls(since, one.task, one.queue, one.outcome, one.n, *spent, one.runs, one.waits)


@dataclass(frozen=True, slots=True)
class FailureStatus:
    """Jobs that have failed in the same way, and have not been retried since."""

    task: str
    kind: str
    """The exception's class, or why no attempt has ended them; empty: nobody knows."""
    place: str
    """Where the application's own code was last; empty: nowhere."""
    jobs: int
    first: datetime
    last: datetime
    """When the first, and the last, of them had failed."""
    newest: str
    """The id of the newest of them."""

    @classmethod
    def of(cls, one: FailureGroup) -> "FailureStatus":
        """Read one as the journal gave it."""
        times = time_of(one.first), time_of(one.last)
        return cls(one.task, one.kind, one.place, one.jobs, *times, id_text(one.newest))


@dataclass(frozen=True, slots=True)
class AuditStatus:
    """What somebody has done."""

    number: int
    """`before` of the lines that are older."""
    at: datetime
    actor: str
    act: str
    meant: str
    """Which jobs, or what else, in the words in which that was said."""
    done: int
    """How many jobs, or other things, that was done to."""
    not_done: int

    @classmethod
    def of(cls, one: AuditLine) -> "AuditStatus":
        """Read one as the journal gave it."""
        return cls(one.number, time_of(one.at), *one[2:])
