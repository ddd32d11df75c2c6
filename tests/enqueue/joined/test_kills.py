"""A few of the kills of `killing.py`, of each way in which jobs are written to a transaction."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.enqueue.joined.killing import Place, emptied, kill
from tests.servers.postgres import PostgresServer

pytestmark = [pytest.mark.slow, pytest.mark.process, pytest.mark.disk, pytest.mark.durability]

KILLS = 10


@pytest.fixture(scope="module")
def own() -> Iterator[PostgresServer]:
    server = PostgresServer()
    yield server
    server.close()


@pytest.mark.parametrize("name", ["session-psycopg", "async-session-asyncpg", "asyncpg", "psycopg"])
def test_the_same_database(own: PostgresServer, name: str) -> None:
    data, jobs = kill(emptied(own), name, KILLS, random.Random(1))
    assert data == jobs
    assert len(data) >= KILLS


@pytest.mark.parametrize("name", ["sqlite-session", "sqlite-async-session"])
def test_an_outbox(tmp_path: Path, name: str) -> None:
    place = Place(f"sqlite:///{tmp_path}/shop.db", f"sqlite:///{tmp_path}/journal.db")
    data, jobs = kill(place, name, KILLS, random.Random(1))
    assert data == jobs
    assert len(data) >= KILLS
