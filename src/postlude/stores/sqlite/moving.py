"""A SQLite journal row by row, for moving it: with the file to itself."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import apsw

from postlude.errors import JournalRefused, JournalUnavailable
from postlude.stores.moving import Cell, Mark, Numbers, Row
from postlude.stores.sqlite.connection import MOVED_TO, check_version, recognise
from postlude.stores.sqlite.store import SqliteStore

_FROM: Final = "moved_from"

_PRESENTED: Final = {
    "gone": "(SELECT minute, task, queue, outcome AS state, n FROM minute WHERE minute = 0)",
    "minute": "(SELECT * FROM minute WHERE minute <> 0)",
}
"""How tables are shown that other stores have otherwise: sums of all time are minute 0 here."""

_HIDDEN: Final = frozenset({"sqlite_sequence"})


class WholeSqlite:
    """Implements `Whole`. Nobody else can open the file meanwhile.

    Args:
        path: of a journal of this release's form.
        make: make it if it is not there; else it must be.

    Raises:
        JournalRefused: it is none, or its rows cannot be read.
        JournalUnavailable: somebody has it open.
    """

    def __init__(self, path: Path, *, make: bool) -> None:
        self.place = str(path)
        if make:
            store = SqliteStore(path)
            store.open()
            store.close()
        flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_NOFOLLOW
        try:
            self._db = apsw.Connection(str(path.parent.resolve() / path.name), flags=flags)
        except apsw.Error as error:
            raise JournalUnavailable(f"cannot open the journal {path}: {error}") from error
        try:
            # Set before the first look: it has the lock of all from then on, or is told that others have it.
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            recognise(self._db, path)
            check_version(self._db, path, "min_writer")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute("PRAGMA fullfsync = ON")
            self._db.execute("BEGIN IMMEDIATE")
            self.epoch = str(self._meta("epoch"))
        except apsw.BusyError as error:
            self._db.close()
            raise JournalUnavailable(
                f"another process has the journal {path} open; end all that use it"
            ) from error
        except BaseException:
            self._db.close()
            raise

    def tables(self) -> dict[str, tuple[str, ...]]:
        """Return its tables, each with its columns."""
        names = self._all("SELECT name FROM sqlite_master WHERE type = 'table'")
        found = {
            name: tuple(column for (column,) in self._all("SELECT name FROM pragma_table_info(?)", name))
            for (name,) in names
            if name not in _HIDDEN
        }
        return {**found, "gone": ("task", "queue", "state", "n")}

    def count(self, table: str) -> int:
        """Return how many rows a table has."""
        return int(self._all(f"SELECT count(*) FROM {_shown(table)}")[0][0])

    def holds(self, table: str, column: str | None = None) -> bool:
        """Say whether a table has any row, or any with a cell in this column that is not empty."""
        where = "" if column is None else f"WHERE {column} IS NOT NULL"
        return bool(self._all(f"SELECT EXISTS (SELECT 1 FROM {_shown(table)} {where})")[0][0])

    def rows(self, table: str, columns: tuple[str, ...]) -> Iterator[Row]:
        """Yield what a table has in these columns, in the order in which it was written."""
        try:
            yield from self._db.execute(f"SELECT {', '.join(columns)} FROM {_shown(table)}")
        except (UnicodeDecodeError, apsw.CorruptError) as error:
            raise JournalRefused(
                f"the table {table} of {self.place} has a cell that cannot be read ({error}); start the "
                "application on it once, which sets it aside"
            ) from error

    def fill(self, table: str, columns: tuple[str, ...], rows: Iterator[Row]) -> None:
        """Write a table, in the place of what it has."""
        places = ", ".join("?" * len(columns))
        if table == "gone":
            self._db.execute("DELETE FROM minute WHERE minute = 0")
            names = ", ".join("outcome" if column == "state" else column for column in columns)
            into, values = f"minute ({names}, minute, ran, waited)", f"{places}, 0, 0, 0"
        else:
            self._db.execute(f"DELETE FROM {table}" + (" WHERE minute <> 0" if table == "minute" else ""))
            into, values = f"{table} ({', '.join(columns)})", places
        self._db.executemany(f"INSERT INTO {into} VALUES ({values})", rows)

    def fitting(self, row: Row) -> Row:
        """Return a row as it is."""
        return row

    def unsettled(self) -> int:
        """Return how many jobs are claimed."""
        return int(self._all("SELECT count(*) FROM job WHERE state = 3")[0][0])

    def numbers(self) -> Numbers:
        """Return the last numbers that were given."""
        given: dict[str, int] = dict(self._all("SELECT name, seq FROM sqlite_sequence"))
        return Numbers(given.get("job", 0), given.get("runner", 0))

    def go_on_after(self, numbers: Numbers) -> None:
        """Give no number again that another journal has given, or that a row has."""
        for name, last in zip(("job", "runner"), numbers, strict=True):
            own: dict[str, int] = dict(self._all("SELECT name, seq FROM sqlite_sequence"))
            self._db.execute("DELETE FROM sqlite_sequence WHERE name = ?", (name,))
            last = max(last, own.get(name, 0))
            self._db.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (name, last))

    def mark(self) -> Mark | None:
        """Return where it has been moved to."""
        found = self._meta(MOVED_TO)
        return None if found is None else Mark(*json.loads(str(found)))

    def set_mark(self, mark: Mark | None) -> None:
        """Have it refuse to be used, or be used again, in a commit of its own."""
        self._db.execute("DELETE FROM meta WHERE key = ?", (MOVED_TO,))
        if mark is not None:
            self._set(MOVED_TO, json.dumps(mark))
        self._db.execute("COMMIT; BEGIN IMMEDIATE")

    def moved_from(self) -> str | None:
        """Return the epoch of the journal that has been moved here."""
        found = self._meta(_FROM)
        return None if found is None else str(found)

    def commit(self, moved_from: str) -> None:
        """Make what was written durable, and note which journal it came from."""
        self._set(_FROM, moved_from)
        self._db.execute("COMMIT")

    def close(self) -> None:
        """Close it; what was not committed is undone."""
        self._db.close()

    def _meta(self, key: str) -> Cell:
        return next((value for (value,) in self._all("SELECT value FROM meta WHERE key = ?", key)), None)

    def _set(self, key: str, value: str) -> None:
        self._db.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value))

    def _all(self, sql: str, *values: str) -> list[Any]:
        return list(self._db.execute(sql, values))


def _shown(table: str) -> str:
    return _PRESENTED.get(table, table)
