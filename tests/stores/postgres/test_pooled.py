"""The conformance suite through a PgBouncer in transaction mode, and what is different there."""

import time
from collections.abc import Iterator

import psycopg
import pytest

from postlude.clock import ManualClock
from postlude.model.event import Event
from postlude.model.event.journal import ServerPooled
from postlude.stores.postgres import PostgresStore
from postlude.stores.protocol import NewRunner, Store
from postlude.stores.signals import Signals
from postlude.testing.conformance import StoreBench, StoreConformance
from postlude.testing.conformance.bench import LEASE, Driver
from tests.servers.pgbouncer import PgBouncer
from tests.servers.postgres import PostgresServer
from tests.stores.postgres.bench import PostgresBench

pytestmark = [pytest.mark.process, pytest.mark.disk, pytest.mark.slow]

PATIENCE = 10.0


@pytest.fixture(scope="module")
def pooler(server: PostgresServer) -> Iterator[PgBouncer]:
    pooler = PgBouncer(server)
    yield pooler
    pooler.close()


class PooledBench(PostgresBench):
    """Stores that are reached through the pooler."""

    def __init__(self, server: PostgresServer, schema: str, pooler: PgBouncer) -> None:
        super().__init__(server, schema)
        self._pooler = pooler

    def make(self, clock: ManualClock) -> Store:
        return PostgresStore(self._pooler.url, schema=self._schema, clock=clock, free_for=0)


class TestPooled(StoreConformance):
    @pytest.fixture
    def bench(self, server: PostgresServer, ready_schema: str, pooler: PgBouncer) -> StoreBench:
        return PooledBench(server, ready_schema, pooler)

    def test_after_it_is_opened_again_somebody_can(self, driver: Driver) -> None:
        """Not before the lease of the one that led is over: nothing else tells that it has gone."""
        leads = driver.store.lead(driver.enlist().runner, "prune", 3600.0).wait(PATIENCE)
        assert leads
        driver.reopen()
        assert not driver.store.lead(driver.enlist().runner, "prune", 3600.0).wait(PATIENCE)
        driver.clock.advance(LEASE + 1)
        assert driver.store.lead(driver.enlist().runner, "prune", 3600.0).wait(PATIENCE)


@pytest.fixture
def pooled(pooler: PgBouncer, schema: str) -> Iterator[PostgresStore]:
    store = PostgresStore(pooler.url, schema=schema)
    store.open()
    yield store
    store.close()


def test_it_is_said_that_a_pooler_is_there(server: PostgresServer, pooler: PgBouncer, schema: str) -> None:
    told: list[Event] = []
    for url in (pooler.url, server.url):
        store = PostgresStore(url, schema=schema)
        store.events.listen(told.append, ServerPooled)
        store.open()
        store.close()
    assert told == [ServerPooled(f"postgresql://***/postgres (schema {schema})")]


def test_nothing_is_left_in_a_session(pooled: PostgresStore, server: PostgresServer) -> None:
    runner = pooled.enlist(NewRunner("r", 60)).wait(PATIENCE).runner
    for _ in range(20):  # as often as would have statements prepared
        assert pooled.claim(runner, 10, suspect=True).wait(PATIENCE).claims == []
        assert pooled.counts().wait(PATIENCE) == []
    with psycopg.connect(server.url, autocommit=True) as db:
        assert db.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone() == (0,)
    with psycopg.connect(pooled._url, autocommit=True, prepare_threshold=None) as db:
        for setting, expected in (("jit", "on"), ("enable_seqscan", "on"), ("synchronous_commit", "off")):
            assert db.execute(f"SHOW {setting}").fetchone() == (expected,)
        assert db.execute("SELECT count(*) FROM pg_prepared_statements").fetchone() == (0,)
        assert db.execute("SELECT count(*) FROM pg_listening_channels()").fetchone() == (0,)


def test_who_has_no_lock_is_buried_by_its_lease_alone(
    pooled: PostgresStore, server: PostgresServer, schema: str
) -> None:
    runner = pooled.enlist(NewRunner("r", 3)).wait(PATIENCE).runner
    direct = PostgresStore(server.url, schema=schema, free_for=0)
    direct.open()
    try:
        until = time.monotonic() + 2
        while time.monotonic() < until:  # its lock is free all the time, as nobody has it
            assert direct.reap().wait(PATIENCE).runners == 0
        assert pooled.renew(runner).wait(PATIENCE)
        began = time.monotonic()
        while direct.reap().wait(PATIENCE).runners == 0:
            assert time.monotonic() - began < 10
        assert time.monotonic() - began > 2
    finally:
        direct.close()


class Heard(Signals):
    def __init__(self) -> None:
        self.at: list[float] = []

    def paused(self) -> None:
        self.at.append(time.monotonic())


def test_it_looks_for_what_others_have_written(
    pooled: PostgresStore, server: PostgresServer, schema: str
) -> None:
    heard = Heard()
    pooled.listen(heard)
    direct = PostgresStore(server.url, schema=schema)
    direct.open()
    try:
        direct.enlist(NewRunner("r", 60)).wait(PATIENCE)
        began = time.monotonic()
        while not any(at > began for at in heard.at):
            assert time.monotonic() - began < 5
            time.sleep(0.01)
    finally:
        direct.close()
