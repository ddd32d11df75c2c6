"""One PostgreSQL with a journal for the tests of a process, emptied after each of them."""

from collections.abc import Iterator

import psycopg
import pytest

from postlude import Postlude
from postlude.stores.postgres.connection import space_of
from postlude.stores.postgres.turn import TURN
from tests.enqueue.joined.kinds import TABLE
from tests.servers.postgres import PostgresServer

EMPTIED = (
    "orders",
    *(f"postlude.{name}" for name in ("job", "payload", "joined", "alias", "stat", "gone", "tally")),
)


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    server = PostgresServer()
    yield server
    server.close()


@pytest.fixture(scope="session")
def _journal(server: PostgresServer) -> Iterator[Postlude]:
    with psycopg.connect(server.url, autocommit=True) as db:
        db.execute(TABLE.encode())
    postlude = Postlude(store=server.url, packages=["tests"])
    postlude.components.ensure_open()
    yield postlude
    postlude.components.joiner.close()
    postlude.components.store.close()


@pytest.fixture
def database(server: PostgresServer) -> str:
    """The URL of a database with the journal, and a table of orders."""
    return server.url


@pytest.fixture
def postlude(_journal: Postlude, database: str) -> Iterator[Postlude]:
    """Whose journal is there."""
    yield _journal
    with psycopg.connect(database) as db:
        db.execute("SELECT pg_advisory_xact_lock(%s, %s)", [space_of("postlude"), TURN])
        for table in EMPTIED:
            db.execute(f"DELETE FROM {table}".encode())
