"""Adding jobs to the SQLite journal."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any, Final

from postlude.errors import KeyTaken
from postlude.model.history import ADDED
from postlude.model.job import Added, NewJob
from postlude.model.queues import read_queues
from postlude.model.state import Reason, Stored
from postlude.model.terms import PLAIN
from postlude.model.transition import starts_at_once
from postlude.stores.grouped.backend import AddCall
from postlude.stores.relational.columns import NewRow
from postlude.stores.relational.concurrency import ConcurrencyKey, refill, room_in, rooms_in
from postlude.stores.relational.keys import Joined, Keys
from postlude.stores.relational.transaction import Transaction

READY: Final = Stored.READY
BLOCKED: Final = Stored.BLOCKED
RUNNING: Final = Stored.RUNNING


def add(tx: Transaction, calls: Sequence[AddCall]) -> list[list[Added] | KeyTaken]:
    """Insert the jobs of all calls with as few statements as can be."""
    return Intake(tx).add(calls)


class Intake:
    """One group of calls.

    Args:
        tx: the group's transaction.
    """

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._rows: list[NewRow] = []
        self._may_claim: dict[tuple[int, str], bool] = {}
        self._overtaken: set[str] = set()
        """Queues in which a job of this group waits ready: what comes after it is not born claimed."""
        self._added: Counter[tuple[int, int, str]] = Counter()
        self._ready: Counter[ConcurrencyKey] = Counter()
        self._rooms: dict[ConcurrencyKey, int] = {}
        """Of each, as it was before the group. Not where calls may replace jobs that are there."""

    def add(self, calls: Sequence[AddCall]) -> list[list[Added] | KeyTaken]:
        """Insert them; the answers are in the order of the calls."""
        if all(job.terms is PLAIN for jobs, _ in calls for job in jobs):
            return self._add_plain(calls)
        # Made here and dropped, because it knows methods of this object: left to the garbage
        # collector, such a cycle keeps the rows of many groups.
        self._keys = Keys(self._tx, self._rows, self._landing, self._vacate)
        try:
            return self._add_all(calls)
        finally:
            del self._keys

    def _add_all(self, calls: Sequence[AddCall]) -> list[list[Added] | KeyTaken]:
        keyed = [job for jobs, _ in calls for job in jobs if job.terms.key is not None]
        self._keys.look_up(keyed)
        if not keyed:
            self._rooms = rooms_in(self._tx, set(self._limited(calls)))
        places = [self._take(jobs, claim_for, bool(keyed)) for jobs, claim_for in calls]
        seqs = self._insert_all()
        self._keys.write_aliases(seqs)
        refill(self._tx, self._keys.left)
        return [self._answer(place, seqs) for place in places]

    def _limited(self, calls: Sequence[AddCall]) -> Iterator[ConcurrencyKey]:
        for jobs, _ in calls:
            for job in jobs:
                if (key := job.terms.concurrency_key) is not None:
                    yield self._tx.task_id(job.task), key

    def _add_plain(self, calls: Sequence[AddCall]) -> list[list[Added] | KeyTaken]:
        """Insert jobs of which nothing special is said: nearly always.

        One loop nearly without calls: this is done for every job, with the interpreter held.
        """
        tx, numbers = self._tx, self._tx.names
        rows: list[tuple[Any, ...]] = []  # with the fields of `PlainRow`
        payloads: list[bytes] = []
        fences: list[int] = []
        moves: list[tuple[int, int, str]] = []
        singles = True
        known: str | None = None
        known_for: int | None = None
        state, fence, claimed = READY, 0, None
        number = int(READY)  # counting by a state's class takes twice as long
        for jobs, runner in calls:
            if len(jobs) != 1:
                singles, known = False, None
                state, fence, claimed = self._birth({job.queue for job in jobs}, runner)
                number = int(state)
            elif jobs[0].queue != known or runner != known_for:
                known, known_for = jobs[0].queue, runner
                state, fence, claimed = self._birth({known}, runner)
                number = int(state)
            for job in jobs:
                id, name, queue, payload, created, _ = job
                task = numbers.get(name) or tx.task_id(name)
                rows.append((id, task, queue, state, fence, claimed, created))
                payloads.append(payload)
                fences.append(fence)
                moves.append((task, number, queue))
        self._added.update(moves)
        make = tuple.__new__  # half of what calling the class takes
        seqs = self._insert("add_plain_jobs", rows, payloads)
        added = [make(Added, (seq, fence, False)) for seq, fence in zip(seqs, fences, strict=True)]
        if singles:  # each is one request's: nearly always
            return [[one] for one in added]
        left = iter(added)
        return [list(islice(left, len(jobs))) for jobs, _ in calls]

    def _birth(self, queues: set[str], runner: int | None) -> tuple[Stored, int, int | None]:
        """Return the state, the fence and the runner of the plain jobs of a call."""
        if runner is not None and all(self._lets_start(runner, queue) for queue in queues):
            return RUNNING, 1, runner
        self._overtaken |= queues
        return READY, 0, None

    def _take(
        self, jobs: Sequence[NewJob], claim_for: int | None, keyed: bool
    ) -> "range | list[int | Joined] | KeyTaken":
        """Make rows of a call's jobs; returns where they are. `keyed`: there are keys in the group."""
        if keyed:
            taken = self._keys.refusal(jobs)
            if taken is not None:
                return taken
        claimed = claim_for if claim_for is not None and self._born_claimed(jobs, claim_for) else None
        start = len(self._rows)
        if not keyed:
            self._append(jobs, claimed, start)
            return range(start, len(self._rows))
        places: list[int | Joined] = []
        for place, job in enumerate(jobs):
            joined = self._keys.join(job)
            if joined is None:
                self._keys.note(job, len(self._rows))
                places.append(len(self._rows))
                self._append([job], claimed, start, place)
            else:
                places.append(joined)
                if not job.terms.follows:
                    start = len(self._rows)  # it has no row: who follows it waits for nobody
        return places

    def _append(self, jobs: Sequence[NewJob], claimed: int | None, start: int, first: int = 0) -> None:
        """Make rows.

        Args:
            jobs: of one call, in order.
            claimed: the runner that they are born claimed for.
            start: where those rows of the call begin that the next may follow.
            first: the place of the first of `jobs` in the call.
        """
        tx, rows = self._tx, self._rows
        task = named = None
        for place, job in enumerate(jobs, first):
            terms, due = job.terms, job.terms.due
            if task is None or job.task != named:
                named, task = job.task, tx.task_id(job.task)
            row = NewRow(job, task, due, claimed)
            if claimed is not None:
                row.state, row.fence, row.due = RUNNING, 1, None
            elif terms.held or (terms.follows and len(rows) > start):
                row.state = BLOCKED
                if due is not None and due <= tx.now:
                    row.state, row.due = READY, None
                elif not terms.held:
                    row.follows = len(rows) - 1
                    rows[-1].followed = True
            elif due is not None or terms.concurrency_key is not None:
                bound = terms.follows and place  # a follower's due time bounds its wait, and is no delay
                row.state, row.due, row.reason = self._landing(
                    None if bound else due, terms.concurrency_key, task
                )
            if row.state is READY:
                self._overtaken.add(job.queue)
            rows.append(row)
            self._added[task, row.state, job.queue] += 1

    def _landing(
        self, due: int | None, concurrency_key: str | None, task: int
    ) -> tuple[Stored, int | None, Reason | None]:
        """Return the state, the due time and the reason of a job that is to wait."""
        if due is not None and due > self._tx.now:
            return Stored.SCHEDULED, due, None
        if concurrency_key is None:
            return Stored.READY, None, None
        key = task, concurrency_key
        room = self._rooms[key] if key in self._rooms else room_in(self._tx, key)
        if room <= self._ready[key]:
            return Stored.BLOCKED, None, Reason.LIMIT
        self._ready[key] += 1
        return Stored.READY, None, None

    def _vacate(self, concurrency_key: ConcurrencyKey) -> None:
        self._ready[concurrency_key] -= 1
        self._keys.left.add(concurrency_key)

    def _born_claimed(self, jobs: Sequence[NewJob], runner: int) -> bool:
        """Whether a runner may start at once: it is alive and would overtake nobody."""
        return all(starts_at_once(job) and self._lets_start(runner, job.queue) for job in jobs)

    def _lets_start(self, runner: int, queue: str) -> bool:
        """Whether nothing waits in a queue, and nothing is paused."""
        known, key = self._may_claim, (runner, queue)
        if key not in known:
            queues = self._tx.value("may_be_born_claimed", runner, queue)
            known[key] = queues is not None and queue in read_queues(queues or None)
        return known[key] and queue not in self._overtaken

    def _insert_all(self) -> Sequence[int]:
        rows = self._rows
        if any(row.follows is not None for row in rows):
            self._number_followers()
        return self._insert("add_jobs", [row.cells() for row in rows], [row.job.payload for row in rows])

    def _number_followers(self) -> None:
        """Let rows say which job they follow, instead of which row."""
        seqs = self._tx.upcoming(len(self._rows))
        for row in self._rows:
            if row.follows is not None:
                row.follows = seqs[row.follows]

    def _insert(
        self, statement: str, rows: Sequence[tuple[Any, ...]], payloads: Sequence[bytes]
    ) -> Sequence[int]:
        """Insert jobs and their arguments; returns their places in the order of all."""
        if not rows:
            return ()
        tx = self._tx
        seqs = tx.insert_jobs(statement, rows, payloads)
        for (task, state, queue), jobs in self._added.items():
            tx.count(task, None, Stored(state), jobs)
            tx.sums.add(task, queue, ADDED, jobs)
        return seqs

    def _answer(
        self, places: "range | list[int | Joined] | KeyTaken", seqs: Sequence[int]
    ) -> list[Added] | KeyTaken:
        if isinstance(places, KeyTaken):
            return places
        if isinstance(places, range):
            fence = self._rows[places.start].fence if places else 0
            make = tuple.__new__  # half of what calling the class takes
            return [make(Added, (seqs[place], fence, False)) for place in places]
        return [
            Added(seqs[place], self._rows[place].fence)
            if isinstance(place, int)
            else Added(place.seq if place.row is None else seqs[place.row], 0, True)
            for place in places
        ]
