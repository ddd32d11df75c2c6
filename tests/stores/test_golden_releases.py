"""A journal of each version of the schema, made by the release that had it, is upgraded and goes on."""

import gzip
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Final

import pytest

from postlude.stores.postgres.sql import MIGRATIONS as POSTGRES
from postlude.stores.sqlite.sql import MIGRATIONS as SQLITE
from tests.stores.golden.going_on import goes_on, shop_on
from tests.stores.golden.make import COMMITS, golden

LATEST: Final = {"sqlite": len(SQLITE), "postgres": len(POSTGRES)}


@pytest.mark.parametrize("kind", LATEST)
def test_there_is_one_of_each_version(kind: str) -> None:
    """Who raises the version makes the journal of the new one before it is released, and keeps the others."""
    needed = range(1, LATEST[kind] + 1)
    assert list(COMMITS[kind]) == list(needed), "tests/stores/golden/README.md says how"
    missing = [golden(kind, version).name for version in needed if not golden(kind, version).exists()]
    assert missing == [], "python -m tests.stores.golden.make"
    assert all(golden(kind, version).stat().st_size < 20_000 for version in needed)


@pytest.mark.disk
@pytest.mark.anyio
@pytest.mark.parametrize("version", COMMITS["sqlite"])
async def test_a_file_goes_on(version: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    path.write_bytes(gzip.decompress(golden("sqlite", version).read_bytes()))
    path.chmod(0o600)
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT value FROM meta WHERE key = 'version'").fetchone() == (version,)
    await goes_on(shop_on(f"sqlite:///{path}", monkeypatch), str(path))
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("SELECT value FROM meta WHERE key = 'version'").fetchone() == (len(SQLITE),)
