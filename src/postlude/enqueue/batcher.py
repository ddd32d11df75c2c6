"""Plain jobs of requests that end about now: stored with one call, and answered together."""

import asyncio
from copy import copy
from time import monotonic
from typing import Final

from postlude.config import Config
from postlude.enqueue.sync_limits import SyncLimits
from postlude.errors import JobRefused, JournalUnavailable
from postlude.model.job import Added
from postlude.runner.attempt.work import Work, plain_jobs
from postlude.runner.runner import Runner
from postlude.stores.grouped.backend import Broken
from postlude.stores.grouped.batching import ENOUGH
from postlude.stores.protocol import Store
from postlude.stores.reply import Reply

TOGETHER: Final = 0.02
"""Seconds after which a call takes no more jobs: they share the budget of its first."""


class Part:
    """Jobs of one queue that are stored with one call, in order, and who waits for each.

    Args:
        queue: their queue.
        opened: when the first of them came, by the monotonic clock.
        budget: how long each waits for the journal (seconds).
    """

    __slots__ = ("closes", "due", "queue", "waiters", "works")

    def __init__(self, queue: str, opened: float, budget: float) -> None:
        self.queue = queue
        self.closes = opened + TOGETHER
        self.due = opened + budget
        self.works: list[Work] = []
        self.waiters: list[asyncio.Future[None]] = []

    def split(self, at: int) -> "tuple[Part, Part]":
        """Return its first jobs and the others."""
        return self._part(slice(at)), self._part(slice(at, None))

    def singly(self) -> "list[Part]":
        """Return each job for itself."""
        return [self._part(slice(at, at + 1)) for at in range(len(self.works))]

    def _part(self, which: slice) -> "Part":
        part = copy(self)
        part.works, part.waiters = self.works[which], self.waiters[which]
        return part

    def withdraw(self, work: Work, waiter: asyncio.Future[None]) -> bool:
        """Take a job out; False if it is not here."""
        if work not in self.works:
            return False
        self.works.remove(work)
        self.waiters.remove(waiter)
        return True

    def wanted(self) -> "Part":
        """Return it without the jobs whose requests have been cancelled."""
        part = copy(self)
        part.works = [
            work for work, waiter in zip(self.works, self.waiters, strict=True) if not waiter.done()
        ]
        part.waiters = [waiter for waiter in self.waiters if not waiter.done()]
        return part

    def fail(self, error: Exception) -> None:
        """Tell all who wait that their jobs are not stored."""
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_exception(error)


class Batcher:
    """Gathers the jobs of one event loop of which nothing special is said, one of each request: nearly all.

    The journal stores those of one call all or none, and lets all of them start at once or none. So those
    of one queue that came within a moment are one call: what waits in a queue is no reason for the journal
    to queue another's, and nobody's budget is that of a much earlier one. What the journal refuses is
    offered again one by one.

    Args:
        store: the journal.
        runner: serves the loop.
        config: the budget of a write.
        sync_limits: tells the journal of limits and rates before it is given jobs.
    """

    def __init__(self, store: Store, runner: Runner, config: Config, sync_limits: SyncLimits) -> None:
        self._store = store
        self._runner = runner
        self._loop = runner.loop
        self._budget = config.budget
        self._sync_limits = sync_limits
        self._components: list[Part] = []
        """Oldest first."""
        self._open: dict[str, Part] = {}
        """By queue, the one that takes more."""
        self._gathered = 0
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return self._gathered

    def add(self, work: Work) -> asyncio.Future[None]:
        """Store a job with others that come now.

        Returns:
            what is done when it is on disk, or has the errors of `Producer.commit`.
        """
        now = monotonic()
        part = self._open.get(work.queue)
        if part is None or now > part.closes:
            part = self._new_part(work.queue, now)
        waiter = self._loop.create_future()
        part.works.append(work)
        part.waiters.append(waiter)
        self._gathered += 1
        if self._gathered == ENOUGH:
            self.hand_in()
        return waiter

    def _new_part(self, queue: str, now: float) -> Part:
        if not self._components:
            if self._timer is None:
                self._timer = self._loop.call_later(self._budget, self._look)
            self._store.gather(self)
        part = self._open[queue] = Part(queue, now, self._budget)
        self._components.append(part)
        return part

    def leave(self, work: Work, waiter: asyncio.Future[None]) -> None:
        """Who waited was cancelled: a job that has not been handed in is withdrawn, any other runs."""
        if not waiter.cancelled():
            if work.runner is not None:  # the answer came in the very turn of the cancellation
                work.runner.start([work])
            return
        for part in self._components:
            if part.withdraw(work, waiter):
                self._gathered -= 1
                if not part.works:
                    self._drop([part])  # the next one asks anew to be handed in
                return

    def hand_in(self) -> None:
        """Ask the journal to store what has gathered. On the loop."""
        for part in self._drop(self._components):
            self._ask_for(part)

    def _drop(self, parts: list[Part]) -> list[Part]:
        """Forget these, the oldest or all."""
        self._components = [part for part in self._components if part not in parts]
        self._open = {part.queue: part for part in self._components}
        self._gathered -= sum(len(part.works) for part in parts)
        return parts

    def _ask_for(self, part: Part) -> None:
        runner = self._runner
        if any(map(asyncio.Future.done, part.waiters)):
            part = part.wanted()
        if runner.ahead < len(part.works):
            part, queued = part.split(max(0, runner.ahead))
            self._ask(part, runner.reserve(len(part.works)))
            self._ask(queued, None)
        else:
            self._ask(part, runner.reserve(len(part.works)))

    def _ask(self, part: Part, holder: int | None) -> None:
        if not part.works:
            return
        reserved = 0 if holder is None else len(part.works)
        try:
            self._sync_limits.tell()
            budget = part.due - monotonic()
            reply = self._store.add(plain_jobs(part.works), claim_for=holder, budget=budget)
        except Exception as error:
            self._runner.decline(reserved)
            part.fail(error)
        else:
            reply.then(lambda reply: self._answered(part, reserved, reply))

    def _answered(self, part: Part, reserved: int, reply: Reply[list[Added]]) -> None:
        runner = self._runner
        try:
            added = reply.result()
        except Exception as error:
            runner.decline(reserved)
            if len(part.works) > 1 and _refused(error):
                for one in part.singly():
                    self._ask_for(one)
            else:
                runner.reconciler.arise()
                part.fail(error)
            return
        try:
            runner.take(part.works, added, reserved, alone=True)
        except Exception as error:
            part.fail(error)
            raise
        for work, waiter in zip(part.works, part.waiters, strict=True):
            if not waiter.done():
                waiter.set_result(None)
            elif work.runner is not None:  # its request was cancelled: it is accepted, and so it runs
                work.runner.start([work])

    def _look(self) -> None:
        """Tell those whose budget has run out before the journal was asked."""
        self._timer = None
        now = monotonic()
        late = [part for part in self._components if part.due <= now]
        for part in self._drop(late):
            part.fail(
                JournalUnavailable("the journal did not come to the write within its budget; try again")
            )
        if self._components:
            self._timer = self._loop.call_later(self._components[0].due - now, self._look)


def _refused(error: Exception) -> bool:
    """Whether the journal can be written, and did not take what it was given."""
    return isinstance(error, JobRefused) or (
        isinstance(error, JournalUnavailable)
        and error.__cause__ is not None
        and not isinstance(error.__cause__, Broken)
    )
