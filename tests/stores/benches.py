"""The stores of this package, as the conformance suite wants them."""

from pathlib import Path

import apsw

from postlude.clock import ManualClock
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

    def reopen(self, store: Store, clock: ManualClock) -> Store | None:
        store.close()
        return SqliteStore(self._path, clock=clock)
