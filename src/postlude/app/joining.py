"""`postlude.within`: adding jobs to transactions, and background tasks that join one by themselves."""

from typing import Any, overload

from postlude.enqueue.joined.connections import ClosesLater, CommitsAtOnce, HasSyncSession
from postlude.enqueue.joined.joiner import AwaitedWithin, Within
from postlude.enqueue.joined.joiner import within as within_transaction
from postlude.errors import CannotJoin
from postlude.frameworks.install import joining
from postlude.messages.quoting import quoted


def outbox(postlude: Any, engine: Any, /) -> None:
    """Let jobs join transactions of a database that does not have the journal.

    They wait there in a table, `postlude_outbox`, which is made when the application starts, and are taken
    over from there, through this engine, right after the commit; what a process that dies leaves is found by
    another, or at the next start. Call it before the application starts, or in its lifespan.

    Args:
        postlude: the application's.
        engine: SQLAlchemy's, sync or async, that the application's sessions use.

    Raises:
        CannotJoin: it is no engine, or one whose sessions share one connection.
    """
    try:
        from postlude.enqueue.joined.outbox import declare
    except ImportError as missing:
        raise CannotJoin(
            f"outbox({quoted(engine)}): give an engine of SQLAlchemy; pip install sqlalchemy ({missing})"
        ) from missing
    declare(outboxes_of(postlude), engine)


def outboxes_of(postlude: Any) -> list[Any]:
    """Return the outboxes that an application has declared, whichever journal it works with."""
    found: list[Any] = postlude.__dict__.setdefault("outboxes", [])
    return found


@overload
def within(postlude: Any, connection: HasSyncSession, /) -> Within: ...


@overload
def within(postlude: Any, connection: CommitsAtOnce, /) -> Within: ...


@overload
def within(postlude: Any, connection: ClosesLater, /) -> AwaitedWithin: ...


@overload
def within(postlude: Any, connection: object, /) -> Any: ...


def within(postlude: Any, connection: Any, /) -> Any:
    """Return what adds jobs to the transactions of a session or a connection.

    They are stored by its commit, start after it, and are gone if it, or a savepoint around them, is undone.

    Args:
        postlude: the application's.
        connection: a session or a connection of SQLAlchemy's, sync or async, or, where the journal is in
            the same PostgreSQL, a connection of psycopg's or asyncpg's. What is added to an async connection
            has to be awaited: `await postlude.within(connection).add_task(...)`. Or what path operations
            ask for a session with, `Annotated[AsyncSession, Depends(...)]`: then what is returned gives a
            parameter `Annotated[BackgroundTasks, postlude.within(SessionDep)]` background tasks that join it.

    Raises:
        CannotJoin: none can join them; the message says what to do.
    """
    asked_for = joining(connection)
    if asked_for is not None:
        return asked_for
    return within_transaction(postlude.components.joiner, connection)
