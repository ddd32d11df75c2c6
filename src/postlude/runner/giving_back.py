"""Giving claims back whose jobs have not started, so that others can run them."""

from collections.abc import Sequence

from postlude.clock import Clock
from postlude.runner.chains import Chains
from postlude.runner.doubt import Doubt
from postlude.runner.membership import Membership
from postlude.runner.unstarted import Unstarted
from postlude.runner.work import Work
from postlude.stores.protocol import Store
from postlude.stores.reply import Reply


class GivingBack:
    """How a runner gives back what it holds.

    Args:
        store: the journal.
        membership: in whose name.
        unstarted: what can be given back.
        chains: what follows what goes back in order.
        clock: the time.
        doubt: told of what may stay claimed in the journal.
    """

    def __init__(
        self,
        store: Store,
        membership: Membership,
        unstarted: Unstarted,
        chains: Chains,
        clock: Clock,
        doubt: Doubt,
    ) -> None:
        self._store = store
        self._membership = membership
        self._unstarted = unstarted
        self._chains = chains
        self._clock = clock
        self._doubt = doubt

    def all(self, within: float) -> int:
        """Release all that could have started, in so many seconds; returns how many jobs that were.

        From the heartbeat's thread, while the loop hangs.
        """
        works = self._unstarted.take_all(answering=False)
        if not works:
            return 0
        self._doubt.arise()  # until the audit, should this fail
        return self.release(works).wait(within)

    def release(self, works: Sequence[Work]) -> Reply[int]:
        """Give up the claims of works that have been taken back."""
        holds = self._chains.holds(works, self._clock.now())
        return self._store.release(self._membership.runner, holds)
