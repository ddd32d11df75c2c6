"""The verbs of a store that writes in groups: handed to the writer, or to a thread that reads.

Every durable store is this class and a `Backend` and a `Reader` of its own.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

from postlude.config import Keep
from postlude.errors import JournalUnavailable
from postlude.model.counted import Counted
from postlude.model.job import (
    Added,
    Cancel,
    Claimed,
    Few,
    FreeSlots,
    Hold,
    NewJob,
    ProgressNote,
)
from postlude.model.limits import DeclaredLimits
from postlude.model.outcome import Finish
from postlude.model.queues import ALL, Queues
from postlude.model.schedule import Schedule
from postlude.stores.grouped.backend import (
    Backend,
    DeedCall,
    LeadCall,
    ReleaseCall,
    RenewCall,
    RetireCall,
    Verb,
)
from postlude.stores.grouped.reading import Lookups, Reader, ReaderThread
from postlude.stores.grouped.writer import Writer
from postlude.stores.outgoing import Outgoing, PublishCall
from postlude.stores.protocol import Enlisted, Entrance, NewRunner, Pause, Promoted, Reaped
from postlude.stores.reply import Reply
from postlude.stores.scheduling import Fired, RunCall, ScheduleSet
from postlude.stores.signals import Listeners, Signals
from postlude.stores.values import ClaimCall, Deed
from postlude.telemetry.logging import logged

T = TypeVar("T")

CLOSE_WITHIN: Final = 10.0
"""Seconds that closing waits for the last commit, and for the last look."""


class GroupedStore(Lookups, ABC):
    """A store whose writes go through one writer, and whose looks go through one thread."""

    now: Callable[[], int]

    def __init__(self) -> None:
        self.events = logged()
        self._told: list[Callable[[], None]] = []
        self._listeners = Listeners()
        self._writer: Writer | None = None
        self._reader: ReaderThread | None = None

    @property
    @abstractmethod
    def location(self) -> str:
        """Where it is, for people; without secrets."""

    @abstractmethod
    def connect(self) -> tuple[Backend, Reader]:
        """Open what is written with, and what is read with."""

    def entrance(self) -> Entrance | None:
        """Return by what transactions of applications add jobs by themselves."""
        return None

    def listen(self, listener: Signals) -> None:
        """Tell it what has been written."""
        self._listeners.add(listener)

    def leave(self, listener: Signals) -> None:
        """Tell it no more."""
        self._listeners.remove(listener)

    def open(self) -> None:
        """Open, migrate and check the journal."""
        if self._writer is None:
            backend, reader = self.connect()
            self._reader = ReaderThread(reader)
            self._writer = Writer(backend, "postlude-writer", self.events, self._told)

    def close(self) -> None:
        """Write what was asked for and close."""
        writer, self._writer = self._writer, None
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.stop(CLOSE_WITHIN)
        if writer is not None:
            # Last: the last connection that can write tidies up.
            writer.stop(CLOSE_WITHIN)

    def tell_commits(self, call: Callable[[], None]) -> None:
        """Make a call whenever a group goes to the disk."""
        self._told.append(call)

    def untell_commits(self, call: Callable[[], None]) -> None:
        """Make it no more."""
        with suppress(ValueError):  # it has been ended before
            self._told.remove(call)

    def add(
        self,
        jobs: Sequence[NewJob],
        *,
        claim_for: int | None = None,
        budget: float | None = None,
        by: Deed | None = None,
    ) -> Reply[list[Added]]:
        """Store jobs, all or none."""
        if by is not None:
            return self._act(Verb.ADD, (jobs, None), by, rows=len(jobs))
        if self._writer is None:
            return Reply.failed(JournalUnavailable("the journal is not open"))
        return self._writer.submit(Verb.ADD, (jobs, claim_for), rows=len(jobs), budget=budget)

    def free(self, seqs: Sequence[int]) -> Reply[int]:
        """Make held jobs ready."""
        return self._ask(Verb.FREE, seqs, rows=len(seqs))

    def cancel(self, ids: Sequence[bytes], by: Deed | None = None) -> Reply[list[Cancel]]:
        """Cancel queued or parked jobs."""
        return self._act(Verb.CANCEL, ids, by, rows=len(ids))

    def retry(self, ids: Sequence[bytes], by: Deed | None = None) -> Reply[list[bool]]:
        """Make ended jobs ready."""
        return self._act(Verb.RETRY, ids, by, rows=len(ids))

    def delete(self, ids: Sequence[bytes], by: Deed | None = None) -> Reply[list[bool]]:
        """Delete jobs that have ended."""
        return self._act(Verb.DELETE, ids, by, rows=len(ids))

    def pause(self, what: Pause, by: Deed | None = None) -> Reply[bool]:
        """Let none of it be claimed."""
        return self._act(Verb.PAUSE, what, by)

    def resume(self, what: Pause, by: Deed | None = None) -> Reply[bool]:
        """Undo that."""
        return self._act(Verb.RESUME, what, by)

    def declare(self, bounds: Sequence[DeclaredLimits]) -> Reply[None]:
        """Take over a release's bounds."""
        return self._ask(Verb.DECLARE, bounds)

    def progress(self, notes: Sequence[ProgressNote]) -> Reply[None]:
        """Note how far jobs are; may wait a moment for company."""
        return self._ask(Verb.PROGRESS, notes, rows=len(notes), lazy=True)

    def enlist(self, runner: NewRunner) -> Reply[Enlisted]:
        """Register a runner."""
        if self._writer is not None:
            self._writer.mind(runner.lease)
        return self._ask(Verb.ENLIST, runner)

    def claim(
        self, runner: int, limit: int, *, suspect: bool, free: FreeSlots | None = None, behind: int = 0,
        few: Sequence[Few] = (), queues: Queues = ALL, ids: Sequence[bytes] | None = None,
        ahead: bool = False,
    ) -> Reply[Claimed]:  # fmt: skip
        """Claim ready jobs."""
        return self._ask(
            Verb.CLAIM, ClaimCall(runner, limit, suspect, free, behind, few, queues, ids, ahead), rows=limit
        )

    def renew(self, runner: int, *, hears: bool | None = None) -> Reply[bool]:
        """Start the runner's lease afresh."""
        return self._ask(Verb.RENEW, RenewCall(runner, hears))

    def release(self, runner: int, holds: Sequence[Hold]) -> Reply[int]:
        """Give back claims that have not started."""
        return self._ask(Verb.RELEASE, ReleaseCall(runner, holds), rows=len(holds))

    def finish(self, finishes: Sequence[Finish]) -> Reply[list[bool]]:
        """Write how attempts ended; may wait a moment for company."""
        return self._ask(Verb.FINISH, finishes, rows=len(finishes), lazy=True)

    def retire(self, runner: int, *, draining: bool) -> Reply[int]:
        """End a runner."""
        return self._ask(Verb.RETIRE, RetireCall(runner, draining))

    def lead(self, runner: int, duty: str, seconds: float) -> Reply[bool]:
        """Say whether a runner is the one that does a duty."""
        return self._ask(Verb.LEAD, LeadCall(runner, duty, seconds))

    def reap(self) -> Reply[Reaped]:
        """Bury dead runners."""
        return self._ask(Verb.REAP, None)

    def promote(self) -> Reply[Promoted]:
        """Make ready what is due."""
        return self._ask(Verb.PROMOTE, None)

    def unpark(self, pairs: Collection[tuple[str, str]], *, suspects: bool = True) -> Reply[int]:
        """Make parked jobs ready."""
        return self._ask(Verb.UNPARK, (pairs, suspects))

    def prune(self, keep: Keep, by: Deed | None = None) -> Reply[int]:
        """Delete finished jobs that are kept no longer."""
        return self._act(Verb.PRUNE, keep, by)

    def declare_schedules(
        self, runner: int | None, application: str, schedules: Sequence[Schedule]
    ) -> Reply[bool]:
        """Say which schedules a release has."""
        return self._ask(Verb.DECLARE_SCHEDULES, ScheduleSet(runner, application, schedules))

    def fire(self) -> Reply[Fired]:
        """Add the jobs of the due times that have come."""
        return self._ask(Verb.FIRE, None)

    def pause_schedule(self, name: str, by: Deed | None = None) -> Reply[bool]:
        """Add no jobs of a schedule."""
        return self._act(Verb.PAUSE_SCHEDULE, name, by)

    def resume_schedule(self, name: str, by: Deed | None = None) -> Reply[bool]:
        """Undo that."""
        return self._act(Verb.RESUME_SCHEDULE, name, by)

    def run_schedule(self, name: str, id: bytes, by: Deed | None = None) -> Reply[Added | None]:
        """Add a job of a schedule now."""
        return self._act(Verb.RUN_SCHEDULE, RunCall(name, id), by)

    def count(self, counted: Sequence[Counted]) -> Reply[None]:
        """Add to what processes have counted."""
        return self._ask(Verb.COUNT, counted, rows=len(counted))

    def fold(self) -> Reply[int]:
        """Forget sums of minutes that are long over."""
        return self._ask(Verb.FOLD, None)

    def publish(self, queue: str, window: int, *, patience: float) -> Reply[Outgoing]:
        """Let ready jobs be published."""
        return self._ask(Verb.PUBLISH, PublishCall(queue, window, patience), rows=window)

    def withdraw(self, queues: Queues, ids: Sequence[bytes] | None = None) -> Reply[int]:
        """Make published jobs ready."""
        return self._ask(Verb.WITHDRAW, (queues, ids), rows=len(ids or (0,)))

    def _act(self, verb: Verb, argument: Any, by: Deed | None, rows: int = 1) -> Reply[Any]:
        if by is None:
            return self._ask(verb, argument, rows=rows)
        return self._ask(Verb.ACT, DeedCall(verb, argument, by), rows=rows)

    def _ask(
        self, verb: Verb, argument: Any, *, rows: int = 1, budget: float | None = None, lazy: bool = False
    ) -> Reply[Any]:
        if self._writer is None:
            return Reply.failed(JournalUnavailable("the journal is not open"))
        return self._writer.submit(verb, argument, rows=rows, budget=budget, lazy=lazy)

    def _look(self, look: Callable[[Reader], T]) -> Reply[T]:
        if self._reader is None or self._writer is None:
            return Reply.failed(JournalUnavailable("the journal is not open"))
        self._writer.refuse_fork()
        return self._reader.ask(look)
