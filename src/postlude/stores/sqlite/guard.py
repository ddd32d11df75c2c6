"""The files that a process has open as its journal: held, and compared with those at their paths.

Against those who remove or replace the files only looking helps: before a group of writes, and again
between its commit and its answer.
"""

import fcntl
import os
from collections.abc import Iterator
from enum import Enum, auto
from pathlib import Path
from typing import Final

from postlude.stores.sqlite.held import HELD, TO_HOLD, HeldFile, Identity
from postlude.stores.sqlite.wal_index import INDEX_HEAD, INDEX_SIZE, WAL_HEADER, Index, is_folded

_HEADER: Final = b"SQLite format 3\0"
_WAL_MAGIC: Final = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83", b"")
_SALTS_IN_WAL: Final = slice(16, 24)

_PAGE_ONE: Final = 100
"""Bytes of the database's header."""

_READINGS: Final = 10
"""How often the index is read anew before it is said not to fit the WAL."""

_SHARED: Final = (0x4000_0002, 510)
"""Where in the database SQLite's connections hold their shared locks: first byte, and length."""
_ALIVE: Final = (128, 1)
"""Where in the -shm file."""


class Found(Enum):
    """What stands where the journal's files were."""

    IN_PLACE = auto()
    """They themselves."""
    INDEX_LOST = auto()
    """Not the -shm file, which can be made again from the WAL."""
    WAL_LOST = auto()
    """Not the WAL that is written."""
    DATABASE_LOST = auto()
    """No database."""
    REPLACED = auto()
    """Another database."""
    DAMAGED = auto()
    """They themselves, but cut short or overwritten."""


class Guard:
    """The files of one open journal.

    Args:
        database: its path.

    Raises:
        OSError: there is none, or it may not be read.
    """

    def __init__(self, database: Path) -> None:
        self.path = str(database)
        self.wal_path = self.path + "-wal"
        self.index_path = self.path + "-shm"
        self.database, self._held = HELD.take(self.path, _SHARED)
        self.wal: Identity | None = None
        self.index: Identity | None = None
        self._held_index: HeldFile | None = None
        self._wal_fd = -1
        self._size = self._wal_size = 0
        self._had_header = True
        self._written = 0
        """When the database was last written, as far as is known, and its header since then."""
        self._head = self._index = b""

    def settle(self) -> None:
        """Note which files the connection has opened, right after it has; and hold them.

        Raises:
            OSError: they are not there.
        """
        self.index, self._held_index = HELD.take(self.index_path, _ALIVE)
        if self._held.users > 1 and self._held.index not in (None, self.index):
            raise FileNotFoundError("this process still has the -shm file open that was removed")
        self._held.index = self.index
        self._held.set(fcntl.F_RDLCK)
        self._held_index.set(fcntl.F_RDLCK)
        self._wal_fd = os.open(self.wal_path, TO_HOLD)  # SQLite holds no locks on it
        wal = os.fstat(self._wal_fd)
        self.wal, self._wal_size = Identity(wal.st_dev, wal.st_ino), wal.st_size
        self.folded()
        self._had_header = self._is_database()  # after a power loss it may stand in the WAL alone

    def ready(self) -> bool:
        """Say whether a group may be written: the files are those at their paths, and whole."""
        try:
            database, wal, index = os.stat(self.path), os.stat(self.wal_path), os.stat(self.index_path)
        except OSError:
            return False
        return (
            (database.st_dev, database.st_ino) == self.database
            and (wal.st_dev, wal.st_ino) == self.wal
            and (index.st_dev, index.st_ino) == self.index
            and wal.st_size >= self._wal_size
            and database.st_size >= self._size
            and database.st_mtime_ns == self._written
            and self._is_database()
            and self._is_wal()
        ) or self.look() is Found.IN_PLACE

    def kept(self) -> bool:
        """Say whether a group that has just been committed is in the files at their paths."""
        assert self._held_index is not None
        # First of all: if nothing is written after it, nothing was folded before it.
        index = os.pread(self._held_index.fd, INDEX_SIZE, 0)
        try:
            database, wal = os.stat(self.path), os.stat(self.wal_path)
        except OSError:
            return False
        if (database.st_dev, database.st_ino) != self.database or (wal.st_dev, wal.st_ino) != self.wal:
            return False
        before, self._wal_size = self._wal_size, wal.st_size
        untouched = database.st_mtime_ns == self._written
        if untouched:
            self._index = index  # a commit may have begun the WAL anew
        return (untouched and wal.st_size >= before and self._is_wal()) or self.look() is Found.IN_PLACE

    def folded(self) -> None:
        """Note that this process has just written the database."""
        database = os.fstat(self._held.fd)
        self._written, self._size = database.st_mtime_ns, database.st_size
        self._index, self._head, _ = self._read_head()

    def look(self) -> Found:
        """Find out what stands at the paths. Under the lock between writers."""
        database = _stat(self.path)
        if database is None:
            return Found.DATABASE_LOST
        if (database.st_dev, database.st_ino) != self.database:
            return Found.REPLACED
        index = self.read_index()
        cut = database.st_size < min(self._size, index.pages * index.page) or not self._is_database()
        if cut or self._is_overwritten(database.st_mtime_ns):
            return Found.DAMAGED
        if Identity.of(self.wal_path) != self.wal:
            return Found.WAL_LOST
        if Identity.of(self.index_path) != self.index:
            return Found.INDEX_LOST
        if not any(index.settled or self.describes(index) for index in self._readings(index)):
            return Found.DAMAGED
        self._size, self._wal_size = database.st_size, os.fstat(self._wal_fd).st_size
        return Found.IN_PLACE

    def _readings(self, index: Index) -> Iterator[Index]:
        """Give an index, and what it says some moments later: others fold the WAL, and begin it anew."""
        yield index
        for _ in range(_READINGS):
            yield self.read_index()

    def describes(self, index: Index) -> bool:
        """Whether an index is one of the WAL at the path."""
        try:
            with open(self.wal_path, "rb", buffering=0) as wal:
                head, size = wal.read(WAL_HEADER), os.fstat(wal.fileno()).st_size
        except OSError:
            return False
        return size >= index.wal_size and head[_SALTS_IN_WAL] == index.salts

    def read_index(self) -> Index:
        """Read what the connection's own -shm file says, wherever that is by now."""
        assert self._held_index is not None
        return Index.of(self._held_index.fd)

    def head_of_index(self) -> bytes:
        """Return what each commit changes of the -shm file; nothing while that is closed. From any thread."""
        held = self._held_index
        try:
            return b"" if held is None else os.pread(held.fd, INDEX_HEAD, 0)
        except OSError:
            return b""

    def _is_overwritten(self, written: int) -> bool:
        """Whether another database was copied over this one: it was written, and not by folding the WAL.

        Where the header is the same, nothing is said: somebody may only have touched the file.
        """
        if written == self._written:
            return False
        before, head, after = self._read_head()
        if head != self._head and not is_folded(self._index, after):
            return True
        self._written, self._head, self._index = written, head, before
        return False

    def _read_head(self) -> tuple[bytes, bytes, bytes]:
        """Read the index, the database's header, and the index again.

        Whoever folds the WAL says so in the index before the header is changed: the later reading knows of
        all that the header has seen, the earlier one of nothing that is still to come.
        """
        assert self._held_index is not None
        before = os.pread(self._held_index.fd, INDEX_SIZE, 0)
        head = os.pread(self._held.fd, _PAGE_ONE, 0)
        return before, head, os.pread(self._held_index.fd, INDEX_SIZE, 0)

    def _is_database(self) -> bool:
        return os.pread(self._held.fd, len(_HEADER), 0) == _HEADER or not self._had_header

    def _is_wal(self) -> bool:
        return os.pread(self._wal_fd, len(_WAL_MAGIC[0]), 0) in _WAL_MAGIC

    def loosen(self) -> None:
        """Let the connection that is closed next be the last one."""
        for held in (self._held, self._held_index):
            if held is not None:
                HELD.loosen(held)

    def close(self) -> None:
        """Let go of the files; after the connections."""
        HELD.drop(self.database, self._held)
        if self._held_index is not None and self.index is not None:
            HELD.drop(self.index, self._held_index)
            self._held_index = None
        if self._wal_fd >= 0:
            os.close(self._wal_fd)
            self._wal_fd = -1


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None
