"""The conformance suite on the stores of this package."""

from pathlib import Path

import pytest

from postlude.testing.conformance import StoreBench, StoreConformance
from tests.stores.benches import MemoryBench, SqliteBench


class TestMemory(StoreConformance):
    @pytest.fixture
    def bench(self) -> StoreBench:
        return MemoryBench()


@pytest.mark.disk
class TestSqlite(StoreConformance):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> StoreBench:
        return SqliteBench(tmp_path)
