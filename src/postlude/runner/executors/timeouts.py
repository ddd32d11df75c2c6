"""Ending work that runs: because its time is over, or because somebody has asked for it."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from postlude.compat import running_loop
from postlude.model.event.jobs import JobOverran
from postlude.runner.attempt.work import Stopping, Work
from postlude.runner.executors.protocol import Executor
from postlude.telemetry.events import Events

PATIENCE: Final = 1.0
"""Seconds that an interrupted work has to end; one that swallows its cancellation is left behind."""

EARLY: Final = 0.001
"""Seconds by which a loop may call too early; it would be asked again at once, many times."""

Over = Callable[[Work, BaseException], None]


class Timeouts:
    """Watches over the time of works, and interrupts them.

    Args:
        loop: the runner's loop.
        lane_of: where a work runs.
        over: called for a work that was left behind: its attempt has ended for the journal.
        events: who is told of what happens.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        executor_of: Callable[[Work], Executor | None],
        over: Over,
        events: Events,
    ) -> None:
        self._events = events
        self._loop = loop
        self._executor_of = executor_of
        self._over = over
        self._ends: dict[Work, float] = {}
        """When the time of works that run is over, by the loop's clock: few, so they share one timer."""
        self._timer: asyncio.TimerHandle | None = None
        self._wakes = 0.0
        self._patience: dict[Work, asyncio.TimerHandle] = {}
        """When interrupted works are left behind. A timer knows its work, and with it its arguments."""

    @property
    def watched(self) -> int:
        """How many works it knows that run and have a limited time."""
        return len(self._ends)

    def limit(self, work: Work, seconds: float) -> None:
        """Let a work that starts now end after so many seconds. From any thread."""
        work.seconds = seconds
        if work.current is not None:
            work.current.until = time.monotonic() + seconds
        if running_loop() is self._loop:
            self._arm(work)
        else:
            self._loop.call_soon_threadsafe(self._arm, work)

    def cancel(self, work: Work) -> None:
        """Somebody has asked it to stop. On the loop."""
        if work.over or work.stopping is not None:
            return
        work.stopping = Stopping.CANCEL
        self._tell(work)

    def _arm(self, work: Work) -> None:
        if work.over or work.seconds is None:
            return
        end = self._ends[work] = self._loop.time() + work.seconds
        if self._timer is None or end < self._wakes:
            self._wake_at(end)

    def ended(self, work: Work) -> None:
        """The attempt of a work with a limited time is over."""
        self._ends.pop(work, None)
        if self._patience and (timer := self._patience.pop(work, None)) is not None:
            timer.cancel()

    def _wake_at(self, moment: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._wakes = self._loop.call_at(moment, self._look), moment

    def _look(self) -> None:
        self._timer = None
        now = self._loop.time() + EARLY
        try:
            due = [work for work, end in self._ends.items() if end <= now]
            for work in sorted(due, key=self._ends.__getitem__):  # of a loop that was late, several
                self._ends.pop(work, None)
                self._late(work)
        finally:  # what one of them raises must not keep the others from their ends
            if self._ends:
                self._wake_at(min(self._ends.values()))

    def _late(self, work: Work) -> None:
        executor = self._executor_of(work)
        if work.over or work.stopping is Stopping.TIMEOUT or (executor and not executor.runs(work)):
            return  # its end may be on its way
        self._events.emit(JobOverran(*work.identity, work.seconds or 0.0))
        work.stopping = Stopping.TIMEOUT
        if work.current is not None:
            work.current.late = True
        # A thread cannot be ended, so its place is given away at once.
        patience = PATIENCE if self._can_interrupt(work) else 0.0
        self._patience[work] = self._loop.call_later(patience, self._leave_behind, work)
        self._tell(work)

    def _tell(self, work: Work) -> None:
        if work.current is not None:
            work.current.cancelled = True
        executor = self._executor_of(work)
        if executor is not None:
            executor.interrupt(work)

    def _can_interrupt(self, work: Work) -> bool:
        task = work.task
        return task is None or task.is_async or task.policy.run is not None

    def _leave_behind(self, work: Work) -> None:
        self._patience.pop(work, None)
        executor = self._executor_of(work)
        if not work.over and executor is not None and executor.abandon(work):
            self._over(work, TimeoutError("it did not end"))
