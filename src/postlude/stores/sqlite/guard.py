"""The files that a process has open as its journal: held, and compared with those at their paths.

Whoever opens and closes the database in this process drops the locks that SQLite holds on it for the
whole process: POSIX locks belong to processes. Python's `sqlite3` even takes itself for the last one
to close it then, and removes the WAL that is still written. So SQLite's marks of "somebody has this
open" are held a second time here, by locks that belong to an open file (Linux), which conflict with
every process's, this one's included.

Against those who remove or replace the files only looking helps: before a group of writes, and again
between its commit and its answer.
"""

import fcntl
import os
import struct
import threading
from enum import Enum, auto
from pathlib import Path
from typing import Final, NamedTuple

from postlude.stores.sqlite.wal_index import INDEX_SIZE, WAL_HEADER, Index, is_folded

_HEADER: Final = b"SQLite format 3\0"
_WAL_MAGIC: Final = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83", b"")
_SALTS_IN_WAL: Final = slice(16, 24)

_PAGE_ONE: Final = 100
"""Bytes of the database's header."""

_SHARED: Final = (0x4000_0002, 510)
"""Where in the database SQLite's connections hold their shared locks: first byte, and length."""
_ALIVE: Final = (128, 1)
"""Where in the -shm file."""
_FLOCK: Final = struct.Struct("hhqqi4x")
_SET_LOCK: Final[int | None] = getattr(fcntl, "F_OFD_SETLK", None)

_TO_HOLD: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW


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


class Identity(NamedTuple):
    """What tells one file from another for as long as it is open."""

    device: int
    inode: int

    @classmethod
    def of(cls, path: str | Path) -> "Identity | None":
        """Return that of the file at a path, if there is one."""
        try:
            found = os.stat(path, follow_symlinks=False)
        except OSError:
            return None
        return cls(found.st_dev, found.st_ino)


class _Held:
    """A file that is open for as long as anybody in the process has it open."""

    def __init__(self, path: str, lock: tuple[int, int]) -> None:
        self.fd = os.open(path, _TO_HOLD)
        self.lock = lock
        self.users = 0
        self.index: Identity | None = None
        """Of a database: the -shm file that SQLite has open for it, one for the whole process."""

    def set(self, kind: int) -> None:
        """Take or give back the lock, where the system has such locks."""
        if _SET_LOCK is not None:
            fcntl.fcntl(self.fd, _SET_LOCK, _FLOCK.pack(kind, os.SEEK_SET, *self.lock, 0))


class _ChildProcess:
    """Every held file of this process. Closing one would drop others' locks on the same file."""

    def __init__(self) -> None:
        self._files: dict[Identity, _Held] = {}
        self._turns = threading.Lock()
        os.register_at_fork(after_in_child=self._forked)

    def take(self, path: str, lock: tuple[int, int]) -> tuple[Identity, _Held]:
        """Hold the file at a path."""
        with self._turns:
            known = Identity.of(path)
            held = self._files.get(known) if known is not None else None
            if held is None:
                held = _Held(path, lock)
                found = os.fstat(held.fd)
                known = Identity(found.st_dev, found.st_ino)
                self._files[known] = held
            assert known is not None
            held.users += 1
            return known, held

    def loosen(self, held: _Held) -> None:
        """Give the lock back, if nobody else here needs it: the last one to close tidies up."""
        with self._turns:
            if held.users == 1:
                held.set(fcntl.F_UNLCK)

    def drop(self, identity: Identity, held: _Held) -> None:
        """Hold it no longer. Its connections must have been closed."""
        with self._turns:
            held.users -= 1
            if not held.users:
                del self._files[identity]
                os.close(held.fd)

    def _forked(self) -> None:
        """In a fork: close the files, whose locks would otherwise outlive this process's parent."""
        self._turns = threading.Lock()
        for held in self._files.values():
            os.close(held.fd)
        self._files.clear()


_KEEPER: Final = _ChildProcess()


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
        self.database, self._held = _KEEPER.take(self.path, _SHARED)
        self.wal: Identity | None = None
        self.index: Identity | None = None
        self._held_index: _Held | None = None
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
        self.index, self._held_index = _KEEPER.take(self.index_path, _ALIVE)
        if self._held.users > 1 and self._held.index not in (None, self.index):
            raise FileNotFoundError("this process still has the -shm file open that was removed")
        self._held.index = self.index
        self._held.set(fcntl.F_RDLCK)
        self._held_index.set(fcntl.F_RDLCK)
        self._wal_fd = os.open(self.wal_path, _TO_HOLD)  # SQLite holds no locks on it
        wal = os.fstat(self._wal_fd)
        self.wal, self._wal_size = Identity(wal.st_dev, wal.st_ino), wal.st_size
        self._size = os.stat(self.path).st_size
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
        try:
            database, wal = os.stat(self.path), os.stat(self.wal_path)
        except OSError:
            return False
        if (database.st_dev, database.st_ino) != self.database or (wal.st_dev, wal.st_ino) != self.wal:
            return False
        before, self._wal_size = self._wal_size, wal.st_size
        untouched = database.st_mtime_ns == self._written
        if untouched:
            assert self._held_index is not None
            self._index = os.pread(self._held_index.fd, INDEX_SIZE, 0)  # a commit may have begun the WAL anew
        return (untouched and wal.st_size >= before and self._is_wal()) or self.look() is Found.IN_PLACE

    def folded(self) -> None:
        """Note that this process has just written the database."""
        self._written = os.fstat(self._held.fd).st_mtime_ns
        self._head, self._index = self._read_head()

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
        if not index.settled and not self.describes(index):
            return Found.DAMAGED
        self._size, self._wal_size = database.st_size, os.fstat(self._wal_fd).st_size
        return Found.IN_PLACE

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

    def _is_overwritten(self, written: int) -> bool:
        """Whether another database was copied over this one: it was written, and not by folding the WAL.

        Where the header is the same, nothing is said: somebody may only have touched the file.
        """
        if written == self._written:
            return False
        head, index = self._read_head()
        if head != self._head and not is_folded(self._index, index):
            return True
        self._written, self._head, self._index = written, head, index
        return False

    def _read_head(self) -> tuple[bytes, bytes]:
        """Read the header first: whoever folds the WAL says so before it is changed."""
        assert self._held_index is not None
        head = os.pread(self._held.fd, _PAGE_ONE, 0)
        return head, os.pread(self._held_index.fd, INDEX_SIZE, 0)

    def _is_database(self) -> bool:
        return os.pread(self._held.fd, len(_HEADER), 0) == _HEADER or not self._had_header

    def _is_wal(self) -> bool:
        return os.pread(self._wal_fd, len(_WAL_MAGIC[0]), 0) in _WAL_MAGIC

    def loosen(self) -> None:
        """Let the connection that is closed next be the last one."""
        for held in (self._held, self._held_index):
            if held is not None:
                _KEEPER.loosen(held)

    def close(self) -> None:
        """Let go of the files; after the connections."""
        _KEEPER.drop(self.database, self._held)
        if self._held_index is not None and self.index is not None:
            _KEEPER.drop(self.index, self._held_index)
            self._held_index = None
        if self._wal_fd >= 0:
            os.close(self._wal_fd)
            self._wal_fd = -1


def _stat(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)
    except OSError:
        return None
