"""The SQLite side of the writer: its connection, and the verbs that it applies."""

import os
import time
from collections.abc import Collection, Sequence
from functools import partial
from typing import Any, Final

import apsw

from postlude.clock import Clock
from postlude.errors import JobRefused
from postlude.model.event.journal import DamagedRow, FoldFailed, JournalRepaired, MendedNumber, RepairFailed
from postlude.stores.grouped.backend import Applied, Broken, Busy, CommitFailed, Uncertain, Verb
from postlude.stores.grouped.saying import note
from postlude.stores.relational import control
from postlude.stores.relational.claims import Claims
from postlude.stores.relational.limits import Rules
from postlude.stores.relational.settling import is_stored
from postlude.stores.relational.verbs import verbs
from postlude.stores.signals import Listeners, Said
from postlude.stores.sqlite.faults import BROKEN, MALFORMED, NOT_OF_ROWS
from postlude.stores.sqlite.files import JournalFiles
from postlude.stores.sqlite.growth import FIRST_TOLD
from postlude.stores.sqlite.numbering import used_up
from postlude.stores.sqlite.premises import Premises
from postlude.stores.sqlite.reader import JournalReader
from postlude.stores.sqlite.repair import repair
from postlude.stores.sqlite.runners import Runners
from postlude.stores.sqlite.transaction import SqliteTransaction
from postlude.stores.sqlite.watcher import OthersCommits

FOLD_FROM: Final = 1000
"""Pages of the WAL from which on it is folded into the database: SQLite's own default."""


class SqliteBackend:
    """Applies verbs to the journal's file. Used by one thread at a time.

    Args:
        files: where it is.
        clock: the time.
        readers: the store's other connections.
        application: whose journal it is; empty: unknown.
        listeners: told of what groups have done.
    """

    beside_others: Collection[Verb] = ()
    """None: one process writes at a time."""

    def __init__(
        self,
        files: JournalFiles,
        clock: Clock,
        readers: Sequence[JournalReader] = (),
        application: str = "",
        listeners: Listeners | None = None,
    ) -> None:
        self._files = files
        self._clock = clock
        self.premises = Premises(files, readers, application)
        self._listeners = Listeners() if listeners is None else listeners
        self._said: list[Said] = []
        self.others = OthersCommits(self.premises.index)
        self._names: dict[str, int] = {}
        self._tx: SqliteTransaction | None = None
        self._rules: Rules | None = None
        self._seen: tuple[apsw.Connection, int] | None = None
        """What `data_version` was when they were read: nobody else has written while it stays so."""
        self._folds = True
        """Whether folding the WAL last succeeded: one line in the log is enough."""
        self._repair_at = 0.0
        self.runners = Runners(files.runners, clock, files.events)
        claims = Claims(self.runners.host, os.getpid(), self.runners.marks)
        self._verbs = verbs(self.runners, claims)

    def open(self) -> None:
        """Make the files, migrate and check them.

        Raises:
            JournalRefused: they must not be used.
            apsw.Error: they cannot be used now.
        """
        self.premises.open()

    def acquire(self) -> None:
        """Take the lock between processes."""
        assert self.premises.lock is not None
        self.premises.lock.acquire()
        self.others.begin()

    def release(self) -> None:
        """Give it back; tells what the group has done."""
        self.others.end()
        if self.premises.lock is not None:
            self.premises.lock.release()
        while self._said:
            self._listeners.tell(self._said.pop(0))

    def begin(self, jobs: int = 0) -> None:
        """Start a transaction; reopens the connection after an error, with growing pauses."""
        try:
            db = self._begun()
        except (Busy, Broken):
            self.runners.held_up()
            raise
        rules = self._rules if (db, db.data_version()) == self._seen else None
        self._tx = SqliteTransaction(db, self._clock.now(), self._names, rules)

    def _begun(self) -> apsw.Connection:
        db = self.premises.ready()
        try:
            db.execute("BEGIN IMMEDIATE")
        except apsw.BusyError as error:
            raise Busy from error
        except apsw.Error as error:
            raise self._throw_away(error) from error
        return db

    def beside(self, calls: Sequence[tuple[Verb, Any]]) -> list[Any] | None:
        """Nothing is."""
        return None

    def apply(self, verb: Verb, arguments: Sequence[Any]) -> list[Any]:
        """Apply calls of one verb in the running transaction."""
        assert self._tx is not None
        try:
            answers = self._verbs[verb](self._tx, arguments)
        except BROKEN as error:
            raise self._throw_away(error) from error
        except MALFORMED as error:
            raise JobRefused(f"the journal cannot store this as it is: {error}") from error
        note(self._tx.said, verb, arguments, answers)
        return answers

    def commit(self) -> None:
        """Make it durable."""
        assert self._tx is not None
        tx, db = self._tx, self.premises.db
        assert db is not None
        try:
            tx.finish()
        except BROKEN as error:
            raise self._throw_away(error) from error
        try:
            db.execute("COMMIT")
        except apsw.FullError:
            self.runners.held_up()
            raise
        except apsw.Error as error:
            # Not in the WAL's index, so not stored; a second fsync's success would say nothing. But who makes
            # that index anew before the next commit has taken its place in the WAL may find it there.
            self._tx = None  # until that is settled
            raise CommitFailed(str(self._throw_away(error)), partial(self._settle, tx)) from error
        self._tx = None
        try:
            db = self.premises.confirm()
        except Broken as error:
            self.runners.held_up()
            raise Uncertain(str(error), partial(self._settle, tx)) from error
        self._rules, self._seen = tx.known_rules, (db, db.data_version())
        self.runners.written()
        self._settle(tx, stored=True)

    def _settle(self, tx: SqliteTransaction, stored: bool) -> None:
        """It is committed, or never will be."""
        if stored and tx.said:
            self._said.append(tx.said)
        tx.settle(stored)

    def settled(self, group: Sequence[Applied]) -> bool:
        """Say whether a commit that failed took effect after all.

        With the writer's lock nobody else is in between; and what is committed next takes its place.
        """
        assert self._tx is not None
        return is_stored(self._tx, group)

    def rollback(self) -> None:
        """Undo it. Numbers given to new task names are forgotten with it."""
        self._forget()
        db = self.premises.db
        if db is not None and db.in_transaction:
            try:
                db.execute("ROLLBACK")
            except apsw.Error as error:
                self._throw_away(error)

    def repair(self, error: Exception) -> bool:
        """Set aside what cannot be read; not again and again, where nothing of that was found."""
        start = time.monotonic()
        if isinstance(error, JobRefused) and isinstance(error.__cause__, Exception):
            error = error.__cause__  # or what was to be stored is as it must be, and a row that it met is not
        if start < self._repair_at or (isinstance(error, NOT_OF_ROWS) and not self._is_used_up(error)):
            return False
        changes: list[DamagedRow | MendedNumber] = []
        try:
            self.begin()
            assert self._tx is not None
            changes = repair(self._tx)
            self.commit()
        except Exception as failure:
            self.rollback()
            self._files.events.emit(RepairFailed(self._files.database, failure))
            changes = []
        self._names.clear()
        if changes:
            self._files.events.emit(JournalRepaired(self._files.database, changes))
        else:
            now = time.monotonic()
            self._repair_at = now + max(1.0, 20 * (now - start))
        return bool(changes)

    def _is_used_up(self, error: Exception) -> bool:
        """Whether it is not the disk that is full, but what numbers there are."""
        db = self.premises.db
        try:
            return isinstance(error, apsw.FullError) and db is not None and used_up(db)
        except apsw.Error:
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

    def tidy(self) -> None:
        """Fold the WAL into the database if it is long; what a reader still needs stays for the next time.

        As long as others can write, its end is never reached, and it grows; hence the lock.
        """
        db = self.premises.db
        if db is None:
            return
        length = 0
        try:
            length, _ = db.wal_checkpoint("main", apsw.SQLITE_CHECKPOINT_NOOP)
            if length >= FOLD_FROM:
                frames, done = db.wal_checkpoint("main")
                self._folds = True
                self.premises.folded(frames, frames - done)
        except apsw.Error as error:
            # Everything is safe in the WAL, and would be written from there once more.
            by_another = isinstance(error, apsw.BusyError) and length < FIRST_TOLD
            if self._folds and not by_another:
                self._folds = False
                self._files.events.emit(FoldFailed(self._files.database, error))

    def close(self) -> None:
        """Close everything."""
        self.runners.close()
        self.premises.close()

    def _throw_away(self, error: Exception) -> Broken:
        """Close the connection, and forget what was known by it."""
        self.runners.held_up()
        self._forget()
        return self.premises.throw_away(error)

    def _forget(self) -> None:
        """Forget what was known in the transaction, if there is one; it is not stored."""
        tx, self._tx, self._rules = self._tx, None, None
        self._names.clear()
        if tx is not None:
            tx.settle(False)
