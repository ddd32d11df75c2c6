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
from postlude.model.outcome import Failed, Finish, Outcome, Parked, Succeeded
from postlude.model.state import State
from postlude.runner.execution import Unrunnable, judge_error, ready
from postlude.runner.lanes import LoopLane, ThreadLane, take_back
from postlude.runner.membership import Membership
from postlude.runner.work import Work
from postlude.stores.protocol import Store
from postlude.stores.reply import Reply
from postlude.tasks.registry import Registry

log = logging.getLogger("postlude.runner")

FINISH_AGAIN_AFTER: Final = 0.5
"""Seconds until ends that the journal did not take are offered again."""

LOOK_EVERY: Final = 0.1
"""Seconds between looks at a job that somebody waits for and that another process may run."""

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
        expected: works that were queued and that somebody waits for, by id.
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
        expected: dict[bytes, Work] | None = None,
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
        # Held works whose predecessor has not ended. Whoever pops one has it: see `give_back`.
        self._chained: dict[int, Work] = {}
        self._reserved = 0
        self._finished: list[tuple[Work, Finish]] = []
        self._flushes: set[asyncio.Future[list[bool]]] = set()
        self._flush_due = False
        self._idle: asyncio.Event = asyncio.Event()
        self._idle.set()
        self._suspect: Work | None = None
        self._claims = claims
        self._expected: dict[bytes, Work] = {} if expected is None else expected
        self._claiming = False
        self._more = True
        self._rejoining: asyncio.Task[None] | None = None
        self.draining = False

    # -- what it is given -----------------------------------------------------------------------

    def reserve(self, jobs: int) -> int | None:
        """Offer to run jobs at once; returns the runner's number, or None if it holds enough.

        What is reserved becomes held by `take`, or is given up by `decline`.
        """
        if self.draining or len(self._held) + self._reserved + jobs > self._config.ahead:
            return None
        self._reserved += jobs
        return self._membership.runner

    def take(self, works: Sequence[Work]) -> None:
        """Hold works that were born claimed; they start by `start`."""
        self._reserved -= len(works)
        for work in works:
            self._held[work.seq] = work
            if work.follower is not None:
                self._chained[work.follower.seq] = work.follower
        self._idle.clear()

    def decline(self, jobs: int) -> None:
        """Give up a reservation."""
        self._reserved -= jobs

    def start(self, works: Iterable[Work]) -> None:
        """Start held works, as far as they fit; followers wait for their turn."""
        for work in works:
            if work.seq not in self._chained:
                self._submit(work)

    def notify(self) -> None:
        """The journal may have work."""
        self._more = True
        self._pump()

    # -- claiming -------------------------------------------------------------------------------

    def _pump(self) -> None:
        """Claim, if there may be work and at most half of what may be held is."""
        if not self._more or self._claiming or self.draining or not self._claims:
            return
        held = len(self._held) + self._reserved
        if held * 2 > self._config.ahead:
            return
        self._claim(self._config.ahead - held)

    def _claim(self, limit: int) -> Reply[list[Claim]]:
        self._claiming, self._more = True, False
        reply = self._store.claim(self._membership.runner, limit, suspect=self._suspect is None)
        reply.then(lambda reply: self._claimed(reply, limit))
        return reply

    def _claimed(self, reply: Reply[list[Claim]], limit: int) -> None:
        self._claiming = False
        try:
            claims = reply.result()
        except PostludeError as error:
            log.warning("no jobs could be claimed: %s", error)
            self._more = True
            return
        if len(claims) >= limit:
            self._more = True
        works = [Work.of_claim(claim, self._expected.pop(claim.id, None)) for claim in claims]
        for work in works:
            self._held[work.seq] = work
            if work.suspect:
                self._suspect = work
        if works:
            self._idle.clear()
            self.start(works)
        self._pump()

    async def claim_once(self) -> int:
        """Claim what is ready and start it; returns how much that was."""
        room = self._config.ahead - len(self._held) - self._reserved
        claims = await self._claim(room) if room > 0 else []
        return len(claims)

    # -- running --------------------------------------------------------------------------------

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
        follower = work.follower
        if follower is not None:
            self.loop.call_soon_threadsafe(self._follow_later, work)

    def _follow_later(self, work: Work) -> None:
        if not work.over:
            self.loop.call_later(self._config.order_wait, self._follow, work)

    def _follow(self, work: Work) -> None:
        """Start what waits for the first attempt of a work that has ended, or takes too long."""
        follower, work.follower = work.follower, None
        if follower is not None and self._chained.pop(follower.seq, None) is not None:
            self._submit(follower)

    def _ended(self, work: Work, result: Outcome | BaseException) -> None:
        """An attempt has ended. On the loop."""
        work.over = True
        if self._held.pop(work.seq, None) is None:
            return
        self._membership.marks.ended(work.place)
        if work is self._suspect:
            self._suspect = None
            self._more = True
        now = self._clock.now()
        outcome: Outcome
        if isinstance(result, Succeeded | Failed | Parked):
            outcome = result
        else:
            outcome = judge_error(work, result, now, self._rng, self._config.max_error)
        self._finished.append((work, Finish(work.seq, work.fence, work.name, work.started, now, outcome)))
        if not self._flush_due:
            self._flush_due = True
            self.loop.call_soon(self._flush)
        if work.follower is not None:
            self._follow(work)

    # -- writing ends ---------------------------------------------------------------------------

    def _flush(self) -> None:
        """Offer what has ended in this turn of the loop to the journal."""
        self._flush_due = False
        finished, self._finished = self._finished, []
        if not finished:
            return
        reply = self._store.finish([finish for _, finish in finished])
        if reply.future is not None:
            self._flushes.add(reply.future)
        reply.then(lambda reply: self._flushed(reply, finished))
        self._pump()

    def _flushed(self, reply: Reply[list[bool]], finished: list[tuple[Work, Finish]]) -> None:
        if reply.future is not None:
            self._flushes.discard(reply.future)
        try:
            answers = reply.result()
        except PostludeError as error:
            log.warning(
                "%d ends of jobs could not be written; they are offered again: %s", len(finished), error
            )
            self._finished.extend(finished)
            if not self._flush_due:
                self._flush_due = True
                self.loop.call_later(FINISH_AGAIN_AFTER, self._flush)
            return
        for (work, _), kept in zip(finished, answers, strict=True):
            if not kept:
                log.warning("job %s was taken over by another process; this attempt does not count", work)
            work.end()
        if not self._held and not self._finished and not self._flushes:
            self._idle.set()
        self._pump()

    async def wait_for(self, works: Iterable[Work]) -> None:
        """Return when works have ended and their ends are written."""
        for work in works:
            if not work.fence and not work.written:
                self._expected[work.id] = work
        for work in works:
            while not work.written and not await self._heard(work):
                pass

    async def _heard(self, work: Work) -> bool:
        """Wait for a work; one that was queued may end in another process, so its job is looked at."""
        work.waiter = self.loop.create_future()
        await asyncio.wait([work.waiter], timeout=None if work.fence else LOOK_EVERY)
        if work.written or work.fence:
            return work.written
        record = await self._store.get(work.id)
        return (
            record is None or record.started is not None or record.state not in (State.QUEUED, State.RUNNING)
        )

    async def idle(self) -> None:
        """Return when nothing is held and all ends are written."""
        if self._held or self._finished or self._flushes:
            self._idle.clear()
            await self._idle.wait()

    # -- ending ---------------------------------------------------------------------------------

    async def drain(self, grace: float) -> None:
        """Stop claiming and run what is held, for so many seconds; then stop what can be stopped."""
        self.draining = True
        self._membership.marks.draining()
        try:
            await asyncio.wait_for(self.idle(), grace)
        except TimeoutError:
            log.warning("%d jobs had not ended after the grace period and are released", len(self._held))
        await self.close()

    async def close(self) -> None:
        """Stop what can be stopped. What is still held is the journal's again."""
        for work in self._take_back() + list(self._held.values()):
            # Released: the cancellation that follows is not an outcome.
            self._held.pop(work.seq, None)
            work.end()
        self._sync.stop()
        tasks = list(self._async.tasks)
        for task in tasks:
            task.cancel()
        pending: list[asyncio.Future[Any]] = [*tasks, *self._flushes]
        if pending:
            await asyncio.wait(pending, timeout=STOP_WITHIN)

    def _take_back(self) -> list[Work]:
        """Take everything that has not started. From any thread."""
        works = take_back(self._async) + take_back(self._sync)
        while self._chained:
            try:
                works.append(self._chained.popitem()[1])
            except KeyError:
                break
        return works

    def give_back(self) -> int:
        """Release what has not started; from the heartbeat's thread, while the loop hangs."""
        works = self._take_back()
        if not works:
            return 0
        for work in works:
            self._forget(work)
            work.end()
        holds = [Hold(work.seq, work.fence) for work in works]
        return self._store.release(self._membership.runner, holds).wait(self._config.lease)

    def on_loop(self) -> str:
        """Name the job that the loop is running, for the log."""
        task = asyncio.current_task(self.loop)
        work = self._async.tasks.get(task) if task is not None else None
        return "no job of ours" if work is None else f"job {work}"

    def lost(self) -> None:
        """The journal has buried this runner: forget what has not started, and join again."""
        for work in self._take_back():
            self._forget(work)
            work.end()
        self._rejoining = self.loop.create_task(self._rejoin())

    def _forget(self, work: Work) -> None:
        self._held.pop(work.seq, None)
        if work is self._suspect:
            self._suspect = None

    async def _rejoin(self) -> None:
        try:
            await self._membership.join()
        except PostludeError as error:
            log.warning("joining the journal's runners again failed: %s", error)
            return  # the heartbeat will find it lost once more
        self.notify()
