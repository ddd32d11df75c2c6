"""The journal in an SQLite file beside the application (the default)."""

from postlude.stores.sqlite.looking import SqliteReading
from postlude.stores.sqlite.moving import WholeSqlite
from postlude.stores.sqlite.store import SqliteStore

__all__ = ["SqliteReading", "SqliteStore", "WholeSqlite"]
