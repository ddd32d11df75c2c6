"""How many jobs of each lane are ready or running, and which wait for one of them to end.

Nothing here is thread-safe; the store holds its lock.
"""

from collections.abc import Collection
from heapq import heappop, heappush
from typing import Final

from postlude.model.job import NewJob
from postlude.model.state import Reason, Stored
from postlude.stores.memory.row import Row

OCCUPYING: Final = frozenset({Stored.READY, Stored.RUNNING})
"""Jobs of a lane that are in these states count against its limit."""

LaneKey = tuple[str, str | None]
"""A task and a lane of it."""


class Lane:
    """The jobs of one task and lane.

    A job that stops waiting otherwise than by its turn stays in the heap and is skipped there.
    """

    __slots__ = ("occupied", "waiting")

    def __init__(self) -> None:
        self.occupied = 0
        self.waiting: list[tuple[int, int]] = []


class Lanes:
    """The lanes that have jobs, and the limits of their tasks."""

    def __init__(self) -> None:
        self.limits: dict[str, int] = {}
        self._lanes: dict[LaneKey, Lane] = {}

    def has_room(self, job: NewJob) -> bool:
        """Say whether a job may be ready now."""
        most = self.limits.get(job.task)
        if most is None or job.lane is None:
            return True
        lane = self._lanes.get((job.task, job.lane))
        return lane is None or lane.occupied < most

    def surplus(self, key: LaneKey) -> int:
        """Return how many more are ready or running than may be."""
        lane, most = self._lanes.get(key), self.limits.get(key[0])
        return 0 if lane is None or most is None else max(0, lane.occupied - most)

    def of(self, tasks: Collection[str]) -> list[LaneKey]:
        """Return the lanes of these tasks."""
        return [key for key in self._lanes if key[0] in tasks]

    def enter(self, row: Row) -> None:
        """Note a job of a lane that has come to its present state."""
        if row.stored in OCCUPYING:
            self._lane(row.job).occupied += 1
        elif row.reason is Reason.LIMIT:
            heappush(self._lane(row.job).waiting, row.order)

    def leave(self, row: Row) -> None:
        """Note that a job of a lane leaves its present state."""
        if row.stored in OCCUPYING:
            self._lane(row.job).occupied -= 1

    def next(self, key: LaneKey, rows: dict[int, Row]) -> Row | None:
        """Return the first job that waits in a lane with room, and take it out of the line there."""
        lane, most = self._lanes.get(key), self.limits.get(key[0])
        if lane is None:
            return None
        while lane.waiting and (most is None or lane.occupied < most):
            priority, seq = heappop(lane.waiting)
            row = rows.get(seq)
            if row is not None and _waits(row) and (row.job.lane, row.job.priority) == (key[1], priority):
                return row
        if not lane.occupied and not lane.waiting:
            del self._lanes[key]
        return None

    def _lane(self, job: NewJob) -> Lane:
        key = job.task, job.lane
        if key not in self._lanes:
            self._lanes[key] = Lane()
        return self._lanes[key]


def _waits(row: Row) -> bool:
    return row.stored is Stored.BLOCKED and row.reason is Reason.LIMIT
