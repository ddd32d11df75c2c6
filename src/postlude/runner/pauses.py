"""Pauses, as far as a runner has heard of them: what it holds of them does not start any more."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress

from postlude.errors import PostludeError
from postlude.model.job import Claim
from postlude.runner.attempt.work import Work
from postlude.runner.executors.pool import ExecutorPool
from postlude.runner.giving_back import GivingBack
from postlude.stores.protocol import Pause
from postlude.stores.reply import Reply


class Pauses:
    """Gives back what is paused: at once where it waits, the rest when it would start.

    What is claimed after a pause is not of it: the journal has seen to that.

    Args:
        giving_back: gives it back.
        executors: asks before it starts something.
        claiming: whether a claim is under way.
    """

    def __init__(
        self, giving_back: GivingBack, executors: ExecutorPool, claiming: Callable[[], bool]
    ) -> None:
        self.changes = 0
        """How often this process has said what is paused; what was read before that is out of date."""
        self._giving_back = giving_back
        self._executors = executors
        self._claiming = claiming
        self._loop = asyncio.get_running_loop()
        self._known: frozenset[Pause] = frozenset()
        self._crossed = False
        """A claim was under way when the last pause was heard of: the journal may have made it before."""
        self._kept: list[Work] = []

    async def told(self, what: Collection[Pause], *, paused: bool) -> None:
        """This has been paused, or resumed, in this process. On the loop.

        Returns when what waited of it is given back; if that could not be written, it does not start either.
        """
        self.changes += 1
        known = self._known.union(what) if paused else self._known.difference(what)
        with suppress(PostludeError):
            await self.know(known)

    def know(self, pauses: Collection[Pause]) -> Reply[int]:
        """All of this is paused, and nothing else."""
        new = frozenset(pauses) - self._known
        self._known = frozenset(pauses)
        self._executors.keeps_back = self._keep if self._known else None
        if not new:
            return Reply.of(0)
        self._crossed = self._claiming()
        return self._giving_back.some(lambda work: _is_of(new, work.queue, work.name))

    def trust(self, claims: Sequence[Claim]) -> None:
        """These have been claimed: what they are of has been resumed, unless they have crossed its pause."""
        if self._crossed:
            self._crossed = False
            return
        over = {Pause("queue", claim.queue) for claim in claims}
        over |= {Pause("task", claim.task) for claim in claims}
        if not over.isdisjoint(self._known):
            self.know(self._known - over)

    def _keep(self, work: Work) -> bool:
        """Whether a work must not start; then it is given back, soon, with others of this moment."""
        if not _is_of(self._known, work.queue, work.name):
            return False
        if not self._kept:
            self._loop.call_soon(self._let_go)
        self._kept.append(work)
        return True

    def _let_go(self) -> None:
        kept, self._kept = self._kept, []
        self._giving_back.these(kept)


def _is_of(pauses: Collection[Pause], queue: str, task: str) -> bool:
    return Pause("queue", queue) in pauses or Pause("task", task) in pauses
