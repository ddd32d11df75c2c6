"""Real processes that are killed with started jobs; another process of the journal judges."""

import shutil
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from postlude.clock import SECOND, SystemClock
from postlude.model.crash import MAX_DEATHS
from postlude.model.ids import IdSource
from postlude.model.job import JobFilter, JobRecord, NewJob
from postlude.model.outcome import SUCCEEDED, Finish
from postlude.model.state import Reason, State, Stored
from postlude.model.terms import Terms
from postlude.stores.protocol import NewRunner, Reaped
from postlude.stores.relational.transaction import Transaction
from postlude.stores.sqlite import SqliteStore
from tests.stores.dying import dying

pytestmark = [pytest.mark.disk, pytest.mark.process]

PATIENCE = 10.0


class Ahead(SystemClock):
    """The machine's clock, so many microseconds later."""

    ahead = 0

    def boot(self) -> int:
        return super().boot() + self.ahead


@pytest.fixture
def clock() -> Ahead:
    return Ahead()


@pytest.fixture
def store(tmp_path: Path, clock: Ahead) -> Iterator[SqliteStore]:
    store = SqliteStore(tmp_path / "journal.db", clock=clock)
    store.open()
    yield store
    store.close()


def add(store: SqliteStore, count: int = 1, *, once: bool = False) -> list[bytes]:
    ids = IdSource()
    jobs = [NewJob(ids.new(1), "app:task", "default", b"{}", 1, Terms(once=once)) for _ in range(count)]
    store.add(jobs).wait(PATIENCE)
    return [job.id for job in jobs]


def record(store: SqliteStore, id: bytes) -> JobRecord:
    found = store.get(id).wait(PATIENCE)
    assert found is not None
    return found


def marks(store: SqliteStore) -> set[str]:
    return {path.name for path in Path(f"{store.location}.runners").iterdir()} - {"writer", "journal"}


def die_with(store: SqliteStore, *ids: bytes, draining: bool = False) -> Reaped:
    """Let a process claim all that is ready, which are these jobs, start them, and be killed."""
    with dying("run", store.location, *(["draining"] if draining else [])) as (process, said):
        assert set(said.split()) == {id.hex() for id in ids}
        assert store.reap().wait(PATIENCE) == Reaped(0, 0, 0), "it lives, and is left alone"
        process.kill()
        process.wait(PATIENCE)
    return store.reap().wait(PATIENCE)


def test_killed_in_company_all_are_suspects_and_none_is_charged(store: SqliteStore) -> None:
    ids = add(store, 3)
    assert die_with(store, *ids) == Reaped(1, 3, 0), "seen at once, although its lease is an hour"
    assert {(record(store, id).state, record(store, id).deaths) for id in ids} == {(State.QUEUED, 0)}
    runner = store.enlist(NewRunner("r1", 15.0)).wait(PATIENCE).runner
    assert store.claim(runner, 10, suspect=False).wait(PATIENCE).claims == []
    claims = store.claim(runner, 10, suspect=True).wait(PATIENCE).claims
    assert [(claim.id, claim.suspect) for claim in claims] == [(ids[0], True)]


def test_killed_alone_thrice_it_has_failed_and_its_neighbours_run(store: SqliteStore) -> None:
    (culprit,) = add(store)
    for deaths in range(1, MAX_DEATHS):
        assert die_with(store, culprit) == Reaped(1, 1, 0)
        assert (record(store, culprit).state, record(store, culprit).deaths) == (State.QUEUED, deaths)
    (innocent,) = add(store)
    assert die_with(store, culprit, innocent) == Reaped(1, 1, 1)
    condemned = record(store, culprit)
    assert (condemned.state, condemned.reason, condemned.deaths) == (State.FAILED, Reason.KILLED, MAX_DEATHS)
    runner = store.enlist(NewRunner("r1", 15.0)).wait(PATIENCE).runner
    (claim,) = store.claim(runner, 10, suspect=False).wait(PATIENCE).claims
    assert (claim.id, claim.suspect, record(store, innocent).deaths) == (innocent, False, 0)


def test_a_job_tells_which_processes_died_of_it(store: SqliteStore) -> None:
    (culprit,) = add(store)
    died = []
    for _ in range(MAX_DEATHS):
        with dying("run", store.location) as (process, _):
            process.kill()
            process.wait(PATIENCE)
        store.reap().wait(PATIENCE)
        died.append(f"its process ({process.pid} on {socket.gethostname()}) died")
    assert [line.message.partition("interrupted: ")[2] for _, line in record(store, culprit).logs] == died


def test_a_running_job_whose_process_has_died_says_so(store: SqliteStore) -> None:
    (id,) = add(store)
    with dying("run", store.location) as (process, _):
        assert (record(store, id).stored, record(store, id).reason) == (Stored.RUNNING, None)
        process.kill()
        process.wait(PATIENCE)
    for found in (record(store, id), *store.page(JobFilter()).wait(PATIENCE)):
        assert (found.stored, found.reason, found.started) == (Stored.RUNNING, Reason.INTERRUPTED, 30)


@pytest.mark.parametrize("at", [0, -1, 2**62, -(2**62)])
def test_a_damaged_mark_holds_up_no_burial(store: SqliteStore, at: int) -> None:
    (id,) = add(store)
    with dying("run", store.location) as (process, _):
        process.kill()
        process.wait(PATIENCE)
    (token,) = marks(store)
    with Path(f"{store.location}.runners", token).open("r+b") as file:
        file.seek(64)
        file.write(struct.pack("<q", at))
    assert record(store, id).started is None
    assert store.reap().wait(PATIENCE) == Reaped(1, 1, 0)
    ((_, line),) = record(store, id).logs
    assert line.message.startswith("this attempt was interrupted: its process (")
    assert (record(store, id).deaths, record(store, id).started) == (1, None)


def test_a_damaged_mark_of_an_end_is_passed_over(store: SqliteStore) -> None:
    (id,) = add(store)
    runner = store.enlist(NewRunner("r1", 15.0)).wait(PATIENCE)
    (claim,) = store.claim(runner.runner, 10, suspect=False).wait(PATIENCE).claims
    for at, told in ((2**62, None), (30, 30)):
        runner.marks.started(claim.seq, claim.fence, at)
        runner.marks.ended(claim.seq)
        assert record(store, id).started == told


def test_a_lost_lease_is_no_death(store: SqliteStore, clock: Ahead) -> None:
    (id,) = add(store)
    with dying("run", store.location):
        assert record(store, id).started == 30
        clock.ahead = 3601 * SECOND
        assert store.reap().wait(PATIENCE) == Reaped(1, 1, 0)
    ((_, line),) = record(store, id).logs
    assert "was given up" in line.message
    assert line.message.endswith(") did not renew its lease")


def test_a_process_that_drains_charges_nobody(store: SqliteStore) -> None:
    (id,) = add(store)
    for _ in range(MAX_DEATHS):
        assert die_with(store, id, draining=True) == Reaped(1, 1, 0)
    assert (record(store, id).state, record(store, id).deaths) == (State.QUEUED, 0)


def test_at_most_once_is_not_run_again(store: SqliteStore) -> None:
    (id,) = add(store, once=True)
    assert die_with(store, id) == Reaped(1, 0, 1)
    failed = record(store, id)
    assert (failed.state, failed.reason) == (State.FAILED, Reason.MAY_HAVE_RUN)


def test_at_most_once_shares_no_blame(store: SqliteStore) -> None:
    """What may never run again is no candidate, so the other one is charged alone."""
    (once,), (often,) = add(store, once=True), add(store)
    assert die_with(store, once, often) == Reaped(1, 1, 1)
    assert record(store, often).deaths == 1


def test_without_its_marks_a_death_is_seen_by_its_lease_and_charges_nobody(
    store: SqliteStore, clock: Ahead
) -> None:
    (id,) = add(store)
    with dying("run", store.location) as (process, _):
        process.kill()
        process.wait(PATIENCE)
    for token in marks(store):
        Path(f"{store.location}.runners", token).unlink()
    assert store.reap().wait(PATIENCE) == Reaped(0, 0, 0)
    clock.ahead = 3601 * SECOND
    assert store.reap().wait(PATIENCE) == Reaped(1, 1, 0)
    assert record(store, id).deaths == 0


def test_a_living_process_is_not_buried_without_its_marks(store: SqliteStore) -> None:
    (once,), (id,) = add(store, once=True), add(store)
    with dying("run", store.location):
        shutil.rmtree(f"{store.location}.runners")
        assert store.reap().wait(PATIENCE) == Reaped(0, 0, 0)
        assert {record(store, job).stored for job in (once, id)} == {Stored.RUNNING}


def test_everybody_may_join_where_the_marks_were_removed(store: SqliteStore) -> None:
    first = store.enlist(NewRunner("r1", 15.0)).wait(PATIENCE)
    (id,) = add(store, once=True)
    (claim,) = store.claim(first.runner, 10, suspect=False).wait(PATIENCE).claims
    first.marks.started(claim.seq, claim.fence, 30)
    shutil.rmtree(f"{store.location}.runners")
    second = store.enlist(NewRunner("r1", 15.0)).wait(PATIENCE)
    assert second.runner != first.runner
    assert store.reap().wait(PATIENCE) == Reaped(0, 0, 0)
    assert len(marks(store)) == 2
    assert record(store, id).started == 30
    assert store.finish([Finish(claim.seq, claim.fence, claim.task, 30, 40, SUCCEEDED)]).wait(PATIENCE) == [
        True
    ]
    assert record(store, id).state is State.SUCCEEDED


def test_marks_are_kept_until_the_burial_is_written(
    store: SqliteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    (id,) = add(store)
    with dying("run", store.location) as (process, _):
        process.kill()
        process.wait(PATIENCE)
    before = marks(store)
    assert len(before) == 1

    def full(self: Transaction) -> None:
        raise apsw.FullError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Transaction, "finish", full)
        with pytest.raises(Exception, match="disk is full"):
            store.reap().wait(PATIENCE)
    assert marks(store) == before
    assert store.reap().wait(PATIENCE) == Reaped(1, 1, 0)
    assert record(store, id).deaths == 1, "the second look still found the mark"
    assert marks(store) == set()
