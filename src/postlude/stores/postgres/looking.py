"""Looking into a PostgreSQL journal that exists, for whoever only looks."""

from collections.abc import Callable
from typing import TypeVar

from postlude.errors import JournalUnavailable
from postlude.stores.grouped.reading import Lookups, Reader
from postlude.stores.postgres.connection import SCHEMA, shown
from postlude.stores.postgres.reader import PostgresReader
from postlude.stores.reply import Reply

T = TypeVar("T")


class PostgresReading(Lookups):
    """A journal that exists, opened to look at it, in one thread that may wait for the server.

    Args:
        url: where it is, as libpq reads it.
        schema: its schema.

    Raises:
        JournalRefused: it is not a journal that this release can read.
        JournalUnavailable: no journal is there, or it cannot be reached.
    """

    def __init__(self, url: str, schema: str = SCHEMA) -> None:
        self._where = shown(url, schema)
        self._reader = PostgresReader(url, schema)

    @property
    def location(self) -> str:
        """Where it is, without passwords and hosts."""
        return self._where

    @property
    def current(self) -> bool:
        """Whether it has the form that this release writes."""
        return True

    def close(self) -> None:
        """Close it."""
        self._reader.close()

    def _look(self, look: Callable[[Reader], T]) -> Reply[T]:
        try:
            return Reply.of(look(self._reader))
        except JournalUnavailable as error:
            return Reply.failed(error)
