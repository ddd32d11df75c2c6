"""One group of writes to a SQLite journal: the named statements that the verbs stand on."""

import re
from collections.abc import Iterable, Sequence
from functools import cache
from itertools import chain
from typing import Any, ClassVar, Final

import apsw
from pydantic_core import from_json

from postlude.stores.relational.limits import Rules
from postlude.stores.relational.transaction import Transaction
from postlude.stores.sqlite.sql import SQL

CHUNKS: Final = (500, 250, 100, 50)
"""Rows that a statement carries: the most of these that are there, or the few that are left."""

LONGEST: Final = 16_000
"""Characters of a statement that is kept prepared; apsw prepares longer ones anew each time."""


@cache
def _for_rows(name: str, rows: int) -> str:
    head, values, tail = _components(name)
    return f"{head}{','.join([values] * rows)}{tail}"


@cache
def _components(name: str) -> tuple[str, str, str]:
    """Return what stands before the row of a `VALUES (?, ...)`, that row, and what comes after it."""
    head, values, tail = re.split(r"(?<=VALUES )(\([?0, ]+\))", SQL[name].replace("\nVALUES", " VALUES"))
    return head, values.replace(" ", ""), tail


@cache
def _chunks(name: str) -> tuple[int, ...]:
    head, values, tail = _components(name)
    return tuple(size for size in CHUNKS if len(head + tail) + size * (len(values) + 1) <= LONGEST)


class SqliteTransaction(Transaction):
    """One group of writes.

    Args:
        db: the writer's connection, in a transaction.
        now: wall time.
        names: task numbers that are known so far; kept over transactions.
        rules: bounds and pauses, if nobody has written since they were read.
    """

    __slots__ = ("db",)

    APART: ClassVar[bool] = True
    """Here a statement is no round trip: adding to one number of forty takes half as long as to all."""

    def __init__(
        self, db: apsw.Connection, now: int, names: dict[str, int], rules: Rules | None = None
    ) -> None:
        super().__init__(now, names, rules)
        self.db = db

    def run(self, name: str, *bindings: Any) -> int:
        """Run a statement that returns nothing; says how many rows it has changed."""
        self.db.execute(SQL[name], bindings)
        return self.db.changes()

    def value(self, name: str, *bindings: Any) -> Any:
        """Run a statement that returns one value."""
        return self.db.execute(SQL[name], bindings).get

    def rows(self, name: str, *bindings: Any) -> list[Any]:
        """Run a statement whose one value is a JSON array."""
        return from_json(self.value(name, *bindings))  # type: ignore[no-any-return]

    def run_for(self, name: str, rows: Sequence[Iterable[Any]]) -> int:
        """Run a statement for many rows, which stand in its VALUES; returns how many it has changed.

        With few steps: each step of SQLite costs a fight for the interpreter's lock.
        """
        chunks, start, changes = _chunks(name), 0, 0
        while start < len(rows):
            for size in chunks:  # without a call: this is done for each statement of a group
                if start + size <= len(rows):
                    break
            else:
                size = len(rows) - start
            part = rows[start : start + size]
            self.db.execute(_for_rows(name, size), tuple(chain.from_iterable(part)))
            changes += self.db.changes()
            start += size
        return changes

    def insert_jobs(
        self, name: str, rows: Sequence[Iterable[Any]], payloads: Sequence[bytes]
    ) -> Sequence[int]:
        """Insert jobs and their arguments; returns their numbers, in this order."""
        self.run_for(name, rows)
        last: int = self.db.last_insert_rowid()
        seqs = range(last - len(rows) + 1, last + 1)
        self.run_for("add_payloads", list(zip(seqs, payloads, strict=True)))
        return seqs

    def upcoming(self, jobs: int) -> Sequence[int]:
        """Return the numbers that the jobs will have that are inserted next."""
        first: int = self.value("next_number")
        return range(first, first + jobs)

    def _read_rules(self) -> Rules:
        return Rules(*self.rows("rules"))

    def _begin_anew(self) -> None:
        self.run("rollback")
        self.run("begin")

    def _reload(self) -> None:
        # Rolled back with the transaction, a number may come to mean another name: see Backend.
        known: Any = self.db.execute(SQL["task_names"]).fetchall()
        self.names.update(known)
