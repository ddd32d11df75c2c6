"""One call of `claim`: which ready jobs a runner gets; and why the others wait.

Nothing here is thread-safe; the store holds its lock.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from math import inf
from typing import Final

from postlude.clock import Clock
from postlude.model.job import Claim, Claimed, Few, FreeSlots, JobRecord
from postlude.model.state import Reason, Stored
from postlude.stores.memory.limits import QueueLimits, Rules, follow_clock
from postlude.stores.memory.row import Row
from postlude.stores.memory.runners import MemoryRunner
from postlude.stores.memory.shelves import Shelves

MOST_PASSED: Final = 4000
"""Jobs that one claim passes over, because of their tasks only few are taken."""


class Waits:
    """Why queues keep their ready jobs waiting, for those who look at them: no row says it.

    Args:
        rules: what is declared and paused.
        runners: all that are enlisted: what they hold runs.
        clock: read only if there are rules.
    """

    __slots__ = ("_now", "_reasons", "_rules", "_runners")

    def __init__(self, rules: Rules, runners: Collection[MemoryRunner], clock: Clock) -> None:
        self._rules = rules
        self._runners = runners
        self._now = 0 if rules.none else clock.now()
        self._reasons: dict[str, Reason | None] = {}

    def explain(self, record: JobRecord) -> JobRecord:
        """Return a job with the reason for which its queue keeps it waiting, if that does."""
        if record.stored is not Stored.READY or self._rules.none:
            return record
        if record.queue not in self._reasons:
            self._reasons[record.queue] = self._reason_of(record.queue)
        return replace(record, reason=self._reasons[record.queue] or record.reason)

    def _reason_of(self, queue: str) -> Reason | None:
        if queue in self._rules.paused_queues:
            return Reason.PAUSED
        bounds = self._rules.queues.get(queue)
        if bounds is None:
            return None
        if bounds.concurrent is not None and running_in(queue, self._runners) >= bounds.concurrent:
            return Reason.LIMIT
        return Reason.RATE if bounds.rate is not None and bounds.rate.first(self._now) > self._now else None


def running_in(queue: str, runners: Iterable[MemoryRunner]) -> int:
    """Return how many jobs of a queue run."""
    return sum(row.job.queue == queue for runner in runners for row in runner.held.values())


class Draw:
    """A runner's look at the ready jobs.

    Args:
        shelves: the jobs.
        rules: what is declared and paused.
        runners: all that are enlisted: what they hold runs.
        holder: the one that claims.
        clock: read only if there are rules.
        free: how many limited jobs it could start at once; None: any number.
        behind: so many followers come along at most.
        few: the tasks of which only so many are taken.
    """

    __slots__ = (
        "_behind", "_claims", "_drawn", "_few", "_free", "_free_slots", "_holder", "_left", "_limited",
        "_no_room", "_now", "_passed", "_rules", "_runners", "_running", "_shelves",
    )  # fmt: skip

    def __init__(
        self,
        shelves: Shelves,
        rules: Rules,
        runners: Iterable[MemoryRunner],
        holder: MemoryRunner,
        clock: Clock,
        free: FreeSlots | None,
        behind: int = 0,
        few: Sequence[Few] = (),
    ) -> None:
        self._shelves = shelves
        self._rules = rules
        self._runners = runners
        self._holder = holder
        self._free = rules.none
        self._now = 0 if self._free else clock.now()
        self._free_slots = inf if free is None else sum(free)
        self._behind = behind
        self._few = {task: place for place, group in enumerate(few) for task in group.tasks}
        self._left = [group.most for group in few]
        self._passed: list[Row] = []
        self._claims: list[Claim] = []
        self._drawn = 0
        """Claims without those that came along."""
        self._limited = 0
        self._no_room: set[str] = set()
        """Queues that have had a job for which there was no room."""
        self._running: dict[str, int] = {}

    def run(self, limit: int, *, suspect: bool) -> Claimed:
        """Claim up to `limit` jobs."""
        claims, shelves = self._claims, self._shelves
        if not self._free:
            follow_clock(shelves, self._rules, self._now)
        if suspect:
            self._take_suspect()
        while self._drawn < limit and (row := shelves.next_ready()) is not None:
            if self._few and self._passes(row):
                if len(self._passed) >= MOST_PASSED:
                    break
            elif self._free and row.job.concurrency_key is None:
                self._take(row, limited=False)
            elif not self._offer(row):
                shelves.set_aside(row)
        shelves.put_back()
        for row in self._passed:
            shelves.line_up(row)
        again = self._again() if self._rules.queues else None
        passed = tuple({self._few[row.job.task] for row in self._passed})
        return Claimed(claims, self._drawn >= limit or bool(self._no_room), again, passed)

    def _passes(self, row: Row) -> bool:
        """Leave a job where it is, if enough of its tasks have been taken."""
        group = self._few.get(row.job.task)
        if group is None:
            return False
        self._left[group] -= 1
        if self._left[group] >= 0:
            return False
        self._passed.append(row)
        return True

    def _take_suspect(self) -> None:
        left: list[Row] = []
        while not self._claims and (row := self._shelves.next_suspect()) is not None:
            if not self._offer(row):
                left.append(row)
        for row in left:
            self._shelves.line_up(row)

    def _offer(self, row: Row) -> bool:
        """Claim a job, or block it if its task may start none; False if its queue may not go on."""
        job, rules = row.job, self._rules
        queue, rate = rules.queues.get(job.queue), rules.rates.get(job.task)
        if self._is_shut(job.queue, queue):
            return False
        if job.task in rules.paused_tasks:
            self._shelves.move(row, Stored.BLOCKED, Reason.PAUSED)
            return True
        if rate is not None and rate.first(self._now) > self._now:
            self._shelves.move(row, Stored.BLOCKED, Reason.RATE, rate.turn(self._now))
            return True
        limited = job.concurrency_key is not None or rate is not None or queue is not None
        if limited and self._limited >= self._free_slots:
            self._no_room.add(job.queue)
            return False
        for bucket in (rate, None if queue is None else queue.rate):
            if bucket is not None:
                bucket.start(self._now)
        self._take(row, limited=limited)
        return True

    def _is_shut(self, name: str, bounds: QueueLimits | None) -> bool:
        if name in self._no_room or name in self._rules.paused_queues:
            return True
        if bounds is None:
            return False
        if bounds.rate is not None and bounds.rate.first(self._now) > self._now:
            return True
        return bounds.concurrent is not None and self._count(name) >= bounds.concurrent

    def _count(self, queue: str) -> int:
        """Return how many jobs of a queue run."""
        if queue not in self._running:
            self._running[queue] = running_in(queue, self._runners)
        return self._running[queue]

    def _take(self, row: Row, *, limited: bool) -> None:
        self._drawn += 1
        following = self._followers(row)
        for one in (row, *following):
            self._shelves.move(one, Stored.RUNNING)
            one.take(self._holder.number)
            self._holder.held[one.seq] = one
        last = following[-1] if following else row
        for one in (row, *following):
            waits = one is last and one.waited_for_by is not None
            self._claims.append(one.claim(limited=limited, follows=one is not row, followed=waits))
        if limited:
            self._limited += 1
            if row.job.queue in self._running:
                self._running[row.job.queue] += 1

    def _followers(self, row: Row) -> list[Row]:
        """Return the jobs that come along with one, in order."""
        found: list[Row] = []
        after = None if row.suspect else row.follower
        while after is not None and len(found) < self._behind and self._comes_along(row, after):
            found.append(after)
            after = after.follower
        self._behind -= len(found)
        return found

    def _comes_along(self, row: Row, after: Row) -> bool:
        job, rules = after.job, self._rules
        if after.stored is not Stored.BLOCKED or after.reason is not None or job.queue != row.job.queue:
            return False
        if job.concurrency_key is not None or job.task in rules.paused_tasks or job.task in rules.rates:
            return False
        return job.queue not in rules.queues and job.queue not in rules.paused_queues

    def _again(self) -> int | None:
        """Return when the rate of a queue lets the next of those start that wait there."""
        firsts = [
            bounds.rate.first(self._now)
            for name, bounds in self._rules.queues.items()
            if bounds.rate is not None and name not in self._rules.paused_queues and self._shelves.waits(name)
        ]
        return min((first for first in firsts if first > self._now), default=None)
