"""Claiming ahead: keeps a runner supplied, and asks the journal only when it may have work."""

import asyncio
from collections.abc import Collection, Sequence
from typing import Final, Protocol

from postlude.clock import SECOND, Clock
from postlude.errors import PostludeError
from postlude.model.event.jobs import JobsClaimed
from postlude.model.event.runner import ClaimsFailed
from postlude.model.job import Claim, Claimed, Few, FreeSlots
from postlude.model.queues import ALL, Queues
from postlude.runner.lease import Lease
from postlude.runner.pace import Pace
from postlude.stores.protocol import Store
from postlude.stores.reply import Reply

SHORTEST: Final = 0.005
LONGEST: Final = 0.25
"""Seconds between claims in vain that others' writes give cause to: the first pause, and the longest."""

BEHIND: Final = 500
"""Followers of the jobs that it claims that come along at most: one by one, each would cost a write."""


class Taker(Protocol):
    """Who takes the claims.

    Attributes:
        pace: how many it may hold, and when it wants more.
    """

    pace: Pace

    @property
    def load(self) -> int:
        """How many jobs it holds, or is about to."""
        ...

    @property
    def free(self) -> FreeSlots:
        """How many jobs that have a limit or a rate it could start at once."""
        ...

    def few(self) -> Sequence[Few]:
        """Of which tasks only so many are to be claimed."""
        ...

    @property
    def wants_suspect(self) -> bool:
        """Whether it may be given a suspect."""
        ...

    def accept(self, claims: Sequence[Claim]) -> object:
        """Take claims, and start what fits."""
        ...


class Claimer:
    """Makes claims for one runner, one request at a time.

    Args:
        store: the journal.
        lease: in whose name.
        taker: the runner.
        clock: for the moments at which rates let more start.
        queues: those that it claims from.
    """

    def __init__(self, store: Store, lease: Lease, taker: Taker, clock: Clock, queues: Queues = ALL) -> None:
        self.busy = False
        self.failed = False
        """Whether a claim has failed since this was last looked at: the journal's state is uncertain."""
        self.stopped = False
        self._store = store
        self._lease = lease
        self._taker = taker
        self._clock = clock
        self._queues = queues
        self._loop = asyncio.get_running_loop()
        self._more = True
        self._again: asyncio.TimerHandle | None = None
        self._again_at = 0
        self._soon: asyncio.TimerHandle | None = None
        self._vain = self._not_before = 0.0
        """How long it waits after a claim in vain, in seconds, and until when."""
        self._held_back = False
        """The last claim ended at a limited job that there was no room to start."""
        self._passed: list[Collection[str]] = []
        """The groups of tasks of which the last claim may have passed over jobs."""

    def notify(self) -> None:
        """The journal may have work."""
        self._more = True
        self._held_back = False  # also jobs that have no limit, behind those that there is no room for
        self.pump()

    def heard(self) -> None:
        """Somebody has said that the journal has work, though it may not be for this runner.

        Where that is so again and again, it is looked at less and less often.
        """
        left = self._not_before - self._loop.time()
        if left <= 0:
            self.notify()
        elif self._soon is None:
            self._soon = self._loop.call_later(left, self._turn_soon)

    def _turn_soon(self) -> None:
        self._soon = None
        self.notify()

    def _pause(self, found: bool) -> None:
        """Note whether a claim has found anything."""
        now = self._loop.time()
        if found or now - self._not_before > self._vain:
            self._vain = 0.0  # or it was quiet since
        if not found:
            self._vain = min(max(2 * self._vain, SHORTEST), LONGEST)
            self._not_before = now + self._vain

    def _notify_at(self, moment: int) -> None:
        """A rate lets more start then."""
        if self._again is not None:
            if self._again_at <= moment:
                return
            self._again.cancel()
        self._again_at = moment
        self._again = self._loop.call_later(max(0.0, (moment - self._clock.now()) / SECOND), self._turn)

    def _turn(self) -> None:
        self._again = None
        self.notify()

    def pump(self) -> None:
        """Claim, if there may be work and little is held."""
        if self._passed and self._may_take_them():
            self._more = True
        if not self._more or self.busy or self.stopped:
            return
        load = self._taker.load
        if load > self._taker.pace.low or (self._held_back and not any(self._taker.free)):
            return
        self._claim(self._taker.pace.limit - load)

    async def once(self) -> int:
        """Claim what is ready now, also when stopped; returns how much that was."""
        most = self._taker.pace.limit - self._taker.load
        if most <= 0:
            return 0
        reply = self._claim(most)
        assert reply.future is not None
        # Not awaited itself: a cancelled wait must not lose claims that are being made.
        await asyncio.wait([reply.future])
        return len(reply.result().claims)

    def _claim(self, limit: int) -> Reply[Claimed]:
        self.busy, self._more = True, False
        self._passed = []
        free, few, suspect = self._taker.free, self._taker.few(), self._taker.wants_suspect
        reply = self._store.claim(
            self._lease.runner, limit,
            suspect=suspect, free=free, behind=BEHIND, few=few, queues=self._queues,
        )  # fmt: skip
        reply.then(lambda reply: self._claimed(reply, sum(free), few))
        return reply

    def _may_take_them(self) -> bool:
        """Whether some of those that were passed over could be taken now."""
        most = {id(group.tasks): group.most for group in self._taker.few()}
        return any(most.get(id(tasks), 1) for tasks in self._passed)

    def _claimed(self, reply: Reply[Claimed], free: int, few: Sequence[Few]) -> None:
        self.busy = False
        try:
            claims, more, again, passed, _ = reply.result()
        except PostludeError as error:
            self._store.events.emit(ClaimsFailed(error))
            self._more = self.failed = True
            return
        self._passed = [few[place].tasks for place in passed]
        self._pause(bool(claims))
        if more:
            self._more = True
        self._held_back = more and len(claims) >= free
        if again is not None:
            self._notify_at(again)
        if claims:
            self._taker.accept(claims)
            if JobsClaimed in self._store.events.heard:
                self._store.events.emit(JobsClaimed(self._lease.runner, claims))
        self.pump()
