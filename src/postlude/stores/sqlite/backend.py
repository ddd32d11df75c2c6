"""The SQLite side of the writer: its connection, and the verbs that it applies."""

import os
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import apsw

from postlude.clock import Clock
from postlude.errors import JournalRefused
from postlude.log import Log
from postlude.stores.backend import Broken, Busy, Verb
from postlude.stores.sqlite import control, intake, upkeep
from postlude.stores.sqlite.claims import Claims
from postlude.stores.sqlite.connection import check_integrity, migrate, open_writer
from postlude.stores.sqlite.files import JournalFiles
from postlude.stores.sqlite.locks import WriterLock
from postlude.stores.sqlite.rules import Rules
from postlude.stores.sqlite.runners import Runners
from postlude.stores.sqlite.transaction import Transaction

log = Log("postlude.journal")

FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 2.0
"""Seconds between attempts to reopen a journal that failed: the first, and the longest."""

FOLD_FROM: Final = 1000
"""Pages of the WAL from which on it is folded into the database: SQLite's own default."""

_BROKEN: Final = (
    apsw.IOError,
    apsw.CantOpenError,
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.ReadOnlyError,
    apsw.ProtocolError,
    apsw.NoMemError,
)


class SqliteBackend:
    """Applies verbs to the journal's file. Used by one thread at a time.

    Args:
        files: where it is.
        clock: the time.
    """

    def __init__(self, files: JournalFiles, clock: Clock) -> None:
        self._files = files
        self._clock = clock
        self._db: apsw.Connection | None = None
        self._lock: WriterLock | None = None
        self._names: dict[str, int] = {}
        self._tx: Transaction | None = None
        self._rules: Rules | None = None
        self._version = 0
        """What `data_version` was when they were read: nobody else has written while it stays so."""
        self._folds = True
        """Whether folding the WAL last succeeded: one line in the log is enough."""
        self._pause = FIRST_PAUSE
        self._retry_at = 0.0
        self.runners = Runners(files.runners, clock)
        claims = Claims(self.runners.host, os.getpid())
        pruner = upkeep.Pruner()
        self._verbs: dict[Verb, Callable[[Transaction, Any], list[Any]]] = {
            Verb.ENLIST: self.runners.enlist,
            Verb.FINISH: claims.finish,
            Verb.RELEASE: claims.release,
            Verb.RENEW: self.runners.renew,
            Verb.RETIRE: self.runners.retire,
            Verb.REAP: self.runners.reap,
            Verb.PROMOTE: upkeep.promote,
            Verb.UNPARK: upkeep.unpark,
            Verb.CANCEL: control.cancel,
            Verb.RETRY: control.retry,
            Verb.PAUSE: control.pause,
            Verb.RESUME: control.resume,
            Verb.DECLARE: control.declare,
            Verb.PROGRESS: upkeep.progress,
            Verb.CLAIM: claims.claim,
            Verb.ADD: intake.add,
            Verb.PRUNE: pruner.prune,
        }

    def open(self) -> None:
        """Make the files, migrate and check them.

        Raises:
            JournalRefused: they must not be used.
            apsw.Error: they cannot be used now.
        """
        self._files.prepare()
        self._lock = WriterLock(self._files.writer_lock)
        self._lock.acquire()
        try:
            self._db = open_writer(self._files.database)
            migrate(self._db, self._files.database)
            self._files.tighten()
            check_integrity(self._db, self._files.database)
        except BaseException:
            self.close()
            raise
        finally:
            if self._lock is not None:
                self._lock.release()

    def acquire(self) -> None:
        """Take the lock between processes."""
        assert self._lock is not None
        self._lock.acquire()

    def release(self) -> None:
        """Give it back."""
        if self._lock is not None:
            self._lock.release()

    def begin(self) -> None:
        """Start a transaction; reopens the connection after an error, with growing pauses."""
        db = self._db or self._reopen()
        try:
            db.execute("BEGIN IMMEDIATE")
        except apsw.BusyError as error:
            raise Busy from error
        except apsw.Error as error:
            raise self._throw_away(error) from error
        rules = self._rules if db.data_version() == self._version else None
        self._tx = Transaction(db, self._clock.now(), self._names, rules)

    def apply(self, verb: Verb, arguments: Sequence[Any]) -> list[Any]:
        """Apply calls of one verb in the running transaction."""
        assert self._tx is not None
        try:
            return self._verbs[verb](self._tx, arguments)
        except _BROKEN as error:
            raise self._throw_away(error) from error

    def commit(self) -> None:
        """Make it durable."""
        assert self._tx is not None
        assert self._db is not None
        try:
            self._tx.finish()
            self._db.execute("COMMIT")
        except apsw.FullError:
            raise
        except apsw.Error as error:
            # After a commit that failed nothing is certain, least of all a second fsync's success.
            raise self._throw_away(error) from error
        tx, self._tx = self._tx, None
        self._rules, self._version = tx.known_rules, self._db.data_version()
        self._pause = FIRST_PAUSE
        for call in tx.afterwards:
            call()

    def rollback(self) -> None:
        """Undo it. Numbers given to new task names are forgotten with it."""
        self._tx = self._rules = None
        self._names.clear()
        db = self._db
        if db is not None and db.in_transaction:
            try:
                db.execute("ROLLBACK")
            except apsw.Error as error:
                self._throw_away(error)

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
        if self._db is None:
            return
        try:
            length, _ = self._db.wal_checkpoint("main", apsw.SQLITE_CHECKPOINT_NOOP)
            if length >= FOLD_FROM:
                self._db.wal_checkpoint("main")
                self._folds = True
        except apsw.Error as error:
            # Everything is safe in the WAL, and would be written from there once more.
            if self._folds:
                self._folds = False
                log.warning("the WAL of %s could not be folded, and grows: %s", self._files.database, error)

    def close(self) -> None:
        """Close everything."""
        self.runners.close()
        if self._db is not None:
            self._db.close()
            self._db = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _reopen(self) -> apsw.Connection:
        if time.monotonic() < self._retry_at:
            raise Broken("the journal failed a moment ago; it is tried again shortly")
        try:
            self._files.prepare()
            db = open_writer(self._files.database)
            migrate(db, self._files.database)
            self._files.tighten()
        except apsw.BusyError as error:
            raise Busy from error
        except (apsw.Error, OSError, JournalRefused) as error:
            raise self._throw_away(error) from error
        except Exception as error:
            raise self._throw_away(error) from error
        log.warning("the journal %s is open again", self._files.database)
        self._db = db
        return db

    def _throw_away(self, error: Exception) -> Broken:
        """Close the connection: after an error of the disk it can no longer be trusted."""
        db, self._db, self._tx, self._rules = self._db, None, None, None
        self._names.clear()
        self._retry_at = time.monotonic() + self._pause
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        log.error("the journal %s failed: %s", self._files.database, error)
        if db is not None:
            try:
                db.close()
            except apsw.Error:
                log.exception("closing the journal's connection failed")
        return Broken(f"{type(error).__name__}: {error}")
