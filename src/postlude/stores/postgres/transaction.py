"""One group of writes to a PostgreSQL journal: the named statements that the verbs stand on."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Any, Final

import psycopg
from psycopg.sql import Literal

from postlude.stores.postgres.passing import DRAWN_FROM, Passing
from postlude.stores.postgres.places import Places
from postlude.stores.relational.limits import Rules
from postlude.stores.relational.transaction import Transaction

Connection = psycopg.Connection[tuple[Any, ...]]

_CLAIMED: Final = frozenset({"ready_these", "followers"})
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
        places: up to which nothing is ready; likewise.
        ask: has something known with the next groups' turns that this one has to ask for.
        prepared: gives the names of statements that are prepared on a connection.
    """

    __slots__ = (
        "_ask", "_drawn", "_numbers", "_passing", "_prepared", "_sql", "_tally", "begin", "born", "pg"
    )  # fmt: skip

    def __init__(
        self, db: Connection, sql: dict[str, str], now: int, names: dict[str, int], places: Places,
        ask: Callable[[tuple[int, str]], None], prepared: Callable[[Connection], Mapping[str, str]],
    ) -> None:  # fmt: skip
        super().__init__(now, names)
        self._prepared = prepared
        self._ask = ask
        self.born: dict[tuple[int, str], Any] = {}
        """What is known of `may_be_born_claimed` as the group begins."""
        self._tally = ""
        self._passing = Passing(places, self._fetch)
        self._drawn: set[str] = set()
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
        if name == "claim":
            self._passing.take(bindings[1])
        elif name == "ready_all":
            behind = self._fetch(name, bindings)
            if any(told for (told,) in behind):
                self._passing.forget()
            return len(behind)
        self._let_know(name)
        return self._execute(name, [_plain(value) for value in bindings]).rowcount

    def value(self, name: str, *bindings: Any) -> Any:
        """Run a statement that returns one row at most: its value, or its values if these are several."""
        if name == "ready_queues":
            return self._passing.ready_queues(*bindings)
        if name == "may_be_born_claimed":
            if bindings in self.born and not (self.said.anew or self.said.paused):
                return self.born[bindings]  # nothing has become ready since
            self._ask((bindings[0], bindings[1]))
            return self._passing.may_be_born_claimed(*bindings)
        row = self._execute(name, [_plain(value) for value in bindings]).fetchone()
        return row if row is None or len(row) > 1 else row[0]

    def rows(self, name: str, *bindings: Any) -> list[Any]:
        """Run a statement that returns rows."""
        if name == "ready" or name == "ready_but":
            look = self._passing.ready if name == "ready" else self._passing.ready_but
            return as_ready(look(*bindings[:-1]))
        if name in _CLAIMED:
            return as_ready(self._execute(name, bindings[:-1]))
        found = self._execute(name, [_plain(value) for value in bindings])
        if len(found.description or ()) == 1:  # as an array of one column's values
            return [value for (value,) in found]
        return found.fetchall()

    def run_for(self, name: str, rows: Sequence[Iterable[Any]]) -> int:
        """Run a statement for many rows, given as one array for each column; says how many it has changed."""
        if not rows:
            return 0
        if name == "add_stats":
            values = ", ".join(f"({task:d}, {state:d}, {n:d})" for task, state, n in rows)
            self._tally += f"{self._sql[name]} {values};"
            return len(rows)
        if name == "add_sums" and (prepared := self._prepared(self.pg).get(name)):
            arrays = ", ".join(_written(values, self.pg) for values in zip(*rows, strict=True))
            self._tally += f"EXECUTE {prepared}({arrays});"
            return len(rows)
        self._let_know(name)
        columns = [_column(values) for values in zip(*rows, strict=True)]
        if name in _SAID:
            columns = [list(map(_without_nul, column)) for column in columns]
        return self._execute(name, columns).rowcount

    def settle(self, stored: bool) -> None:
        """It is committed, or never will be."""
        super().settle(stored)
        if stored:
            self._passing.settle()

    def _let_know(self, name: str) -> None:
        """Let others know, if they have to, of what a statement is about to change."""
        if (statement := DRAWN_FROM.get(name)) is None:
            return
        if statement not in self._drawn:
            self._drawn.add(statement)
            self._execute(statement, ())
        if statement == DRAWN_FROM["release"]:
            self._passing.forget()

    @property
    def ending(self) -> str:
        """The words that end it: with the tally and the sums, so that these take no round trip."""
        return f"{self._tally}COMMIT"

    @property
    def kept_rules(self) -> Rules | None:
        """Those that the next group may go by, if nobody has written others."""
        return None if DRAWN_FROM["pause"] in self._drawn else self.known_rules

    def _fetch(self, name: str, bindings: Sequence[Any]) -> list[tuple[Any, ...]]:
        return self._execute(name, bindings).fetchall()

    def insert_jobs(
        self, name: str, rows: Sequence[Iterable[Any]], payloads: Sequence[bytes]
    ) -> Sequence[int]:
        """Insert jobs and their arguments; returns their numbers, in this order."""
        numbers: list[int | None] = [None] * len(rows)
        if self._numbers:
            numbers = [self._numbers.popleft() for _ in rows]
        columns = [numbers, *zip(*rows, strict=True), payloads]
        return [seq for (seq,) in self._fetch(name, [_column(tuple(values)) for values in columns])]

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
        self._drawn.clear()
        self._tally = ""
        self.now = self.begin(again=True)

    def _reload(self) -> None:
        self.names.update(self.rows("task_names"))


def _written(values: tuple[Any, ...], db: Connection) -> str:
    """Return a column of numbers, or of texts, as an array in SQL."""
    if isinstance(values[0], str):
        return f"ARRAY[{', '.join(Literal(value).as_string(db) for value in values)}]"
    return f"'{{{','.join([f'{value:d}' for value in values])}}}'"


def as_ready(rows: Iterable[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """Return rows with the fields of `Ready`, whose last are arguments as bytes, as SQLite gives them."""
    return [(*row, _text(args)) for *row, args in rows]


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
