"""One group of writes to a PostgreSQL journal: the named statements that the verbs stand on."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from enum import IntEnum
from typing import Any, Final

import psycopg

from postlude.stores.grouped.backend import Conflict
from postlude.stores.postgres.passing import DRAWN_FROM, Passing
from postlude.stores.postgres.places import Places
from postlude.stores.postgres.together import COMMIT, Failed, Statement, Together, array, number
from postlude.stores.relational.limits import Rules
from postlude.stores.relational.transaction import Transaction

Connection = psycopg.Connection[tuple[Any, ...]]

_CLAIMED: Final = frozenset({"ready_these", "followers"})
"""Statements whose last column is a job's arguments, and whose last parameter says how SQLite gives those."""


_SAID: Final = frozenset({"add_attempts", "set_notes", "note_progress", "add_logs"})
"""Statements that keep what tasks have said: it must not fail for a character that texts cannot have here."""

_GUARDED: Final = {"finish_succeeded": "finish_all_succeeded"}
"""By a statement, the one that fails unless it changes all of its rows."""

_TOLD_NOTHING: Final = frozenset({"add_stats", "add_sums"})
_PUT_OFF: Final = _TOLD_NOTHING | _GUARDED.keys()
"""Statements whose answers nobody waits for: they go to the server with what comes next."""


class PostgresTransaction(Transaction):
    """One group of writes.

    Args:
        db: the writer's connection, in a transaction.
        sql: the statements.
        now: the server's time.
        names: task numbers that are known so far; kept over transactions.
        places: up to which nothing is ready; likewise.
        ask: has something known with the next groups' turns that this one has to ask for.
        together: sends several statements at once; None: a pooler is in the way.
    """

    __slots__ = (
        "_ask", "_drawn", "_numbers", "_passing", "_put_off", "_sql", "_tally", "_together", "ahead", "begin",
        "born", "has_lost_claims", "is_ending", "pg", "takes_for_granted",
    )  # fmt: skip

    def __init__(
        self, db: Connection, sql: dict[str, str], now: int, names: dict[str, int], places: Places,
        ask: Callable[[tuple[int, str]], None], together: Together | None = None,
    ) -> None:  # fmt: skip
        super().__init__(now, names)
        self._ask = ask
        self._together = together
        self._put_off: list[Statement] = []
        self.takes_for_granted = together is not None
        """Whether claims hold, nearly always, is seen when the group is sent."""
        self.ahead: deque[int] = deque()
        """Numbers for jobs, in order, that were drawn with the turn."""
        self.has_lost_claims = False
        """Whether they did not hold: then the group is applied once more, and each is looked at."""
        self.is_ending = False
        """Whether the commit has been sent: nobody knows of it, if the connection is lost."""
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
        self.catch_up()
        return self.pg.execute(self._sql[name], bindings)

    def catch_up(self) -> None:
        """Run what was put off: what comes now is to find it done."""
        if self._put_off:
            self._send()

    def _send(self, *last: Statement) -> None:
        assert self._together is not None
        statements, self._put_off = [*self._put_off, *last], []
        try:
            self._together.send(statements)
        except Failed as failed:
            if failed.place is not None and statements[failed.place].name in _GUARDED.values():
                self.has_lost_claims = True
                raise Conflict(str(failed.error)) from None
            raise failed.error from None

    def _put(self, name: str, rows: int, columns: Sequence[Sequence[Any]]) -> None:
        """Have a statement run with what comes next."""
        values = list(map(array, columns))
        if guarded := _GUARDED.get(name):
            name, values = guarded, [*values, number(rows)]
        self._put_off.append(Statement(name, self._sql[name], values))

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
        if self._together is None and name == "add_stats":
            numbers = ", ".join(f"({task:d}, {state:d}, {n:d})" for task, state, n in rows)
            self._tally = f"{self._sql['add_these_stats']} {numbers};"
            return len(rows)
        if self._together is not None and name in (_PUT_OFF if self.takes_for_granted else _TOLD_NOTHING):
            self._put(name, len(rows), list(zip(*rows, strict=True)))
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

    def end(self) -> None:
        """Commit it, with what was put off: so it takes no round trip of its own."""
        self.is_ending = True
        if self._together is None:
            self.pg.execute(f"{self._tally}COMMIT")
        else:
            self._send(COMMIT)

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
        if not self._numbers:
            self._take_ahead(len(rows))
        if self._numbers and self._together is not None:
            known = [self._numbers.popleft() for _ in rows]
            self._put(name, len(rows), [known, *zip(*rows, strict=True), payloads])
            return known
        numbers = [self._numbers.popleft() if self._numbers else None for _ in rows]
        columns = [numbers, *zip(*rows, strict=True), payloads]
        return [seq for (seq,) in self._fetch(name, [_column(tuple(values)) for values in columns])]

    def upcoming(self, jobs: int) -> Sequence[int]:
        """Return the numbers that the jobs will have that are inserted next."""
        if not self._take_ahead(jobs):
            self._numbers.extend(sorted(seq for (seq,) in self._fetch("numbers", [jobs])))
        return list(self._numbers)

    def _take_ahead(self, jobs: int) -> bool:
        """Take so many of the numbers that were drawn with the turn; none, if they are too few."""
        enough = len(self.ahead) >= jobs
        if enough:
            self._numbers.extend(self.ahead.popleft() for _ in range(jobs))
        else:
            self.ahead.clear()  # what comes now would have later ones than what comes then
        return enough

    def _read_rules(self) -> Rules:
        return Rules(self.rows("bounds"), self.rows("pauses"))

    def _begin_anew(self) -> None:
        self._drawn.clear()
        self._put_off.clear()
        self.afterwards.clear()  # the starts that were written as it began: they are to be written again
        self._tally = ""
        self.now = self.begin(again=True)

    def _reload(self) -> None:
        self.names.update(self.rows("task_names"))


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
