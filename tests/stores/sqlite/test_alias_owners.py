"""Whose a merged call is, in a journal that is older than the column which says so, or damaged."""

from pathlib import Path

import apsw
import pytest

from postlude.stores.sqlite import SqliteStore
from postlude.stores.sqlite.connection import APPLICATION_ID
from postlude.stores.sqlite.reader import JournalReader
from postlude.stores.sqlite.sql import MIGRATIONS

pytestmark = pytest.mark.disk

OWN, MERGED = (1).to_bytes(16), (2).to_bytes(16)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal of version 3 with ada's job, into which another call was merged."""
    path = tmp_path / "journal.db"
    db = apsw.Connection(str(path))
    db.execute("".join(MIGRATIONS[:3]))
    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.execute("UPDATE meta SET value = 3 WHERE key = 'version'")
    db.execute("INSERT INTO meta VALUES ('host', 'h'), ('epoch', 'e')")
    db.execute("INSERT INTO task_name VALUES (1, 'shop:send')")
    job = "INSERT INTO job (seq, id, task, queue, state, created, owner) VALUES (1, ?, 1, 'q', 0, 1, 'ada')"
    db.execute(job, (OWN,))
    db.execute("INSERT INTO payload VALUES (1, 0, x'7b7d'); INSERT INTO stat VALUES (1, 0, 1)")
    db.execute("INSERT INTO alias (id, job) VALUES (?, 1)", (MERGED,))
    db.close()
    path.chmod(0o600)
    return path


def owners(reader: JournalReader) -> list[tuple[str | None, str | None]]:
    records = [reader.get(id) for id in (OWN, MERGED)]
    return [(record.owner, record.call_owner) for record in records if record is not None]


def test_it_is_nobodys(path: Path) -> None:
    reader = JournalReader(path)
    assert owners(reader) == [("ada", "ada"), ("ada", None)], "also where nobody has migrated the journal"
    reader.close()
    store = SqliteStore(path)
    store.open()
    store.close()
    reader = JournalReader(path)
    assert owners(reader) == [("ada", "ada"), ("ada", None)]
    reader.close()


def test_a_damaged_cell_is_no_owner_that_anybody_has(path: Path) -> None:
    store = SqliteStore(path)
    store.open()
    store.close()
    db = apsw.Connection(str(path))
    db.execute("UPDATE alias SET owner = CAST('ada' AS BLOB)")
    db.close()
    reader = JournalReader(path)
    assert owners(reader)[1] not in [("ada", "ada"), ("ada", None)]
    reader.close()
