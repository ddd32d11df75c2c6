"""The runner: holds claims, starts what fits, writes how attempts ended."""

import asyncio
import logging
import random
import threading
from collections.abc import Iterable, Sequence
from typing import Any, Final

from postlude.clock import Clock
from postlude.config import Config
from postlude.errors import PostludeError
from postlude.model.job import Claim, Hold
from postlude.model.outcome import Finish, Outcome
from postlude.runner.awaited import Awaited
from postlude.runner.chains import Chains
from postlude.runner.claimer import Claimer
from postlude.runner.ends import Ends
from postlude.runner.execution import Unrunnable, judge_error, ready
from postlude.runner.lanes import LoopLane, ThreadLane, take_back
from postlude.runner.membership import Membership
from postlude.runner.pace import Pace
from postlude.runner.work import NOWHERE, Work, holds_of
from postlude.stores.protocol import Store
from postlude.tasks.registry import Registry

log = logging.getLogger("postlude.runner")

STOP_WITHIN: Final = 1.0
"""Seconds that cancelled tasks have to leave; one that swallows its cancellation is left behind."""


class Runner:
    """Runs jobs on one event loop.

    Args:
        membership: its number, lease and marks; joined before jobs are submitted.
        store: the journal.
        registry: where names become functions.
        config: slots and limits.
        clock: the time.
        claims: whether it claims from the journal on its own; False inside a request.
        awaited: queued works that somebody waits for; shared by the visits of a process.
    """

    def __init__(
        self,
        membership: Membership,
        store: Store,
        registry: Registry,
        config: Config,
        clock: Clock,
        *,
        claims: bool = True,
        awaited: Awaited | None = None,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.thread = threading.get_ident()
        self._membership = membership
        self._store = store
        self._registry = registry
        self._config = config
        self._clock = clock
        self._rng = random.Random()
        self._async = LoopLane(config.loop_slots, self._begin, self._ended)
        self._sync = ThreadLane(config.threads, self._begin, self._ended)
        self._held: dict[int, Work] = {}
        self._chains = Chains(self.loop, config.order_wait, self._submit)
        self._reserved = 0
        self._ends = Ends(store, self._written)
        self._pace = Pace(config.loop_slots + config.threads, config.ahead, self.loop.time())
        self._idle: asyncio.Event = asyncio.Event()
        self._idle.set()
        self._suspect: Work | None = None
        self.awaited = awaited or Awaited(store)
        self._claimer = Claimer(store, membership, self)
        self._claimer.stopped = not claims
        self._uncertain = False
        self._rejoining: asyncio.Task[None] | None = None
        self.draining = False

    def reserve(self, jobs: int) -> int | None:
        """Offer to run jobs at once; returns the runner's number, or None if it holds enough.

        What is reserved becomes held by `take`, or is given up by `decline`.
        """
        if self.draining or len(self._held) + self._reserved + jobs > self._pace.limit:
            return None
        self._reserved += jobs
        return self._membership.runner

    def take(self, works: Sequence[Work]) -> None:
        """Hold works that were born claimed; they start by `start`."""
        self._reserved -= len(works)
        for work in works:
            self._held[work.seq] = work
            work.runner = self
            if work.follower is not None:
                self._chains.hold(work)

    def decline(self, jobs: int) -> None:
        """Give up a reservation."""
        self._reserved -= jobs

    def doubt(self) -> None:
        """A write of jobs for this runner failed, so the journal may hold claims unknown here."""
        self._uncertain = True

    def start(self, works: Iterable[Work]) -> None:
        """Start held works, as far as they fit; followers wait for their turn."""
        for work in self._chains.heads(works):
            if work.args is not None and work.task is not None and work.task.is_async:
                self._async.submit(work)
            else:
                self._submit(work)

    def notify(self) -> None:
        """The journal may have work."""
        self._claimer.notify()

    @property
    def load(self) -> int:
        """How many jobs it holds, or is about to."""
        return len(self._held) + self._reserved

    @property
    def limit(self) -> int:
        """How many jobs it may hold."""
        return self._pace.limit

    @property
    def wants_suspect(self) -> bool:
        """Whether it may be given a suspect: it runs one at a time."""
        return self._suspect is None

    def accept(self, claims: Sequence[Claim]) -> None:
        """Take claims, and start what fits; one that comes after the end of claiming goes back."""
        if self.draining:
            self._store.release(self._membership.runner, holds_of(claims))
            return
        works = [Work.of_claim(claim, self.awaited.known(claim.id)) for claim in claims]
        for work in works:
            self._held[work.seq] = work
            if work.suspect:
                self._suspect = work
        self.start(works)

    async def claim_once(self) -> int:
        """Claim what is ready and start it; returns how much that was."""
        return await self._claimer.once()

    async def audit(self) -> None:
        """End what somebody else cancelled; after the journal failed, release claims unknown here."""
        self._async.sweep()
        if not (self._uncertain or self._claimer.failed or self._ends.failed) or not self._quiet():
            return
        self._claimer.failed = self._ends.failed = False
        self._uncertain = True  # until it has come to its end
        holds = await self._store.holds(self._membership.runner)
        if not self._quiet():
            return
        unknown = [hold for hold in holds if hold.seq not in self._held and not self._ends.knows(hold.seq)]
        if unknown:
            log.warning("%d claims, made while the journal failed, are released", len(unknown))
            await self._store.release(self._membership.runner, unknown)
            self.notify()
        self._uncertain = False

    def _quiet(self) -> bool:
        """Whether no claim is being made and no end written."""
        return not self._claimer.busy and not self._reserved and not self._ends.under_way

    def _submit(self, work: Work) -> None:
        try:
            task = ready(work, self._registry)
        except Unrunnable as unrunnable:
            self._begin(work)
            self._ended(work, unrunnable.parked)
            return
        if task.is_async:
            self._async.submit(work)
        else:
            self._sync.submit(work)

    def _begin(self, work: Work) -> None:
        """Note that work starts. In the thread that runs it."""
        work.place = self._membership.marks.started(work.seq)
        work.started = self._clock.now()
        if work.follower is not None:
            self._chains.started(work)

    def _ended(self, work: Work, result: Outcome | BaseException) -> None:
        """An attempt has ended. On the loop."""
        work.over = True
        if self._held.pop(work.seq, None) is None:
            return
        self._membership.marks.ended(work.place)
        if work is self._suspect:
            self._suspect = None
            self._claimer.notify()
        now = self._clock.now()
        outcome: Outcome
        if isinstance(result, BaseException):
            outcome = judge_error(work, result, now, self._rng, self._config.max_error)
        else:
            outcome = result
        self._ends.add(work, Finish(work.seq, work.fence, work.name, work.started, now, outcome))
        if work.follower is not None:
            self._chains.next(work)

    def _written(self, ended: int) -> None:
        self._pace.ended(ended, self.loop.time())
        if not self._held and self._ends.settled:
            self._idle.set()
        self._claimer.pump()

    async def wait_for(self, works: Iterable[Work]) -> None:
        """Return when works have ended and their ends are written."""
        self._ends.hurry()
        await self.awaited.wait_for(works)

    async def idle(self) -> None:
        """Return when nothing is held and all ends are written."""
        if self._held or not self._ends.settled:
            self._ends.hurry()
            self._idle.clear()
            await self._idle.wait()

    async def drain(self, grace: float) -> list[Hold]:
        """Stop claiming and run what is held, for so many seconds; then `close`."""
        self.draining = self._claimer.stopped = True
        self._membership.marks.draining()
        try:
            await asyncio.wait_for(self.idle(), grace)
        except TimeoutError:
            log.warning(
                "jobs that had not ended after the grace period and are released: %d", len(self._held)
            )
        return await self.close()

    async def close(self) -> list[Hold]:
        """Stop what can be stopped; returns what others may run: all but started at-most-once jobs."""
        works = self._take_back()
        running, self._held = list(self._held.values()), {}
        for work in running:
            work.end()  # its cancellation is not an outcome
        self._sync.stop()
        tasks = list(self._async.tasks.values())
        for task in tasks:
            task.cancel()
        self._ends.offer()  # what ended a moment ago must not be released, and run again
        pending: list[asyncio.Future[Any]] = [*tasks, *self._ends.under_way]
        if pending:
            await asyncio.wait(pending, timeout=STOP_WITHIN)
        return holds_of(works + [work for work in running if not work.once])

    def _take_back(self) -> list[Work]:
        """Take and forget everything that has not started. From any thread."""
        works = take_back(self._async) + take_back(self._sync) + self._chains.take_back()
        for work in works:
            self._held.pop(work.seq, None)
            if work is self._suspect:
                self._suspect = None
            work.end()
        return works

    def give_back(self) -> int:
        """Release what has not started; from the heartbeat's thread, while the loop hangs."""
        works = self._take_back()
        if not works:
            return 0
        self._uncertain = True  # until the audit, should this fail
        return self._store.release(self._membership.runner, holds_of(works)).wait(self._config.lease)

    def on_loop(self) -> str:
        """Name the job that the loop is running, for the log."""
        task = asyncio.current_task(self.loop)
        works = [work for work, running in list(self._async.tasks.items()) if running is task]
        return f"job {works[0]}" if works else "no job of ours"

    def lost(self) -> None:
        """The journal has buried this runner: forget what has not started, and join again."""
        self._take_back()
        for work in self._held.values():
            work.place = NOWHERE  # in marks that are not ours any more
        self._rejoining = self.loop.create_task(self._rejoin())

    async def _rejoin(self) -> None:
        try:
            await self._membership.join()
        except PostludeError as error:
            log.warning("joining the journal's runners again failed: %s", error)
            return  # the heartbeat will find it lost once more
        self.notify()
