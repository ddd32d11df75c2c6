"""The floor of `bench.bare`, with PostgreSQL in SQLite's place: one statement for each kind of write."""

from collections.abc import Sequence
from typing import Any, Final

import psycopg

from bench.bare import Bare

_TABLE: Final = """
CREATE TABLE IF NOT EXISTS bare (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id bytea NOT NULL UNIQUE, task text, queue text,
    state smallint, fence integer, runner integer, created bigint, started bigint, finished bigint, args bytea
);
CREATE INDEX IF NOT EXISTS bare_running ON bare (runner) WHERE state = 3;
"""
_ADD: Final = """
INSERT INTO bare (id, task, queue, state, fence, runner, created, args)
SELECT id, task, 'default', 3, 1, 1, created, args
FROM unnest($1::bytea[], $2::text[], $3::bigint[], $4::bytea[]) AS j(id, task, created, args) RETURNING seq
"""
_FINISH: Final = """
UPDATE bare SET state = 8, started = f.started, finished = f.finished
FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS f(started, finished, seq)
WHERE bare.seq = f.seq AND fence = 1 AND state = 3
"""


class BarePostgres(Bare):
    """Stores calls in groups and runs them; its path is a URL."""

    def _open(self) -> "PostgresWrites":
        return PostgresWrites(self._path)


class PostgresWrites:
    """A table in a database.

    Args:
        url: the database.
    """

    def __init__(self, url: str) -> None:
        self._db = psycopg.connect(url, autocommit=True)
        self._db.execute(_TABLE)
        self._db.cursor_factory = psycopg.RawCursor

    def commit(self, adds: Sequence[Any], ends: Sequence[Any]) -> Sequence[int]:
        """Store both."""
        with self._db.transaction():
            if ends:
                self._db.execute(_FINISH, [list(column) for column in zip(*ends, strict=True)])
            if not adds:
                return ()
            rows = self._db.execute(_ADD, [list(column) for column in zip(*adds, strict=True)])
            return [seq for (seq,) in rows]

    def tidy(self) -> None:
        """Nothing: the server does that by itself."""
