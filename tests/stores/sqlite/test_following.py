"""Who follows whom is a column of the follower: how older journals get it, and how it is found."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import pytest

from postlude.clock import SECOND, ManualClock
from postlude.model.limits import DeclaredLimits
from postlude.model.outcome import SUCCEEDED, Finish
from postlude.model.state import Reason, Stored
from postlude.model.terms import Conflict
from postlude.stores.protocol import NewRunner
from postlude.stores.sqlite import SqliteStore
from postlude.stores.sqlite.connection import APPLICATION_ID
from postlude.stores.sqlite.sql import MIGRATIONS, SQL
from postlude.testing.conformance import Driver
from tests.stores.benches import SqliteBench

pytestmark = pytest.mark.disk

CHAIN = [
    # state, followed
    (0, 1),
    (10, 1),
    (10, 1),
    (2, 1),
    (2, 0),
    (2, 0),  # held, and follows nobody
    (10, 1),
    (2, 0),  # whom it followed was cancelled, and that followed nobody
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal of version 2 with followers that have places instead of names."""
    path = tmp_path / "journal.db"
    db = apsw.Connection(str(path))
    db.execute("".join(MIGRATIONS[:2]))
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute("UPDATE meta SET value = 2 WHERE key = 'version'")
    db.execute("INSERT INTO meta VALUES ('host', 'h'), ('epoch', 'e')")
    db.execute("INSERT INTO task_name VALUES (1, 'shop:send')")
    for seq, (state, followed) in enumerate(CHAIN, 1):
        db.execute(
            "INSERT INTO job (seq, id, task, queue, state, followed, created, due)"
            " VALUES (?, ?, 1, 'q', ?, ?, 1, ?)",
            (seq, seq.to_bytes(16), state, followed, 10**15 if state == 2 else None),
        )
        db.execute("INSERT INTO payload VALUES (?, 0, x'7b7d')", (seq,))
        db.execute("INSERT INTO stat VALUES (1, ?, 1) ON CONFLICT DO UPDATE SET n = n + 1", (state,))
    db.close()
    path.chmod(0o600)
    return path


def test_older_journals_get_the_column(path: Path) -> None:
    store = SqliteStore(path, clock=ManualClock())
    store.open()
    store.close()
    db = apsw.Connection(str(path))
    assert db.execute("SELECT seq, follows FROM job WHERE follows IS NOT NULL").fetchall() == [(4, 1), (5, 4)]
    db.close()


def test_their_chains_run_on(path: Path) -> None:
    clock = ManualClock()
    store = SqliteStore(path, clock=clock)
    store.open()
    runner = store.enlist(NewRunner("r", 15.0)).wait(5).runner
    for seq in (1, 4, 5):
        (claim,) = store.claim(runner, 10, suspect=False).wait(5).claims
        assert claim.seq == seq
        end = Finish(seq, claim.fence, claim.task, clock.now() - SECOND, clock.now(), SUCCEEDED)
        assert store.finish([end]).wait(5) == [True]
    assert store.claim(runner, 10, suspect=False).wait(5).claims == []
    store.close()


@pytest.mark.parametrize(
    ("name", "bindings"), [("waiting_for", (None,)), ("followers", (1, 10, 0)), ("follow_others", (1, 2))]
)
def test_followers_are_found_by_an_index_that_has_nothing_else(
    path: Path, name: str, bindings: tuple[int | None, ...]
) -> None:
    store = SqliteStore(path, clock=ManualClock())
    store.open()
    store.close()
    db = apsw.Connection(str(path))
    steps = [str(row[3]) for row in db.execute(f"EXPLAIN QUERY PLAN {SQL[name]}", bindings)]
    db.close()
    assert any("job_follows (follows=?)" in step for step in steps)
    assert not any(step.startswith("SCAN job") for step in steps)


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Driver]:
    driver = Driver(SqliteBench(tmp_path), ManualClock())
    yield driver
    driver.store.close()


def follows(driver: Driver) -> list[int | None]:
    db = apsw.Connection(driver.store.location, flags=apsw.SQLITE_OPEN_READONLY)
    found: Any = db.execute("SELECT follows FROM job ORDER BY seq").fetchall()
    db.close()
    return [seq for (seq,) in found]


def test_who_waits_no_more_follows_nobody(driver: Driver) -> None:
    runner = driver.enlist()
    first, late, replaced, paused = (
        driver.new("app:first"),
        driver.new(follows=True, after=15),
        driver.new("app:replaced", follows=True, key="k"),
        driver.new("app:paused", follows=True, after=15),
    )
    one, two, three, _ = (added.seq for added in driver.add(first, late, replaced, paused))
    assert follows(driver) == [None, one, two, three]
    driver.add(driver.new("app:replaced", key="k", conflict=Conflict.REPLACE))
    assert follows(driver) == [None, one, None, three]
    driver.pause("task", "app:paused")
    driver.clock.advance(15)
    assert driver.promote() == 2
    assert follows(driver) == [None] * 4
    assert len(driver.claim(runner)) == 3


def test_given_back_alone_it_follows_nobody(driver: Driver) -> None:
    runner = driver.enlist()
    first, second = driver.new(), driver.new(follows=True, after=15)
    driver.add(first, second)
    claims = driver.claimed(runner, behind=5).claims
    driver.release(runner, claims[1])
    assert follows(driver) == [None, None]


def test_a_job_that_gets_another_number_keeps_its_follower(driver: Driver) -> None:
    runner = driver.enlist()
    first, second = driver.new(), driver.new(follows=True, after=15)
    driver.add(first, second)
    huge = 2**63 - 1
    db = apsw.Connection(driver.store.location)
    db.execute("UPDATE job SET seq = ?2 WHERE seq = ?1", (driver.record(first).seq, huge))
    db.execute("UPDATE payload SET seq = ? WHERE seq = (SELECT min(seq) FROM payload)", (huge,))
    db.execute("UPDATE job SET follows = ? WHERE follows IS NOT NULL", (huge,))
    db.close()
    driver.add(driver.new())
    assert follows(driver)[0] is not None
    claims = driver.claim(runner)
    assert first.id in [claim.id for claim in claims]
    for claim in claims:
        driver.finish(claim)
    assert driver.claim_one(runner).id == second.id


def test_who_waits_for_something_else_follows_nobody(driver: Driver) -> None:
    driver.declare(DeclaredLimits("task", "app:limited", 1))
    runner = driver.enlist()
    first, second = driver.new("app:first"), driver.new("app:limited", follows=True, concurrency_key="")
    driver.add(driver.new("app:limited", concurrency_key=""))
    driver.add(first, second)
    claims = {claim.id: claim for claim in driver.claim(runner)}
    driver.finish(claims[first.id])
    assert driver.lie(second) == [(Stored.BLOCKED, Reason.LIMIT)]
    assert follows(driver) == [None] * 3


def test_what_a_dead_process_held_follows_nobody(driver: Driver) -> None:
    runner = driver.enlist()
    driver.add(driver.new(), driver.new(follows=True, after=15))
    driver.claimed(runner, behind=5)
    driver.die(runner)
    assert driver.reap() == (1, 2, 0)
    assert follows(driver) == [None, None]
