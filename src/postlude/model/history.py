"""Sums of what has happened to jobs, minute by minute: what charts and metrics are made of.

They are written with what they count, in the same commit, so each process is told the same, and no number
of all time ever falls.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import add, sub
from typing import Final, Generic, NamedTuple, TypeVar

from postlude.clock import SECOND
from postlude.model.outcome import Cancelled, Failed, Finish, Outcome, Parked, Snoozed, Succeeded
from postlude.model.state import Reason, State, Stored

MINUTE: Final = 60 * SECOND

ALL_TIME: Final = 0
"""The minute under which stands what has happened ever."""

MINUTES_KEPT: Final = 7 * 24 * 60
"""How long minutes are kept apart; what has happened in them stays in the sums of all time."""

RUN: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 150, 300, 600)
WAIT: Final = (*RUN, 1800, 3600)
"""Upper bounds of the buckets in which the times of attempts, and the waits of jobs, are counted, in seconds.
What takes longer than the last of them is counted in one more bucket."""

ADDED: Final = "added"
INTERRUPTED: Final = "interrupted"
KILLED: Final = "killed"
MAY_HAVE_RUN: Final = "may_have_run"
CANCELLED: Final = "cancelled"
SUCCEEDED: Final = "succeeded"

ENDS: Final[Mapping[str, State]] = {
    SUCCEEDED: State.SUCCEEDED,
    "failed": State.FAILED,
    "timed_out": State.FAILED,
    KILLED: State.FAILED,
    MAY_HAVE_RUN: State.FAILED,
    CANCELLED: State.CANCELLED,
    "discarded": State.CANCELLED,
}
"""The outcomes that are the end of a job, and how it has ended."""

DEATHS: Final = frozenset({INTERRUPTED, KILLED, MAY_HAVE_RUN})
"""The outcomes of attempts that nobody saw the end of: they have run, and nobody knows for how long."""


def word_of(outcome: Outcome) -> str:
    """Return how an attempt has ended: succeeded, failed, retried, snoozed, cancelled, discarded, timed_out
    or parked."""
    match outcome:
        case Succeeded():
            return SUCCEEDED
        case Failed(retry_at=None):
            return "timed_out" if outcome.reason is Reason.TIMED_OUT else "failed"
        case Failed():
            return "retried"
        case Snoozed():
            return "snoozed"
        case Cancelled():
            return "discarded" if outcome.reason is Reason.DISCARDED else CANCELLED
        case Parked():
            return "parked"


class Sum(NamedTuple):
    """What has happened in a minute, or in several, to the jobs of one task and queue, of one outcome."""

    minute: int
    """Since 1970, UTC; of several, the first. `ALL_TIME`: everything ever."""
    task: str
    queue: str
    outcome: str
    """How attempts have ended (`word_of`), or jobs without one; or `ADDED`: jobs that came."""
    n: int
    """How often that was."""
    ran: int
    """For how long those attempts have run that had begun, all together (microseconds)."""
    waited: int
    """For how long their jobs had waited, from when they were due to the start of their first attempt, all
    together (microseconds). Later attempts are not counted."""
    runs: tuple[int, ...]
    """How many of them have run for so long: one number for each bucket of `RUN`."""
    waits: tuple[int, ...]
    """How many of their jobs have waited for so long: one number for each bucket of `WAIT`."""

    @property
    def attempts(self) -> int:
        """How many of them are attempts that had begun."""
        return self.n if self.outcome in DEATHS else sum(self.runs)


RUN_BUCKETS: Final = len(RUN) + 1
WAIT_BUCKETS: Final = len(WAIT) + 1
CELLS: Final = 3 + RUN_BUCKETS + WAIT_BUCKETS
"""The numbers of a sum, in their order: n, ran, waited, and those of the buckets."""

MANY: Final = 8
"""Successes from which on they are counted by columns."""

_RUN_ENDS: Final = [round(bound * SECOND) for bound in RUN]
_WAIT_ENDS: Final = [round(bound * SECOND) for bound in WAIT]
_RUNS: Final = 3
_WAITS: Final = 3 + RUN_BUCKETS

T = TypeVar("T", bound=int | str)

Row = tuple[int | T | str, ...]
"""Of which minute, task, queue and outcome; and the numbers."""


class Sums(Generic[T]):
    """Adds up what happens in one write, or in one minute; tasks go by their numbers, or by their names."""

    __slots__ = ("cells",)

    cells: dict[tuple[T, str, str], list[int]]

    def __init__(self) -> None:
        self.cells = {}

    def add(self, task: T, queue: str, outcome: str, n: int = 1) -> None:
        """Count what takes no time, or of which nobody knows how much."""
        cells = self.cells.get((task, queue, outcome))
        if cells is None:
            cells = self.cells[task, queue, outcome] = [0] * CELLS
        cells[0] += n

    def add_end(self, task: T, queue: str, finish: Finish, after: Stored) -> None:
        """Count the end of an attempt, which brings its job to this state."""
        word = CANCELLED if after is Stored.CANCELLED else word_of(finish.outcome)
        if after is Stored.CANCELLED and isinstance(finish.outcome, Cancelled):
            word = word_of(finish.outcome)
        cells = self._of(task, queue, word)
        if finish.began:
            _measure_all(cells, (finish.finished - finish.started,), (finish.waited,))
        else:
            cells[0] += 1

    def add_successes(self, finishes: Sequence[Finish], number: Callable[[str], T]) -> dict[T, int]:
        """Count successes; returns how many there are of each task, as the store knows it by its name.

        This is done for every job: a few are counted with as few calls as can be, many by columns.
        """
        if len(finishes) >= MANY:
            return self._add_columns(finishes, number)
        jobs: dict[T, int] = {}
        for _, _, task, started, finished, _, _, queue, waited, _ in finishes:
            known = number(task)
            cells = self.cells.get((known, queue, SUCCEEDED))
            if cells is None:
                cells = self.cells[known, queue, SUCCEEDED] = [0] * CELLS
            cells[0] += 1
            ran = finished - started
            if ran > 0:
                cells[1] += ran
            cells[_RUNS + bisect_left(_RUN_ENDS, ran)] += 1
            if waited is not None:
                if waited > 0:
                    cells[2] += waited
                cells[_WAITS + bisect_left(_WAIT_ENDS, waited)] += 1
            jobs[known] = jobs.get(known, 0) + 1
        return jobs

    def _add_columns(self, finishes: Sequence[Finish], number: Callable[[str], T]) -> dict[T, int]:
        """Do it nearly without a step of the interpreter for each."""
        _, _, tasks, started, finished, _, _, queues, waited, _ = zip(*finishes, strict=True)
        task, queue = tasks[0], queues[0]
        if tasks.count(task) == queues.count(queue) == len(finishes):  # nearly always
            known = number(task)
            _measure_all(self._of(known, queue, SUCCEEDED), list(map(sub, finished, started)), waited)
            return {known: len(finishes)}
        jobs: Counter[T] = Counter()
        for part in _apart(finishes):
            jobs.update(self._add_columns(part, number))
        return jobs

    def clear(self) -> None:
        """Forget everything."""
        self.cells.clear()

    def rows(self, minute: int, *, apart: bool) -> tuple[list[Row[T]], list[Row[T]]]:
        """Return what is to be added to the sums of a minute, and to those of all time, in a fixed order.

        Args:
            minute: the minute.
            apart: jobs that came are first, with their number alone; without it, all have all numbers.
        """
        numbers: list[Row[T]] = []
        measured: list[Row[T]] = []
        known = sorted(self.cells.items())
        for when in (ALL_TIME, minute):
            for (task, queue, outcome), cells in known:
                if apart and outcome == ADDED:
                    numbers.append((when, task, queue, outcome, cells[0]))
                else:
                    measured.append((when, task, queue, outcome, *cells))
        return numbers, measured

    def merge(self, other: "Sums[T]") -> None:
        """Add what stands in another one."""
        for key, cells in other.cells.items():
            mine = self._of(*key)
            mine[:] = map(add, mine, cells)

    def told(self, minute: int) -> Iterator[Sum]:
        """Give them as the sums of a minute; tasks go by their names."""
        for (task, queue, outcome), cells in sorted(self.cells.items()):
            yield sum_of(minute, str(task), queue, outcome, cells)

    def _of(self, task: T, queue: str, outcome: str) -> list[int]:
        cells = self.cells.get((task, queue, outcome))
        if cells is None:
            cells = self.cells[task, queue, outcome] = [0] * CELLS
        return cells


def _measure_all(cells: list[int], ran: Sequence[int], waited: Sequence[int | None]) -> None:
    """Count attempts that had begun."""
    cells[0] += len(ran)
    cells[1] += _add_times(cells, _RUNS, ran, _RUN_ENDS)
    cells[2] += _add_times(cells, _WAITS, [time for time in waited if time is not None], _WAIT_ENDS)


def _add_times(cells: list[int], at: int, times: Sequence[int], ends: Sequence[int]) -> int:
    """Count times in the buckets from this place on; returns their sum. Less than nothing counts as 0."""
    if not times:
        return 0
    low, high = min(times), max(times)
    if low < 0:
        times = [max(0, time) for time in times]
    first, last = bisect_left(ends, low), bisect_left(ends, high)
    counted = 0
    if first < last:
        times = sorted(times)
        for place in range(first, last):
            within = bisect_right(times, ends[place], counted)
            cells[at + place] += within - counted
            counted = within
    cells[at + last] += len(times) - counted
    return sum(times)


def _apart(finishes: Iterable[Finish]) -> Iterable[Sequence[Finish]]:
    """Give those of each task and queue together."""
    parts: dict[tuple[str, str], list[Finish]] = {}
    for finish in finishes:
        parts.setdefault((finish.task, finish.queue), []).append(finish)
    return parts.values()


def sum_of(minute: int, task: str, queue: str, outcome: str, cells: Sequence[int]) -> Sum:
    """Return a sum by its numbers (`CELLS`)."""
    n, ran, waited = cells[:_RUNS]
    return Sum(
        minute, task, queue, outcome, n, ran, waited, tuple(cells[_RUNS:_WAITS]), tuple(cells[_WAITS:])
    )


class Ledger:
    """Sums that are kept in memory."""

    def __init__(self) -> None:
        self._minutes: dict[int, Sums[str]] = {}
        self._folded = Sums[str]()

    def of(self, now: int) -> Sums[str]:
        """Return what happens in the minute of this moment (microseconds, UTC), to be added to."""
        minute = now // MINUTE
        sums = self._minutes.get(minute)
        if sums is None:
            sums = self._minutes[minute] = Sums[str]()
        return sums

    def fold(self, now: int) -> int:
        """Keep minutes that are long over in the sums of all time only; returns how many sums there were."""
        over = [minute for minute in self._minutes if minute < now // MINUTE - MINUTES_KEPT]
        gone = [self._minutes.pop(minute) for minute in over]
        for sums in gone:
            self._folded.merge(sums)
        return sum(len(sums.cells) for sums in gone)

    def history(self, since: int, until: int, minutes: int) -> list[Sum]:
        """Return what has happened; see `postlude.stores.protocol.Looking.history`."""
        periods: dict[int, Sums[str]] = {}
        if since <= ALL_TIME <= until:
            periods[ALL_TIME] = everything = Sums[str]()
            for sums in (self._folded, *self._minutes.values()):
                everything.merge(sums)
        for minute in sorted(self._minutes):
            if since <= minute <= until:
                periods.setdefault(minute // minutes * minutes, Sums[str]()).merge(self._minutes[minute])
        return [one for minute, sums in sorted(periods.items()) for one in sums.told(minute)]
