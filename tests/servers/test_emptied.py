"""A journal that serves many tests is as a new one for each."""

from typing import Any

import psycopg
import pytest

from postlude.stores.postgres import PostgresStore
from postlude.stores.protocol import NewRunner
from tests.servers.emptied import EmptiedJournal
from tests.servers.postgres import PostgresServer

pytestmark = [pytest.mark.process, pytest.mark.disk]


def told(db: psycopg.Connection[Any], schema: str) -> list[Any]:
    """Return everything that stands in it but its epoch, and where its numbers go on."""
    names = db.execute(
        "SELECT tablename FROM pg_tables WHERE schemaname = %s ORDER BY tablename", [schema]
    ).fetchall()
    rows = [
        (name, row)
        for (name,) in names
        for row in db.execute(f"SELECT t::text FROM {schema}.{name} AS t ORDER BY 1")
        if not row[0].startswith("(epoch,")
    ]
    numbers = "SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = %s ORDER BY 1"
    return [names, rows, db.execute(numbers, [schema]).fetchall()]


def test_what_a_test_has_left_is_gone(server: PostgresServer) -> None:
    journal = EmptiedJournal(server.url, "to_be_emptied")
    with psycopg.connect(server.url, autocommit=True) as db:
        journal.empty(db)
        new = told(db, journal.schema)
        epoch = f"SELECT value FROM {journal.schema}.meta WHERE key = 'epoch'"
        before = db.execute(epoch).fetchone()
        store = PostgresStore(server.url, schema=journal.schema)
        store.open()
        store.enlist(NewRunner("app", 60.0)).wait(10.0)
        store.close()
        db.execute(f"INSERT INTO {journal.schema}.task_name (name) VALUES ('app:send')")
        db.execute(f"UPDATE {journal.schema}.meta SET value = '999' WHERE key = 'min_writer'")
        assert told(db, journal.schema) != new
        journal.empty(db)
        assert told(db, journal.schema) == new
        assert db.execute(epoch).fetchone() != before


@pytest.mark.parametrize(
    "change", ["DROP TABLE {}.note", "ALTER TABLE {}.job ADD COLUMN more integer", "DROP SCHEMA {} CASCADE"]
)
def test_one_whose_form_a_test_has_changed_is_made_anew(server: PostgresServer, change: str) -> None:
    journal = EmptiedJournal(server.url, "to_be_made_anew")
    with psycopg.connect(server.url, autocommit=True) as db:
        new = told(db, journal.schema)
        db.execute(change.format(journal.schema))
        journal.empty(db)
        assert told(db, journal.schema)[:2] == new[:2]
        columns = (
            "SELECT count(*) FROM information_schema.columns WHERE table_schema = %s AND column_name = 'more'"
        )
        assert db.execute(columns, [journal.schema]).fetchone() == (0,)
        db.execute(f"DROP SCHEMA {journal.schema} CASCADE")
