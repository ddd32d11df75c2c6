"""Servers, brokers and databases of their own for tests."""

import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from tests.servers.emptied import EmptiedJournal
from tests.servers.postgres import PostgresServer
from tests.servers.rabbitmq import RabbitMQServer
from tests.servers.redis import RedisServer


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    """A PostgreSQL for the tests of a process."""
    server = PostgresServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def databases(server: PostgresServer) -> tuple[str, str]:
    """The URLs of two databases."""
    names = "one", "two"
    with psycopg.connect(server.url, autocommit=True) as db:
        for name in names:
            db.execute(f"CREATE DATABASE {name}")
    start = server.url.rpartition("/")[0]
    return f"{start}/one", f"{start}/two"


def _emptied(url: str) -> Iterator[str]:
    yield url
    with psycopg.connect(url, autocommit=True) as db:
        left = _sessions_left(db)
        db.execute("DROP SCHEMA IF EXISTS postlude CASCADE")
    assert not left, f"the test has left sessions open: {left}"


def _sessions_left(db: psycopg.Connection[Any]) -> list[Any]:
    """Return the sessions of journals in a database, which have a moment to end, and end them."""
    others = "FROM pg_stat_activity WHERE datname = current_database() AND application_name ~ '^postlude'"
    until = time.monotonic() + 5.0
    while left := db.execute(f"SELECT application_name, state, query {others}").fetchall():
        if time.monotonic() > until:
            db.execute(f"SELECT pg_terminate_backend(pid) {others}")
            break
        time.sleep(0.02)
    return left


@pytest.fixture
def database(databases: tuple[str, str]) -> Iterator[str]:
    """The URL of a database in which there is no journal."""
    yield from _emptied(databases[0])


@pytest.fixture(scope="session")
def ready_journal(server: PostgresServer) -> EmptiedJournal:
    """A journal in a database of its own, for the tests of applications."""
    with psycopg.connect(server.url, autocommit=True) as db:
        db.execute("CREATE DATABASE ready")
    return EmptiedJournal(f"{server.url.rpartition('/')[0]}/ready", "postlude")


@pytest.fixture
def ready_database(ready_journal: EmptiedJournal) -> Iterator[str]:
    """The URL of a database in which there is an empty journal."""
    yield ready_journal.url
    with psycopg.connect(ready_journal.url, autocommit=True) as db:
        left = _sessions_left(db)
        ready_journal.empty(db)
    assert not left, f"the test has left sessions open: {left}"


@pytest.fixture
def another_database(databases: tuple[str, str]) -> Iterator[str]:
    """The URL of a second one."""
    yield from _emptied(databases[1])


@pytest.fixture(scope="session")
def rabbitmq() -> Iterator[RabbitMQServer]:
    """A RabbitMQ for the tests of a process, which waits 20 seconds for an acknowledgement."""
    server = RabbitMQServer("consumer_timeout = 20000")
    yield server
    server.close()


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisServer]:
    """A Redis for the tests of a process."""
    server = RedisServer()
    yield server
    server.close()
