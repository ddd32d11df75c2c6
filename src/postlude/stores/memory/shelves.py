"""Where the jobs of a memory store lie: every index, kept right by one function that moves a job.

Nothing here is thread-safe; the store holds its lock.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Iterable
from heapq import heappop, heappush, nsmallest
from typing import TypeVar

from postlude.model.failure import Failure
from postlude.model.history import Ledger
from postlude.model.job import NewJob
from postlude.model.state import MOVES, OCCUPYING, Reason, Stored
from postlude.stores.memory.acts import Acts
from postlude.stores.memory.concurrency import Concurrency
from postlude.stores.memory.row import Row
from postlude.stores.signals import Said
from postlude.stores.values import GONE, LEFT

K = TypeVar("K")

_STATES = max(Stored) + 1
_DUE = (Stored.SCHEDULED, Stored.BLOCKED)
_GIVEN_BACK = (Stored.READY, Stored.BLOCKED)


class WaitingLine:
    """The ready jobs of one queue, by priority and then in order; suspects are counted but not in line.

    A job that leaves the line otherwise than by `pop`, or whose priority changes, stays in the heap
    and is skipped there.
    """

    __slots__ = ("heap", "in_turn", "ready")

    def __init__(self) -> None:
        self.heap: list[tuple[int, int]] = []
        self.ready = 0
        self.in_turn = False

    def pop(self, rows: dict[int, Row]) -> Row | None:
        """Return the first ready job, or None."""
        heap = self.heap
        while heap:
            priority, seq = heappop(heap)
            row = rows.get(seq)
            if (
                row is not None
                and row.stored is Stored.READY
                and not row.suspect
                and row.job.terms.priority == priority
            ):
                return row
        return None


class Shelves:
    """All jobs, and which of them are ready, due, blocked, parked or ended."""

    def __init__(self) -> None:
        self.rows: dict[int, Row] = {}
        self.by_id: dict[bytes, Row] = {}
        """Also by the ids of jobs that joined others."""
        self.keys: dict[tuple[str, str], Row] = {}
        """Per task and key, the job that has the key: it has not ended."""
        self.concurrency_keys = Concurrency()
        self.succeeded: OrderedDict[int, Row] = OrderedDict()
        self.unsuccessful: OrderedDict[int, Row] = OrderedDict()
        self.parked: dict[tuple[str, str], dict[int, Row]] = {}
        self.counts: dict[str, list[int]] = {}
        """Per task, the jobs in each stored state."""
        self.left: Counter[tuple[str, str]] = Counter()
        """Jobs that had ended and are forgotten, or run again, as in `Tally`."""
        self.ledger = Ledger()
        """What happens, by the minute; tasks go by their names."""
        self.failures: dict[int, Failure] = {}
        """What those that have failed are grouped by."""
        self.acts = Acts()
        self.counted = Counter[tuple[str, str]]()
        self.said = Said()
        """What there is to tell of what has been done since this was last told."""
        self._lines: dict[str, WaitingLine] = {}
        self._turn: deque[WaitingLine] = deque()
        self._aside: list[WaitingLine] = []
        self._suspects: list[tuple[int, int]] = []
        self._due: list[tuple[int, int]] = []
        self._blocked: dict[tuple[str, Reason], dict[int, Row]] = {}

    def put(self, row: Row) -> None:
        """Lay down a new job."""
        job = row.job
        self.rows[row.seq] = row
        self.by_id[job.id] = row
        if job.terms.key is not None:
            self.keys[job.task, job.terms.key] = row
        if job.task not in self.counts:
            self.counts[job.task] = [0] * _STATES
        self._enter(row)

    def move(self, row: Row, to: Stored, reason: Reason | None = None, due: int | None = None) -> None:
        """Take a job to another state; whoever waits for its room in a concurrency key is ready then."""
        was = row.stored
        assert to in MOVES[was] or was is to is Stored.BLOCKED, (
            f"a job cannot go from {was.name} to {to.name}"
        )
        self._leave(row)
        row.stored, row.reason, row.due = to, reason, due
        row.follows = None
        self._enter(row)
        if to is not Stored.RUNNING and (was is not Stored.RUNNING or to in _GIVEN_BACK):
            self.said.changed = True  # else it was claimed, or has ended: who asked for that knows
        if row.job.terms.concurrency_key is not None and was in OCCUPYING and to not in OCCUPYING:
            self.fill(row.job.task, row.job.terms.concurrency_key)

    def follower_of(self, row: Row) -> Row | None:
        """Return the job that waits for the end of this one's first attempt."""
        after = None if row.follower is None else self.rows.get(row.follower)
        return after if after is not None and after.follows == row.seq else None

    def ready(self, row: Row) -> bool:
        """Make a job ready, if its concurrency key has room; otherwise it waits for that, and this is
        False."""
        if self.concurrency_keys.has_room(row.job):
            self.move(row, Stored.READY)
            return True
        self.move(row, Stored.BLOCKED, Reason.LIMIT)
        return False

    def ready_all(self, rows: Iterable[Row]) -> None:
        """Make jobs ready, the first in order first, as far as their concurrency keys have room."""
        for row in sorted(rows, key=lambda row: row.order):
            self.ready(row)

    def free(self, seqs: Iterable[int]) -> int:
        """Make those of these jobs ready that wait for no reason of their own; returns how many are."""
        found = [row for seq in dict.fromkeys(seqs) if (row := self.rows.get(seq)) is not None]
        held = [row for row in found if row.stored is Stored.BLOCKED and row.reason is None]
        self.ready_all(held)
        return sum(row.stored is Stored.READY for row in held)

    def replace(self, row: Row, job: NewJob, due: int | None) -> None:
        """Let a queued job become another, as if that were added now; it keeps its place."""
        before = row.job
        self.said.changed = True
        self._leave(row)
        row.job, row.reason, row.due, row.follows, row.first_due = job, None, due, None, due
        if due is not None:
            row.stored = Stored.SCHEDULED
        elif self.concurrency_keys.has_room(job):
            row.stored = Stored.READY
        else:
            row.stored, row.reason = Stored.BLOCKED, Reason.LIMIT
        self._enter(row)
        if before.terms.concurrency_key is not None:
            self.fill(before.task, before.terms.concurrency_key)

    def fill(self, task: str, concurrency_key: str | None) -> None:
        """Ready the jobs of a concurrency key that wait for room, as far as there is."""
        while (row := self.concurrency_keys.next((task, concurrency_key), self.rows)) is not None:
            self.move(row, Stored.READY)

    def alias(self, call: NewJob, row: Row) -> None:
        """Let the id of another call resolve to a job."""
        row.aliases = (*row.aliases, (call.id, call.terms.owner))
        self.by_id[call.id] = row

    def forget(self, row: Row) -> None:
        """Delete a job that has ended."""
        self._leave(row)
        del self.rows[row.seq]
        self.left[row.job.task, GONE] += 1
        for id in (row.job.id, *(id for id, _ in row.aliases)):
            del self.by_id[id]

    def blocked(self, task: str, reason: Reason) -> list[Row]:
        """Return the jobs of a task that are blocked for a reason."""
        return list(self._blocked.get((task, reason), {}).values())

    def waits(self, queue: str) -> bool:
        """Say whether anything ready waits in a queue."""
        line = self._lines.get(queue)
        return line is not None and line.ready > 0

    def ready_ids(self, queue: str, limit: int) -> list[bytes]:
        """Return the first jobs of a queue that are ready; suspects last."""
        ready = (row for row in self.rows.values() if row.stored is Stored.READY and row.job.queue == queue)
        return [row.job.id for row in nsmallest(limit, ready, key=lambda row: (row.suspect, *row.order))]

    def next_ready(self) -> Row | None:
        """Return the first job of the queue whose turn it is, and give the turn to the next queue."""
        turn = self._turn
        while turn:
            line = turn[0]
            row = line.pop(self.rows)
            if row is not None:
                turn.rotate(-1)
                return row
            line.in_turn = False
            turn.popleft()
        return None

    def set_aside(self, row: Row) -> None:
        """Put the job that `next_ready` has just returned back, and its queue out of turn."""
        line = self._turn.pop()
        heappush(line.heap, row.order)
        self._aside.append(line)

    def put_back(self) -> None:
        """Give the queues that were set aside their turns again."""
        self._turn.extend(self._aside)
        self._aside.clear()

    def next_suspect(self) -> Row | None:
        """Return the first ready suspect of all queues."""
        while self._suspects:
            priority, seq = heappop(self._suspects)
            row = self.rows.get(seq)
            if (
                row is not None
                and row.stored is Stored.READY
                and row.suspect
                and row.job.terms.priority == priority
            ):
                return row
        return None

    def next_due(self) -> Row | None:
        """Return the job that is due next, and leave it where it is."""
        heap = self._due
        while heap:
            due, seq = heap[0]
            row = self.rows.get(seq)
            if row is not None and row.stored in _DUE and row.due == due:
                return row
            heappop(heap)
        return None

    def line_up(self, row: Row) -> None:
        """Put a ready job in line."""
        job = row.job
        if row.suspect:
            heappush(self._suspects, (job.terms.priority, row.seq))
            return
        line = self._lines[job.queue]
        heappush(line.heap, (job.terms.priority, row.seq))
        if not line.in_turn:
            line.in_turn = True
            self._turn.append(line)

    def _enter(self, row: Row) -> None:
        job, state = row.job, row.stored
        self.counts[job.task][state] += 1
        if job.terms.concurrency_key is not None:
            self.concurrency_keys.enter(row)
        if state is Stored.READY:
            self.said.queues.add(job.queue)
            if job.queue not in self._lines:
                self._lines[job.queue] = WaitingLine()
            self._lines[job.queue].ready += 1
            self.line_up(row)
        elif state in _DUE:
            if row.due is not None:
                heappush(self._due, (row.due, row.seq))
                self.said.wait_until(row.due)
            if row.reason is not None:
                self._blocked.setdefault((job.task, row.reason), {})[row.seq] = row
        elif state is Stored.PARKED:
            self.parked.setdefault((job.task, row.release), {})[row.seq] = row
        elif state.final:
            (self.succeeded if state is Stored.SUCCEEDED else self.unsuccessful)[row.seq] = row
            if job.terms.key is not None:
                del self.keys[job.task, job.terms.key]

    def _leave(self, row: Row) -> None:
        job, state = row.job, row.stored
        self.counts[job.task][state] -= 1
        if state.final:
            self.left[job.task, LEFT + state.name.lower()] += 1
        if job.terms.concurrency_key is not None:
            self.concurrency_keys.leave(row)
        if state is Stored.READY:
            self._lines[job.queue].ready -= 1
        elif state is Stored.BLOCKED and row.reason is not None:
            _take_out(self._blocked, (job.task, row.reason), row)
        elif state is Stored.PARKED:
            _take_out(self.parked, (job.task, row.release), row)
        elif state is Stored.SUCCEEDED:
            del self.succeeded[row.seq]
        elif state is Stored.FAILED or state is Stored.CANCELLED:
            del self.unsuccessful[row.seq]
            self.failures.pop(row.seq, None)


def _take_out(groups: dict[K, dict[int, Row]], key: K, row: Row) -> None:
    del groups[key][row.seq]
    if not groups[key]:
        del groups[key]
