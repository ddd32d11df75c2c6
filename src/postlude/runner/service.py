"""A runner with everything that it needs, from the lifespan's start to its end."""

from collections.abc import Callable, Mapping, Sequence

from postlude.clock import Clock
from postlude.config import Config
from postlude.model.limits import DeclaredLimits
from postlude.model.queues import Queues
from postlude.runner.attempt.logs import log_keeper
from postlude.runner.duties.loop import Housekeeping
from postlude.runner.duties.outbox import Broker, Outbox
from postlude.runner.duties.publish import Publish
from postlude.runner.duties.schedules import Declared
from postlude.runner.executors.pool import ExecutionContext
from postlude.runner.gc_tuning import COLLECTOR, SWITCHING, Shared
from postlude.runner.lease import Lease
from postlude.runner.runner import Runner
from postlude.stores.protocol import Kind, NewRunner, Store
from postlude.tasks.registry import Registry


class Service:
    """Starts and stops a runner on the running event loop.

    Args:
        store: the journal, open.
        registry: where names become functions.
        config: slots, limits and periods.
        clock: the time.
        execution: what the application gives its runners.
        bounds: what this release says of its tasks and queues; asked at the start.
        publishers: by queue, who is told of what waits there, because no runner claims it.
        kind: what the journal is told that it is a part of.
        schedules: what this release has of them; None: it leaves them to others.
        brokers: by queue, who is given the ids of what waits there; see `Outbox`.
        told: the queues of which an engine tells this process what to run; None: this is no such process.
        parent: the runner that it is a child of.
    """

    def __init__(
        self,
        store: Store,
        registry: Registry,
        config: Config,
        clock: Clock,
        execution: ExecutionContext,
        bounds: Callable[[], Sequence[DeclaredLimits]],
        publishers: Mapping[str, Publish],
        kind: Kind = Kind.APP,
        schedules: Declared | None = None,
        brokers: Mapping[str, Broker] | None = None,
        told: Queues | None = None,
        parent: int | None = None,
    ) -> None:
        self._parent = parent
        self._kind, self._schedules = kind, schedules
        self._brokers, self._told = brokers or {}, told
        self._outboxes: list[Outbox] = []
        self._publishers = publishers
        self._store = store
        self._registry = registry
        self._config = config
        self._clock = clock
        self._execution = execution
        self._bounds = bounds
        self._changed: list[Shared] = []
        self._stopping = False
        self._settings: list[Shared] = []
        if config.tune_gc:
            self._settings.append(COLLECTOR)
        if config.tune_switching:
            self._settings.append(SWITCHING)
        self._logs = log_keeper(config)
        self._components: tuple[Lease, Runner, Housekeeping] | None = None

    async def start(self) -> Runner:
        """Enlist, begin to renew the lease, recover what was left, and begin to claim."""
        store, registry, config, clock = self._store, self._registry, self._config, self._clock
        queues, slots = self._execution.queues, self._execution.concurrency or config.slots
        if self._told is not None:
            queues = self._told
        new = NewRunner(config.release, config.lease, self._kind, queues, slots, self._parent)
        lease = Lease(store, config, clock, new)
        await store.declare(self._bounds())
        if self._told is None:  # a broker had them before this release: nobody else would claim them
            await store.withdraw(queues)
        await lease.join()
        claims = self._told is None
        runner = Runner(lease, store, registry, config, clock, claims=claims, execution=self._execution)
        telling = self._publishers, self._schedules, self._execution.counting
        housekeeping = Housekeeping(runner, store, registry, config, clock, *telling)
        lease.keep(runner, runner.lost)
        housekeeping.start()
        self._outboxes = [
            Outbox(queue, broker, store, lambda: runner.number, config, clock)
            for queue, broker in self._brokers.items()
        ]
        for outbox in self._outboxes:
            outbox.start()
        runner.notify()
        self._components = lease, runner, housekeeping
        self._logs.start()
        for setting in self._settings:
            setting.start()
            self._changed.append(setting)
        return runner

    def _put_back(self) -> None:
        while self._changed:
            self._changed.pop().stop()

    def abandon(self) -> None:
        """End as a death would, if `stop` was not called: the lifespan has ended without its shutdown.

        Nothing is drained, and nothing waited for: the event loop cancels what runs at the same time, and
        that is no end of a job. It runs again.
        """
        if self._components is None:
            return
        lease, runner, housekeeping = self._components
        self._components = None
        lease.marks.draining()  # no job is charged with this death
        runner.abandon()
        housekeeping.cancel()
        for outbox in self._outboxes:
            outbox.cancel()
        lease.stop()
        self._put_back()
        self._logs.stop()

    async def stop(self) -> None:
        """Drain, and release what is left in one write."""
        if self._components is None or self._stopping:
            return
        lease, runner, housekeeping = self._components
        self._stopping = True
        try:
            self._put_back()
            await housekeeping.stop()
            for outbox in self._outboxes:
                await outbox.stop()
            await lease.leave(await runner.drain(self._config.grace), draining=True)
            self._components = None  # not before: who is cancelled meanwhile is abandoned
            self._logs.stop()
        finally:
            self._stopping = False
