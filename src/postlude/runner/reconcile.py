"""After a write that failed, the journal may hold claims that this process knows nothing of."""

from postlude.runner.claimer import Claimer
from postlude.runner.finisher import Ends
from postlude.runner.held import Held
from postlude.runner.lease import Membership
from postlude.stores.protocol import Store
from postlude.telemetry.log import Log

log = Log("postlude.runner")


class Doubt:
    """Whether that may be so, and its end.

    Args:
        store: the journal.
        membership: whose claims.
        claimer: makes them.
        ends: ends them.
        held: the jobs that are known.
    """

    def __init__(
        self,
        store: Store,
        membership: Membership,
        claimer: Claimer,
        ends: Ends,
        held: Held,
    ) -> None:
        self._store = store
        self._membership = membership
        self._claimer = claimer
        self._ends = ends
        self._held = held
        self._arisen = False

    def arise(self) -> None:
        """A write for the runner has failed. From any thread."""
        self._arisen = True

    async def settle(self) -> bool:
        """If there is doubt, and nothing under way: release the claims that are unknown here.

        Returns:
            whether some were.
        """
        if not (self._arisen or self._claimer.failed or self._ends.failed) or not self._quiet():
            return False
        self._claimer.failed = self._ends.failed = False
        self._arisen = True  # until it has come to its end
        holds = await self._store.holds(self._membership.runner)
        if not self._quiet():
            return False
        unknown = [hold for hold in holds if hold.seq not in self._held and not self._ends.knows(hold.seq)]
        if unknown:
            log.warning("%d claims, made while the journal failed, are released", len(unknown))
            await self._store.release(self._membership.runner, unknown)
        self._arisen = False
        return bool(unknown)

    def _quiet(self) -> bool:
        """Whether no claim is being made and no end written."""
        return not self._claimer.busy and not self._held.reserved and not self._ends.under_way
