"""The places that a worker's processes have, and how long one that has ended leaves its place empty."""

import asyncio
from collections.abc import Iterable
from typing import Final

from postlude.config import Config
from postlude.worker.member import Member
from postlude.worker.orders import Orders
from postlude.worker.process import LEAVE_WITHIN

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 30.0
"""Seconds until a process is started in the place of one that has ended soon: at first, and at most."""

SOON: Final = 10.0
"""Seconds: a process that ran jobs for so long has not ended soon; another is started at once."""


class Slot:
    """A place for one process."""

    def __init__(self) -> None:
        self.member: Member | None = None
        """The one that is there now."""
        self._failures = 0
        self._changed = asyncio.Event()

    def put(self, member: Member | None) -> None:
        """Have this one there from now on, or none."""
        self.member = member
        self._changed.set()

    async def another_than(self, member: Member) -> Member:
        """Return the one that is there once it is not this one any more."""
        while self.member is None or self.member is member:
            self._changed.clear()
            await self._changed.wait()
        return self.member

    def pause(self, ran: float | None) -> float:
        """Return the seconds until another is started: more, the more have ended soon, one after another.

        Args:
            ran: for how many seconds the one that has ended ran jobs; None: it never did.
        """
        if ran is not None and ran >= SOON:
            self._failures = 0
            return 0.0
        self._failures += 1
        return min(FIRST_PAUSE * (1 << min(self._failures - 1, 10)), LONGEST_PAUSE)


def grace_of(members: Iterable[Member], orders: Orders) -> float:
    """Return how long processes wait for their jobs, in seconds, as far as they have said."""
    usual = Config().grace if orders.grace is None else orders.grace
    return max((member.grace for member in members if member.grace is not None), default=usual)


def patience_with(members: Iterable[Member], orders: Orders) -> float:
    """Return the seconds after which processes are killed that were told to end."""
    return grace_of(members, orders) + 2 * LEAVE_WITHIN  # they give up by themselves before
