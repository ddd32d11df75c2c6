"""Saving what an open connection still has when the journal's files are gone from their paths."""

import os
from contextlib import closing
from pathlib import Path

import apsw

from postlude.stores.sqlite.guard import Guard
from postlude.stores.sqlite.held import Identity
from postlude.stores.sqlite.sql import SQL


class Unsaved(Exception):
    """What the connection has could not be saved; says why."""


def fold(db: apsw.Connection) -> None:
    """Write all that is in the WAL into the database, and empty the WAL for whoever else has it open.

    Raises:
        apsw.BusyError: somebody reads from it.
    """
    db.wal_checkpoint("main", apsw.SQLITE_CHECKPOINT_TRUNCATE)


def copy_out(db: apsw.Connection, guard: Guard) -> Path:
    """Copy the whole journal to a file of its own beside it, on the disk when this returns.

    The copy says of which open file it is the successor, so that other processes which have that one
    open know it.

    Raises:
        Unsaved: the files are damaged.
        apsw.Error, OSError: it cannot be written.
    """
    place = Path(f"{guard.path}.saved-{guard.database.inode}")
    draft = place.with_name(f"{place.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    os.close(os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))
    try:
        with closing(apsw.Connection(str(draft), flags=apsw.SQLITE_OPEN_READWRITE)) as copy:
            with copy.backup("main", db, "main") as backup:
                while not backup.done:
                    backup.step(-1)
            if (report := copy.execute("PRAGMA integrity_check(1)").get) != "ok":
                raise Unsaved(str(report))
            copy.execute("PRAGMA synchronous = FULL")
            copy.execute("PRAGMA fullfsync = ON")
            copy.execute(SQL["set_meta"], ("successor", _succeeds(db, guard)))
            copy.execute(SQL["set_meta"], ("inode", str(draft.stat().st_ino)))
        _sync(draft)
        os.rename(draft, place)
        _sync(place.parent)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return place


def set_aside(guard: Guard) -> Path:
    """Give a damaged database another name; returns its path."""
    place = Path(f"{guard.path}.damaged-{guard.database.inode}")
    os.rename(guard.path, place)
    return place


def put_back(copy: Path, guard: Guard) -> None:
    """Give a copy the journal's path, if nothing stands there.

    Raises:
        FileExistsError: something does.
        OSError: it cannot be done.
    """
    clear_away(guard)
    os.link(copy, guard.path)
    copy.unlink()
    _sync(copy.parent)


def clear_away(guard: Guard) -> None:
    """Remove the WAL of the journal that was at the path, or it would be applied to the file there now.

    Raises:
        FileExistsError: it is another one's, and holds something.
    """
    at = Identity.of(guard.wal_path)
    if at is not None and at != guard.wal and os.stat(guard.wal_path).st_size:
        raise FileExistsError(f"{guard.wal_path} is not this journal's")
    for path in (guard.wal_path, guard.index_path):
        Path(path).unlink(missing_ok=True)


def is_successor(db: apsw.Connection, guard: Guard) -> bool:
    """Say whether the file at the path was made from the one that a connection has open."""
    if Identity.of(guard.wal_path) == guard.wal:
        return False  # and looking would apply the WAL to it
    try:
        with closing(apsw.Connection(guard.path, flags=apsw.SQLITE_OPEN_READONLY)) as other:
            return bool(other.execute(SQL["meta"], ("successor",)).get == _succeeds(db, guard))
    except apsw.Error:
        return False


def _succeeds(db: apsw.Connection, guard: Guard) -> str:
    return f"{guard.database.device}:{guard.database.inode}:{db.execute(SQL['meta'], ('epoch',)).get}"


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
