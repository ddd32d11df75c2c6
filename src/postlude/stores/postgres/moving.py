"""A PostgreSQL journal row by row, for moving it: with every other process's writing held up."""

import json
import time
from collections.abc import Iterator
from typing import Any, Final

import psycopg

from postlude.errors import JournalRefused, JournalUnavailable
from postlude.stores.moving import Cell, Mark, Numbers, Row
from postlude.stores.postgres.connection import (
    MOVED_TO,
    SCHEMA,
    check,
    connect_durably,
    is_pooled,
    migrate,
    reason,
    shown,
    space_of,
)
from postlude.stores.postgres.sql import statements
from postlude.stores.postgres.turn import TURN
from postlude.stores.relational.columns import SUM_CELLS

NAME: Final = "move"
"""What its session is called, beside those of processes."""

PIECE: Final = 2000
"""Rows that are fetched at once."""

PATIENCE: Final = 5
"""Seconds for which others' groups are waited for."""

_FROM: Final = "moved_from"

_WRITERS: Final = (
    "SELECT application_name, coalesce(host(client_addr), 'local') FROM pg_stat_activity "
    "WHERE datname = current_database() AND application_name LIKE 'postlude-writer%' "
    "AND pid <> pg_backend_pid() LIMIT 1"
)


class WholePostgres:
    """Implements `Whole`. Nobody else writes the journal meanwhile.

    Args:
        url: where it is.
        schema: its schema.
        make: make it if it is not there; else it must be.

    Raises:
        JournalRefused: it is no journal of this release's form.
        JournalUnavailable: it cannot be reached, or somebody has it open.
    """

    def __init__(self, url: str, schema: str = SCHEMA, *, make: bool) -> None:
        self.place = shown(url, schema)
        self._schema = schema
        try:
            self._db = connect_durably(url, NAME)
        except psycopg.Error as error:
            raise JournalUnavailable(f"cannot open the journal {self.place}: {reason(error)}") from None
        try:
            if is_pooled(self._db):
                raise JournalRefused(
                    f"a pooler stands before the server of {self.place}, and a move needs a session: give "
                    "the URL of the server itself"
                )
            migrate(self._db, schema) if make else check(self._db, schema)
            self._alone()
            self.epoch = str(self._meta("epoch"))
        except psycopg.errors.LockNotAvailable as error:
            self._db.close()
            raise JournalUnavailable(f"another process writes the journal {self.place}") from error
        except psycopg.Error as error:
            self._db.close()
            raise JournalUnavailable(f"cannot open the journal {self.place}: {reason(error)}") from None
        except BaseException:
            self._db.close()
            raise

    def _alone(self) -> None:
        """Begin, with the turn of all groups; what another one could write is stored before, or never is."""
        until = time.monotonic() + PATIENCE
        while self._all(_WRITERS):  # a session that has just been closed is still shown for a moment
            if time.monotonic() > until:
                raise JournalUnavailable(
                    f"another process has the journal {self.place} open; end all that use it "
                    "(application_name in pg_stat_activity begins with postlude-writer)"
                )
            time.sleep(0.05)
        self._db.execute(f"SET lock_timeout = '{PATIENCE}s'")
        self._db.execute("SET idle_in_transaction_session_timeout = 0")
        # Of the session, since the mark of a source has a commit of its own.
        self._db.execute("SELECT pg_advisory_lock($1::integer, $2::integer)", [space_of(self._schema), TURN])
        self._db.execute("BEGIN")
        self._db.execute(statements(self._schema)["fold_tally"])  # what is moved is the sum

    def tables(self) -> dict[str, tuple[str, ...]]:
        """Return its tables, each with its columns."""
        found: dict[str, tuple[str, ...]] = {}
        for table, column in self._all(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = $1 "
            "ORDER BY table_name, ordinal_position",
            self._schema,
        ):
            if (table, column) != ("sums", "part"):  # it keeps sessions apart, and says nothing
                found[table] = (*found.get(table, ()), column)
        return found

    def count(self, table: str) -> int:
        """Return how many rows a table has."""
        return int(self._all(f"SELECT count(*) FROM {self._shown(table)}")[0][0])

    def holds(self, table: str, column: str | None = None) -> bool:
        """Say whether a table has any row, or any with a cell in this column that is not empty."""
        where = "" if column is None else f"WHERE {column} IS NOT NULL"
        return bool(self._all(f"SELECT EXISTS (SELECT 1 FROM {self._shown(table)} {where})")[0][0])

    def rows(self, table: str, columns: tuple[str, ...]) -> Iterator[Row]:
        """Yield what a table has in these columns, as it was written one by one; truths are numbers."""
        kinds = dict(
            self._all(
                "SELECT column_name, data_type FROM information_schema.columns "
                "WHERE table_schema = $1 AND table_name = $2",
                self._schema,
                table,
            )
        )
        names = ", ".join(f"{one}::integer" if kinds[one] == "boolean" else one for one in columns)
        order = next((f"ORDER BY {one}" for one in ("place", "seq") if one in kinds), "")
        self._db.execute(
            f"DECLARE moved NO SCROLL CURSOR FOR SELECT {names} FROM {self._shown(table)} {order}"
        )
        while found := self._all(f"FETCH {PIECE} FROM moved"):
            yield from found
        self._db.execute("CLOSE moved")

    def fill(self, table: str, columns: tuple[str, ...], rows: Iterator[Row]) -> None:
        """Write a table, in the place of what it has."""
        self._db.execute(f"DELETE FROM {self._schema}.{table}")
        into = f"COPY {self._schema}.{table} ({', '.join(columns)}) FROM STDIN"
        with self._db.cursor() as cursor, cursor.copy(into) as copy:
            for row in rows:
                copy.write_row(row)

    def fitting(self, row: Row) -> Row:
        """Return a row as it can be kept here: a text has no character 0."""
        if any(isinstance(cell, str) and "\0" in cell for cell in row):
            return tuple(cell.replace("\0", "\ufffd") if isinstance(cell, str) else cell for cell in row)
        return row

    def unsettled(self) -> int:
        """Return how many jobs are claimed, or have joined a transaction and are not known yet."""
        claimed = int(self._all(f"SELECT count(*) FROM {self._schema}.job WHERE state = 3")[0][0])
        return claimed + self.count("joined")

    def numbers(self) -> Numbers:
        """Return the last numbers that were given."""
        return Numbers(*(int(self._all(f"SELECT last_value FROM {one}")[0][0]) for one in self._sequences()))

    def go_on_after(self, numbers: Numbers) -> None:
        """Give no number again that another journal has given, or that a row has."""
        for sequence, last in zip(self._sequences(), numbers, strict=True):
            own = f"(SELECT last_value FROM {sequence})"
            self._run(f"SELECT setval('{sequence}', greatest($1::bigint, {own}))", last)
        names = self._sequence("task_name", "id")
        self._run(f"SELECT setval('{names}', (SELECT greatest(max(id), 1) FROM {self._schema}.task_name))")

    def mark(self) -> Mark | None:
        """Return where it has been moved to."""
        found = self._meta(MOVED_TO)
        return None if found is None else Mark(*json.loads(str(found)))

    def set_mark(self, mark: Mark | None) -> None:
        """Have it refuse to be used, or be used again, in a commit of its own."""
        self._run(f"DELETE FROM {self._schema}.meta WHERE key = $1", MOVED_TO)
        if mark is not None:
            self._set(MOVED_TO, json.dumps(mark))
        self._db.execute("COMMIT")
        self._db.execute("BEGIN")

    def moved_from(self) -> str | None:
        """Return the epoch of the journal that has been moved here."""
        found = self._meta(_FROM)
        return None if found is None else str(found)

    def commit(self, moved_from: str) -> None:
        """Make what was written durable, and note which journal it came from.

        Raises:
            JournalUnavailable: the connection is lost, and it is not known whether it is.
        """
        self._set(_FROM, moved_from)
        try:
            self._db.execute("COMMIT")
        except psycopg.Error as error:
            raise JournalUnavailable(
                f"the connection to {self.place} was lost at the end ({reason(error)}); run the same again, "
                "which finds out whether it was moved"
            ) from error

    def close(self) -> None:
        """Close it; what was not committed is undone."""
        self._db.close()

    def _sequences(self) -> tuple[str, str]:
        return f"{self._schema}.job_seq", self._sequence("runner", "id")

    def _sequence(self, table: str, column: str) -> str:
        found = self._all("SELECT pg_get_serial_sequence($1, $2)", f"{self._schema}.{table}", column)
        return str(found[0][0])

    def _shown(self, table: str) -> str:
        """Return where the rows of a table are, as other journals have them."""
        if table != "sums":
            return f"{self._schema}.{table}"
        cells = ", ".join(f"sum({name})::bigint AS {name}" for name in SUM_CELLS)
        keys = "minute, task, queue, outcome"
        return f"(SELECT {keys}, {cells} FROM {self._schema}.sums GROUP BY {keys}) AS sums"

    def _meta(self, key: str) -> Cell:
        rows = self._all(f"SELECT value FROM {self._schema}.meta WHERE key = $1", key)
        return next((value for (value,) in rows), None)

    def _set(self, key: str, value: str) -> None:
        self._run(
            f"INSERT INTO {self._schema}.meta VALUES ($1, $2) "
            "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            key,
            value,
        )

    def _run(self, sql: str, *values: Cell) -> None:
        self._db.execute(sql, values)

    def _all(self, sql: str, *values: str) -> list[Any]:
        return self._db.execute(sql, values).fetchall()
