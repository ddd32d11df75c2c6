"""A commit that fails: the journal is opened anew, and says what has become of it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from postlude.clock import ManualClock
from postlude.errors import JournalUnavailable
from postlude.model.job import Cancel, Hold, NewJob
from postlude.model.state import State, Stored
from postlude.stores.grouped import committing
from postlude.stores.grouped.backend import Broken
from postlude.stores.protocol import NewRunner
from postlude.stores.sqlite import premises
from postlude.stores.sqlite.store import SqliteStore
from postlude.testing.conformance import Driver
from postlude.testing.conformance.bench import PATIENCE
from tests.stores.benches import SqliteBench

pytestmark = pytest.mark.disk

Lose = Callable[[], None]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(committing, "PAUSE", 0.0)
    monkeypatch.setattr(premises, "FIRST_PAUSE", 0.001)


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Driver]:
    driver = Driver(SqliteBench(tmp_path), ManualClock())
    yield driver
    driver.store.close()


@pytest.fixture(params=["undone", "done"])
def lose(request: pytest.FixtureRequest, driver: Driver) -> Lose:
    """Let the next commit fail, and be undone or not."""
    store: Any = driver.store
    backend = store._writer._backend
    commit, confirm = backend.commit, backend.premises.confirm

    def fail() -> None:
        backend.premises.confirm = confirm
        confirm()
        raise Broken("nobody knows")

    def lose_it() -> None:
        backend.commit = commit
        if request.param == "undone":
            backend.premises.db.set_commit_hook(lambda: True)
        else:
            backend.premises.confirm = fail
        commit()

    def lose() -> None:
        backend.commit = lose_it  # in the writer's thread: it has the connection

    return lose


def test_adds(driver: Driver, lose: Lose) -> None:
    job = driver.new()
    lose()
    (added,) = driver.add(job)
    assert driver.record(job).seq == added.seq
    assert len(driver.claim(driver.enlist())) == 1


def test_adds_that_join_others(driver: Driver, lose: Lose) -> None:
    first, second = driver.new(key="k"), driver.new(key="k")
    driver.add(first)
    lose()
    (added,) = driver.add(second)
    assert added.joined
    assert driver.record(second).id == first.id


def test_claims(driver: Driver, lose: Lose) -> None:
    driver.add(driver.new())
    runner = driver.enlist()
    lose()
    claim = driver.claim_one(runner)
    assert driver.store.holds(runner.runner).wait(PATIENCE) == [Hold(claim.seq, claim.fence)]
    assert driver.finish(claim) is True


@pytest.mark.parametrize("retry", [None, 9.0])
def test_finishes(driver: Driver, lose: Lose, retry: float | None) -> None:
    job = driver.new()
    driver.add(job)
    claim = driver.claim_one(driver.enlist())
    lose()
    assert driver.finish(claim, driver.failed(retry_after=retry)) is True
    record = driver.record(job)
    assert (record.failures, len(record.attempts)) == (1, 1)
    assert driver.finish(claim) is False


def test_releases(driver: Driver, lose: Lose) -> None:
    driver.add(driver.new())
    runner = driver.enlist()
    claim = driver.claim_one(runner)
    lose()
    assert driver.release(runner, claim) == 1
    assert driver.release(runner, claim) == 0


def test_cancels_and_retries(driver: Driver, lose: Lose) -> None:
    job = driver.new()
    driver.add(job)
    lose()
    assert driver.cancel(job) == [Cancel.CANCELLED]
    assert driver.state(job) is State.CANCELLED
    lose()
    assert driver.retry(job) == [True]
    assert driver.record(job).stored is Stored.READY


def test_runners(driver: Driver, lose: Lose) -> None:
    lose()
    runner = driver.enlist()
    job = driver.new()
    driver.add(job, claim_for=runner)
    lose()
    assert driver.store.retire(runner.runner, draining=True).wait(PATIENCE) == 1
    assert driver.record(job).stored is Stored.READY
    assert driver.store.renew(runner.runner).wait(PATIENCE) is False


def test_what_leaves_no_trace_is_done_again(driver: Driver, lose: Lose) -> None:
    runner = driver.store.enlist(NewRunner("r1", 15.0)).wait(PATIENCE)
    lose()
    assert driver.store.renew(runner.runner).wait(PATIENCE) is True
    lose()
    assert driver.pause("queue", "q") in (True, False)
    assert len(driver.store.paused().wait(PATIENCE)) == 1


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
