"""What a runner has claimed and cannot start: it goes back, so that processes with free places run it."""

import asyncio
from typing import Final

from postlude.model.job import Few
from postlude.runner.attempt.work import Work
from postlude.runner.executors.pool import ExecutorPool
from postlude.runner.executors.protocol import Executor
from postlude.runner.giving_back import GivingBack
from postlude.runner.pace import AHEAD_OF

HELD_FOR: Final = 0.5
"""Seconds that a claimed job may wait for a place; short jobs that are claimed far ahead wait less."""


class Surplus:
    """Gives back what has waited too long for a place, and says of which tasks only few are to be claimed.

    Claims do not know where a task's jobs run. So when an executor was too full, of the tasks that had to go
    back only as many are claimed as that executor is about to start, until it has places that nothing is
    claimed for. What goes back once is not claimed again and again, and jobs of other executors are not kept
    waiting by it.

    Args:
        giving_back: gives it back.
        executors: the executors.
    """

    def __init__(self, giving_back: GivingBack, executors: ExecutorPool) -> None:
        self._giving_back = giving_back
        self._executors = executors
        self._loop = asyncio.get_running_loop()
        self._since: dict[Work, float] = {}
        """When what waits was first seen to wait."""
        self._tasks: dict[Executor, set[str]] = {}
        """The tasks of which few are claimed, by executor."""
        self._ended: dict[Executor, int] = {}
        self._pace: dict[Executor, float] = {}
        """Jobs of each such executor that end in a second."""
        self._looked = 0.0

    def look(self) -> None:
        """Give back what waits for too long; from time to time, on the loop."""
        now = self._loop.time()
        for executor in list(self._tasks):
            self._measure(executor, now - self._looked)
            if executor.free:
                del self._tasks[executor], self._pace[executor]
        self._looked = now
        waiting = {work: executor for executor in self._executors.members for work in list(executor.waiting)}
        self._since = {work: self._since.get(work, now) for work in waiting}
        # Who waits for its end here must hear of it: that one stays.
        late = {
            work for work, since in self._since.items() if since <= now - HELD_FOR and work.waiter is None
        }
        for work in late:
            executor = waiting[work]
            if executor not in self._tasks:
                self._tasks[executor], self._ended[executor], self._pace[executor] = (
                    set(),
                    executor.ended_so_far,
                    0.0,
                )
            self._tasks[executor].add(work.name)
        if late:
            self._giving_back.some(late.__contains__)

    def _measure(self, executor: Executor, seconds: float) -> None:
        ended = executor.ended_so_far
        if seconds > 0:
            self._pace[executor] = (ended - self._ended[executor]) / seconds
        self._ended[executor] = ended

    def few(self) -> list[Few]:
        """Of which tasks only so many are to be claimed."""
        return (
            [Few(tasks, self._most(executor)) for executor, tasks in self._tasks.items()]
            if self._tasks
            else []
        )

    def _most(self, executor: Executor) -> int:
        soon = round(self._pace[executor] * AHEAD_OF)
        return executor.free + max(0, soon - len(executor.waiting))
