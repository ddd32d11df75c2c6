"""Plain jobs of requests that end about now: stored with one call, and answered together."""

import asyncio
from time import monotonic
from typing import Final

from postlude.config import Config
from postlude.declaring import Declaring
from postlude.errors import JournalUnavailable
from postlude.model.job import Added
from postlude.runner.runner import Runner
from postlude.runner.work import Work, plain_jobs
from postlude.stores.backend import Broken
from postlude.stores.protocol import Store
from postlude.stores.reply import Reply

ENOUGH: Final = 128
"""Jobs that are stored although others are being stored."""


class Part:
    """Jobs of one queue that are stored with one call, in order, and who waits for each.

    Args:
        due: when the budget of the first of them has run out, by the monotonic clock.
    """

    __slots__ = ("due", "waiters", "works")

    def __init__(self, due: float) -> None:
        self.due = due
        self.works: list[Work] = []
        self.waiters: list[asyncio.Future[None]] = []

    def split(self, at: int) -> "tuple[Part, Part]":
        """Return its first jobs and the others."""
        if at >= len(self.works):  # nearly always
            return self, Part(self.due)
        return self._part(slice(at)), self._part(slice(at, None))

    def singly(self) -> "list[Part]":
        """Return each job for itself."""
        return [self._part(slice(at, at + 1)) for at in range(len(self.works))]

    def _part(self, which: slice) -> "Part":
        part = Part(self.due)
        part.works, part.waiters = self.works[which], self.waiters[which]
        return part

    def fail(self, error: Exception) -> None:
        """Tell all who wait that their jobs are not stored."""
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_exception(error)


class Gathering:
    """Gathers the jobs of one event loop of which nothing special is said, one of each request: nearly all.

    The journal stores those of one call all or none, and lets all of them start at once or none. So what
    waits in one queue decides nothing for another, and what it refuses is offered again one by one.

    Args:
        store: the journal.
        runner: serves the loop.
        config: the budget of a write.
        declaring: tells the journal of limits and rates before it is given jobs.
    """

    def __init__(self, store: Store, runner: Runner, config: Config, declaring: Declaring) -> None:
        self._store = store
        self._runner = runner
        self._loop = runner.loop
        self._budget = config.budget
        self._declaring = declaring
        self._parts: dict[str, Part] = {}
        """By queue."""
        self._gathered = 0
        self._due = 0.0
        """When the budget of the first of them has run out, by the monotonic clock."""
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return self._gathered

    def add(self, work: Work) -> asyncio.Future[None]:
        """Store a job with the next ones.

        Returns:
            what is done when it is on disk, or has the errors of `Producer.commit`.
        """
        part = self._parts.get(work.queue)
        if part is None:
            part = self._open(work.queue)
        waiter = self._loop.create_future()
        part.works.append(work)
        part.waiters.append(waiter)
        self._gathered += 1
        if self._gathered == ENOUGH:
            self.hand_in()
        return waiter

    def _open(self, queue: str) -> Part:
        if not self._parts:
            self._due = monotonic() + self._budget
            if self._timer is None:
                self._timer = self._loop.call_later(self._budget, self._look)
            self._store.gather(self)
        part = self._parts[queue] = Part(self._due)
        return part

    def leave(self, work: Work, waiter: asyncio.Future[None]) -> None:
        """Who waited was cancelled: a job that has not been handed in is withdrawn, any other runs."""
        if not waiter.cancelled():
            if work.runner is not None:  # the answer came in the very turn of the cancellation
                work.runner.start([work])
            return
        part = self._parts.get(work.queue)
        if part is not None and work in part.works:
            part.works.remove(work)
            part.waiters.remove(waiter)
            self._gathered -= 1
            if not part.works:
                del self._parts[work.queue]  # the next one asks anew to be handed in

    def hand_in(self) -> None:
        """Ask the journal to store what has gathered. On the loop."""
        parts, self._parts, self._gathered = self._parts, {}, 0
        for part in parts.values():
            self._ask_for(part)

    def _ask_for(self, part: Part) -> None:
        try:
            self._declaring.tell()
            claimed, queued = part.split(max(0, self._runner.ahead))
            self._ask(claimed, self._runner.reserve(len(claimed.works)))
            self._ask(queued, None)
        except Exception as error:
            part.fail(error)

    def _ask(self, part: Part, holder: int | None) -> None:
        if not part.works:
            return
        reserved = 0 if holder is None else len(part.works)
        jobs, budget = plain_jobs(part.works), part.due - monotonic()
        try:
            reply = self._store.add(jobs, claim_for=holder, budget=budget)
        except BaseException:
            self._runner.decline(reserved)
            raise
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
                runner.doubt.arise()
                part.fail(error)
            return
        runner.take(part.works, added, reserved)
        for work, waiter in zip(part.works, part.waiters, strict=True):
            if not waiter.done():
                waiter.set_result(None)
            elif work.runner is not None:  # its request was cancelled: it is accepted, and so it runs
                work.runner.start([work])

    def _look(self) -> None:
        """Tell those whose budget has run out before the journal was asked."""
        self._timer = None
        if not self._parts:
            return
        left = self._due - monotonic()
        if left > 0:
            self._timer = self._loop.call_later(left, self._look)
            return
        parts, self._parts, self._gathered = self._parts, {}, 0
        for part in parts.values():
            part.fail(
                JournalUnavailable("the journal did not come to the write within its budget; try again")
            )


def _refused(error: Exception) -> bool:
    """Whether the journal can be written, and did not take what it was given."""
    return error.__cause__ is not None and not isinstance(error.__cause__, Broken)
