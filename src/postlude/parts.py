"""What a Postlude makes of a journal and a clock: everything that changes when either does.

An application has one of these from its start to its end. A test gives it another for a while
(`Postlude.work_with`), with a journal, a clock and a way of running jobs of its own.
"""

import asyncio
import threading
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from postlude.clock import Clock
from postlude.config import Config
from postlude.declaring import Declaring
from postlude.engines import Local, bounds_of_queues
from postlude.handles import Handles
from postlude.inspector import Inspector
from postlude.model.policy import Bounds
from postlude.operations import Operations
from postlude.outside import Blocking
from postlude.pending import unstored
from postlude.producer import Producer, Visiting
from postlude.runner.changes import Hub
from postlude.runner.runner import Runner
from postlude.runner.service import Service
from postlude.runner.visit import Visits
from postlude.runner.workshop import Equipment
from postlude.stores.protocol import Store
from postlude.tasks.registry import Registry


class Counters(NamedTuple):
    """What has gone on in this process that an operator should know of."""

    memory_only: int
    """Tasks that ran in memory, because they have no durable form."""
    hung_threads: int
    """Threads that still run a job whose time is over; their places have been replaced."""


class Serving(Protocol):
    """Who runs jobs from the lifespan's start to its end; see `postlude.runner.service.Service`."""

    async def start(self) -> Runner | None:
        """Begin on the running loop; the runner that takes what its requests add, if there is one."""
        ...

    async def stop(self) -> None:
        """Come to an end. Does nothing if it has not begun."""
        ...

    def abandon(self) -> None:
        """Come to an end at once: the journal is about to be closed. Does nothing after `stop`."""
        ...


class Parts:
    """A journal and what works with it.

    Args:
        store: the journal.
        registry: what is a task.
        config: numbers and switches.
        clock: the time.
        equipment: what the application gives those who run its jobs.
        queues: those that the application has described.
        visits: who runs jobs where no runner serves the loop; usually `Visits`.
        service: who runs them where one does; usually `Service`.
    """

    def __init__(
        self,
        store: Store,
        registry: Registry,
        config: Config,
        clock: Clock,
        equipment: Equipment | None = None,
        queues: Mapping[str, Local] | None = None,
        *,
        visits: Visiting | None = None,
        service: Serving | None = None,
    ) -> None:
        self.store = store
        self.registry = registry
        self.config = config
        self.clock = clock
        self.equipment = equipment = equipment or Equipment()
        self.queues = queues = queues or {}
        self.hub = Hub(store, config)
        given = (store, registry, config, clock, equipment, self.hub)
        self.visits = visits or Visits(*given)
        self.service = service or Service(*given, self.bounds)
        self.operations = Operations(store, self.opened, self._told, self._stirred, registry, queues)
        self.handles = Handles(store, registry, config, self.hub, self.operations, self.opened, unstored)
        declaring = Declaring(store, registry, self.bounds)
        self.producer = Producer(
            store,
            registry,
            config,
            clock,
            self.visits,
            self.opened,
            self.handles,
            equipment.carried,
            declaring,
        )
        bounded_queues = frozenset(name for name, engine in queues.items() if engine.bounded)
        self.producer.bounded_queues = equipment.bounded_queues = bounded_queues
        self.inspector = Inspector(store)
        self.blocking = Blocking(self.producer, store, config, self.ensure_open)
        self._opening = threading.Lock()
        self._open = False

    async def opened(self) -> None:
        """Open the journal, if nobody has."""
        if not self._open:
            await asyncio.to_thread(self.ensure_open)

    def ensure_open(self) -> None:
        """Open the journal, if nobody has. Blocks."""
        with self._opening:
            if not self._open:
                self.store.open()
                self._open = True

    def bounds(self) -> list[Bounds]:
        """Return what this release says of its tasks and queues."""
        return bounds_of_queues(self.queues) + self.registry.bounds

    def _told(self, id: bytes) -> None:
        """A job that runs was asked to stop: tell the runner here, which may have it."""
        self.hub.note(id)
        runner = self.producer.attached
        if runner is not None and not runner.loop.is_closed():
            runner.loop.call_soon_threadsafe(runner.cancel, id)

    @property
    def counters(self) -> Counters:
        """What an operator should know of this process."""
        runner = self.producer.attached
        return Counters(self.producer.memory_only, 0 if runner is None else runner.workshop.hung)

    async def start(self) -> None:
        """Let the service begin on this loop."""
        runner = await self.service.start()
        self.producer.attach(runner)
        self.hub.serve(runner is not None)

    async def drain(self) -> None:
        """Stop claiming, let running jobs end, release the rest."""
        self.hub.serve(False)
        try:
            await self.service.stop()
        finally:
            self.producer.attach(None)

    async def close(self) -> None:
        """Close the journal."""
        self.hub.serve(False)
        self.service.abandon()
        self.producer.attach(None)
        self.visits.close()
        self._open = False
        await asyncio.to_thread(self.store.close)

    def _stirred(self) -> None:
        """Somebody has cancelled, retried or resumed: let the runner and those who watch look."""
        self.hub.look()
        runner = self.producer.attached
        if runner is not None and not runner.loop.is_closed():
            runner.loop.call_soon_threadsafe(runner.notify)
