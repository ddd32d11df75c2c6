"""One damaged row costs only itself: whatever stands in a cell, all other jobs run, and it is told of."""

import itertools
import logging
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from postlude.clock import SECOND, ManualClock
from postlude.config import Keep
from postlude.errors import JournalRefused, PostludeError
from postlude.jobs.inspector import JobStatus
from postlude.model.job import Cancel, JobFilter, JobRecord, NewJob
from postlude.model.limits import DeclaredLimits
from postlude.model.state import Reason, State, Stored
from postlude.stores.protocol import Enlisted
from postlude.stores.relational.transaction import Transaction
from postlude.stores.sqlite import SqliteStore
from postlude.stores.sqlite.backend import SqliteBackend
from postlude.testing.conformance import Driver
from tests.stores.damaging import VALUES, Bench, Life, Place, copied, damage, places

pytestmark = pytest.mark.disk

VICTIMS = (
    "ready",
    "scheduled",
    "limited",
    "rated",
    "bounded",
    "running",
    "parked",
    "retrying",
    "follower",
    "failed",
)

DECLARED = (
    DeclaredLimits("task", "limited", 1),
    DeclaredLimits("task", "rated", every=SECOND),
    DeclaredLimits("queue", "bounded", 5),
)


@pytest.fixture(scope="module")
def life() -> Iterator[Life]:
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        yield Life(Path(folder) / "life.db")


@contextmanager
def opened(life: Life, place: Place, victim: str) -> Iterator[Driver | None]:
    """Open a copy of a journal in which one cell is damaged; None: there is no such cell."""
    with tempfile.TemporaryDirectory(dir=life.path.parent) as folder:
        path = copied(life.path, Path(folder) / "journal.db")
        path.chmod(0o600)
        if not damage(path, place, victim):
            yield None
            return
        clock = ManualClock()
        clock.advance(1)
        driver = Driver(Bench(path), clock)
        try:
            yield driver
        finally:
            driver.store.close()


def changed(life: Life, *statements: str) -> Driver:
    """Open a copy of a journal that another program has changed."""
    path = copied(life.path, life.path.with_name("changed.db"))
    path.chmod(0o600)
    with sqlite3.connect(path) as db:
        for statement in statements:
            db.execute(statement)
    db.close()
    return Driver(Bench(path), ManualClock())


def live(driver: Driver) -> list[NewJob]:
    """Do what processes do, until all that can has run; returns what was added meanwhile."""
    store, added = driver.store, list[NewJob]()
    store.declare(DECLARED).wait(5)
    runner = driver.enlist()
    for _ in range(8):
        driver.clock.advance(14)
        store.renew(runner.runner).wait(5)
        driver.reap()
        leads = store.lead(runner.runner, "promote", 15.0).wait(5)
        driver.promote()
        store.unpark(store.parked().wait(5)).wait(5)
        added += [driver.new("ready"), driver.new("added")]
        driver.add(added[-2])
        driver.add(added[-1], claim_for=runner)
        store.release(runner.runner, store.holds(runner.runner).wait(5)).wait(5)
        work(driver, runner)
    assert leads, "whoever had the lead has lost it by now"
    return added


def work(driver: Driver, runner: Enlisted) -> None:
    """Run what is ready, also what gets ready by that."""
    for _ in range(6):
        claims = driver.claim(runner, suspect=True)
        ends = [driver.finish_of(claim) for claim in claims]
        assert all(driver.store.finish(ends).wait(5))


def undone(driver: Driver) -> list[JobRecord]:
    """Return the jobs that have not ended; all that there are can be shown."""
    records = driver.store.page(JobFilter(limit=1000)).wait(5)
    for record in records:
        JobStatus.of(record).model_dump_json()
        if (whole := driver.store.get(record.id).wait(5)) is not None:
            JobStatus.of(whole).model_dump_json()
    driver.store.counts().wait(5)
    return [record for record in records if not record.stored.final]


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=st.integers(min_value=0), victim=st.sampled_from(VICTIMS))
def test_any_cell(life: Life, number: int, victim: str) -> None:
    every = list(places(life.path))
    check(life, every[number % len(every)], victim)


@pytest.mark.slow
def test_every_cell(life: Life) -> None:
    victims = itertools.cycle(VICTIMS)
    for place in places(life.path):
        check(life, place, next(victims))


def check(life: Life, place: Place, victim: str) -> None:
    """A cell is damaged: all other jobs run, and the row is told of."""
    with opened(life, place, victim) as driver:
        if driver is None:
            return
        added = live(driver)
        left = undone(driver)
        assert len(left) <= (3 if place.table == "task_name" else 1), (place, left)
        assert all(record.note or record.reason for record in left), (place, left)
        ended = {job.id: driver.store.get(job.id).wait(5) for job in added}
        assert {record and record.state for record in ended.values()} == {State.SUCCEEDED}, place
        driver.clock.advance(10_000_000)
        while driver.store.prune(Keep()).wait(5):
            pass
        assert len(undone(driver)) == len(left)


@pytest.mark.parametrize("column", ["renewed", "lease"])
def test_a_lease_that_never_ends_is_none(life: Life, column: str) -> None:
    """Of a process that is gone with its marks: nothing else says that it has died."""
    check(life, Place("runner", column, "huge"), "running")


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("queue", "no UTF-8", r"queue is \xffA"),
        ("queue", "a blob", "queue is x'ff'"),
        ("lane", "no UTF-8", r"lane is \xffA"),
        ("opts", "no UTF-8", r"opts is \xffA"),
        ("opts", "broken JSON", "opts is '{\"x\":'"),
        ("context", "broken JSON", "context is '{\"x\":'"),
        ("task", "99", "task is 99"),
        ("created", "a text", "created is 'text'"),
        ("failures", "a fraction", "failures is 2.5"),
        ("fence", "huge", "fence is 9223372036854775807"),
        ("once", "99", "once is 99"),
        ("suspect", "99", "suspect is 99"),
    ],
)
def test_what_cannot_be_claimed_is_parked_and_told_once(
    life: Life, column: str, value: str, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    with opened(life, Place("job", column, value), "ready") as driver:
        assert driver is not None
        live(driver)
        (left,) = undone(driver)
        assert (left.stored, left.reason) == (Stored.PARKED, Reason.DAMAGED)
        assert (
            left.note
            == f"its row of the journal is damaged: {told}. To run it all the same, cancel and retry it"
        )
        assert left.failures in (0, 2), "it costs no attempt"
        lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
        assert len(lines) == 1
        assert lines[0].endswith(f"is damaged ({told}); it is parked")
        assert driver.store.parked().wait(5) == [], "no release takes it up"


def test_who_follows_a_job_that_is_set_aside_waits_for_it_no_longer(life: Life) -> None:
    with opened(life, Place("job", "opts", "broken JSON"), "leader") as driver:
        assert driver is not None
        follower = life.jobs["follower"][0]
        assert driver.record(follower).stored is Stored.BLOCKED
        driver.clock.advance(31)
        driver.promote()
        driver.claim(driver.enlist())
        assert driver.record(life.jobs["leader"][0]).stored is Stored.PARKED
        assert driver.record(follower).stored in (Stored.READY, Stored.RUNNING)


def test_what_was_set_aside_can_be_run_by_hand(life: Life) -> None:
    with opened(life, Place("job", "opts", "broken JSON"), "ready") as driver:
        assert driver is not None
        live(driver)
        (left,) = undone(driver)
        assert driver.store.cancel([left.id]).wait(5) == [Cancel.CANCELLED]
        assert driver.store.retry([left.id]).wait(5) == [True]
        work(driver, driver.enlist())
        assert undone(driver) == []


def test_missing_arguments(life: Life) -> None:
    job = "SELECT min(seq) FROM job JOIN task_name AS t ON t.id = task WHERE t.name = 'ready'"
    driver = changed(life, f"DELETE FROM payload WHERE seq = ({job})")
    live(driver)
    (left,) = undone(driver)
    assert left.note is not None
    assert "its arguments are missing" in left.note
    driver.store.close()


def test_a_state_of_another_release_is_left_to_that(life: Life) -> None:
    driver = changed(
        life,
        "UPDATE job SET state = 6, queue = CAST(x'ff' AS TEXT) WHERE seq = 19",
        "UPDATE job SET reason = 'of another release' WHERE state = 9",
        "INSERT INTO stat VALUES (1, 6, 1)",
    )
    live(driver)
    (left,) = undone(driver)
    assert (left.state, left.reason) == (State.PARKED, None)
    assert left.note == r"this release cannot read all of its row: state is 6; queue is \xff"
    parked = driver.store.page(JobFilter(states=(State.PARKED,))).wait(5)
    assert [record.seq for record in parked] == [left.seq]
    assert driver.store.cancel([left.id]).wait(5) == [Cancel.TOO_LATE]
    failed = driver.store.page(JobFilter(states=(State.FAILED,))).wait(5)
    assert {record.reason for record in failed} == {None}
    driver.store.close()
    with sqlite3.connect(driver.store.location) as db:
        kept = db.execute("SELECT state, CAST(queue AS BLOB) FROM job WHERE state = 6").fetchall()
    assert kept == [(6, b"\xff")]


def test_where_nothing_is_damaged_nothing_is_looked_through_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = list[Transaction]()

    def repair(tx: Transaction) -> list[str]:
        looks.append(tx)
        return []

    monkeypatch.setattr("postlude.stores.sqlite.backend.repair", repair)
    driver = Driver(Bench(tmp_path / "journal.db"), ManualClock())
    job = driver.new()
    driver.add(job)
    for _ in range(3):
        with pytest.raises(PostludeError, match="cannot store this as it is"):
            driver.add(job)
    driver.store.close()
    assert len(looks) == 1


NUMBERS = ("version", "min_reader", "min_writer")


@pytest.mark.parametrize(
    "key", ["application_id", "applications", "epoch", "host", "inode", "opened", *NUMBERS]
)
@pytest.mark.parametrize("value", VALUES)
def test_what_the_journal_says_of_itself(tmp_path: Path, life: Life, key: str, value: str) -> None:
    """It is opened and used, or refused in words where its version is not known any more."""
    path = copied(life.path, tmp_path / "journal.db")
    path.chmod(0o600)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(f"INSERT OR REPLACE INTO meta VALUES ('{key}', {VALUES[value]})")
    bench, clock = Bench(path), ManualClock()
    if key in NUMBERS:
        with suppress(JournalRefused):
            Driver(bench, clock).store.close()
        return
    for _ in range(2):
        store = SqliteStore(path, clock=clock, application="app")
        store.open()
        store.close()
    driver = Driver(bench, clock)
    live(driver)
    assert undone(driver) == []
    driver.store.close()


HUGE = 2**63 - 1


FIRST = "(SELECT min(seq) FROM job WHERE state = 0)"


@pytest.mark.parametrize(
    "statements",
    [
        ["UPDATE runner SET id = {huge}"],
        ["UPDATE sqlite_sequence SET seq = {huge} WHERE name = 'runner'"],
        ["UPDATE job SET seq = {huge} WHERE seq = {first}"],
        ["UPDATE job SET seq = {huge} WHERE seq = (SELECT max(seq) FROM job WHERE state = 0)"],
        [
            "UPDATE payload SET seq = {huge} WHERE seq = {first}",
            "UPDATE job SET seq = {huge} WHERE seq = {first}",
        ],
        ["UPDATE sqlite_sequence SET seq = {huge} WHERE name = 'job'"],
        ["UPDATE sqlite_sequence SET seq = {huge}", "UPDATE runner SET id = {huge}"],
    ],
)
def test_the_largest_number_that_there_is(
    life: Life, tmp_path: Path, statements: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """SQLite gives none after it, and says that the disk is full."""
    path = copied(life.path, tmp_path / "journal.db")
    path.chmod(0o600)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("DELETE FROM meta WHERE key = 'inode'")  # it is no copy
        for statement in statements:
            db.execute(statement.format(huge=HUGE, first=FIRST))
    driver = Driver(Bench(path), ManualClock())
    added = live(driver)
    ended = [driver.store.get(job.id).wait(5) for job in added]
    assert {record and record.state for record in ended} == {State.SUCCEEDED}
    assert undone(driver) == []
    (said,) = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert "number" in said
    driver.store.close()


def test_a_full_disk_is_no_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = list[Transaction]()
    monkeypatch.setattr("postlude.stores.sqlite.backend.repair", looks.append)
    driver = Driver(Bench(tmp_path / "journal.db"), ManualClock())
    with monkeypatch.context() as patch:
        patch.setattr(SqliteBackend, "apply", full)
        with pytest.raises(PostludeError, match="full"):
            driver.add(driver.new())
    driver.add(driver.new())
    driver.store.close()
    assert looks == []


def full(*args: object) -> list[object]:
    raise apsw.FullError("database or disk is full")
