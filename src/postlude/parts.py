"""What a Postlude makes of a journal and a clock: everything that changes when either does.

An application has one of these from its start to its end. A test gives it another for a while
(`Postlude.work_with`), with a journal, a clock and a way of running jobs of its own.
"""

import asyncio
import threading
from typing import Protocol

from postlude.clock import Clock
from postlude.config import Config
from postlude.inspector import Inspector
from postlude.outside import Blocking
from postlude.producer import Producer, Visiting
from postlude.runner.runner import Runner
from postlude.runner.service import Service
from postlude.runner.visit import Visits
from postlude.stores.protocol import Store
from postlude.tasks.registry import Registry


class Serving(Protocol):
    """Who runs jobs from the lifespan's start to its end; see `postlude.runner.service.Service`."""

    async def start(self) -> Runner | None:
        """Begin on the running loop; the runner that takes what its requests add, if there is one."""
        ...

    async def stop(self) -> None:
        """Come to an end. Does nothing if it has not begun."""
        ...


class Parts:
    """A journal and what works with it.

    Args:
        store: the journal.
        registry: what is a task.
        config: numbers and switches.
        clock: the time.
        visits: who runs jobs where no runner serves the loop; usually `Visits`.
        service: who runs them where one does; usually `Service`.
    """

    def __init__(
        self,
        store: Store,
        registry: Registry,
        config: Config,
        clock: Clock,
        *,
        visits: Visiting | None = None,
        service: Serving | None = None,
    ) -> None:
        self.store = store
        self.registry = registry
        self.config = config
        self.clock = clock
        self.visits = visits or Visits(store, registry, config, clock)
        self.service = service or Service(store, registry, config, clock)
        self.producer = Producer(store, registry, config, clock, self.visits, self.opened)
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

    async def start(self) -> None:
        """Let the service begin on this loop."""
        self.producer.attach(await self.service.start())

    async def drain(self) -> None:
        """Stop claiming, let running jobs end, release the rest."""
        try:
            await self.service.stop()
        finally:
            self.producer.attach(None)

    async def close(self) -> None:
        """Close the journal."""
        self.visits.close()
        self._open = False
        await asyncio.to_thread(self.store.close)
