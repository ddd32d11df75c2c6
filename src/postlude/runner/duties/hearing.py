"""What a store tells a runner: heard on the runner's loop, whichever thread it comes from."""

import asyncio
from collections.abc import Callable, Collection

from postlude.clock import SECOND
from postlude.compat import running_loop
from postlude.stores.loops import call_on
from postlude.stores.signals import Signals


class Hearing(Signals):
    """Listens to a store for one runner; made on its loop.

    Args:
        ready: called on the loop when jobs may be ready.
        now: the time, in which jobs are due.
    """

    def __init__(self, ready: Callable[[], None], now: Callable[[], int]) -> None:
        self._loop = asyncio.get_running_loop()
        self._ready = ready
        self._now = now
        self._news = asyncio.Event()
        self._claiming = self._waking = False
        self._hears_schedules = True
        self.pauses = True
        """Whether it is to be asked what is paused: it has changed, or may have."""
        self.stops = True
        """Whether it is to be asked which jobs are to stop."""
        self.next_due: int | None = None
        """When a job becomes due; None: it is not known of any."""
        self.next_fire: int | None = None
        """When a schedule is due; None: it is not known of any."""
        self.due(None)
        self.schedules()

    def ready(self, queues: Collection[str] | None) -> None:
        """Jobs are ready, perhaps for this runner."""
        if not self._claiming:
            self._claiming = True
            self._call(self._claim)

    def due(self, at: int | None) -> None:
        """A job waits for its time."""
        if at is None:
            at = self._now()
        if self.next_due is None or at < self.next_due:
            self.next_due = at
            self._wake()

    def asked(self, runner: int | None) -> None:
        """Jobs are to stop, perhaps of this runner."""
        self.stops = True
        self._wake()

    def paused(self) -> None:
        """Something has been paused, or resumed."""
        self.pauses = True
        self._wake()

    def schedules(self) -> None:
        """Schedules have changed."""
        self.fires_at(self._now())

    def deaf_to_schedules(self) -> None:
        """Nobody here acts on schedules."""
        self._hears_schedules, self.next_fire = False, None

    def fires_at(self, moment: int) -> None:
        """A schedule is due then."""
        if self._hears_schedules and (self.next_fire is None or moment < self.next_fire):
            self.next_fire = moment
            self._wake()

    @property
    def is_firing(self) -> bool:
        """Whether a schedule is due."""
        return self.next_fire is not None and self.next_fire <= self._now()

    @property
    def is_due(self) -> bool:
        """Whether a job is due."""
        return self.next_due is not None and self.next_due <= self._now()

    def begin(self) -> None:
        """All is looked at now that was told so far."""
        self._news.clear()

    async def wait(self, seconds: float) -> None:
        """Return when something has been told since `begin`, or is due, or after so many seconds."""
        for moment in (self.next_due, self.next_fire):
            if moment is not None:
                seconds = min(seconds, (moment - self._now()) / SECOND)
        timer = self._loop.call_later(max(0.0, seconds), self._news.set)
        try:
            await self._news.wait()
        finally:
            timer.cancel()

    def _wake(self) -> None:
        if not self._waking:
            self._waking = True
            self._call(self._woken)

    def _woken(self) -> None:
        self._waking = False
        self._news.set()

    def _claim(self) -> None:
        self._claiming = False
        self._ready()

    def _call(self, call: Callable[[], None]) -> None:
        if running_loop() is self._loop:
            self._loop.call_soon(call)
        else:
            call_on(self._loop, call)
