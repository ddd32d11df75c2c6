"""One job as the memory store keeps it."""

import json
from dataclasses import fields
from typing import Final

from postlude.model.job import AttemptRecord, Claim, JobFilter, JobRecord, NewJob, Progress
from postlude.model.outcome import LogLine
from postlude.model.state import Reason, Stored
from postlude.model.terms import Terms

_SHOWN: Final = tuple(
    field.name for field in fields(JobRecord) if field.name in Terms._fields and field.name != "due"
)
"""What is shown of a job's terms as its call has said it."""

NOBODY: Final = 0
"""The runner's number of a job that no runner holds."""


class Row:
    """A job's changing part beside the job that was added."""

    __slots__ = (
        "aliases",
        "attempts",
        "cancel_asked",
        "deaths",
        "due",
        "failures",
        "fence",
        "finished",
        "first_due",
        "follower",
        "follows",
        "job",
        "logs",
        "note",
        "progress",
        "published_at",
        "publishes",
        "reason",
        "release",
        "result",
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
        self.due: int | None = None
        self.first_due: int | None = None
        """When its first attempt was due, if not at once."""
        self.fence = self.failures = self.deaths = 0
        self.suspect = self.unended = False
        """`unended`: the claim with the present fence has not been finished, wherever the job is now."""
        self.runner = NOBODY
        self.published_at = self.publishes = 0
        """When a broker was told of it last, and how often, since it is published."""
        self.started: int | None = None
        self.finished: int | None = None
        self.cancel_asked: int | None = None
        self.reason: Reason | None = None
        self.release = self.note = ""
        """Of a parked job: what of the release that parked it did not fit; and that as a sentence."""
        self.follows: int | None = None
        """The job for the end of whose first attempt it waits."""
        self.follower: int | None = None
        """The job that waits for this one. A number: a cycle of objects costs the garbage collector."""
        self.progress: Progress | None = None
        self.result: bytes | None = None
        self.attempts: tuple[AttemptRecord, ...] = ()
        self.logs: tuple[tuple[int, LogLine], ...] = ()
        self.aliases: tuple[tuple[bytes, str | None], ...] = ()
        """The calls that this job stands for beside its own: their ids and owners."""

    @property
    def order(self) -> tuple[int, int]:
        """Where it stands among others that wait."""
        return self.job.terms.priority, self.seq

    def take(self, runner: int) -> None:
        """Give the job to a runner, under a new fence."""
        self.fence += 1
        self.runner = runner
        self.unended = True

    def forget_runs(self) -> None:
        """Forget the attempts at what it was: they have no say about what it is now, and cost it nothing."""
        self.unended = False
        self.failures, self.started, self.progress = 0, None, None
        self.attempts, self.logs = (), ()

    def claim(self, *, limited: bool, follows: bool = False, followed: bool = False) -> Claim:
        """Return the right to run it."""
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
            job.terms.once,
            job.created,
            job.terms.given,
            limited,
            follows,
            followed,
            self.started is not None,
            self.first_due,
        )

    def matches(self, wanted: JobFilter) -> bool:
        """Say whether it is one of the jobs that are meant."""
        job = self.job
        for asked, has in (
            (wanted.task, job.task),
            (wanted.queue, job.queue),
            (wanted.key, job.terms.key),
            (wanted.owner, job.terms.owner),
        ):
            if asked is not None and asked != has:
                return False
        return (
            (wanted.before is None or self.seq < wanted.before)
            and (not wanted.states or self.stored.public in wanted.states)
            and (wanted.since is None or job.created >= wanted.since)
            and (wanted.until is None or job.created < wanted.until)
            and (wanted.ended_before is None or self._ended_before(wanted.ended_before))
            and (wanted.error is None or (bool(self.attempts) and wanted.error in self.attempts[-1].error))
            and (not wanted.arguments or _called_with(job.payload, wanted.arguments))
        )

    def _ended_before(self, moment: int) -> bool:
        return self.stored.final and self.finished is not None and self.finished < moment

    def record(self, started: int | None, id: bytes | None) -> JobRecord:
        """Show it to people.

        Args:
            started: when its attempt did.
            id: the one of its ids by which it is asked for, to be shown whole; None: as on a page.
        """
        job, whole = self.job, id is not None
        calls: dict[bytes | None, str | None] = dict(self.aliases)
        return JobRecord(
            id=job.id,
            seq=self.seq,
            task=job.task,
            queue=job.queue,
            stored=self.stored,
            reason=Reason.INTERRUPTED if self.stored is Stored.READY and self.suspect else self.reason,
            due=self.due,
            fence=self.fence,
            failures=self.failures,
            deaths=self.deaths,
            created=job.created,
            started=started,
            finished=self.finished,
            call_owner=calls.get(id, job.terms.owner),
            payload=job.payload,
            error=self.attempts[-1].error if self.attempts else None,
            attempts=self.attempts if whole else (),
            cancel_asked=self.cancel_asked,
            progress=self.progress,
            note=self.note or None if self.stored is Stored.PARKED else None,
            result=self.result if whole else None,
            logs=self.logs if whole else (),
            **{name: getattr(job.terms, name) for name in _SHOWN},
        )


def _called_with(payload: bytes, wanted: tuple[tuple[str, str], ...]) -> bool:
    """Whether named arguments have these values: as JSON, or as the texts that they are."""
    try:
        named = json.loads(payload)["k"]
        values = [
            (json.dumps(named[name], ensure_ascii=False, separators=(",", ":")), value)
            for name, value in wanted
        ]
    except (ValueError, TypeError, LookupError):
        return False
    return all(has in (value, json.dumps(value, ensure_ascii=False)) for has, value in values)
