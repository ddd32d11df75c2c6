"""What happens to a runner: its lease, its loop, its claims, and the slots that its jobs run in."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from postlude.model.event import Event


class JobName(NamedTuple):
    """Which job, for people."""

    id: bytes
    task: str


# -- claims and ends ---------------------------------------------------------------------------


@dataclass(frozen=True)
class ClaimsFailed(Event):
    """No jobs could be claimed."""

    error: Exception


@dataclass(frozen=True)
class ClaimsReleased(Event):
    """So many claims, made while the journal failed, were unknown here and are given back."""

    claims: int


@dataclass(frozen=True)
class ReleaseFailed(Event):
    """Claims could not be given back; that is tried again."""

    error: Exception


@dataclass(frozen=True)
class EndsRefused(Event):
    """So many ends of attempts were not written; they are offered again."""

    ends: int
    error: BaseException


# -- the lease, and the loop -------------------------------------------------------------------


@dataclass(frozen=True)
class LeaseUnrenewed(Event):
    """The runner's lease could not be renewed now. `error` None: the journal took longer than a lease."""

    error: Exception | None


@dataclass(frozen=True)
class LeaseLost(Event):
    """The journal has buried this runner, which lives; it joins again."""


@dataclass(frozen=True)
class RejoinFailed(Event):
    """It could not join again now."""

    error: Exception


@dataclass(frozen=True)
class ParentGone(Event):
    """This runner is a child of one that has gone: it claims nothing more, and ends what it runs."""


@dataclass(frozen=True)
class HeartbeatFailed(Event):
    """The thread that renews the lease has met an error of its own; it goes on."""

    error: BaseException


@dataclass(frozen=True)
class LoopStalled(Event):
    """The event loop has not turned for so many seconds.

    Attributes:
        seconds: since its last turn.
        running: the job whose code it runs; None: none of a job.
        released: how many waiting jobs were given back.
        stack: what it runs, as text; empty: unknown.
    """

    seconds: float
    running: JobName | None
    released: int
    stack: str


@dataclass(frozen=True)
class StallLimitReached(Event):
    """It has not turned for so long that the process exits."""


# -- slots -------------------------------------------------------------------------------------


class Slot(Enum):
    """What the system refuses to give."""

    THREAD = auto()
    """One of those that run sync jobs."""
    SIDE_THREAD = auto()
    """One for a sync job that has dependencies."""
    PROCESS = auto()


@dataclass(frozen=True)
class SlotRefused(Event):
    """The system has no thread, or no process, for jobs that wait; it is asked again. `waiting`: how many."""

    slot: Slot
    waiting: int
    error: Exception


@dataclass(frozen=True)
class ProcessLost(Event):
    """An idle process of the pool has ended. `how`: in words, with its exit code or signal."""

    how: str


@dataclass(frozen=True)
class SlotsTaken(Event):
    """Jobs that wait for jobs take all slots, so what they wait for cannot start.

    Attributes:
        setting: the field of `Config` that says how many slots there are.
        waiting: the task of each job that waits.
        awaited: the tasks of the jobs that are waited for.
    """

    setting: str
    waiting: Sequence[str]
    awaited: Sequence[str]


@dataclass(frozen=True)
class CancelFailed(Event):
    """What an async job waits for could not be cancelled: it is the application's own, and raised."""

    task: str
    error: BaseException


class Missed(Enum):
    """What was to be told to an event loop that had closed."""

    START = auto()
    """A job that could not be started."""
    PROGRESS = auto()
    END = auto()
    """An attempt's end: the job runs again."""


@dataclass(frozen=True)
class LoopClosed(Event):
    """Something of a job could not be told: its event loop had closed. `job` None: not known which."""

    missed: Missed
    job: JobName | None = None


# -- duties, and the end -----------------------------------------------------------------------


@dataclass(frozen=True)
class DutyFailed(Event):
    """What a runner does from time to time has failed, by a `PostludeError` or unforeseen; it goes on."""

    error: BaseException


@dataclass(frozen=True)
class DutiesDone(Event):
    """What a runner does from time to time is done again, after so many failures by a `PostludeError`."""

    failures: int


@dataclass(frozen=True)
class RunnersBuried(Event):
    """So many runners have died; what they held runs again (`released`) or has failed (`ended`)."""

    runners: int
    released: int
    ended: int


@dataclass(frozen=True)
class Draining(Event):
    """A runner waits for so many seconds for the jobs that it holds."""

    grace: float
    jobs: Sequence[JobName]


@dataclass(frozen=True)
class GraceOver(Event):
    """The seconds were over, and these jobs are given back."""

    jobs: Sequence[JobName]


# -- inside requests ---------------------------------------------------------------------------


@dataclass(frozen=True)
class NoLifespan(Event):
    """No lifespan runs on an event loop: its jobs run inside the requests that add them."""


@dataclass(frozen=True)
class InlineFailed(Event):
    """Jobs of a request stay in the journal, and run later."""

    error: Exception


@dataclass(frozen=True)
class InlineLookFailed(Event):
    """What waits in the journal could not be looked at beside a request."""

    error: Exception


@dataclass(frozen=True)
class InlineCancelled(Event):
    """A request was cancelled while its jobs were stored: so many wait for another one."""

    jobs: int
