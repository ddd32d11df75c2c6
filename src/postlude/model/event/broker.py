"""What happens between a journal and a broker."""

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
class EngineFailed(Event):
    """A process of an engine's worker cannot run jobs: the application has not started in it."""

    error: BaseException
