"""What is done when a journal's files are not in their places.

What is sound is done at once; what is not is refused, and said once with what to do.
"""

import os
import time
from pathlib import Path
from typing import Final, NoReturn

import apsw

from postlude.model.event.journal import Harm, JournalInPlace, JournalMended, JournalShut
from postlude.stores.grouped.backend import Broken
from postlude.stores.sqlite import rescue
from postlude.stores.sqlite.guard import Found, Guard
from postlude.stores.sqlite.held import Identity
from postlude.telemetry.events import Events

TRY_EVERY: Final = 2.0
"""Seconds between attempts to mend what could not be mended."""

_REASONS: Final = {
    Found.DATABASE_LOST: "the journal {path} was removed in use",
    Found.REPLACED: "another file was put in the place of the journal {path} in use",
    Found.WAL_LOST: "the WAL of the journal {path} was removed, or replaced by another, in use",
    Found.DAMAGED: "the files of the journal {path} were cut short or overwritten in use",
}


class Mending:
    """Recovers a journal, or refuses it.

    Args:
        path: of the database.
        events: who is told.
    """

    def __init__(self, path: Path, events: Events) -> None:
        self._events = events
        self._path = path
        self._said: Found | None = None
        """What it is shut for, and everybody was told."""
        self._why = ""
        self._try_at = 0.0

    @property
    def shut(self) -> bool:
        """Whether it is refused now."""
        return self._said is not None

    def over(self) -> None:
        """Note that everything is in its place."""
        if self._said is not None:
            self._events.emit(JournalInPlace(self._path))
        self._said = None

    def recover(self, found: Found, guard: Guard, db: apsw.Connection) -> JournalMended:
        """Bring what was committed to the paths, to be opened there; returns what has happened.

        Raises:
            Broken: that is not sound, or cannot be done.
            apsw.BusyError: somebody reads; to be tried again.
        """
        if found is self._said and time.monotonic() < self._try_at:
            raise Broken(self._why)
        if found is Found.INDEX_LOST:
            return JournalMended(self._path, Harm.INDEX_LOST)
        if found is Found.WAL_LOST:
            self._bring_home(guard, db)
            return JournalMended(self._path, Harm.WAL_LOST)
        if found is Found.DAMAGED:
            return JournalMended(self._path, Harm.DAMAGED, self._replace(guard, db))
        if found is Found.DATABASE_LOST:
            self._put_back(guard, db)
            return JournalMended(self._path, Harm.DATABASE_LOST)
        if found is not Found.REPLACED or not rescue.is_successor(db, guard):
            self._refuse(found, *self._save(found, guard, db))
        return JournalMended(self._path, Harm.REPLACED)

    def check(self, guard: Guard | None, expected: Identity | None) -> bool:
        """Make sure that what stands at the paths has all that was committed, without a connection.

        Returns whether the files are all in their places.

        Raises:
            Broken: it has not.
        """
        if guard is None:
            if expected is not None and Identity.of(self._path) != expected:
                self._refuse(Found.REPLACED)
            return False
        found = guard.look()
        lost = found is Found.WAL_LOST and not guard.read_index().settled
        if lost or found in (Found.DATABASE_LOST, Found.REPLACED, Found.DAMAGED):
            self._refuse(found)
        return found is Found.IN_PLACE

    def _bring_home(self, guard: Guard, db: apsw.Connection) -> None:
        """Have all that is in a WAL which is gone from its path in the database."""
        index = guard.read_index()
        by_another = Identity.of(guard.index_path) == guard.index and guard.describes(index)
        if index.settled or by_another:
            return
        if _size(guard.wal_path):
            self._refuse(Found.WAL_LOST, *self._save(Found.WAL_LOST, guard, db))
        try:
            rescue.fold(db)
        except apsw.BusyError:
            raise
        except apsw.Error as error:
            # The connection stays open: nothing else has what was committed last.
            self._refuse(Found.WAL_LOST, error=error, harm=Harm.UNFOLDED)

    def _replace(self, guard: Guard, db: apsw.Connection) -> Path:
        """Put a copy in the place of damaged files, if the connection still has all of it; returns where
        they are."""
        try:
            copy = rescue.copy_out(db, guard)
            damaged = rescue.set_aside(guard)
            rescue.put_back(copy, guard)
        except (OSError, apsw.Error, rescue.Unsaved) as error:
            self._refuse(Found.DAMAGED, error=error)
        return damaged

    def _put_back(self, guard: Guard, db: apsw.Connection) -> None:
        try:
            copy = rescue.copy_out(db, guard)
        except (OSError, apsw.Error, rescue.Unsaved) as error:
            self._refuse(Found.DATABASE_LOST, error=error)
        try:
            rescue.put_back(copy, guard)
        except OSError as error:
            self._refuse(Found.DATABASE_LOST, copy, error)

    def _save(self, found: Found, guard: Guard, db: apsw.Connection) -> tuple[Path | None, Exception | None]:
        """Copy what the connection has, once; returns where to, and why that failed."""
        if self._said is found:
            return None, None
        try:
            place = rescue.copy_out(db, guard)
            if found is Found.REPLACED:
                rescue.clear_away(guard)
        except (OSError, apsw.Error, rescue.Unsaved) as error:
            return None, error
        return place, None

    def _refuse(
        self,
        found: Found,
        copy: Path | None = None,
        error: Exception | None = None,
        harm: Harm | None = None,
    ) -> NoReturn:
        """Take nothing more until the files are in their places, or the process starts anew."""
        self._try_at = time.monotonic() + TRY_EVERY
        if self._said is not found:
            self._said = found
            self._why = f"{_REASONS[found].format(path=self._path)}; no job is accepted"
            self._events.emit(JournalShut(self._path, harm or Harm[found.name], self._why, copy, error))
        raise Broken(self._why)


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
