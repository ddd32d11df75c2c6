"""Schemas for tests."""

from collections.abc import Iterator
from itertools import count

import psycopg
import pytest

from tests.servers.emptied import EmptiedJournal
from tests.servers.postgres import PostgresServer

_NUMBERS = count(1)


@pytest.fixture
def schema(server: PostgresServer) -> Iterator[str]:
    """A schema of the test's own."""
    name = f"journal_{next(_NUMBERS)}"
    yield name
    with psycopg.connect(server.url, autocommit=True) as db:
        db.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")


@pytest.fixture(scope="session")
def journal_of_all(server: PostgresServer) -> EmptiedJournal:
    """A journal that many tests use, one after another."""
    return EmptiedJournal(server.url, "journal_of_all")


@pytest.fixture
def ready_schema(journal_of_all: EmptiedJournal) -> Iterator[str]:
    """A schema in which there is an empty journal."""
    yield journal_of_all.schema
    with psycopg.connect(journal_of_all.url, autocommit=True) as db:
        journal_of_all.empty(db)
