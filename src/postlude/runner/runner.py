"""The runner: holds claims, starts what fits, writes how attempts ended."""

import asyncio
import random
import threading
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from postlude.clock import Clock
from postlude.config import Config
from postlude.errors import PostludeError
from postlude.model.event.jobs import AttemptEnded
from postlude.model.job import Added, Claim, FreeSlots, Hold
from postlude.model.outcome import Cancelled, Finish, Outcome, Succeeded
from postlude.runner.attempt.logs import lines_of
from postlude.runner.attempt.outcome import Outcomes, ended, interrupted
from postlude.runner.attempt.progress import Reports
from postlude.runner.attempt.work import Work, holds_of
from postlude.runner.chains import Chains
from postlude.runner.claimer import Claimer
from postlude.runner.executors.pool import ExecutionContext, ExecutorPool
from postlude.runner.finisher import Finisher
from postlude.runner.giving_back import GivingBack
from postlude.runner.grace import STOP_WITHIN, wait_within
from postlude.runner.held import Held
from postlude.runner.lease import Lease
from postlude.runner.pace import Pace
from postlude.runner.pauses import Pauses
from postlude.runner.reconcile import Reconciler
from postlude.runner.starting import Starting
from postlude.runner.surplus import Surplus
from postlude.runner.unstarted import Unstarted
from postlude.runner.waiters import Claiming, Waiters
from postlude.stores.protocol import Store
from postlude.stores.reply import Reply
from postlude.tasks.registry import Registry


class Runner:
    """Runs jobs on one event loop.

    Args:
        lease: its number, lease and marks; joined before jobs are submitted.
        store: the journal.
        registry: where names become functions.
        config: slots and limits.
        clock: the time.
        claims: whether it claims from the journal on its own; False inside a request.
        waiters: queued works that somebody waits for; shared by the visits of a process.
        execution: what the application gives beside the journal.
    """

    def __init__(
        self,
        lease: Lease,
        store: Store,
        registry: Registry,
        config: Config,
        clock: Clock,
        *,
        claims: bool = True,
        waiters: Waiters | None = None,
        execution: ExecutionContext | None = None,
    ) -> None:
        execution = execution or ExecutionContext()
        self.loop, self.thread = asyncio.get_running_loop(), threading.get_ident()
        self._lease, self._store = lease, store
        self._config, self._clock = config, clock
        self._events = store.events
        self._outcomes = Outcomes(random.Random(), config.max_error, self._events)
        self._chains = Chains(self.loop, config.order_wait, lambda work: self.executors.submit(work))
        self._reports = Reports(store, lambda: list(self._held.values()))
        self.executors = ExecutorPool(
            lease, registry, config, clock, execution,
            self._chains, self._reports, self._ended, self._events,
        )  # fmt: skip
        self.on_loop = self.executors.on_loop
        self.pace = Pace(config.loop_slots + config.threads, config.ahead, self.loop.time())
        self._starting = Starting(self.loop, self.executors.submit)
        store.tell_commits(self._starting.commit_begins)
        self._held = Held(lease, self._chains, self.pace, self._starting, self._queued)
        # What requests bring is handed to it at once: without a step for each.
        self.reserve, self.take, self.start = self._held.reserve, self._held.take, self._held.start
        self._unstarted = Unstarted(self._held, self._starting, self.executors, self._chains)
        self._finisher = Finisher(store, self._offered, self._written)
        self.offer_ends = self._finisher.offer  # those that wait for company
        self._idle: asyncio.Event = asyncio.Event()
        self._idle.set()
        self.waiters = waiters or Waiters(store, execution.promises)
        self.claimer = Claimer(store, lease, self, clock, execution.queues)
        self.claimer.stopped = not claims
        self.notify = self.claimer.notify  # the journal may have work
        self.reconciler = Reconciler(store, lease, self.claimer, self._finisher, self._held)
        self._giving_back = GivingBack(
            store, lease, self._unstarted, self._chains, clock, self.reconciler, self.rests
        )
        self.give_back = partial(self._giving_back.all, config.lease)  # from the heartbeat's thread
        self.pauses = Pauses(self._giving_back, self.executors, lambda: self.claimer.busy)
        self._surplus = Surplus(self._giving_back, self.executors)
        self.few = self._surplus.few
        self._rejoining: asyncio.Task[None] | None = None

    @property
    def draining(self) -> bool:
        """Whether it takes no more jobs."""
        return self._held.draining

    @property
    def ahead(self) -> int:
        """How many jobs more it may hold."""
        return self.pace.limit - self._held.load

    def _queued(self, works: Sequence[Work]) -> None:
        """Some of these were queued, instead of being born claimed here."""
        self._held.expect(self.executors.tracers.keep(works))
        self.rests()

    def decline(self, jobs: int) -> None:
        """Give up a reservation."""
        self._held.take((), (), jobs)
        self.rests()

    def run_orphans(self, works: Sequence[Work], reserved: int, reply: Reply[list[Added]]) -> None:
        """Take and start works that have been stored, whose requests were cancelled meanwhile."""
        try:
            added = reply.result()
        except PostludeError:
            self.decline(reserved)
        else:
            self.start(self.take(works, added, reserved))

    def rests(self) -> bool:
        """Say whether it holds nothing, and writes nothing."""
        if at_rest := not (self._held or self._held.reserved) and self._finisher.settled:
            self._idle.set()
        return at_rest

    @property
    def load(self) -> int:
        """How many jobs it holds that could run, or is about to."""
        return self._held.load

    @property
    def free(self) -> FreeSlots:
        """How many jobs that have a limit or a rate it could start at once."""
        self._starting.start()  # these take their places first
        return self.executors.free

    @property
    def wants_suspect(self) -> bool:
        """Whether it may be given a suspect: it runs one at a time."""
        return self._held.suspect is None

    def accept(self, claims: Sequence[Claim]) -> Sequence[Work]:
        """Take claims, and start what fits; one that comes after the end of claiming goes back."""
        if self.draining:
            self._store.release(self._lease.runner, holds_of(claims))
            return ()
        expected, known = self._held.expected, self.waiters.known
        if self.executors.keeps_back is not None:
            self.pauses.trust(claims)
        taken = [Work.of_claim(claim, expected(claim.id) or known(claim.id)) for claim in claims]
        works = self.executors.tracers.give(taken)
        for before, work, claim in zip([None, *works], works, claims, strict=False):
            self._held[work.seq] = work
            if before is not None and claim.follows:
                self._chains.link(before, work)
            if work.suspect:
                self._held.suspect = work
        # At once: the places that are left say what is claimed next.
        for work in self._held.ready(self._chains.heads(works)):
            self.executors.submit(work)
        return works

    async def audit(self) -> None:
        """End what somebody else cancelled; release what cannot start, and claims unknown here."""
        self.executors.sweep()
        self._surplus.look()
        if await self.reconciler.settle():
            self.notify()

    def _ended(self, work: Work, result: Outcome | BaseException) -> None:
        """An attempt has ended. On the loop."""
        work.over = True
        if work.left is not None:
            work.leave()
        if work.seconds is not None:
            self.executors.timeouts.ended(work)
        if self._held.get(work.seq) is not work:  # forgotten; or claimed here anew, since its lease was lost
            return
        del self._held[work.seq]
        self._lease.marks.ended(work.seq)
        if work is self._held.suspect:
            self._held.suspect = None
            self.claimer.notify()
        now = self._clock.now()
        if isinstance(result, BaseException):
            outcome = self._outcomes.judge(work, result, now)
        else:
            outcome = result
            if type(outcome) is not Succeeded or AttemptEnded in self._events.heard:
                self._events.emit(ended(work, now, outcome))
        current = work.current
        logs = () if current is None or current.lines is None else lines_of(current)
        if current is not None and current.last_progress is not None:
            self._reports.last(work)
        if self.executors.copies.pending:
            self.executors.copies.ended(work, self._events)
        waited = None if work.failures or work.begun else work.started - (work.since or work.created)
        began = outcome is not result or type(outcome) is Succeeded
        end = work.seq, work.fence, work.name, work.started, now, outcome, logs, work.queue, waited, began
        self._finisher.add(work, tuple.__new__(Finish, end))  # half of what calling the class takes
        if work.follower is not None:
            self._chains.next(work)

    def cancel(self, id: bytes) -> None:
        """A job that may be held here was asked to stop. On the loop."""
        self.stop_asked([work.seq for work in self._held.values() if work.id == id])

    def stop_asked(self, seqs: Iterable[int]) -> None:
        """These jobs were asked to stop: those that have not started end, the others are told."""
        for work in [self._held[seq] for seq in seqs if seq in self._held]:
            if self._unstarted.take_one(work):
                work.started = self._clock.now()
                self._ended(work, Cancelled())
            else:
                self.executors.timeouts.cancel(work)

    @property
    def number(self) -> int:
        """Its number among the journal's runners."""
        return self._lease.runner

    def _offered(self, ended: int, urgent: bool) -> None:
        self.pace.ended(ended, self.loop.time())
        (self.claimer.notify if urgent else self.claimer.pump)()

    def _written(self, settled: bool) -> None:
        if settled and not (self._held or self._held.reserved):
            self._idle.set()
        self.claimer.pump()

    async def wait_for(self, works: Iterable[Work], claim: Claiming | None = None) -> None:
        """Return when works have ended and their ends are written; see `Waiters.wait_for`."""
        self._finisher.hurry()
        await self.waiters.wait_for(works, claim)

    async def idle(self) -> None:
        """Return when nothing is held or being stored, and all ends are written."""
        if not self.rests():
            self._finisher.hurry()
            self._idle.clear()
            await self._idle.wait()

    def wind_down(self) -> None:
        """Claim and take nothing more. What is held, or being stored, runs to its end."""
        self._held.draining = self.claimer.stopped = True

    async def drain(self, grace: float) -> list[Hold]:
        """Wind down, for so many seconds; then `close`."""
        self.wind_down()
        self._lease.marks.draining()
        await wait_within(grace, self.idle(), self._held, self._events)
        return await self.close()

    def abandon(self) -> None:
        """End as a death would: nothing more is claimed, starts, or is written. On the loop."""
        self._held.draining = self._held.abandoned = self.claimer.stopped = True
        self._finisher.forget()
        self._forget_all()
        self.executors.stop()
        self._store.untell_commits(self._starting.commit_begins)

    async def close(self) -> list[Hold]:
        """Stop what can be stopped; returns what others may run: all but started at-most-once jobs."""
        works, running = self._forget_all()
        tasks = self.executors.stop()
        self._store.untell_commits(self._starting.commit_begins)
        self._finisher.offer()  # what ended a moment ago must not be released, and run again
        pending: list[asyncio.Future[Any]] = [*tasks, *self._finisher.under_way]
        if pending:
            await asyncio.wait(pending, timeout=STOP_WITHIN)
        given = works + [work for work in running if not work.once]
        return self._chains.holds(given, self._clock.now(), begun=running)

    def _forget_all(self) -> tuple[list[Work], list[Work]]:
        """Forget what has not started, and what runs, whose cancellation is not an outcome; returns both."""
        works = self._unstarted.take_all(answering=True)
        running = list(self._held.values())
        self._held.clear()
        for work in running:
            work.end()
        interrupted(running, self._events)
        return works, running

    def lost(self) -> None:
        """The journal has buried this runner: forget what has not started, and join again."""
        self._unstarted.take_all(answering=True)
        self._rejoining = self.loop.create_task(self._lease.rejoin(self.notify))
