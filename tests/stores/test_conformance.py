"""The conformance suite on the stores of this package."""

from pathlib import Path

import pytest

from postlude.testing.conformance import StoreBench, StoreConformance
from tests.stores.benches import MemoryBench, SqliteBench


def test_no_case_hides_another_of_the_same_name() -> None:
    kinds = [kind for kind in StoreConformance.__mro__ if kind.__module__.startswith("postlude.testing")]
    cases = [name for kind in kinds for name in vars(kind) if name.startswith("test_")]
    assert sorted(cases) == sorted(set(cases))


class TestMemory(StoreConformance):
    @pytest.fixture
    def bench(self) -> StoreBench:
        return MemoryBench()


@pytest.mark.disk
class TestSqlite(StoreConformance):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> StoreBench:
        return SqliteBench(tmp_path)
