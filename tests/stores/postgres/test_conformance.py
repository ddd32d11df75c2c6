"""The conformance suite on PostgreSQL."""

import pytest

from postlude.testing.conformance import StoreBench, StoreConformance
from tests.servers.postgres import PostgresServer
from tests.stores.postgres.bench import PostgresBench

pytestmark = [pytest.mark.process, pytest.mark.disk]


class TestPostgres(StoreConformance):
    @pytest.fixture
    def bench(self, server: PostgresServer, ready_schema: str) -> StoreBench:
        return PostgresBench(server, ready_schema)
