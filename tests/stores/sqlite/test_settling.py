"""A disk on which no commit succeeds: the callers are told, and nothing runs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from postlude.clock import ManualClock
from postlude.errors import JournalUnavailable
from postlude.model.job import Hold, NewJob
from postlude.model.state import State
from postlude.stores.grouped import committing
from postlude.stores.grouped.backend import Busy, ReleaseCall, Verb
from postlude.stores.sqlite import premises
from postlude.stores.values import ClaimCall
from postlude.testing.conformance import Driver
from postlude.testing.conformance.bench import LEASE, PATIENCE
from tests.stores.benches import SqliteBench

pytestmark = pytest.mark.disk


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(committing, "PAUSE", 0.0)
    monkeypatch.setattr(premises, "FIRST_PAUSE", 0.0)


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Driver]:
    driver = Driver(SqliteBench(tmp_path), ManualClock())
    yield driver
    driver.store.close()


class Disk:
    """A disk on which no commit succeeds, while it is `broken`."""

    def __init__(self, driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
        self.broken = True
        self.commits = 0
        self.backend: Any = driver.store._writer._backend  # type: ignore[attr-defined]
        begin = self.backend.begin

        def begin_in_vain(jobs: int = 0) -> None:
            begin(jobs)
            self.backend.premises.db.set_commit_hook(self._commit)

        monkeypatch.setattr(self.backend, "begin", begin_in_vain)

    def _commit(self) -> bool:
        self.commits += 1
        return self.broken


@pytest.fixture
def disk(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(driver, monkeypatch)


def files(driver: Driver) -> set[str]:
    """Return the files of start marks."""
    return {path.name for path in Path(f"{driver.store.location}.runners").iterdir()}


def test_a_disk_that_never_commits(driver: Driver, disk: Disk) -> None:
    """The caller is told at once; then it is certain that nothing runs."""
    disk.broken = False
    driver.enlist()
    disk.broken, disk.commits = True, 0
    job: NewJob = driver.new()
    with pytest.raises(JournalUnavailable, match="did not take"):
        driver.add(job)
    assert disk.commits == 1
    disk.broken = False
    driver.add(driver.new())
    assert driver.store.get(job.id).wait(PATIENCE) is None


@pytest.mark.parametrize("whose", ["commit", "begin"])
def test_nobody_is_buried_who_could_not_renew(
    driver: Driver, disk: Disk, monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    """The first look after a failure of the disk comes before the first renewal: the jobs would run twice."""
    disk.broken = False
    runner, job = driver.enlist(), driver.new()
    driver.add(job, claim_for=runner)
    if whose == "begin":
        times = iter([True])
        ready = disk.backend.premises.ready

        def busy() -> object:
            if next(times, False):
                raise Busy
            return ready()

        monkeypatch.setattr(disk.backend.premises, "ready", busy)
    else:
        disk.broken = True
        with pytest.raises(JournalUnavailable):
            driver.store.renew(runner.runner).wait(PATIENCE)
        disk.broken = False
    driver.clock.advance(LEASE + 1)
    assert driver.reap() == (0, 0, 0)
    driver.clock.advance(LEASE - 1)
    assert driver.reap() == (0, 0, 0), "a lease's time since the journal can be written"
    assert driver.store.renew(runner.runner).wait(PATIENCE) is True
    driver.clock.advance(LEASE + 1)
    assert driver.reap() == (1, 1, 0), "and no longer"


def test_a_disk_that_fails_leaves_no_files_of_marks(driver: Driver, disk: Disk) -> None:
    disk.broken = False
    driver.enlist()
    before = files(driver)
    disk.broken = True
    with pytest.raises(JournalUnavailable):
        driver.enlist()
    disk.broken = False
    driver.promote()
    assert files(driver) == before


def test_a_runner_that_is_enlisted_again_has_one_file(driver: Driver) -> None:
    driver.enlist()
    before = files(driver)
    driver.bench.lose_commit(driver.store, "gone")
    runner, job = driver.enlist(), driver.new()
    assert len(files(driver) - before) == 1
    driver.add(job)
    driver.start(runner, driver.claim_one(runner))
    assert driver.store.retire(runner.runner, draining=False).wait(PATIENCE) == 1
    assert driver.record(job).deaths == 1, "its marks were read, and not another's"
    assert files(driver) == before


def test_a_claim_that_is_gone_and_was_anothers_meanwhile(driver: Driver) -> None:
    """Another one claims the job in its place, with the same fence: it must not start here too."""
    mine, other, job = driver.enlist(), driver.enlist(), driver.new()
    driver.add(job)
    instead_of_the_next(driver, Verb.CLAIM, ClaimCall(other.runner, 9, suspect=False))
    assert driver.claim(mine) == []
    (hold,) = driver.store.holds(other.runner).wait(PATIENCE)
    assert hold.fence == 1


def test_an_end_that_is_gone_and_whose_claim_was_given_back_meanwhile(driver: Driver) -> None:
    """It is told as written only if it is: a late end of what nobody has claimed since counts."""
    runner, job = driver.enlist(), driver.new()
    driver.add(job)
    claim = driver.claim_one(runner)
    instead_of_the_next(driver, Verb.RELEASE, ReleaseCall(runner.runner, [Hold(claim.seq, claim.fence)]))
    assert driver.finish(claim) is True
    assert driver.state(job) is State.SUCCEEDED


def instead_of_the_next(driver: Driver, verb: Verb, call: object) -> None:
    """Let the next group be lost, and this be written in its place, before it is asked after."""
    backend: Any = driver.store._writer._backend  # type: ignore[attr-defined]
    driver.bench.lose_commit(driver.store, "gone")
    lose = backend.commit

    def lose_it() -> None:
        restart = backend._tx.restart

        def restarted() -> None:
            restart()
            backend._verbs[verb](backend._tx, [call])

        backend._tx = Stand(backend._tx, restarted)
        lose()

    backend.commit = lose_it


class Stand:
    """A transaction with another `restart`."""

    def __init__(self, tx: Any, restart: Any) -> None:
        self._tx, self.restart = tx, restart

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tx, name)
