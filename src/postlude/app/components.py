"""What a Postlude makes of a journal and a clock: everything that changes when either does.

An application has one of these from its start to its end. A test gives it another for a while
(`Postlude.work_with`), with a journal, a clock and a way of running jobs of its own.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from postlude.app.counters import Counters
from postlude.app.scheduling import schedules_run
from postlude.app.served import Served, Serving
from postlude.clock import Clock, JournalClock
from postlude.compat import running_loop
from postlude.config import Config
from postlude.engines.protocol import Engine
from postlude.engines.routing import Routing
from postlude.enqueue.blocking import Blocking
from postlude.enqueue.bulk import add_all
from postlude.enqueue.inline import InlinePort
from postlude.enqueue.joined.joiner import Joiner
from postlude.enqueue.producer import Producer
from postlude.enqueue.sync_limits import SyncLimits
from postlude.errors import PostludeError
from postlude.jobs.absence import Absence
from postlude.jobs.acting import Verbs
from postlude.jobs.control import Control
from postlude.jobs.handle import Job
from postlude.jobs.inspector import Inspector
from postlude.jobs.looks import Looks
from postlude.jobs.queries import JobQueries
from postlude.jobs.schedules import Schedules
from postlude.jobs.subscriptions import Hub
from postlude.model.event.jobs import JobsAdded
from postlude.model.limits import DeclaredLimits
from postlude.model.role import this_process
from postlude.request.route import unstored
from postlude.runner.by_ids import ByIds
from postlude.runner.executors.pool import ExecutionContext
from postlude.runner.inline import Inline
from postlude.runner.service import Service
from postlude.stores.loops import call_on
from postlude.stores.memory import MemoryStore
from postlude.stores.protocol import Kind, Pause, Store
from postlude.tasks.call import Call
from postlude.tasks.registry import Registry
from postlude.tasks.schedules import ScheduleBook
from postlude.telemetry.counting import Counting
from postlude.telemetry.startup_log import be_heard


class Components:
    """A journal and what works with it.

    Args:
        store: the journal.
        registry: what is a task.
        config: numbers and switches.
        clock: the time.
        execution: what the application gives those who run its jobs.
        queues: the engine of each that the application has described.
        inline: who runs jobs where no runner serves the loop; usually `Inline`.
        service: makes who runs them on one loop; usually a `Service`.
        book: the schedules of the application.
    """

    def __init__(
        self,
        store: Store,
        registry: Registry,
        config: Config,
        clock: Clock,
        execution: ExecutionContext | None = None,
        queues: Mapping[str, Engine] | None = None,
        *,
        inline: InlinePort | None = None,
        service: Callable[[], Serving] | None = None,
        book: ScheduleBook | None = None,
    ) -> None:
        self.book = book or ScheduleBook(registry)
        declared = self.book if schedules_run(config) else None
        self.store = store
        self.registry = registry
        self.config = config
        self.clock = clock = JournalClock(store.now, clock)  # dates are the journal's
        self.execution = execution = execution or ExecutionContext()
        self.queues = queues = queues or {}
        self.hub = Hub(store)
        given = (store, registry, config, clock, execution)
        self._held = inline is not None
        """Whether jobs run only when a test says so: then no engine is told of them."""
        self.role = role = this_process()
        self.routing = routing = Routing(queues, role)
        execution.queues, execution.promises = routing.here, routing.promises
        execution.slots, execution.concurrency = routing.slots, role.concurrency
        self.counting = counting = execution.counting = Counting(store.events)
        self.inline = inline or Inline(*given)
        self.worker = Inline(*given, Kind.WORKER)
        """Runs what engines are told of."""
        kind = Kind.ENGINE if role.told else Kind.WORKER if role.worker else Kind.APP
        told, carriers = (role.queues if role.told else None), ({} if self._held else routing.carriers)
        of_role = kind, declared, carriers, told, role.parent
        serving = partial(Service, *given, self.bounds, routing.publishers, *of_role)
        self.control = Control(store, self.opened, self._told, self._paused, registry, queues, config.keep)
        self.absence = Absence(store, config, clock, self._runs_jobs)
        looking = store, registry, config, self.hub, self.control, self.opened, unstored, self.absence
        self.queries = JobQueries(*looking, self._arrive)
        self.schedules = Schedules(store, self.opened, self.queries)
        self.producer = Producer(
            store,
            registry,
            config,
            clock,
            self.inline,
            self.opened,
            self.queries,
            execution.carried,
            SyncLimits(store, registry, self.bounds),
            execution.tracers,
            counting,
        )
        self.producer.bounded_queues = execution.bounded_queues = routing.bounded
        self.producer.here = None if routing.here.every else routing.here
        if routing.publishers and not self._held:
            store.events.listen(routing.added, JobsAdded)
        self.inspector = Inspector(store, registry.attempts, self._arrive)
        self.looks = Looks(store, self.opened, self.inspector)
        self.verbs = Verbs(self.control, self.queries, self.looks, self.schedules)
        self.blocking = Blocking(self.producer, store, config, self.ensure_open, self.absence, self.verbs)
        self._served = Served(service or serving, self.producer.attach, self.producer.detach)
        self.joiner = self.producer.joiner = Joiner(self.producer, store, self.ensure_open, config.budget)
        self._opening = threading.Lock()
        self._open = False
        self._users: set[object] = set()

    def _arrive(self, id: bytes) -> Awaitable[None]:
        return self.joiner.arrive(id)

    def _runs_jobs(self) -> bool:
        """Whether this process runs jobs, or is about to: its lifespan has begun."""
        return bool(self._users or self.producer.runners)

    def look_in(self) -> None:
        """Let run what waits in the journal, where no lifespan runs: a request has come.

        A journal in memory has nothing that another process has left, so it is not opened for this. Where
        somebody has started a runner by hand, that one does it.
        """
        if (self._open or not isinstance(self.store, MemoryStore)) and not self.producer.serves():
            self.inline.look_in(self.opened)

    async def opened(self) -> None:
        """Open the journal, if nobody has.

        Raises:
            PostludeError: this is no asyncio event loop.
        """
        _need_asyncio()
        if not self._open:
            await asyncio.to_thread(self.ensure_open)

    def ensure_open(self) -> None:
        """Open the journal, if nobody has. Blocks."""
        with self._opening:
            self._open_it()

    def _open_it(self) -> None:
        if not self._open:
            be_heard()
            self.store.open()
            self._open = True

    async def add_one(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Job[Any]:
        """Store a call, outside of requests; it starts at once where a runner serves the loop."""
        producer = self.producer
        work = producer.prepare(function, args, kwargs)
        if producer.serves():
            await producer.commit([work])
            producer.start([work])
        else:
            await self.opened()
            await producer.store([work])
            await self.absence.look()
        return work.job

    async def add_all(self, calls: Iterable[Call | Callable[[], Any]], *, atomic: bool) -> list[Job[Any]]:
        """Store many calls, outside of requests; see `postlude.enqueue.bulk.add_all`."""
        await self.opened()
        jobs = await add_all(self.producer, calls, atomic=atomic)
        await self.absence.look()
        return jobs

    def _has_bounds(self) -> bool:
        return bool(self.registry.bounded_so_far or self.routing.bounded)

    def bounds(self) -> list[DeclaredLimits]:
        """Return what this release says of its tasks and queues."""
        return self.routing.limits() + self.registry.bounds

    def _told(self, id: bytes) -> None:
        """A job that runs was asked to stop: tell the runners here, one of which may have it."""
        self.hub.note(id)
        for runner in [*self.producer.runners, *self.inline.runners, *self.worker.runners]:
            call_on(runner.loop, runner.cancel, id)

    async def _paused(self, what: Sequence[Pause], paused: bool) -> None:
        """Somebody has paused this, or resumed it: the runners here hear of it before that has been said."""
        here = asyncio.get_running_loop()
        for runner in [*self.producer.runners, *self.inline.runners]:
            told = runner.pauses.told(what, paused=paused)
            if runner.loop is here:
                await told
            elif not runner.loop.is_closed():
                future = asyncio.wrap_future(asyncio.run_coroutine_threadsafe(told, runner.loop))
                await asyncio.wait([future], timeout=self.config.budget)  # it may hang
            else:
                told.close()

    @property
    def counters(self) -> Counters:
        """What an operator should know of this process."""
        hung = sum(runner.executors.hung for runner in self.producer.runners)
        memory = self.producer.memory
        return Counters(memory.calls, hung, memory.kinds)

    # -- lifespans ------------------------------------------------------------------------------

    async def enter(self, user: object) -> None:
        """Open the journal for a lifespan, which keeps it open until it leaves.

        Raises:
            PostludeError: this is no asyncio event loop.
        """
        _need_asyncio()

        def enter() -> None:
            with self._opening:
                self._open_it()
                self._users.add(user)

        await asyncio.to_thread(enter)
        await self.joiner.start()

    async def serve(self) -> None:
        """Have a runner serve this loop: the one that is there, or a new one."""
        await self._served.start()
        await self.joiner.start()  # also those that the application's own start has declared
        if not self._held:
            told = self.role.told and self._served.runner
            try:
                await self.routing.start(
                    ByIds(self.store, told, self._has_bounds) if told else self.worker.run
                )
            except BaseException:
                await self._served.stop()
                raise

    async def release(self) -> None:
        """Need it no longer: without other lifespans of this loop it lets running jobs end, and stops."""
        if not self._held:
            await self.routing.stop(self.config.grace)
        await self._served.stop()

    def abandon(self, loop: asyncio.AbstractEventLoop) -> None:
        """Need it no longer, and wait for nothing: the loop's lifespan has ended without its shutdown."""
        if not self._held:
            self.routing.abandon()
        self._served.abandon(loop)

    async def leave(self, user: object) -> None:
        """Close the journal, if no other lifespan has it open."""

        if self._users <= {user}:
            await self.joiner.stop()

        def leave() -> None:
            with self._opening:
                self._users.discard(user)
                if not self._users:
                    self._open = False
                    self.joiner.close()
                    self.inline.close()
                    self.worker.close()
                    self.store.close()

        await asyncio.to_thread(leave)


def _need_asyncio() -> None:
    if running_loop() is None:
        raise PostludeError(
            "Postlude needs asyncio, and this application runs on trio: serve it with asyncio (uvicorn, "
            "hypercorn's asyncio worker, TestClient without backend='trio'), or switch Postlude "
            "off (POSTLUDE_STORE=off)"
        )
