"""What the conformance suite needs of PostgreSQL."""

from typing import Any

import psycopg

from postlude.clock import ManualClock
from postlude.stores.grouped.backend import Conflict
from postlude.stores.postgres import PostgresStore
from postlude.stores.postgres.together import Failed
from postlude.stores.protocol import Store
from postlude.testing.conformance import StoreBench
from tests.servers.postgres import PostgresServer


class PostgresBench(StoreBench):
    def __init__(self, server: PostgresServer, schema: str) -> None:
        self._server = server
        self._schema = schema

    def make(self, clock: ManualClock) -> Store:
        return PostgresStore(self._server.url, schema=self._schema, clock=clock, free_for=0)

    def reopen(self, store: Store, clock: ManualClock) -> Store | None:
        store.close()
        return self.make(clock)

    def another(self, store: Store, clock: ManualClock) -> Store | None:
        return self.make(clock)

    def another_host(self, store: Store, clock: ManualClock) -> Store | None:
        assert isinstance(store, PostgresStore)
        assert isinstance(store._clock, ManualClock)
        return self.make(store._clock)  # the server tells the time, and that is the test's

    def hear(self, store: Store) -> None:
        assert isinstance(store, PostgresStore)
        assert store._listener is not None
        assert store._listener.hears.wait(10.0)

    def skip_numbers(self, store: Store) -> None:
        with psycopg.connect(self._server.url, autocommit=True) as db:
            db.execute(f"SELECT nextval('{self._schema}.job_seq') FROM generate_series(1, 7)")

    def lose_commit(self, store: Store, how: str) -> None:
        backend: Any = store._writer._backend  # type: ignore[attr-defined]
        commit = backend.commit

        def lose() -> None:  # in the writer's thread: it has the connection
            backend.commit = commit
            if how == "conflict":
                raise Conflict("others were in the way")
            is_lost = psycopg.OperationalError("the connection is lost")
            error: Exception
            seam, name, error = backend._together, "send", Failed(None, is_lost)
            if seam is None:  # a pooler is in the way
                seam, name, error = backend._db, "execute", is_lost
            run = getattr(seam, name)

            def lost(what: Any, *values: Any) -> Any:
                last = what if isinstance(what, str) else what[-1].words
                if not last.endswith("COMMIT"):
                    return run(what, *values)
                if how == "stored":
                    run(what)
                backend._db.close()
                raise error

            setattr(seam, name, lost)
            commit()

        backend.commit = lose
