"""Where a journal comes from: is the file that is opened the one that was here, and whose is it?

`meta` says which file it was when it was opened last (`inode`), how often it has been opened
(`opened`), and by which applications; the note beside it, what was last open at this place. A copy,
or a backup that was put back, is noticed by what does not fit. The processes that stand in it keep
what they hold until their leases are over: the original may be in use, and most jobs of it end by then.
"""

import json
import os
import secrets
from contextlib import suppress
from typing import Any, Final

import apsw

from postlude.model.event.journal import JournalCopied, JournalShared
from postlude.stores.relational.cells import as_bytes, from_bytes
from postlude.stores.sqlite.files import JournalFiles
from postlude.stores.sqlite.locks.marks import look_at, marks_path
from postlude.stores.sqlite.note import Note
from postlude.stores.sqlite.sql import SQL

MOST_OPENED: Final = 2**53
"""Beyond it, how often a journal was opened is damage."""


def arrive(db: apsw.Connection, files: JournalFiles, application: str) -> None:
    """Compare what is opened with what was here; say what does not fit, and note what is here now.

    Args:
        db: the writer's connection. Under the lock between writers.
        files: where it is.
        application: who opens it; empty: unknown.
    """
    note, inode = (
        Note.read(files.runners),
        str(files.database.stat().st_ino),
    )  # may be beyond SQLite's numbers
    db.execute("BEGIN IMMEDIATE")
    try:
        meta = {str(key): value for key, value in _legible(db, "all_meta", 2)}
        changes = _compared(db, files, meta, note, inode)
        known = _names(meta.get("applications"))
        if application and application not in known:
            changes["applications"] = json.dumps([*known, application])
        changes |= {"inode": inode, "opened": (opened := _number(meta.get("opened")) + 1)}
        for change in changes.items():
            db.execute(SQL["set_meta"], change)
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise
    if application and known and application not in known:
        files.events.emit(JournalShared(files.database, known, application))
    with suppress(OSError):  # it only helps the next one
        Note(str(changes.get("epoch", meta.get("epoch"))), opened).write(files.runners)


def _compared(
    db: apsw.Connection, files: JournalFiles, meta: dict[str, Any], note: Note | None, inode: str
) -> dict[str, Any]:
    """Say what does not fit; returns what is to be changed in `meta`."""
    opened = _number(meta.get("opened"))
    moved = str(meta.get("inode", inode)) != inode
    older = note is not None and (note.epoch != meta.get("epoch") or note.opened > opened)
    if not (moved or older) or _is_used(db, files):
        return {}
    host = meta.get("host")
    files.events.emit(JournalCopied(files.database, None if host is None else str(host)))
    return {"epoch": secrets.token_hex(8), "host": os.uname().nodename}


def _is_used(db: apsw.Connection, files: JournalFiles) -> bool:
    """Whether a process that stands in the journal lives here: then it is no copy, whatever else differs."""
    tokens = [token for (token,) in _legible(db, "tokens", 1)]
    return any(look_at(marks_path(files.runners, token))[0] for token in tokens)


def _legible(db: apsw.Connection, statement: str, columns: int) -> list[tuple[Any, ...]]:
    """Return the rows of a statement, whatever stands in their cells."""
    rows: Any = db.execute(as_bytes(SQL[statement], columns)).fetchall()
    return [from_bytes(row) for row in rows]


def _number(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value < MOST_OPENED else 0


def _names(value: Any) -> list[str]:
    try:
        found = json.loads(value)
    except (TypeError, ValueError):
        return []
    return [str(name) for name in found] if isinstance(found, list) else []
