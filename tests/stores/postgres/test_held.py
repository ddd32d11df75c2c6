"""A transaction of others that is held open is told of, by name."""

import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from postlude.model.event.journal import TransactionHeld
from postlude.stores.postgres import PostgresStore
from tests.servers.postgres import PostgresServer

pytestmark = [pytest.mark.process, pytest.mark.disk]

PATIENCE = 10.0


@pytest.fixture
def store(server: PostgresServer, schema: str) -> Iterator[PostgresStore]:
    store = PostgresStore(server.url, schema=schema)
    store.open()
    yield store
    store.close()


def test_it_is_told_of_once(store: PostgresStore, server: PostgresServer) -> None:
    told: list[Any] = []
    store.events.listen(told.append, TransactionHeld)
    backend: Any = store._writer._backend  # type: ignore[union-attr]
    backend.runners._held._after = 0.3
    with psycopg.connect(server.url, application_name="report") as beside:
        beside.execute("SELECT 1")  # in READ COMMITTED it holds nothing between statements
        time.sleep(0.4)
        store.reap().wait(PATIENCE)
        assert told == []
        beside.rollback()
        beside.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        beside.execute("SELECT 1")
        store.reap().wait(PATIENCE)
        assert told == []
        time.sleep(0.4)
        for _ in range(3):
            store.reap().wait(PATIENCE)
        (held,) = told
        assert (held.pid, held.application) == (beside.info.backend_pid, "report")
        assert held.location.startswith("postgresql://***/postgres")
        assert 0 <= held.seconds <= 5
