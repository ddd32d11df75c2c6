"""The journal as this process has it open: its connection, its files, and mending both.

After an error, and where its files are not in their places, it is opened anew.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Final

import apsw

from postlude.model.event.journal import CloseFailed, JournalFailed, JournalReopened
from postlude.stores.grouped.backend import Broken, Busy
from postlude.stores.sqlite.connection import check_integrity, migrate, open_writer
from postlude.stores.sqlite.files import JournalFiles
from postlude.stores.sqlite.growth import Growth
from postlude.stores.sqlite.guard import Found, Guard
from postlude.stores.sqlite.held import Identity
from postlude.stores.sqlite.locks import WriterLock
from postlude.stores.sqlite.mending import Mending
from postlude.stores.sqlite.provenance import arrive
from postlude.stores.sqlite.reader import JournalReader

FIRST_PAUSE: Final = 0.05
LONGEST_PAUSE: Final = 2.0
"""Seconds between attempts to reopen a journal that failed: the first, and the longest."""


class Premises:
    """The writer's connection, and the files that it must be about. Used by one thread at a time.

    Args:
        files: where they are.
        readers: the process's other connections, which must let go when the files are changed.
        application: whose journal it is; empty: unknown.
    """

    def __init__(
        self, files: JournalFiles, readers: Sequence[JournalReader] = (), application: str = ""
    ) -> None:
        self._files = files
        self._application = application
        self._readers = readers
        self.db: apsw.Connection | None = None
        self.lock: WriterLock | None = None
        self._guard: Guard | None = None
        self._expected: Identity | None = None
        """The database that was open last: nothing else is opened in its place."""
        self._mending = Mending(files.database, files.events)
        self._growth = Growth(files.events)
        self._pause = FIRST_PAUSE
        self.retry_at = 0.0

    def open(self) -> None:
        """Make the files, migrate and check them.

        Raises:
            JournalRefused: they must not be used.
            apsw.Error: they cannot be used now.
        """
        self._files.prepare()
        self.lock = WriterLock(self._files.writer_lock)
        self.lock.acquire()
        try:
            self._files.check_alone()
            self.db = self._connect()
            check_integrity(self.db, self._files.database)
            arrive(self.db, self._files, self._application)
            self._files.doubt()
        except BaseException:
            self.close()
            raise
        finally:
            if self.lock is not None:
                self.lock.release()

    def ready(self) -> apsw.Connection:
        """Return the connection, for a group to be written; mends what can be.

        Raises:
            Busy: the database is locked.
            Broken: it cannot be used now.
        """
        if self.db is None:
            return self._reopen()
        assert self._guard is not None
        if not self._guard.ready() or self._mending.shut:
            self._mend()
        assert self.db is not None
        return self.db

    def index(self) -> bytes:
        """Return the head of the WAL's index, which each commit changes. From any thread."""
        guard = self._guard
        return b"" if guard is None else guard.head_of_index()

    def confirm(self) -> apsw.Connection:
        """Make sure that what was just committed is in the files at their paths; returns the connection.

        Raises:
            Broken: it is not, and cannot be brought there.
        """
        self._pause = FIRST_PAUSE
        assert self._guard is not None
        if not self._guard.kept():
            try:
                self._mend()
            except Busy as error:
                # Asked again, it would be written twice.
                raise Broken(f"the journal's files are not in their places: {error}") from error
        assert self.db is not None
        return self.db

    def folded(self, frames: int, kept: int) -> None:
        """Note how many frames of the WAL there were when it was folded, and how many readers have kept."""
        if self._guard is None:
            return
        self._guard.folded()
        if kept:
            self._growth.note(frames, self._guard)
        else:
            self._growth.over(self._guard)

    def throw_away(self, error: Exception) -> Broken:
        """Close the connection: after an error of the disk it can no longer be trusted."""
        self.retry_at = time.monotonic() + self._pause
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        self._files.events.emit(JournalFailed(self._files.database, error))
        db, self.db = self.db, None
        if db is not None:
            try:
                db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
                db.close()
            except apsw.Error as again:
                self._files.events.emit(CloseFailed(self._files.database, again))
        return Broken(f"{type(error).__name__}: {error}")

    def close(self) -> None:
        """Close everything; saves first what would be lost."""
        if self.db is not None:
            with suppress(Broken, Busy):
                self._leave()
            self._let_go(tidily=not self._mending.shut)
        elif self._guard is not None:
            self._guard.close()
        self._guard = None
        if self.lock is not None:
            self.lock.close()
            self.lock = None

    def _leave(self) -> None:
        """Look at the files a last time."""
        assert self.lock is not None
        self.lock.acquire()
        try:
            if self._guard is not None and self._guard.index is not None and not self._guard.ready():
                self._mend()
        finally:
            self.lock.release()

    # -- connections --------------------------------------------------------------------------

    def _connect(self) -> apsw.Connection:
        """Open the files at the paths, and hold them."""
        self._files.prepare()
        guard = Guard(self._files.database)
        try:
            db = self._open_writer()
            try:
                guard.settle()
            except BaseException:
                db.close()
                raise
        except BaseException:
            guard.close()
            raise
        self._guard, self._expected = guard, guard.database
        return db

    def _open_writer(self) -> apsw.Connection:
        db = open_writer(self._files.database)
        try:
            migrate(db, self._files.database)
            self._files.tighten()
        except BaseException:
            db.close()
            raise
        return db

    def _let_go(self, *, tidily: bool) -> None:
        """Close the connection and the files.

        Args:
            tidily: fold the WAL and remove it, if nobody else has the journal open. Never where other
                files may stand at the paths: what is removed is what stands there.
        """
        db, self.db = self.db, None
        guard, self._guard = self._guard, None
        if db is not None:
            if not tidily:
                db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            elif guard is not None:
                guard.loosen()
            db.close()
        if guard is not None:
            guard.close()

    def _reopen(self) -> apsw.Connection:
        if time.monotonic() < self.retry_at:
            raise Broken("the journal failed a moment ago; it is tried again shortly")
        with self._refusing():
            if self._mending.check(self._guard, self._expected):
                # The others stay open: an index that is made anew takes in a commit that failed.
                self._files.prepare()
                self.db = self._open_writer()
            else:
                with self._readers_aside():
                    self._let_go(tidily=False)
                    self.db = self._connect()
        self._files.events.emit(JournalReopened(self._files.database))
        return self.db

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """Make a refusal of what goes wrong while files are opened; but for a lock, none stays open."""
        try:
            yield
        except apsw.BusyError as error:
            raise Busy from error
        except Broken:
            raise
        except Exception as error:
            raise self.throw_away(error) from error

    @contextmanager
    def _readers_aside(self) -> Iterator[None]:
        """Close the process's other connections: SQLite shares with them what belongs to the old files."""
        with ExitStack() as aside:
            for reader in self._readers:
                aside.enter_context(reader.aside())
            yield

    def _mend(self) -> None:
        """Have an open journal at the path that has all that was ever committed, or refuse."""
        assert self._guard is not None
        assert self.db is not None
        found = self._guard.look()
        if found is Found.IN_PLACE:
            self._mending.over()
            return
        with self._refusing():
            done = self._mending.recover(found, self._guard, self.db)
            self._expected = Identity.of(self._files.database)
            with self._readers_aside():
                self._let_go(tidily=False)
                self.db = self._connect()
        self._mending.over()
        self._files.events.emit(done)
