"""What type checkers are told of sessions and connections, none of which is imported."""

from collections.abc import Coroutine
from typing import Any, Protocol


class HasSyncSession(Protocol):
    """An `AsyncSession` of SQLAlchemy's or SQLModel's."""

    @property
    def sync_session(self) -> Any: ...


class CommitsAtOnce(Protocol):
    """A sync session or connection of SQLAlchemy's, SQLModel's or psycopg's."""

    def commit(self) -> None: ...


class ClosesLater(Protocol):
    """An async connection of SQLAlchemy's, psycopg's or asyncpg's."""

    def close(self) -> Coroutine[Any, Any, None]: ...
