"""Where attempts run: the loop, the threads and the processes of one runner, and how each attempt begins."""

import asyncio
from collections.abc import Callable, Mapping
from contextvars import Context
from functools import partial
from itertools import chain
from typing import Any, Final

from postlude.clock import Clock
from postlude.config import Config
from postlude.jobs.current import CurrentJob
from postlude.model.event.jobs import AttemptStarted
from postlude.model.event.runner import JobName, LoopClosed, Missed
from postlude.model.job import FreeSlots
from postlude.model.outcome import Cancelled, Outcome
from postlude.model.queues import ALL
from postlude.runner.attempt.execution import Unrunnable, bound_in_time, ready, surroundings
from postlude.runner.attempt.injection import Injection
from postlude.runner.attempt.progress import Reports
from postlude.runner.attempt.work import Stopping, Work, names_of
from postlude.runner.chains import Chains
from postlude.runner.copies import Copies
from postlude.runner.executors.kinds import Kinds, make_kinds
from postlude.runner.executors.loop import cancel, leave_alone
from postlude.runner.executors.own_slots import Doors
from postlude.runner.executors.process.executor import ProcessExecutor
from postlude.runner.executors.process.messages import Caps
from postlude.runner.executors.protocol import Ended, Executor, take_back, take_one_back
from postlude.runner.executors.timeouts import Timeouts
from postlude.runner.lease import Lease
from postlude.tasks.context import Carried
from postlude.tasks.registry import Registry
from postlude.tasks.task import Task
from postlude.telemetry.carrying import CARRIED, NO_TRACES
from postlude.telemetry.counting import Counting
from postlude.telemetry.events import Events
from postlude.telemetry.tracing import Tracers

_CANCEL: Final = Stopping.CANCEL


class ExecutionContext:
    """What an application gives those who run its jobs, beside the journal.

    Attributes:
        carried: the context variables that travel with jobs.
        injection: resolves the dependencies of tasks, once there is a framework that can.
        bounded_queues: the queues that have a limit or a rate.
        queues: those of which this process's runners claim what waits.
        promises: for how many seconds a client waits for the start of a job, by queue.
        slots: how many slots those queues have that have their own.
        concurrency: how many jobs of all other queues run at once together; None: as executors have slots.
        copies: notices which tasks change their arguments.
        tracers: what traces the application's requests.
        counting: counts what no job tells of.
    """

    def __init__(self, carried: Carried | None = None) -> None:
        self.carried = Carried() if carried is None else carried
        self.injection: Injection | None = None
        self.bounded_queues: frozenset[str] = frozenset()
        self.queues = ALL
        self.promises: Mapping[str, float] = {}
        self.slots: Mapping[str, int] = {}
        self.concurrency: int | None = None
        self.copies = Copies()
        self.tracers = Tracers()
        self.counting: Counting | None = None


class ExecutorPool:
    """The executors of one runner.

    Args:
        lease: where starts are marked.
        registry: which tasks have limits or rates.
        config: slots.
        clock: the time.
        execution: what the application gives.
        chains: works that others follow.
        reports: takes what jobs say of their progress.
        ended: called on the loop with how an attempt ended.
        events: who is told of what happens.
    """

    def __init__(
        self,
        lease: Lease,
        registry: Registry,
        config: Config,
        clock: Clock,
        execution: ExecutionContext,
        chains: Chains,
        reports: Reports,
        ended: Ended,
        events: Events,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._lease, self._clock, self._registry = lease, clock, registry
        self._bounded: list[Task[..., Any]] | None = None
        self._known = 0
        self._bounded_queues, self._events = execution.bounded_queues, events
        self._carried, self.copies, self.tracers = execution.carried, execution.copies, execution.tracers
        self._chains, self._report = chains, reports.report
        if execution.slots or execution.concurrency:
            ended = partial(self._ended_behind_a_door, ended)
        self._ended = ended
        make = partial(make_kinds, self._begin, ended, execution.injection, events)
        most = execution.concurrency or config.loop_slots + config.threads
        shared = make(min(config.loop_slots, most), min(config.threads, most))
        self._async, self._injected, self._threads = shared
        own = {queue: make(slots, slots) for queue, slots in execution.slots.items()}
        self._kinds = [shared, *own.values()]
        self._processes = ProcessExecutor(
            config.processes,
            self._begin,
            ended,
            recycle_jobs=config.recycle_jobs,
            recycle_bytes=config.recycle_bytes,
            caps=Caps(
                config.max_error, config.max_log_lines if config.keep_logs else 0, config.max_log_chars
            ),
            events=events,
        )
        self._shared: tuple[Executor, ...] = (*shared, self._processes)
        among = {queue: (partial(self._executor_among, kinds), kinds.all) for queue, kinds in own.items()}
        rest = partial(self._executor_among, shared), shared.all
        self._doors = Doors.of_slots(execution.slots, among, execution.concurrency, rest)
        self._has_doors = bool(self._doors)
        self.members: tuple[Executor, ...] = (
            *self._shared,
            *self._doors,
            *chain.from_iterable(kinds.all for kinds in own.values()),
        )
        names = ("loop_slots", "threads", "threads", "processes")
        self.settings: dict[Executor, str] = dict(zip(self._shared, names, strict=True))
        """The setting that says how many places each has."""
        kinds = ("async", "thread", "thread", "process")
        self._places = [(kind, getattr(config, name)) for kind, name in zip(kinds, names, strict=True)]
        self.keeps_back: Callable[[Work], bool] | None = None
        """Says of a work whether it must not start any more, and takes it then; None: all may start."""
        self.timeouts = Timeouts(self._loop, self.executor_of, ended, events)

    @property
    def free(self) -> FreeSlots:
        """How many jobs of each kind could start at once; 0 for kinds of which none has a limit or a rate.

        What is claimed beyond this waits here for its place, while other processes idle.
        """
        if self._bounded is None or self._known != self._registry.bounded_so_far:
            self._known = self._registry.bounded_so_far
            self._bounded = self._registry.bounded(self._bounded_queues)
        meant = {self._executor_for(task) for task in self._bounded} or self._shared
        loop, injected, threads, processes = (
            executor.free if executor in meant else 0 for executor in self._shared
        )
        return self._doors.free(loop + injected, threads, processes)

    @property
    def slots(self) -> Mapping[str, tuple[int, int]]:
        """How many jobs of each kind can run at once, and do: `async`, `thread`, `process`, `own`."""
        found: dict[str, tuple[int, int]] = {}
        for (kind, places), executor in zip(self._places, self._shared, strict=True):
            all_of_kind, busy = found.get(kind, (0, 0))
            found[kind] = self._doors.at_most(all_of_kind + places), busy + len(executor.running)
        return found | self._doors.own

    @property
    def hung(self) -> int:
        """How many threads run work whose time is over."""
        return sum(len(kinds.threads.hung) + len(kinds.injected.beside.hung) for kinds in self._kinds)

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """The tasks on the loop that run works."""
        return list(self._by_task)

    @property
    def _by_task(self) -> dict[asyncio.Task[None], Work]:
        loops = [executor for kinds in self._kinds for executor in (kinds.on_loop, kinds.injected)]
        return {task: work for executor in loops for work, task in executor.tasks.items()}

    def submit(self, work: Work) -> None:
        """Start it where it belongs, now or when there is room; what cannot be run ends."""
        if self.keeps_back is not None and self.keeps_back(work):
            return
        task = work.task
        if task is None or work.args is None:
            try:
                task = ready(work, self._registry)
                self.copies.begin(work, task, self._events)
            except Unrunnable as unrunnable:
                work.started = self._clock.now()
                # Not now: it may be the end of another that lets it start, and so on along a chain.
                self._loop.call_soon(self._ended, work, unrunnable.outcome)
                return
            except BaseException as error:  # of the application: a module's, a validator's
                work.started = self._clock.now()
                self._ended(work, error)
                return
        if self._has_doors and (door := self._doors.of(work)) is not None:
            door.submit(work)
            return
        (self._async if task.is_async else self._executor_for(task)).submit(work)

    def take_back(self) -> list[Work]:
        """Take everything that has not started. From any thread."""
        return [work for executor in self.members for work in take_back(executor)]

    def take_one_back(self, work: Work) -> bool:
        """Take this one, if it has not started."""
        return any(take_one_back(executor, work) for executor in self.members)

    def sweep(self) -> None:
        """Notice tasks that somebody else has cancelled."""
        for kinds in self._kinds:
            kinds.on_loop.sweep()
            kinds.injected.sweep()
        for door in self._doors:
            door.tidy()

    def stop(self) -> list[asyncio.Task[None]]:
        """Cancel what runs on the loop, and end idle threads and all processes; returns what to wait for."""
        for kinds in self._kinds:
            kinds.threads.stop()
        self._processes.stop()
        tasks = self.tasks
        for task in tasks:
            cancel(task, self._events)
            leave_alone(task)  # it has a moment, and no more
        return tasks

    def on_loop(self) -> JobName | None:
        """Return which job the loop is running; None: none of a job."""
        task = asyncio.current_task(self._loop)
        work = None if task is None else self._by_task.get(task)
        return None if work is None else names_of([work])[0]

    def executor_of(self, work: Work) -> Executor | None:
        """Return where a work runs; None: that is not known yet."""
        return None if work.task is None else self._doors.of(work) or self._executor_for(work.task)

    def _executor_among(self, kinds: Kinds, work: Work) -> Executor:
        """Return where a work runs that has a slot of its queue's own."""
        assert work.task is not None
        shared = self._executor_for(work.task)
        own: dict[Executor, Executor] = dict(zip(self._shared, kinds.all, strict=False))
        return own.get(shared, shared)

    def _ended_behind_a_door(self, ended: Ended, work: Work, result: Outcome | BaseException) -> None:
        try:
            ended(work, result)
        finally:
            self._doors.ended(work)

    def _executor_for(self, task: Task[..., Any]) -> Executor:
        if task.is_async:
            return self._async
        if task.injected:
            return self._injected
        return self._processes if task.policy.run == "process" else self._threads

    def _begin(self, work: Work) -> Context | None:
        """Note that work starts. In the thread that runs it."""
        task = work.task
        assert task is not None
        now = work.started = self._clock.now()
        if work.stopping is _CANCEL:
            self._refuse(work, Cancelled())
            return None
        try:
            seconds: float | None = None
            if work.given.opts is not None or task.timed:
                seconds = bound_in_time(work, task, now)
            self._lease.marks.started(work.seq, work.fence, now)
            if work.follower is not None:
                self._chains.started(work)
            work.current = CurrentJob(
                work.id, work.name, work.queue, work.failures + 1, self._report, work.given.opts
            )
            if seconds is not None:
                self.timeouts.limit(work, seconds)
            context = surroundings(work, work.current, self._carried)
            if AttemptStarted in self._events.heard:
                started = AttemptStarted(*work.identity, work.created, now, not work.begun)
                context.run(self._events.emit, started)
                work.traced = context.get(CARRIED, NO_TRACES)
            return context
        except Unrunnable as unrunnable:
            self._refuse(work, unrunnable.outcome)
        except BaseException as error:  # whatever it is, it is this attempt's
            self._refuse(work, error)
        return None

    def _refuse(self, work: Work, result: Outcome | BaseException) -> None:
        try:
            self._loop.call_soon_threadsafe(self._ended, work, result)
        except RuntimeError:
            self._events.emit(LoopClosed(Missed.START, JobName(work.id, work.name)))
