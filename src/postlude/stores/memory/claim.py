"""One call of `claim`: which ready jobs a runner gets; and why the others wait.

Nothing here is thread-safe; the store holds its lock.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from math import inf
from typing import Final

from postlude.clock import Clock
from postlude.model.job import Claim, Claimed, JobRecord
from postlude.model.refusal import Refusal, Refused, refusal_of
from postlude.model.state import Reason, Stored
from postlude.stores.memory.limits import QueueLimits, Rules, follow_clock
from postlude.stores.memory.row import Row
from postlude.stores.memory.runners import MemoryRunner
from postlude.stores.memory.shelves import Shelves
from postlude.stores.values import ClaimCall

MOST_PASSED: Final = 4000
"""Jobs that one claim passes over, because of their tasks only few are taken."""


class Waits:
    """Why queues keep their ready jobs waiting, for those who look at them: no row says it.

    Args:
        rules: what is declared and paused.
        runners: all that are enlisted: what they hold runs.
        clock: read only if there are rules.
    """

    __slots__ = ("_now", "_queues", "_reasons", "_rules", "_runners")

    def __init__(self, rules: Rules, runners: Collection[MemoryRunner], clock: Clock) -> None:
        self._rules = rules
        self._runners = runners
        self._now = 0 if rules.none else clock.now()
        self._queues = [one.new.queues for one in runners if one.new.serves and not one.lapsed(clock.boot())]
        self._reasons: dict[str, Reason | None] = {}

    def explain(self, record: JobRecord) -> JobRecord:
        """Return a job with the reason for which its queue keeps it waiting, if that does."""
        if record.stored not in (Stored.READY, Stored.PUBLISHED):
            return record
        if record.queue not in self._reasons:
            self._reasons[record.queue] = self._reason_of(record.queue)
        return replace(record, reason=self._reasons[record.queue] or record.reason)

    def _reason_of(self, queue: str) -> Reason | None:
        if queue in self._rules.paused_queues:
            return Reason.PAUSED
        concurrent, rate = self._rules.queues.get(queue, (None, None))
        if concurrent is not None and running_in(queue, self._runners) >= concurrent:
            return Reason.LIMIT
        if rate is not None and rate.first(self._now) > self._now:
            return Reason.RATE
        served = not self._queues or any(queue in queues for queues in self._queues)
        return None if served else Reason.UNSERVED


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
        call: what is asked for.
    """

    __slots__ = (
        "_behind", "_call", "_claims", "_drawn", "_few", "_free", "_free_slots", "_holder", "_left",
        "_limited", "_no_room", "_now", "_passed", "_rules", "_runners", "_running", "_shelves",
    )  # fmt: skip

    def __init__(
        self,
        shelves: Shelves,
        rules: Rules,
        runners: Iterable[MemoryRunner],
        holder: MemoryRunner,
        clock: Clock,
        call: ClaimCall,
    ) -> None:
        self._call = call
        self._shelves = shelves
        self._rules = rules
        self._runners = runners
        self._holder = holder
        self._free = rules.none
        self._now = 0 if self._free and call.ids is None else clock.now()
        self._free_slots = inf if call.free is None else sum(call.free)
        self._behind = call.behind
        self._few = {task: place for place, group in enumerate(call.few) for task in group.tasks}
        self._left = [group.most for group in call.few]
        self._passed: list[Row] = []
        self._claims: list[Claim] = []
        self._drawn = 0
        """Claims without those that came along."""
        self._limited = 0
        self._no_room: set[str] = set()
        """Queues that have had a job for which there was no room."""
        self._running: dict[str, int] = {}

    def run(self) -> Claimed:
        """Claim up to as many jobs as are asked for."""
        claims, shelves, limit = self._claims, self._shelves, self._call.limit
        queues = None if self._call.queues.every else self._call.queues
        if not self._free:
            follow_clock(shelves, self._rules, self._now)
        if self._call.suspect:
            self._take_suspect()
        while self._drawn < limit and (row := shelves.next_ready()) is not None:
            if queues is not None and row.job.queue not in queues:
                shelves.set_aside(row)
            elif self._few and self._passes(row):
                if len(self._passed) >= MOST_PASSED:
                    break
            elif self._free and row.job.terms.concurrency_key is None:
                self._take(row, limited=False)
            else:
                self._offer(row)
                if row.stored is Stored.READY:
                    shelves.set_aside(row)
        shelves.put_back()
        for row in self._passed:
            shelves.line_up(row)
        again = self._again() if self._rules.queues else None
        passed = tuple({self._few[row.job.task] for row in self._passed})
        return Claimed(claims, self._drawn >= limit or bool(self._no_room), again, passed)

    def pick(self, ids: Sequence[bytes], *, start: bool) -> Claimed:
        """Claim these jobs, and start them if that is said."""
        if not self._free:
            follow_clock(self._shelves, self._rules, self._now)
        self._behind = 0
        answers = [(id, self._answer(self._shelves.by_id.get(id))) for id in ids]
        refused = tuple(Refused(id, why) for id, why in answers if why is not None)
        for claim in self._claims if start else ():
            self._holder.marks.started(claim.seq, claim.fence, self._now)
        return Claimed(self._claims, refused=refused)

    def _answer(self, row: Row | None) -> Refusal | None:
        """Claim this job, or say why not; a broker's message of it is used up."""
        why = self._pick(row)
        if why is not None and row is not None and row.stored is Stored.PUBLISHED:
            self._shelves.move(row, Stored.READY)
        return why

    def _pick(self, row: Row | None) -> Refusal | None:
        """Claim this job, or say why not."""
        if row is None:
            return Refusal.UNKNOWN
        why = refusal_of(row.stored, row.reason)
        if why is None and row.job.queue not in self._call.queues:
            why = Refusal.QUEUE
        if (
            why is None
            and row.suspect
            and (not self._call.suspect or any(one.suspect for one in self._claims))
        ):
            why = Refusal.SUSPECT
        if why is None and self._drawn >= self._call.limit:
            why = Refusal.FULL
        self._no_room.clear()  # for one there was none: this one may need none
        return why or self._offer(row)

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
            if row.job.queue in self._call.queues:
                self._offer(row)
            if row.stored is Stored.READY:
                left.append(row)
        for row in left:
            self._shelves.line_up(row)

    def _offer(self, row: Row) -> Refusal | None:
        """Claim a job, or say why not; one of a task of which none may start is blocked."""
        job, rules = row.job, self._rules
        queue, rate = rules.queues.get(job.queue), rules.rates.get(job.task)
        if (shut := self._shut(job.queue, queue)) is not None:
            return shut
        if job.task in rules.paused_tasks:
            self._shelves.move(row, Stored.BLOCKED, Reason.PAUSED)
            return Refusal.PAUSED
        if rate is not None and rate.first(self._now) > self._now:
            self._shelves.move(row, Stored.BLOCKED, Reason.RATE, rate.turn(self._now))
            return Refusal.RATE
        limited = job.terms.concurrency_key is not None or rate is not None or queue is not None
        if limited and self._limited >= self._free_slots:
            self._no_room.add(job.queue)
            return Refusal.FULL
        for bucket in (rate, None if queue is None else queue.rate):
            if bucket is not None:
                bucket.start(self._now)
        self._take(row, limited=limited)
        return None

    def _shut(self, name: str, bounds: QueueLimits | None) -> Refusal | None:
        """Say why nothing of a queue may start now; None: some may."""
        if name in self._rules.paused_queues:
            return Refusal.PAUSED
        if name in self._no_room:
            return Refusal.FULL
        if bounds is None:
            return None
        if bounds.rate is not None and bounds.rate.first(self._now) > self._now:
            return Refusal.RATE
        return (
            Refusal.LIMIT
            if bounds.concurrent is not None and self._count(name) >= bounds.concurrent
            else None
        )

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
            waits = one is last and self._shelves.follower_of(one) is not None
            self._claims.append(one.claim(limited=limited, follows=one is not row, followed=waits))
        if limited:
            self._limited += 1
            if row.job.queue in self._running:
                self._running[row.job.queue] += 1

    def _followers(self, row: Row) -> list[Row]:
        """Return the jobs that come along with one, in order."""
        found: list[Row] = []
        after = None if row.suspect else self._shelves.follower_of(row)
        while after is not None and len(found) < self._behind and self._comes_along(row, after):
            found.append(after)
            after = self._shelves.follower_of(after)
        self._behind -= len(found)
        return found

    def _comes_along(self, row: Row, after: Row) -> bool:
        job, rules = after.job, self._rules
        if job.queue != row.job.queue:
            return False
        if job.terms.concurrency_key is not None or job.task in rules.paused_tasks or job.task in rules.rates:
            return False
        return job.queue not in rules.queues and job.queue not in rules.paused_queues

    def _again(self) -> int | None:
        """Return when the rate of a queue lets the next of those start that wait there."""
        firsts = [
            bounds.rate.first(self._now)
            for name, bounds in self._rules.queues.items()
            if bounds.rate is not None
            and name in self._call.queues
            and name not in self._rules.paused_queues
            and self._shelves.waits(name)
        ]
        return min((first for first in firsts if first > self._now), default=None)
