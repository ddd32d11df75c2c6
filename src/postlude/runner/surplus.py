"""What a runner has claimed and cannot start: it goes back, so that processes with free places run it."""

import asyncio
from typing import Final

from postlude.model.job import Few
from postlude.runner.attempt.work import Work
from postlude.runner.executors.pool import Workshop
from postlude.runner.executors.protocol import Lane
from postlude.runner.giving_back import GivingBack
from postlude.runner.pace import AHEAD_OF

HELD_FOR: Final = 0.5
"""Seconds that a claimed job may wait for a place; short jobs that are claimed far ahead wait less."""


class Surplus:
    """Gives back what has waited too long for a place, and says of which tasks only few are to be claimed.

    Claims do not know where a task's jobs run. So when a lane was too full, of the tasks that had to go back
    only as many are claimed as that lane is about to start, until it has places that nothing is claimed for.
    What goes back once is not claimed again and again, and jobs of other lanes are not kept waiting by it.

    Args:
        giving_back: gives it back.
        workshop: the lanes.
    """

    def __init__(self, giving_back: GivingBack, workshop: Workshop) -> None:
        self._giving_back = giving_back
        self._workshop = workshop
        self._loop = asyncio.get_running_loop()
        self._since: dict[Work, float] = {}
        """When what waits was first seen to wait."""
        self._tasks: dict[Lane, set[str]] = {}
        """The tasks of which few are claimed, by lane."""
        self._ended: dict[Lane, int] = {}
        self._pace: dict[Lane, float] = {}
        """Jobs of each such lane that end in a second."""
        self._looked = 0.0

    def look(self) -> None:
        """Give back what waits for too long; from time to time, on the loop."""
        now = self._loop.time()
        for lane in list(self._tasks):
            self._measure(lane, now - self._looked)
            if lane.free:
                del self._tasks[lane], self._pace[lane]
        self._looked = now
        waiting = {work: lane for lane in self._workshop.lanes for work in list(lane.waiting)}
        self._since = {work: self._since.get(work, now) for work in waiting}
        # Who waits for its end here must hear of it: that one stays.
        late = {
            work for work, since in self._since.items() if since <= now - HELD_FOR and work.waiter is None
        }
        for work in late:
            lane = waiting[work]
            if lane not in self._tasks:
                self._tasks[lane], self._ended[lane], self._pace[lane] = set(), lane.ended_so_far, 0.0
            self._tasks[lane].add(work.name)
        if late:
            self._giving_back.some(late.__contains__)

    def _measure(self, lane: Lane, seconds: float) -> None:
        ended = lane.ended_so_far
        if seconds > 0:
            self._pace[lane] = (ended - self._ended[lane]) / seconds
        self._ended[lane] = ended

    def few(self) -> list[Few]:
        """Of which tasks only so many are to be claimed."""
        return [Few(tasks, self._most(lane)) for lane, tasks in self._tasks.items()] if self._tasks else []

    def _most(self, lane: Lane) -> int:
        soon = round(self._pace[lane] * AHEAD_OF)
        return lane.free + max(0, soon - len(lane.waiting))
