"""Connections of psycopg and asyncpg, to the journal's own database. Neither is imported here."""

import sys
from typing import Any

from postlude.enqueue.joined.target import Journal, Ticket, refuse


def way_of(given: Any, target: Journal) -> "Psycopg | AsyncPsycopg | Asyncpg | None":
    """Return how a connection is written to; None: it is none of these."""
    psycopg: Any = sys.modules.get("psycopg")
    if psycopg is not None and isinstance(given, psycopg.Connection):
        return Psycopg(given, target)
    if psycopg is not None and isinstance(given, psycopg.AsyncConnection):
        return AsyncPsycopg(given, target)
    asyncpg: Any = sys.modules.get("asyncpg")
    if asyncpg is not None and isinstance(given, asyncpg.Connection | asyncpg.pool.PoolConnectionProxy):
        return Asyncpg(given, target)
    return None


class Psycopg:
    """A sync connection of psycopg."""

    waits = False

    def __init__(self, connection: Any, target: Journal) -> None:
        self._connection = connection
        self._target = target

    def write(self, ticket: Ticket) -> None:
        """Write a job to the transaction, which begins if none has."""
        import psycopg

        # A cursor of its own class: the connection's may take other forms of parameters.
        try:
            with psycopg.Cursor(self._connection) as cursor:
                words = self._target.words("%s::text", "%s::text")
                cursor.execute(words.encode(), self._target.values([ticket.joining()]))
        except Exception as error:
            refuse(error)
        self._target.expect()


class AsyncPsycopg:
    """An async connection of psycopg."""

    waits = True

    def __init__(self, connection: Any, target: Journal) -> None:
        self._connection = connection
        self._target = target

    async def write(self, ticket: Ticket) -> None:
        """Write a job to the transaction, which begins if none has."""
        import psycopg

        if ticket.give is not None:
            await ticket.give()
        try:
            async with psycopg.AsyncCursor(self._connection) as cursor:
                words = self._target.words("%s::text", "%s::text")
                await cursor.execute(words.encode(), self._target.values([ticket.joining()]))
        except Exception as error:
            refuse(error)
        self._target.expect()


class Asyncpg:
    """A connection of asyncpg, or one that a pool has lent."""

    waits = True

    def __init__(self, connection: Any, target: Journal) -> None:
        self._connection = connection
        self._target = target

    async def write(self, ticket: Ticket) -> None:
        """Write a job to the transaction; without one it is stored at once."""
        if ticket.give is not None:
            await ticket.give()
        values = self._target.values([ticket.joining()])
        try:
            await self._connection.execute(self._target.words("$1::text", "$2::text"), *values)
        except Exception as error:
            refuse(error)
        self._target.expect()
