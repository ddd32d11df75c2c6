"""Where the jobs of a memory store lie: every index, kept right by one function that moves a job.

Nothing here is thread-safe; the store holds its lock.
"""

from collections import OrderedDict, deque
from heapq import heappop, heappush

from postlude.model.state import MOVES, Stored
from postlude.stores.memory.row import Row

_STATES = max(Stored) + 1
_DUE = (Stored.SCHEDULED, Stored.BLOCKED)


class WaitingLine:
    """The ready jobs of one queue, by priority and then in order; suspects are counted but not in line.

    A job that leaves the line otherwise than by `pop` stays in the heap and is skipped there.
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
            row = rows.get(heappop(heap)[1])
            if row is not None and row.stored is Stored.READY and not row.suspect:
                return row
        return None


class Shelves:
    """All jobs, and which of them are ready, due, parked or ended."""

    def __init__(self) -> None:
        self.rows: dict[int, Row] = {}
        self.by_id: dict[bytes, Row] = {}
        self.succeeded: OrderedDict[int, Row] = OrderedDict()
        self.unsuccessful: OrderedDict[int, Row] = OrderedDict()
        self.parked: dict[tuple[str, str], dict[int, Row]] = {}
        self.counts: dict[str, list[int]] = {}
        """Per task, the jobs in each stored state."""
        self.stirred = False
        """Whether a job has begun to wait since this was last cleared."""
        self._lines: dict[str, WaitingLine] = {}
        self._turn: deque[WaitingLine] = deque()
        self._suspects: list[tuple[int, int]] = []
        self._due: list[tuple[int, int]] = []

    def put(self, row: Row) -> None:
        """Lay down a new job."""
        self.rows[row.seq] = row
        self.by_id[row.job.id] = row
        if row.job.task not in self.counts:
            self.counts[row.job.task] = [0] * _STATES
        self._enter(row, row.stored)

    def move(self, row: Row, to: Stored) -> None:
        """Take a job to another state."""
        was = row.stored
        assert to in MOVES[was], f"a job cannot go from {was.name} to {to.name}"
        self._leave(row, was)
        row.stored = to
        self._enter(row, to)

    def forget(self, row: Row) -> None:
        """Delete a job that has ended."""
        self._leave(row, row.stored)
        del self.rows[row.seq], self.by_id[row.job.id]

    def waits(self, queue: str) -> bool:
        """Say whether anything ready waits in a queue."""
        line = self._lines.get(queue)
        return line is not None and line.ready > 0

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

    def next_suspect(self) -> Row | None:
        """Return the first ready suspect of all queues."""
        while self._suspects:
            row = self.rows.get(heappop(self._suspects)[1])
            if row is not None and row.stored is Stored.READY and row.suspect:
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

    def _enter(self, row: Row, state: Stored) -> None:
        job = row.job
        self.counts[job.task][state] += 1
        if state is Stored.READY:
            self.stirred = True
            if job.queue not in self._lines:
                self._lines[job.queue] = WaitingLine()
            self._lines[job.queue].ready += 1
            self._line_up(row)
        elif state in _DUE:
            self.stirred = True
            if row.due is not None:
                heappush(self._due, (row.due, row.seq))
        elif state is Stored.SUCCEEDED:
            self.succeeded[row.seq] = row
        elif state is Stored.FAILED or state is Stored.CANCELLED:
            self.unsuccessful[row.seq] = row
        elif state is Stored.PARKED:
            self.parked.setdefault((job.task, row.release), {})[row.seq] = row

    def _leave(self, row: Row, state: Stored) -> None:
        job = row.job
        self.counts[job.task][state] -= 1
        if state is Stored.READY:
            self._lines[job.queue].ready -= 1
        elif state is Stored.SUCCEEDED:
            del self.succeeded[row.seq]
        elif state is Stored.FAILED or state is Stored.CANCELLED:
            del self.unsuccessful[row.seq]
        elif state is Stored.PARKED:
            group = self.parked[job.task, row.release]
            del group[row.seq]
            if not group:
                del self.parked[job.task, row.release]

    def _line_up(self, row: Row) -> None:
        line = self._lines[row.job.queue]
        if row.suspect:
            heappush(self._suspects, (row.job.priority, row.seq))
            return
        heappush(line.heap, (row.job.priority, row.seq))
        if not line.in_turn:
            line.in_turn = True
            self._turn.append(line)
