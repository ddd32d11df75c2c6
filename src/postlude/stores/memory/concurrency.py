"""How many jobs of each concurrency key are ready or running, and which wait for one of them to end.

Nothing here is thread-safe; the store holds its lock.
"""

from collections.abc import Collection
from heapq import heappop, heappush

from postlude.model.job import NewJob
from postlude.model.state import OCCUPYING, Reason, Stored
from postlude.stores.memory.row import Row

ConcurrencyKey = tuple[str, str | None]
"""A task and a concurrency key of it."""


class Occupancy:
    """The jobs of one task and concurrency key.

    A job that stops waiting otherwise than by its turn stays in the heap and is skipped there.
    """

    __slots__ = ("occupied", "waiting")

    def __init__(self) -> None:
        self.occupied = 0
        self.waiting: list[tuple[int, int]] = []


class Concurrency:
    """The concurrency keys that have jobs, and the limits of their tasks."""

    def __init__(self) -> None:
        self.limits: dict[str, int] = {}
        self._lanes: dict[ConcurrencyKey, Occupancy] = {}

    def has_room(self, job: NewJob) -> bool:
        """Say whether a job may be ready now."""
        most = self.limits.get(job.task)
        if most is None or job.terms.concurrency_key is None:
            return True
        concurrency_key = self._lanes.get((job.task, job.terms.concurrency_key))
        return concurrency_key is None or concurrency_key.occupied < most

    def surplus(self, key: ConcurrencyKey) -> int:
        """Return how many more are ready or running than may be."""
        concurrency_key, most = self._lanes.get(key), self.limits.get(key[0])
        return 0 if concurrency_key is None or most is None else max(0, concurrency_key.occupied - most)

    def of(self, tasks: Collection[str]) -> list[ConcurrencyKey]:
        """Return the concurrency keys of these tasks."""
        return [key for key in self._lanes if key[0] in tasks]

    def enter(self, row: Row) -> None:
        """Note a job of a concurrency key that has come to its present state."""
        if row.stored in OCCUPYING:
            self._lane(row.job).occupied += 1
        elif row.reason is Reason.LIMIT:
            heappush(self._lane(row.job).waiting, row.order)

    def leave(self, row: Row) -> None:
        """Note that a job of a concurrency key leaves its present state."""
        if row.stored in OCCUPYING:
            self._lane(row.job).occupied -= 1

    def next(self, key: ConcurrencyKey, rows: dict[int, Row]) -> Row | None:
        """Return the first job that waits in a concurrency key with room, and take it out of the line
        there."""
        concurrency_key, most = self._lanes.get(key), self.limits.get(key[0])
        if concurrency_key is None:
            return None
        while concurrency_key.waiting and (most is None or concurrency_key.occupied < most):
            priority, seq = heappop(concurrency_key.waiting)
            row = rows.get(seq)
            if (
                row is not None
                and _waits(row)
                and (row.job.terms.concurrency_key, row.job.terms.priority) == (key[1], priority)
            ):
                return row
        if not concurrency_key.occupied and not concurrency_key.waiting:
            del self._lanes[key]
        return None

    def _lane(self, job: NewJob) -> Occupancy:
        key = job.task, job.terms.concurrency_key
        if key not in self._lanes:
            self._lanes[key] = Occupancy()
        return self._lanes[key]


def _waits(row: Row) -> bool:
    return row.stored is Stored.BLOCKED and row.reason is Reason.LIMIT
