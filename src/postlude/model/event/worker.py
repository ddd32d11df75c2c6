"""What happens to a worker: the parent of processes that run jobs and do nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass

from postlude.model.event import Event


@dataclass(frozen=True)
class WorkerBegins(Event):
    """A worker begins with its first process, to run the jobs of an application.

    Attributes:
        application: where its Postlude is found.
        processes: how many processes there are to be.
    """

    application: str
    processes: int


@dataclass(frozen=True)
class WorkerQueuesUnknown(Event):
    """A worker was told of queues that no declared task has, nor the application describes.

    Attributes:
        queues: these.
        known: those that there are.
    """

    queues: Sequence[str]
    known: Sequence[str]


@dataclass(frozen=True)
class WorkerProcessReady(Event):
    """A process of a worker runs jobs. `seconds`: since it was started."""

    pid: int
    seconds: float


@dataclass(frozen=True)
class WorkerNotStarted(Event):
    """The first process has ended before it could run jobs: so would all others, and the worker ends.

    Attributes:
        application: where its Postlude was to be found.
        how: in words, with its exit code or signal.
    """

    application: str
    how: str


@dataclass(frozen=True)
class WorkerProcessGone(Event):
    """A process of a worker has ended unasked.

    Attributes:
        pid: its number.
        how: in words, with its exit code or signal.
        seconds: for how long it ran jobs; None: it never did.
        again: seconds until another is started; None: when the code changes.
    """

    pid: int
    how: str
    seconds: float | None
    again: float | None


@dataclass(frozen=True)
class WorkerProcessDue(Event):
    """A process of a worker has run so many jobs, or uses so much memory, that another takes its place.

    Attributes:
        pid: its number.
        jobs: how many it has run.
        memory: the bytes that it uses.
    """

    pid: int
    jobs: int
    memory: int


@dataclass(frozen=True)
class WorkerRenews(Event):
    """A worker starts its processes afresh, one after another. `changed`: the files whose change is why."""

    changed: Sequence[str] = ()


@dataclass(frozen=True)
class WorkerNotRenewed(Event):
    """A process with the new code could not be started: those with the old one go on."""

    how: str


@dataclass(frozen=True)
class WorkerStops(Event):
    """A worker ends: its processes claim nothing more.

    Attributes:
        by: what has asked for it, such as the name of a signal.
        processes: how many there are.
        grace: how long they wait for their jobs, in seconds.
    """

    by: str
    processes: int
    grace: float


@dataclass(frozen=True)
class WorkerProcessesKilled(Event):
    """Processes of a worker are killed: they have not ended in time, or nobody would wait (`hurried`)."""

    pids: Sequence[int]
    hurried: bool


@dataclass(frozen=True)
class WorkerStopped(Event):
    """All processes of a worker have ended."""
