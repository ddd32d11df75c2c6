"""The role of a store that is looked after; see `postlude.stores.protocol` for what holds of all of them."""

from collections.abc import Collection, Sequence
from typing import Protocol

from postlude.config import Keep
from postlude.model.counted import Counted
from postlude.stores.reply import Reply
from postlude.stores.values import Deed, Pause, Promoted


class Upkeep(Protocol):
    """What must be done from time to time."""

    def promote(self) -> Reply[Promoted]:
        """Make ready what is due: scheduled jobs, followers that have waited long enough, rates' turns."""
        ...

    def paused(self) -> Reply[list[Pause]]:
        """Return what is paused."""
        ...

    def parked(self) -> Reply[list[tuple[str, str]]]:
        """Return the distinct (task name, release) pairs of parked jobs."""
        ...

    def unpark(self, pairs: Collection[tuple[str, str]], *, suspects: bool = True) -> Reply[int]:
        """Make the parked jobs of these (task name, release) pairs ready.

        Without `suspects`, not those that are: nobody who asks so could run one now, and who knows them
        no better than before would park them again.
        """
        ...

    def prune(self, keep: Keep, by: Deed | None = None) -> Reply[int]:
        """Delete a bounded number of finished jobs that are kept no longer; returns how many."""
        ...

    def count(self, counted: Sequence[Counted]) -> Reply[None]:
        """Add to what processes have counted, of what no job's row tells; see `Looking.counted`."""
        ...

    def fold(self) -> Reply[int]:
        """Forget a bounded number of sums of minutes that are over for longer than `history.MINUTES_KEPT`.

        They stay in the sums of all time. Audit lines older than `AUDIT_SECONDS` are forgotten, too. Returns
        how many sums were; there may be more.
        """
        ...
