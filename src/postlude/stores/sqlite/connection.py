"""Connections to the journal: opening, checking and migrating it."""

import json
import re
import secrets
import socket
from pathlib import Path
from typing import Any, Final

import apsw

from postlude.errors import JournalRefused
from postlude.stores.sqlite.sql import MIGRATIONS

APPLICATION_ID: Final = 0x504C_5544
"""Marks the file as ours ("PLUD")."""

VERSION: Final = len(MIGRATIONS)

_TABLES: Final = frozenset(["meta", "task_name", "job", "payload", "result", "attempt", "runner", "stat"])
"""Of every journal, by which one without its mark is known."""

MOVED_TO: Final = "moved_to"
"""The key of `meta` that says where the journal has been moved to; then it is only read."""

SMALL: Final = 64 * 1024 * 1024
"""Bytes up to which a journal that was not closed cleanly is checked before it is used."""

_ELSEWHERE: Final = "name another place for the journal (store=, or --store)"

BUSY_MS: Final = 250
"""How long one attempt waits for a program that has locked the database without our lock."""

WAL_LIMIT: Final = 16 * 1024 * 1024
"""Bytes to which the WAL's file is cut once what has let it grow beyond that is over."""

_FIXED: Final = ((3, 44, 6), (3, 50, 7), (3, 51, 3))
"""First versions, of each line, without the bug that corrupts a WAL with several connections."""


def check_library(version: str | None = None) -> None:
    """Refuse an SQLite that can corrupt a journal (the WAL-reset bug, fixed in 3.51.3)."""
    text = version or apsw.sqlite_lib_version()
    have = tuple(int(part) for part in text.split("."))
    fixed = have >= _FIXED[-1] or any(have[:2] == fix[:2] and have >= fix for fix in _FIXED)
    if not fixed:
        raise JournalRefused(
            f"SQLite {text} can corrupt a journal that several processes write; "
            "install the package apsw 3.51.3 or newer, which carries its own SQLite"
        )


def open_writer(path: Path) -> apsw.Connection:
    """Open the writer's connection, durable at every commit."""
    db = apsw.Connection(
        str(path), flags=apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_NOFOLLOW, statementcachesize=256
    )
    db.set_busy_timeout(BUSY_MS)
    try:
        recognise(db, path)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA fullfsync = ON")
        db.execute("PRAGMA temp_store = MEMORY")
        db.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT}")
        db.wal_autocheckpoint(0)  # it would keep those waiting whose commit it follows: see Backend.tidy
    except BaseException:
        db.close()
        raise
    return db


def open_reader(path: Path) -> apsw.Connection:
    """Open a connection that cannot write; the journal must exist."""
    path = path.parent.resolve() / path.name  # NOFOLLOW is meant for the file, not for its folders
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_NOFOLLOW)
    db.set_busy_timeout(BUSY_MS)
    try:
        recognise(db, path)
        version = _version(db, path)
        if version == 0:
            raise JournalRefused(f"{path} holds no journal yet")
        check_version(db, path, "min_reader")
        if version < VERSION:
            _fill_in(db)
    except BaseException:
        db.close()
        raise
    return db


def _fill_in(db: apsw.Connection) -> None:
    """Let a reader find what later versions have brought, empty, in a journal that nobody has migrated."""
    new = apsw.Connection(":memory:")
    try:
        new.execute("".join(MIGRATIONS))
        tables: Any = new.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'").fetchall()
        for table, sql in tables:
            there = _columns(db, table)
            missing = [
                f"{default} AS {name}" for name, default in _columns(new, table).items() if name not in there
            ]
            if not missing:
                continue
            db.execute("PRAGMA temp_store = MEMORY")
            if there:
                db.execute(f"CREATE TEMP VIEW {table} AS SELECT *, {', '.join(missing)} FROM main.{table}")
            else:
                db.execute(sql.replace("CREATE TABLE", "CREATE TEMP TABLE", 1))
    finally:
        new.close()


def _columns(db: apsw.Connection, table: str) -> dict[str, str]:
    columns = "SELECT name, coalesce(dflt_value, 'NULL') FROM pragma_table_info(?)"
    rows: Any = db.execute(columns, (table,)).fetchall()
    return dict(rows)


def recognise(db: apsw.Connection, path: Path) -> None:
    """Refuse what is no journal.

    Raises:
        JournalRefused: it is none.
    """
    try:
        mark = db.execute("PRAGMA application_id").get
        tables = db.execute("SELECT count(*) FROM sqlite_master").get
    except apsw.NotADBError as error:
        raise JournalRefused(f"{path} is no journal, nor any database; {_ELSEWHERE}") from error
    if mark != APPLICATION_ID and (mark or tables) and not (mark == 0 and _is_dumped(db)):
        raise JournalRefused(f"{path} is another program's database; {_ELSEWHERE}")


def _is_dumped(db: apsw.Connection) -> bool:
    """Say whether a file without a mark is a journal that was written anew from its dump, which has none."""
    names = db.execute("SELECT json_group_array(name) FROM sqlite_master WHERE type = 'table'").get
    if not set(json.loads(str(names))) >= _TABLES:
        return False
    try:
        return bool(db.execute("SELECT count(*) = 2 FROM meta WHERE key IN ('version', 'epoch')").get)
    except apsw.SQLError:
        return False


def _version(db: apsw.Connection, path: Path) -> int:
    if not db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'meta'").get:
        return 0
    return _number(db, path, "version")


def _number(db: apsw.Connection, path: Path, key: str) -> int:
    found = db.execute("SELECT value FROM meta WHERE key = ? AND typeof(value) = 'integer'", (key,)).get
    if not isinstance(found, int) or found < 1:
        raise JournalRefused(_damaged(path, f"meta has no {key}"))
    return found


def _damaged(path: Path, how: str) -> str:
    return (
        f"the journal {path} is damaged ({how}); move it away to start afresh, and keep it: "
        "what can be read of it can be recovered"
    )


_OF_ONE_ROW: Final = re.compile("(NULL|TEXT|NUMERIC|non-[A-Z]+) value in |CHECK constraint failed in ")
"""Reports of damage that costs a job only itself: it is set aside when somebody stumbles over it."""


def check_version(db: apsw.Connection, path: Path, key: str) -> None:
    """Refuse a journal whose `key` (`min_reader`, `min_writer`) is beyond this release."""
    least = _number(db, path, key)
    if least > VERSION:
        raise JournalRefused(
            f"{path} was made by a newer Postlude (it needs version {least} of the journal, this one "
            f"knows {VERSION}); upgrade Postlude"
        )


def _check_moved(db: apsw.Connection, path: Path) -> None:
    mark = db.execute("SELECT value FROM meta WHERE key = ?", (MOVED_TO,)).get
    if mark is not None:
        raise JournalRefused(
            f"the journal {path} has been moved to {json.loads(str(mark))[0]}: set POSTLUDE_STORE to that, "
            "or let this one be used again with `postlude move --undo`, which has its jobs run here as well"
        )


def migrate(db: apsw.Connection, path: Path) -> None:
    """Bring the journal to this release's version, in one transaction; the first that comes does it."""
    db.execute("BEGIN IMMEDIATE")
    try:
        version = _version(db, path)
        if version:
            check_version(db, path, "min_writer")
            _check_moved(db, path)
        for step in MIGRATIONS[version:]:
            db.execute(step)
        if db.execute("PRAGMA application_id").get != APPLICATION_ID:
            db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        if version == 0:
            db.execute(
                "INSERT INTO meta VALUES ('host', ?), ('epoch', ?)",
                (socket.gethostname(), secrets.token_hex(8)),
            )
        if version < VERSION:
            db.execute("UPDATE meta SET value = ? WHERE key = 'version'", (VERSION,))
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise


def check_integrity(db: apsw.Connection, path: Path) -> None:
    """Check a small journal that was not closed cleanly before anything is built on it."""
    if path.stat().st_size > SMALL or not db.execute("SELECT count(*) FROM runner").get:
        return
    for (report,) in db.execute("PRAGMA quick_check(1000)"):
        if report != "ok" and not _OF_ONE_ROW.match(report):
            raise JournalRefused(_damaged(path, report))
