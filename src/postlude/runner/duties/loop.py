"""What a runner does from time to time: its list of duties, and the loop that does them."""

import asyncio
from collections.abc import Mapping
from typing import Final

from postlude.clock import SECOND, Clock
from postlude.config import Config
from postlude.errors import PostludeError
from postlude.jobs.subscriptions import Hub
from postlude.model.event.runner import DutyFailed, ParentGone
from postlude.runner.duties.bury import Burying
from postlude.runner.duties.duty import Duty
from postlude.runner.duties.publish import Publish, Publishing
from postlude.runner.duties.unpark import Unparking
from postlude.runner.news import News
from postlude.runner.runner import Runner
from postlude.runner.standstill import Standstill
from postlude.stores.protocol import Store
from postlude.tasks.registry import Registry

PUBLISH_EVERY: Final = 0.5
"""Seconds between the times that engines are told of what waits."""


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
        publishers: by queue, who is told of what waits there, because no runner claims it.
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
        publishers: Mapping[str, Publish] | None = None,
    ) -> None:
        self._hub = hub
        self._runner = runner
        self._store = store
        self._news = news or News(store)
        self._heard = -1
        self._config = config
        self._clock = clock
        self._next_due: int | None = clock.now()
        standstill = Standstill(runner.executors, store, lambda: runner.ahead <= 0)
        self._duties = (
            Duty("look", self._look),
            Duty("audit", runner.audit),
            Duty("standstill", standstill.look),
            Duty("reap", Burying(runner, store).run, every=config.reap_every, led=True),
            Duty("unpark", Unparking(runner, store, registry).run, every=config.reap_every),
            Duty("prune", self._prune, every=config.prune_every, first=config.prune_every, led=True),
            *(
                [Duty("publish", Publishing(store, publishers).run, PUBLISH_EVERY, led=True)]
                if publishers
                else []
            ),
        )
        started = clock.boot()
        self._at = {duty: started + round(duty.first * SECOND) for duty in self._duties}
        """When each is to be done next, by the boot clock."""
        self._led: set[Duty] = set()
        """Those that this runner has led when it last asked."""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="postlude-housekeeping")

    def cancel(self) -> None:
        """End with the loop's next turn."""
        if self._task is not None:
            self._task.cancel()

    async def stop(self) -> None:
        """End, in the middle of a wait if need be; what this runner has led, another can lead at once."""
        self.cancel()
        if self._task is not None:
            await asyncio.wait([self._task])
        for duty in self._led:  # not waited for: if the journal cannot be written, they lapse
            self._store.lead(self._runner.number, duty.name, 0).then(lambda reply: None)

    async def _run(self) -> None:
        while True:
            for duty in self._duties:
                await self._do(duty)
            await asyncio.sleep(self._pause())

    async def _do(self, duty: Duty) -> None:
        now = self._clock.boot()
        if now < self._at[duty]:
            return
        self._at[duty] = now + round(duty.every * SECOND)
        try:
            if (not duty.led or await self._leads(duty)) and await duty.run():
                self._at[duty] = now
        except PostludeError as error:
            self._store.events.emit(DutyFailed(error))
        except GeneratorExit:
            raise
        except BaseException as error:  # the application's, too: a module that is imported to find a task
            task = asyncio.current_task()
            if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
                raise
            self._store.events.emit(DutyFailed(error))

    async def _leads(self, duty: Duty) -> bool:
        """Whether this runner does a duty for all: for a lease longer than until it asks again."""
        seconds = duty.every + self._config.lease
        leads = await self._store.lead(self._runner.number, duty.name, seconds)
        (self._led.add if leads else self._led.discard)(duty)
        return leads

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
            asked = await self._store.asked(self._runner.number)
            self._runner.stop_asked(asked.stop)
            if asked.drain and not self._runner.draining:
                self._runner.wind_down()
                self._store.events.emit(ParentGone())
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

    async def _prune(self) -> bool:
        return await self._store.prune(self._config.keep) > 0
