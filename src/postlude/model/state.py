"""The states of a job and the moves between them.

`MOVES` is the one table of legal moves: the stores, the schema's CHECK and the documentation's
diagram come from it.
"""

from enum import IntEnum, StrEnum
from typing import Final


class State(StrEnum):
    """The state of a job as people see it."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    PARKED = "parked"


class Stored(IntEnum):
    """The state of a job as the journal keeps it; those of `QUEUED` are shown as queued.

    The numbers are in users' files: never change one, only add (the schema has room up to 15).
    """

    READY = 0
    SCHEDULED = 1
    BLOCKED = 2
    RUNNING = 3
    PARKED = 4
    PUBLISHED = 5
    """As ready, and a broker has its id: a claim by id takes it, none by queue."""
    SUCCEEDED = 8
    FAILED = 9
    CANCELLED = 10

    @property
    def public(self) -> State:
        """The state as people see it."""
        return _PUBLIC[self]

    @property
    def final(self) -> bool:
        """Whether a job in this state has ended."""
        return self in FINAL


FINAL: Final = frozenset({Stored.SUCCEEDED, Stored.FAILED, Stored.CANCELLED})

_PUBLIC: Final = {
    Stored.READY: State.QUEUED,
    Stored.SCHEDULED: State.QUEUED,
    Stored.BLOCKED: State.QUEUED,
    Stored.PUBLISHED: State.QUEUED,
    Stored.RUNNING: State.RUNNING,
    Stored.PARKED: State.PARKED,
    Stored.SUCCEEDED: State.SUCCEEDED,
    Stored.FAILED: State.FAILED,
    Stored.CANCELLED: State.CANCELLED,
}

QUEUED: Final = frozenset(stored for stored, public in _PUBLIC.items() if public is State.QUEUED)
"""Those that wait for their turn, whatever for."""

OCCUPYING: Final = frozenset({Stored.READY, Stored.PUBLISHED, Stored.RUNNING})
"""Jobs with a concurrency key that are in these states count against their task's limit."""

MOVES: Final[dict[Stored, frozenset[Stored]]] = {
    Stored.READY: frozenset(
        {Stored.RUNNING, *FINAL, Stored.SCHEDULED, Stored.BLOCKED, Stored.PARKED, Stored.PUBLISHED}
    ),
    Stored.SCHEDULED: frozenset({Stored.READY, Stored.BLOCKED, Stored.CANCELLED}),
    Stored.BLOCKED: frozenset({Stored.READY, Stored.SCHEDULED, Stored.RUNNING, Stored.PARKED, *FINAL}),
    Stored.RUNNING: frozenset({Stored.READY, Stored.SCHEDULED, Stored.BLOCKED, Stored.PARKED, *FINAL}),
    Stored.PARKED: frozenset({Stored.READY, Stored.BLOCKED, Stored.CANCELLED}),
    Stored.PUBLISHED: frozenset(
        {Stored.READY, Stored.RUNNING, *FINAL, Stored.SCHEDULED, Stored.BLOCKED, Stored.PARKED}
    ),
    Stored.SUCCEEDED: frozenset(),
    Stored.FAILED: frozenset({Stored.READY, Stored.BLOCKED}),
    Stored.CANCELLED: frozenset({Stored.READY, Stored.BLOCKED}),
}
"""From each state, where a job may go next.

`READY`, `BLOCKED` and `PUBLISHED` may end because a late finish, of a run whose lease was lost but whose job
nobody has taken over, is accepted. `READY` is blocked when what may start is used up
(`postlude.model.limits`). A follower that comes along with the job before it is claimed from `BLOCKED`,
and lies there again if both are given back.
A queued job goes to `READY`, `SCHEDULED` or `BLOCKED` when its key's next call replaces it.
"""


class Reason(StrEnum):
    """Why a job is where it is, when its state alone does not say."""

    KILLED = "killed"
    """Three deaths of its own."""
    EXPIRED = "expired"
    """Cancelled: it would have started after the time that `expires=` gave it."""
    DISCARDED = "discarded"
    """Cancelled by its own task (`raise Discard`)."""
    MAY_HAVE_RUN = "may_have_run"
    """At most once, and its process died after claiming it."""
    UNACKNOWLEDGED = "unacknowledged"
    """The client was told 503 although the write then went through."""
    UNKNOWN_TASK = "unknown_task"
    """Parked: this release has no task of its name."""
    INVALID_ARGUMENTS = "invalid_arguments"
    """Parked: its arguments do not fit the parameters that its function has now."""
    LIMIT = "limit"
    """Queued: as many as may run at once of its task (of its value of the limited argument) or queue do."""
    RATE = "rate"
    """Queued: as many as may start in this time have, of its task (`due` says when its turn is) or queue."""
    PAUSED = "paused"
    """Queued: its task or its queue is paused."""
    UNSERVED = "unserved"
    """Queued: of the processes that live and run jobs, none takes those of its queue by itself. It waits for
    a worker, or for the engine that its queue was left to."""
    INTERRUPTED = "interrupted"
    """Queued: its process died while it ran. Each process runs one such job at a time, beside others.
    Running: its process has died, and nobody has noticed so far."""
    TIMED_OUT = "timed_out"
    """Failed: its last attempt took longer than it may."""
    DEADLINE = "deadline"
    """The time for all of its attempts was over."""
    DAMAGED = "damaged"
    """Parked: its row of the journal cannot be read, and no release un-parks it."""
    RESULT_DROPPED = "result_dropped"
    """Succeeded, but what it returned was too large to keep, or has no durable form."""
