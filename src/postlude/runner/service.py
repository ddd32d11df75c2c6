"""A runner with everything that it needs, from the lifespan's start to its end."""

from postlude.clock import Clock
from postlude.config import Config
from postlude.runner.collector import CollectorTuning
from postlude.runner.housekeeping import Housekeeping
from postlude.runner.membership import Membership
from postlude.runner.runner import Runner
from postlude.stores.protocol import Store
from postlude.tasks.registry import Registry


class Service:
    """Starts and stops a runner on the running event loop.

    Args:
        store: the journal, open.
        registry: where names become functions.
        config: slots, limits and periods.
        clock: the time.
    """

    def __init__(self, store: Store, registry: Registry, config: Config, clock: Clock) -> None:
        self._store = store
        self._registry = registry
        self._config = config
        self._clock = clock
        self._collector = CollectorTuning()
        self._parts: tuple[Membership, Runner, Housekeeping] | None = None

    async def start(self) -> Runner:
        """Enlist, begin to renew the lease, recover what was left, and begin to claim."""
        membership = Membership(self._store, self._config, self._clock, "")
        await membership.join()
        runner = Runner(membership, self._store, self._registry, self._config, self._clock)
        housekeeping = Housekeeping(runner, self._store, self._registry, self._config, self._clock)
        membership.keep(runner, runner.lost)
        housekeeping.start()
        runner.notify()
        self._parts = membership, runner, housekeeping
        if self._config.tune_gc:
            self._collector.start()
        return runner

    async def stop(self) -> None:
        """Drain, and release what is left in one write."""
        if self._parts is None:
            return
        membership, runner, housekeeping = self._parts
        self._parts = None
        self._collector.stop()
        await housekeeping.stop()
        await membership.leave(await runner.drain(self._config.grace), draining=True)
