"""What cannot be true is found, whatever it is, in a file and on a server."""

from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import psycopg
import pytest

from postlude.clock import ManualClock
from postlude.stores.relational.contradictions import WRONG
from postlude.testing.conformance.bench import PATIENCE, Driver
from postlude.testing.conformance.hurting import StoreBench
from tests.servers.postgres import PostgresServer
from tests.stores.benches import SqliteBench
from tests.stores.postgres.bench import PostgresBench

pytestmark = [pytest.mark.disk, pytest.mark.process]

Damage = Callable[[str], None]

BY: dict[str, str] = {
    "tally": "UPDATE $stat SET n = n + 1",
    "runner": "DELETE FROM $runner",
    "claim": "UPDATE $job SET fence = 0 WHERE state = 3",
    "arguments": "DELETE FROM $payload",
    "task": "DELETE FROM $task_name",
    "end": "UPDATE $job SET finished = NULL WHERE state = 8",
    "follower": "UPDATE $job SET follows = 777 WHERE state = 2",
    "leftovers": "INSERT INTO $progress (seq, done, at) VALUES (777, 1, 1)",
}
"""A statement that brings each about; `$name` is a table."""


@pytest.fixture(params=["a file", "a server"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> StoreBench:
    if request.param == "a file":
        return SqliteBench(tmp_path)
    return PostgresBench(request.getfixturevalue("server"), "contradictory")


@pytest.fixture
def driver(bench: StoreBench) -> Iterator[Driver]:
    """A store with a job that has succeeded, one that runs, and one that waits for it."""
    driver = Driver(bench, ManualClock())
    runner = driver.enlist()
    driver.add(driver.new())
    driver.finish(driver.claim_one(runner))
    driver.add(driver.new(), claim_for=runner)
    driver.add(driver.new(), driver.new(follows=True))
    yield driver
    driver.store.close()


@pytest.fixture
def damage(request: pytest.FixtureRequest, driver: Driver) -> Iterator[Damage]:
    """Write to the journal past its store."""
    place = driver.store.location
    if Path(place).is_absolute():

        def in_file(statement: str) -> None:
            db = apsw.Connection(place)
            db.execute(statement.replace("$", ""))
            db.close()

        yield in_file
        return
    server: PostgresServer = request.getfixturevalue("server")
    with psycopg.connect(server.url, autocommit=True) as db:

        def on_server(statement: str) -> None:
            tallied = statement.replace("$stat", "$tally")  # not folded yet
            db.execute(tallied.replace("$", "contradictory.").encode())

        yield on_server
        db.execute("DROP SCHEMA contradictory CASCADE")


def codes(driver: Driver) -> set[str]:
    return {one.code for one in driver.store.contradictions().wait(PATIENCE)}


@pytest.mark.parametrize("code", WRONG)
def test_each_is_found(driver: Driver, damage: Damage, code: str) -> None:
    assert codes(driver) == set()
    damage(BY[code])
    found = driver.store.contradictions().wait(PATIENCE)
    assert {one.code for one in found} == {code}
    (wrong,) = found
    assert wrong.many >= 1
    assert (wrong.job is None) == (code in ("tally", "leftovers"))
    if wrong.job is not None:
        assert driver.store.get(wrong.job).wait(PATIENCE) is not None


def test_faults_of_the_file_are_told(tmp_path: Path) -> None:
    driver = Driver(SqliteBench(tmp_path), ManualClock())
    driver.add(driver.new())
    driver.reopen()
    place = driver.store.location
    driver.store.close()
    db = apsw.Connection(place)
    db.execute("PRAGMA writable_schema = ON")
    db.execute("UPDATE sqlite_schema SET sql = replace(sql, '= 9', '= 0') WHERE name = 'job_failed'")
    db.close()
    driver.store.open()
    (wrong,) = driver.store.contradictions().wait(PATIENCE)
    assert wrong.code == "pages"
    assert "missing from index job_failed" in wrong.says
    driver.store.close()
