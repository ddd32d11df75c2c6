"""Files of a journal that this process holds open, and the locks of open files on them.

Whoever opens and closes the database in this process drops the locks that SQLite holds on it for the
whole process: POSIX locks belong to processes. Python's `sqlite3` even takes itself for the last one
to close it then, and removes the WAL that is still written. So SQLite's marks of "somebody has this
open" are held a second time here, by locks that belong to an open file (Linux), which conflict with
every process's, this one's included.
"""

import errno
import fcntl
import os
import struct
import threading
from pathlib import Path
from typing import Final, NamedTuple

_FLOCK: Final = struct.Struct("hhqqi4x")
_SET_LOCK: Final[int | None] = getattr(fcntl, "F_OFD_SETLK", None)
_NO_SUCH_LOCKS: Final = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)
"""What kernels say that know no locks of open files (gVisor's, for one)."""

TO_HOLD: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW


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


class HeldFile:
    """A file that is open for as long as anybody in the process has it open."""

    def __init__(self, path: str, lock: tuple[int, int]) -> None:
        self.fd = os.open(path, TO_HOLD)
        self.lock = lock
        self.users = 0
        self.index: Identity | None = None
        """Of a database: the -shm file that SQLite has open for it, one for the whole process."""

    def set(self, kind: int) -> None:
        """Take or give back the lock, where the system has such locks."""
        if _SET_LOCK is not None:
            try:
                fcntl.fcntl(self.fd, _SET_LOCK, _FLOCK.pack(kind, os.SEEK_SET, *self.lock, 0))
            except OSError as error:
                if error.errno not in _NO_SUCH_LOCKS:
                    raise


class _HeldFiles:
    """Every held file of this process. Closing one would drop others' locks on the same file."""

    def __init__(self) -> None:
        self._files: dict[Identity, HeldFile] = {}
        self._turns = threading.Lock()
        os.register_at_fork(after_in_child=self._forked)

    def take(self, path: str, lock: tuple[int, int]) -> tuple[Identity, HeldFile]:
        """Hold the file at a path."""
        with self._turns:
            known = Identity.of(path)
            held = self._files.get(known) if known is not None else None
            if held is None:
                held = HeldFile(path, lock)
                found = os.fstat(held.fd)
                known = Identity(found.st_dev, found.st_ino)
                self._files[known] = held
            assert known is not None
            held.users += 1
            return known, held

    def loosen(self, held: HeldFile) -> None:
        """Give the lock back, if nobody else here needs it: the last one to close tidies up."""
        with self._turns:
            if held.users == 1:
                held.set(fcntl.F_UNLCK)

    def drop(self, identity: Identity, held: HeldFile) -> None:
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


HELD: Final = _HeldFiles()
