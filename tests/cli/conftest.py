"""A journal in the folder that commands are called in."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from postlude.clock import ManualClock
from postlude.stores.protocol import Store
from postlude.stores.sqlite import SqliteStore
from postlude.testing.conformance import Driver, StoreBench


class Bench(StoreBench):
    def make(self, clock: ManualClock) -> Store:
        return SqliteStore(Path("postlude.db"), clock=clock)


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    """It is made where the test is, and no setting of whoever runs the tests says otherwise."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("POSTLUDE_STORE", raising=False)
    driver = Driver(Bench(), ManualClock())
    yield driver
    driver.store.close()
