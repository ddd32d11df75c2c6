"""Adding jobs to a memory store, and making them ready again by hand.

Nothing here is thread-safe; the store holds its lock.
"""

from collections.abc import Iterable, Sequence

from postlude.errors import JobRefused, KeyTaken, PostludeError
from postlude.messages.quoting import quoted
from postlude.model.history import ADDED
from postlude.model.job import Added, NewJob
from postlude.model.overrides import lifted
from postlude.model.state import QUEUED, Reason, Stored
from postlude.model.terms import Conflict
from postlude.model.transition import starts_at_once
from postlude.stores.memory.limits import Rules
from postlude.stores.memory.row import Row
from postlude.stores.memory.runners import MemoryRunner
from postlude.stores.memory.shelves import Shelves

_RETRIABLE = frozenset({Stored.FAILED, Stored.CANCELLED})


class Intake:
    """The way of new jobs to the shelves."""

    def __init__(self, shelves: Shelves, rules: Rules) -> None:
        self._shelves = shelves
        self._rules = rules
        self._last_seq = 0

    def refusal(self, jobs: Sequence[NewJob]) -> PostludeError | None:
        """Return why none of these jobs can be stored, or None."""
        shelves = self._shelves
        ids: set[bytes] = set()
        keys: set[tuple[str, str]] = set()
        for job in jobs:
            if job.id in ids or job.id in shelves.by_id:
                return JobRefused("a job with this id is stored already; give every job a new id")
            ids.add(job.id)
            if job.terms.key is None:
                continue
            key = job.task, job.terms.key
            if job.terms.conflict is Conflict.RAISE and (key in keys or key in shelves.keys):
                return _key_taken(job)
            keys.add(key)
        return None

    def may_bear(self, jobs: Sequence[NewJob], runner: MemoryRunner) -> bool:
        """Say whether jobs may be born claimed: they overtake nobody, and nothing has to be checked."""
        if self._rules.pauses:
            return False
        for job in jobs:  # a loop, because a generator takes longer than what it asks
            if not starts_at_once(job) or job.queue not in runner.new.queues:
                return False
            if self._shelves.waits(job.queue):
                return False
        return True

    def bear(self, jobs: Sequence[NewJob], runner: MemoryRunner, now: int) -> list[Added]:
        """Store jobs that a runner holds from the start."""
        answers: list[Added] = []
        sums = self._shelves.ledger.of(now)
        for job in jobs:
            if (other := self._who_has_key_of(job)) is not None:
                answers.append(self._join(other, job, now))
                continue
            row = self._new(job, Stored.RUNNING)
            row.take(runner.number)
            runner.held[row.seq] = row
            self._shelves.put(row)
            sums.add(job.task, job.queue, ADDED)
            answers.append(Added(row.seq, row.fence))
        return answers

    def queue(self, jobs: Sequence[NewJob], now: int) -> list[Added]:
        """Store jobs that wait to be claimed."""
        answers: list[Added] = []
        before: Row | None = None
        for job in jobs:
            if (other := self._who_has_key_of(job)) is not None:
                answers.append(self._join(other, job, now))
                # It has no place in this call: who follows it waits for those whom it follows.
                before = before if job.terms.follows else None
                continue
            if job.terms.follows and answers and before is None:
                # Whom it follows has joined another job: it waits for nobody, and that has no bound.
                job = job._replace(terms=job.terms._replace(due=None))
            before = self._queue(job, before, now)
            self._shelves.ledger.of(now).add(job.task, job.queue, ADDED)
            answers.append(Added(before.seq, 0))
        return answers

    def _who_has_key_of(self, job: NewJob) -> Row | None:
        key = job.terms.key
        return None if key is None else self._shelves.keys.get((job.task, key))

    def _queue(self, job: NewJob, before: Row | None, now: int) -> Row:
        terms = job.terms
        due = terms.due if terms.due is None or terms.due > now else None
        row = self._new(job, Stored.READY)
        if terms.held and due is not None:
            row.stored, row.due = Stored.BLOCKED, due
        elif terms.follows and before is not None and due == terms.due:
            row.stored, row.due = Stored.BLOCKED, due
            row.follows, before.follower = before.seq, row.seq
        elif due is not None:
            row.stored, row.due, row.first_due = Stored.SCHEDULED, due, due
        elif terms.concurrency_key is not None and not self._shelves.concurrency_keys.has_room(job):
            row.stored, row.reason = Stored.BLOCKED, Reason.LIMIT
        self._shelves.put(row)
        return row

    def _new(self, job: NewJob, stored: Stored) -> Row:
        self._last_seq = seq = self._last_seq + 1
        return Row(seq, job, stored)

    def _join(self, row: Row, job: NewJob, now: int) -> Added:
        if job.terms.conflict is Conflict.REPLACE and row.stored in QUEUED:
            self._shelves.alias(row.job, row)
            self._replace(row, job, now)
            self._shelves.by_id[job.id] = row
        else:
            self._shelves.alias(job, row)
        return Added(row.seq, 0, joined=True)

    def _replace(self, row: Row, job: NewJob, now: int) -> None:
        row.forget_runs()
        due = job.terms.due
        new = row.job.replaced_by(job)
        self._shelves.replace(row, new, due if due is not None and due > now else None)

    def retry(self, ids: Sequence[bytes], now: int) -> list[bool]:
        """Make ready those that have failed or were cancelled; says which.

        Raises:
            KeyTaken: another job has the key of one of them; nothing is changed.
        """
        found = [self._shelves.by_id.get(id) for id in ids]
        ended = {row.seq: row for row in found if row is not None and row.stored in _RETRIABLE}
        self._check_keys(ended.values())
        for row in ended.values():
            self._revive(row)
            row.first_due = now
        self._shelves.ready_all(ended.values())
        return [row is not None and row.seq in ended for row in found]

    def _check_keys(self, rows: Iterable[Row]) -> None:
        wanted: set[tuple[str, str]] = set()
        for job in (row.job for row in rows):
            if job.terms.key is None:
                continue
            key = job.task, job.terms.key
            if key in wanted or key in self._shelves.keys:
                raise _key_taken(job)
            wanted.add(key)

    def _revive(self, row: Row) -> None:
        terms = row.job.terms
        given = terms.given._replace(opts=lifted(terms.given.opts))
        row.job = row.job._replace(terms=terms._replace(given=given))
        row.finished = row.cancel_asked = None
        row.deaths, row.suspect = 0, False
        if terms.key is not None:
            self._shelves.keys[row.job.task, terms.key] = row


def _key_taken(job: NewJob) -> KeyTaken:
    return KeyTaken(
        f"{job.task}: a job with the key {quoted(job.terms.key)} waits or runs; wait for its end or cancel it"
    )
