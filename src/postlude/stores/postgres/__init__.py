"""The journal in a PostgreSQL database (extra `postlude[postgres]`)."""

from postlude.stores.postgres.looking import PostgresReading
from postlude.stores.postgres.moving import WholePostgres
from postlude.stores.postgres.store import PostgresStore

__all__ = ["PostgresReading", "PostgresStore", "WholePostgres"]
