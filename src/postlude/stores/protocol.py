"""What a store must do: a few verbs, in small roles, nothing optional.

Every verb that writes is atomic and answers with a `Reply`: await it on an event loop, or
`wait` for it in a thread. The conformance suite in `postlude.testing.conformance` says the same
as these docstrings, as tests.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from postlude.config import Keep
from postlude.model.job import Added, Claim, Hold, JobFilter, JobRecord, NewJob
from postlude.model.outcome import Finish
from postlude.model.state import State
from postlude.stores.reply import Reply


@dataclass(frozen=True, slots=True)
class NewRunner:
    """Who asks to claim jobs."""

    release: str
    """What identifies the code that it runs."""
    lease: float
    """Seconds that its claims outlive its last renewal."""


class Marks(Protocol):
    """Where a runner notes which jobs have started, so that its death can be judged.

    Written in memory that outlives the process but not the host. Safe from any thread.
    """

    def started(self, seq: int) -> int:
        """Note that a job starts; returns the place to clear."""
        ...

    def ended(self, place: int) -> None:
        """Note that it has ended."""
        ...

    def draining(self) -> None:
        """Note that the process is shutting down: its death charges nobody."""
        ...


class Enlisted(NamedTuple):
    """A runner's number, and where it notes what it starts."""

    runner: int
    marks: Marks


class Reaped(NamedTuple):
    """What a look for dead runners found."""

    runners: int
    """Dead runners buried."""
    released: int
    """Jobs of theirs that are ready again."""
    ended: int
    """Jobs that have failed by it: killed, or delivered at most once."""


class Promoted(NamedTuple):
    """What a look at due times found."""

    jobs: int
    """Jobs that are ready now."""
    next_due: int | None
    """When the next one will be (microseconds, UTC)."""


class Counts(NamedTuple):
    """How many jobs of one task are in one state."""

    task: str
    state: State
    jobs: int


class Intake(Protocol):
    """Asking for work."""

    def add(
        self, jobs: Sequence[NewJob], *, claim_for: int | None = None, budget: float | None = None
    ) -> Reply[list[Added]]:
        """Store jobs, all or none, in this order.

        With `claim_for` (a runner's number) they are born claimed by it if, for each of their
        queues, nothing ready waits, and no job of them has a due time or is delivered at most
        once; otherwise all of them are queued (`Added.fence` is 0). Queued jobs that `follow`
        are blocked until the first attempt of the job before them has ended, or their `due`.

        An answer that does not come within `budget` seconds is `JournalUnavailable`; then the
        jobs are not stored, or are cancelled before anybody could start them.
        """
        ...

    def cancel(self, ids: Sequence[bytes]) -> Reply[list[bool]]:
        """Cancel jobs that are queued or parked; False for each that is not."""
        ...


class Claims(Protocol):
    """The right to run jobs."""

    def enlist(self, runner: NewRunner) -> Reply[Enlisted]:
        """Register a runner; its lease starts now."""
        ...

    def claim(self, runner: int, limit: int, *, suspect: bool) -> Reply[list[Claim]]:
        """Claim up to `limit` ready jobs, by priority and then in order, from every queue in turn.

        Suspects are passed over, but with `suspect` the first of them comes along. A runner
        that is not enlisted (any more) gets nothing.
        """
        ...

    def holds(self, runner: int) -> Reply[list[Hold]]:
        """Return the claims that a runner has, as far as they are written."""
        ...

    def renew(self, runner: int) -> Reply[bool]:
        """Start the runner's lease afresh; False if it has been buried meanwhile."""
        ...

    def release(self, runner: int, holds: Sequence[Hold]) -> Reply[int]:
        """Give back claims whose jobs have not started. They keep their fence and are ready."""
        ...

    def finish(self, finishes: Sequence[Finish]) -> Reply[list[bool]]:
        """Write how attempts ended; False for each whose job has been taken over.

        A late finish, of a job that was released but that nobody has claimed since, counts.
        A first attempt's end readies the job that follows it.
        """
        ...

    def retire(self, runner: int, *, draining: bool) -> Reply[int]:
        """End a runner: its remaining claims are released, in one write, as if it had died.

        `draining` charges nobody. Returns how many claims it still held.
        """
        ...

    def reap(self) -> Reply[Reaped]:
        """Bury every runner that has died or whose lease has run out.

        Its jobs are ready again, except those that `postlude.model.death` condemns and those
        delivered at most once, which have failed.
        """
        ...


class Upkeep(Protocol):
    """What must be done from time to time."""

    def promote(self) -> Reply[Promoted]:
        """Make ready what is due."""
        ...

    def parked(self) -> Reply[list[tuple[str, str]]]:
        """Return the distinct (task name, release) pairs of parked jobs."""
        ...

    def unpark(self, pairs: Collection[tuple[str, str]]) -> Reply[int]:
        """Make the parked jobs of these (task name, release) pairs ready."""
        ...

    def prune(self, keep: Keep) -> Reply[int]:
        """Delete a bounded number of finished jobs that are kept no longer; returns how many."""
        ...


class Reading(Protocol):
    """Looking at jobs. Never waits for a writer."""

    def get(self, id: bytes) -> Reply[JobRecord | None]:
        """Return a job with its arguments and attempts."""
        ...

    def page(self, wanted: JobFilter) -> Reply[list[JobRecord]]:
        """Return jobs, newest first, with arguments but without attempts."""
        ...

    def counts(self) -> Reply[list[Counts]]:
        """Return how many jobs each task has in each state, without counting rows."""
        ...

    def changed(self) -> bool:
        """Say whether jobs may have begun to wait since the last call, here or in another process.

        A runner asks it many times a second, to hear also of what its own writes have readied or
        scheduled; it must be cheap, and may say so once too often.
        """
        ...


class Store(Intake, Claims, Upkeep, Reading, Protocol):
    """Where jobs are kept."""

    @property
    def location(self) -> str:
        """Where it is, for people; without secrets."""
        ...

    def open(self) -> None:
        """Open it, creating or migrating what is there. Blocks.

        Raises:
            JournalRefused: it must not be used.
            JournalUnavailable: it cannot be opened now.
        """
        ...

    def close(self) -> None:
        """Finish what was asked for and close it. Blocks. Does nothing if it is not open."""
        ...
