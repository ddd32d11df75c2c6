"""One group of writes to a PostgreSQL journal: the named statements that the verbs stand on."""

from collections import deque
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Any, Final

import psycopg

from postlude.stores.relational.limits import Rules
from postlude.stores.relational.transaction import Transaction

Connection = psycopg.Connection[tuple[Any, ...]]

_CLAIMED: Final = frozenset({"ready", "ready_but", "ready_these", "followers"})
"""Statements whose last column is a job's arguments, and whose last parameter says how SQLite gives those."""


_SAID: Final = frozenset({"add_attempts", "set_notes", "note_progress", "add_logs"})
"""Statements that keep what tasks have said: it must not fail for a character that texts cannot have here."""


class PostgresTransaction(Transaction):
    """One group of writes.

    Args:
        db: the writer's connection, in a transaction.
        sql: the statements.
        now: the server's time.
        names: task numbers that are known so far; kept over transactions.
    """

    __slots__ = ("_numbers", "_sql", "begin", "pg")

    def __init__(self, db: Connection, sql: dict[str, str], now: int, names: dict[str, int]) -> None:
        super().__init__(now, names)
        self.pg = db
        self._sql = sql
        self._numbers: deque[int] = deque()
        """Those of jobs that are about to be inserted."""
        self.begin: Any = None
        """Begins again, after what has been done was undone."""

    def _execute(self, name: str, bindings: Sequence[Any]) -> psycopg.Cursor[tuple[Any, ...]]:
        return self.pg.execute(self._sql[name], bindings)

    def run(self, name: str, *bindings: Any) -> int:
        """Run a statement that returns nothing; says how many rows it has changed."""
        return self._execute(name, [_plain(value) for value in bindings]).rowcount

    def value(self, name: str, *bindings: Any) -> Any:
        """Run a statement that returns one row at most: its value, or its values if these are several."""
        row = self._execute(name, [_plain(value) for value in bindings]).fetchone()
        return row if row is None or len(row) > 1 else row[0]

    def rows(self, name: str, *bindings: Any) -> list[Any]:
        """Run a statement that returns rows."""
        if name in _CLAIMED:
            return [(*row, _text(args)) for *row, args in self._execute(name, bindings[:-1])]
        found = self._execute(name, [_plain(value) for value in bindings])
        if len(found.description or ()) == 1:  # as an array of one column's values
            return [value for (value,) in found]
        return found.fetchall()

    def run_for(self, name: str, rows: Sequence[Iterable[Any]]) -> int:
        """Run a statement for many rows, given as one array for each column; says how many it has changed."""
        if not rows:
            return 0
        columns = [_column(values) for values in zip(*rows, strict=True)]
        if name in _SAID:
            columns = [list(map(_without_nul, column)) for column in columns]
        return self._execute(name, columns).rowcount

    def insert_jobs(self, name: str, rows: Sequence[Iterable[Any]]) -> Sequence[int]:
        """Insert jobs; returns their numbers, in this order."""
        seqs = [self._numbers.popleft() for _ in rows] if self._numbers else self._draw(len(rows))
        self.run_for(name, [(seq, *row) for seq, row in zip(seqs, rows, strict=True)])
        return seqs

    def upcoming(self, jobs: int) -> Sequence[int]:
        """Return the numbers that the jobs will have that are inserted next."""
        seqs = self._draw(jobs)
        self._numbers.extend(seqs)
        return seqs

    def _draw(self, jobs: int) -> list[int]:
        return sorted(seq for (seq,) in self._execute("numbers", [jobs]).fetchall())

    def _read_rules(self) -> Rules:
        return Rules(self.rows("bounds"), self.rows("pauses"))

    def _begin_anew(self) -> None:
        self.now = self.begin(again=True)

    def _reload(self) -> None:
        self.names.update(self.rows("task_names"))


def _text(args: bytes | None) -> str | None:
    return None if args is None else args.decode("utf-8", "surrogateescape")


def _without_nul(value: Any) -> Any:
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


def _plain(value: Any) -> Any:
    return int(value) if isinstance(value, bool | IntEnum) else value


def _column(values: tuple[Any, ...]) -> list[Any]:
    """Return a column as one array: psycopg looks at one value, and takes all for the like of it."""
    kinds = set(map(type, values))
    if any(issubclass(kind, IntEnum | bool) for kind in kinds):
        return [None if value is None else int(value) for value in values]
    if any(issubclass(kind, str) and kind is not str for kind in kinds):
        return [None if value is None else str(value) for value in values]
    if float in kinds:
        return [None if value is None else float(value) for value in values]
    return list(values)
