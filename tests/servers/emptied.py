"""Journals on a server that are emptied after each test: to make one takes several times as long."""

import secrets
from typing import Any

import psycopg

from postlude.stores.postgres import PostgresStore

_FORM = """
SELECT md5(string_agg(told, ';' ORDER BY told)) FROM (
    SELECT concat_ws(' ', relname, relkind, attname, atttypid, attnotnull, atthasdef, attisdropped) AS told
    FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid WHERE relnamespace = %(schema)s::regnamespace
    UNION ALL SELECT prosrc FROM pg_proc WHERE pronamespace = %(schema)s::regnamespace
    UNION ALL SELECT tgname FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
    WHERE relnamespace = %(schema)s::regnamespace
) AS form
"""
_TABLES = "SELECT quote_ident(tablename) FROM pg_tables WHERE schemaname = %s"
_SEQUENCES = "SELECT quote_ident(sequencename) FROM pg_sequences WHERE schemaname = %s"


class EmptiedJournal:
    """A journal in a schema; it is made at once.

    Args:
        url: of the database.
        schema: which.
    """

    def __init__(self, url: str, schema: str) -> None:
        self.url = url
        self.schema = schema
        self._make()
        with psycopg.connect(url, autocommit=True) as db:
            self._form = self._read_form(db)
            tables = [f"{schema}.{name}" for (name,) in db.execute(_TABLES, [schema])]
            sequences = [name for (name,) in db.execute(_SEQUENCES, [schema])]
            self._meta = db.execute(f"SELECT key, value FROM {schema}.meta WHERE key <> 'epoch'").fetchall()
            for table in tables:
                if not table.endswith(".meta"):
                    assert db.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table
        self._emptying = ";".join(
            [
                *(f"DELETE FROM {table}" for table in tables),
                *(f"SELECT setval('{schema}.{name}', 1, false)" for name in sequences),
            ]
        )

    def empty(self, db: psycopg.Connection[Any]) -> None:
        """Leave it as it was made, but for its epoch; one whose form a test has changed is made anew."""
        if self._read_form(db) != self._form:
            db.execute(f"DROP SCHEMA IF EXISTS {self.schema} CASCADE")
            self._make()
            return
        with db.transaction():
            db.execute(self._emptying)
            rows = [*self._meta, ("epoch", secrets.token_hex(8))]
            for row in rows:
                db.execute(f"INSERT INTO {self.schema}.meta VALUES (%s, %s)", row)

    def _make(self) -> None:
        store = PostgresStore(self.url, schema=self.schema)
        store.open()
        store.close()

    def _read_form(self, db: psycopg.Connection[Any]) -> object:
        if db.execute("SELECT to_regnamespace(%s) IS NULL", [self.schema]).fetchone() == (True,):
            return None
        return db.execute(_FORM, {"schema": self.schema}).fetchone()
