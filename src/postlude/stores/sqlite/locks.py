"""The files beside the journal: the lock between writers, and each runner's start marks.

Both are files of their own, because opening and closing the database or its -shm file in the
process would drop SQLite's own locks on it.
"""

import errno
import fcntl
import mmap
import os
import re
import secrets
import struct
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from postlude.clock import SECOND

_MAGIC: Final = b"PLMARKS2"
_DRAINING: Final = 8
_FIRST: Final = 64
_PLACE: Final = struct.Struct("<qq")
"""When a job started, and its `seq`, negative once it has ended: last, because it says what the place is."""
_MARK: Final = struct.Struct("<q")
"""One half of a place."""
_LATEST: Final = 253_402_300_800 * SECOND
"""The end of the year 9999: a time after it is none."""
_SIZE: Final = 32_768
_TOKEN: Final = re.compile("[0-9a-f]{16}")
_TO_READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
NOWHERE: Final = -1
"""The place of a start that could not be noted, because very many jobs run at once."""


def _in_forks(forget: Callable[[], None]) -> None:
    """Call a method in every fork of this process: a lock is shared with them, and would outlive it."""
    method = weakref.WeakMethod(forget)

    def forked() -> None:
        if (call := method()) is not None:
            call()

    os.register_at_fork(after_in_child=forked)


class WriterLock:
    """A lock between processes that is granted about in the order of asking.

    SQLite's own waiting is not fair: with four saturating processes the unluckiest waited
    5.7 s, with this lock 0.09 s.
    """

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        _in_forks(self.close)

    def acquire(self) -> None:
        """Wait for the lock."""
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def release(self) -> None:
        """Give it back."""
        fcntl.flock(self._fd, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the file."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


class MarksFile:
    """A runner's start marks: a mapped file that outlives the process, locked while it lives.

    The kernel keeps what was written to it when the process is killed, so its death can be
    judged without a write to the journal for every start.
    """

    def __init__(self, folder: Path) -> None:
        self.token = secrets.token_hex(8)
        self.path = folder / self.token
        self._fd = os.open(
            self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
        )
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Written out, not stretched: a hole in a mapped file on a full disk is a fatal signal.
            if os.write(self._fd, _MAGIC.ljust(_SIZE, b"\0")) != _SIZE:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.path))
            self._map: mmap.mmap | bytearray = mmap.mmap(self._fd, _SIZE)
        except BaseException:
            self.remove()
            raise
        _in_forks(self._forget)
        # The one that has been free longest is next: a start can be read until the job's end is written.
        self._free = deque(range(_FIRST, _SIZE, _PLACE.size))

    def started(self, seq: int, at: int) -> int:
        """Note that a job starts, and when; returns the place to clear."""
        try:
            place = self._free.popleft()
        except IndexError:
            return NOWHERE
        _PLACE.pack_into(self._map, place, at, seq)
        return place

    def ended(self, place: int) -> None:
        """Note that it has ended."""
        if place != NOWHERE:
            at, seq = _PLACE.unpack_from(self._map, place)
            _PLACE.pack_into(self._map, place, at, -seq)
            self._free.append(place)

    def draining(self) -> None:
        """Note that the process is shutting down."""
        self._map[_DRAINING] = 1

    def remove(self) -> None:
        """Give the lock back and delete the file."""
        self.path.unlink(missing_ok=True)
        self.let_go()

    def let_go(self) -> None:
        """Give the lock back and leave the file, as the process's death would."""
        # Said, not left to the closing: the map has a descriptor of its own that keeps the lock.
        fd, self._fd = self._fd, -1
        if fd >= 0:
            fcntl.flock(fd, fcntl.LOCK_UN)
            os.close(fd)
        # Late threads still mark, where nobody reads. Not closed under them: it goes, and its descriptor,
        # when the last of them has let go of it, whoever still holds this object.
        self._map = bytearray(_SIZE)

    def _forget(self) -> None:
        """In a fork: close the file without giving the lock back, and mark what nobody reads."""
        if isinstance(self._map, mmap.mmap):
            self._map.close()
        self._map = bytearray(_SIZE)
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


class LeftMarks:
    """What a dead runner had noted."""

    def __init__(self, raw: bytes) -> None:
        known = raw[: len(_MAGIC)] == _MAGIC and len(raw) == _SIZE
        self.draining = not known or raw[_DRAINING] == 1
        self._places = raw[_FIRST:] if known else b""

    @property
    def started(self) -> dict[int, int | None]:
        """The jobs that had started and not ended, each with when (microseconds, UTC); None: damaged."""
        return {seq: _time(at) for at, seq in _PLACE.iter_unpack(self._places) if seq > 0}

    def starts(self, mark: int) -> list[int | None]:
        """Return when a job started, for each place with this mark: its `seq`, negative once it has ended.

        Without reading all the places: whoever polls a job that runs asks for one.
        """
        wanted, found, at = _MARK.pack(mark), list[int | None](), -1
        while (at := self._places.find(wanted, at + 1)) >= 0:
            if at % _PLACE.size == _MARK.size:
                found.append(_time(_MARK.unpack_from(self._places, at - _MARK.size)[0]))
        return found


def _time(at: int) -> int | None:
    return at if 0 < at < _LATEST else None


@contextmanager
def left_by(path: Path) -> Iterator[LeftMarks | None]:
    """Hold a runner's marks, if it has died; None while it lives.

    A runner whose file is gone (the host went down, the folder was cleared) is dead and
    charges nobody.
    """
    try:
        fd = os.open(path, _TO_READ)
    except FileNotFoundError:
        yield LeftMarks(b"")
        return
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            yield LeftMarks(_content(fd))
    finally:
        os.close(fd)


def look_at(path: Path) -> tuple[bool, LeftMarks]:
    """Say whether a runner lives (its process, on this machine, holds the lock), and what it has noted.

    Nothing, if there is no such file or it cannot be read.
    """
    try:
        fd = os.open(path, _TO_READ)
    except OSError:
        return False, LeftMarks(b"")
    try:
        return _is_held(fd), LeftMarks(_content(fd))
    finally:
        os.close(fd)


def is_dead(path: Path) -> bool:
    """Say whether a runner has died: its file is there, and nobody holds the lock."""
    try:
        fd = os.open(path, _TO_READ)
    except OSError:
        return False
    try:
        return not _is_held(fd)
    finally:
        os.close(fd)


def marks_of_the_living(path: Path) -> LeftMarks:
    """Read the marks of a runner that lives but has lost its lease."""
    return look_at(path)[1]


def _is_held(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    return False


def _content(fd: int) -> bytes:
    try:
        return os.pread(fd, _SIZE, 0)
    except OSError:  # it is no file
        return b""


def marks_path(folder: Path, token: object) -> Path:
    """Return where a runner's marks are. The token comes from the journal: others may have written it."""
    return folder / (token if isinstance(token, str) and _TOKEN.fullmatch(token) else "no-such-runner")
