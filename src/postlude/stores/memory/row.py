"""One job as the memory store keeps it."""

from typing import Final

from postlude.model.job import Added, AttemptRecord, Claim, JobRecord, NewJob
from postlude.model.state import Reason, Stored

NOBODY: Final = 0
"""The runner's number of a job that no runner holds."""


class Row:
    """A job's changing part beside the job that was added."""

    __slots__ = (
        "attempts",
        "deaths",
        "due",
        "failures",
        "fence",
        "finished",
        "follower",
        "job",
        "reason",
        "release",
        "runner",
        "seq",
        "started",
        "stored",
        "suspect",
        "unended",
    )

    def __init__(self, seq: int, job: NewJob, stored: Stored) -> None:
        self.seq = seq
        self.job = job
        self.stored = stored
        self.due = job.due
        self.fence = 0
        self.failures = 0
        self.deaths = 0
        self.suspect = False
        self.runner = NOBODY
        self.unended = False
        """The claim with the present fence has not been finished, wherever the job is now."""
        self.started: int | None = None
        self.finished: int | None = None
        self.reason: Reason | None = None
        self.release = ""
        """Of a parked job: what of the release that parked it did not fit."""
        self.follower: Row | None = None
        """The job that waits for the end of this one's first attempt."""
        self.attempts: tuple[AttemptRecord, ...] = ()

    def take(self, runner: int) -> None:
        """Give the job to a runner, under a new fence."""
        self.fence += 1
        self.runner = runner
        self.unended = True

    @property
    def added(self) -> Added:
        """What became of it when it was added."""
        return Added(self.seq, self.fence)

    @property
    def claim(self) -> Claim:
        """The right to run it."""
        job = self.job
        return Claim(
            self.seq,
            job.id,
            self.fence,
            job.task,
            job.queue,
            job.payload,
            self.failures,
            self.suspect,
            job.once,
            job.created,
        )

    def record(self, *, attempts: bool) -> JobRecord:
        """Show it to people, with or without its attempts."""
        job = self.job
        return JobRecord(
            id=job.id,
            seq=self.seq,
            task=job.task,
            queue=job.queue,
            stored=self.stored,
            reason=self.reason,
            priority=job.priority,
            due=self.due,
            fence=self.fence,
            failures=self.failures,
            deaths=self.deaths,
            created=job.created,
            started=self.started,
            finished=self.finished,
            owner=job.owner,
            payload=job.payload,
            attempts=self.attempts if attempts else (),
        )
