"""A table in the application's own database, in which jobs wait for the journal, which is elsewhere.

Imported only when an application has declared one: it needs SQLAlchemy.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Column, Engine, MetaData, String, Table, Text, delete, func, insert, inspect, select
from sqlalchemy.dialects.mysql import LONGTEXT
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import StaticPool

from postlude.clock import SECOND
from postlude.enqueue.joined.announcer import Announcer
from postlude.enqueue.joined.taking_over import take_over
from postlude.enqueue.joined.target import Statement
from postlude.errors import CannotJoin
from postlude.model.event.runner import DutyFailed
from postlude.model.joining import Joining, text_of
from postlude.stores.loops import call_on
from postlude.stores.protocol import Store

NAME: Final = "postlude_outbox"

MOST: Final = 500
"""Jobs that are taken over at once."""

LOOK_EVERY: Final = 2 * SECOND
"""Microseconds after which is looked for what other processes have left."""

_TABLE: Final = Table(
    NAME,
    MetaData(),
    Column("id", String(32), primary_key=True),
    Column("job", Text().with_variant(LONGTEXT(), "mysql", "mariadb"), nullable=False),
    mysql_engine="InnoDB",
    mariadb_engine="InnoDB",
)


class Outbox:
    """The table of one database, and its way to the journal.

    A job is deleted there once the journal has it; who finds it again after a death in between finds its id
    in the journal.

    Args:
        engine: the application's own, sync or async.

    Raises:
        CannotJoin: all of its sessions share one connection, and with that one transaction.
    """

    def __init__(self, engine: Engine | AsyncEngine) -> None:
        self.engine = engine.sync_engine if isinstance(engine, AsyncEngine) else engine
        self._async = engine if isinstance(engine, AsyncEngine) else None
        if isinstance(self.engine.pool, StaticPool):
            raise CannotJoin(
                "postlude.outbox(engine): all sessions of this engine share one connection (StaticPool), and "
                "what is done there for the outbox would be part of their transactions; give a file's"
            )
        self._announcer = Announcer(self._look)
        self._store: Store | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._again = False
        self.ready = False
        """Whether the table is there."""

    def is_of(self, engine: Any) -> bool:
        """Whether transactions of this engine can write here."""
        own, other = self.engine.url, engine.url
        if engine is self.engine or engine.pool is self.engine.pool:
            return True
        places = [(url.get_backend_name(), url.host, url.port, url.database) for url in (own, other)]
        return places[0] == places[1] and own.database not in (None, "", ":memory:")

    # -- writing -----------------------------------------------------------------------------------

    def sqlalchemy(self, joinings: Sequence[Joining]) -> Statement:
        """Return what SQLAlchemy executes."""
        rows = [{"id": joining.job.id.hex(), "job": text_of([joining])[1:-1]} for joining in joinings]
        return Statement(insert(_TABLE), rows)

    def announce(self) -> None:
        """Look now: a transaction is committed."""
        self._announcer.expect(0.0)

    def expect(self) -> None:
        """Look a few times: one may be soon."""
        self._announcer.expect()

    # -- its life ----------------------------------------------------------------------------------

    async def open(self, store: Store) -> None:
        """Make the table, if it is missing, and take over what has been left there."""
        self._store, self._loop = store, asyncio.get_running_loop()
        try:
            if self._async is not None:
                await self._make_later()
            else:
                await asyncio.to_thread(self._make_here)
        except Exception as error:  # the database is not there now: it is tried again
            self._failed(error)
        self._announcer.every = LOOK_EVERY / SECOND
        self.announce()

    def open_here(self, store: Store) -> None:
        """Do so without an event loop.

        Raises:
            CannotJoin: the engine is an async one.
        """
        if self.ready:
            return
        if self._async is not None:
            raise CannotJoin(
                "the outbox of an async engine is made when the application starts; without a lifespan, "
                "`await postlude.open()` first"
            )
        self._store = store
        self._make_here()
        self.announce()

    def _make_here(self) -> None:
        if not self.ready:
            with self.engine.connect() as connection:
                _make(connection)
            self.ready = True

    async def _make_later(self) -> None:
        assert self._async is not None
        if not self.ready:
            async with self._async.connect() as connection:
                await connection.run_sync(_make)
            self.ready = True

    async def close(self) -> None:
        """Take over nothing more: the journal is about to be closed."""
        self._announcer.stop()
        self._store = None
        task = self._task
        if task is not None and not task.done() and task.get_loop() is asyncio.get_running_loop():
            await asyncio.wait([task], timeout=5)

    async def has(self, id: bytes) -> bool:
        """Whether a job waits there. Raises what the driver does."""
        if not self.ready:
            return False
        if self._async is None:
            return await asyncio.to_thread(self._has, id)
        async with self._async.connect() as connection:
            return (await connection.execute(_row_of(id))).first() is not None

    def _has(self, id: bytes) -> bool:
        with self.engine.connect() as connection:
            return connection.execute(_row_of(id)).first() is not None

    async def waiting(self) -> int:
        """Return how many jobs wait there. Raises what the driver does."""
        if self._async is None:
            return await asyncio.to_thread(self._waiting)
        async with self._async.connect() as connection:
            return int((await connection.execute(_HOW_MANY)).scalar_one())

    def waiting_here(self, seconds: float, busy: asyncio.AbstractEventLoop | None) -> int:
        """Return it in this thread, which waits so long at most. Raises what the driver does.

        Raises:
            RuntimeError: the engine is an async one, and its loop is `busy`, or there is none.
        """
        if self._async is None:
            return self._waiting()
        loop = self._loop
        if loop is None or loop is busy or not loop.is_running():
            raise RuntimeError("the outbox's event loop cannot be asked now")
        return asyncio.run_coroutine_threadsafe(self.waiting(), loop).result(seconds)

    def _waiting(self) -> int:
        with self.engine.connect() as connection:
            return int(connection.execute(_HOW_MANY).scalar_one())

    # -- taking over -------------------------------------------------------------------------------

    def _look(self) -> None:
        """Take over what is there. In the announcer's thread."""
        if self._async is None:
            try:
                self._drain()
            except Exception as error:  # the driver's, the pool's, the journal's: it is tried again
                self._failed(error)
        elif self._loop is not None:
            call_on(self._loop, self._begin)

    def _failed(self, error: Exception) -> None:
        if self._store is not None:
            self._store.events.emit(DutyFailed(error))
        self._announcer.expect()

    def _begin(self) -> None:
        if self._task is not None and not self._task.done():
            self._again = True
            return
        self._task = asyncio.get_running_loop().create_task(self._drain_later(), name="postlude-outbox")

    async def _drain_later(self) -> None:
        assert self._async is not None
        self._again = True
        try:
            await self._make_later()
            while self._again and (store := self._store) is not None:
                self._again = False
                async with self._async.connect() as connection:
                    rows = [tuple(row) for row in await connection.execute(_FIRST)]
                taken = await asyncio.to_thread(take_over, store, rows)
                if taken:
                    self._again = True
                    async with self._async.begin() as connection:
                        await connection.execute(_without(taken))
        except Exception as error:  # the driver's, the pool's, the journal's: it is tried again
            self._failed(error)

    def _drain(self) -> None:
        self._make_here()
        while (store := self._store) is not None:
            with self.engine.connect() as connection:
                rows = [tuple(row) for row in connection.execute(_FIRST)]
            taken = take_over(store, rows)
            if not taken:
                return
            with self.engine.begin() as connection:
                connection.execute(_without(taken))


_HOW_MANY: Final = select(func.count()).select_from(_TABLE)

_FIRST: Final = select(_TABLE.c.id, _TABLE.c.job).order_by(_TABLE.c.id).limit(MOST)


def _row_of(id: bytes) -> Any:
    return select(_TABLE.c.id).where(_TABLE.c.id == id.hex())


def _without(ids: Sequence[str]) -> Any:
    return delete(_TABLE).where(_TABLE.c.id.in_(ids))


def _make(connection: Any) -> None:
    """Make the table; another process may do so at the same time."""
    if inspect(connection).has_table(NAME):
        return
    try:
        _TABLE.create(connection, checkfirst=False)
        connection.commit()
    except DBAPIError:
        connection.rollback()
        if not inspect(connection).has_table(NAME):
            raise


def declare(outboxes: list[Any], engine: Any) -> None:
    """Add the outbox of an engine, once.

    Raises:
        CannotJoin: it is no engine, or one whose sessions share one connection.
    """
    if not isinstance(engine, Engine | AsyncEngine):
        raise CannotJoin(f"postlude.outbox({type(engine).__qualname__}): give SQLAlchemy's engine")
    outbox = Outbox(engine)
    if not any(known.is_of(outbox.engine) for known in outboxes):
        outboxes.append(outbox)
