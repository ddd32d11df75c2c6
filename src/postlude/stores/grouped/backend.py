"""What the writer needs of a durable store: verbs that it applies, in transactions."""

from collections.abc import Callable, Collection, Sequence
from enum import IntEnum
from typing import Any, NamedTuple, Protocol

from postlude.model.job import Hold, NewJob
from postlude.stores.values import Deed


class Verb(IntEnum):
    """What can be asked of a backend, in the order in which a group applies it."""

    FINISH = 0
    ENLIST = 1
    RELEASE = 2
    RENEW = 3
    RETIRE = 4
    REAP = 5
    DECLARE = 6
    PAUSE = 7
    RESUME = 8
    PROMOTE = 9
    UNPARK = 10
    FREE = 11
    CANCEL = 12
    RETRY = 13
    CLAIM = 14
    ADD = 15
    PROGRESS = 16
    PRUNE = 17
    LEAD = 18
    DELETE = 19
    FIRE = 20
    DECLARE_SCHEDULES = 21
    PAUSE_SCHEDULE = 22
    RESUME_SCHEDULE = 23
    RUN_SCHEDULE = 24
    FOLD = 25
    PUBLISH = 26
    WITHDRAW = 27
    COUNT = 28
    ACT = 29
    """Another verb, with an audit line of it."""


AddCall = tuple[Sequence[NewJob], int | None]
"""One call of `add`, stored whole or not at all: its jobs, and the runner to claim them for."""


class ReleaseCall(NamedTuple):
    """One call of `release`."""

    runner: int
    holds: Sequence[Hold]


class RenewCall(NamedTuple):
    """One call of `renew`."""

    runner: int
    hears: bool | None


class LeadCall(NamedTuple):
    """One call of `lead`."""

    runner: int
    duty: str
    seconds: float


class RetireCall(NamedTuple):
    """One call of `retire`."""

    runner: int
    draining: bool


class DeedCall(NamedTuple):
    """One call of a verb that somebody is to answer for."""

    verb: Verb
    argument: Any
    by: Deed


class Busy(Exception):
    """The database is locked by a program that does not take our lock: try again."""


class Broken(Exception):
    """The connection can no longer be trusted. Nothing of the running transaction is stored, nor will be."""


class Conflict(Exception):
    """Others' transactions were in the way, as in a deadlock: all is undone, and the group is tried again."""


class CommitFailed(Broken):
    """The commit failed, and nothing of it is stored. Only where the journal is opened anew may it be there.

    Its callers are told so at once, and `settled` is asked before the next group.

    Args:
        text: why.
        settle: called with what `settled` has said, if there is something to be done then.
    """

    def __init__(self, text: str, settle: Callable[[bool], None] | None = None) -> None:
        super().__init__(text)
        self.settle = settle


class Uncertain(Exception):
    """The connection was lost in the commit: whether that took effect, or will, is asked by `settled`.

    Args:
        text: why.
        settle: called with what `settled` has said, if there is something to be done then.
    """

    def __init__(self, text: str, settle: Callable[[bool], None] | None = None) -> None:
        super().__init__(text)
        self.settle = settle


class Applied(NamedTuple):
    """Calls of one verb, as they were applied: their arguments, and what the answers were to be."""

    verb: Verb
    arguments: Sequence[Any]
    results: Sequence[Any]


class Backend(Protocol):
    """A durable store's connection. Used by the writer's thread only."""

    def acquire(self) -> None:
        """Take the lock between processes; blocks."""
        ...

    def release(self) -> None:
        """Give the lock back."""
        ...

    def begin(self, jobs: int = 0) -> None:
        """Start a transaction, reopening the connection if need be; raises `Busy` or `Broken`.

        Args:
            jobs: how many it is to add, as far as that is known: they may be numbered in good time.
        """
        ...

    @property
    def beside_others(self) -> Collection[Verb]:
        """Verbs whose calls may not need that others' groups wait: `beside` is asked of groups of these.

        Where there are any, `begin` never says that it is busy.
        """
        ...

    def beside(self, calls: Sequence[tuple[Verb, Any]]) -> list[Any] | None:
        """Start a transaction and apply a group in it beside others, by other processes.

        Returns the answer to each call, and `commit` is next; or None: nothing of it is applied, and no
        transaction has begun. Then it is written as any group. Never raises.
        """
        ...

    def apply(self, verb: Verb, arguments: Sequence[Any]) -> list[Any]:
        """Apply calls of one verb; one result for each. Raises any error to fail the transaction.

        A result that is a `PostludeError` is its call's own: the transaction stands. After `Conflict` the
        whole group is applied again; after other errors each call in a transaction of its own.
        """
        ...

    def commit(self) -> None:
        """Make the transaction durable.

        Raises:
            Broken, CommitFailed, Conflict: it is not.
            Uncertain: nobody knows.
        """
        ...

    def settled(self, group: Sequence[Applied]) -> bool:
        """Say, in a new transaction, whether one of which `commit` said that it is uncertain is stored.

        False: nothing of it is stored, nor ever will be; then it is applied again in this transaction.
        To look for its ids is not enough on a server that may still be committing it: insert them, and so
        wait for it. Raises any error if it is not to be known now; then it is asked again later.
        """
        ...

    def rollback(self) -> None:
        """Undo the transaction, if there is one. Never raises."""
        ...

    def repair(self, error: Exception) -> bool:
        """Set aside what cannot be read, in a transaction of its own, if a transaction may have failed by it.

        Returns whether anything was: then it is worth another try. Never raises.
        """
        ...

    def disown(self, results: Sequence[Any]) -> None:
        """Cancel, in a transaction of its own, what adds stored whose callers were told that they failed."""
        ...

    def tidy(self) -> None:
        """Do what can wait until those who asked have been answered. Under the lock still; never raises."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...
