"""The parent of an engine's worker: a row without slots, above those of the processes that run jobs."""

from postlude.clock import Clock
from postlude.config import Config
from postlude.model.event.broker import WorkerDeaf, WorkerHears
from postlude.model.event.runner import RunnersBuried
from postlude.model.queues import Queues
from postlude.runner.lease import Lease
from postlude.stores.protocol import Kind, LivingRunner, NewRunner, Store


class Parenthood:
    """Keeps that row, and looks after those of the children.

    Args:
        store: the journal, open.
        config: lease and renewal.
        clock: the time.
        queues: those that the worker is told of.
    """

    def __init__(self, store: Store, config: Config, clock: Clock, queues: Queues) -> None:
        self._store = store
        self._queues = queues
        new = NewRunner(config.release, config.lease, Kind.ENGINE, queues, slots=0)
        self._lease = Lease(store, config, clock, new)
        self._lease.hears = True

    async def begin(self) -> None:
        """Enlist.

        Raises:
            JournalUnavailable: the journal cannot be written now.
        """
        await self._lease.join()
        await self._store.renew(self._lease.runner, hears=True)
        self._lease.keep(None, None)

    async def end(self) -> None:
        """Retire. The children end too, or end what they run as soon as they see that it has gone."""
        await self._lease.leave((), draining=True)

    async def number(self) -> int:
        """Return its number: another one, if the journal had buried it."""
        if self._lease.lost:
            self._lease.lost = False
            await self._lease.rejoin(lambda: None)
        return self._lease.runner

    async def children(self, pid: int) -> list[LivingRunner]:
        """Return those that run jobs below it.

        Args:
            pid: of the worker, which in pools without processes runs jobs itself.
        """
        number = self._lease.runner
        living = await self._store.living()
        return [one for one in living if one.slots != 0 and (one.parent == number or one.pid == pid)]

    async def waits(self) -> bool:
        """Return whether something of its queues is with the broker."""
        return any(out.queue in self._queues for out in await self._store.published())

    async def deaf(self, seconds: float, ends: bool) -> None:
        """What the broker has does not reach the worker: have it published again, and tell.

        Args:
            seconds: for how long that has been so.
            ends: whether the worker ends because of it.
        """
        self._lease.hears = False
        await self._store.renew(self._lease.runner, hears=False)
        await self._store.withdraw(self._queues)
        self._store.events.emit(WorkerDeaf(sorted(self._queues.names), seconds, ends))

    async def hears(self) -> None:
        """It reaches the worker again."""
        self._lease.hears = True
        await self._store.renew(self._lease.runner, hears=True)
        self._store.events.emit(WorkerHears(sorted(self._queues.names)))

    async def bury(self) -> int:
        """Look for the dead, since a child has gone; return how many there were."""
        reaped = await self._store.reap()
        if reaped.runners:
            self._store.events.emit(RunnersBuried(*reaped))
        return reaped.runners
