"""What happens between a journal and a broker."""

from collections.abc import Sequence
from dataclasses import dataclass

from postlude.model.event import Event


@dataclass(frozen=True)
class JobsPublished(Event):
    """A broker has taken the ids of so many jobs of a queue, from this process."""

    queue: str
    jobs: int


@dataclass(frozen=True)
class BrokerLost(Event):
    """The broker of a queue takes nothing now, `why` says why: its jobs wait in the journal."""

    queue: str
    why: str


@dataclass(frozen=True)
class BrokerReached(Event):
    """It takes the ids of the queue's jobs again."""

    queue: str


@dataclass(frozen=True)
class WorkerDeaf(Event):
    """What the broker has does not reach a worker for so many seconds. `ends`: it ends, to begin anew."""

    queues: Sequence[str]
    seconds: float
    ends: bool


@dataclass(frozen=True)
class WorkerHears(Event):
    """It reaches the worker again."""

    queues: Sequence[str]


@dataclass(frozen=True)
class EngineFailed(Event):
    """A process of an engine's worker cannot run jobs: the application has not started in it."""

    error: BaseException
