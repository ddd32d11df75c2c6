"""What a store must do: a few verbs, in small roles, nothing optional.

Every verb that writes is atomic and answers with a `Reply`: await it on an event loop, or
`wait` for it in a thread. The conformance suite in `postlude.testing.conformance` says the same
as these docstrings, as tests.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from postlude.model.job import (
    Claimed,
    Few,
    FreeSlots,
    Hold,
    ProgressNote,
)  # fmt: skip
from postlude.model.limits import DeclaredLimits
from postlude.model.outcome import Finish
from postlude.model.queues import ALL, Queues
from postlude.stores.asking import Intake
from postlude.stores.looking import Looking
from postlude.stores.outgoing import Outgoing, Publishing
from postlude.stores.reply import Reply
from postlude.stores.scheduling import FiredTime, Scheduling
from postlude.stores.signals import Telling
from postlude.stores.upkeep import Upkeep
from postlude.stores.values import (
    Asked,
    Counts,
    Enlisted,
    Entrance,
    Kind,
    LivingRunner,
    Marks,
    NewRunner,
    Pause,
    Promoted,
    QueueState,
    Reaped,
    Totals,
)  # fmt: skip
from postlude.telemetry.events import Events

__all__ = [
    "Asked", "Claims", "Counts", "Enlisted", "Entrance", "FiredTime", "Intake", "Kind", "LivingRunner",
    "Looking", "Marks", "NewRunner", "Outgoing", "Pause", "Promoted", "QueueState", "ReadOnly", "Reading",
    "Reaped", "Store", "Totals", "Upkeep",
]  # fmt: skip


class Claims(Protocol):
    """The right to run jobs."""

    def enlist(self, runner: NewRunner) -> Reply[Enlisted]:
        """Register a runner; its lease starts now."""
        ...

    def claim(
        self, runner: int, limit: int, *, suspect: bool, free: FreeSlots | None = None, behind: int = 0,
        few: Sequence[Few] = (), queues: Queues = ALL, ids: Sequence[bytes] | None = None,
        ahead: bool = False,
    ) -> Reply[Claimed]:  # fmt: skip
        """Claim up to `limit` ready jobs, by priority and then in order, from each of `queues` in turn.

        What waits in other queues is as if it were not there.

        With `behind`, up to so many blocked jobs come along that follow those, each right behind the one
        before it (`Claim.follows`); their order is the runner's affair then. None does that has a
        concurrency key, or whose task or queue is paused or bounded.

        Of the tasks that `few` names no more are claimed than it says of each group; the others stay ready,
        and those behind them are claimed. How far a claim looks beyond such jobs is bounded.

        Suspects are passed over, but with `suspect` the first of them comes along. A runner
        that is not enlisted (any more) gets nothing.

        Paused queues are passed over. Of a queue with `DeclaredLimits` no more are claimed than may run
        at once, or start now; then `again` says when the next may. Ready jobs of a task that is
        paused are blocked (reason `PAUSED`), and so are those of a task whose rate is used up
        (reason `RATE`, each with a `due` of its own, when `promote` readies it again).

        A job that has a concurrency key, or whose task has a rate or whose queue has `DeclaredLimits`, is
        claimed only if it can start at once: with `free`, the sum of these claims does not exceed the sum of
        `free`; the first one beyond it ends this claim of its queue, and sets `more`.

        With `ids`, exactly these are claimed, in this order, whatever waits before them, and no followers;
        `refused` says of each other one why it is not. One that is ready and may not start is blocked, as by
        any claim. They start with the claim, in the same commit: nothing else need mark it, and whoever looks
        at them is told since when they run. With `ahead` they do not: they may wait for places
        here, and whoever starts one marks it (`Marks.started`). So a death counts for what ran, and for
        nothing else.
        """
        ...

    def declare(self, bounds: Sequence[DeclaredLimits]) -> Reply[None]:
        """Take over what a release says of its tasks and queues; of others it says nothing.

        So several applications may share a journal. A task or queue that has no bounds any more is
        declared with none (`DeclaredLimits(kind, name)`).

        What this changes for jobs that wait is done at once: concurrency keys with more room than before
        ready what they can, and a task that is limited now but was not gets the concurrency key `""` for its
        unfinished jobs that have none.
        """
        ...

    def asked(self, runner: int) -> Reply[Asked]:
        """Return what is asked of a runner: which of its jobs are to stop, and whether it is to drain."""
        ...

    def progress(self, notes: Sequence[ProgressNote]) -> Reply[None]:
        """Note how far jobs are, if their claims still hold, or have just ended them. May wait for company.

        What a job said last is written with its end: of two that come together, the end may be first.
        """
        ...

    def holds(self, runner: int) -> Reply[list[Hold]]:
        """Return the claims that a runner has, as far as they are written."""
        ...

    def renew(self, runner: int, *, hears: bool | None = None) -> Reply[bool]:
        """Start the runner's lease afresh; False if it has been buried meanwhile.

        Args:
            runner: its number.
            hears: of the parent of an engine's worker, whether what the broker has for that reaches it;
                None: as it was told before. See `LivingRunner.deaf`.
        """
        ...

    def release(self, runner: int, holds: Sequence[Hold]) -> Reply[int]:
        """Give back claims, of jobs that have not started or that are not waited for. They keep their fence.

        They are ready. That an attempt had `started` and is given up is noted with its job.

        One that `follows` another waits for that again, if it is given back by the same call and is ready, or
        follows in its turn: then it is blocked as it was when it was added, until its `due` at most.
        """
        ...

    def finish(self, finishes: Sequence[Finish]) -> Reply[list[bool]]:
        """Write how attempts ended; False for each whose job has been taken over.

        A late finish, of a job that was released but that nobody has claimed since, counts.
        A first attempt's end readies the job that follows it. Results and log lines are kept
        with it. `Failed` records an attempt and costs one; `Cancelled` records one if it has an
        `error`; `Snoozed` costs and records none. A retry or a snooze whose time has come already
        is scheduled all the same.
        """
        ...

    def retire(self, runner: int, *, draining: bool) -> Reply[int]:
        """End a runner: its remaining claims are released, in one write, as if it had died.

        `draining` charges nobody. Returns how many claims it still held.
        """
        ...

    def lead(self, runner: int, duty: str, seconds: float) -> Reply[bool]:
        """Say whether a runner is the one that does a duty for all, for so many seconds from now.

        It is if nobody was, or if it was before. It is no more when it has not asked again for so long, when
        it has retired, or is dead as `reap` would find it; another can be at once then. With 0 seconds it
        lets go, and is not. A runner that is not enlisted (any more) never is. Often nothing is written.
        """
        ...

    def reap(self) -> Reply[Reaped]:
        """Bury every runner that has died or whose lease has run out.

        Its jobs are ready again, except those that `postlude.model.crash` condemns and those
        delivered at most once, which have failed. Its children live on, as it does when they are buried.
        """
        ...


class ReadOnly(Looking, Protocol):
    """A journal that was opened to look at it."""

    @property
    def current(self) -> bool:
        """Whether it has the form that this release writes."""
        ...

    def close(self) -> None:
        """Close it. Blocks."""
        ...


class Reading(Looking, Telling, Protocol):
    """What a store tells of its jobs, and of their changes."""

    now: Callable[[], int]
    """Its time (microseconds, UTC), which decides what is due: all dates that it is given are of it. On one
    host the system's; of a server the server's, as near as it is known without asking. From any thread."""

    events: Events
    """Where it says what happens to it. So do those who work with it: who listens hears of all of them. By
    default, the log does (`postlude.telemetry.logging.logged`)."""


class Store(Intake, Claims, Upkeep, Scheduling, Publishing, Reading, Protocol):
    """Where jobs are kept."""

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

    def entrance(self) -> Entrance | None:
        """Return by what transactions of applications add jobs by themselves; None: they cannot, here.

        What has joined so is looked for, and seen to, by `promote`.

        Raises:
            JournalUnavailable: it is not open.
        """
        ...

    def tell_commits(self, call: Callable[[], None]) -> None:
        """Make a call whenever the disk begins to write what requests wait for: their loops have time.

        From any thread; the call must be quick, and must not raise. A store in which nobody waits for a disk
        of this machine makes none.

        It is here because it earns its place: with 32 connections on one core, starting jobs at once instead
        took 10 % more of the processor for each request, since the next ones shared fewer commits.
        """
        ...

    def untell_commits(self, call: Callable[[], None]) -> None:
        """Make that call no more, if it is made. From any thread."""
        ...
