"""Asking for work: calls become jobs here, are committed, and are given to the runner."""

import asyncio
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Collection, MutableMapping, Sequence
from functools import partial
from time import perf_counter
from typing import Any

from postlude.clock import Clock
from postlude.compat import running_loop
from postlude.config import Config
from postlude.enqueue.in_memory import InMemory
from postlude.enqueue.inline import InlinePort
from postlude.enqueue.joined.target import Joins
from postlude.enqueue.ordering import Placed, chain, in_order, new_jobs
from postlude.enqueue.sync_limits import SyncLimits
from postlude.enqueue.terms import carry, say_terms
from postlude.errors import JournalUnavailable, PostludeError
from postlude.jobs.handle import Enquiries
from postlude.model.counted import ADD
from postlude.model.event.jobs import JobsAdded, JobsRefused
from postlude.model.ids import IdSource
from postlude.model.job import Added, NewJob
from postlude.model.queues import Queues
from postlude.runner.attempt.work import Work, give_trace, place
from postlude.runner.runner import Runner
from postlude.runner.turn import Turn
from postlude.runner.waiters import first_of_visit
from postlude.stores.protocol import Store
from postlude.stores.reply import Reply
from postlude.tasks.context import Carried
from postlude.tasks.registry import Registry
from postlude.telemetry.counting import Counting
from postlude.telemetry.tracing import Tracers


class Producer:
    """Turns calls into jobs: the `Port` of the web frameworks' side.

    Args:
        store: the journal.
        registry: what is a task.
        config: the budget of a write.
        clock: the time.
        inline: runs jobs inside requests, where no runner serves the event loop.
        opened: opens the journal if nobody has; awaited before a write without a lifespan.
        enquiries: answers what the handles of its jobs ask.
        carried: the context variables that travel with jobs.
        sync_limits: tells the journal of limits and rates before it is given jobs.
        tracers: what traces the requests that add jobs.
        counting: counts what no job tells of.
    """

    def __init__(
        self, store: Store, registry: Registry, config: Config, clock: Clock, inline: InlinePort,
        opened: Callable[[], Awaitable[None]], enquiries: Enquiries, carried: Carried,
        sync_limits: SyncLimits, tracers: Tracers, counting: Counting,
    ) -> None:  # fmt: skip
        self._store, self._events = store, store.events
        self._registry = registry
        self._known = registry.by_function
        self._config, self._clock = config, clock
        self._inline, self._opened = inline, opened
        self._enquiries = enquiries
        self._times = counting.adds
        self.sync_limits = sync_limits
        self._tracers = tracers
        self.carried = carried
        self._carries = bool(carried)
        self.bounded_queues: frozenset[str] = frozenset()
        """Queues that are limited."""
        self.here: Queues | None = None
        """Those that the runners here claim from, so that their jobs may be born claimed; None: all."""
        self.joiner: Joins
        """Set by whoever makes it."""
        self.owner: Callable[[MutableMapping[str, Any]], Awaitable[str | None]] | None = None
        self._ids: IdSource | None = None
        self._runner: Runner | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._served: dict[asyncio.AbstractEventLoop | None, Runner] = {}
        """By loop. The one above is the first of them, and nearly always the only one."""
        self.memory = InMemory(store.events)
        """Tasks that ran in memory, because they have no durable form."""
        counting.in_memory = self.memory.by_task

    def attach(self, runner: Runner) -> None:
        """Give to this runner what its loop's requests add."""
        self._served[runner.loop] = runner
        if self._loop is None or self._loop.is_closed():
            # The loop last: another loop's requests, in another thread, must not take these for theirs.
            self._runner, self._loop = runner, runner.loop

    def detach(self, runner: Runner) -> None:
        """It takes nothing any more."""
        self._served.pop(runner.loop, None)
        if runner.loop is self._loop:
            self._loop = self._runner = None

    @property
    def runners(self) -> list[Runner]:
        """Those that lifespans have started, one for each of their loops."""
        return list(self._served.values())

    @property
    def attached(self) -> Runner | None:
        """The first of them; None: no lifespan runs."""
        return next(iter(self.runners), None)

    def serves(self) -> bool:
        """Whether a runner, started by the lifespan, serves the running event loop."""
        return running_loop() in self._served

    def prepare(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Work:
        """Bind, validate and encode a call.

        Raises:
            NotDurable: the function or an argument has no durable form.
            TypeError: the arguments do not fit the function's parameters.
        """
        try:
            task = self._known.get(function)
        except TypeError:  # an object that cannot be hashed
            task = None
        if task is None:
            task, args, kwargs = self._registry.call(function, args, kwargs)
        payload, positional, named = encoded = task.encode(args, kwargs)
        ids = self._ids
        if ids is None:
            # Not before: made in a parent that forks, it would give its children equal ids.
            ids = self._ids = IdSource()
        now = self._clock.now()
        work = Work(
            ids.new(now), task.name, task.queue, payload, now,
            task.once, task, positional, named, self._enquiries,
        )  # fmt: skip
        if task.special or self.bounded_queues or self._carries:
            say_terms(work, task, encoded, self.carried, self.bounded_queues)
        return work

    async def commit(self, prepared: Sequence[Work | Turn], after: Work | None = None) -> None:
        """Write a request's jobs, all or none; returns when they are on disk. See `Port.commit`.

        Raises:
            JournalUnavailable: not confirmed within the budget.
            KeyTaken: a job has the key of one of them, and that one says `on_conflict="raise"`.
        """
        trace = self._tracers.capture()
        if trace is not None:
            give_trace(trace, (work for work in prepared if isinstance(work, Work)))
        loop = running_loop()
        runner = self._runner if loop is self._loop else self._served.get(loop)
        if runner is None:
            await self._commit_unserved(prepared, after)
            return
        if self.carried.carriers:
            carry(self.carried, [work for work in prepared if isinstance(work, Work)])
        if len(prepared) == 1 and after is None and prepared[0].usual:  # nearly always
            works: Sequence[Work] = prepared  # type: ignore[assignment]
            jobs, heads = [works[0].new_job(False, None)], 1
        else:
            placed = in_order(prepared, after)
            if not placed:
                return
            works, heads = [work for work, _, _ in placed], sum(not links for _, links, _ in placed)
            jobs = new_jobs(placed, self._config.order_wait)
        if self.sync_limits.told != self._registry.bounded_so_far:
            self.sync_limits.tell()
        away = self.here is not None and not all(work.queue in self.here for work in works)
        holder = None if away else runner.reserve(heads)
        reserved = heads if holder else 0
        reply: Reply[list[Added]] | None = None
        began = perf_counter()
        try:
            reply = self._store.add(jobs, claim_for=holder, budget=self._config.budget)
            added = await reply
        except BaseException as error:
            self._not_added(error, runner, works, jobs, reserved, reply)
            raise
        # Here, and without a call: this is on the way of each request.
        self._times.total += (took := perf_counter() - began)
        self._times.counts[bisect_left(ADD, took)] += 1
        if JobsAdded in self._events.heard:
            self._events.emit(JobsAdded(jobs, added))
        runner.take(works, added, reserved)
        if after is not None and not isinstance(prepared[0], Turn):
            self._follow(after, works[0])

    def _not_added(
        self, error: BaseException, runner: Runner, works: Sequence[Work], jobs: Sequence[NewJob],
        reserved: int, reply: Reply[list[Added]] | None,
    ) -> None:  # fmt: skip
        """The wait for an `add` has ended without its answer."""
        cancelled = isinstance(error, asyncio.CancelledError)
        if cancelled and reply is not None and not reply.withdraw():
            # It is being committed: then it is accepted, and it runs.
            reply.then(partial(self._tell_of, jobs))
            reply.then(partial(runner.run_orphans, works, reserved))
            return
        runner.decline(reserved)
        if isinstance(error, JournalUnavailable):
            runner.reconciler.arise()
        if not cancelled and JobsRefused in self._events.heard:
            self._events.emit(JobsRefused(jobs, error))

    async def _commit_unserved(self, prepared: Sequence[Work | Turn], after: Work | None) -> None:
        await self._opened()
        placed = in_order(prepared, after)
        if placed:
            await self._store_placed(placed, holder=await self._inline.runner())

    @staticmethod
    def _follow(before: Work, work: Work) -> None:
        """Let a job wait for one that was stored earlier, if this process has both."""
        if before.runner is not None and before.fence and not before.over and not work.concurrent:
            before.runner.follow(before, work)

    async def store(self, works: Sequence[Work], *, holder: int | None = None) -> None:
        """Write jobs, all or none, claimed by `holder` if that may be."""
        await self._store_placed([Placed(work) for work in works], holder, together=len(works) > 1)

    async def _store_placed(
        self, placed: Sequence[Placed], holder: int | None, together: bool = False
    ) -> None:
        works = [work for work, _, _ in placed]
        if self.carried.carriers:
            carry(self.carried, works, together)
        self.sync_limits.tell()
        jobs = new_jobs(placed, self._config.order_wait)
        reply = self._store.add(jobs, claim_for=holder, budget=self._config.budget)
        if told := JobsAdded in self._events.heard:
            reply.then(partial(self._tell_of, jobs))
        try:
            place(works, await reply)
        except PostludeError as error:
            if not told and JobsRefused in self._events.heard:
                self._events.emit(JobsRefused(jobs, error))
            raise
        except asyncio.CancelledError:
            if not reply.withdraw() and holder is not None:
                # It is being committed, and nobody will run it in this call: a later one does.
                reply.then(partial(self._inline.let_go, works))
            raise

    def _tell_of(self, jobs: Sequence[NewJob], reply: Reply[list[Added]]) -> None:
        told = JobsAdded(jobs, reply.value) if reply.error is None else JobsRefused(jobs, reply.error)
        self._events.emit(told)

    def start(self, prepared: Sequence[Work]) -> bool:
        """Let committed jobs start, where a runner serves this loop; returns whether one does."""
        for work in prepared:
            if work.runner is not None:
                work.runner.start(prepared)
                return True
        return self.serves()

    async def settle(self, prepared: Sequence[Work]) -> None:
        """Return when first attempts have ended; without a runner on this loop, run them here."""
        served = self._served.get(running_loop())
        if served is not None:
            await served.wait_for(prepared)
        else:
            chain(prepared)
            await self._inline.settle(prepared)

    async def reach(self, turn: Turn, inline: Collection[asyncio.Task[None]]) -> None:
        """Return when a task in memory may run. See `Port.reach`."""
        work = turn.before
        if work is None or work.over or work.written:
            return
        served = self._served.get(running_loop())
        if served is not None:
            await served.waiters.first_attempt(work, self._config.order_wait)
        else:
            await first_of_visit(work, inline, self._config.order_wait)

    @property
    def patience(self) -> float:
        """Seconds that a job waits at most for the task in memory before it."""
        return self._config.order_wait

    def free(self, turn: Turn) -> None:
        """A task in memory keeps nothing back any more. See `Port.free`."""
        if turn.before is not None and turn.heads and turn.heads[0].fence:
            self._follow(turn.before, turn.heads[0])  # it did not run, and so it has not waited
        queued = [work.seq for work in turn.heads if work.seq and not work.fence]
        if queued:
            self._store.free(queued).then(lambda _: None)  # should it fail, they wait for their due time

    def declares(self, function: Callable[..., Any]) -> bool:
        """Whether a function is declared as a task: what it promises, memory cannot keep."""
        return self._registry.declares(function)

    def in_memory(self, function: Callable[..., Any], why: str) -> None:
        """Count, and warn once of each kind of, a task that has no durable form and runs in memory."""
        self.memory.note(function, why)
