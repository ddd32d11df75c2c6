"""Waiting for works: those of this runner, and those that were queued and that anybody may run."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from math import inf
from typing import Final

from postlude.model.state import Reason, State, Stored
from postlude.runner.attempt.work import Work
from postlude.stores.protocol import Pause, Store

LOOK_EVERY: Final = 0.1
"""Seconds between looks at a job that somebody waits for and that another process may run, at most: the first
look is `SOON`, each later one waits twice as long as the one before."""

SOON: Final = 0.005
"""Seconds between looks at a job that runs inside its request."""

Claiming = Callable[[], Awaitable[None]]


class Waiters:
    """Works that somebody waits for.

    Args:
        store: the journal.
        promises: for how many seconds a job's start is waited for, by queue; of others, until it starts.
    """

    def __init__(self, store: Store, promises: Mapping[str, float] | None = None) -> None:
        self._store = store
        self._promises = promises or {}
        self._queued: dict[bytes, Work] = {}

    def expect(self, works: Iterable[Work]) -> None:
        """Remember works that were queued: claimed, they are the same objects."""
        self._queued.update((work.id, work) for work in works if not work.fence and not work.written)

    def known(self, id: bytes) -> Work | None:
        """Return, once, the work that a claim is of, if somebody waits for it."""
        return self._queued.pop(id, None)

    async def wait_for(self, works: Iterable[Work], claim: Claiming | None = None) -> None:
        """Return when works have ended and their ends are written.

        Args:
            works: those that are waited for.
            claim: called after each look at a queued one, where no runner claims what becomes ready.
        """
        works = [work for work in works if not work.written and not _is_delayed(work)]
        self.expect(works)
        for work in works:
            if work.waiter is None or work.waiter.done():
                work.waiter = asyncio.get_running_loop().create_future()
        now = asyncio.get_running_loop().time()
        for work in works:
            until, pause = now + self._promises.get(work.queue, inf), SOON
            while not work.written and not await self._heard(work, until, pause):
                pause = min(2 * pause, LOOK_EVERY)
                if claim is not None and not work.fence:
                    await claim()

    async def first_attempt(self, work: Work, patience: float) -> None:
        """Return when the first attempt of a work has ended, or so many seconds after it could have begun.

        One that is held here and waits for its place, or for its executor, has all the time that it needs.
        """
        loop = asyncio.get_running_loop()
        waiter = self._expect_one(work)
        until, elsewhere = loop.time() + patience, False
        while (left := until - loop.time()) > 0:
            await asyncio.wait([waiter], timeout=min(left, LOOK_EVERY))
            if work.over or work.written:
                return
            if work.fence:
                if not work.started:
                    until = loop.time() + patience
                continue
            record = await self._store.get(work.id)
            if record is None or record.state not in (State.QUEUED, State.RUNNING):
                return
            if record.state is State.QUEUED and record.started is not None:
                return  # an attempt has ended, and it waits for another
            if record.state is State.RUNNING and not elsewhere:
                until, elsewhere = loop.time() + patience, True

    def _expect_one(self, work: Work) -> asyncio.Future[None]:
        self.expect([work])
        if work.waiter is None or work.waiter.done():
            work.waiter = asyncio.get_running_loop().create_future()
        return work.waiter

    async def _heard(self, work: Work, until: float, pause: float) -> bool:
        """Wait for a work; one that was queued may end in another process, so its job is looked at after a
        pause.

        Nor is one waited for that has not started `until` then.

        Nobody waits for a job that is not to start now: it is delayed, or paused, or its rate is used up.
        """
        assert work.waiter is not None
        await asyncio.wait([work.waiter], timeout=None if work.fence else pause)
        if work.written or work.fence:
            return work.written
        record = await self._store.get(work.id)
        if record is None or record.state not in (State.QUEUED, State.RUNNING):
            return True
        if record.state is State.RUNNING:  # elsewhere
            return False
        if record.started is not None or asyncio.get_running_loop().time() >= until:
            return True  # an attempt has ended, and it waits for another; or nobody starts it
        if record.stored in (Stored.READY, Stored.PUBLISHED):
            return Pause("queue", record.queue) in await self._store.paused()
        return record.stored is Stored.SCHEDULED or record.reason in (Reason.RATE, Reason.PAUSED)


async def first_of_visit(work: Work, inline: Collection[asyncio.Task[None]], patience: float) -> None:
    """Return when a work has ended, or the visits that run it have, or after so many seconds."""
    loop = asyncio.get_running_loop()
    until = loop.time() + patience
    while not (work.over or work.written) and loop.time() < until:
        running = [visit for visit in inline if not visit.done()]
        if not running:
            return
        await asyncio.wait(running, timeout=SOON)


def _is_delayed(work: Work) -> bool:
    due = work.terms.due
    return due is not None and due > work.created and not work.fence
