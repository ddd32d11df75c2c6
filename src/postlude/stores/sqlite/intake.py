"""Adding jobs to the SQLite journal."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from postlude.errors import KeyTaken
from postlude.model.job import Added, NewJob
from postlude.model.state import Reason, Stored
from postlude.stores.sqlite.keys import Joined, Keys
from postlude.stores.sqlite.lanes import Lane, refill, room_in
from postlude.stores.sqlite.transaction import Transaction


class AddCall(NamedTuple):
    """One call of `add`: stored whole or not at all."""

    jobs: Sequence[NewJob]
    claim_for: int | None


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
        self._rows: list[list[Any]] = []
        self._payloads: list[bytes] = []
        self._may_claim: dict[tuple[int, str], bool] = {}
        self._ready: Counter[Lane] = Counter()
        self._special = False
        self._keys = Keys(tx, self._rows, self._payloads, self._landing, self._vacate)

    def add(self, calls: Sequence[AddCall]) -> list[list[Added] | KeyTaken]:
        """Insert them; the answers are in the order of the calls."""
        places = [self._take(jobs, claim_for) for jobs, claim_for in calls]
        first = self._insert()
        self._keys.write_aliases(first)
        refill(self._tx, self._keys.left)
        return [self._answer(place, first) for place in places]

    def _take(self, jobs: Sequence[NewJob], claim_for: int | None) -> "range | list[int | Joined] | KeyTaken":
        """Make rows of a call's jobs; returns where they are."""
        keyed = any(job.key is not None for job in jobs)
        if keyed:
            taken = self._keys.refusal(jobs)
            if taken is not None:
                return taken
        claimed = claim_for if claim_for is not None and self._born_claimed(jobs, claim_for) else None
        start = len(self._rows)
        if not keyed:
            for place in range(len(jobs)):
                self._append(jobs, place, claimed)
            return range(start, len(self._rows))
        places: list[int | Joined] = []
        for place, job in enumerate(jobs):
            joined = self._keys.join(job)
            if joined is None:
                self._keys.note(job, len(self._rows))
                places.append(len(self._rows))
                self._append(jobs, place, claimed)
            else:
                places.append(joined)
        return places

    def _append(self, jobs: Sequence[NewJob], place: int, claimed: int | None) -> None:
        tx, job = self._tx, jobs[place]
        task = tx.task_id(job.task)
        due: int | None = None
        reason: Reason | None = None
        followed = False
        if claimed is not None:
            state, fence = Stored.RUNNING, 1
        else:
            fence = 0
            if job.follows and place:
                state, due = Stored.BLOCKED, job.due
                if due is not None and due <= tx.now:
                    state, due = Stored.READY, None
            else:
                state, due, reason = self._landing(job, task)
            followed = place + 1 < len(jobs) and jobs[place + 1].follows
            if state is Stored.READY:
                for known in self._may_claim:
                    if known[1] == job.queue:
                        self._may_claim[known] = False
        row = [
            job.id, task, job.queue, int(state), job.priority, due, fence, claimed, job.created,
            job.once, followed, job.owner, job.request,
        ]  # fmt: skip
        if job.lane is not None or job.key is not None or job.opts is not None or job.context is not None:
            self._special = True
            row += [reason, job.key, job.lane, job.opts, job.context]
        self._rows.append(row)
        self._payloads.append(job.payload)
        tx.count(task, None, state)

    def _landing(self, job: NewJob, task: int) -> tuple[Stored, int | None, Reason | None]:
        """Return the state, the due time and the reason of a job that is to wait."""
        if job.due is not None and job.due > self._tx.now:
            return Stored.SCHEDULED, job.due, None
        if job.lane is None:
            return Stored.READY, None, None
        lane = (task, job.lane)
        if room_in(self._tx, lane) <= self._ready[lane]:
            return Stored.BLOCKED, None, Reason.LIMIT
        self._ready[lane] += 1
        return Stored.READY, None, None

    def _vacate(self, lane: Lane) -> None:
        self._ready[lane] -= 1
        self._keys.left.add(lane)

    def _born_claimed(self, jobs: Sequence[NewJob], runner: int) -> bool:
        """Whether a runner may start at once: it is alive and would overtake nobody."""
        known = self._may_claim
        for job in jobs:
            if job.once or job.rated or job.lane is not None or (job.due is not None and not job.follows):
                return False
            key = (runner, job.queue)
            if key not in known:
                known[key] = bool(self._tx.value("may_be_born_claimed", runner, job.queue))
            if not known[key]:
                return False
        return True

    def _insert(self) -> int:
        """Insert what has gathered; returns the place of the first row."""
        tx, rows = self._tx, self._rows
        if not rows:
            return 0
        if self._special:
            rows = [row if len(row) == 18 else [*row, None, None, None, None, None] for row in rows]
            tx.insert("add_special_jobs", rows)
        else:
            tx.insert("add_jobs", rows)
        first = tx.db.last_insert_rowid() - len(rows) + 1
        tx.insert("add_payloads", list(enumerate(self._payloads, first)))
        return first

    def _answer(self, places: "range | list[int | Joined] | KeyTaken", first: int) -> list[Added] | KeyTaken:
        if isinstance(places, KeyTaken):
            return places
        if isinstance(places, range):
            fence = self._rows[places.start][6] if places else 0
            return [Added(first + place, fence) for place in places]
        return [
            Added(first + place, self._rows[place][6])
            if isinstance(place, int)
            else Added(place.seq if place.row is None else first + place.row, 0, True)
            for place in places
        ]
