"""The files of runners' start marks that are not where they were."""

from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from postlude.clock import ManualClock
from postlude.model.event.journal import MarksRemoved
from postlude.stores.protocol import NewRunner
from postlude.stores.sqlite import SqliteStore

pytestmark = pytest.mark.disk

LEASE = 15.0


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def stores(tmp_path: Path, clock: ManualClock) -> Iterator[list[SqliteStore]]:
    """The stores of two processes."""
    with ExitStack() as opened:
        path = tmp_path / "jobs.db"
        stores = [opened.enter_context(closing(SqliteStore(path, clock=clock))) for _ in range(2)]
        for store in stores:
            store.open()
        yield stores


def told_of(store: SqliteStore) -> list[MarksRemoved]:
    told: list[MarksRemoved] = []
    store.events.listen(told.append, MarksRemoved)
    return told


def test_those_who_bury_a_runner_remove_its_file_and_nobody_misses_it(
    stores: list[SqliteStore], clock: ManualClock
) -> None:
    """As of a process that was stopped, and goes on: it is told that it was buried, and that is all."""
    stopped, other = stores
    told = told_of(stopped)
    runner, marks = stopped.enlist(NewRunner("r", LEASE)).wait(10)
    path = marks.path  # type: ignore[attr-defined]
    clock.advance(LEASE + 1)
    assert other.reap().wait(10).runners == 1
    assert not path.exists()
    assert not stopped.renew(runner).wait(10)
    again, _ = stopped.enlist(NewRunner("r", LEASE)).wait(10)
    assert stopped.renew(again).wait(10)
    assert (told, path.exists()) == ([], False)
    marks.started(1, 1, 1)  # as threads that run on do


def test_the_file_of_one_that_lives_is_missed(stores: list[SqliteStore]) -> None:
    store, _ = stores
    told = told_of(store)
    runner, marks = store.enlist(NewRunner("r", LEASE)).wait(10)
    path = marks.path  # type: ignore[attr-defined]
    path.unlink()
    assert store.renew(runner).wait(10)
    assert [each.path for each in told] == [path]
    assert path.exists()
