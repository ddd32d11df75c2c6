"""Connections to a PostgreSQL journal: opening, checking and migrating it."""

import json
import re
import secrets
import select
import zlib
from typing import Any, Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Escaping, ExecStatus

from postlude.errors import JournalRefused, JournalUnavailable
from postlude.stores.postgres.sql import MIGRATIONS
from postlude.stores.postgres.transaction import Connection

VERSION: Final = len(MIGRATIONS)
SCHEMA: Final = "postlude"

MOVED_TO: Final = "moved_to"
"""The key of `meta` that says where the journal has been moved to; then it is only read."""

CONNECT_WITHIN: Final = 5
"""Seconds that a connection may take."""

STOPPED_AFTER: Final = 5000
"""Milliseconds after which the server ends a group whose process says no more: it is stopped, or its host is
lost, and all others wait for its turn to be over."""

PREPARE_AFTER: Final = 5
"""Times that a statement has run before it is prepared: the driver's own number."""

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
    db = psycopg.connect(conninfo, autocommit=True, cursor_factory=psycopg.RawCursor, prepare_threshold=None)
    try:
        found = db.execute("SELECT pg_backend_pid()").fetchone()
    except BaseException:
        db.close()
        raise
    if found == (db.info.backend_pid,):
        db.prepare_threshold = PREPARE_AFTER
    return db


def is_pooled(db: Connection) -> bool:
    """Say whether a pooler stands before the server: the next transaction may be another session's.

    So nothing may be left in a session: no prepared statement, no setting, no lock, no LISTEN. A pooler in
    session mode is taken for one in transaction mode, since they cannot be told apart.
    """
    return db.prepare_threshold is None


GUARDED: Final = (
    "SELECT set_config('synchronous_commit', 'on', {local}) "
    "WHERE current_setting('synchronous_commit') = 'off'",
    f"SELECT set_config(name, '{STOPPED_AFTER}', {{local}}) FROM pg_settings "
    "WHERE name = 'idle_in_transaction_session_timeout' "
    f"AND setting::bigint NOT BETWEEN 1 AND {STOPPED_AFTER}",
)
"""Commits are on the disk when they are answered; what waits for more (a standby) is left as it is. And a
group that says no more is ended."""

PLANNED: Final = (
    *("jit = off", "enable_seqscan = off", "enable_bitmapscan = off"),
    "plan_cache_mode = force_generic_plan",
)
"""How the writer has its statements planned: each is to find few rows by an index, however many there are,
and once for all values, for to plan it again may take longer than to run it. What the server believes of the
table was true some minutes ago, when it was empty or had a million jobs."""


def is_ended(db: Connection) -> bool:
    """Say whether the server has ended a connection on which nothing goes on."""
    try:
        readable, _, _ = select.select([db.fileno()], [], [], 0)
    except (psycopg.Error, OSError, ValueError):
        return True
    return bool(readable)


def connect_durably(url: str, token: str) -> Connection:
    """Open a connection whose commits are on the disk when they are answered, whatever is usual there."""
    db = connect(url, f"postlude-writer {token}")
    try:
        if not is_pooled(db):
            settings = [f"SET {each}" for each in PLANNED]
            db.execute(";".join([*(each.format(local="false") for each in GUARDED), *settings]))
    except BaseException:
        db.close()
        raise
    return db


def channel_of(schema: str) -> str:
    """Return what is notified when a journal was written."""
    return f"written_{schema}"


def notify(db: Connection, channel: str, text: str) -> bool:
    """Tell all who listen to a channel; False: the connection is of no use any more.

    It comes after each group, so it goes past the driver's cursor and the server's planner.
    """
    encoding = db.info.encoding
    literal = Escaping(db.pgconn).escape_literal(text.encode(encoding))
    try:
        answer = db.pgconn.exec_(b"NOTIFY %b, %b" % (channel.encode(encoding), literal))
    except psycopg.Error:
        return False
    return answer.status == ExecStatus.COMMAND_OK


def roll_back(db: Connection) -> bool:
    """Undo the transaction, if there is one; False: the connection is of no use any more.

    Past the driver, which has the server forget all prepared statements when it sees this.
    """
    try:
        answer = db.pgconn.exec_(b"ROLLBACK")
    except psycopg.Error:
        return False
    return answer.status == ExecStatus.COMMAND_OK


def space_of(schema: str) -> int:
    """Return the first number of a journal's advisory locks."""
    return zlib.crc32(f"postlude:{schema}".encode()) - 2**31


_PLACES: Final = tuple(
    (re.compile(named), instead)
    for named, instead in (
        (r'(connection to server )?(at|on)( socket)? "[^"]*"( \([^)]*\))?(, port \d+)? failed: ', ""),
        (r"Is the server running (on that host|locally).*?\?", ""),
        (r"failed to resolve host '[^']*'", "failed to resolve the host"),
        (r'could not translate host name "[^"]*" to address', "could not resolve the host"),
        (r'\b(entry|connection|server) for host "[^"]*"', r"\1 for this host"),
        (r"host: '[^']*', port: '?[^',]*'?, hostaddr: '?[^',:]*'?", "a host"),
    )
)
"""How libpq and its driver name hosts and addresses, and what is said instead. Where that is shown, their own
error is not (`from None`), since tracebacks would name them."""


def shown(url: str, schema: str) -> str:
    """Return where a journal is, without passwords and hosts."""
    name = conninfo_to_dict(url).get("dbname") or "?"
    return f"postgresql://***/{name}" + ("" if schema == SCHEMA else f" (schema {schema})")


def reason(error: Exception) -> str:
    """Return what an error of the driver says, in one line, without hosts and addresses."""
    text = " ".join(str(error).split())
    for named, instead in _PLACES:
        text = named.sub(instead, text)
    return text.strip() or type(error).__name__


def migrate(db: Connection, schema: str) -> None:
    """Bring the journal to this release's version, in one transaction; the first that comes does it.

    Raises:
        JournalRefused: a newer release has made it, and says that this one must not write it; the server is
            too old; the user of the URL may not.
    """
    if db.info.server_version < OLDEST:
        raise JournalRefused(
            f"PostgreSQL {db.info.server_version // 10000} is too old; 14 or newer is needed"
        )
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", schema):
        raise JournalRefused(f"schema {schema!r}: give lower-case letters, digits and underscores")
    try:
        with db.transaction():
            db.execute("SELECT pg_advisory_xact_lock($1::integer, 0)", [space_of(schema)])
            _migrate(db, schema)
    except psycopg.errors.InsufficientPrivilege as error:
        raise JournalRefused(_not_allowed(db, schema, error)) from error


def _migrate(db: Connection, schema: str) -> None:
    meta = _meta(db, schema)
    version = _number(meta, "version", schema)
    if version:
        _check_version(meta, "min_writer", schema)
        _check_moved(meta, schema)
    if version == 0 and db.execute("SELECT to_regnamespace($1) IS NULL", [schema]).fetchone() == (True,):
        db.execute(f"CREATE SCHEMA {schema}")
    for step in MIGRATIONS[version:]:
        db.execute(step.replace("$schema", schema))
    if version == 0:
        db.execute(f"INSERT INTO {schema}.meta VALUES ('epoch', $1)", [secrets.token_hex(8)])
    if version < VERSION:
        db.execute(
            f"INSERT INTO {schema}.meta VALUES ('version', $1) "
            "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            [str(VERSION)],
        )


def check(db: Connection, schema: str) -> None:
    """Make sure that there is a journal that this release can read.

    Raises:
        JournalUnavailable: there is none.
        JournalRefused: it is of another form, or this user may not read it.
    """
    try:
        meta = _meta(db, schema)
    except psycopg.errors.InsufficientPrivilege as error:
        raise JournalRefused(_not_allowed(db, schema, error)) from error
    version = _number(meta, "version", schema)
    if version == 0:
        raise JournalUnavailable("no journal is there yet; start the application, or run `postlude migrate`")
    _check_version(meta, "min_reader", schema)
    if version < VERSION:
        raise JournalRefused(
            f"the journal has the form of an older release (version {version}, this one needs {VERSION}); "
            "start the application with this release first, or run `postlude migrate`, or look at it with "
            "the release that it runs"
        )


def epoch_of(db: Connection, schema: str) -> str:
    """Return what tells a journal from all others."""
    row = db.execute(f"SELECT value FROM {schema}.meta WHERE key = 'epoch'").fetchone()
    return str(row[0]) if row is not None else ""


def _check_version(meta: dict[str, str], key: str, schema: str) -> None:
    """Refuse a journal whose `key` (`min_reader`, `min_writer`) is beyond this release."""
    least = _number(meta, key, schema)
    if least > VERSION:
        raise JournalRefused(
            f"the journal was made by a newer Postlude (it needs version {least} of the journal, this one "
            f"knows {VERSION}); upgrade Postlude"
        )


def _check_moved(meta: dict[str, str], schema: str) -> None:
    if (mark := meta.get(MOVED_TO)) is not None:
        raise JournalRefused(
            f"the journal has been moved to {json.loads(mark)[0]}: set POSTLUDE_STORE to that, or let this "
            "one be used again with `postlude move --undo`, which has its jobs run here as well"
        )


def _meta(db: Connection, schema: str) -> dict[str, str]:
    """Return what a journal says of itself; nothing if there is none."""
    (there,) = db.execute("SELECT to_regclass($1) IS NOT NULL", [f"{schema}.meta"]).fetchone() or (False,)
    if not there:
        return {}
    rows: list[Any] = db.execute(f"SELECT key, value FROM {schema}.meta").fetchall()
    return dict(rows)


def _number(meta: dict[str, str], key: str, schema: str) -> int:
    if not meta:
        return 0
    found = meta.get(key, "")
    if not found.isdigit() or int(found) < 1:
        raise JournalRefused(f"the journal in the schema {schema} is damaged: its meta has no {key}")
    return int(found)


def _not_allowed(db: Connection, schema: str, error: psycopg.Error) -> str:
    """Return what is said to a user who lacks a right."""
    row: Any = db.execute(
        "SELECT current_user, current_database(), "
        "(SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = $1)",
        [schema],
    ).fetchone()
    user, database, owner = row
    remedy = (
        f"GRANT CREATE ON DATABASE {database} TO {user}, or have another user make it: "
        f"CREATE SCHEMA {schema} AUTHORIZATION {user}"
        if owner is None
        else f"it belongs to {owner}: use that user's name in the URL, or GRANT {owner} TO {user}"
    )
    what = f"the user {user} may not make or change the journal in the schema {schema}"
    return f"{what} ({reason(error)}); {remedy}"
