"""What the verbs of one group share: the connection, the time, task numbers and the tally."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import chain
from typing import Any, Final

import apsw
from pydantic_core import from_json

from postlude.model.state import MOVES, Stored
from postlude.stores.sqlite.rules import Rules
from postlude.stores.sqlite.sql import SQL

CHUNK: Final = 64
"""Rows that one INSERT carries at most. Larger ones gain little and each size is prepared apart."""


@cache
def _insert(name: str, rows: int, tail: str | None) -> str:
    head, _, values = SQL[name].rpartition("VALUES")
    statement = f"{head}VALUES {', '.join([values.strip()] * rows)}"
    return statement if tail is None else f"{statement} {SQL[tail]}"


class Transaction:
    """One group of writes.

    Args:
        db: the writer's connection, in a transaction.
        now: wall time.
        names: task numbers that are known so far; kept over transactions.
    """

    __slots__ = ("_deltas", "_rules", "afterwards", "db", "names", "now")

    def __init__(self, db: apsw.Connection, now: int, names: dict[str, int]) -> None:
        self.db = db
        self.now = now
        self.names = names
        self.afterwards: list[Callable[[], None]] = []
        """What is to be done once it is committed, and not otherwise."""
        self._deltas: defaultdict[tuple[int, int], int] = defaultdict(int)
        self._rules: Rules | None = None

    @property
    def rules(self) -> Rules:
        """Bounds and pauses; read once, when first asked for."""
        if self._rules is None:
            self._rules = Rules(self.db)
        return self._rules

    def forget_rules(self) -> None:
        """Read them again: they have been changed. First writes how far rates are used up."""
        self._write_rates()
        self._rules = None

    def run(self, name: str, *bindings: Any) -> None:
        """Run a statement that returns nothing."""
        self.db.execute(SQL[name], bindings)

    def value(self, name: str, *bindings: Any) -> Any:
        """Run a statement that returns one value."""
        return self.db.execute(SQL[name], bindings).get

    def rows(self, name: str, *bindings: Any) -> list[Any]:
        """Run a statement whose one value is a JSON array."""
        return from_json(self.value(name, *bindings))  # type: ignore[no-any-return]

    def insert(self, name: str, rows: Sequence[Iterable[Any]], *, tail: str | None = None) -> None:
        """Insert rows with few steps: each step of SQLite costs a fight for the interpreter's lock."""
        for start in range(0, len(rows), CHUNK):
            part = rows[start : start + CHUNK]
            self.db.execute(_insert(name, len(part), tail), tuple(chain.from_iterable(part)))

    def task_id(self, name: str) -> int:
        """Return a task's number, giving it one if it is new."""
        known = self.names.get(name)
        return known if known is not None else self._learn(name)

    def task_name(self, number: int) -> str:
        """Return the name behind a task's number."""
        for name, known in self.names.items():
            if known == number:
                return name
        self._reload()
        return next(name for name, known in self.names.items() if known == number)

    def count(self, task: int, before: Stored | None, after: Stored | None, jobs: int = 1) -> None:
        """Note for the tally that jobs of a task change their state."""
        if before is not None:
            assert after is None or after in MOVES[before], f"no job goes from {before!r} to {after!r}"
            self._deltas[task, before] -= jobs
        if after is not None:
            self._deltas[task, after] += jobs

    def restart(self) -> None:
        """Undo what the transaction has done so far and begin again."""
        self.run("rollback")
        self._deltas.clear()
        self._rules = None
        self.run("begin")

    def finish(self) -> None:
        """Write the tally and the rates; the last thing before the commit."""
        self._write_rates()
        rows = [(task, int(state), n) for (task, state), n in self._deltas.items() if n]
        if rows:
            self.insert("add_stats", rows, tail="on_stat_conflict")

    def _write_rates(self) -> None:
        for bucket in self._rules.used() if self._rules is not None else ():
            self.run("use_rate", *bucket.name, bucket.tat, bucket.turn)
            bucket.changed = False

    def _learn(self, name: str) -> int:
        self.run("add_task_name", name)
        self._reload()
        return self.names[name]

    def _reload(self) -> None:
        # Rolled back with the transaction, a number may come to mean another name: see Backend.
        known: Any = self.db.execute(SQL["task_names"]).fetchall()
        self.names.update(known)
