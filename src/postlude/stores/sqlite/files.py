"""Where a journal may be, and making its files so that nobody else can read or replace them."""

import contextlib
import os
import stat
from pathlib import Path
from typing import Final

from postlude.errors import JournalRefused, JournalUnavailable
from postlude.model.event.journal import (
    FolderTightened,
    JournalDoubtful,
    JournalGone,
    JournalMadeTwice,
    JournalTightened,
)
from postlude.stores.sqlite.mounts import check_alone, check_file_system, doubtful_file_system
from postlude.stores.sqlite.note import Note
from postlude.stores.sqlite.owners import check_owner, check_way
from postlude.telemetry.events import Events
from postlude.telemetry.logging import logged

_REMEDY: Final = "let the user of this process write there, or change store="


class JournalFiles:
    """The files of one journal.

    Args:
        path: the database; its neighbours are named after it.
        events: who is told of what happens to them; by default, the log.
    """

    def __init__(self, path: Path, events: Events | None = None) -> None:
        self.events = events or logged()
        self._given = path
        # Its folder may be reached by symbolic links (macOS's /tmp is one); the file itself may not.
        self.database = path.parent.resolve() / path.name
        self.runners = self.database.with_name(f"{self.database.name}.runners")
        self.writer_lock = self.runners / "writer"

    def prepare(self) -> None:
        """Check the place and make what is missing, for the owner only.

        Raises:
            JournalRefused: the place is not safe for a journal.
            JournalUnavailable: it cannot be written.
        """
        folder = self.database.parent
        if not folder.is_dir():
            raise JournalRefused(f"the journal's folder {folder} does not exist; create it, or change store=")
        check_way(self._given.parent)
        self._check_folder(folder)
        check_file_system(folder)
        try:
            self._make()
        except OSError as error:
            if isinstance(error, FileExistsError | NotADirectoryError):
                why = f"{error.filename} is in the journal's way: {error.strerror}"
                raise JournalRefused(why) from error
            why = f"cannot write the journal at {self.database}: {error.strerror}; {_REMEDY}"
            raise JournalUnavailable(why) from error

    def check_alone(self) -> None:
        """Refuse a database that others may have open with another WAL. Under the lock between writers.

        Raises:
            JournalRefused: it is one.
        """
        check_alone(self.database)

    def doubt(self) -> None:
        """Tell it where the file system has damaged databases."""
        if (kind := doubtful_file_system(self.database.parent)) is not None:
            self.events.emit(JournalDoubtful(self.database, kind))

    def tighten(self) -> None:
        """Take the database away from others. Only once it has proven to be a journal."""
        if not self.database.lstat().st_mode & 0o077:
            return
        self.events.emit(JournalTightened(self.database))
        for suffix in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                self.database.with_name(self.database.name + suffix).chmod(0o600)

    def _make(self) -> None:
        found = _lstat(self.database) or self._begin()
        if not stat.S_ISREG(found.st_mode):
            raise JournalRefused(f"{self.database} is not a plain file; name the file itself in store=")
        folder = self.database.parent.stat()
        check_owner(self.database, found, folder)
        self._check_neighbours(folder)
        if not found.st_size:
            self._check_emptied()
        if not os.access(self.database, os.R_OK | os.W_OK):
            raise JournalUnavailable(f"the journal {self.database} is not writable by this user; {_REMEDY}")
        self.runners.mkdir(mode=0o700, exist_ok=True)
        beside = self.runners.lstat()
        check_owner(self.runners, beside, folder)
        if stat.S_ISLNK(beside.st_mode):
            raise JournalRefused(f"{self.runners} is a link; move it away: the journal keeps its locks there")
        if beside.st_mode & 0o077:
            self.events.emit(FolderTightened(self.runners))
            self.runners.chmod(0o700)

    def _check_neighbours(self, folder: os.stat_result) -> None:
        """Check SQLite's own files, which it would take as they are."""
        for end in ("-wal", "-shm"):
            path = self.database.with_name(self.database.name + end)
            if (found := _lstat(path)) is None:
                continue
            if not stat.S_ISREG(found.st_mode):
                raise JournalRefused(
                    f"{path} is not a plain file; move it away: the journal is written to it"
                )
            check_owner(path, found, folder)

    def _check_emptied(self) -> None:
        """Refuse an empty file where a journal was: SQLite would throw away the WAL that belongs to it."""
        wal = self.database.with_name(f"{self.database.name}-wal")
        held = _lstat(wal)
        if Note.read(self.runners) is None and (held is None or not held.st_size):
            return
        raise JournalRefused(
            f"the journal {self.database} has been emptied: it has no bytes, and there was a journal; put a "
            f"backup in its place; or, to start afresh, remove it, {wal.name} and {self.runners.name}"
        )

    def _begin(self) -> os.stat_result:
        """Make a new journal, at a place where another may have been."""
        if Note.forget(self.runners):
            self.events.emit(JournalGone(self.database))
        for end in ("-wal", "-shm"):  # another process that begins must not take them for this one's
            self.database.with_name(self.database.name + end).unlink(missing_ok=True)
        return self._create()

    def _create(self) -> os.stat_result:
        """Make the database, unless another process has just done so."""
        try:
            # O_EXCL: nobody in this process can have it open yet, so closing it drops no locks.
            os.close(os.open(self.database, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
        except FileExistsError:
            self.events.emit(JournalMadeTwice(self.database))
        return self.database.lstat()

    @staticmethod
    def _check_folder(folder: Path) -> None:
        mode = folder.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise JournalRefused(
                f"anybody may replace files in {folder}; put the journal in a folder of the application's own"
            )


def _lstat(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except FileNotFoundError:
        return None
