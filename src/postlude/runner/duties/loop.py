"""What a runner does from time to time: look for work of others, due times, the dead, the old."""

import asyncio
from collections.abc import Awaitable, Callable

from postlude.clock import SECOND, Clock
from postlude.config import Config
from postlude.errors import PostludeError, UnknownTask
from postlude.jobs.subscriptions import Hub
from postlude.model.event.runner import DutyFailed, RunnersBuried
from postlude.runner.news import News
from postlude.runner.runner import Runner
from postlude.runner.standstill import Standstill
from postlude.stores.protocol import Store
from postlude.tasks.registry import Registry


class Housekeeping:
    """The periodic duties of one runner, on its loop.

    Args:
        runner: who is told of work.
        store: the journal.
        registry: which names this release knows.
        config: the periods.
        clock: the time.
        hub: told when other processes may have written.
        news: tells when anybody may have; by default, this runner's alone.
    """

    def __init__(
        self,
        runner: Runner,
        store: Store,
        registry: Registry,
        config: Config,
        clock: Clock,
        hub: Hub | None = None,
        news: News | None = None,
    ) -> None:
        self._hub = hub
        self._runner = runner
        self._standstill = Standstill(runner.executors, store, lambda: runner.ahead <= 0)
        self._store = store
        self._news = news or News(store)
        self._heard = -1
        self._registry = registry
        self._config = config
        self._clock = clock
        self._next_due: int | None = clock.now()
        self._reap_at = 0
        self._prune_at = clock.boot() + round(config.prune_every * SECOND)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="postlude-housekeeping")

    def cancel(self) -> None:
        """End with the loop's next turn."""
        if self._task is not None:
            self._task.cancel()

    async def stop(self) -> None:
        """End, in the middle of a wait if need be."""
        self.cancel()
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            await self._duty(self._look)
            await self._duty(self._runner.audit)
            await self._duty(self._standstill.look)
            await self._duty(self._reap)
            await self._duty(self._prune)
            await asyncio.sleep(self._pause())

    async def _duty(self, duty: Callable[[], Awaitable[None]]) -> None:
        try:
            await duty()
        except PostludeError as error:
            self._store.events.emit(DutyFailed(error))
        except GeneratorExit:
            raise
        except BaseException as error:  # the application's, too: a module that is imported to find a task
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            self._store.events.emit(DutyFailed(error))

    def _pause(self) -> float:
        if self._next_due is None:
            return self._config.poll_every
        return min(self._config.poll_every, max(0.0, (self._next_due - self._clock.now()) / SECOND))

    async def _look(self) -> None:
        """Look for jobs that others have stored and for those that are due."""
        told = self._news.count()
        changed, self._heard = told != self._heard, told
        if changed:
            await self._hear_of_pauses()
            self._runner.notify()
            self._runner.stop_asked((await self._store.asked(self._runner.number)).stop)
            if self._hub is not None:
                self._hub.look()
        if changed or (self._next_due is not None and self._next_due <= self._clock.now()):
            promoted = await self._store.promote()
            self._next_due = promoted.next_due
            if promoted.jobs:
                self._runner.notify()

    async def _hear_of_pauses(self) -> None:
        pauses = self._runner.pauses
        changes = pauses.changes
        paused = await self._store.paused()
        if changes == pauses.changes:
            pauses.know(paused)

    async def _reap(self) -> None:
        now = self._clock.boot()
        if now < self._reap_at:
            return
        self._reap_at = now + round(self._config.reap_every * SECOND)
        await self.reap()

    async def reap(self) -> None:
        """Bury the dead, and un-park what this release can run."""
        reaped = await self._store.reap()
        if reaped.runners:
            self._store.events.emit(RunnersBuried(*reaped))
            self._runner.notify()
        known = [pair for pair in await self._store.parked() if self._knows(*pair)]
        if known and await self._store.unpark(known):
            self._runner.notify()

    def _knows(self, name: str, release: str) -> bool:
        """Whether this release differs, in what matters, from the one that parked a job."""
        try:
            task = self._registry.resolve(name)
        except UnknownTask:
            return False
        return task.release != release

    async def _prune(self) -> None:
        now = self._clock.boot()
        if now < self._prune_at:
            return
        if not await self._store.prune(self._config.keep):
            self._prune_at = now + round(self._config.prune_every * SECOND)
