"""A schema of each version, made by the release that had it, is upgraded and goes on."""

import gzip

import psycopg
import pytest

from postlude.stores.postgres.connection import VERSION
from tests.servers.postgres import PostgresServer
from tests.stores.golden.going_on import goes_on, shop_on
from tests.stores.golden.make import COMMITS, golden

pytestmark = [pytest.mark.process, pytest.mark.disk]


@pytest.mark.anyio
@pytest.mark.parametrize("version", COMMITS["postgres"])
async def test_it_goes_on(version: int, monkeypatch: pytest.MonkeyPatch, server: PostgresServer) -> None:
    with psycopg.connect(server.url, autocommit=True) as db:
        db.execute(f"CREATE DATABASE golden_{version}")
    url = f"{server.url.rpartition('/')[0]}/golden_{version}"
    with psycopg.connect(url) as db:
        db.execute(gzip.decompress(golden("postgres", version).read_bytes()))
    with psycopg.connect(url) as db:
        assert db.execute("SELECT value FROM postlude.meta WHERE key = 'version'").fetchone() == (
            str(version),
        )
    await goes_on(shop_on(url, monkeypatch), url)
    with psycopg.connect(url) as db:
        assert db.execute("SELECT value FROM postlude.meta WHERE key = 'version'").fetchone() == (
            str(VERSION),
        )
