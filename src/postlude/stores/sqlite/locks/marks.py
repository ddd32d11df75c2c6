"""Each runner's start marks, in a file beside the journal that it keeps locked while it lives."""

import errno
import fcntl
import mmap
import os
import re
import secrets
import struct
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from postlude.clock import SECOND
from postlude.stores.sqlite.locks.writer import in_forks, is_at

_MAGIC: Final = b"PLMARKS2"
_DRAINING: Final = 8
_INODE: Final = struct.Struct("<16xQ")
"""Of the file itself: a copy of it says nothing about the runner. 0 in files of before."""
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


class MarksFile:
    """A runner's start marks: a mapped file that outlives the process, locked while it lives.

    The kernel keeps what was written to it when the process is killed, so its death can be
    judged without a write to the journal for every start.
    """

    def __init__(self, folder: Path) -> None:
        self.token = secrets.token_hex(8)
        self.path = folder / self.token
        self._map: mmap.mmap | bytearray
        self._fd, self._map = _make(self.path)
        in_forks(self._forget)
        # The one that has been free longest is next: a start can be read until the job's end is written.
        self._free = deque(range(_FIRST, _SIZE, _PLACE.size))
        self._places: dict[int, int] = {}
        """Where the start of each job that runs is noted; not those for which there was no place."""

    @property
    def is_removed(self) -> bool:
        """Whether it lives, and somebody has removed its file."""
        return self._fd >= 0 and not is_at(self.path, self._fd)

    def ensure(self) -> bool:
        """Make the file anew if somebody has removed it; returns whether that was so.

        Raises:
            OSError: it cannot be made.
        """
        if not self.is_removed:
            return False
        self.path.parent.mkdir(mode=0o700, exist_ok=True)
        draft = self.path.with_suffix(".new")
        draft.unlink(missing_ok=True)
        fd, new = _make(draft)
        draft.rename(self.path)  # only now that it is locked, and so alive
        new[_FIRST:] = before = self._map[_FIRST:]
        new[_DRAINING] = self._map[_DRAINING]
        (old_fd, self._fd), (old, self._map) = (self._fd, fd), (self._map, new)
        for place in range(0, len(before), _PLACE.size):  # what other threads have noted meanwhile
            if (late := old[_FIRST + place : _FIRST + place + _PLACE.size]) != before[
                place : place + _PLACE.size
            ]:
                new[_FIRST + place : _FIRST + place + _PLACE.size] = late
        os.close(old_fd)
        return True

    def started(self, seq: int, fence: int, at: int) -> None:
        """Note that a job starts, and when. The claim goes without saying: the file is one runner's."""
        if seq in self._places:  # it is not known how it ended
            self.ended(seq)
        try:
            place = self._free.popleft()
        except IndexError:  # very many jobs run at once
            return
        self._places[seq] = place
        _PLACE.pack_into(self._map, place, at, seq)

    def ended(self, seq: int) -> None:
        """Note that a job has ended."""
        place = self._places.pop(seq, None)
        if place is not None:
            _MARK.pack_into(self._map, place + _MARK.size, -seq)
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


def _make(path: Path) -> tuple[int, mmap.mmap]:
    """Make a file of marks: locked, and mapped."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Written out, not stretched: a hole in a mapped file on a full disk is a fatal signal.
        head = bytearray(_SIZE)
        _INODE.pack_into(head, 0, os.fstat(fd).st_ino)
        head[: len(_MAGIC)] = _MAGIC
        if os.write(fd, head) != _SIZE:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return fd, mmap.mmap(fd, _SIZE)
    except BaseException:
        path.unlink(missing_ok=True)
        os.close(fd)
        raise


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
    """Hold a runner's marks, if it has died; None while it lives, or if its file cannot tell.

    A file that is gone, or is a copy, is no death: somebody has cleared the folder. The lease tells.
    """
    try:
        fd = os.open(path, _TO_READ)
    except FileNotFoundError:
        yield None
        return
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            content = _content(fd)
            yield None if _is_copy(fd, content) else LeftMarks(content)
    finally:
        os.close(fd)


def _is_copy(fd: int, content: bytes) -> bool:
    if content[: len(_MAGIC)] != _MAGIC or len(content) != _SIZE:
        return False
    return _INODE.unpack_from(content)[0] not in (0, os.fstat(fd).st_ino)


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
    """Say whether a runner has died: its file is there, its own, and nobody holds the lock."""
    try:
        fd = os.open(path, _TO_READ)
    except OSError:
        return False
    try:
        return not (_is_held(fd) or _is_copy(fd, _content(fd)))
    finally:
        os.close(fd)


def marks_of_the_living(path: Path) -> LeftMarks:
    """Read the marks of a runner that may live but has lost its lease. A copy says nothing about it."""
    try:
        fd = os.open(path, _TO_READ)
    except OSError:
        return LeftMarks(b"")
    try:
        content = _content(fd)
        return LeftMarks(b"" if _is_copy(fd, content) else content)
    finally:
        os.close(fd)


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
