"""SQLAlchemy's sessions and connections. Imported only when an application gives one."""

from collections.abc import Callable
from typing import Any, TypeVar, Union
from weakref import ReferenceType, WeakKeyDictionary, ref

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session
from sqlalchemy.orm import Session, SessionTransaction, scoped_session
from sqlalchemy.util import await_only

from postlude.compat import connections_of
from postlude.enqueue.joined.target import Deferral, Target, Ticket, refuse
from postlude.errors import CannotJoin

AnySession = Session | AsyncSession
AnyConnection = Connection | AsyncConnection

W = TypeVar("W", "Collecting", "Deferring")

TargetOf = Callable[[Engine], Target | Deferral]
"""Says where the jobs go that join a transaction of an engine's."""


def meant(given: Any) -> Any:
    """Return the session behind a scoped one; anything else as it is."""
    return given.registry() if isinstance(given, scoped_session | async_scoped_session) else given


Ways = Union["Executing", "Collecting", "Awaiting", "Deferring"]


def way_of(given: Any, target_of: TargetOf) -> Ways | None:
    """Return how a session or a connection is written to; None: it is neither.

    Raises:
        CannotJoin: no job can join its transactions.
    """
    given = meant(given)
    session = given.sync_session if isinstance(given, AsyncSession) else given
    if isinstance(session, Session):
        engine = session.get_bind().engine
        target = target_of(engine)
        if isinstance(target, Deferral):
            return _kept(Deferring, session, lambda: Deferring(session, target), target)
        if session is given:
            return Executing(session, target)
        return _kept(Collecting, session, lambda: Collecting(session, engine, target), target)
    if isinstance(given, AsyncConnection):
        return Awaiting(given, _not_deferred(target_of(given.engine.sync_engine)))
    if isinstance(given, Connection):
        return Executing(given, _not_deferred(target_of(given.engine)))
    return None


def _not_deferred(target: Target | Deferral) -> Target:
    if isinstance(target, Deferral):
        raise CannotJoin("the journal is in memory, where jobs can only join sessions: give the session")
    return target


_KEPT: "WeakKeyDictionary[Session, dict[type[Any], Any]]" = WeakKeyDictionary()
"""By session, what listens to it."""


def _kept(kind: type[W], session: Session, make: Callable[[], W], target: object) -> W:
    """Return what listens to a session; made once for each target."""
    known = _KEPT.setdefault(session, {})
    found: W | None = known.get(kind)
    if found is None or found.target is not target:
        found = known[kind] = make()
    return found


def _write(connection: Connection, target: Target, tickets: list[Ticket]) -> None:
    text, parameters = target.sqlalchemy([ticket.joining() for ticket in tickets])
    try:
        connection.execute(text, parameters).close()
    except Exception as error:
        refuse(error)


class Executing:
    """Writes at once: a sync session, or a sync connection."""

    waits = False

    def __init__(self, given: Session | Connection, target: Target) -> None:
        self._given = given
        self._target = target
        if isinstance(given, Session):
            _tell_commits(given, target)

    def write(self, ticket: Ticket) -> None:
        """Write a job to the transaction, which begins if none has."""
        given = self._given
        _write(given.connection() if isinstance(given, Session) else given, self._target, [ticket])
        self._target.expect()


_TOLD: "WeakKeyDictionary[Session, set[int]]" = WeakKeyDictionary()


def _tell_commits(session: Session, target: Target) -> None:
    told = _TOLD.setdefault(session, set())
    if id(target) not in told:
        told.add(id(target))
        event.listen(session, "after_commit", lambda _: target.announce())


class Awaiting:
    """Writes at once, and has to be awaited: an async connection."""

    waits = True

    def __init__(self, connection: AsyncConnection, target: Target) -> None:
        self._connection = connection
        self._target = target

    async def write(self, ticket: Ticket) -> None:
        """Write a job to the transaction, which begins if none has."""
        if ticket.give is not None:
            await ticket.give()
        text, parameters = self._target.sqlalchemy([ticket.joining()])
        try:
            await self._connection.execute(text, parameters)
        except Exception as error:
            refuse(error)
        self._target.expect()


class Collecting:
    """Writes before the session does anything else: an `AsyncSession`, whose `add_task` cannot wait.

    A job is kept here until the next statement on its connection, which may be a SAVEPOINT, a ROLLBACK TO
    one, a COMMIT, and all of them also in raw SQL or below the session. So it is in the transaction in its
    place, and what becomes of it is the database's affair. A nested transaction whose SAVEPOINT the session
    has not sent so far keeps its jobs until that is sent, or drops them with itself.

    Args:
        session: the sync session inside.
        engine: whose connections are meant, of a session with several.
        target: where the jobs go.
    """

    waits = True

    def __init__(self, session: Session, engine: Engine, target: Target) -> None:
        self._session: ReferenceType[Session] = ref(session)
        self._engine = engine
        self.target = target
        self._waiting: list[tuple[Ticket, SessionTransaction]] = []
        self._guarded: set[ReferenceType[Connection]] = set()
        self._writing = False
        event.listen(session, "before_commit", self._before_commit)
        event.listen(session, "after_begin", self._after_begin)
        event.listen(session, "after_transaction_end", self._after_end)
        event.listen(session, "after_commit", lambda _: target.announce())

    def write(self, ticket: Ticket) -> None:
        """Write a job before anything else is done in the transaction, which begins if none has."""
        session = self._session()
        assert session is not None
        transaction = session.get_nested_transaction() or session.get_transaction() or session.begin()
        self._waiting.append((ticket, transaction))
        for connection in connections_of(session.get_transaction()):
            self._guard(connection)

    def _guard(self, connection: Connection) -> None:
        """Hear of what is done on a connection, also below the session."""
        if connection.engine is self._engine and ref(connection) not in self._guarded:
            self._guarded.add(ref(connection, self._guarded.discard))
            event.listen(connection, "before_cursor_execute", self._before_statement)
            event.listen(connection, "commit", self._flush)
            event.listen(connection, "rollback", self._dropped)

    def _after_begin(self, session: Session, _: SessionTransaction, connection: Connection) -> None:
        if self._waiting:
            self._guard(connection)

    def _before_statement(self, connection: Connection, _: Any, statement: str, *others: Any) -> None:
        if not self._waiting or self._writing:
            return
        if statement.lstrip()[:8].upper() == "ROLLBACK":
            # It undoes all since a SAVEPOINT that was sent before these were added; and if a statement has
            # failed there, nothing can be written until then.
            self._dropped(connection)
        else:
            self._flush(connection)

    def _before_commit(self, session: Session) -> None:
        if self._waiting:
            # Sends what the session has put off: BEGIN, or a SAVEPOINT.
            self._flush(session.connection(bind_arguments={"bind": self._engine}))

    def _after_end(self, session: Session, transaction: SessionTransaction) -> None:
        self._waiting = [each for each in self._waiting if each[1] is not transaction]

    def _dropped(self, connection: Connection) -> None:
        self._waiting = [each for each in self._waiting if connection not in connections_of(each[1])]

    def _flush(self, connection: Connection) -> None:
        """Write what waits, but for that of nested transactions whose SAVEPOINT is not sent."""
        ready = [ticket for ticket, transaction in self._waiting if connection in connections_of(transaction)]
        if not ready:
            return
        self._waiting = [each for each in self._waiting if each[0] not in ready]
        self._writing = True
        try:
            for ticket in ready:
                if ticket.give is not None:
                    await_only(ticket.give())
            _write(connection, self.target, ready)
        finally:
            self._writing = False
        self.target.expect()


class Deferring:
    """Adds jobs when a session has committed: where the journal dies with the process, nothing more is lost.

    Args:
        session: the session, or the sync one inside.
        target: where the jobs go.
    """

    waits = False

    def __init__(self, session: Session, target: Deferral) -> None:
        self._session: ReferenceType[Session] = ref(session)
        self.target = target
        self._waiting: list[tuple[Ticket, SessionTransaction]] = []
        event.listen(session, "after_commit", self._committed)
        event.listen(session, "after_transaction_end", self._ended)

    def write(self, ticket: Ticket) -> None:
        """Keep a job until the transaction, which begins if none has, is committed."""
        session = self._session()
        assert session is not None
        transaction = session.get_nested_transaction() or session.get_transaction() or session.begin()
        self._waiting.append((ticket, transaction))

    def _committed(self, session: Session) -> None:
        nested = session.get_nested_transaction()
        if nested is None:
            waiting, self._waiting = self._waiting, []
            if waiting:
                self.target.store([ticket.joining() for ticket, _ in waiting])
        elif nested.parent is not None:
            outer = nested.parent
            self._waiting = [(ticket, outer if own is nested else own) for ticket, own in self._waiting]

    def _ended(self, session: Session, transaction: SessionTransaction) -> None:
        """Drop what has not been committed."""
        self._waiting = [each for each in self._waiting if each[1] is not transaction]
