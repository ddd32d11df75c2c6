"""Workers for tests; each is ended with its test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.postgres import PostgresServer
from tests.worker.team import Team


@pytest.fixture
def team(tmp_path: Path) -> Iterator[Team]:
    """Workers on a journal in SQLite."""
    team = Team(tmp_path, f"sqlite:///{tmp_path}/journal.db")
    yield team
    team.clean_up()


@pytest.fixture(scope="session")
def server() -> Iterator[PostgresServer]:
    server = PostgresServer()
    yield server
    server.close()
