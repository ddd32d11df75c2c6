"""Others' transactions that have been open for long, which keep the server from cleaning up behind jobs."""

from functools import partial
from typing import Final

from postlude.model.event.journal import TransactionHeld
from postlude.stores.relational.transaction import Transaction
from postlude.telemetry.events import Events

LONG: Final = 30.0
"""Seconds after which a transaction is told of, once."""

KNOWN: Final = 100
"""Those that have been told of are forgotten when they are more."""


class HeldTransactions:
    """Tells of them.

    Args:
        events: who is told.
        location: of the journal, without secrets.
        after: seconds for which one has been open.
    """

    def __init__(self, events: Events, location: str, after: float = LONG) -> None:
        self._events = events
        self._location = location
        self._after = after
        self._told: set[tuple[int, str]] = set()

    def look(self, tx: Transaction) -> None:
        """Tell of those that have not been told of, once the group is committed."""
        for pid, application, seconds, began in tx.rows("held_transactions", self._after):
            if (pid, began) not in self._told:
                if len(self._told) > KNOWN:
                    self._told.clear()
                self._told.add((pid, began))
                told = TransactionHeld(self._location, pid, application, round(seconds))
                tx.afterwards.append(partial(self._events.emit, told))
