"""The stores of this package, as the conformance suite wants them."""

from copy import copy
from pathlib import Path
from typing import Any

import apsw

from postlude.clock import ManualClock
from postlude.stores.grouped.backend import Broken, Conflict
from postlude.stores.memory import MemoryStore
from postlude.stores.protocol import Store
from postlude.stores.sqlite import SqliteStore
from postlude.testing.conformance import StoreBench


class MemoryBench(StoreBench):
    def make(self, clock: ManualClock) -> Store:
        return MemoryStore(clock)

    def skip_numbers(self, store: Store) -> None:
        assert isinstance(store, MemoryStore)
        store._intake._last_seq += 7

    def another(self, store: Store, clock: ManualClock) -> Store | None:
        assert isinstance(store, MemoryStore)
        return copy(store)  # which shares what it has

    def another_host(self, store: Store, clock: ManualClock) -> Store | None:
        return self.another(store, clock)  # the time is the journal's


class SqliteBench(StoreBench):
    def __init__(self, folder: Path) -> None:
        self._path = folder / "journal.db"

    def make(self, clock: ManualClock) -> Store:
        return SqliteStore(self._path, clock=clock)

    def skip_numbers(self, store: Store) -> None:
        db = apsw.Connection(str(self._path))
        new = "NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'job')"
        db.execute(f"INSERT INTO sqlite_sequence SELECT 'job', 0 WHERE {new}")
        db.execute("UPDATE sqlite_sequence SET seq = seq + 7 WHERE name = 'job'")
        db.close()

    def lose_commit(self, store: Store, how: str) -> None:
        writer: Any = store._writer  # type: ignore[attr-defined]
        backend = writer._backend
        commit, confirm = backend.commit, backend.premises.confirm
        backend.premises._pause = 0.0

        def fail() -> None:
            backend.premises.confirm = confirm
            confirm()
            raise Broken("nobody knows")

        def lose() -> None:  # in the writer's thread: it has the connection
            backend.commit = commit
            if how == "conflict":
                raise Conflict("others were in the way")
            if how == "gone":
                backend._tx.restart()
            backend.premises.confirm = fail
            commit()

        backend.commit = lose

    def reopen(self, store: Store, clock: ManualClock) -> Store | None:
        store.close()
        return SqliteStore(self._path, clock=clock)

    def another(self, store: Store, clock: ManualClock) -> Store | None:
        return SqliteStore(self._path, clock=clock)
