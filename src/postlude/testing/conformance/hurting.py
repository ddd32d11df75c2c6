"""What the suite has to know of a kind of store: how one is made, and how it is hurt."""

from postlude.clock import ManualClock
from postlude.stores.protocol import Enlisted, Store


class StoreBench:
    """How to make a store, and how to hurt it. Derive from it for each kind of store."""

    def make(self, clock: ManualClock) -> Store:
        """Return a new, empty store that runs by this clock; the suite opens and closes it."""
        raise NotImplementedError

    def reopen(self, store: Store, clock: ManualClock) -> Store | None:
        """Close a store and return another one, not yet open, over the same jobs; None: it is not durable."""
        return None

    def skip_numbers(self, store: Store) -> None:
        """Leave out some of the numbers (`seq`) that jobs would get next, if that can be brought about.

        A server's sequence does so when a transaction is undone, or another session has taken some.
        """

    def lose_commit(self, store: Store, how: str) -> None:
        """Let the next commit go wrong, if that can be brought about.

        `"stored"`: it takes effect, but the connection is lost before that is known; `"gone"`: the same, and
        it does not; `"conflict"`: others' transactions were in the way, and all is undone.
        """

    def another(self, store: Store, clock: ManualClock) -> Store | None:
        """Return another store over the same jobs, not yet open, as another process on this host has one.

        None: there can be no other; the cases about that are skipped.
        """
        return None

    def another_host(self, store: Store, clock: ManualClock) -> Store | None:
        """Return another store over the same jobs, not yet open, of a host whose own clock this is.

        None: all of them are on one host; the cases about that are skipped.
        """
        return None

    def hear(self, store: Store) -> None:
        """Wait until a store that somebody listens to hears of what others write, if that takes a while."""

    def kill(self, store: Store, runner: Enlisted) -> None:
        """Make a runner look dead, where that can be seen before its lease has run out."""
