"""The PostgreSQL store: a schema in the database that a service has already."""

from typing import Final

import psycopg

from postlude.clock import Clock, SystemClock
from postlude.errors import JournalUnavailable
from postlude.model.event.journal import ServerPooled
from postlude.stores.grouped.store import GroupedStore
from postlude.stores.postgres.backend import PostgresBackend
from postlude.stores.postgres.connection import SCHEMA, reason, shown
from postlude.stores.postgres.guard import Guard
from postlude.stores.postgres.listening import Listener
from postlude.stores.postgres.reader import PostgresReader
from postlude.stores.postgres.runners import FREE_FOR
from postlude.stores.signals import Signals
from postlude.stores.values import Entrance

SYSTEM: Final = SystemClock()


class PostgresStore(GroupedStore):
    """The journal in a PostgreSQL database.

    Args:
        url: where it is, as libpq reads it: `postgresql://user:password@host/database`.
        schema: the schema of its tables; made if it is missing.
        clock: for tests; else the server tells the time.
        free_for: seconds for which a process's lock has to be seen free before it is taken for dead.
        listens: hears of other processes by LISTEN, and tells them by NOTIFY; otherwise it looks. Behind a
            pooler it does that in any case.
    """

    def __init__(
        self,
        url: str,
        *,
        schema: str = SCHEMA,
        clock: Clock | None = None,
        free_for: float = FREE_FOR,
        listens: bool = True,
    ) -> None:
        super().__init__()
        self._listens = listens
        self._url = url
        self._schema = schema
        self._clock = clock
        self._free_for = free_for
        self._listener: Listener | None = None
        self._guard: Guard | None = None
        self._offset = 0
        self._epoch = ""
        self.now = self._time if clock is None else clock.now

    @property
    def location(self) -> str:
        """Where it is, without passwords and hosts."""
        return shown(self._url, self._schema)

    def connect(self) -> tuple[PostgresBackend, PostgresReader]:
        """Connect, and make or migrate the schema."""
        backend = PostgresBackend(
            self._url, self._schema, self._clock, self._free_for, self._listeners, self.events, self._listens
        )
        try:
            backend.open()
        except psycopg.Error as error:
            raise JournalUnavailable(f"cannot open the journal {self.location}: {reason(error)}") from None
        if backend.is_pooled:
            self.events.emit(ServerPooled(self.location))
        self._listener = Listener(
            self._url, self._schema, self._listeners, backend.runners.token, listens=self._listens
        )
        self._epoch = backend.epoch
        backend.connected = self._listener.know
        backend.turns.apart = self._set
        self._guard = Guard(backend, self.renew)
        self._listener.know(backend.sender)
        return backend, PostgresReader(
            self._url, self._schema, self._clock, backend.runners.marks, backend.runners.token
        )

    def listen(self, listener: Signals) -> None:
        """Tell it what has been written, here and by other processes."""
        super().listen(listener)
        if self._listener is not None:
            self._listener.begin()

    def entrance(self) -> Entrance:
        """Return by what transactions of applications add jobs by themselves."""
        if not self._epoch:
            raise JournalUnavailable("the journal is not open")
        return Entrance(f"SELECT {self._schema}.join_jobs({{}}, {{}})", self._epoch)

    def _time(self) -> int:
        """Return the server's time, as far as this machine's clock was from it when it was asked last."""
        return SYSTEM.now() + self._offset

    def _set(self, least: int, most: int) -> None:
        # As it was if it can be: each answer is late by another while, and ends would be before their starts.
        self._offset = min(max(self._offset, least), most)

    def close(self) -> None:
        """Write what was asked for and close."""
        if self._guard is not None:
            self._guard.stop()
            self._guard = None
        super().close()
        if self._listener is not None:
            self._listener.stop()
            self._listener = None
