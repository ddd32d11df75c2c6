"""What happens to jobs: from being added to the end that the journal has of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from types import TracebackType

from postlude.model.event import Event, OfJob
from postlude.model.job import Added, Cancel, Claim, NewJob, Progress
from postlude.model.outcome import Finish, Outcome


@dataclass(frozen=True)
class JobsAdded(Event):
    """Jobs are in the journal: those of one request, or of several that were written together.

    Jobs of an application's transaction in the journal's own PostgreSQL come into it unseen: of those nothing
    is told before they start.

    Attributes:
        jobs: as they were given to the store.
        added: what became of each.
    """

    jobs: Sequence[NewJob]
    added: Sequence[Added]


@dataclass(frozen=True)
class JobsRefused(Event):
    """Jobs were not added: the journal did not take them in time, a key is taken, or they cannot be kept."""

    jobs: Sequence[NewJob]
    error: BaseException


@dataclass(frozen=True)
class JobsClaimed(Event):
    """A runner of this process has claimed jobs that waited in the journal."""

    runner: int
    claims: Sequence[Claim]


@dataclass(frozen=True)
class JobsReleased(Event):
    """A runner of this process has given back claims of these jobs, which have not started (`ids`)."""

    ids: Sequence[bytes]


@dataclass(frozen=True)
class CancelAsked(Event):
    """Somebody has cancelled a job, here. `answer`: what that meant for it."""

    id: bytes
    answer: Cancel


@dataclass(frozen=True)
class JobRetried(Event):
    """Somebody has had a job that had ended run again, here."""

    id: bytes


@dataclass(frozen=True)
class Paused(Event):
    """Somebody has paused queues or tasks, here: nothing of them starts. `names`: kinds and names."""

    names: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Resumed(Event):
    """Somebody has resumed them, here."""

    names: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class AttemptStarted(OfJob):
    """An attempt starts, in the thread and in the context that it runs in.

    Attributes:
        created: when its job was added.
        started: now.
        first: whether no attempt at its job has begun before.
    """

    created: int
    started: int
    first: bool = False


@dataclass(frozen=True)
class AttemptEnded(OfJob):
    """An attempt has ended; the journal does not have its end yet (`EndsWritten`).

    Attributes:
        started: when.
        finished: when.
        outcome: what it means for the job.
        trace: the `traceparent` of what traces it; None: nothing does.
    """

    started: int
    finished: int
    outcome: Outcome
    trace: str | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class AttemptUnsuccessful(AttemptEnded):
    """One has ended otherwise than well: failed, cancelled, snoozed, or its job could not be run.

    Attributes:
        error: what it raised; None: it has not begun.
        frames: its traceback, from the task's own code on; None: the outcome has it as text.
    """

    error: BaseException | None
    frames: TracebackType | None


@dataclass(frozen=True)
class AttemptInterrupted(OfJob):
    """An attempt that runs does not count any more: its runner has stopped, and its job runs again."""


@dataclass(frozen=True)
class EndsWritten(Event):
    """The journal has the ends of attempts.

    Attributes:
        ids: of their jobs.
        finishes: what was written of each.
        kept: whether each counts; False: its job had been taken over.
    """

    ids: Sequence[bytes]
    finishes: Sequence[Finish]
    kept: Sequence[bool]


@dataclass(frozen=True)
class EndStale(OfJob):
    """An attempt does not count: its end had been written before, or its job taken over."""


@dataclass(frozen=True)
class ProgressTold(Event):
    """A job that runs here has said how far it is; the journal may not know yet."""

    id: bytes
    progress: Progress


@dataclass(frozen=True)
class ProgressWritten(Event):
    """The journal knows how far these jobs are."""

    ids: Sequence[bytes]


@dataclass(frozen=True)
class JobOverran(OfJob):
    """An attempt takes longer than its `seconds`; it is asked to end."""

    seconds: float


@dataclass(frozen=True)
class JobHangs(OfJob):
    """The thread of an attempt whose time is over runs on, and nothing can end it.

    Attributes:
        hung: how many such threads there are of its executor.
        replaced: whether its place is given to another; False: too many hang already.
    """

    hung: int
    replaced: bool


@dataclass(frozen=True)
class JobReturned(OfJob):
    """One that hung (`JobHangs`) has come to an end after all."""


@dataclass(frozen=True)
class JobIgnoresCancel(OfJob):
    """An async attempt does not end although it was cancelled; its place is given to another."""


@dataclass(frozen=True)
class JudgingFailed(OfJob):
    """What an attempt's end means could not be found out; its job has failed."""

    error: BaseException


@dataclass(frozen=True)
class BackoffFailed(OfJob):
    """The backoff of a task's own raised; its job waits a minute."""

    error: BaseException


@dataclass(frozen=True)
class RetryUnasked(Event):
    """What a policy says in `on=` and `unless=` raised when asked about an error, which counts as covered."""

    error: BaseException


@dataclass(frozen=True)
class ArgumentsChanged(Event):
    """A plain function has changed arguments of which it has copies; see `Events.wanted`."""

    task: str
    names: Sequence[str]
