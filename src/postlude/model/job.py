"""The values that travel between those who add jobs, the stores and the runner.

All times are integers in microseconds, UTC. Named tuples, because tens of thousands of them are
made a second and they are bound to SQL statements as they are.
"""

from dataclasses import dataclass
from typing import NamedTuple

from postlude.model.state import Reason, State, Stored

DEFAULT_QUEUE = "default"


class NewJob(NamedTuple):
    """A job that is to be stored."""

    id: bytes
    task: str
    queue: str
    payload: bytes
    """The arguments, as the codec wrote them."""
    created: int
    due: int | None = None
    """When it may start at the earliest; None: at once."""
    priority: int = 0
    """Lower runs first."""
    once: bool = False
    """Delivery at most once."""
    follows: bool = False
    """It waits for the first attempt of the job before it in the same call of `add`."""
    request: bytes | None = None
    owner: str | None = None


class Added(NamedTuple):
    """What became of one job of an `add`: its place, and its fence if it was born claimed (else 0)."""

    seq: int
    fence: int


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


class Hold(NamedTuple):
    """The part of a claim that proves it."""

    seq: int
    fence: int


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
    finished: int | None
    owner: str | None
    payload: bytes
    attempts: tuple[AttemptRecord, ...] = ()

    @property
    def state(self) -> State:
        """The state as people see it."""
        return self.stored.public


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs a page shows. Fields that are None do not restrict."""

    state: State | None = None
    task: str | None = None
    queue: str | None = None
    before: int | None = None
    """Only jobs with a smaller `seq`: the last `seq` of the page before, newest first."""
    limit: int = 50
