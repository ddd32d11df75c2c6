"""Where jobs go that join a transaction, as far as those need it who write them there."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, NamedTuple, NoReturn, Protocol

from postlude.errors import CannotJoin
from postlude.model.event.jobs import JobsAdded
from postlude.model.job import Added, NewJob
from postlude.model.joining import Joining, text_of
from postlude.stores.protocol import Store
from postlude.stores.values import Entrance

Give = Callable[[], Coroutine[Any, Any, None]]
"""Asks whose the job is, and makes it that owner's."""


class Ticket(Protocol):
    """A call on its way into a transaction."""

    give: Give | None
    """To be awaited before it is written; None: there is nobody to ask."""

    def joining(self) -> Joining:
        """Return what is written."""
        ...


class Way(Protocol):
    """How a transaction is written to at once."""

    waits: bool
    """Whether it awaits `Ticket.give`."""

    def write(self, ticket: Ticket) -> None:
        """Write a job to the transaction, or see to it that it is before anything else is."""
        ...


class AwaitedWay(Protocol):
    """How a transaction is written to that has to be awaited."""

    waits: bool
    """Whether it awaits `Ticket.give`."""

    async def write(self, ticket: Ticket) -> None:
        """Write a job to the transaction."""
        ...


class Joins(Protocol):
    """Adds jobs to transactions. Implemented by `postlude.enqueue.joined.joiner.Joiner`."""

    def way(self, connection: Any) -> Way | AwaitedWay:
        """Return how a session or a connection is written to.

        Raises:
            CannotJoin: it is none that is known, or no job can join its transactions.
        """
        ...

    def ticket(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[Any, Ticket]:
        """Prepare a call, and make sure that it can be part of a transaction; returns both."""
        ...

    def check(
        self, work: Any, chain: str | None = None, due: int | None = None, give: Give | None = None
    ) -> Ticket:
        """Make sure that a call can be part of a transaction, and return it.

        Args:
            work: the call, prepared.
            chain: names those of a request of which each waits for the one before it.
            due: how long it waits for that at most (microseconds, UTC).
            give: asks whose it is.

        Raises:
            CannotJoin, JobRefused: it cannot be.
        """
        ...


class Statement(NamedTuple):
    """What is executed in the transaction: for SQLAlchemy, or for a driver."""

    text: Any
    parameters: Any


class Target(Protocol):
    """Where the jobs of a transaction go."""

    def sqlalchemy(self, joinings: Sequence[Joining]) -> Statement:
        """Return what SQLAlchemy executes."""
        ...

    def announce(self) -> None:
        """A transaction that has written here is committed: look. From any thread."""
        ...

    def expect(self) -> None:
        """One may be committed soon, and nobody says when: look a few times. From any thread."""
        ...


def tell_of(store: Store, jobs: Sequence[NewJob], added: Sequence[Added]) -> None:
    """Tell who listens which jobs of a transaction the journal has now."""
    if JobsAdded in store.events.heard:
        store.events.emit(JobsAdded(jobs, added))


_ELSEWHERE: Final = frozenset({"42883", "3F000", "42P01", "PJ001"})
"""PostgreSQL's codes: no such function, schema or table; and that of a journal that is not the one meant."""
_NOT_ALLOWED: Final = "42501"


def refuse(error: Exception) -> NoReturn:
    """Raise what a database says when it does not take a job, in words that help.

    Raises:
        CannotJoin: the journal is not there, or must not be used. Exception: the error itself, otherwise.
    """
    original = getattr(error, "orig", None) or error
    code = getattr(original, "sqlstate", None) or getattr(original, "pgcode", None)
    if code in _ELSEWHERE:
        raise CannotJoin(
            "this transaction's database does not have the journal, so no job can be a part of it as it is; "
            "let jobs wait in a table there: postlude.outbox(engine)"
        ) from error
    if code == _NOT_ALLOWED:
        raise CannotJoin(
            "the application's role must not use the journal: GRANT USAGE ON SCHEMA postlude TO that role"
        ) from error
    raise error


class Deferral:
    """A journal that dies with the process, as in tests: jobs are added to it when sessions have committed.

    Args:
        store: adds them.
    """

    def __init__(self, store: Callable[[Sequence[Joining]], None]) -> None:
        self.store = store


class Journal:
    """The journal itself, in the same database.

    Args:
        entrance: by what jobs are added there.
        announce: looks for what has joined.
        expect: does so a few times, soon.
    """

    def __init__(self, entrance: Entrance, announce: Callable[[], None], expect: Callable[[], None]) -> None:
        self._entrance = entrance
        self.announce, self.expect = announce, expect

    def words(self, first: str, second: str) -> str:
        """Return the statement, with a driver's own form of parameters."""
        return self._entrance.statement.format(first, second)

    def values(self, joinings: Sequence[Joining]) -> tuple[str, str]:
        """Return its parameters."""
        return self._entrance.journal, text_of(list(joinings))

    def sqlalchemy(self, joinings: Sequence[Joining]) -> Statement:
        """Return what SQLAlchemy executes."""
        from sqlalchemy import text

        journal, jobs = self.values(joinings)
        return Statement(text(self.words(":journal", ":jobs")), {"journal": journal, "jobs": jobs})
