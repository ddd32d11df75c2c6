"""A file system under SQLite that notes all that is asked of a journal's files, in one order.

Everything is passed on to the real one. What a power loss may make of it: `outage.py`.
"""

import secrets
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import apsw

UNDERNEATH: Final = "unix"
"""The real file system; named, because the recording one is SQLite's default while it is there."""

DATABASE: Final = "database"
WAL: Final = "wal"
FOLDER: Final = "folder"
"""Kinds of what can be synced; the folder's are its entries."""

_BESIDE: Final = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL
"""The first sync of such a file after it was opened also syncs the folder, if the file may be new."""


class Write(NamedTuple):
    """Bytes were written."""

    file: int
    offset: int
    data: bytes


class Truncate(NamedTuple):
    """A file was cut, or stretched with zeros."""

    file: int
    size: int


class Entry(NamedTuple):
    """A name stands for a file from now on, or for none."""

    name: str
    file: int | None


class Sync(NamedTuple):
    """What was done to a file, or to the entries of the folder (None), is certain from now on."""

    file: int | None


Event = Write | Truncate | Entry | Sync


class Recording:
    """What was asked of the files of one folder.

    Args:
        folder: where they are; what is in it is certain.
        lies: of what kinds of files (or `FOLDER`) the disk says that they are synced, and has not
            done it. Mutants are made of it.
    """

    def __init__(self, folder: Path, lies: Collection[str] = ()) -> None:
        self._folder = folder.resolve()
        self._lies = lies
        self._files: dict[str, int] = {}
        self.kinds: list[str] = []
        """What each file is."""
        self.began: dict[str, bytes] = {}
        """The files that were there, by name."""
        self.order: list[Event] = []
        self.wal_synced: list[int] = [0]
        """How much had been asked when a sync of the WAL returned."""
        for path in sorted(self._folder.iterdir()):
            if path.is_file():
                self.began[path.name] = path.read_bytes()
                self._number(path.name)

    @property
    def place(self) -> int:
        """How much was asked so far."""
        return len(self.order)

    def covers(self, path: str) -> bool:
        """Whether a file is one of those that are watched."""
        return Path(path).parent == self._folder

    def opened(self, name: str) -> int:
        """Return a file's number. One that was not there before has been made just now."""
        known = self._files.get(name)
        if known is None:
            known = self._number(name)
            self.order.append(Entry(name, known))
        return known

    def removed(self, name: str, synced: bool) -> None:
        """Note that a name is gone."""
        if self._files.pop(name, None) is not None:
            self.order.append(Entry(name, None))
        if synced:
            self.synced(None)

    def synced(self, file: int | None) -> None:
        """Note what is certain, unless the disk lies."""
        kind = FOLDER if file is None else self.kinds[file]
        if kind not in self._lies:
            self.order.append(Sync(file))
            if kind == WAL:
                self.wal_synced.append(self.place)

    def _number(self, name: str) -> int:
        number = self._files[name] = len(self.kinds)
        _, beside, kind = name.partition(".db-")
        self.kinds.append(kind if beside else DATABASE)
        return number


class _File(apsw.VFSFile):
    def __init__(self, recording: Recording, path: str, name: str | apsw.URIFilename, flags: list[int]):
        super().__init__(UNDERNEATH, name, flags)
        self._to = recording
        self._file = recording.opened(Path(path).name)
        self._new = bool(flags[0] & _BESIDE and flags[0] & apsw.SQLITE_OPEN_CREATE)

    def xWrite(self, data: bytes, offset: int) -> None:
        super().xWrite(data, offset)
        self._to.order.append(Write(self._file, offset, bytes(data)))

    def xTruncate(self, newsize: int) -> None:
        super().xTruncate(newsize)
        self._to.order.append(Truncate(self._file, newsize))

    def xSync(self, flags: int) -> None:
        super().xSync(flags)
        self._to.synced(self._file)
        if self._new:
            self._new = False
            self._to.synced(None)


class _FileSystem(apsw.VFS):
    def __init__(self, recording: Recording) -> None:
        super().__init__(f"recording-{secrets.token_hex(4)}", UNDERNEATH, makedefault=True)
        self._to = recording

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> apsw.VFSFile:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        if name is None or path is None or not self._to.covers(path):
            return super().xOpen(name, flags)
        return _File(self._to, path, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        super().xDelete(filename, syncdir)
        if self._to.covers(filename):
            self._to.removed(Path(filename).name, syncdir)


@contextmanager
def recorded(folder: Path, lies: Collection[str] = ()) -> Iterator[Recording]:
    """Record what this process asks of a folder's files; all connections to them must end within."""
    recording = Recording(folder, lies)
    system = _FileSystem(recording)
    try:
        yield recording
    finally:
        system.unregister()
