"""Connections to a PostgreSQL journal: opening, checking and migrating it."""

import re
import secrets
import zlib
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from postlude.errors import JournalRefused, JournalUnavailable
from postlude.stores.postgres.sql import MIGRATIONS
from postlude.stores.postgres.transaction import Connection

VERSION: Final = len(MIGRATIONS)
SCHEMA: Final = "postlude"
CONNECT_WITHIN: Final = 5
"""Seconds that a connection may take."""

OLDEST: Final = 140000
"""The oldest server that has what is needed: PostgreSQL 14."""


def connect(url: str, name: str) -> Connection:
    """Open a connection; each statement is its own transaction until `BEGIN`.

    Args:
        url: where, as libpq reads it.
        name: what the server calls it in `pg_stat_activity`.

    Raises:
        psycopg.Error: it cannot be opened now.
    """
    wanted: dict[str, Any] = {"connect_timeout": CONNECT_WITHIN, "application_name": name}
    given = conninfo_to_dict(url)
    conninfo = make_conninfo(url, **{key: value for key, value in wanted.items() if key not in given})
    return psycopg.connect(conninfo, autocommit=True, cursor_factory=psycopg.RawCursor)


def connect_durably(url: str, token: str) -> Connection:
    """Open a connection whose commits are on the disk when they are answered, whatever is usual there."""
    db = connect(url, f"postlude-writer {token}")
    try:
        # What waits for more than the disk (a standby) is left as it is.
        db.execute(
            "SELECT set_config('synchronous_commit', 'on', false) "
            "WHERE current_setting('synchronous_commit') = 'off'"
        )
    except BaseException:
        db.close()
        raise
    return db


def channel_of(schema: str) -> str:
    """Return what is notified when a journal was written."""
    return f"written_{schema}"


def space_of(schema: str) -> int:
    """Return the first number of a journal's advisory locks."""
    return zlib.crc32(f"postlude:{schema}".encode()) - 2**31


def shown(url: str, schema: str) -> str:
    """Return where a journal is, without passwords and hosts."""
    name = conninfo_to_dict(url).get("dbname") or "?"
    return f"postgresql://***/{name}" + ("" if schema == SCHEMA else f" (schema {schema})")


def reason(error: Exception) -> str:
    """Return what an error of the driver says, in one line, without hosts and addresses."""
    text = " ".join(str(error).split())
    text = re.sub(r'(connection to server )?(at |on )"[^"]*"( \([^)]*\))?,? port \d+ failed: ', "", text)
    return re.sub(r"Is the server running on that host.*", "", text).strip() or type(error).__name__


def migrate(db: Connection, schema: str) -> None:
    """Bring the journal to this release's version, in one transaction; the first that comes does it.

    Raises:
        JournalRefused: a newer release has made it, or the server is too old.
    """
    if db.info.server_version < OLDEST:
        raise JournalRefused(
            f"PostgreSQL {db.info.server_version // 10000} is too old; 14 or newer is needed"
        )
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", schema):
        raise JournalRefused(f"schema {schema!r}: give lower-case letters, digits and underscores")
    with db.transaction():
        db.execute("SELECT pg_advisory_xact_lock($1::integer, 0)", [space_of(schema)])
        version = _version(db, schema)
        if version > VERSION:
            raise JournalRefused(
                f"the journal was made by a newer Postlude (version {version}, this one knows {VERSION}); "
                f"upgrade Postlude"
            )
        if version == 0:
            db.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        for step in MIGRATIONS[version:]:
            db.execute(step.replace("$schema", schema))
        if version == 0:
            db.execute(
                f"INSERT INTO {schema}.meta VALUES ('epoch', $1)",
                [secrets.token_hex(8)],
            )
        if version < VERSION:
            db.execute(
                f"INSERT INTO {schema}.meta VALUES ('version', $1) "
                "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                [str(VERSION)],
            )


def check(db: Connection, schema: str) -> None:
    """Make sure that there is a journal that this release can read.

    Raises:
        JournalUnavailable: there is none. JournalRefused: a newer release has made it.
    """
    version = _version(db, schema)
    if version == 0:
        raise JournalUnavailable("no journal is there yet; start the application, which makes it")
    if version > VERSION:
        raise JournalRefused(
            f"the journal was made by a newer Postlude (version {version}); upgrade Postlude"
        )


def _version(db: Connection, schema: str) -> int:
    (there,) = db.execute("SELECT to_regclass($1) IS NOT NULL", [f"{schema}.meta"]).fetchone() or (False,)
    if not there:
        return 0
    row = db.execute(f"SELECT value FROM {schema}.meta WHERE key = 'version'").fetchone()
    return int(row[0]) if row is not None else 0
