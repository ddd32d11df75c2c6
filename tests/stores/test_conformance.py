"""The conformance suite on the stores of this package."""

from pathlib import Path

import pytest

from postlude.clock import ManualClock
from postlude.stores.memory import MemoryStore
from postlude.stores.protocol import Store
from postlude.testing.conformance import StoreBench, StoreConformance


class MemoryBench(StoreBench):
    def make(self, clock: ManualClock) -> Store:
        return MemoryStore(clock)


class TestMemory(StoreConformance):
    @pytest.fixture
    def bench(self) -> StoreBench:
        return MemoryBench()


try:
    from postlude.stores.sqlite import SqliteStore
except ImportError:  # not built yet
    pass
else:

    class SqliteBench(StoreBench):
        def __init__(self, folder: Path) -> None:
            self._path = folder / "journal.db"

        def make(self, clock: ManualClock) -> Store:
            return SqliteStore(self._path, clock=clock)

        def reopen(self, store: Store, clock: ManualClock) -> Store | None:
            store.close()
            return SqliteStore(self._path, clock=clock)

    class TestSqlite(StoreConformance):
        @pytest.fixture
        def bench(self, tmp_path: Path) -> StoreBench:
            return SqliteBench(tmp_path)
