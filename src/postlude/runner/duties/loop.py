"""What a runner does from time to time: its list of duties, and the loop that does them."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from postlude.clock import SECOND, Clock
from postlude.config import Config
from postlude.errors import PostludeError
from postlude.model.event.runner import DutiesDone, DutyFailed, ParentGone
from postlude.runner.duties.bury import Burying
from postlude.runner.duties.counts import CountsTold
from postlude.runner.duties.duty import Duty
from postlude.runner.duties.hearing import Hearing
from postlude.runner.duties.publish import Publish, Publishing
from postlude.runner.duties.schedules import DECLARE_EVERY, Declared, Scheduling
from postlude.runner.duties.unpark import Unparking
from postlude.runner.runner import Runner
from postlude.runner.standstill import Standstill
from postlude.stores.protocol import Store
from postlude.tasks.registry import Registry
from postlude.telemetry.counting import Counting

PUBLISH_EVERY: Final = 0.5
"""Seconds between the times that engines are told of what waits."""

COUNT_EVERY: Final = 10.0
"""Seconds between the times that the journal is told what this process has counted."""

FOLD_EVERY: Final = 600.0
"""Seconds between the times that sums of minutes which are long over are forgotten."""


class Housekeeping:
    """The periodic duties of one runner, on its loop.

    Args:
        runner: who is told of work.
        store: the journal.
        registry: which names this release knows.
        config: the periods.
        clock: the time.
        publishers: by queue, who is told of what waits there, because no runner claims it.
        schedules: what this release has of them; None: it leaves them to others.
        counting: what the journal is told of that no job tells; None: nothing.
    """

    def __init__(
        self,
        runner: Runner,
        store: Store,
        registry: Registry,
        config: Config,
        clock: Clock,
        publishers: Mapping[str, Publish] | None = None,
        schedules: Declared | None = None,
        counting: Counting | None = None,
    ) -> None:
        self._runner = runner
        self._store = store
        self._hearing = Hearing(runner.claimer.heard, clock.now)
        self._config = config
        self._clock = clock
        hearing = self._hearing
        self._rests = self._rested = False
        """Whether the runner holds nothing, and held nothing when it was last looked at."""
        standstill = Standstill(runner.executors, store, lambda: runner.ahead <= 0)
        self._duties: tuple[Duty, ...] = (
            Duty("pauses", self._hear_of_pauses, when=lambda: hearing.pauses),
            Duty("stops", self._hear_of_stops, when=lambda: hearing.stops),
            Duty("promote", self._promote, when=lambda: hearing.is_due),
            Duty("audit", runner.audit, when=lambda: not self._rests),
            Duty("standstill", standstill.look, when=lambda: not self._rests),
            Duty("reap", Burying(runner, store).run, every=config.reap_every, led=True),
            Duty("unpark", Unparking(runner, store, registry).run, every=config.reap_every),
            Duty("prune", self._prune, every=config.prune_every, first=config.prune_every, led=True),
            Duty("fold", self._fold, every=FOLD_EVERY, first=FOLD_EVERY, led=True),
            *(
                [Duty("publish", Publishing(store, publishers).run, PUBLISH_EVERY, led=True)]
                if publishers
                else []
            ),
        )
        self._counts = None if counting is None else CountsTold(store, counting)
        if self._counts is not None:
            self._duties += (Duty("count", self._counts.tell, every=COUNT_EVERY, first=COUNT_EVERY),)
        if schedules is None:
            hearing.deaf_to_schedules()
        else:
            again = round(config.poll_every * SECOND)
            scheduling = Scheduling(runner, store, schedules, hearing, clock.now, again)
            self._duties += (
                Duty("declare", scheduling.declare, DECLARE_EVERY, when=scheduling.may_declare),
                Duty("schedules", scheduling.fire, when=lambda: hearing.is_firing),
            )
        started = clock.boot()
        self._at = {duty: started + round(duty.first * SECOND) for duty in self._duties}
        """When each is to be done next, by the boot clock."""
        self._failures = self._failed_at = 0
        """How often duties have failed since all was well, and when one did last, by the boot clock."""
        self._led: dict[Duty, tuple[int, int]] = {}
        """Those that this runner leads: its number, and until when it need not ask again."""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._store.listen(self._hearing)
        self._task = asyncio.get_running_loop().create_task(self._run(), name="postlude-housekeeping")

    def cancel(self) -> None:
        """End with the loop's next turn."""
        self._store.leave(self._hearing)
        if self._task is not None:
            self._task.cancel()

    async def stop(self) -> None:
        """End, in the middle of a wait if need be; what this runner has led, another can lead at once."""
        self.cancel()
        if self._task is not None:
            await asyncio.wait([self._task])
        if self._counts is not None:
            with suppress(PostludeError):
                await self._counts.tell()
        for duty in self._led:  # not waited for: if the journal cannot be written, they lapse
            self._store.lead(self._runner.number, duty.name, 0).then(lambda reply: None)

    async def _run(self) -> None:
        while True:
            runner = self._runner
            self._hearing.begin()
            before, self._rested = self._rested, runner.rests() and not runner.reconciler.in_doubt
            self._rests = before and self._rested
            for duty in self._duties:
                await self._do(duty)
            self._tell_of_an_end()
            await self._hearing.wait(self._config.poll_every)

    def _tell_of_an_end(self) -> None:
        """Say that all is done again, when none has failed for twice as long as most wait for their time."""
        quiet = round(2 * self._config.reap_every * SECOND)
        if self._failures and self._clock.boot() - self._failed_at >= quiet:
            self._store.events.emit(DutiesDone(self._failures))
            self._failures = 0

    async def _do(self, duty: Duty) -> None:
        now = self._clock.boot()
        if now < self._at[duty] or (duty.when is not None and not duty.when()):
            return
        self._at[duty] = now + round(duty.every * SECOND)
        try:
            if (not duty.led or await self._leads(duty)) and await duty.run():
                self._at[duty] = now
        except PostludeError as error:
            self._failures, self._failed_at = self._failures + 1, self._clock.boot()
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
        now, number, seconds = self._clock.boot(), self._runner.number, duty.every + self._config.lease
        known, until = self._led.get(duty, (0, now))
        if known == number and now < until:
            return True
        leads = await self._store.lead(number, duty.name, seconds)
        if leads:
            self._led[duty] = number, now + round(seconds / 2 * SECOND)
        else:
            self._led.pop(duty, None)
        return leads

    async def _hear_of_pauses(self) -> None:
        hearing, pauses = self._hearing, self._runner.pauses
        changes, hearing.pauses = pauses.changes, False
        try:
            paused = await self._store.paused()
        except BaseException:
            hearing.pauses = True
            raise
        if changes == pauses.changes:
            pauses.know(paused)

    async def _hear_of_stops(self) -> None:
        hearing = self._hearing
        hearing.stops = False
        try:
            asked = await self._store.asked(self._runner.number)
        except BaseException:
            hearing.stops = True
            raise
        self._runner.stop_asked(asked.stop)
        if asked.drain and not self._runner.draining:
            self._runner.wind_down()
            self._store.events.emit(ParentGone())

    async def _promote(self) -> None:
        hearing = self._hearing
        hearing.next_due = None  # what is told meanwhile is not lost
        try:
            promoted = await self._store.promote()
        except BaseException:
            hearing.due(self._clock.now() + round(self._config.poll_every * SECOND))
            raise
        if promoted.next_due is not None:
            hearing.due(promoted.next_due)

    async def _fold(self) -> bool:
        return await self._store.fold() > 0

    async def _prune(self) -> bool:
        return await self._store.prune(self._config.keep) > 0
