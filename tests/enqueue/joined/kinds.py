"""The kinds of session and connection that jobs can join, each with the same few things to do.

Imported by tests, by the processes that they kill, and by `bench.joined`.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any, Final, NamedTuple, TypeVar

import asyncpg  # type: ignore[import-untyped]
import psycopg
from sqlalchemy import create_engine, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session
from sqlmodel import Session as SQLModelSession
from sqlmodel.ext.asyncio.session import AsyncSession as AsyncSQLModelSession

from postlude import Postlude
from postlude.model.job import JobFilter

T = TypeVar("T")

TABLE: Final = "CREATE TABLE IF NOT EXISTS orders (n bigint PRIMARY KEY)"


async def note(n: int) -> None: ...


async def called(postlude: Postlude) -> list[int]:
    """Return with what jobs are called that are in the journal."""
    page = await postlude.components.store.page(JobFilter(limit=100_000))
    calls = (json.loads(job.payload) for job in page)
    return sorted(int(*said["a"], *said["k"].values()) for said in calls)


class Undone(Exception):
    """Raised to undo a transaction."""


@asynccontextmanager
async def undone(inner: AbstractAsyncContextManager[T]) -> AsyncIterator[T]:
    """Undo a transaction, or what is within a savepoint."""
    try:
        async with inner as it:
            yield it
            raise Undone
    except Undone:
        pass


class Tx(NamedTuple):
    """What is done in a transaction that is under way."""

    run: Callable[[str], Awaitable[Any]]
    """Execute SQL."""
    add: Callable[..., Awaitable[Any]]
    """Add a job."""
    savepoint: Callable[[], AbstractAsyncContextManager[Any]]
    commit_below: Callable[[], Awaitable[None]] | None = None
    """Commit on what is below a session."""

    async def order(self, n: int) -> None:
        """Store data, and the job that belongs to them."""
        await self.run(f"INSERT INTO orders VALUES ({n})")
        await self.add(note, n)


Begin = Callable[[], AbstractAsyncContextManager[Tx]]
"""Begins a transaction, and ends it: by a commit, or undone if anything is raised."""


def _later(call: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
    async def make(*args: Any) -> Any:
        return call(*args)

    return make


def _sync_savepoint(begin: Callable[[], Any]) -> Callable[[], AbstractAsyncContextManager[Any]]:
    @asynccontextmanager
    async def savepoint() -> AsyncIterator[None]:
        with begin():
            yield

    return savepoint


class Kind:
    """One of them, in a database.

    Args:
        postlude: whose jobs join.
        url: of a server, as `postgresql://...`, or of a file, `sqlite:///...`.
    """

    def __init__(self, postlude: Postlude, url: str) -> None:
        self.postlude = postlude
        self.url = url
        self.close: Callable[[], Any] | None = None
        self.engine: Any = None

    async def end(self) -> None:
        """Close what it has opened."""
        if self.close is not None:
            closed = self.close()
            if hasattr(closed, "__await__"):
                await closed

    def _driver(self, name: str) -> str:
        scheme, rest = self.url.split("://", 1)
        return f"{scheme}+{name}://{rest}" if name else self.url

    # SQLAlchemy, sync

    def session(self, driver: str, kind: Any = Session) -> Begin:
        engine = create_engine(self._driver(driver))
        self.close = engine.dispose
        self.engine = engine

        @asynccontextmanager
        async def begin() -> AsyncIterator[Tx]:
            with kind(engine) as session, session.begin():
                tasks = self.postlude.within(session)
                yield Tx(
                    _later(lambda sql: session.execute(text(sql))),
                    _later(tasks.add_task),
                    _sync_savepoint(session.begin_nested),
                    _later(lambda: session.connection().commit()),
                )

        return begin

    def connection(self, driver: str) -> Begin:
        engine = create_engine(self._driver(driver))
        self.close = engine.dispose
        self.engine = engine

        @asynccontextmanager
        async def begin() -> AsyncIterator[Tx]:
            with engine.begin() as connection:
                tasks = self.postlude.within(connection)
                yield Tx(
                    _later(lambda sql: connection.execute(text(sql))),
                    _later(tasks.add_task),
                    _sync_savepoint(connection.begin_nested),
                )

        return begin

    # SQLAlchemy, async

    def async_session(self, driver: str, kind: Any = AsyncSession) -> Begin:
        engine = create_async_engine(self._driver(driver))
        self.close = engine.dispose
        self.engine = engine

        @asynccontextmanager
        async def begin() -> AsyncIterator[Tx]:
            async with kind(engine) as session, session.begin():
                tasks = self.postlude.within(session)

                async def commit_below() -> None:
                    await (await session.connection()).commit()

                yield Tx(
                    lambda sql: session.execute(text(sql)),
                    _later(tasks.add_task),
                    session.begin_nested,
                    commit_below,
                )

        return begin

    def async_connection(self, driver: str) -> Begin:
        engine = create_async_engine(self._driver(driver))
        self.close = engine.dispose
        self.engine = engine

        @asynccontextmanager
        async def begin() -> AsyncIterator[Tx]:
            async with engine.begin() as connection:
                tasks = self.postlude.within(connection)
                yield Tx(lambda sql: connection.execute(text(sql)), tasks.add_task, connection.begin_nested)

        return begin

    # drivers

    def psycopg(self) -> Begin:
        connection = psycopg.connect(self.url)
        self.close = connection.close

        @asynccontextmanager
        async def begin() -> AsyncIterator[Tx]:
            with connection.transaction():
                tasks = self.postlude.within(connection)
                yield Tx(
                    _later(lambda sql: connection.execute(sql)),
                    _later(tasks.add_task),
                    _sync_savepoint(contextmanager(_transaction(connection))),
                )

        return begin

    def async_psycopg(self) -> Begin:
        @asynccontextmanager
        async def begin() -> AsyncIterator[Tx]:
            async with (
                await psycopg.AsyncConnection.connect(self.url) as connection,
                connection.transaction(),
            ):
                tasks = self.postlude.within(connection)
                yield Tx(lambda sql: connection.execute(sql.encode()), tasks.add_task, connection.transaction)

        return begin

    def asyncpg(self) -> Begin:
        @asynccontextmanager
        async def begin() -> AsyncIterator[Tx]:
            connection = await asyncpg.connect(self.url)
            try:
                async with connection.transaction():
                    tasks = self.postlude.within(connection)
                    yield Tx(connection.execute, tasks.add_task, connection.transaction)
            finally:
                await connection.close()

        return begin


def _transaction(connection: Any) -> Callable[[], Any]:
    def transaction() -> Any:
        with connection.transaction():
            yield

    return transaction


POSTGRES: Final[dict[str, Callable[[Kind], Begin]]] = {
    "session-psycopg": lambda kind: kind.session("psycopg"),
    "sqlmodel-session": lambda kind: kind.session("psycopg", SQLModelSession),
    "connection-psycopg": lambda kind: kind.connection("psycopg"),
    "async-session-asyncpg": lambda kind: kind.async_session("asyncpg"),
    "async-session-psycopg": lambda kind: kind.async_session("psycopg"),
    "sqlmodel-async-session": lambda kind: kind.async_session("asyncpg", AsyncSQLModelSession),
    "async-connection-asyncpg": lambda kind: kind.async_connection("asyncpg"),
    "async-connection-psycopg": lambda kind: kind.async_connection("psycopg"),
    "psycopg": lambda kind: kind.psycopg(),
    "async-psycopg": lambda kind: kind.async_psycopg(),
    "asyncpg": lambda kind: kind.asyncpg(),
}

SQLITE: Final[dict[str, Callable[[Kind], Begin]]] = {
    "sqlite-session": lambda kind: kind.session(""),
    "sqlite-sqlmodel-session": lambda kind: kind.session("", SQLModelSession),
    "sqlite-connection": lambda kind: kind.connection(""),
    "sqlite-async-session": lambda kind: kind.async_session("aiosqlite"),
    "sqlite-async-connection": lambda kind: kind.async_connection("aiosqlite"),
}

MYSQL: Final[dict[str, Callable[[Kind], Begin]]] = {
    "mysql-session": lambda kind: kind.session("pymysql"),
    "mysql-connection": lambda kind: kind.connection("pymysql"),
}
