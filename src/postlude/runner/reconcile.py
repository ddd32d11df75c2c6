"""After a write that failed, the journal may hold claims that this process knows nothing of."""

from postlude.model.event.runner import ClaimsReleased
from postlude.runner.claimer import Claimer
from postlude.runner.finisher import Finisher
from postlude.runner.held import Held
from postlude.runner.lease import Lease
from postlude.stores.protocol import Store


class Reconciler:
    """Whether that may be so, and its end.

    Args:
        store: the journal.
        lease: whose claims.
        claimer: makes them.
        ends: ends them.
        held: the jobs that are known.
    """

    def __init__(
        self,
        store: Store,
        lease: Lease,
        claimer: Claimer,
        finisher: Finisher,
        held: Held,
    ) -> None:
        self._store = store
        self._lease = lease
        self._claimer = claimer
        self._finisher = finisher
        self._held = held
        self._arisen = False

    def arise(self) -> None:
        """A write for the runner has failed. From any thread."""
        self._arisen = True

    @property
    def in_doubt(self) -> bool:
        """Whether there is doubt."""
        return self._arisen or self._claimer.failed or self._finisher.failed

    async def settle(self) -> bool:
        """If there is doubt, and nothing under way: release the claims that are unknown here.

        Returns:
            whether some were.
        """
        if not self.in_doubt or not self._quiet():
            return False
        self._claimer.failed = self._finisher.failed = False
        self._arisen = True  # until it has come to its end
        holds = await self._store.holds(self._lease.runner)
        if not self._quiet():
            return False
        unknown = [
            hold for hold in holds if hold.seq not in self._held and not self._finisher.knows(hold.seq)
        ]
        if unknown:
            self._store.events.emit(ClaimsReleased(len(unknown)))
            await self._store.release(self._lease.runner, unknown)
        self._arisen = False
        return bool(unknown)

    def _quiet(self) -> bool:
        """Whether no claim is being made and no end written."""
        return not self._claimer.busy and not self._held.reserved and not self._finisher.under_way
