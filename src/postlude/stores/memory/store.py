"""The verbs of the memory store, under one lock. Every answer is there when the verb returns."""

import threading
from collections.abc import Collection, Sequence
from typing import Final

from postlude.clock import SECOND, Clock
from postlude.config import Keep
from postlude.errors import JournalRefused
from postlude.model.job import Added, Cancel, Claim, Claimed, Hold, JobFilter, JobRecord, NewJob, Room
from postlude.model.outcome import Finish
from postlude.model.state import State, Stored
from postlude.stores.memory import endings
from postlude.stores.memory.row import NOBODY, Row
from postlude.stores.memory.runners import MemoryRunner
from postlude.stores.memory.shelves import Shelves
from postlude.stores.protocol import Counts, Enlisted, NewRunner, Promoted, Reaped
from postlude.stores.reply import Reply

PRUNED_AT_ONCE: Final = 500
"""Jobs that one call of `prune` deletes at most."""

_CANCELLABLE = frozenset({Stored.READY, Stored.SCHEDULED, Stored.BLOCKED, Stored.PARKED})


class MemoryStore:
    """A `Store` that lives and dies with its process.

    Safe from any thread. Its runners share its process, so none dies unseen; their leases run
    out all the same, by the clock.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._shelves = Shelves()
        self._runners: dict[int, MemoryRunner] = {}
        self._last_runner = 0
        self._last_seq = 0

    @property
    def location(self) -> str:
        """Where it is, for people."""
        return "memory"

    def open(self) -> None:
        """Nothing has to be opened."""

    def close(self) -> None:
        """Nothing has to be closed; what was stored stays readable."""

    # Intake

    def add(
        self, jobs: Sequence[NewJob], *, claim_for: int | None = None, budget: float | None = None
    ) -> Reply[list[Added]]:
        with self._lock:
            ids = {job.id for job in jobs}
            if len(ids) < len(jobs) or any(id in self._shelves.by_id for id in ids):
                refused = JournalRefused("a job with this id is stored already; give every job a new id")
                return Reply.failed(refused)
            runner = self._bearer(jobs, claim_for)
            rows = self._queue(jobs) if runner is None else self._bear(jobs, runner)
            return Reply.of([row.added for row in rows])

    def cancel(self, ids: Sequence[bytes]) -> Reply[list[Cancel]]:
        with self._lock:
            return Reply.of([self._cancel(self._shelves.by_id.get(id)) for id in ids])

    # Claims

    def enlist(self, runner: NewRunner) -> Reply[Enlisted]:
        with self._lock:
            self._last_runner += 1
            new = MemoryRunner(self._last_runner, runner.lease, self._clock.boot())
            self._runners[new.number] = new
            return Reply.of(Enlisted(new.number, new.marks))

    def claim(self, runner: int, limit: int, *, suspect: bool, room: Room | None = None) -> Reply[Claimed]:
        claims: list[Claim] = []
        with self._lock:
            holder = self._runners.get(runner)
            if holder is None or limit < 1:
                return Reply.of(Claimed(claims))
            row = self._shelves.next_suspect() if suspect else None
            row = row or self._shelves.next_ready()
            while row is not None:
                self._shelves.move(row, Stored.RUNNING)
                row.take(runner)
                holder.held[row.seq] = row
                claims.append(row.claim)
                row = self._shelves.next_ready() if len(claims) < limit else None
        return Reply.of(Claimed(claims, len(claims) >= limit))

    def renew(self, runner: int) -> Reply[bool]:
        with self._lock:
            holder = self._runners.get(runner)
            if holder is not None:
                holder.renew(self._clock.boot())
            return Reply.of(holder is not None)

    def holds(self, runner: int) -> Reply[list[Hold]]:
        with self._lock:
            holder = self._runners.get(runner)
            rows = [] if holder is None else list(holder.held.values())
            return Reply.of([Hold(row.seq, row.fence) for row in rows])

    def release(self, runner: int, holds: Sequence[Hold]) -> Reply[int]:
        with self._lock:
            holder = self._runners.get(runner)
            released = 0
            for seq, fence in holds if holder is not None else ():
                row = holder.held.get(seq) if holder is not None else None
                if row is not None and row.fence == fence:
                    self._let_go(row)
                    endings.give_back(self._shelves, row)
                    released += 1
            return Reply.of(released)

    def finish(self, finishes: Sequence[Finish]) -> Reply[list[bool]]:
        written: list[bool] = []
        with self._lock:
            for finish in finishes:
                row = self._shelves.rows.get(finish.seq)
                accepted = row is not None and endings.may_finish(row, finish.fence)
                if row is not None and accepted:
                    self._let_go(row)
                    endings.write_finish(self._shelves, row, finish)
                written.append(accepted)
        return Reply.of(written)

    def retire(self, runner: int, *, draining: bool) -> Reply[int]:
        with self._lock:
            holder = self._runners.get(runner)
            return Reply.of(0 if holder is None else sum(self._bury(holder, draining=draining)))

    def reap(self) -> Reply[Reaped]:
        with self._lock:
            boot = self._clock.boot()
            dead = [runner for runner in self._runners.values() if runner.lapsed(boot)]
            ends = [self._bury(runner, draining=False) for runner in dead]
            return Reply.of(Reaped(len(dead), sum(end[0] for end in ends), sum(end[1] for end in ends)))

    # Upkeep

    def promote(self) -> Reply[Promoted]:
        with self._lock:
            now, promoted = self._clock.now(), 0
            while (row := self._shelves.next_due()) is not None and row.due is not None and row.due <= now:
                self._shelves.move(row, Stored.READY)
                promoted += 1
            return Reply.of(Promoted(promoted, None if row is None else row.due))

    def parked(self) -> Reply[list[tuple[str, str]]]:
        with self._lock:
            return Reply.of(list(self._shelves.parked))

    def unpark(self, pairs: Collection[tuple[str, str]]) -> Reply[int]:
        with self._lock:
            rows = [row for pair in set(pairs) for row in self._shelves.parked.get(pair, {}).values()]
            for row in rows:
                self._shelves.move(row, Stored.READY)
                row.reason, row.release = None, ""
            return Reply.of(len(rows))

    def prune(self, keep: Keep) -> Reply[int]:
        with self._lock:
            shelves, now = self._shelves, self._clock.now()
            deleted = 0
            for ended, most, seconds in (
                (shelves.succeeded, keep.successes, keep.success_seconds),
                (shelves.unsuccessful, keep.failures, keep.failure_seconds),
            ):
                oldest = now - round(seconds * SECOND)
                while ended and deleted < PRUNED_AT_ONCE:
                    row = next(iter(ended.values()))
                    if len(ended) <= most and (row.finished or 0) >= oldest:
                        break
                    shelves.forget(row)
                    deleted += 1
            return Reply.of(deleted)

    # Reading

    def get(self, id: bytes) -> Reply[JobRecord | None]:
        with self._lock:
            row = self._shelves.by_id.get(id)
            return Reply.of(None if row is None else row.record(attempts=True))

    def page(self, wanted: JobFilter) -> Reply[list[JobRecord]]:
        found: list[JobRecord] = []
        with self._lock:
            for row in reversed(self._shelves.rows.values()):
                if len(found) >= wanted.limit:
                    break
                if _matches(row, wanted):
                    found.append(row.record(attempts=False))
        return Reply.of(found)

    def counts(self) -> Reply[list[Counts]]:
        with self._lock:
            totals: dict[tuple[str, State], int] = {}
            for task, by_state in self._shelves.counts.items():
                for stored in Stored:
                    key = task, stored.public
                    totals[key] = totals.get(key, 0) + by_state[stored]
        return Reply.of([Counts(task, state, jobs) for (task, state), jobs in totals.items() if jobs])

    def changed(self) -> bool:
        """Say whether any job has begun to wait since the last call."""
        stirred, self._shelves.stirred = self._shelves.stirred, False
        return stirred

    # Steps

    def _bearer(self, jobs: Sequence[NewJob], claim_for: int | None) -> MemoryRunner | None:
        """Return the runner that the jobs are born claimed by, if they are."""
        runner = None if claim_for is None else self._runners.get(claim_for)
        if runner is None:
            return None
        for job in jobs:
            # A follower's due time is no delay: it bounds its wait for the one before it.
            delayed = job.due is not None and not job.follows
            if delayed or job.once or self._shelves.waits(job.queue):
                return None
        return runner

    def _bear(self, jobs: Sequence[NewJob], runner: MemoryRunner) -> list[Row]:
        rows = []
        for job in jobs:
            self._last_seq = seq = self._last_seq + 1
            row = Row(seq, job, Stored.RUNNING)
            row.take(runner.number)
            runner.held[seq] = row
            self._shelves.put(row)
            rows.append(row)
        return rows

    def _queue(self, jobs: Sequence[NewJob]) -> list[Row]:
        now = self._clock.now()
        rows: list[Row] = []
        for job in jobs:
            waits = job.due is None or job.due > now
            stored = Stored.READY
            if job.follows and rows and waits:
                stored = Stored.BLOCKED
            elif job.due is not None and waits:
                stored = Stored.SCHEDULED
            self._last_seq += 1
            row = Row(self._last_seq, job, stored)
            if stored is Stored.BLOCKED:
                rows[-1].follower = row
            self._shelves.put(row)
            rows.append(row)
        return rows

    def _cancel(self, row: Row | None) -> Cancel:
        if row is None or row.stored not in _CANCELLABLE:
            return Cancel.TOO_LATE
        self._shelves.move(row, Stored.CANCELLED)
        row.finished, row.reason = self._clock.now(), None
        endings.ready_follower(self._shelves, row)
        return Cancel.CANCELLED

    def _let_go(self, row: Row) -> None:
        if row.runner != NOBODY:
            del self._runners[row.runner].held[row.seq]
            row.runner = NOBODY

    def _bury(self, runner: MemoryRunner, *, draining: bool) -> tuple[int, int]:
        del self._runners[runner.number]
        draining = draining or runner.marks.is_draining
        return endings.bury(self._shelves, runner, self._clock.now(), draining=draining)


def _matches(row: Row, wanted: JobFilter) -> bool:
    return (
        (wanted.before is None or row.seq < wanted.before)
        and (wanted.state is None or row.stored.public is wanted.state)
        and (wanted.task is None or row.job.task == wanted.task)
        and (wanted.queue is None or row.job.queue == wanted.queue)
    )
