"""The writer's connections: the first, and those after one was lost, not at once each time."""

from random import uniform
from time import monotonic
from typing import Final

import psycopg

from postlude.stores.grouped.backend import Broken
from postlude.stores.postgres.connection import connect_durably, epoch_of, migrate, reason
from postlude.stores.postgres.runners import Runners
from postlude.stores.postgres.transaction import Connection

FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 2.0
"""Seconds between attempts to reach the server again."""


class Reaching:
    """Opens the writer's connections.

    Args:
        url: where.
        runners: those of this process, whose locks a connection holds.
    """

    def __init__(self, url: str, runners: Runners) -> None:
        self._url = url
        self._runners = runners
        self._pause, self._again = 0.0, 0.0

    def open(self, schema: str) -> tuple[Connection, str]:
        """Open the first one, and make or migrate the schema; returns what tells the journal from others too.

        Raises:
            JournalRefused: it must not be used. psycopg.Error: it cannot be used now.
        """
        db = connect_durably(self._url, self._runners.token)
        try:
            migrate(db, schema)
            epoch = epoch_of(db, schema)
            self._runners.hold(db)
        except BaseException:
            db.close()
            raise
        return db, epoch

    def connect(self) -> Connection:
        """Open a connection, with the locks of this process's runners.

        Raises:
            Broken: it cannot be now.
        """
        if monotonic() < self._again:
            raise Broken("the server could not be reached a moment ago")
        try:
            db = connect_durably(self._url, self._runners.token)
            self._runners.hold(db)
        except psycopg.Error as error:
            self._pause = min(LONGEST_PAUSE, max(FIRST_PAUSE, 2 * self._pause))
            self._again = monotonic() + uniform(0.5, 1.0) * self._pause
            self._runners.held_up()
            raise Broken(f"the server cannot be reached: {reason(error)}") from None
        self._pause = 0.0
        return db
