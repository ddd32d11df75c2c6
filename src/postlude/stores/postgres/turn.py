"""A group's turn: what it needs to know at its beginning, in one round trip.

The groups of a journal take turns, by one advisory lock that the server gives back with the transaction.
Those that need to know nothing of others (`beside`) share it with their like.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from psycopg.pq.abc import PGresult
from psycopg.sql import Literal

from postlude.clock import Clock, SystemClock
from postlude.stores.postgres.connection import GUARDED, PLANNED, is_pooled
from postlude.stores.postgres.places import Places
from postlude.stores.postgres.together import (
    BEGIN,
    ROLLBACK,
    Failed,
    Statement,
    Together,
    array,
    number,
    text,
)
from postlude.stores.postgres.transaction import Connection

TURN: Final = -1
"""The second number of the lock by which groups take turns; runners' are from 1, and 0 is for migrations."""

SHARED_TURN: Final = "shared_turn"
"""The statement that waits for groups that need a turn of their own, and not for those that share theirs."""

PREPARED: Final = ("at_turn", "finish_succeeded", "claim_published")
"""Statements that go to the server in one text with others."""

ASKED: Final = 2
"""Pairs of a runner and a queue of which it is asked with the turn whether jobs may be born claimed."""

SYSTEM: Final = SystemClock()

Pair = tuple[int, str]


class Turn(NamedTuple):
    """What is known at its beginning.

    Attributes:
        now: the time.
        ruled: changes whenever bounds or pauses do.
        born: of a runner and a queue, what `may_be_born_claimed` says.
        ahead: numbers for jobs that it adds, in order.
    """

    now: int
    ruled: int
    born: dict[Pair, Any]
    ahead: list[int]


class Turns:
    """Takes turns on one connection after another.

    Args:
        sql: the statements.
        space: the first number of the journal's locks.
        places: told of each turn.
        clock: for tests; else the server tells the time.
    """

    def __init__(self, sql: dict[str, str], space: int, places: Places, clock: Clock | None = None) -> None:
        self._places = places
        self._clock = clock
        self._asked: dict[Pair, None] = {}
        """Those of which it was asked last."""
        self.apart: Callable[[int, int], None] | None = None
        """Told by how much the server is ahead of this machine, at least and at most (microseconds)."""
        time = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
        self._sql = sql
        self._turn = Statement("turn", f"SELECT pg_advisory_xact_lock({space}, {TURN}), {time}")
        self._statements = {
            SHARED_TURN: f"SELECT pg_advisory_xact_lock_shared({space}, {TURN}), {time}",
            **{name: sql[name] for name in PREPARED},
        }
        self._names: dict[str, str] = {}
        self._prepared_on: Connection | None = None
        self._times = 0

    def prepared(self, db: Connection) -> Mapping[str, str]:
        """Return the names of the statements that are prepared on a connection: none, behind a pooler."""
        if is_pooled(db):
            return {}
        if self._prepared_on is not db:
            self._times += 1  # those of before may be there, or not
            self._names = {name: f"postlude_{name}_{self._times}" for name in self._statements}
            each = self._statements.items()
            db.execute(";".join(f"PREPARE {self._names[name]} AS {statement}" for name, statement in each))
            self._prepared_on = db
        return self._names

    def ask(self, pair: Pair) -> None:
        """Ask of this pair with the next turns."""
        self._asked[pair] = None
        if len(self._asked) > ASKED:
            del self._asked[next(iter(self._asked))]

    def forget(self, runner: int) -> None:
        """It has gone."""
        for pair in [pair for pair in self._asked if pair[0] == runner]:
            del self._asked[pair]

    def take(self, db: Connection, together: Together | None, jobs: int = 0, *, again: bool = False) -> Turn:
        """Begin a transaction, and wait for others' groups.

        Args:
            db: the connection.
            together: sends several statements at once there; None: a pooler is in the way.
            jobs: how many it is to add, as far as that is known.
            again: one has begun, and is undone before.

        Raises:
            psycopg.Error: it has not begun.
        """
        asked = list(self._asked)
        since = SYSTEM.now()
        if together is None:
            (_, now), (behind, newest, ruled), *answers = self._take_pooled(db, asked, again)
            ahead: list[int] = []
        else:
            statements = [ROLLBACK] if again else []
            statements += [BEGIN, self._turn, Statement("at_turn", self._sql["at_turn"])]
            statements += [self._born(*pair) for pair in asked]
            if jobs:  # after it has read which number was the last
                statements.append(Statement("numbers", self._sql["numbers"], [number(jobs)]))
            try:
                results = together.send(statements)[1 + again :]
            except Failed as failed:
                raise failed.error from None
            ahead = sorted(_integers(results.pop())) if jobs else []
            now = int(results[0].get_value(0, 1) or 0)
            behind, newest, ruled = (int(results[1].get_value(0, place) or 0) for place in range(3))
            answers = [(one.get_value(0, 0) == b"t", _text(one.get_value(0, 1))) for one in results[2:]]
        self._places.begin(behind, newest)
        born = {}
        for pair, (is_empty, queues) in zip(asked, answers, strict=True):
            if is_empty:
                self._places.empty(pair[1])
            born[pair] = queues if is_empty else None
        if self._clock is not None:
            return Turn(self._clock.now(), ruled, born, ahead)
        if self.apart is not None:
            self.apart(now - SYSTEM.now(), now - since)
        return Turn(now, ruled, born, ahead)

    def _born(self, runner: int, queue: str) -> Statement:
        values = [number(runner), text(queue), *map(array, self._places.stretches(queue))]
        return Statement("may_be_born_claimed", self._sql["may_be_born_claimed"], values)

    def _take_pooled(self, db: Connection, asked: list[Pair], again: bool) -> list[tuple[Any, ...]]:
        """Do it without prepared statements."""
        settings = [each.format(local="true") for each in GUARDED]
        settings += [f"SET LOCAL {each}" for each in PLANNED]
        words = ["ROLLBACK"] if again else []
        words += ["BEGIN", *settings, self._turn.words, self._sql["at_turn"]]
        cursor = db.execute(";".join(words + [self._born_in_words(db, *pair) for pair in asked]))
        return [row for each in cursor.results() if each.description for row in each if len(row) > 1]

    def _born_in_words(self, db: Connection, runner: int, queue: str) -> str:
        arrays = [f"'{{{','.join(map(str, each))}}}'" for each in self._places.stretches(queue)]
        values = [str(runner), Literal(queue).as_string(db), *arrays]
        words = self._sql["may_be_born_claimed"]
        return re.sub(r"\$(\d)", lambda place: values[int(place[1]) - 1], words)


def _integers(result: PGresult) -> Iterator[int]:
    return (int(result.get_value(row, 0) or 0) for row in range(result.ntuples))


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8")
