"""A schema for each test."""

from collections.abc import Iterator
from itertools import count

import psycopg
import pytest

from tests.servers.postgres import PostgresServer

_NUMBERS = count(1)


@pytest.fixture
def schema(server: PostgresServer) -> Iterator[str]:
    """A schema of the test's own."""
    name = f"journal_{next(_NUMBERS)}"
    yield name
    with psycopg.connect(server.url, autocommit=True) as db:
        db.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")
