"""The stores of this package, as the conformance suite wants them."""

from pathlib import Path

from postlude.clock import ManualClock
from postlude.stores.memory import MemoryStore
from postlude.stores.protocol import Store
from postlude.stores.sqlite import SqliteStore
from postlude.testing.conformance import StoreBench


class MemoryBench(StoreBench):
    def make(self, clock: ManualClock) -> Store:
        return MemoryStore(clock)


class SqliteBench(StoreBench):
    def __init__(self, folder: Path) -> None:
        self._path = folder / "journal.db"

    def make(self, clock: ManualClock) -> Store:
        return SqliteStore(self._path, clock=clock)

    def reopen(self, store: Store, clock: ManualClock) -> Store | None:
        store.close()
        return SqliteStore(self._path, clock=clock)
