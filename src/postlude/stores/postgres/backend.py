"""The PostgreSQL side of the writer: its connection, and the verbs that it applies.

The groups of a journal take turns, by one advisory lock that the server gives back with the transaction.
So the verbs find what they have read as they have read it, as on SQLite, and no two groups deadlock. A
group whose commit was lost has ended, one way or the other, when the next one has its turn: so nothing is
left uncertain.
"""

import os
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Any

import psycopg

from postlude.clock import Clock
from postlude.errors import JobRefused
from postlude.stores.grouped.backend import Applied, Broken, Conflict, Uncertain, Verb
from postlude.stores.grouped.saying import note
from postlude.stores.postgres.beside import VERBS, Beside
from postlude.stores.postgres.connection import is_ended, is_pooled, roll_back, shown, space_of
from postlude.stores.postgres.faults import CONFLICTS, MALFORMED
from postlude.stores.postgres.held import HeldTransactions
from postlude.stores.postgres.listening import tell_others
from postlude.stores.postgres.places import Places
from postlude.stores.postgres.reaching import Reaching
from postlude.stores.postgres.runners import FREE_FOR, Runners
from postlude.stores.postgres.sql import statements
from postlude.stores.postgres.together import Together
from postlude.stores.postgres.transaction import Connection, PostgresTransaction
from postlude.stores.postgres.turn import Turns
from postlude.stores.postgres.verbs import verbs_of
from postlude.stores.relational import control
from postlude.stores.relational.claims import Claims
from postlude.stores.relational.limits import Rules
from postlude.stores.relational.settling import is_stored
from postlude.stores.signals import Listeners, Said
from postlude.telemetry.events import Events
from postlude.telemetry.logging import logged


class PostgresBackend:
    """Applies verbs to the journal. Used by one thread at a time.

    Args:
        url: where it is.
        schema: its schema.
        clock: for tests; else the server tells the time.
        free_for: seconds for which a runner's lock has to be seen free before it has died.
        listeners: told of what groups have done.
        events: told of others' transactions that are held open; by default, the log.
        notifies: other processes are told by NOTIFY.
    """

    beside_others: Collection[Verb] = VERBS

    def __init__(
        self,
        url: str,
        schema: str,
        clock: Clock | None = None,
        free_for: float = FREE_FOR,
        listeners: Listeners | None = None,
        events: Events | None = None,
        notifies: bool = True,
    ) -> None:
        self._notifies = notifies
        self._schema = schema
        self._sql = statements(schema)
        self._db: Connection | None = None
        self._together: Together | None = None
        self._claims_lost = False  # whether the last group has failed because not all of its claims held
        self._names: dict[str, int] = {}
        self._places = Places()
        self.turns = Turns(self._sql, space_of(schema), self._places, clock)
        self._rules: Rules | None = None
        self._ruled: int | None = None
        self._tx: PostgresTransaction | None = None
        self._begun = 0.0
        self._listeners = Listeners() if listeners is None else listeners
        self._said: list[Said] = []  # what groups have done, once they are certain
        self.epoch = ""
        """What tells the journal from all others."""
        self.connected: Callable[[int], None] = lambda sender: None
        """Told the server's process of each new connection."""
        held = HeldTransactions(events or logged(), shown(url, schema))
        self.runners = Runners(space_of(schema), held, free_for, by_server=clock is None)
        self._reaching = Reaching(url, self.runners)
        claims = Claims(self.runners.host, os.getpid(), self.runners.marks)
        self._beside = Beside(self.turns, claims, clock)
        self._verbs = verbs_of(self.runners, claims)

    def open(self) -> None:
        """Connect, and make or migrate the schema.

        Raises:
            JournalRefused: it must not be used. psycopg.Error: it cannot be used now.
        """
        db, self.epoch = self._reaching.open(self._schema)
        self._use(db)

    def _use(self, db: Connection) -> None:
        self._db = db
        self._together = None if is_pooled(db) else Together(db.pgconn)
        self.connected(db.info.backend_pid)

    def acquire(self) -> None:
        """Nothing: a group's turn is taken in its transaction."""

    def release(self) -> None:
        """Tell here what groups have done; the server has given their turns back."""
        while self._said:
            self._listeners.tell(self._said.pop(0))

    @property
    def is_pooled(self) -> bool:
        """Whether a pooler stands before the server."""
        return self._db is not None and is_pooled(self._db)

    @property
    def sender(self) -> int:
        """The server's process of the connection."""
        return 0 if self._db is None else self._db.info.backend_pid

    def begin(self, jobs: int = 0) -> None:
        """Start a transaction, on a new connection if the last one was lost, and wait for its turn."""
        before = self._db
        try:
            self._begin(self._ready(), jobs)
        except psycopg.Error as error:
            if before is None or self._db is not before or not before.closed:
                raise self._failed(error) from error
            self._forget()
            try:  # the server has ended it meanwhile, and nobody has asked anything of it
                self._begin(self._ready(), jobs)
            except psycopg.Error as again:
                raise self._failed(again) from again

    def _begin(self, db: Connection, jobs: int) -> None:
        self._begun = monotonic()
        self._tx = tx = self._transaction(db)
        tx.begin, tx.now = self._take_turn, self._take_turn(jobs)
        self.runners.written(monotonic() - self._begun)
        self.runners.write_starts(tx)

    def _transaction(self, db: Connection) -> PostgresTransaction:
        ask, together = self.turns.ask, self._together
        tx = PostgresTransaction(db, self._sql, 0, self._names, self._places, ask, together)
        tx.takes_for_granted &= not self._claims_lost
        return tx

    def beside(self, calls: Sequence[tuple[Verb, Any]]) -> list[Any] | None:
        """Begin a transaction and write a group beside others of its kind, if it can be."""
        db, rules = self._db, self._rules
        if db is None or db.closed or is_pooled(db):
            return None
        if rules is None or not self._beside.may_take(calls, rules, self._names):
            return None
        self._begun = monotonic()
        self._tx = tx = self._transaction(db)
        tx.known_rules = rules
        with suppress(psycopg.Error, *MALFORMED):
            answers = self._beside.begin(db, tx, calls, self._ruled)
            if answers is not None:
                self.runners.write_starts(tx)
                return answers
        self.rollback()
        return None

    def _take_turn(self, jobs: int = 0, *, again: bool = False) -> int:
        """Begin, wait for others' groups, and return the time."""
        assert self._db is not None
        assert self._tx is not None
        now, ruled, self._tx.born, ahead = self.turns.take(self._db, self._together, jobs, again=again)
        self._tx.ahead.extend(ahead)
        self._tx.known_rules = self._rules if ruled == self._ruled else None
        self._ruled = ruled
        return now

    def _ready(self) -> Connection:
        if self._db is not None and not self._db.closed:
            return self._db
        db = self._reaching.connect()
        self._use(db)
        return db

    def apply(self, verb: Verb, arguments: Sequence[Any]) -> list[Any]:
        """Apply calls of one verb in the running transaction."""
        assert self._tx is not None
        try:
            answers = self._verbs[verb](self._tx, arguments)
        except (psycopg.Error, *MALFORMED) as error:
            raise self._told(error) from error
        note(self._tx.said, verb, arguments, answers)
        return answers

    def commit(self) -> None:
        """Make it durable."""
        assert self._tx is not None
        assert self._db is not None
        tx = self._tx
        try:
            tx.finish()
            tx.end()
        except (psycopg.Error, *MALFORMED) as error:
            if not (tx.is_ending and self._db.closed):  # else the server has said that it did not
                raise self._told(error) from error
            self._forget()
            raise Uncertain(str(error), partial(self._settle, tx)) from error
        self._claims_lost = False
        self._tx = None
        self.runners.written(monotonic() - self._begun)
        self._settle(tx, stored=True)

    def _settle(self, tx: PostgresTransaction, stored: bool) -> None:
        """It is committed, or never will be."""
        self._rules = tx.kept_rules if stored else None
        if stored and tx.said:
            self._said.append(tx.said)
        tx.settle(stored)

    def settled(self, group: Sequence[Applied]) -> bool:
        """Say whether a commit that was lost took effect after all.

        It is certain: this transaction has its turn, so that one has ended.
        """
        assert self._tx is not None
        return is_stored(self._tx, group)

    def rollback(self) -> None:
        """Undo it. Numbers given to new task names are forgotten with it."""
        self._claims_lost = self._tx is not None and self._tx.has_lost_claims
        self._tx = self._rules = None
        self._names.clear()
        if self._db is not None and not self._db.closed and not roll_back(self._db):
            self._forget()

    def repair(self, error: Exception) -> bool:
        """Set nothing aside: a server keeps its rows what they are."""
        return False

    def disown(self, results: Sequence[Any]) -> None:
        """Cancel what adds stored for callers who gave up."""
        self.begin()
        assert self._tx is not None
        try:
            control.disown(self._tx, results)
            self.commit()
        except BaseException:
            self.rollback()
            raise

    def is_lost(self) -> bool:
        """Say whether the server has ended a connection on which nothing goes on. From any thread."""
        if (db := self._db) is None or self._tx is not None:
            return db is None
        return is_ended(db) and self._tx is None

    def tidy(self) -> None:
        """Tell other processes that something was written: after the commit, for it takes a lock of all."""
        db = self._db if self._notifies and self._said else None
        if db is not None and not db.closed and not tell_others(db, self._schema, self._said):
            self._forget()

    def close(self) -> None:
        """Close the connection, and with it give up the locks of runners that were not retired."""
        if self._db is not None and self.runners.marks:
            try:
                self.begin()
                assert self._tx is not None
                self.runners.write_starts(self._tx, after=0.0)
                self.commit()
            except (Broken, Conflict, Uncertain, psycopg.Error):
                self.rollback()
        self._forget()

    def _told(self, error: Exception) -> Exception:
        """Return what the writer is told of an error of a group's statements."""
        if isinstance(error, MALFORMED):
            return JobRefused(f"the journal cannot store this as it is: {error}")
        return self._failed(error)

    def _failed(self, error: Exception) -> Exception:
        """Return what the writer is told of an error, after which nothing of the transaction is stored."""
        if isinstance(error, CONFLICTS):
            return Conflict(str(error))
        self._forget()
        return Broken(str(error))

    def _forget(self) -> None:
        self.runners.held_up()
        db, self._db, self._tx, self._rules = self._db, None, None, None
        self._together = None
        self._names.clear()
        self._places.forget()
        if db is not None:
            db.close()
