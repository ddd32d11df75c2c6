"""Giving claims back whose jobs have not started, so that others can run them."""

from collections.abc import Callable, Sequence
from functools import partial

from postlude.clock import Clock
from postlude.errors import PostludeError
from postlude.model.event.jobs import JobsReleased
from postlude.model.event.runner import ReleaseFailed
from postlude.runner.attempt.work import Work
from postlude.runner.chains import Chains
from postlude.runner.lease import Lease
from postlude.runner.reconcile import Reconciler
from postlude.runner.unstarted import Unstarted
from postlude.stores.protocol import Store
from postlude.stores.reply import Reply


class GivingBack:
    """How a runner gives back what it holds.

    Args:
        store: the journal.
        lease: in whose name.
        unstarted: what can be given back.
        chains: what follows what goes back in order.
        clock: the time.
        reconciler: told of what may stay claimed in the journal.
        given: called on the loop after some have been given back.
    """

    def __init__(
        self,
        store: Store,
        lease: Lease,
        unstarted: Unstarted,
        chains: Chains,
        clock: Clock,
        reconciler: Reconciler,
        given: Callable[[], object],
    ) -> None:
        self._store = store
        self._lease = lease
        self._unstarted = unstarted
        self._chains = chains
        self._clock = clock
        self._reconciler = reconciler
        self._given = given

    def all(self, within: float) -> int:
        """Release all that could have started, in so many seconds; returns how many jobs that were.

        From the heartbeat's thread, while the loop hangs.
        """
        works = self._unstarted.take_all(answering=False)
        if not works:
            return 0
        self._reconciler.arise()  # until the audit, should this fail
        released = self._release(works).wait(within)
        self._tell(works)
        return released

    def some(self, which: Callable[[Work], bool]) -> Reply[int]:
        """Release those that could have started and of which this is true, with what follows them."""
        return self._let_go(self._unstarted.take_some(which))

    def these(self, works: Sequence[Work]) -> Reply[int]:
        """Release works that have been taken from where they waited, with what follows them."""
        return self._let_go(self._unstarted.forget(works))

    def _let_go(self, works: Sequence[Work]) -> Reply[int]:
        if not works:
            return Reply.of(0)
        reply = self._release(works)
        reply.then(partial(self._heard, works))
        return reply

    def _heard(self, works: Sequence[Work], reply: Reply[int]) -> None:
        try:
            reply.result()
            self._tell(works)
        except PostludeError as error:
            self._store.events.emit(ReleaseFailed(error))
            self._reconciler.arise()
        self._given()

    def _tell(self, works: Sequence[Work]) -> None:
        if JobsReleased in self._store.events.heard:
            self._store.events.emit(JobsReleased([work.id for work in works]))

    def _release(self, works: Sequence[Work]) -> Reply[int]:
        holds = self._chains.holds(works, self._clock.now())
        return self._store.release(self._lease.runner, holds)
