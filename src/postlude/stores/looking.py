"""The role of a store that is looked at; see `postlude.stores.protocol` for what holds of all of them."""

from typing import Protocol

from postlude.model.counted import Counted
from postlude.model.failure import FailureGroup
from postlude.model.history import ALL_TIME, Sum
from postlude.model.job import Found, JobFilter, JobRecord
from postlude.stores.outgoing import OutState
from postlude.stores.reply import Reply
from postlude.stores.scheduling import LookingAtSchedules
from postlude.stores.values import AuditLine, Contradiction, Counts, LivingRunner, Pause, QueueState, Totals


class Looking(LookingAtSchedules, Protocol):
    """Looking at jobs, and at who runs them. Never waits for a writer.

    A ready job is shown with the reason for which its queue keeps it waiting, though nothing of that is
    stored: `PAUSED`, or else `LIMIT` or `RATE`, if the queue's `DeclaredLimits` let nothing start now, or
    else `UNSERVED`, if runners live that run jobs by themselves and none takes that queue.
    """

    @property
    def location(self) -> str:
        """Where it is, for people; without secrets."""
        ...

    def get(self, id: bytes) -> Reply[JobRecord | None]:
        """Return a job with its arguments, attempts, result and log lines; an id that joined another's
        job resolves to that."""
        ...

    def page(self, wanted: JobFilter) -> Reply[list[JobRecord]]:
        """Return jobs, newest first, with arguments but without attempts, results and log lines."""
        ...

    def paused(self) -> Reply[list[Pause]]:
        """Return what is paused."""
        ...

    def find(self, wanted: JobFilter) -> Reply[list[Found]]:
        """Return which jobs are meant, newest first: of as many as there are, with as little as acts need."""
        ...

    def contradictions(self) -> Reply[list[Contradiction]]:
        """Return what is stored and cannot be true; nothing, unless somebody has damaged it.

        All rows are looked at, while others write: some seconds for a million.
        """
        ...

    def ids_beginning(self, digits: str) -> Reply[list[bytes]]:
        """Return the ids of jobs that begin with these hexadecimal digits (32 at most); two of them at most.

        An id that joined another's job begins so too, and gives the id of that.
        """
        ...

    def counts(self) -> Reply[list[Counts]]:
        """Return how many jobs each task has in each state, without counting rows."""
        ...

    def totals(self) -> Reply[list[Totals]]:
        """Return how many jobs of each task and queue have been added and have ended, ever: no number falls,
        also when jobs are pruned, and each process is told the same. Tasks come in order of their first job,
        and each one's queues by name."""
        ...

    def history(self, since: int = ALL_TIME, until: int = ALL_TIME, minutes: int = 1) -> Reply[list[Sum]]:
        """Return what has happened, as sums of each task, queue and outcome: by time, then in that order.

        What happens in a write is counted in the minute in which that is made. Job rows are not looked at.

        Args:
            since: the first minute (since 1970, UTC). `ALL_TIME`, with `until`: all that has ever happened.
            until: the last one. Minutes that are over for longer than `MINUTES_KEPT` may be there no more.
            minutes: how many are added up to one; the first of them is a multiple of that.
        """
        ...

    def groups(self, since: int = 0) -> Reply[list[FailureGroup]]:
        """Return which jobs that have failed, and failed then or later (microseconds, UTC), are of one kind.

        By task, the exception's class and the place at which the application has raised it; those first that
        are the most, and of as many the one with the newest job. A job that is retried is in none any more.
        """
        ...

    def audit(self, before: int | None = None, limit: int = 50) -> Reply[list[AuditLine]]:
        """Return what people have done, newest first.

        Args:
            before: only lines with a smaller number: that of the last line of the page before.
            limit: how many at most.
        """
        ...

    def counted(self) -> Reply[list[Counted]]:
        """Return what processes have counted (`Upkeep.count`), by name and label: no number falls.

        A process tells what it has counted some seconds later, and when it ends in order.
        """
        ...

    def size(self) -> Reply[int | None]:
        """Return how much room it takes on disk, in bytes; None: none."""
        ...

    def queues(self) -> Reply[list[QueueState]]:
        """Return each queue in which a job has not ended, or that is paused, by name."""
        ...

    def published(self) -> Reply[list[OutState]]:
        """Return of each queue, by name, what of it is published."""
        ...

    def ready_ids(self, queue: str, limit: int) -> Reply[list[bytes]]:
        """Return the ids of the jobs of a queue that are ready, the first of them in the order of claims;
        suspects last."""
        ...

    def living(self) -> Reply[list[LivingRunner]]:
        """Return the runners that live, as far as can be seen from here.

        One lives that has enlisted, has not retired and is not buried, and that `reap` would not bury now.
        """
        ...
