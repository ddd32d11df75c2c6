"""Whether a journal may have changed, for each of several runners of one process."""

from threading import Lock

from postlude.stores.protocol import Reading


class News:
    """Counts changes: a store says once that there is one, and each runner of its process must hear of it.

    Args:
        store: the journal.
    """

    def __init__(self, store: Reading) -> None:
        self._store = store
        self._lock = Lock()
        self._changes = 0

    def count(self) -> int:
        """Return how many changes there have been: another number than before, if there is news."""
        with self._lock:
            if self._store.changed():
                self._changes += 1
            return self._changes
