"""Giving a broker the ids of jobs: the outbox of one queue, kept by the process that leads it."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from math import inf
from typing import Final, Protocol

from postlude.clock import SECOND, Clock
from postlude.compat import running_loop
from postlude.config import Config
from postlude.errors import PostludeError
from postlude.model.event.broker import BrokerLost, BrokerReached, JobsPublished
from postlude.model.event.runner import DutyFailed
from postlude.model.queues import only
from postlude.stores.loops import call_on
from postlude.stores.protocol import Kind, LivingRunner, Store
from postlude.stores.signals import Signals
from postlude.telemetry.carrying import traces_in

WINDOW: Final = 128
"""Jobs of a queue that are published at once at least: twice as many as slots, if these are more. A turn
takes some 25 ms, and workers claim short jobs ahead: with 64, two processes waited for messages at 1,400
jobs a second."""

LOOK_EVERY: Final = 1.0
"""Seconds between looks at who runs jobs, and at the broker, where nothing else gives cause to."""

SHORTEST: Final = 0.005
LONGEST: Final = 0.1
"""Seconds between looks whether a full window has room: the first pause, and the longest."""

ROOM: Final = 4
"""Such a part of a full window is to be free when it is filled: each time is a commit, in a turn of its own,
for which all claims wait."""

AGAIN: Final = 0.5
LATEST: Final = 5.0
"""Seconds until a broker that is away is tried again: the first pause, and the longest."""

IDLE_PATIENCE: Final = 3.0
"""Seconds after which a published job is published again while a slot is free: its message must be lost."""

IDLE_FOR: Final = 2.0
"""Seconds for which a runner must have had a free slot: between two jobs, and as a process of a worker takes
the place of another, each has one for a moment, and what waits for it is not lost."""

BUSY_PATIENCE: Final = 60.0
"""Seconds after which it is while all slots are taken: its message may wait for one."""


class Broker(Protocol):
    """What an outbox gives ids to; `postlude.engines.protocol.Carrier` says what each of these does."""

    @property
    def epoch(self) -> int: ...

    async def reach(self, queue: str) -> str | None: ...

    async def send(
        self, queue: str, ids: Sequence[bytes], traces: Mapping[bytes, Mapping[str, str]]
    ) -> Sequence[bytes]: ...


class _Ready(Signals):
    """Hears that jobs of a queue are ready; from any thread."""

    def __init__(self, queue: str, news: asyncio.Event) -> None:
        self._queue, self._news = queue, news
        self._loop = asyncio.get_running_loop()

    def ready(self, queues: Collection[str] | None) -> None:
        if queues is None or self._queue in queues:
            if running_loop() is self._loop:
                self._news.set()
            else:
                call_on(self._loop, self._news.set)


class Outbox:
    """The outbox of one queue. Made on the runner's loop.

    Args:
        queue: whose jobs are published.
        broker: who is given their ids.
        store: the journal, which says which these are.
        number: the runner's, of now.
        config: the lease, for which the lead is asked.
        clock: the boot clock measures pauses.
    """

    def __init__(
        self,
        queue: str,
        broker: Broker,
        store: Store,
        number: Callable[[], int],
        config: Config,
        clock: Clock,
    ) -> None:
        self._queue = queue
        self._broker = broker
        self._store = store
        self._number = number
        self._config = config
        self._clock = clock
        self._duty = f"publish {queue}"
        self._news = asyncio.Event()
        self._listener = _Ready(queue, self._news)
        self._led: tuple[int, int] | None = None
        """As which runner it leads, and until when it need not ask again."""
        self._epoch: int | None = None
        """The broker's, when all that was published was in it; None: not known."""
        self._slots, self._idle = 0, False
        self._free: dict[int, float] = {}
        """Since when runners have had a free slot each time they were looked at (seconds, boot clock)."""
        self._looked = -inf
        self._away = 0.0
        self._vain = 0.0
        self._published = -inf
        """When it was looked last for what can be published (seconds, by the boot clock)."""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._store.listen(self._listener)
        self._task = asyncio.get_running_loop().create_task(
            self._run(), name=f"postlude-outbox {self._queue}"
        )

    def cancel(self) -> None:
        """End with the loop's next turn."""
        self._store.leave(self._listener)
        if self._task is not None:
            self._task.cancel()

    async def stop(self) -> None:
        """End; another process can lead at once."""
        self.cancel()
        if self._task is not None:
            await asyncio.wait([self._task])
        if self._led is not None:
            self._store.lead(self._number(), self._duty, 0).then(lambda reply: None)

    async def _run(self) -> None:
        while True:
            self._news.clear()
            try:
                pause, heeds_news = await self._turn()
            except PostludeError as error:
                self._store.events.emit(DutyFailed(error))
                pause, heeds_news = LOOK_EVERY, False
            if heeds_news:
                await self._wait(pause)
            else:
                await asyncio.sleep(pause)

    async def _wait(self, seconds: float) -> None:
        timer = asyncio.get_running_loop().call_later(seconds, self._news.set)
        try:
            await self._news.wait()
        finally:
            timer.cancel()

    async def _turn(self) -> tuple[float, bool]:
        """Publish what may be; returns the seconds until the next turn, and whether news bring it forward."""
        if not await self._leads():
            self._epoch = None
            return LOOK_EVERY, False
        if (why := await self._broker.reach(self._queue)) is not None:
            return self._lost(why), False
        epoch = self._broker.epoch
        await self._look_around()
        patience = IDLE_PATIENCE if self._idle else BUSY_PATIENCE
        if self._epoch != epoch:
            patience = 0.0
        window = max(WINDOW, 2 * self._slots)
        outgoing = await self._store.publish(self._queue, window, patience=patience)
        if outgoing.ids:
            traces = {id: traces_in(context) for id, context in outgoing.contexts.items()}
            missed = await self._broker.send(self._queue, outgoing.ids, traces)
            if missed:
                await self._store.withdraw(only({self._queue}), missed)
            taken = len(outgoing.ids) - len(missed)
            if taken and JobsPublished in self._store.events.heard:
                self._store.events.emit(JobsPublished(self._queue, taken))
            if missed:
                return self._lost(f"it has not taken {len(missed)} of {len(outgoing.ids)} messages"), False
        if self._away:
            self._away = 0.0
            self._store.events.emit(BrokerReached(self._queue))
        self._epoch = epoch
        pause = self._until_next(len(outgoing.ids), window, outgoing.left, outgoing.again)
        return pause, not outgoing.left  # what is added beyond a full window changes nothing

    def _lost(self, why: str) -> float:
        self._epoch = None
        if not self._away:
            self._store.events.emit(BrokerLost(self._queue, why))
        self._away = min(max(AGAIN, 2 * self._away), LATEST)
        return self._away

    def _until_next(self, found: int, window: int, left: bool, again: int | None) -> float:
        now = self._clock.boot() / SECOND
        since, self._published = now - self._published, now
        if left:
            if found:  # at this pace, some of the window is free then
                self._vain = 0.0
                return min(max(SHORTEST, min(since, LONGEST) * window / ROOM / found), LONGEST)
            self._vain = min(max(SHORTEST, 2 * self._vain), LONGEST)
            return self._vain
        self._vain = 0.0
        later = LOOK_EVERY if again is None else (again - self._store.now()) / SECOND
        return min(max(later, SHORTEST), LOOK_EVERY)

    async def _look_around(self) -> None:
        """Look, now and then, how many slots there are for the queue, and whether one of them stays free."""
        now = self._clock.boot() / SECOND
        if now - self._looked < LOOK_EVERY:
            return
        self._looked = now
        told = [runner for runner in await self._store.living() if serves_by_id(runner, self._queue)]
        self._slots = sum(runner.slots or 1 for runner in told)
        free = [runner.number for runner in told if runner.holds < (runner.slots or 1)]
        self._free = {number: self._free.get(number, now) for number in free}
        self._idle = any(now - since >= IDLE_FOR for since in self._free.values())

    async def _leads(self) -> bool:
        """Whether this runner publishes for all: for a lease longer than until it asks again."""
        now, number, seconds = self._clock.boot(), self._number(), self._config.lease
        if self._led is not None and self._led[0] == number and now < self._led[1]:
            return True
        leads = await self._store.lead(number, self._duty, seconds)
        self._led = (number, now + round(seconds / 3 * SECOND)) if leads else None
        return leads


def serves_by_id(runner: LivingRunner, queue: str) -> bool:
    """Whether a runner runs the jobs of a queue when an engine tells it their ids."""
    return runner.kind == Kind.ENGINE and runner.slots != 0 and queue in runner.queues
