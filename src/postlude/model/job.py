"""The values that travel between those who add jobs, the stores and the runner.

All times are integers in microseconds, UTC. Named tuples, because tens of thousands of them are
made a second and they are bound to SQL statements as they are.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from postlude.model.outcome import LogLine
from postlude.model.refusal import Refused
from postlude.model.state import Reason, State, Stored
from postlude.model.terms import KEPT, NOTHING, PLAIN, Given, Terms

DEFAULT_QUEUE = "default"


class NewJob(NamedTuple):
    """A job that is to be stored."""

    id: bytes
    task: str
    queue: str
    payload: bytes
    """The arguments, as the codec wrote them."""
    created: int
    terms: Terms = PLAIN

    def replaced_by(self, other: "NewJob") -> "NewJob":
        """Return what this job becomes when its key's next call replaces it."""
        kept = {name: getattr(self.terms, name) for name in KEPT}
        return other._replace(queue=self.queue, terms=other.terms._replace(**kept))


class Added(NamedTuple):
    """What became of one job of an `add`: its place, and its fence if it was born claimed (else 0)."""

    seq: int
    fence: int
    joined: bool = False
    """Its key was taken: `seq` is that of the job that stands for it, and that its id resolves to."""


class Claim(NamedTuple):
    """The right to run a job, until its runner's lease ends or someone takes the job over."""

    seq: int
    id: bytes
    fence: int
    task: str
    queue: str
    payload: bytes
    failures: int
    suspect: bool
    """It was running when a process died: it runs as the only such job of its process."""
    once: bool
    created: int
    given: Given = NOTHING
    limited: bool = False
    """It takes part in a limit: its end is worth telling at once."""
    follows: bool = False
    """It came along with the claim before it, and may start when the first attempt of that has ended."""
    followed: bool = False
    """A job that did not come along waits in the journal for the end of this one's first attempt."""
    begun: bool = False
    """An attempt at it has begun before."""
    due: int | None = None
    """When its first attempt could start at the earliest, if not at once; nobody knows of those that an older
    release has added."""


class Claimed(NamedTuple):
    """What a claim gives."""

    claims: list[Claim]
    more: bool = False
    """More can be claimed now, or, if `free` was what stopped it, as soon as there is room."""
    again: int | None = None
    """When a rate lets more of a queue start (microseconds, UTC)."""
    passed: tuple[int, ...] = ()
    """The places of the groups of tasks (`few`) of which jobs may have been passed over."""
    refused: tuple[Refused, ...] = ()
    """Of a claim by ids: those that it does not give, and why."""


class FreeSlots(NamedTuple):
    """How many jobs of each kind a runner could start at once: a limited job is claimed only to start."""

    loop: int
    threads: int
    processes: int


class Few(NamedTuple):
    """Tasks of which a runner takes only so many: more could not start there soon."""

    tasks: Collection[str]
    most: int


class Cancel(StrEnum):
    """What became of a request to cancel a job."""

    CANCELLED = "cancelled"
    """It was queued or parked, and is cancelled."""
    ASKED = "asked"
    """It runs; its runner is told, and its state is cancelled when that is true."""
    TOO_LATE = "too_late"
    """It has ended, or there is no such job."""


class Progress(NamedTuple):
    """How far a job says that it is."""

    done: float
    total: float | None
    message: str | None
    at: int
    """When it said so (microseconds, UTC)."""


class ProgressNote(NamedTuple):
    """Progress on its way to the journal; kept if the claim still holds."""

    seq: int
    fence: int
    progress: Progress


class Hold(NamedTuple):
    """The part of a claim that proves it."""

    seq: int
    fence: int
    due: int | None = None
    """Of a follower: how long it waits at most for the job that it follows."""
    started: int | None = None
    """When the attempt had started that is given up (microseconds, UTC); None: it had not."""
    follows: int | None = None
    """The job that it goes on waiting for, if that is given back too."""


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """An attempt that did not succeed. A success lives in the job's own row."""

    number: int
    started: int
    finished: int
    error: str
    """The exception's type and message, one line."""
    traceback: str
    host: str
    pid: int
    release: str = ""
    """Of its process; empty: it has named none."""


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job as the journal shows it to people."""

    id: bytes
    seq: int
    task: str
    queue: str
    stored: Stored
    reason: Reason | None
    priority: int
    due: int | None
    fence: int
    failures: int
    deaths: int
    created: int
    started: int | None
    """When the attempt that runs started; None: it has not yet. Of other jobs, when the last one did."""
    finished: int | None
    owner: str | None
    """Whose it is."""
    call_owner: str | None
    """Whose the call is by whose id it was asked for: of one that was merged into it by its key, or that
    another has replaced, perhaps not the job's own owner."""
    payload: bytes
    error: str | None = None
    """That of the last attempt that did not succeed."""
    attempts: tuple[AttemptRecord, ...] = ()
    """Those that did not succeed; not on pages."""
    key: str | None = None
    given: Given = NOTHING
    cancel_asked: int | None = None
    """When it was asked to stop, if it was while it ran."""
    note: str | None = None
    """Of a parked job: why, in a sentence."""
    progress: Progress | None = None
    result: bytes | None = None
    """What it returned, as JSON; not on pages."""
    logs: tuple[tuple[int, LogLine], ...] = ()
    """What its attempts logged, each with the attempt's number; not on pages."""

    @property
    def state(self) -> State:
        """The state as people see it."""
        return self.stored.public


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs are meant. Fields that are None, or empty, do not restrict."""

    states: tuple[State, ...] = ()
    task: str | None = None
    queue: str | None = None
    key: str | None = None
    owner: str | None = None
    error: str | None = None
    """The error of the last attempt has this text in it; case counts."""
    arguments: tuple[tuple[str, str], ...] = ()
    """Names of arguments, each with the value that it has: as JSON, or as the text that it is."""
    since: int | None = None
    """Created then or later (microseconds, UTC)."""
    until: int | None = None
    """Created before that."""
    ended_before: int | None = None
    """Ended before that (microseconds, UTC); what has not ended is not meant."""
    failure: tuple[str, str] | None = None
    """Failed, and grouped by this: the exception's class and the place (`postlude.model.failure.Failure`)."""
    before: int | None = None
    """Only jobs with a smaller `seq`: the last `seq` of the page before, newest first."""
    within: int | None = None
    """Only so many of the newest jobs are looked at, where no index says which are meant; None: all."""
    limit: int = 50

    @property
    def restricts(self) -> bool:
        """Whether it says anything of which jobs are meant."""
        return self != JobFilter(before=self.before, within=self.within, limit=self.limit)


class Found(NamedTuple):
    """A job that is meant."""

    seq: int
    id: bytes
    task: str
    state: State
