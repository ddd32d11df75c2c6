"""The engines of this package, and one of a page, pass the suite for engines."""

from pathlib import Path

import pytest

from postlude import Limit, Local, Rate
from postlude.engines.protocol import Engine
from postlude.runner.duties import loop
from postlude.stores.protocol import Store
from postlude.stores.sqlite import SqliteStore
from postlude.testing.conformance.engines import EngineBench, EngineConformance
from tests.engines.toy import Toy


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy is told soon of what was not to start when it was added."""
    monkeypatch.setattr(loop, "PUBLISH_EVERY", 0.05)


class LocalBench(EngineBench):
    a_while = 0.05
    window = 12

    def engine(self, limit: Limit | None = None, rate: Rate | None = None) -> Engine:
        return Local(limit, rate)


class ToyBench(EngineBench):
    a_while = 0.05

    def engine(self, limit: Limit | None = None, rate: Rate | None = None) -> Engine:
        return Toy(limit, rate)


class ToyOnDisk(ToyBench):
    def __init__(self, folder: Path) -> None:
        self._path = folder / "jobs.db"

    def store(self) -> Store:
        store: Store = SqliteStore(self._path)
        return store


class TestLocal(EngineConformance):
    @pytest.fixture
    def bench(self) -> EngineBench:
        return LocalBench()


class TestToy(EngineConformance):
    @pytest.fixture
    def bench(self) -> EngineBench:
        return ToyBench()


@pytest.mark.disk
class TestToyOnSqlite(EngineConformance):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> EngineBench:
        return ToyOnDisk(tmp_path)
