"""A disk on which no commit succeeds: the callers are told, and nothing runs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from postlude.clock import ManualClock
from postlude.errors import JournalUnavailable
from postlude.model.job import NewJob
from postlude.stores.grouped import committing
from postlude.stores.sqlite import premises
from postlude.stores.sqlite.store import SqliteStore
from postlude.testing.conformance import Driver
from postlude.testing.conformance.bench import PATIENCE
from tests.stores.benches import SqliteBench

pytestmark = pytest.mark.disk


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(committing, "PAUSE", 0.0)
    monkeypatch.setattr(premises, "FIRST_PAUSE", 0.001)


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Driver]:
    driver = Driver(SqliteBench(tmp_path), ManualClock())
    yield driver
    driver.store.close()


def test_a_disk_that_never_commits(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    """The caller is told before its budget is over; then it is certain that nothing runs."""
    backend: Any = driver.store._writer._backend  # type: ignore[attr-defined]
    assert isinstance(driver.store, SqliteStore)
    begin, vain = backend.begin, [True]

    def begin_in_vain() -> None:
        begin()
        backend.premises.db.set_commit_hook(lambda: vain[0])

    monkeypatch.setattr(backend, "begin", begin_in_vain)
    job: NewJob = driver.new()
    with pytest.raises(JournalUnavailable, match="did not take"):
        driver.add(job)
    vain[0] = False
    driver.add(driver.new())
    assert driver.store.get(job.id).wait(PATIENCE) is None
