"""Telling other processes what was written, and hearing of it."""

import time
from collections.abc import Iterator

import psycopg
import pytest

from postlude.stores.postgres import PostgresStore
from postlude.stores.postgres.connection import channel_of, connect, notify
from postlude.stores.signals import Signals
from tests.servers.postgres import PostgresServer

pytestmark = [pytest.mark.process, pytest.mark.disk]

PATIENCE = 10.0
LISTENING = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'postlude-listener%'"


@pytest.fixture
def looks(server: PostgresServer) -> Iterator[psycopg.Connection]:
    with psycopg.connect(server.url, autocommit=True) as db:
        yield db


def test_who_only_adds_hears_of_nothing(
    server: PostgresServer, schema: str, looks: psycopg.Connection
) -> None:
    """Each message would wake it, and there would be one more session on the server."""
    store = PostgresStore(server.url, schema=schema)
    store.open()
    try:
        assert looks.execute(LISTENING).fetchone() == (0,)
        store.listen(Signals())
        until = time.monotonic() + PATIENCE
        while looks.execute(LISTENING).fetchone() == (0,) and time.monotonic() < until:
            time.sleep(0.01)
        assert looks.execute(LISTENING).fetchone() == (1,)
    finally:
        store.close()
    assert looks.execute(LISTENING).fetchone() == (0,)


def test_who_listened_before_it_was_opened_hears(
    server: PostgresServer, schema: str, looks: psycopg.Connection
) -> None:
    store = PostgresStore(server.url, schema=schema)
    store.listen(Signals())
    store.open()
    try:
        until = time.monotonic() + PATIENCE
        while looks.execute(LISTENING).fetchone() == (0,) and time.monotonic() < until:
            time.sleep(0.01)
        assert looks.execute(LISTENING).fetchone() == (1,)
    finally:
        store.close()


def test_any_text_is_told(server: PostgresServer, schema: str, looks: psycopg.Connection) -> None:
    looks.execute(f"LISTEN {channel_of(schema)}")
    texts = ['["it\'s", "\\\\", "é"]', "'); DROP TABLE x; --"]
    with connect(server.url, "postlude-test") as db:
        assert [notify(db, channel_of(schema), text) for text in texts] == [True, True]
    told = [message.payload for message in looks.notifies(timeout=PATIENCE, stop_after=2)]
    assert told == texts


def test_a_connection_that_was_ended_tells_nothing(
    server: PostgresServer, schema: str, looks: psycopg.Connection
) -> None:
    db = connect(server.url, "postlude-test")
    looks.execute("SELECT pg_terminate_backend(%s, 5000)", [db.info.backend_pid])
    assert not notify(db, channel_of(schema), "x")
