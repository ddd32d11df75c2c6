"""Ends and claims by id are written beside others of their kind, and beside nothing else."""

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from postlude.clock import ManualClock
from postlude.model.job import NewJob
from postlude.model.refusal import Refusal
from postlude.model.state import State, Stored
from postlude.stores.postgres.connection import space_of
from postlude.stores.postgres.turn import TURN
from postlude.stores.protocol import Enlisted
from postlude.testing.conformance import Driver
from postlude.testing.conformance.bench import PATIENCE
from tests.servers.postgres import PostgresServer
from tests.stores.postgres.bench import PostgresBench

pytestmark = [pytest.mark.process, pytest.mark.disk]

A_MOMENT = 0.3
"""Seconds in which what waits for nothing is done."""


@pytest.fixture
def driver(server: PostgresServer, schema: str) -> Iterator[Driver]:
    driver = Driver(PostgresBench(server, schema), ManualClock())
    yield driver
    driver.store.close()


@pytest.fixture
def runner(driver: Driver) -> Enlisted:
    driver.claim(runner := driver.enlist())  # now it knows of bounds and pauses
    return runner


def published(driver: Driver, jobs: int, **terms: Any) -> list[NewJob]:
    found = [driver.new(queue="q", **terms) for _ in range(jobs)]
    driver.add(*found)
    driver.store.publish("q", 100, patience=60.0).wait(PATIENCE)
    return found


@contextmanager
def another(server: PostgresServer, schema: str) -> Iterator[psycopg.Connection[Any]]:
    """A group of another process that shares its turn, and is not committed yet."""
    with psycopg.connect(server.url) as db:
        db.execute("SELECT pg_advisory_xact_lock_shared(%s, %s)", [space_of(schema), TURN])
        yield db


def claim(driver: Driver, runner: Enlisted, *jobs: NewJob) -> Any:
    return driver.store.claim(runner.runner, 100, suspect=True, ids=[job.id for job in jobs])


def test_claims_and_ends_do_not_wait_for_others(
    server: PostgresServer, schema: str, driver: Driver, runner: Enlisted
) -> None:
    first, second = published(driver, 2)
    with another(server, schema):
        (one,) = claim(driver, runner, first).wait(PATIENCE).claims
        ends = driver.store.finish([driver.finish_of(one)])
        (two,) = claim(driver, runner, second).wait(PATIENCE).claims
        assert ends.wait(PATIENCE) == [True]
        paused = driver.store.renew(runner.runner)
        with pytest.raises(TimeoutError):
            paused.wait(A_MOMENT)
    assert paused.wait(PATIENCE)
    assert driver.states(first, second) == [State.SUCCEEDED, State.RUNNING]
    assert driver.finish(two)
    counts = {each.state: each.jobs for each in driver.store.counts().wait(PATIENCE) if each.jobs}
    assert counts == {State.SUCCEEDED: 2}


@pytest.mark.parametrize("ends", ["commit", "rollback"])
def test_two_claims_at_once_are_one(
    server: PostgresServer, schema: str, driver: Driver, runner: Enlisted, ends: str
) -> None:
    (job,) = published(driver, 1)
    with another(server, schema) as db:
        rival = f"UPDATE {schema}.job SET state = 3, fence = fence + 1, runner = 999 WHERE id = %s"
        assert db.execute(rival, [job.id]).rowcount == 1
        reply = claim(driver, runner, job)
        with pytest.raises(TimeoutError):
            reply.wait(A_MOMENT)
        getattr(db, ends)()
        claimed = reply.wait(PATIENCE)
    if ends == "rollback":
        assert [one.id for one in claimed.claims] == [job.id]
    else:
        assert [(one.id, one.why) for one in claimed.refused] == [(job.id, Refusal.RUNNING)]


def test_an_end_that_another_has_written_is_none(
    server: PostgresServer, schema: str, driver: Driver, runner: Enlisted
) -> None:
    (job,) = published(driver, 1)
    (one,) = claim(driver, runner, job).wait(PATIENCE).claims
    with another(server, schema) as db:
        db.execute(f"UPDATE {schema}.job SET state = 3, fence = fence + 1 WHERE id = %s", [job.id])
        reply = driver.store.finish([driver.finish_of(one)])
        with pytest.raises(TimeoutError):
            reply.wait(A_MOMENT)
        db.commit()
        assert reply.wait(PATIENCE) == [False]
    assert driver.lie(job) == [(Stored.RUNNING, None)]


def test_a_pause_is_heeded(server: PostgresServer, schema: str, driver: Driver, runner: Enlisted) -> None:
    first, second = published(driver, 2)
    claim(driver, runner, first).wait(PATIENCE)
    other = Driver(PostgresBench(server, schema), driver.clock)
    try:
        other.pause("queue", "q")
    finally:
        other.store.close()
    (refused,) = claim(driver, runner, second).wait(PATIENCE).refused
    assert refused.why is Refusal.PAUSED


def test_of_two_that_hold_what_the_other_wants_one_begins_again(
    server: PostgresServer, schema: str, driver: Driver, runner: Enlisted
) -> None:
    first, second = published(driver, 2)
    (one,) = claim(driver, runner, first).wait(PATIENCE).claims
    touch = f"UPDATE {schema}.job SET priority = priority WHERE id = %s"
    answers: list[Any] = []

    async def ask() -> None:
        end, claimed = driver.store.finish([driver.finish_of(one)]), claim(driver, runner, second)
        answers.extend([await end, await claimed])

    with another(server, schema) as db:
        db.execute("SET deadlock_timeout = '10s'")  # so it is the other that is undone
        db.execute(touch, [second.id])
        thread = threading.Thread(target=lambda: asyncio.run(ask()))
        thread.start()
        until = time.monotonic() + PATIENCE
        while not db.execute(
            "SELECT FROM pg_locks WHERE NOT granted AND locktype = 'transactionid'"
        ).fetchall():
            assert time.monotonic() < until, "it does not wait for this one"
        db.execute(touch, [first.id])
        db.commit()
        thread.join(PATIENCE)
    assert answers[0] == [True]
    assert [each.id for each in answers[1].claims] == [second.id]
